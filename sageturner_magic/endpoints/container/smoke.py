"""Check that an image keeps SageMaker's container contract before it is pushed."""

from __future__ import annotations

import json
import symtable
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

import urllib3

from sageturner_magic.endpoints import children
from sageturner_magic.endpoints.container import kept as keepers
from sageturner_magic.endpoints.container.runner import STOP_SECONDS, ContainerSpec
from sageturner_magic.endpoints.model_dir import as_unpacked
from sageturner_magic.endpoints.payload import EXAMPLE_PATH, read_example
from sageturner_magic.endpoints.server_log import POLL_SECONDS, pass_on, with_tail
from sageturner_magic.errors import EndpointError, Finding
from sageturner_magic.scratch import scratch_folder
from sageturner_magic.values import CapturedModule, Reporter, Request

STARTUP_SECONDS = 480.0
"""Until the first good /ping of an instance; a serverless endpoint has 180."""

INVOCATION_SECONDS = 60.0
"""Within this /invocations has to answer."""

_WARM_UP = "the warm-up request failed: "
"""What the generated image's server logs when example_request(), or predict on it, raises."""


@dataclass(frozen=True)
class SmokeReport:
    """What came of a test that an image has passed.

    Attributes:
        ready_s: Seconds from its start to the first good /ping.
        answer: The answer to the example, None where there was no example.
        answer_s: Seconds that it took.
        stop_s: Seconds from SIGTERM to its end.
        findings: Warnings: what SageMaker forgives, at a price.
    """

    ready_s: float
    answer: bytes | None
    answer_s: float
    stop_s: float
    findings: tuple[Finding, ...] = ()


def smoke_test(
    spec: ContainerSpec,
    reporter: Reporter,
    *,
    module: CapturedModule | None = None,
    example: Request | None = None,
    startup_timeout_s: float = STARTUP_SECONDS,
    grace_s: float = STOP_SECONDS,
) -> SmokeReport:
    """Run `spec` as SageMaker does: start, /ping, one prediction, SIGTERM.

    Args:
        spec: What is tested; `home` may be anything.
        module: The code of a generated image. Its example_request() is the example, which the
            server in the image gives out, and its cells stand in what is reported.
        example: A request for an image of the user's own; without one only /ping is asked.
        startup_timeout_s: Seconds until the first good /ping.
        grace_s: Seconds between SIGTERM and SIGKILL.

    Returns:
        What was measured, and warnings.

    Raises:
        EndpointError: What SageMaker would fail on, with the container's log.
        DeploymentCancelled: `reporter` says so. Nothing is left of the container in either case.
    """
    with scratch_folder() as folder:
        if spec.model:
            spec = replace(spec, model=str(as_unpacked(Path(spec.model), folder / "model")))
        return _Test(spec, reporter, module, folder / "log", grace_s).run(
            example, startup_timeout_s
        )


class _Test:
    def __init__(
        self,
        spec: ContainerSpec,
        reporter: Reporter,
        module: CapturedModule | None,
        log: Path,
        grace_s: float,
    ) -> None:
        self._spec = spec
        self._reporter = reporter
        self._module = module
        self._log = log
        self._grace_s = grace_s
        self._shown = 0
        self._findings: list[Finding] = []

    def run(self, example: Request | None, startup_timeout_s: float) -> SmokeReport:
        if self._module is not None:
            # For its log lines to read as text; SageMaker's default is JSON.
            variables = {"SAGETURNER_LOG": "text", **self._spec.environment}
            self._spec = replace(self._spec, environment=variables)
        kept = keepers.keep(self._spec, self._log, tied=True, grace_s=self._grace_s)
        try:
            begin = time.monotonic()
            port = keepers.wait_ready(
                kept,
                self._reporter,
                timeout_s=startup_timeout_s,
                timeout_remedy="make load() faster, or raise startup_timeout_s",
                watch=self._watch,
            ).port
            ready_s = time.monotonic() - begin
            if example is None and self._module is not None:
                example = self._example(port, self._module)
            answer, answer_s = None, 0.0
            if example is not None:
                begin = time.monotonic()
                answer = self._invoke(port, example)
                answer_s = time.monotonic() - begin
            stop_s = self._stop(kept)
        except EndpointError as error:
            raise self._told(error) from None
        finally:
            self._clear(kept)
            self._watch()
        return SmokeReport(ready_s, answer, answer_s, stop_s, tuple(self._findings))

    def _watch(self) -> None:
        self._shown = pass_on(self._log, self._shown, self._reporter)

    def _example(self, port: int, module: CapturedModule) -> Request | None:
        """The module's example request, as its server gives it out. Raises EndpointError."""
        if not defines_example(module):
            return None
        _, page = self._ask(port, "GET", EXAMPLE_PATH)
        example = read_example(page)
        _, failed, said = self._log.read_text(errors="replace").partition(_WARM_UP)
        if failed and example is None:
            raise EndpointError(
                f"The example request fails: {said.splitlines()[0]}",
                where=module.origin,
                why="example_request() raises, or predict does on what it returns",
                do="fix the function that the lines below name",
                code="ST88",
            )
        return None if example is None else Request(json.dumps(example).encode())

    def _invoke(self, port: int, example: Request) -> bytes:
        """Send the example, and watch /ping meanwhile. Raises EndpointError."""
        outcome: list[tuple[int, bytes] | EndpointError] = []

        def work() -> None:
            try:
                headers = {"Content-Type": example.content_type}
                outcome.append(self._ask(port, "POST", "/invocations", example.body, headers))
            except EndpointError as error:
                outcome.append(error)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        late = 0
        while thread.is_alive():
            self._reporter.checkpoint()
            self._watch()
            late += keepers.ping(port) is None and thread.is_alive()
            thread.join(POLL_SECONDS)
        if isinstance(outcome[0], EndpointError):
            raise outcome[0]
        status, body = outcome[0]
        if late:
            self._findings.append(
                Finding(
                    "/ping is not answered within 2 s while a prediction runs",
                    why="SageMaker treats such a container as dead and replaces it",
                    do="answer /ping from a thread or process of its own",
                    where=self._spec.image,
                    severity="warning",
                    code="ST88",
                )
            )
        if status >= 400:
            raise EndpointError(
                f"The example request is answered with {status}",
                where="POST /invocations",
                why=_message(body),
                do="fix predict, or the example" if status < 500 else "fix predict",
                code="ST88",
            )
        return body

    def _ask(
        self,
        port: int,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, bytes]:
        try:
            with urllib3.HTTPConnectionPool("127.0.0.1", port, timeout=INVOCATION_SECONDS) as pool:
                answer = pool.request(method, path, body=body, headers=headers, retries=False)
                return answer.status, answer.data
        except urllib3.exceptions.ReadTimeoutError:
            raise EndpointError(
                f"The container did not answer {method} {path} within {INVOCATION_SECONDS:g} s",
                why="SageMaker waits no longer",
                do="make predict faster, or stream its answer",
                code="ST88",
            ) from None
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise EndpointError(
                f"The container broke off on {method} {path}",
                why=str(error),
                do="see the log below",
                code="ST88",
            ) from None

    def _stop(self, kept: keepers.Kept) -> float:
        """SIGTERM; the seconds until the end."""
        begin = time.monotonic()
        if keeper := children.find_process(kept.pid, kept.started):
            keepers.end(keeper, self._grace_s)
        said = keepers.read_state(kept.control)
        if said and said.exit and said.exit.forced:
            self._findings.append(
                Finding(
                    f"The container does not end within {self._grace_s:g} s of SIGTERM",
                    why="SageMaker then kills it, with the requests that it is answering",
                    do='handle SIGTERM; use the exec form, ENTRYPOINT ["…"], so that it arrives',
                    where=self._spec.image,
                    severity="warning",
                    code="ST88",
                )
            )
        return time.monotonic() - begin

    def _clear(self, kept: keepers.Kept) -> None:
        if keeper := children.find_process(kept.pid, kept.started):
            keepers.cut(keeper)
        keepers.forget(kept.control)

    def _told(self, error: EndpointError) -> Exception:
        self._watch()
        return with_tail(error, self._log, self._module.lines if self._module else {})


def defines_example(module: CapturedModule) -> bool:
    """Whether sageturner.py has a top-level name example_request."""
    table = symtable.symtable(module.source, "sageturner.py", "exec")
    if "example_request" not in table.get_identifiers():
        return False
    symbol = table.lookup("example_request")
    return symbol.is_assigned() or symbol.is_imported()


def _message(body: bytes) -> str:
    """What the model says in an answer that is an error."""
    text = body.decode("utf-8", "replace").strip()
    try:
        said = json.loads(text)["error"]
        return f"{said['type']}: {said['message']}"
    except (ValueError, KeyError, TypeError):
        return text[:2000]
