"""Asking a live endpoint, and what comes back when it does not work."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError, EventStreamError
from botocore.response import StreamingBody
from botocore.stub import Stubber

from sageturner_magic.aws.endpoints import runtime
from sageturner_magic.aws.session import AwsSession
from sageturner_magic.errors import AwsError, InvocationError
from sageturner_magic.values import Attempt, InvokeOptions, Request
from tests.unit.aws.fake import Clock

Stub = Callable[[object], Stubber]
REQUEST = Request(b'{"x": 1}')


def body(content: bytes) -> StreamingBody:
    return StreamingBody(io.BytesIO(content), len(content))


def log_shows(stubber: Stubber, *lines: str) -> None:
    now = int(datetime(2026, 1, 1, tzinfo=timezone.utc).timestamp() * 1000)
    stubber.add_response("describe_log_streams", {"logStreams": [{"logStreamName": "s"}]})
    events = [{"timestamp": now + i, "message": line} for i, line in enumerate(lines)]
    stubber.add_response("get_log_events", {"events": events, "nextBackwardToken": "b"})


def test_headers_go_out_and_come_back(session: AwsSession, stub: Stub) -> None:
    stub(session.runtime).add_response(
        "invoke_endpoint",
        {
            "Body": body(b'{"digit": 3}'),
            "ContentType": "application/json",
            "ResponseMetadata": {"HTTPHeaders": {"x-amzn-invoked-production-variant": "B"}},
        },
        {
            "EndpointName": "digits",
            "Body": b"1,2",
            "ContentType": "text/csv",
            "Accept": "application/json",
            "CustomAttributes": "trace=1",
            "TargetVariant": "B",
        },
    )
    options = InvokeOptions(custom_attributes="trace=1", target_variant="B")
    request = Request(b"1,2", "text/csv", "application/json", options=options)
    response = runtime.invoke(session, "digits", request)
    assert (response.body, response.content_type) == (b'{"digit": 3}', "application/json")
    assert response.headers["x-amzn-invoked-production-variant"] == "B"


def test_a_model_error_shows_original_status_message_and_log(
    session: AwsSession, stub: Stub
) -> None:
    stub(session.runtime).add_client_error(
        "invoke_endpoint",
        "ModelError",
        "Received client error (422) from primary",
        http_status_code=424,
        modeled_fields={
            "OriginalStatusCode": 422,
            "OriginalMessage": '{"error": "pixels is missing"}',
            "LogStreamArn": "arn:aws:logs:x",
        },
    )
    log_shows(stub(session.logs), "KeyError: 'pixels'")
    with pytest.raises(InvocationError) as caught:
        runtime.invoke(session, "digits", REQUEST)
    error = caught.value
    assert error.status == 422
    assert str(error).startswith("The model answered 422 (endpoint digits)")
    assert "pixels is missing" in str(error)
    assert "KeyError: 'pixels'" in error.report()


def test_a_model_error_helps_without_permission_to_read_the_log(
    session: AwsSession, stub: Stub
) -> None:
    stub(session.runtime).add_client_error(
        "invoke_endpoint",
        "ModelError",
        "x",
        modeled_fields={"OriginalStatusCode": 500, "OriginalMessage": "boom"},
    )
    stub(session.logs).add_client_error("describe_log_streams", "AccessDeniedException", "no")
    with pytest.raises(InvocationError, match="boom") as caught:
        runtime.invoke(session, "digits", REQUEST)
    assert caught.value.status == 500


def test_more_than_sixty_seconds_is_explained(session: AwsSession, stub: Stub) -> None:
    stub(session.runtime).add_client_error(
        "invoke_endpoint",
        "ModelError",
        "x",
        modeled_fields={
            "OriginalStatusCode": 0,
            "OriginalMessage": "Your invocation timed out while waiting for a response from "
            "container primary. Review the latency metrics for each container.",
        },
    )
    log_shows(stub(session.logs))
    with pytest.raises(InvocationError, match=r"gave no answer.*60 s.*generator") as caught:
        runtime.invoke(session, "digits", REQUEST)
    assert caught.value.status is None


def test_a_cold_start_is_waited_for(session: AwsSession, stub: Stub) -> None:
    stubber, clock = stub(session.runtime), Clock()
    for _ in range(3):
        stubber.add_client_error(
            "invoke_endpoint", "ModelNotReadyException", "starting", http_status_code=429
        )
    stubber.add_response("invoke_endpoint", {"Body": body(b"1")})
    assert runtime.invoke(session, "digits", REQUEST, pause=clock.pause).body == b"1"
    assert clock.pauses == [0.5, 0.75, 1.125]


def test_but_not_for_ever(session: AwsSession, stub: Stub) -> None:
    stubber, clock = stub(session.runtime), Clock()
    for _ in range(19):
        stubber.add_client_error("invoke_endpoint", "ModelNotReadyException", "starting")
    with pytest.raises(InvocationError, match="still starting"):
        runtime.invoke(session, "digits", REQUEST, pause=clock.pause)
    assert 120 <= clock.now < 135


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("ValidationError", "Request 1 has oversize body."),
        ("413", "Request Entity Too Large"),
    ],
)
def test_a_request_that_is_too_large_names_the_limits(
    session: AwsSession, stub: Stub, code: str, message: str
) -> None:
    stub(session.runtime).add_client_error("invoke_endpoint", code, message)
    with pytest.raises(InvocationError, match=r"25 MB, serverless 4 MB"):
        runtime.invoke(session, "digits", REQUEST)


def model_error(
    session: AwsSession, stub: Stub, status: int, said: str, *log: str
) -> InvocationError:
    stub(session.runtime).add_client_error(
        "invoke_endpoint",
        "ModelError",
        "x",
        modeled_fields={"OriginalStatusCode": status, "OriginalMessage": said},
    )
    log_shows(stub(session.logs), *log)
    with pytest.raises(InvocationError) as caught:
        runtime.invoke(session, "digits", REQUEST)
    return caught.value


def test_a_response_that_is_too_large_is_not_told_as_the_request(
    session: AwsSession, stub: Stub
) -> None:
    (finding,) = model_error(session, stub, 500, "oversize body").findings
    assert "the response is larger" in finding.why
    assert "return less" in finding.do and "send less" not in finding.do


def of_our_server(kind: str, message: str) -> str:
    return json.dumps({"error": {"type": kind, "message": message, "traceback": ["In[2]"]}})


@pytest.mark.parametrize(
    ("kind", "message", "remedy"),
    [
        (
            "OSError",
            "libgomp.so.1: cannot open shared object file: No such file or directory",
            "libgomp1",
        ),
        (
            "ImportError",
            "libGL.so.1: cannot open shared object file: No such file or directory",
            "libgl1",
        ),
        ("OSError", "[Errno 30] Read-only file system: '/opt/program/x'", "write below /tmp only"),
        ("OSError", "[Errno 38] Function not implemented", "use threads in place of"),
        ("FileNotFoundError", "[Errno 2] No such file or directory", "use threads in place of"),
        ("ModuleNotFoundError", "No module named 'xgboost'", "python_packages"),
        ("MemoryError", "", "compute.serverless.memory"),
    ],
)
def test_a_known_exception_of_predict_has_its_remedy(
    session: AwsSession, stub: Stub, kind: str, message: str, remedy: str
) -> None:
    error = model_error(session, stub, 500, of_our_server(kind, message))
    assert remedy in error.findings[0].do
    assert message in error.report()


def test_a_server_of_the_users_own_is_explained_by_its_log(session: AwsSession, stub: Stub) -> None:
    line = "OSError: libgomp.so.1: cannot open shared object file: No such file or directory"
    error = model_error(session, stub, 500, "Internal Server Error", "starting", line, "bye")
    assert "libgomp1" in error.findings[0].do


def test_an_unknown_exception_is_not_explained_by_another_requests_log(
    session: AwsSession, stub: Stub
) -> None:
    said = of_our_server("KeyError", "'x'")
    error = model_error(session, stub, 500, said, "MemoryError", "OSError: libgomp.so.1: cannot")
    assert "KeyError" in error.findings[0].why and "memory" not in error.findings[0].do


def test_an_unknown_endpoint_is_an_error_of_aws(session: AwsSession, stub: Stub) -> None:
    stub(session.runtime).add_client_error(
        "invoke_endpoint", "ValidationError", "Endpoint digits of account 1 not found."
    )
    with pytest.raises(AwsError, match=r"no such endpoint.*sageturner list"):
        runtime.invoke(session, "digits", REQUEST)


class Events:
    """An event stream of botocore: iterable once, and closed."""

    def __init__(self, events: Any) -> None:
        self._events = iter(events)
        self.closed = False

    def __iter__(self) -> Any:
        return self._events

    def close(self) -> None:
        self.closed = True


class TestStream:
    def answer(self, session: AwsSession, events: Any) -> None:
        def give(**_: Any) -> Any:
            from types import SimpleNamespace

            return SimpleNamespace(status_code=200), {"Body": Events(events)}

        session.runtime.meta.events.register("before-call", give)

    def test_yields_pieces_as_they_come(self, session: AwsSession) -> None:
        self.answer(session, [{"PayloadPart": {"Bytes": b"a"}}, {"PayloadPart": {"Bytes": b"b"}}])
        assert list(runtime.invoke_stream(session, "digits", REQUEST).parts) == [b"a", b"b"]

    def test_an_event_in_its_middle_that_says_so_is_an_error(
        self, session: AwsSession, stub: Stub
    ) -> None:
        failure = {"Message": "out of memory", "ErrorCode": "ModelInvocationTimeExceeded"}
        self.answer(session, [{"PayloadPart": {"Bytes": b"a"}}, {"ModelStreamError": failure}])
        log_shows(stub(session.logs), "last words")
        pieces = runtime.invoke_stream(session, "digits", REQUEST).parts
        assert next(pieces) == b"a"
        with pytest.raises(InvocationError, match=r"broke off.*out of memory") as caught:
            next(pieces)
        assert "last words" in caught.value.report()

    def test_as_is_what_botocore_raises_for_one(self, session: AwsSession, stub: Stub) -> None:
        def events() -> Any:
            yield {"PayloadPart": {"Bytes": b"a"}}
            answer = {"Error": {"Code": "InternalStreamFailure", "Message": "lost"}}
            raise EventStreamError(answer, "InvokeEndpointWithResponseStream")  # type: ignore[arg-type]

        self.answer(session, events())
        log_shows(stub(session.logs))
        with pytest.raises(InvocationError, match=r"broke off.*lost"):
            list(runtime.invoke_stream(session, "digits", REQUEST).parts)


class TestTimeout:
    """`--timeout` against a server that is late."""

    @pytest.fixture
    def arrived(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
        """The paths that were asked for; the server is late with every answer."""
        arrived: list[str] = []
        over = threading.Event()

        class Late(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                arrived.append(self.path)
                if self.path.endswith("stream"):
                    self.send_response(200)
                    self.send_header("Content-Type", "application/vnd.amazon.eventstream")
                    self.end_headers()
                    self.wfile.flush()
                # In vain, unless the client waits for longer than it was told to.
                over.wait(10)
                with suppress(OSError):
                    if self.path.endswith("invocations"):
                        self.send_response(200)
                        self.send_header("Content-Length", "0")
                        self.end_headers()
                self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Late) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
            yield arrived
            over.set()
            server.shutdown()

    REQUEST = Request(b"1", timeout_s=0.2)

    def test_ends_the_wait_and_sends_nothing_twice(
        self, session: AwsSession, arrived: list[str]
    ) -> None:
        with pytest.raises(InvocationError, match=r"did not respond within 0.2 s.*--timeout"):
            runtime.invoke(session, "digits", self.REQUEST)
        assert arrived == ["/endpoints/digits/invocations"]

    def test_holds_between_the_pieces_of_a_stream(
        self, session: AwsSession, arrived: list[str]
    ) -> None:
        stream = runtime.invoke_stream(session, "digits", self.REQUEST)
        with pytest.raises(InvocationError, match=r"did not respond within 0.2 s"):
            list(stream.parts)
        assert len(arrived) == 1

    def test_holds_for_each_request_of_a_load_test(
        self, session: AwsSession, arrived: list[str]
    ) -> None:
        tried = runtime.sender(session, "digits", self.REQUEST, 2)()
        assert (tried.status, tried.trouble) == (None, "ReadTimeoutError")


class TestAttempts:
    """One call each, and whatever comes of it is counted instead of raised."""

    def attempt(self, session: AwsSession) -> Callable[[], Attempt]:
        return runtime.sender(session, "digits", REQUEST, 4)

    def test_a_good_answer_is_counted_with_its_size(self, session: AwsSession, stub: Stub) -> None:
        stub(session.runtime_of(4)).add_response("invoke_endpoint", {"Body": body(b"12345")})
        assert self.attempt(session)() == Attempt(200, size=5)

    def test_throttling_is_neither_hidden_nor_repeated(
        self, session: AwsSession, stub: Stub
    ) -> None:
        stub(session.runtime_of(4)).add_client_error(
            "invoke_endpoint", "ThrottlingException", "Rate exceeded", http_status_code=429
        )
        tried = self.attempt(session)()
        assert (tried.status, tried.trouble) == (429, "ThrottlingException (429)")
        assert tried.detail == "Rate exceeded"

    def test_a_model_error_has_the_models_own_status(self, session: AwsSession, stub: Stub) -> None:
        stub(session.runtime_of(4)).add_client_error(
            "invoke_endpoint",
            "ModelError",
            "x",
            http_status_code=424,
            modeled_fields={"OriginalStatusCode": 500, "OriginalMessage": "boom"},
        )
        assert self.attempt(session)() == Attempt(500, "HTTP 500 of the model", "boom")

    def test_no_connection_is_no_status(self, session: AwsSession) -> None:
        def refuse(**_: Any) -> None:
            raise EndpointConnectionError(endpoint_url="https://nowhere")

        session.runtime_of(4).meta.events.register("before-call", refuse)
        tried = self.attempt(session)()
        assert (tried.status, tried.trouble) == (None, "EndpointConnectionError")

    def test_each_has_a_connection_and_one_try(self, session: AwsSession) -> None:
        config = session.runtime_of(64).meta.config
        assert config.max_pool_connections == 64  # type: ignore[attr-defined]
        assert config.retries["total_max_attempts"] == 1  # type: ignore[attr-defined]
