"""Run load() and predict() in a clean process with only the module and the artefact.

The process is the model server's own (`server/worker/trial.py`): what imports, loads, predicts and
encodes the answer is what a worker runs.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import psutil

from sageturner_magic.context import model_environment
from sageturner_magic.deployment.trial.failures import (
    Died,
    Failure,
    Raised,
    Scene,
    Stuck,
    explain,
    forgotten_return,
)
from sageturner_magic.scratch import scratch_folder
from sageturner_magic.values import CapturedModule, Reporter, Request

IMPORT_LIMIT_S = 480.0
"""Seconds that an import may take at least: what SageMaker gives a container to be ready.

Of wall clock, as SageMaker counts them, and because what hangs in an import uses no processor. A
cold torch takes a minute from a slow disk, longer from one on the network.
"""

_USERS_OWN = ("LOGNAME", "USER", "LNAME", "USERNAME", "HF_HOME", "TORCH_HOME")
"""Environment variables of a user that a serverless container does not have."""

_POLL_S = 0.02
_STACK_S = 2.0
"""How long a process that hangs has to say where."""

_OUTPUT_LINES = 20


@dataclass(frozen=True)
class Limits:
    """Seconds that each part of a trial may take; an import as many as load()."""

    load_s: float
    predict_s: float


@dataclass(frozen=True)
class Trial:
    """What came of a trial that passed.

    Attributes:
        import_s, load_s, predict_s: Seconds that each took; predict_s includes encoding the
            answer, and is None where there was no request.
        memory: Bytes that the process had at most.
        asked: Where the request came from; empty where there was none.
        example: What example_request() gave, as JSON; empty where it was not asked, or is not
            sent as JSON.
        body, content_type: The answer as a client gets it.
        chunks: How many pieces a streamed answer came in; 0 for a plain one.
        again: Of repeated requests the first other response, else the last one.
        output: The last lines that the code printed.
        unconfined: Why the process could do what a serverless container cannot, though it was to
            be as limited; empty otherwise.
    """

    import_s: float
    load_s: float
    predict_s: float | None
    memory: int
    asked: Literal["payload", "example", ""]
    body: bytes = field(repr=False)
    content_type: str
    chunks: int
    output: tuple[str, ...] = field(repr=False)
    example: str = field(default="", repr=False)
    again: bytes = field(default=b"", repr=False)
    unconfined: str = ""


def try_module(
    module: CapturedModule,
    model_dir: Path | None,
    *,
    python: str,
    limits: Limits,
    request: Request | None = None,
    serving: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    serverless: bool = False,
    repeats: int = 0,
    reporter: Reporter | None = None,
    entered: Callable[[str], None] | None = None,
) -> Trial:
    """Run load() and one predict() of `module` in a clean process of `python`.

    The process has nothing of the kernel's memory; the program folder is its working directory
    and first on its path.

    Args:
        model_dir: The artefact's folder; None for an empty one.
        request: The request; without one that of example_request(), if the module defines it.
        serving: The `serving` section as the server reads it.
        environment: Added to `context.model_environment()`.
        serverless: Whether the process is limited as a serverless container is: it writes below
            /tmp only, has no shared memory and no entry in passwd.
        repeats: How often to send the request again, to see whether responses repeat.
        reporter: Is given what the code prints.
        entered: Is told each stage as it begins: `import`, `load`, `example`, `predict`.

    Raises:
        CaptureError: What would fail where the model runs, with the cell's line.
        DeploymentCancelled: `reporter` says that the user wants to stop. Nothing is left of the
            process in any case.
    """
    stages = {
        "import": max(IMPORT_LIMIT_S, limits.load_s),
        "load": limits.load_s,
        "example": limits.predict_s,
        "predict": limits.predict_s,
    }
    with _workplace(module) as folder:
        if request is not None:
            (folder / "report.request").write_bytes(request.body)
        variables = {
            **(environment or {}),
            "SM_MODEL_DIR": str(model_dir or folder / "model"),
            "SAGETURNER_SERVING": json.dumps(serving or {}),
            "SAGETURNER_TRIAL_TYPE": request.content_type if request else "",
            "SAGETURNER_TRIAL_REPEATS": str(repeats),
        }
        said = _run(folder, python, "predict", variables, stages, reporter, entered, serverless)
    files = tuple(sorted(path.name for path in model_dir.iterdir())) if model_dir else ()
    scene = Scene(module, files, said.model_is_none, said.output)
    if said.failure is not None:
        raise explain(said.failure, scene)
    if not said.passed["asked"] and (error := forgotten_return(scene)):
        raise error
    return Trial(
        import_s=said.seconds["import"],
        load_s=said.seconds["load"],
        predict_s=said.seconds.get("predict"),
        memory=said.passed["memory"],
        asked=said.passed["asked"],
        body=base64.b64decode(said.passed["body"]),
        content_type=said.passed["content_type"],
        chunks=said.passed["chunks"],
        output=said.output,
        example=said.passed["example"],
        again=base64.b64decode(said.passed["again"]),
        unconfined=said.unconfined,
    )


def check_module(
    module: CapturedModule,
    python: str,
    reporter: Reporter | None = None,
    *,
    model_dir: Path | None = None,
    environment: Mapping[str, str] | None = None,
    limit_s: float = IMPORT_LIMIT_S,
) -> None:
    """Import `module` in a clean process of `python`, the interpreter that will serve.

    Args:
        model_dir: The artefact's folder; None for an empty one.
        environment: Added to `context.model_environment()`.

    Raises:
        CaptureError: The import failed or took longer than `limit_s` seconds.
        DeploymentCancelled: `reporter` says that the user wants to stop.
    """
    with _workplace(module) as folder:
        given = {"SM_MODEL_DIR": str(model_dir or folder / "model")}
        variables = {**(environment or {}), **given}
        said = _run(folder, python, "import", variables, {"import": limit_s}, reporter)
    if said.failure is not None:
        raise explain(said.failure, Scene(module, output=said.output))


@dataclass(frozen=True)
class _Said:
    """What a process reported, and how it ended."""

    seconds: Mapping[str, float]
    model_is_none: bool
    passed: Mapping[str, Any]
    failure: Failure | None
    output: tuple[str, ...]
    unconfined: str


@contextlib.contextmanager
def _workplace(module: CapturedModule) -> Iterator[Path]:
    """A folder with the module's files in `program`; what lies on disk is linked."""
    with scratch_folder() as temporary:
        folder = temporary.resolve()
        (folder / "model").mkdir()
        (folder / "tmp").mkdir()
        for file in module.files:
            target = folder / "program" / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(file.content, bytes):
                target.write_bytes(file.content)
            else:
                target.symlink_to(file.content.resolve())
        yield folder


def _run(
    folder: Path,
    python: str,
    last: str,
    variables: Mapping[str, str],
    limits: Mapping[str, float],
    reporter: Reporter | None,
    entered: Callable[[str], None] | None = None,
    serverless: bool = False,
) -> _Said:
    """Run the stages up to `last` in the workplace `folder`, each within its limit in seconds."""
    report = folder / "report"
    report.touch()
    output = folder / "output"
    watched, lifeline = os.pipe()
    kept = model_environment()
    if serverless:
        kept = {name: value for name, value in kept.items() if name not in _USERS_OWN}
        kept["TMPDIR"] = str(folder / "tmp")
    home = [variables.get("HOME", "/")] if serverless else []
    main = resources.files("sageturner_magic") / "server" / "__main__.py"
    try:
        with output.open("wb") as out:
            # A session of its own: the stop button signals the kernel's whole process group.
            process = subprocess.Popen(
                [python, str(main), "trial", str(report), str(watched), last, *home],
                cwd=folder / "program",
                env={
                    **kept,
                    **variables,
                    "SAGETURNER_PROGRAM_DIR": str(folder / "program"),
                    "PYTHONDONTWRITEBYTECODE": "1",
                    "PYTHONUNBUFFERED": "1",
                },
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                pass_fds=[watched],
                start_new_session=True,
            )
        try:
            late = _wait(process, report, output, limits, reporter, entered)
        finally:
            _end(process)
    finally:
        os.close(watched)
        os.close(lifeline)
    return _read(report, output, process.returncode, late, limits)


def _wait(
    process: subprocess.Popen[bytes],
    report: Path,
    output: Path,
    limits: Mapping[str, float],
    reporter: Reporter | None,
    entered: Callable[[str], None] | None,
) -> bool:
    """Wait for the end; whether a stage took longer than it may."""
    known, began, shown = 0, time.monotonic(), 0
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_POLL_S)
        stages = _stages(report)
        if len(stages) > known:
            began = time.monotonic()
        if entered is not None:
            for stage in stages[known:]:
                entered(stage)
        known = len(stages)
        if reporter is not None:
            shown = _pass_on(output, shown, reporter)
        if process.returncode is not None:
            return False
        if reporter is not None:
            reporter.checkpoint()
        limit = limits.get(stages[-1], IMPORT_LIMIT_S) if stages else IMPORT_LIMIT_S
        if time.monotonic() - began > limit:
            _ask_where(process, report.with_name("report.stack"))
            return True


def _pass_on(output: Path, shown: int, reporter: Reporter) -> int:
    """Report the lines of `output` after byte `shown` that are whole; how far that got."""
    with output.open("rb") as file:
        file.seek(shown)
        new = file.read()
    end = new.rfind(b"\n") + 1
    for line in new[:end].decode("utf-8", "replace").splitlines():
        reporter.log(line)
    return shown + end


def _lines(report: Path) -> list[dict[str, Any]]:
    # A line that is being written has no end yet.
    whole, _, _ = report.read_text(encoding="utf-8").rpartition("\n")
    return [json.loads(line) for line in whole.splitlines()]


def _stages(report: Path) -> list[str]:
    """The stages that have begun, the one that runs last."""
    return [line["begun"] for line in _lines(report) if "begun" in line]


def _ask_where(process: subprocess.Popen[bytes], stack: Path) -> None:
    """Let a process that hangs write down its stack."""
    process.send_signal(signal.SIGUSR1)
    deadline = time.monotonic() + _STACK_S
    while time.monotonic() < deadline and process.poll() is None:
        if stack.exists() and stack.stat().st_size:
            return
        time.sleep(_POLL_S)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process and all that it started."""
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in psutil.Process(process.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
    # What lost its parent still belongs to the same process group.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _read(report: Path, output: Path, code: int, late: bool, limits: Mapping[str, float]) -> _Said:
    lines = _lines(report)
    stage = next(reversed(_stages(report)), "")
    passed = next((line["passed"] for line in lines if "passed" in line), None)
    failed = next((line["failed"] for line in lines if "failed" in line), None)
    failure: Failure | None = None
    if late:
        failure = Stuck(stage, limits.get(stage, IMPORT_LIMIT_S), _stack(report))
    elif failed is not None:
        failure = Raised(stage, failed["type"], failed["message"], failed["name"], failed["frames"])
    elif passed is None:
        failure = Died(stage, code, _stack(report))
    text = output.read_text(encoding="utf-8", errors="replace")
    return _Said(
        seconds={line["ended"]: line["seconds"] for line in lines if "ended" in line},
        model_is_none=any("none" in line for line in lines),
        passed=passed or {},
        failure=failure,
        output=tuple(text.splitlines()[-_OUTPUT_LINES:]),
        unconfined=next((line["unconfined"] for line in lines if "unconfined" in line), ""),
    )


_STACK_LINE = re.compile(r'  File "(.+)", line (\d+) in (.+)')


def _stack(report: Path) -> list[tuple[str, int, str, str]]:
    """The user's frames of what faulthandler wrote, the innermost last."""
    stack = report.with_name("report.stack")
    program = str(report.with_name("program")) + os.sep
    text = stack.read_text(errors="replace") if stack.exists() else ""
    found = [match for line in text.splitlines() if (match := _STACK_LINE.fullmatch(line))]
    return [
        (match[1].removeprefix(program), int(match[2]), match[3], "")
        for match in reversed(found)
        if match[1].startswith(program)
    ]
