from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sageturner_magic.server.codec import Context
from sageturner_magic.server.codec.formats import decode, fastjson
from sageturner_magic.server.problems import Problem


@pytest.fixture(params=["orjson", "the standard library"], autouse=True)
def reader(request: pytest.FixtureRequest) -> Iterator[None]:
    fastjson.find("") if request.param == "orjson" else None
    yield
    fastjson.module = None


def npy(array: Any) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        ("application/json", b' {"a": [1, 2.5, null]} ', {"a": [1, 2.5, None]}),
        ("application/json; charset=utf-8", "\"é\"".encode(), "é"),
        ("application/json", b"\xef\xbb\xbf[1]", [1]),
        ("APPLICATION/JSON", b"1", 1),
        ("application/vnd.api+json", b"1", 1),
        ("", b"1", 1),
        ("application/jsonlines", b'{"a": 1}\n\n[2]\r\n', [{"a": 1}, [2]]),
        *(
            ("application/jsonlines", f'["a{end}b"]\n["c"]'.encode(), [[f"a{end}b"], ["c"]])
            for end in ("\u2028", "\u2029", "\u0085")
        ),
        ("application/json", b"[18446744073709551616]", [2**64]),
        ("application/json", b"-9223372036854775809", -(2**63) - 1),
        ("text/csv", b"x" * 200_000, [["x" * 200_000]]),
        ("text/csv", b"1,2.5,x\r\n3,4,\"a,b\"\r\n", [[1, 2.5, "x"], [3, 4, "a,b"]]),
        ("text/csv; header=present", b"a,b\n1,2\n", [{"a": 1, "b": 2}]),
        ("text/plain; charset=latin-1", b"\xe9", "é"),
        ("text/plain; charset=UTF_8", b"\xef\xbb\xbfa", "a"),
        ("text/plain", "é".encode(), "é"),
        ("image/png", b"\x89PNG", b"\x89PNG"),
        ("application/octet-stream", b"\0", b"\0"),
    ],
)  # fmt: skip
def test_bodies_are_decoded_by_content_type(content_type: str, body: bytes, expected: Any) -> None:
    assert decode(body, content_type).value == expected


def test_arrays_are_decoded() -> None:
    assert decode(npy(np.arange(3)), "application/x-npy").value.tolist() == [0, 1, 2]
    out = io.BytesIO()
    np.savez(out, a=np.arange(2))
    assert decode(out.getvalue(), "application/x-npz").value["a"].tolist() == [0, 1]


def test_an_archive_of_more_arrays_than_anybody_sends_is_refused() -> None:
    out = io.BytesIO()
    np.savez(out, **{f"a{number}": np.zeros(1) for number in range(1001)})
    with pytest.raises(Problem) as caught:
        decode(out.getvalue(), "application/x-npz")
    assert caught.value.status == 413


def test_an_archive_that_would_fill_the_memory_is_refused_before_it_is_unpacked() -> None:
    out = io.BytesIO()
    np.savez_compressed(out, a=np.zeros(80_000_000, np.int8))
    assert len(out.getvalue()) < 100_000
    with pytest.raises(Problem) as caught:
        decode(out.getvalue(), "application/x-npz")
    assert caught.value.status == 413
    assert "the arrays would take 80 MB" in caught.value.message


@pytest.mark.parametrize(
    ("content_type", "body", "status", "words"),
    [
        ("application/json", b"", 400, "empty"),
        ("application/json", b'{"a": 1,}', 400, "line 1 column"),
        ("application/json", b"[NaN]", 400, "NaN is not JSON"),
        ("application/json", b"\xff", 400, "utf-8"),
        ("application/json", b"[" * 100_000, 400, "JSON"),
        ("application/json", b"[1e999]", 400, "1e999 is too large"),
        ("application/jsonlines", b"1\n{\n", 400, "line 2"),
        ("text/csv", b'"a', 400, "CSV"),
        ("text/csv; header=present", b"a,b\n1\n", 400, "row 2"),
        ("text/csv; header=present", b"", 400, "empty"),
        ("text/csv", b"\n", 400, "empty"),
        ("application/jsonlines", b"", 400, "empty"),
        ("application/jsonlines", "1\u20282\n3".encode(), 400, "line 1"),
        ("text/plain; charset=punycode", b"a-" * 1_000_000, 415, "punycode"),
        ("text/plain; charset=undefined", b"a", 415, "undefined"),
        ("text/plain; charset=idna", b"a", 415, "idna"),
        ("text/plain; charset=rot13", b"a", 415, "rot13"),
        ("text/plain; charset=utf-8", b"\xff", 400, "byte 0"),
        ("text/plain; charset=klingon", b"a", 415, "klingon"),
        ("application/x-npy", b"hello", 400, "x-npy"),
        ("application/x-npz", b"PK\x03\x04", 400, "x-npz"),
        ("application/x-npy", npy(np.array([{}], dtype=object)), 400, "pickle"),
        ("multipart/form-data; boundary=x", b"", 415, "multipart/form-data"),
    ],
)
def test_what_cannot_be_decoded_is_explained(
    content_type: str, body: bytes, status: int, words: str
) -> None:
    with pytest.raises(Problem) as caught:
        decode(body, content_type)
    assert caught.value.status == status
    assert words in caught.value.message
    assert json.loads(caught.value.body())["error"]["message"] == caught.value.message


@given(st.binary(max_size=60), st.sampled_from(
    ["application/json", "application/jsonlines", "text/csv", "application/x-npy", "text/plain"]
))  # fmt: skip
def test_no_body_does_anything_but_decode_or_explain(body: bytes, content_type: str) -> None:
    try:
        decode(body, content_type)
    except Problem as problem:
        assert problem.status in (400, 415)


def test_a_context_has_the_headers_under_their_names() -> None:
    context = Context(
        "id-1",
        {
            "x-amzn-sagemaker-inference-id": "inference",
            "x-amzn-sagemaker-custom-attributes": "a=b",
            "content-type": "text/csv",
        },
    )
    assert context.inference_id == "inference"
    assert context.custom_attributes == "a=b"
    assert (context.content_type, context.accept) == ("text/csv", "*/*")
    assert Context().content_type == "application/json"
