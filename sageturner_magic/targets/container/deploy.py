"""Putting an image behind a local endpoint: the steps, and undoing them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from sageturner_magic.errors import EndpointError, SageturnerError
from sageturner_magic.targets import children
from sageturner_magic.targets.container import keeping, runner
from sageturner_magic.targets.container.runner import ContainerSpec
from sageturner_magic.targets.local import process, serving
from sageturner_magic.targets.local.deploy import pass_on, unique
from sageturner_magic.targets.local.state import LocalRecord, LocalState
from sageturner_magic.targets.local.target import TAIL_LINES, with_cells
from sageturner_magic.targets.model_dir import copy_artefact
from sageturner_magic.values import Artefact, CapturedModule, Reporter, UnpackedImage


@dataclass(frozen=True)
class ContainerEndpoint:
    """What to serve, and how.

    Attributes:
        image_tag: Names the image's content; part of the version.
        serving: The `serving` section as the model server reads it; None for an image with a
            server of its own, which gets no token either.
        environment: The user's own environment variables.
        serverless_mb: See `ContainerSpec`.
        tied: The endpoint ends with this process.
        startup_timeout_s: Seconds until the first good /ping.
    """

    name: str
    module: CapturedModule
    image_tag: str
    artefact: Artefact | None
    serving: Mapping[str, object] | None
    environment: Mapping[str, str]
    serverless_mb: int | None
    tied: bool
    startup_timeout_s: float

    def version(self) -> str:
        """12 hex digits over everything that decides how the endpoint behaves."""
        parts = [
            self.image_tag,
            self.artefact.digest if self.artefact else None,
            dict(self.serving) if self.serving is not None else None,
            dict(self.environment),
            self.serverless_mb,
        ]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


class ContainerDeployer:
    """One deployment of a local endpoint in a container; its methods are the steps.

    Use it within `session()`: that holds the endpoint's lock, and ends and removes what was
    started if a step fails or the user stops it. What answered before stays until `switch`.
    """

    def __init__(self, endpoint: ContainerEndpoint, state: LocalState) -> None:
        self.endpoint = endpoint
        self.state = state
        self.version = endpoint.version()
        self._home = str(state.folder(endpoint.name))
        self._folder: Path | None = None
        self._kept: keeping.Kept | None = None
        self._container = ""
        self._record: LocalRecord | None = None
        self._begin = time.monotonic()

    def running(self) -> LocalRecord | None:
        """The endpoint's record, when its container already runs this very version for us."""
        record = self.state.read(self.endpoint.name)
        if record is None or not record.image or record.version != self.version:
            return None
        if record.owner != (os.getpid() if self.endpoint.tied else 0):
            return None
        return record if serving.condition(record).status == "InService" else None

    @contextmanager
    def session(self) -> Iterator[None]:
        """Hold the endpoint's lock; undo on failure. Raises EndpointError if it is held."""
        with self.state.changing(self.endpoint.name):
            self._begin = time.monotonic()
            try:
                yield
            except BaseException:
                self._undo()
                raise

    def write(self, reporter: Reporter) -> str:
        """Lay out the model folder, and the code beside it to look at; says what."""
        endpoint = self.endpoint
        folder = self.state.prepare(endpoint.name) / "servers" / f"{self.version}-{unique()}"
        self._folder = folder
        (folder / "model").mkdir(parents=True)
        endpoint.module.write(folder / "program")
        if endpoint.artefact is None:
            return "no model files"
        copy_artefact(endpoint.artefact, folder / "model", reporter)
        return "1 file" if endpoint.artefact.files == 1 else f"{endpoint.artefact.files} files"

    def start(self, image: str, reporter: Reporter, unpacked: UnpackedImage | None = None) -> str:
        """Start the container of `image`, or run it `unpacked`; says what limits it."""
        assert self._folder is not None
        reporter.checkpoint()
        endpoint = self.endpoint
        before = self.state.read(endpoint.name)
        token, variables = "", dict(endpoint.environment)
        if endpoint.serving is not None:
            token = (before.token if before else "") or process.new_token()
            variables |= {
                "SAGETURNER_SERVING": json.dumps(endpoint.serving),
                "SAGETURNER_TOKEN": token,
                "SAGETURNER_LOG": "text",
            }
        spec = ContainerSpec(
            image=image,
            home=self._home,
            model=str(self._folder / "model"),
            environment=variables,
            serverless_mb=endpoint.serverless_mb,
            unpacked=unpacked,
        )
        log = self.state.folder(endpoint.name) / "logs" / f"{self._folder.name}.log"
        self._kept = keeping.keep(spec, log, tied=endpoint.tied)
        me = psutil.Process()
        self._record = LocalRecord(
            name=endpoint.name,
            version=self.version,
            pid=self._kept.pid,
            started=self._kept.started,
            owner=me.pid if endpoint.tied else 0,
            owner_started=me.create_time() if endpoint.tied else 0.0,
            port=0,
            token=token,
            control=self._kept.control,
            folder=str(self._folder),
            log=str(log),
            python="",
            created=time.time(),
            seconds=0.0,
            origin=endpoint.module.origin,
            lines={
                number: (place.cell, place.line) for number, place in endpoint.module.lines.items()
            },
            image=image,
            unpacked=unpacked is not None,
        )
        if endpoint.serverless_mb is None:
            return "unlimited, as on an instance"
        return f"{endpoint.serverless_mb} MB, as a serverless endpoint"

    def load(self, reporter: Reporter) -> str:
        """Wait for the first good /ping; says how long it took.

        Raises:
            EndpointError: The container did not start, ended, or took too long.
        """
        assert self._kept is not None and self._record is not None
        begin = time.monotonic()
        log, shown = self._kept.log, 0

        def watch() -> None:
            nonlocal shown
            shown = pass_on(log, shown, reporter)

        try:
            said = keeping.wait_ready(
                self._kept,
                reporter,
                timeout_s=self.endpoint.startup_timeout_s,
                timeout_remedy="make load() faster, or raise compute.local.startup_timeout_s",
                watch=watch,
            )
        except EndpointError as error:
            raise self._with_log(error) from None
        self._container = said.id
        self._record = replace(self._record, port=said.port)
        return f"ready after {time.monotonic() - begin:.1f} s, at 127.0.0.1:{said.port}"

    def switch(self, reporter: Reporter) -> LocalRecord:
        """Make the new container the endpoint's, and end what answered before."""
        assert self._record is not None
        before = self.state.read(self.endpoint.name)
        record = replace(self._record, seconds=time.monotonic() - self._begin)
        self.state.write(record)
        # From here on the new container is the endpoint: there is nothing left to undo.
        self._kept = self._folder = None
        if before:
            serving.end(before, self._home, keep=self._container)
            if before.engine_image and before.engine_image != record.engine_image:
                runner.remove_image(before.engine_image)
        self.state.tidy(record)
        return record

    def _undo(self) -> None:
        if self._kept:
            if keeper := children.find_process(self._kept.pid, self._kept.started):
                # Nobody was answered by it yet, so there is nothing to drain.
                keeping.cut(keeper)
            else:
                children.forget(self._kept.pid)
            keeping.forget(self._kept.control)
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
        folder = self.state.folder(self.endpoint.name)
        if self.state.read(self.endpoint.name) is None and not any(folder.glob("logs/*.log")):
            self.state.remove(self.endpoint.name)

    def _with_log(self, error: EndpointError) -> SageturnerError:
        assert self._kept is not None
        lines = {
            number: (place.cell, place.line) for number, place in self.endpoint.module.lines.items()
        }
        return with_tail(error, self._kept.log, lines)


def with_tail(
    error: EndpointError, log: Path, lines: dict[int, tuple[int, int]]
) -> SageturnerError:
    """`error` with the log's tail as its details, the notebook's cells in place of our file."""
    tail = deque(log.read_text(encoding="utf-8", errors="replace").splitlines(), TAIL_LINES)
    details = with_cells("\n".join(tail), lines)
    found = error.findings[0]
    return EndpointError.of([replace(found, details=details or found.details)])
