"""Start and end server processes, tied to this process's life where asked."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from sageturner_magic.errors import EndpointError

NOTEBOOK_ONLY = ("JPY_PARENT_PID", "JPY_SESSION_NAME", "MPLBACKEND", "SAGETURNER_LISTEN_FD")
"""Environment variables of a kernel that mean nothing, or harm, in a process of its own."""

LIFELINE = "SAGETURNER_LIFELINE_FD"
"""Names the read end of a pipe to a tied child."""

_children: dict[int, subprocess.Popen[bytes]] = {}
_lifelines: dict[int, int] = {}
"""Children of this process, and the write ends of their lifelines. A lifeline stays open as long
as this process lives: the child ends when the pipe does, also after kill -9."""


@dataclass(frozen=True)
class Child:
    """A process by its number and creation time, which together name it for good."""

    pid: int
    started: float


def spawn(
    command: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    inherits: Mapping[str, str] | None = None,
    log: Path,
    inherited: Sequence[int] = (),
    tied: bool,
) -> Child:
    """Start `command` in `folder`; what it prints is added to `log`.

    Args:
        environment: Added to what the child inherits.
        inherits: The variables that it inherits; by default this process's own.
        inherited: File descriptors that the child gets.
        tied: The child is given a lifeline, and has to end when that does.

    Raises:
        EndpointError: The program cannot be started.
    """
    lifeline: tuple[int, int] | None = os.pipe() if tied else None
    inherits = os.environ if inherits is None else inherits
    kept = {key: value for key, value in inherits.items() if key not in NOTEBOOK_ONLY}
    variables = {**kept, **environment}
    descriptors = list(inherited)
    if lifeline:
        variables[LIFELINE] = str(lifeline[0])
        descriptors.append(lifeline[0])
    try:
        with log.open("ab") as output:
            # A session of its own: the stop button signals the kernel's whole process group.
            child = subprocess.Popen(
                list(command),
                cwd=folder,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=descriptors,
                start_new_session=True,
            )
    except OSError as error:
        if lifeline:
            os.close(lifeline[1])
        raise EndpointError(
            "The model server could not be started", why=str(error), where=command[0], code="ST86"
        ) from None
    finally:
        if lifeline:
            os.close(lifeline[0])
    _children[child.pid] = child
    if lifeline:
        _lifelines[child.pid] = lifeline[1]
    try:
        started = psutil.Process(child.pid).create_time()
    except psutil.NoSuchProcess:
        started = time.time()
    return Child(child.pid, started)


def find_process(pid: int, started: float) -> psutil.Process | None:
    """The process with that number and creation time, unless it has ended."""
    try:
        process = psutil.Process(pid)
        # The creation time is counted in clock ticks, and boot time may be adjusted by a little.
        if abs(process.create_time() - started) > 2:
            return None
        return None if process.status() == psutil.STATUS_ZOMBIE else process
    except (psutil.NoSuchProcess, ValueError):
        return None


def exit_code(pid: int) -> int | None:
    """The exit status of a child (negative for a signal), or None while it runs."""
    return _children[pid].poll()


def end(process: psutil.Process, grace_s: float, first: int = signal.SIGTERM) -> None:
    """The signal `first`, and after `grace_s` SIGKILL for it and what it has started.

    It need not be a child of this process. Ending one that has ended is fine.
    """
    with suppress(psutil.NoSuchProcess):
        family = [process, *process.children(recursive=True)]
        process.send_signal(first)
        _wait(process, grace_s)
        for member in family:
            with suppress(psutil.NoSuchProcess):
                member.kill()
        _wait(process, 5.0)
    forget(process.pid)


def _wait(process: psutil.Process, timeout_s: float) -> None:
    child = _children.get(process.pid)
    if child:
        with suppress(subprocess.TimeoutExpired):
            child.wait(timeout_s)
        return
    # Somebody else's child stays a zombie until its parent looks: that has ended, too.
    deadline = time.monotonic() + timeout_s
    with suppress(psutil.NoSuchProcess):
        while process.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
            time.sleep(0.05)


def forget(pid: int) -> None:
    """Let go of a child that has ended."""
    _children.pop(pid, None)
    lifeline = _lifelines.pop(pid, None)
    if lifeline is not None:
        os.close(lifeline)
