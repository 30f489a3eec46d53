"""Start a server process behind a local endpoint; undo it if it fails."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sageturner_magic.config import given_to_server
from sageturner_magic.endpoints import children
from sageturner_magic.endpoints.local import server_process
from sageturner_magic.endpoints.local.deployer import LocalDeployer, Served
from sageturner_magic.endpoints.local.state import SERVED, write_private
from sageturner_magic.endpoints.server_log import POLL_SECONDS, pass_on, tail, with_cells
from sageturner_magic.errors import EndpointError
from sageturner_magic.text import brief
from sageturner_magic.values import Reporter


@dataclass(frozen=True, kw_only=True)
class ServedByProcess(Served):
    """What a process serves.

    Attributes:
        serving: The `serving` section as the server reads it.
        python: The interpreter that runs the code.
    """

    serving: Mapping[str, Any]
    python: str

    def parts(self) -> Sequence[object]:
        return (
            self.module.digest(),
            self.artefact.digest if self.artefact else None,
            dict(self.serving),
            dict(self.environment),
            self.python,
        )

    def own(self) -> Mapping[str, object]:
        return {"serving": dict(self.serving), "python": self.python}


class ProcessDeployer(LocalDeployer[ServedByProcess]):
    """One deployment of a local endpoint whose server is a process of this machine."""

    warmed: Mapping[str, Any] | None = None
    """As `ServerState.warmed`, once `load` has returned."""
    _server: server_process.LocalServer | None = None

    def write(self, reporter: Reporter) -> str:
        written = super().write(reporter)
        assert self._folder is not None
        with self._state.writable():
            write_private(self._folder / SERVED, self.served.text())
        return written

    def _written(self) -> str:
        beside = len(self.served.module.files) - 1
        return "sageturner.py" + (f" and {beside} more" if beside else "")

    def start(self, reporter: Reporter) -> str:
        """Start the server and return its address."""
        assert self._folder is not None
        reporter.checkpoint()
        before = self.before()
        inherited = server_process.ask(before.control) if before and before.server() else None
        token = before.token if before and inherited else server_process.new_token()
        # The server has its own copy of the socket once it is started.
        with inherited[1] if inherited else server_process.bind() as listener:
            self._server = server_process.start(
                python=self.served.python,
                program=self._folder / "program",
                model=self._folder / "model",
                log=self._log,
                listener=listener,
                token=token,
                serving=self.served.serving,
                environment={
                    **self.served.environment,
                    **given_to_server(self.served.secrets),
                },
                tied=self.served.tied,
                replaces=inherited is not None,
            )
        self._undo.callback(self._stop, self._server)
        self._record = self._record_of(
            self._server, port=self._server.port, token=token, python=self.served.python
        )
        return f"127.0.0.1:{self._server.port}"

    def load(self, reporter: Reporter) -> str:
        """Wait until the server is ready and return how long imports and load() took, in words.

        Raises:
            EndpointError: load() failed, the server ended, or it took too long.
        """
        assert self._server is not None
        deadline = time.monotonic() + self.served.startup_timeout_s
        shown = 0
        while True:
            reporter.checkpoint()
            shown = pass_on(self._server.log, shown, reporter)
            code = self._server.exit_code()
            state = server_process.state_of(self._server.control)
            if state and state.state == "ready":
                self.warmed = state.warmed
                pass_on(self._server.log, shown, reporter)
                imports = state.import_seconds or 0.0
                load = (state.load_seconds or 0.0) - imports
                return f"imports {brief(imports)}, load() {brief(load)}{self._warm_up()}"
            if state and state.state == "failed":
                raise self._failure(state.error or {})
            if code is not None:
                pass_on(self._server.log, shown, reporter)
                raise EndpointError(
                    "The model server ended while it loaded the model",
                    why=_exit_reason(code),
                    do="look at the lines below, fix load() and deploy again",
                    details=self._tail(),
                    code="ST86",
                )
            if time.monotonic() > deadline:
                raise EndpointError(
                    f"The model was not loaded within {self.served.startup_timeout_s:g} s",
                    do="make load() faster, or raise compute.local.startup_timeout_s",
                    details=self._tail(),
                    code="ST86",
                )
            time.sleep(POLL_SECONDS / 2)

    def _stop(self, started: server_process.LocalServer) -> None:
        if server := children.find_process(started.pid, started.started):
            # It has no requests yet, so there is nothing to drain.
            server_process.stop(server, started.control, grace_s=0.5)
        else:
            children.forget(started.pid)

    def _failure(self, error: Mapping[str, Any]) -> EndpointError:
        lines = "\n".join(error.get("traceback") or ())
        said = str(error.get("message", "load() failed"))
        return EndpointError(
            said,
            do=self._missing_file(said) or "fix load() and deploy again",
            details=with_cells(lines, self.served.module.lines) or self._tail(),
            code="ST86",
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
        return tail(self._log, self.served.module.lines)


_WARM_UP = re.compile(r"(?:the warm-up request|example_request) failed: .*")
"""What the server logs when example_request(), or predict on it, raises."""


def _exit_reason(code: int) -> str:
    if code < 0:
        return f"it was ended by signal {-code}" + (
            ", as the kernel does when memory runs out" if code == -9 else ""
        )
    return f"it exited with status {code}"
