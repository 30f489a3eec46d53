"""Putting a model behind a local endpoint: the steps, and undoing them."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
import socket
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from sageturner_magic.errors import EndpointError
from sageturner_magic.targets import children
from sageturner_magic.targets.container import runner
from sageturner_magic.targets.local import process, serving
from sageturner_magic.targets.local.state import LocalRecord, LocalState
from sageturner_magic.targets.local.target import POLL_SECONDS, TAIL_LINES, with_cells
from sageturner_magic.targets.model_dir import copy_artefact
from sageturner_magic.values import Artefact, CapturedModule, Reporter


@dataclass(frozen=True)
class LocalSpec:
    """What to serve, and how.

    Attributes:
        serving: The `serving` section as the server reads it.
        environment: The user's own environment variables.
        python: The interpreter that runs the code.
        tied: The endpoint ends with this process.
        startup_timeout_s: Seconds that load() may take.
    """

    name: str
    module: CapturedModule
    artefact: Artefact | None
    serving: Mapping[str, Any]
    environment: Mapping[str, str]
    python: str
    tied: bool
    startup_timeout_s: float

    def version(self) -> str:
        """12 hex digits over everything that decides how the endpoint behaves."""
        parts = [
            self.module.digest(),
            self.artefact.digest if self.artefact else None,
            dict(self.serving),
            dict(self.environment),
            self.python,
        ]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


class LocalDeployer:
    """One deployment of a local endpoint; its methods are the steps, in order.

    Use it within `session()`: that holds the endpoint's lock, and ends and removes what was
    started if a step fails or the user stops it. The server that answered before stays.
    """

    def __init__(self, spec: LocalSpec, state: LocalState) -> None:
        self.spec = spec
        self.state = state
        self.version = spec.version()
        self._folder: Path | None = None
        self._listener: socket.socket | None = None
        self._server: process.LocalServer | None = None
        self._record: LocalRecord | None = None
        self._begin = time.monotonic()

    def running(self) -> LocalRecord | None:
        """The endpoint's record, when its server already runs this very version for us."""
        record = self.state.read(self.spec.name)
        if record is None or record.version != self.version or record.server() is None:
            return None
        if record.image or record.owner != (os.getpid() if self.spec.tied else 0):
            return None
        answer = process.state_of(record.control)
        return record if answer and answer.state == "ready" else None

    @contextmanager
    def session(self) -> Iterator[None]:
        """Hold the endpoint's lock; undo on failure. Raises EndpointError if it is held."""
        with self.state.changing(self.spec.name):
            self._begin = time.monotonic()
            try:
                yield
            except BaseException:
                self._undo()
                raise
            finally:
                if self._listener:
                    self._listener.close()

    def write(self, reporter: Reporter) -> str:
        """Write the program and the model into a folder of their own; says what."""
        folder = self.state.prepare(self.spec.name) / "servers" / f"{self.version}-{unique()}"
        self._folder = folder
        (folder / "program").mkdir(parents=True)
        (folder / "model").mkdir()
        self.spec.module.write(folder / "program")
        if self.spec.artefact:
            copy_artefact(self.spec.artefact, folder / "model", reporter)
        beside = len(self.spec.module.files) - 1
        return "sageturner.py" + (f" and {beside} more" if beside else "")

    def start(self, reporter: Reporter) -> str:
        """Start the server; says where it listens."""
        assert self._folder is not None
        reporter.checkpoint()
        before = self.state.read(self.spec.name)
        inherited = process.ask(before.control) if before and before.server() else None
        self._listener = inherited[1] if inherited else process.bind()
        token = before.token if before and inherited else process.new_token()
        log = self.state.folder(self.spec.name) / "logs" / f"{self._folder.name}.log"
        self._server = process.start(
            python=self.spec.python,
            program=self._folder / "program",
            model=self._folder / "model",
            log=log,
            listener=self._listener,
            token=token,
            serving=self.spec.serving,
            environment=self.spec.environment,
            tied=self.spec.tied,
            replaces=inherited is not None,
        )
        me = psutil.Process()
        self._record = LocalRecord(
            name=self.spec.name,
            version=self.version,
            pid=self._server.pid,
            started=self._server.started,
            owner=me.pid if self.spec.tied else 0,
            owner_started=me.create_time() if self.spec.tied else 0.0,
            port=self._server.port,
            token=token,
            control=self._server.control,
            folder=str(self._folder),
            log=str(log),
            python=self.spec.python,
            created=time.time(),
            seconds=0.0,
            origin=self.spec.module.origin,
            lines={
                number: (place.cell, place.line) for number, place in self.spec.module.lines.items()
            },
        )
        return f"127.0.0.1:{self._server.port}"

    def load(self, reporter: Reporter) -> str:
        """Wait until the model is loaded and /ping says so; says how long load() took.

        Raises:
            EndpointError: load() failed, the server ended, or it took too long.
        """
        assert self._server is not None
        deadline = time.monotonic() + self.spec.startup_timeout_s
        shown = 0
        while True:
            reporter.checkpoint()
            shown = pass_on(self._server.log, shown, reporter)
            code = self._server.exit_code()
            state = process.state_of(self._server.control)
            if state and state.state == "ready":
                pass_on(self._server.log, shown, reporter)
                return f"load() took {state.load_seconds or 0:.1f} s{self._warm_up()}"
            if state and state.state == "failed":
                raise self._failure(state.error or {})
            if code is not None:
                pass_on(self._server.log, shown, reporter)
                raise EndpointError(
                    "The model server ended while it loaded the model",
                    why=_exit_reason(code),
                    do="look at the lines below, mend load() and deploy again",
                    details=self._tail(),
                )
            if time.monotonic() > deadline:
                raise EndpointError(
                    f"The model was not loaded within {self.spec.startup_timeout_s:g} s",
                    do="make load() faster, or raise compute.local.startup_timeout_s",
                    details=self._tail(),
                )
            time.sleep(POLL_SECONDS / 2)

    def switch(self, reporter: Reporter) -> LocalRecord:
        """Make the new server the endpoint's, and end the one before once it has drained."""
        assert self._record is not None

        before = self.state.read(self.spec.name)
        record = replace(self._record, seconds=time.monotonic() - self._begin)
        self.state.write(record)
        # From here on the new server is the endpoint: there is nothing left to undo.
        self._server = self._folder = None
        if before:
            serving.end(before, str(self.state.folder(record.name)))
            if before.engine_image:
                runner.remove_image(before.engine_image)
        self.state.tidy(record)
        return record

    def _undo(self) -> None:
        if self._server and (
            server := children.find_process(self._server.pid, self._server.started)
        ):
            # Nobody was answered by it yet, so there is nothing to drain.
            process.stop(server, self._server.control, grace_s=0.5)
        elif self._server:
            children.forget(self._server.pid)
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
        folder = self.state.folder(self.spec.name)
        if self.state.read(self.spec.name) is None and not any(folder.glob("logs/*.log")):
            self.state.remove(self.spec.name)

    def _failure(self, error: Mapping[str, Any]) -> EndpointError:
        lines = "\n".join(error.get("traceback") or ())
        said = str(error.get("message", "load() failed"))
        return EndpointError(
            said,
            do=self._missing_file(said) or "mend load() and deploy again",
            details=self._with_cells(lines) or self._tail(),
        )

    def _missing_file(self, said: str) -> str:
        """What to do where load() looked for a file that model_dir does not hold."""
        assert self._folder is not None
        model = self._folder / "model"
        missing = re.search(rf"FileNotFoundError: .*{re.escape(str(model))}/([^'\"\n]+)", said)
        if missing is None:
            return ""
        files = sorted(str(path.relative_to(model)) for path in model.rglob("*") if path.is_file())
        if not files:
            return (
                "model_dir is empty, because no `artefact:` is configured: name the file, as in"
                f" `artefact: {{{missing[1]}: VARIABLE}}`"
            )
        shown = ", ".join(f"`{name}`" for name in files[:10])
        return f"model_dir holds {shown}: let load() and `artefact:` use the same name"

    def _warm_up(self) -> str:
        """What the server says of an example request that failed; it serves all the same."""
        assert self._server is not None
        said = _WARM_UP.search(self._server.log.read_text(errors="replace"))
        return f", but {said[0]}" if said else ""

    def _tail(self) -> str:
        assert self._server is not None
        with self._server.log.open(encoding="utf-8", errors="replace") as file:
            return self._with_cells("".join(deque(file, TAIL_LINES)))

    def _with_cells(self, text: str) -> str:
        assert self._record is not None
        return with_cells(text, self._record.lines)


_WARM_UP = re.compile(r"(?:the warm-up request|example_request) failed: .*")
"""What the server logs when example_request(), or predict on it, raises."""


def unique() -> str:
    return secrets.token_hex(4)


def pass_on(log: Path, shown: int, reporter: Reporter) -> int:
    """Report the complete lines of `log` after byte `shown`; returns how far it got."""
    with log.open("rb") as file:
        file.seek(shown)
        new = file.read()
    end = new.rfind(b"\n") + 1
    for line in new[:end].splitlines():
        reporter.log(line.decode("utf-8", "replace"))
    return shown + end


def _exit_reason(code: int) -> str:
    if code < 0:
        return f"it was ended by signal {-code}" + (
            ", as the kernel does when memory runs out" if code == -9 else ""
        )
    return f"it exited with status {code}"
