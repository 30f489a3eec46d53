"""The process that holds one container: `python -m …keeper`, started by `kept.keep`.

It starts the container, copies its output to its own, and writes down what becomes of it. The
container ends with it: in good order at SIGTERM, at once at SIGUSR1 or when the lifeline is cut.
So nothing is left when the kernel that asked for the container is killed, at whatever moment.

Environment:
    SAGETURNER_CONTROL      path of the state file (see `kept.Kept`); `spec.json` beside it is
                            the container to run
    SAGETURNER_KEPT_SECRETS variables of the container that are in no file, as JSON
    SAGETURNER_LIFELINE_FD  read end of the owner's pipe; unset when the container may outlive it
"""

from __future__ import annotations

import fcntl
import json
import os
import queue
import signal
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sageturner_magic import scratch
from sageturner_magic.endpoints.children import LIFELINE
from sageturner_magic.endpoints.container import sandbox
from sageturner_magic.endpoints.container.kept import SECRETS
from sageturner_magic.endpoints.container.runner import (
    ContainerSpec,
    Exit,
    RunningContainer,
    run_container,
)
from sageturner_magic.errors import EndpointError
from sageturner_magic.values import UnpackedImage

CONTROL = "SAGETURNER_CONTROL"


class _State:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._said: dict[str, Any] = {}

    def say(self, **said: Any) -> None:
        """Add to the state file; whoever reads it sees all of it or none."""
        self._said |= said
        unfinished = self._path.with_suffix(".new")
        unfinished.write_text(json.dumps(self._said))
        unfinished.replace(self._path)


def main() -> int:
    """Hold the container until it ends or has to."""
    path = Path(os.environ[CONTROL])
    state = _State(path)
    # A SimpleQueue may be put to from a signal handler.
    news: queue.SimpleQueue[str] = queue.SimpleQueue()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, lambda *_: news.put("cut"))
    signal.signal(signal.SIGTERM, lambda *_: news.put("stop"))
    if LIFELINE in os.environ:
        _in_thread(_watch, int(os.environ[LIFELINE]), news)
    told = json.loads((path.parent / "spec.json").read_text())
    grace_s, unpacked = told.pop("grace_s"), told.pop("unpacked")
    told["secrets"] = json.loads(os.environ.pop(SECRETS, "{}"))
    spec = ContainerSpec(**told, unpacked=UnpackedImage.of_json(unpacked))
    state.say(state="starting")
    # Where the container does not just go, whoever started it reads why: the folder is kept.
    try:
        container = _started(spec, path.parent / "scratch")
    except EndpointError as error:
        state.say(state="refused", finding=asdict(error.findings[0]))
        scratch.keep(path.parent)
        return 1
    try:
        state.say(state="running", id=container.id, port=container.port)
        copied = _in_thread(_copy, container)
        _in_thread(_wait, container, news)
        what = news.get()
        if what == "cut":
            return 1
        ended = container.stop(grace_s) if what == "stop" else container.exit()
        copied.join(timeout=5)
        state.say(state="ended", exit=asdict(ended or Exit(-1)))
        scratch.keep(path.parent)
    finally:
        container.remove()
    return 0


def _started(spec: ContainerSpec, scratch: Path) -> RunningContainer:
    if spec.unpacked is None:
        return run_container(spec)
    # As long as this process lives, nobody removes the image's folder.
    lock = os.open(f"{spec.unpacked.root}.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_SH)
    scratch.mkdir()
    return sandbox.run(spec, scratch)


def _in_thread(work: Any, *arguments: Any) -> threading.Thread:
    thread = threading.Thread(target=work, args=arguments, daemon=True)
    thread.start()
    return thread


def _watch(lifeline: int, news: queue.SimpleQueue[str]) -> None:
    while os.read(lifeline, 1):
        pass
    news.put("cut")


def _wait(container: RunningContainer, news: queue.SimpleQueue[str]) -> None:
    container.wait()
    news.put("ended")


def _copy(container: RunningContainer) -> None:
    for piece in container.output():
        sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main())
