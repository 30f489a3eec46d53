"""Find the server of a local endpoint among the processes of this machine.

A record can be lost or damaged while its server runs. The server's environment says what it is:
only its user and the system can have written that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from sageturner_magic.constants import KEEPER
from sageturner_magic.endpoints import container


@dataclass(frozen=True)
class Facts:
    """What a running server says about itself; the attributes are those of a record."""

    pid: int
    started: float
    port: int
    token: str
    control: str
    python: str
    image: str = ""
    unpacked: bool = False


NOTHING = Facts(0, 0.0, 0, "", "", "")
"""Of a server that has ended."""


def process_with(pid: int, control: str) -> psutil.Process | None:
    """The process `pid`, if it is the server with that control socket or state file."""
    if pid <= 0 or not control:
        return None
    try:
        process = psutil.Process(pid)
        return process if _environment(process).get("SAGETURNER_CONTROL") == control else None
    except psutil.NoSuchProcess:
        return None


def find(folder: Path) -> psutil.Process | None:
    """The server that was started on files below `folder`, or the keeper of its container."""
    for process, home in servers():
        if folder in (home, *home.parents):
            return process
    return None


def servers() -> Iterator[tuple[psutil.Process, Path]]:
    """The servers and keepers of this user on this machine, with the folder of each."""
    for process in psutil.process_iter():
        if not _serves(process):
            continue
        environment = _environment(process)
        if "SAGETURNER_CONTROL" in environment and (home := _home(environment)):
            yield process, home


def home_of(process: psutil.Process, folder: Path) -> Path:
    """The folder that a server was started on; `folder` is its endpoint's."""
    return _home(_environment(process)) or folder / "servers" / "unknown"


def facts(process: psutil.Process) -> Facts:
    """What `process`, a server or a keeper, says about itself."""
    environment = _environment(process)
    control = environment.get("SAGETURNER_CONTROL", "")
    pid, started = process.pid, process.create_time()
    kept = container.read_state(control)
    if kept is None:
        token = environment.get("SAGETURNER_TOKEN", "")
        return Facts(pid, started, _port(process), token, control, process.exe())
    image, unpacked, token = container.read_spec(control)
    return Facts(pid, started, kept.port, token, control, "", image, unpacked)


def _home(environment: Mapping[str, str]) -> Path | None:
    program = environment.get("SAGETURNER_PROGRAM_DIR")
    folder = environment.get("SAGETURNER_SERVER_DIR") or (program and str(Path(program).parent))
    return Path(folder) if folder else None


def _serves(process: psutil.Process) -> bool:
    # Its workers have the same environment.
    try:
        return process.cmdline()[-1:] in (["serve"], [KEEPER])
    except psutil.Error:
        return False


def _port(process: psutil.Process) -> int:
    try:
        return next(each.laddr.port for each in process.net_connections("tcp") if not each.raddr)
    except (psutil.Error, StopIteration):
        return 0


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return {}
        return process.environ()
    except (psutil.Error, OSError):
        return {}
