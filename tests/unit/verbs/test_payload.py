"""What a command sends: an argument, a file, or what is piped to it."""

import io
import sys
from types import SimpleNamespace

import pytest

from sageturner_magic.cli.reading import payload_of
from sageturner_magic.errors import UsageError

PNG = b"\x89PNG\r\n\x1a\n\x00\xff"


def piped(monkeypatch, data: bytes, **given: str | None) -> dict[str, object]:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    values = {"payload": None, "file": None, "content_type": None}
    return payload_of(SimpleNamespace(**(values | given)))


@pytest.mark.parametrize("dash", [{"payload": "-"}, {"file": "-"}])
def test_what_is_piped_is_json_or_what_it_says_it_is(monkeypatch, dash):
    found = piped(monkeypatch, b'{"x": [1.5, "\xc3\xa9"]}', **dash)
    assert found["payload"] == {"x": [1.5, "é"]}
    assert piped(monkeypatch, PNG, **dash) == {"payload": PNG, "content_type": "image/png"}
    # Bytes that are no text arrive as they are.
    found = piped(monkeypatch, b"\xff\x00", content_type="audio/x", **dash)
    assert found == {"payload": b"\xff\x00", "content_type": "audio/x"}
    for data in (b"", b"\xff\x00", b"{"):
        with pytest.raises(UsageError, match="not JSON"):
            piped(monkeypatch, data, **dash)
