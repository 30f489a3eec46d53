"""Switch a local endpoint to a new server: what processes and containers share.

`deploy.py` here and `container/deploy.py` add how the server starts and when it is ready. Knows
nothing of plans.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Generic, TypeVar

import psutil

from sageturner_magic.endpoints import container
from sageturner_magic.endpoints.container import Kept
from sageturner_magic.endpoints.local import serving
from sageturner_magic.endpoints.local.record import LocalRecord
from sageturner_magic.endpoints.local.server_process import LocalServer
from sageturner_magic.endpoints.local.state import SERVED, LocalState
from sageturner_magic.endpoints.model_dir import copy_artefact
from sageturner_magic.values import Artefact, CapturedModule, Reporter


@dataclass(frozen=True, kw_only=True)
class Served(ABC):
    """What a local endpoint serves, and how.

    Attributes:
        environment: The user's own environment variables.
        secrets: Values of `secrets:`; they are written nowhere.
        tied: The endpoint ends with this process.
        startup_timeout_s: Seconds until the server has to be ready.
    """

    name: str
    module: CapturedModule
    artefact: Artefact | None
    environment: Mapping[str, str]
    tied: bool
    startup_timeout_s: float
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)

    @abstractmethod
    def parts(self) -> Sequence[object]:
        """Everything that decides how the endpoint behaves, as JSON can hold it."""

    @abstractmethod
    def own(self) -> Mapping[str, object]:
        """What only this kind of server needs to serve again, as JSON can hold it."""

    def text(self, **more: object) -> str:
        """What is needed beside the files to serve this again, as JSON; `earlier.py` reads it.

        Args:
            more: What is known only once the server starts.
        """
        artefact = self.artefact
        return json.dumps(
            {
                "origin": self.module.origin,
                "files": [file.path for file in self.module.files],
                "lines": self.module.lines,
                "artefact": artefact
                and {"digest": artefact.digest, "size": artefact.size, "files": artefact.files},
                "environment": dict(self.environment),
                "startup_timeout_s": self.startup_timeout_s,
                "secrets": sorted(self.secrets),
                **self.own(),
                **more,
            }
        )

    def version(self) -> str:
        """12 hex digits of the digest over `parts`."""
        # Values are left out: a digest of a short one could be guessed.
        parts = [*self.parts(), *([sorted(self.secrets)] if self.secrets else [])]
        text = json.dumps(parts, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


What = TypeVar("What", bound=Served)


class LocalDeployer(ABC, Generic[What]):
    """One deployment of a local endpoint; its methods are the steps, in order.

    Use it within `lock()`, which ends and removes what the steps started if one of them fails or
    the user stops it. The server before stays until `switch`.
    """

    def __init__(self, served: What, state: LocalState) -> None:
        self.served = served
        self.version = served.version()
        self._state = state
        self._begin = time.monotonic()
        self._undo = ExitStack()
        self._folder: Path | None = None
        self._record: LocalRecord | None = None
        self._locked = False
        self._before: LocalRecord | None = None
        self._container = ""
        """Id of the container that stays when the endpoint's others are removed."""

    def before(self) -> LocalRecord | None:
        """The endpoint's record so far; within `lock()` as it was at its beginning."""
        return self._before if self._locked else self._state.read(self.served.name)

    def running(self) -> LocalRecord | None:
        """The endpoint's record, if its server already runs this very version for us."""
        record = self.before()
        if record is None or record.damaged or record.version != self.version:
            return None
        if record.owner != (os.getpid() if self.served.tied else 0):
            return None
        return record if serving.condition(record).status == "InService" else None

    def replaced(self) -> LocalRecord | None:
        """The record of the version that this deployment replaces and that stays for a rollback.

        None where there is none.
        """
        before = self.before()
        if before is None or before.version == self.version:
            return None
        return before if Path(before.folder, SERVED).is_file() else None

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the endpoint's lock; undo on failure. Raises EndpointError if it is held."""
        with self._state.changing(self.served.name), self._undo:
            self._begin = time.monotonic()
            self._before, self._locked = self.before(), True
            self._undo.callback(self._forget_if_new)
            yield

    def write(self, reporter: Reporter) -> str:
        """Write the code and the model into a new folder and return what it wrote, in words."""
        servers = self._state.prepare(self.served.name) / "servers"
        self._folder = folder = servers / f"{self.version}-{secrets.token_hex(4)}"
        self._undo.callback(shutil.rmtree, folder, ignore_errors=True)
        with self._state.writable():
            (folder / "model").mkdir(parents=True)
            self.served.module.write(folder / "program")
            if self.served.artefact:
                copy_artefact(self.served.artefact, folder / "model", reporter)
        return self._written()

    @abstractmethod
    def _written(self) -> str:
        """What `write` wrote, in a few words."""

    @abstractmethod
    def load(self, reporter: Reporter) -> str:
        """Wait until the server is ready and return how long it took. Raises EndpointError."""

    def switch(self, reporter: Reporter) -> LocalRecord:
        """Make the new server the endpoint's, and end the one before once it has drained."""
        assert self._record is not None
        before = self.before()
        images = self._state.engine_images(before) if before else set()
        record = replace(self._record, seconds=time.monotonic() - self._begin)
        self._state.write(record)
        # From here on the new server is the endpoint: there is nothing left to undo.
        self._undo.pop_all()
        if before:
            serving.end(before, self._home, keep=self._container)
            for image in images - self._state.engine_images(record):
                container.remove_image(image)
        self._state.tidy(record)
        return record

    @property
    def _home(self) -> str:
        """Label of the endpoint's containers."""
        return str(self._state.folder(self.served.name))

    @property
    def _log(self) -> Path:
        assert self._folder is not None
        return self._state.folder(self.served.name) / "logs" / f"{self._folder.name}.log"

    def _record_of(
        self,
        server: LocalServer | Kept,
        *,
        port: int,
        token: str,
        python: str = "",
        image: str = "",
        unpacked: bool = False,
    ) -> LocalRecord:
        me = psutil.Process()
        return LocalRecord(
            name=self.served.name,
            version=self.version,
            pid=server.pid,
            started=server.started,
            owner=me.pid if self.served.tied else 0,
            owner_started=me.create_time() if self.served.tied else 0.0,
            port=port,
            token=token,
            control=server.control,
            folder=str(self._folder),
            log=str(server.log),
            python=python,
            created=time.time(),
            seconds=0.0,
            origin=self.served.module.origin,
            lines=self.served.module.lines,
            image=image,
            unpacked=unpacked,
            previous=self._previous(),
        )

    def _previous(self) -> str:
        before, replaced = self.before(), self.replaced()
        if before and before.version == self.version:
            return before.previous
        return Path(replaced.folder).name if replaced else ""

    def _forget_if_new(self) -> None:
        """Remove the endpoint's folder if there is neither an endpoint nor a log to read."""
        folder = self._state.folder(self.served.name)
        if self.before() is None and not any(folder.glob("logs/*.log")):
            self._state.remove(self.served.name)
