"""Keep the records of local endpoints in the user's state folder.

`<state folder>/endpoints/<name>/` holds `endpoint.json`, what the server was started on (program
and model) and the logs of the last servers. The folder is private (0700): the record has the token.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import platformdirs
import psutil
from filelock import FileLock, Timeout

from sageturner_magic.endpoints.children import find_process
from sageturner_magic.endpoints.server_log import CellLines
from sageturner_magic.errors import EndpointError

LOGS_KEPT = 5


@dataclass(frozen=True)
class LocalRecord:
    """A local endpoint as the process that deployed it wrote it down.

    Attributes:
        pid, started: The server's process (a container's: its keeper) and its creation time
            (seconds since the epoch), which together name a process for good.
        owner, owner_started: The same of the process whose end also ends the server; 0 when the
            endpoint was detached.
        control: Path of the server's control socket, or of the keeper's state file.
        folder: What the server was started on: `program` and `model` below it.
        seconds: How long the deployment took.
        created: When it was deployed, seconds since the epoch.
        origin: The cells or the directory that the code came from.
        lines: Line of sageturner.py -> (cell, line in it), for tracebacks.
        image: The image that runs, for an endpoint in a container; empty for a process.
        unpacked: That image runs without a Docker engine.
    """

    name: str
    version: str
    pid: int
    started: float
    owner: int
    owner_started: float
    port: int
    token: str
    control: str
    folder: str
    log: str
    python: str
    created: float
    seconds: float
    origin: str
    lines: CellLines
    image: str = ""
    unpacked: bool = False

    @property
    def engine_image(self) -> str:
        """The image on the Docker engine that goes with the endpoint, or empty."""
        return "" if self.unpacked else self.image

    @property
    def url(self) -> str:
        """Base address of the endpoint."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def detached(self) -> bool:
        return self.owner == 0

    def server(self) -> psutil.Process | None:
        """The server's process, or None when it has ended."""
        return find_process(self.pid, self.started)


class LocalState:
    """The records of all local endpoints of this user."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or Path(
            os.environ.get("SAGETURNER_STATE_DIR") or platformdirs.user_state_dir("sageturner")
        )

    def folder(self, name: str) -> Path:
        """Where everything of endpoint `name` lies."""
        return self.root / "endpoints" / name

    def names(self) -> list[str]:
        """All endpoints that are written down, sorted."""
        return sorted(path.parent.name for path in self.root.glob("endpoints/*/endpoint.json"))

    def read(self, name: str) -> LocalRecord | None:
        """The record of `name`, or None where there is none (or none that can be read)."""
        try:
            raw: dict[str, Any] = json.loads((self.folder(name) / "endpoint.json").read_text())
            raw["lines"] = {int(line): tuple(cell) for line, cell in raw["lines"].items()}
            known = {field.name for field in fields(LocalRecord)}
            return LocalRecord(**{key: value for key, value in raw.items() if key in known})
        except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
            return None

    def write(self, record: LocalRecord) -> None:
        """Replace the record of `record.name` in one step."""
        folder = self.folder(record.name)
        _write_private(folder / "endpoint.json", json.dumps(asdict(record)))

    def header_file(self, record: LocalRecord) -> str:
        """A file with the header of the endpoint's token, for `curl -H @FILE`; empty without one.

        Only the user may read it.
        """
        if not record.token:
            return ""
        file = self.folder(record.name) / "authorization"
        header = f"Authorization: token {record.token}\n"
        if not file.exists() or file.read_text() != header:
            _write_private(file, header)
        return str(file)

    def remove(self, name: str) -> None:
        """Forget `name` and delete its files, the logs too."""
        shutil.rmtree(self.folder(name), ignore_errors=True)

    def prepare(self, name: str) -> Path:
        """Make the private folder of `name` and return it."""
        folder = self.folder(name)
        folder.mkdir(parents=True, exist_ok=True)
        self.root.chmod(0o700)
        (folder / "logs").mkdir(exist_ok=True)
        return folder

    def tidy(self, record: LocalRecord) -> None:
        """Delete what earlier servers were started on, and all but the newest logs."""
        folder = self.folder(record.name)
        for path in (folder / "servers").glob("*"):
            if str(path) != record.folder:
                shutil.rmtree(path, ignore_errors=True)
        logs = sorted((folder / "logs").glob("*.log"), key=lambda path: path.stat().st_mtime)
        for path in logs[:-LOGS_KEPT]:
            if str(path) != record.log:
                path.unlink(missing_ok=True)

    @contextmanager
    def changing(self, name: str) -> Iterator[None]:
        """Hold the right to change endpoint `name`, across processes.

        Raises:
            EndpointError: Another process is deploying or deleting it.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        locks = self.root / "locks"
        locks.mkdir(exist_ok=True)
        try:
            with FileLock(locks / f"{name}.lock", timeout=0, thread_local=False):
                yield
        except Timeout:
            raise EndpointError(
                f"Endpoint `{name}` is being changed by another deployment",
                do="wait until it has ended, or stop it",
            ) from None


def _write_private(file: Path, text: str) -> None:
    """Replace `file` in one step; nobody else may read it at any time."""
    new = file.with_name(f"{file.name}.new")
    new.unlink(missing_ok=True)
    new.touch(mode=0o600, exist_ok=False)
    new.write_text(text)
    new.replace(file)
