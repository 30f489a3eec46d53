"""Keep the records of local endpoints in the user's state folder.

`<state folder>/endpoints/<name>/` holds `endpoint.json`, what the server was started on (program
and model, with a copy of the record), the same of the version before, and the logs of the last
servers. The folder is private (0700): the record has the token.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path

import platformdirs
import psutil
from filelock import FileLock, Timeout

from sageturner_magic.endpoints.local import recovery
from sageturner_magic.endpoints.local.record import LocalRecord
from sageturner_magic.errors import EndpointError

LOGS_KEPT = 5

SERVED = "served.json"
"""Beside a server's `program` and `model`: what else is needed to serve them again."""


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
        """All endpoints that are written down or whose server runs, sorted."""
        folders = self.root.glob("endpoints/*")
        written = {each.name for each in folders if any(_records(each))}
        homes = (home for _, home in recovery.servers())
        return sorted(written | {home.parents[1].name for home in homes if self._holds(home)})

    def _holds(self, home: Path) -> bool:
        """Whether `home` is the folder of a server below `folder` of some endpoint."""
        return home.parent.name == "servers" and home.parents[1:3] == (
            self.folder(home.parents[1].name),
            self.root / "endpoints",
        )

    def read(self, name: str) -> LocalRecord | None:
        """The record of `name`, or None where there is none.

        Where `endpoint.json` does not lead to a running server, its copies and the processes of
        this machine are looked at: a server that runs is always found.

        Raises:
            EndpointError: The folder can be changed by others.
        """
        folder = self.folder(name)
        if not any(_records(folder)):
            server = recovery.find(folder)
            return _recovered(name, folder, server, ()) if server else None
        _check_private(folder)
        main = folder / "endpoint.json"
        written = [(file, LocalRecord.read(file)) for file in _records(folder)]
        known = [(file, each) for file, each in written if each and _fits(each, name, folder)]
        for file, record in known:
            if record.server():
                return record if file == main else replace(record, damaged=True)
        intact = known[0][1] if known and known[0][0] == main else None
        server = recovery.find(Path(intact.folder) if intact else folder)
        if server is None:
            return intact or _remains(name, folder, [record for _, record in known])
        return _recovered(name, folder, server, [record for _, record in known])

    def write(self, record: LocalRecord) -> None:
        """Replace the record of `record.name` in one step."""
        folder = self.folder(record.name)
        text = json.dumps(asdict(record))
        copy = Path(record.folder)
        with self.writable():
            if copy.parent.parent == folder:
                write_private(copy / "endpoint.json", text)
            write_private(folder / "endpoint.json", text)

    def header_file(self, record: LocalRecord) -> str:
        """A file with the header of the endpoint's token, for `curl -H @FILE`; empty without one.

        Only the user may read it.
        """
        if not record.token:
            return ""
        file = self.folder(record.name) / "authorization"
        header = f"Authorization: token {record.token}\n"
        if not file.exists() or file.read_text() != header:
            self.prepare(record.name)
            write_private(file, header)
        return str(file)

    def remove(self, name: str) -> None:
        """Forget `name` and delete its files, the logs too."""
        shutil.rmtree(self.folder(name), ignore_errors=True)

    def prepare(self, name: str) -> Path:
        """Make the private folder of `name` and return it."""
        folder = self.folder(name)
        with self.writable():
            folder.mkdir(parents=True, exist_ok=True)
            self.root.chmod(0o700)
            (folder / "logs").mkdir(exist_ok=True)
        return folder

    @contextmanager
    def writable(self) -> Iterator[None]:
        """Tell what keeps the state folder from being written. Raises EndpointError."""
        try:
            yield
        except Timeout:
            raise  # Of a lock, and an OSError too: nothing is wrong with the folder.
        except OSError as error:
            raise EndpointError(
                "The folder of local endpoints cannot be written",
                why=os.strerror(error.errno) if error.errno else str(error),
                where=error.filename or str(self.root),
                do="make room or give yourself the right to write there, or choose another folder: "
                "set the environment variable `SAGETURNER_STATE_DIR` before the kernel or the "
                "command starts, for example `export SAGETURNER_STATE_DIR=/tmp/sageturner-$USER`",
                code="ST89",
            ) from None

    def previous(self, record: LocalRecord) -> Path | None:
        """What the version before that of `record` was started on, if it is kept."""
        # A name, not a path: the record leads to no other folder.
        name = Path(record.previous).name
        folder = self.folder(record.name) / "servers" / name
        return folder if name and (folder / SERVED).is_file() else None

    def engine_images(self, record: LocalRecord) -> set[str]:
        """The images on the Docker engine of the version of `record` and of the one before."""
        found = {record.engine_image}
        if folder := self.previous(record):
            with suppress(OSError, ValueError, AttributeError):
                said = json.loads((folder / SERVED).read_text(encoding="utf-8"))
                if not said.get("unpacked"):
                    found.add(str(said.get("image", "")))
        return found - {""}

    def tidy(self, record: LocalRecord) -> None:
        """Delete what earlier servers were started on, and all but the newest logs.

        The version before stays without its record: its server has ended.
        """
        folder, kept = self.folder(record.name), self.previous(record)
        for path in (folder / "servers").glob("*"):
            if path == kept:
                (path / "endpoint.json").unlink(missing_ok=True)
            elif str(path) != record.folder:
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
        locks = self.root / "locks"
        lock = FileLock(locks / f"{name}.lock", timeout=0, thread_local=False)
        try:
            with self.writable():
                self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
                locks.mkdir(exist_ok=True)
                lock.acquire()
            try:
                yield
            finally:
                lock.release()
        except Timeout:
            raise EndpointError(
                f"Endpoint `{name}` is being changed by another deployment",
                do="wait until it has ended, or stop it",
                code="ST84",
            ) from None


def write_private(file: Path, text: str) -> None:
    """Replace `file` in one step; nobody else may read it at any time."""
    new = file.with_name(f"{file.name}.new")
    new.unlink(missing_ok=True)
    new.touch(mode=0o600, exist_ok=False)
    new.write_text(text)
    new.replace(file)


def _records(folder: Path) -> Iterator[Path]:
    """The record in an endpoint's folder, and its copies, the newest first."""
    copies = sorted(folder.glob("servers/*/endpoint.json"), key=_age)
    return (file for file in (folder / "endpoint.json", *copies) if os.path.lexists(file))


def _age(file: Path) -> float:
    try:
        return -file.lstat().st_mtime
    except FileNotFoundError:
        return 0.0  # Another process has just removed it.


def _fits(record: LocalRecord, name: str, folder: Path) -> bool:
    return record.name == name and Path(record.folder).parent.parent == folder


def _recovered(
    name: str, folder: Path, server: psutil.Process, known: Sequence[LocalRecord]
) -> LocalRecord:
    """The record of a server that runs, although what is written down does not lead to it."""
    home = recovery.home_of(server, folder)
    same = [record for record in known if record.folder == str(home)]
    base = same[0] if same else _remains(name, folder, (), home)
    return replace(base, **vars(recovery.facts(server)), damaged=True)


def _remains(
    name: str, folder: Path, known: Sequence[LocalRecord], home: Path | None = None
) -> LocalRecord:
    """What is known of an endpoint whose record cannot be used, apart from its server."""
    if known:
        return replace(known[0], damaged=True)
    home = home or folder / "servers" / "unknown"
    return LocalRecord(
        name=name, version=home.name.partition("-")[0], pid=0, started=0.0, owner=0,
        owner_started=0.0, port=0, token="", control="", folder=str(home),
        log=str(folder / "logs" / f"{home.name}.log"), python="", created=0.0, seconds=0.0,
        origin="", lines={}, damaged=True,
    )  # fmt: skip


def _check_private(folder: Path) -> None:
    """Raise EndpointError where another user could have written the records in `folder`."""
    for each in (folder, folder.parent, folder.parent.parent):
        status = each.stat()
        if status.st_uid != os.getuid() or status.st_mode & 0o022:
            raise EndpointError(
                "The records of local endpoints are not trusted",
                where=str(each),
                why="other users of this machine can change this folder",
                do=f"run `chmod go-w {each}` if you own it, or set the environment variable "
                "`SAGETURNER_STATE_DIR` to a folder of your own",
                code="ST89",
            )
