"""Run load and one request in a process without a socket, as a worker would.

Started as `PYTHON <this folder>/__main__.py trial REPORT LIFELINE STAGE [HOME]`, with a server's
environment. REPORT is a file that gets a line of JSON for each thing that happens, so that whoever
reads it knows how far a process came that died:

    {"begun": "import" | "load" | "example" | "predict"}
    {"ended": the same, "seconds": float}
    {"failed": {"type", "message", "name", "frames": [[file, line, function, text]]}}
    {"none": true}  (load returned None)
    {"unconfined": str}  (HOME was given, and why this machine cannot do what it asks for)
    {"passed": {"memory": bytes, "asked": "payload" | "example" | "", "example": JSON or "",
                "content_type": str, "body": base64, "again": base64, "chunks": int}}

`frames` has the user's own lines only, with files relative to the program folder;
`chunks` is 0 where predict does not stream. `again` is the first other response to the same
request of the SAGETURNER_TRIAL_REPEATS that are sent after it, or the last one.
What the main thread does when it crashes, or when it gets SIGUSR1, is written to REPORT.stack by
faulthandler.

LIFELINE is the read end of an inherited pipe: the process and what it started end when the pipe
does. STAGE is `import`, to stop after the import, or `predict`. The request is the file
REPORT.request, of the media type SAGETURNER_TRIAL_TYPE; without it example_request(). HOME is given
for the limits of a serverless container, whose HOME it is: only REPORT's folder and /tmp can be
written, and what fails there for that reason fails here.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import copy
import dataclasses
import faulthandler
import inspect
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from .. import confinement, home, settings
from ..codec import Context, formats
from ..logs import Log
from ..masking import masked
from . import user_logging
from .handler import describe, is_raw
from .main import end_with_the_front, set_secrets
from .program import Program, import_program

REPEATING_S = 5.0
"""No further request after these."""


class _Report:
    """The lines of REPORT."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._file = open(path, "a", encoding="utf-8")  # noqa: SIM115, PTH123 - open to the end

    def say(self, **line: Any) -> None:
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self.say(begun=name)
        began = time.monotonic()
        yield
        self.say(ended=name, seconds=round(time.monotonic() - began, 6))


def main(arguments: list[str]) -> int:
    """Run a trial; returns 0 when it passed and 1 when it failed."""
    path, lifeline, last = arguments[1], int(arguments[2]), arguments[3]
    sys.argv[1:] = []
    end_with_the_front(lifeline)
    os.set_inheritable(lifeline, False)
    stack = open(f"{path}.stack", "w")  # noqa: SIM115, PTH123 - faulthandler needs it to the end
    faulthandler.enable(stack, all_threads=False)
    faulthandler.register(signal.SIGUSR1, stack, all_threads=False)
    config = settings.read(os.environ)
    set_secrets(config)
    user_logging.install(Log("text"), config.serving.log_level)
    report = _Report(path)
    if arguments[4:] and (reason := _confine(arguments[4], os.path.dirname(path), config)):  # noqa: PTH120
        report.say(unconfined=reason)
    home.prepare(os.environ)
    try:
        with report.stage("import"):
            program = import_program(config.program_dir)
        passed = {} if last == "import" else _run(program, config, report)
    except BaseException as error:
        report.say(failed=_failure(error, config.program_dir))
        return 1
    report.say(passed=passed)
    return 0


def _confine(given_home: str, folder: str, config: settings.Settings) -> str:
    """Enter a serverless container's limits; why that cannot be done here, or nothing."""
    import site

    # Packages that `pip install --user` put below the real HOME are the image's here.
    os.environ["PYTHONUSERBASE"] = site.getuserbase()
    os.environ["HOME"] = given_home
    return confinement.enter((config.program_dir, config.model_dir), ("/tmp", folder))


def _run(program: Program, config: settings.Settings, report: _Report) -> dict[str, Any]:
    formats.find_orjson(config.packages)
    if config.serving.check_answers is False:
        unchecked = dataclasses.replace(program.contract, answers=None)
        program = dataclasses.replace(program, contract=unchecked)
    with report.stage("load"):
        model = program.load(config.model_dir)
    if model is None:
        report.say(none=True)
    asked, example, request, context = _request(program, config.serving, report)
    content_type, body, chunks, again = "", b"", 0, b""
    if asked:
        repeats = int(os.environ.get("SAGETURNER_TRIAL_REPEATS", "0"))
        kept = copy.deepcopy(request) if repeats else None
        with report.stage("predict"):
            predicting = _predict(program, model, request, context, config.serving.nan)
            content_type, body, chunks = asyncio.run(predicting)
        if repeats:
            with report.stage("repeat"):
                again = _repeated(
                    lambda: asyncio.run(
                        _predict(program, model, copy.deepcopy(kept), Context(), config.serving.nan)
                    )[1],
                    body,
                    repeats,
                )
    return {
        "memory": _peak_memory(),
        "asked": asked,
        "example": example,
        "content_type": content_type,
        "body": base64.b64encode(body).decode(),
        "again": base64.b64encode(again).decode(),
        "chunks": chunks,
    }


def _repeated(ask: Callable[[], bytes], first: bytes, repeats: int) -> bytes:
    """The first response other than `first`, else the last; spread over a second of the clock."""
    began, again = time.monotonic(), first
    for _ in range(repeats):
        time.sleep(1.1 / repeats)
        again = ask()
        if again != first or time.monotonic() - began > REPEATING_S:
            break
    return again


def _request(
    program: Program, serving: settings.Serving, report: _Report
) -> tuple[str, str, Any, Context]:
    """Where the request comes from (empty where there is none), an example's JSON, the request as
    predict gets it, and its context. Raises Problem."""
    context = Context()
    with contextlib.suppress(FileNotFoundError), open(f"{report.path}.request", "rb") as file:  # noqa: PTH123
        context.headers["content-type"] = os.environ["SAGETURNER_TRIAL_TYPE"]
        value, context.csv = formats.decode(file.read(), context.content_type, serving)
        return "payload", "", program.contract.request(value), context
    if program.example_request is None:
        return "", "", None, context
    with report.stage("example"):
        example, text = program.example_request(), ""
        # As a client would send it: what JSON turns into something else is seen here.
        if not is_raw(example):
            example = json.loads(formats.to_json(example, "null"))
            text = json.dumps(example, ensure_ascii=False)
        return "example", text, program.contract.request(example), context


async def _predict(
    program: Program, model: Any, request: Any, context: Context, nan: str
) -> tuple[str, bytes, int]:
    """Content-Type and body of the answer, and in how many chunks a stream came."""
    check = program.contract.check_answer
    if program.predict_batch is not None:
        several = list(program.predict_batch(model, [request]))
        if len(several) != 1:
            raise formats.AnswerError(
                f"predict_batch returned {len(several)} answers for 1 request"
            )
        check(several[0])
        return *formats.encode(several[0], context.accept, nan), 0
    value = program.predict(model, request, context)
    if inspect.isawaitable(value):
        value = await value
    if not isinstance(value, Iterator | AsyncIterator):
        check(value)
        return *formats.encode(value, context.accept, nan), 0
    encoder: formats.ChunkEncoder | None = None
    pieces = []
    async for chunk in value if isinstance(value, AsyncIterator) else _each(value):
        encoder = encoder or formats.ChunkEncoder(chunk, context.accept, nan)
        check(chunk, encoder.count)
        pieces.append(encoder.encode(chunk))
    encoder = encoder or formats.ChunkEncoder("", context.accept, nan)
    return encoder.content_type, b"".join(pieces), len(pieces)


async def _each(chunks: Iterator[Any]) -> AsyncIterator[Any]:
    for chunk in chunks:
        yield chunk


def _peak_memory() -> int:
    """Bytes of memory that this process had at most."""
    with contextlib.suppress(OSError), open("/proc/self/status", encoding="ascii") as file:  # noqa: PTH123
        # Linux counts what was resident before exec into getrusage's answer.
        for line in file:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _failure(error: BaseException, folder: str) -> dict[str, Any]:
    prefix = os.path.join(folder, "")  # noqa: PTH118
    frames = list(traceback.extract_tb(error.__traceback__))
    if isinstance(error, SyntaxError) and error.filename:
        frames.append(traceback.FrameSummary(error.filename, error.lineno or 1, "<module>"))
    return {
        "type": type(error).__name__,
        "message": masked(describe(error)),
        "name": getattr(error, "name", None),
        "frames": [
            [
                frame.filename.removeprefix(prefix),
                frame.lineno,
                frame.name,
                masked(frame.line or ""),
            ]
            for frame in frames
            if frame.filename.startswith(prefix)
        ],
    }
