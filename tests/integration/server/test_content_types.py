"""What the SageMaker SDK's serializers send, and what its deserializers accept."""

from __future__ import annotations

import io
import json
import textwrap
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from .conftest import SERVER, Server, Start, listening_socket

PROGRAM = """
    def load(): return None

    def predict(model, request, context):
        kind = type(request).__name__
        if isinstance(request, bytes): return {"kind": kind, "size": len(request)}
        if isinstance(request, dict) and "answer" in request: return request["answer"]
        return {"kind": kind, "value": request}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("types")
    (folder / "sageturner.py").write_text(textwrap.dedent(PROGRAM))
    with listening_socket() as listener:
        running = Server(folder, folder / "log", listener, {}, SERVER)
    yield running.ready()
    running.close()


def npy(value: Any) -> bytes:
    out = io.BytesIO()
    np.save(out, np.array(value))
    return out.getvalue()


def npz(**arrays: Any) -> bytes:
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        ("application/json", b'{"a": [1, 2]}', {"kind": "dict", "value": {"a": [1, 2]}}),
        ("text/csv", b"1,2\n3,4", {"kind": "list", "value": [[1, 2], [3, 4]]}),
        ("application/x-npy", npy([[1, 2]]), {"kind": "ndarray", "value": [[1, 2]]}),
        ("application/x-npz", npz(a=[1.5]), {"kind": "dict", "value": {"a": [1.5]}}),
        ("application/jsonlines", b'{"a": 1}\n{"a": 2}\n',
         {"kind": "list", "value": [{"a": 1}, {"a": 2}]}),
        ("text/libsvm", b"1 1:2", {"kind": "str", "value": "1 1:2"}),
        ("text/plain", "é".encode(), {"kind": "str", "value": "é"}),
        ("application/octet-stream", b"\0\1", {"kind": "bytes", "size": 2}),
        ("file-path/raw-bytes", b"\0\1", {"kind": "bytes", "size": 2}),
        ("image/jpeg", b"\xff\xd8", {"kind": "bytes", "size": 2}),
        ("application/x-image", b"\xff\xd8", {"kind": "bytes", "size": 2}),
    ],
)  # fmt: skip
def test_bodies_arrive_decoded(
    server: Server, content_type: str, body: bytes, expected: Any
) -> None:
    assert server.invoke(body=body, Content_Type=content_type).json == expected


@pytest.mark.parametrize(
    ("accept", "content_type", "body"),
    [
        ("application/json", "application/json", b"[[1,2],[3,4]]"),
        ("text/csv", "text/csv", b"1,2\n3,4\n"),
        ("text/csv, application/json", "text/csv", b"1,2\n3,4\n"),
        ("application/jsonlines", "application/jsonlines", b"[1,2]\n[3,4]\n"),
        ("application/x-npy", "application/x-npy", npy([[1, 2], [3, 4]])),
        ("*/*", "application/json", b"[[1,2],[3,4]]"),
    ],
)
def test_answers_are_in_the_form_that_is_accepted(
    server: Server, accept: str, content_type: str, body: bytes
) -> None:
    reply = server.invoke({"answer": [[1, 2], [3, 4]]}, Accept=accept)
    assert (reply.headers["content-type"], reply.body) == (content_type, body)


def test_a_large_body_and_a_large_answer_survive(server: Server) -> None:
    value = list(range(1_000_000))
    reply = server.invoke({"answer": value})
    assert json.loads(reply.body) == value


def test_the_content_type_may_be_left_out(server: Server) -> None:
    assert server.request("POST", "/invocations", b"[1]").json == {"kind": "list", "value": [1]}


READS_A_DICT = """
    def load(): return None
    def predict(model, request): return {"double": 2 * request["x"]}
"""


@pytest.mark.parametrize("content_type", [None, "application/octet-stream"])
def test_a_request_without_a_type_is_read_as_the_configured_one(
    start: Start, content_type: str | None
) -> None:
    server = start(READS_A_DICT, serving={"default_content_type": "application/json"}).ready()
    headers = {"Content-Type": content_type} if content_type else {}
    answer = server.request("POST", "/invocations", b'{"x": 21}', headers)
    assert (answer.status, answer.json) == (200, {"double": 42})


def test_a_request_that_came_without_a_type_is_told_when_predict_fails(
    start: Start,
) -> None:
    server = start(READS_A_DICT).ready()
    headers = {"Content-Type": "application/octet-stream"}
    answer = server.request("POST", "/invocations", b'{"x": 21}', headers)
    assert answer.status == 500
    said = answer.json["error"]["message"]
    assert "came as application/octet-stream, so predict got bytes" in said
    assert "`serving: {default_content_type: application/json}`" in said
