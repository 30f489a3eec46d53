"""What is written down of a local endpoint."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import psutil

from sageturner_magic.endpoints.children import find_process
from sageturner_magic.endpoints.local import recovery
from sageturner_magic.endpoints.server_log import CellLines

_KINDS: dict[str, type] = {"str": str, "int": int, "bool": bool}


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
        previous: Name of the folder that the version before was started on; empty where no
            earlier version is kept.
        damaged: `endpoint.json` could not be used; this was found elsewhere (`recovery.py`).
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
    previous: str = ""
    damaged: bool = False

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
        """The server's process, or None when it has ended.

        The wall clock may be set while it runs; then its control socket tells that it is the one.
        """
        return find_process(self.pid, self.started) or recovery.process_with(self.pid, self.control)

    @classmethod
    def read(cls, file: Path) -> LocalRecord | None:
        """The record in `file`, or None where there is none or where it cannot be used."""
        try:
            raw: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            raw["lines"] = {int(line): tuple(cell) for line, cell in raw["lines"].items()}
            known = {field.name: _KINDS.get(str(field.type)) for field in fields(cls)}
            given = {key: value for key, value in raw.items() if key in known}
            kinds = ((given[key], kind) for key, kind in known.items() if kind and key in given)
            return cls(**given) if all(isinstance(*pair) for pair in kinds) else None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
