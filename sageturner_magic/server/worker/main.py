"""Run the worker process: import the program, load the model, serve."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

from .. import frames, home, masking, settings
from ..codec.formats import find_orjson
from ..logs import Log
from ..shared_page import Page
from . import prefork, sequential, user_logging
from .batching import BatchRule
from .handler import Work, describe
from .program import ProgramError, import_program, user_traceback


def main(arguments: Sequence[str]) -> int:
    """Run a worker: `worker SOCKET PAGE LIFELINE [may-fork]`, with three inherited descriptors.

    Returns the exit status: 0 when the front closed the socket, 1 when load failed or the process
    cannot go on.
    """
    channel = socket.socket(fileno=int(arguments[1]))
    page = Page(int(arguments[2]))
    os.close(int(arguments[2]))
    end_with_the_front(int(arguments[3]))
    for descriptor in (int(arguments[1]), int(arguments[3])):
        os.set_inheritable(descriptor, False)  # Programs that user code starts have no use for it.
    sys.argv[1:] = []
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    config = settings.read(os.environ)
    os.environ["SM_MODEL_DIR"] = config.model_dir
    home.prepare(os.environ)
    find_orjson(config.packages)
    log = Log(config.log, worker=os.getpid())
    if misfit := _gpu_misfit():
        log.error(misfit)
        failure = {"type": "GpuMisfit", "message": misfit, "traceback": []}
        _tell_failure(channel, failure)
        return 1
    if unreadable := set_secrets(config):
        log.error(unreadable)
        _tell_failure(channel, {"type": "SecretError", "message": unreadable, "traceback": []})
        return 1
    prefork.keep_children_out(channel)
    user_log = user_logging.install(log, config.serving.log_level)
    worker = os.getpid()
    started = time.monotonic()
    stage = "importing sageturner.py"
    try:
        code = import_program(config.program_dir)
        imported = time.monotonic() - started
        stage = "load"
        model = code.load(config.model_dir)
        prefork.end_child(worker)
    except BaseException as error:
        prefork.end_child(worker)
        failure = _failure(error, stage, config.program_dir)
        log.error(f"{failure['message']}", traceback=failure["traceback"])
        _tell_failure(channel, failure)
        return 1
    loaded = time.monotonic() - started
    serving = config.serving
    if serving.check_answers == "auto":
        serving = dataclasses.replace(serving, check_answers=config.local or "sample")
    work = Work(code, model, config.program_dir, serving, log)
    if code.contract.unread:
        log.warning(f"requests are not checked: the types of predict: {code.contract.unread}")
    batch = config.serving.batch
    rule = BatchRule(batch.max_size, batch.max_wait_ms / 1000)
    if code.kind != "async":
        sequential.warm_up(work)
    prefork.end_child(worker)
    ready = {
        "import_seconds": round(imported, 6),
        "load_seconds": round(loaded, 6),
        "kind": code.kind,
        "forks": False,
        "why_not": "",
    }

    def announce() -> None:
        if work.lost:
            message = f"example_request's request failed, and {work.lost}"
            failure = {"type": "GpuLost", "message": message, "traceback": []}
            _tell_failure(channel, failure)
            return
        said = json.dumps(
            {
                **ready,
                "example": work.example,
                "warmed": work.warmed,
                "contract": code.contract.described,
            }
        )
        channel.sendall(frames.pack(frames.READY, 0, said.encode()))

    if "may-fork" in arguments:
        ready["why_not"] = prefork.why_not()
        if not ready["why_not"]:
            ready["forks"] = True
            announce()
            descriptors = prefork.Template(channel).run()
            if descriptors is None:
                return 0
            channel = socket.socket(fileno=descriptors[0])
            page = Page(descriptors[1])
            os.close(descriptors[1])
            end_with_the_front(descriptors[2])
            prefork.keep_children_out(channel)
            log = work.log = user_log.log = Log(config.log, worker=os.getpid())
            ready["forks"] = False
    if code.kind == "async":
        # Imported only where it is used: asyncio costs a plain worker 0.1 s and 6 MB.
        import asyncio

        from . import concurrent

        try:
            asyncio.run(concurrent.serve(work, channel, page, announce))
        except OSError as error:
            log.error(f"the worker ends: its event loop was closed by the model's code ({error})")
            os._exit(1)
    else:
        announce()
        sequential.PlainWorker(work, channel, page, rule).serve()
    return 1 if work.lost else 0


def set_secrets(config: settings.Settings) -> str:
    """Put the values of `secrets:` into this process's environment, and mask them from now on.

    Set here, and not by whoever starts the process, they do not show in /proc/PID/environ.

    Returns:
        Why one of them cannot be read; empty if all could.
    """
    if not config.secrets.references:
        return ""
    # Imported only where it is used: it brings an HTTP client, which takes longer than all else.
    from ..aws import SecretError, read_secrets

    try:
        values = read_secrets(config.secrets, os.environ)
    except SecretError as error:
        return str(error)
    os.environ.update(values)
    masking.hide(values)
    sys.stdout, sys.stderr = map(masking.MaskedStream, (sys.stdout, sys.stderr))
    return ""


def end_with_the_front(lifeline: int) -> None:
    """End this process, and what it started, when the pipe `lifeline` loses its other end.

    On Linux the kernel sends SIGIO then, whose default is to end a process: this needs no
    thread and no GIL. Elsewhere SIGIO is ignored by default, and a thread has to do.
    """
    if sys.platform == "linux":
        fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())
        flags = fcntl.fcntl(lifeline, fcntl.F_GETFL)
        fcntl.fcntl(lifeline, fcntl.F_SETFL, flags | os.O_ASYNC | os.O_NONBLOCK)
        with contextlib.suppress(BlockingIOError):
            if os.read(lifeline, 1) == b"":  # It ended before the kernel was told to watch.
                os._exit(1)
    else:
        threading.Thread(target=_watch, args=(lifeline,), daemon=True).start()


def _watch(lifeline: int) -> None:
    os.read(lifeline, 1)
    os.killpg(0, signal.SIGKILL)


def _gpu_misfit() -> str | None:
    """Why this machine's NVIDIA driver does not run the installed frameworks, if so."""
    if not (os.path.exists("/dev/nvidiactl") or shutil.which("nvidia-smi")):  # noqa: PTH110
        return None
    # Reading what is installed takes a while: only where there is a GPU.
    from . import gpu_check

    return gpu_check.check()


def _tell_failure(channel: socket.socket, failure: dict[str, Any]) -> None:
    told = {**failure, "message": masking.masked(failure["message"])}
    told["traceback"] = [masking.masked(line) for line in failure["traceback"]]
    channel.sendall(frames.pack(frames.FAILED, 0, json.dumps(told).encode()))


def _failure(error: BaseException, stage: str, folder: str) -> dict[str, Any]:
    kind = type(error).__name__
    if isinstance(error, ProgramError):
        return {"type": kind, "message": str(error), "traceback": []}
    said = describe(error)
    message = f"{stage} raised {kind}: {said}" if said else f"{stage} raised {kind}"
    if isinstance(error, SystemExit):
        message = f"{stage} called sys.exit({error.code!r})"
    return {"type": kind, "message": message, "traceback": list(user_traceback(error, folder))}
