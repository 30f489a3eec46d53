"""Bodies and headers found by coverage-guided fuzzing of what the worker does with them.

python -m tests.integration.server.fuzz --runs 2000000 --keep FILE

atheris mutates them and keeps each that reaches code which no other has reached. Anything but an
answer or a refusal that names what is wrong ends the run. What was found is written to FILE, from
which `hostile` sends it to a real server.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

KINDS = (
    *("application/json", "application/jsonlines", "text/csv", "text/csv;header=present"),
    *("application/x-npy", "application/x-npz", "text/plain", "text/plain; charset=utf-16"),
    *("image/png", "application/octet-stream", "a/b+json", ""),
)
ACCEPTS = (
    *("*/*", "application/json", "application/jsonlines", "text/csv", "application/x-npy"),
    *("application/x-npz", "text/*", "image/png", "text/csv;q=0.5, */*;q=0.1"),
    "application/json;q=0, */*",
)
LONGEST = 4096
"""Bytes of a body."""

Fuzzed = tuple[str, str, bytes]
"""Content-Type, Accept and body of a request."""


def unpacked(data: bytes) -> Fuzzed:
    """What the bytes that the fuzzer mutates stand for.

    The first two choose a Content-Type and an Accept; one that is out of range begins a header of
    the fuzzer's own, which ends at the next line feed.
    """
    headers = []
    for known in (KINDS, ACCEPTS):
        number = data[0] if data else 0
        data = data[1:]
        if number < 128:
            headers.append(known[number % len(known)])
        else:
            line, _, data = data.partition(b"\n")
            text = line.decode("latin-1")
            headers.append("".join(each for each in text if " " <= each <= "~").strip())
    return headers[0], headers[1], data


def packed(fuzzed: Fuzzed) -> bytes:
    """The bytes of which `unpacked` makes it."""
    data = b""
    for known, text in zip((KINDS, ACCEPTS), fuzzed[:2], strict=True):
        own = b"\xff" + text.encode("latin-1") + b"\n"
        data += bytes([known.index(text)]) if text in known else own
    return data + fuzzed[2]


def respond(fuzzed: Fuzzed) -> int:
    """The status of the answer of a predict that returns its request.

    Raises whatever is not foreseen.
    """
    from sageturner_magic.server.codec.formats import AnswerError, decode, encode
    from sageturner_magic.server.problems import Problem

    kind, accept, body = fuzzed
    try:
        _, answer = encode(decode(body, kind).value, accept or "*/*", "null")
    except Problem as problem:
        assert 400 <= problem.status < 500
        json.loads(problem.body())
        return problem.status
    except AnswerError:
        return 500
    assert isinstance(answer, bytes)
    return 200


def sow(corpus: Path, path: Path) -> None:
    """What to begin with: a good body of each kind, and what was kept before."""
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    npy, npz = io.BytesIO(), io.BytesIO()
    np.save(npy, array)
    np.savez_compressed(npz, a=array, b=np.array(["x", "yz"]))
    tokens = b'{"a": [1, -2.5e3, true, null, "\\u00e9"], "b": {"c": []}}'
    table = b'a,b\n1,"x, y"\n2.5,\n'
    bodies = (tokens, b"[1]\n" + tokens, table, table, npy.getvalue(), npz.getvalue())
    pairs = zip(KINDS, bodies, strict=False)
    good = [(kind, accept, body) for kind, body in pairs for accept in ACCEPTS]
    for number, fuzzed in enumerate([*good, *(load(path) if path.exists() else ())]):
        (corpus / str(number)).write_bytes(packed(fuzzed))


def load(path: Path) -> list[Fuzzed]:
    """What `keep` wrote."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [(kind, accept, base64.b64decode(body)) for kind, accept, body in rows]


def keep(corpus: Path, path: Path) -> int:
    """Write a folder of the fuzzer's finds as lines of JSON; how many they are."""
    found = {unpacked(each.read_bytes()) for each in corpus.iterdir()}
    rows = [(kind, accept, base64.b64encode(body).decode()) for kind, accept, body in sorted(found)]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return len(rows)


def _child(corpus: str, runs: str) -> None:
    import atheris

    with atheris.instrument_imports(include=["sageturner_magic.server"]):
        import sageturner_magic.server.codec.formats  # noqa: F401

    def one(data: bytes) -> None:
        respond(unpacked(data))

    options = [f"-runs={runs}", f"-max_len={LONGEST}", "-timeout=20", "-seed=1", "-verbosity=1"]
    atheris.Setup([sys.argv[0], *options, corpus], one)
    atheris.Fuzz()


def main() -> int:
    """Run the fuzzer in a process of its own, which ends with it."""
    parser = argparse.ArgumentParser(prog="python -m tests.integration.server.fuzz")
    parser.add_argument("--runs", type=int, default=2_000_000)
    parser.add_argument("--keep", type=Path, required=True)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sow(Path(folder), asked.keep)
        program = f"from {__spec__.name} import _child; _child({folder!r}, '{asked.runs}')"
        code = subprocess.run([sys.executable, "-c", program]).returncode
        if code == 0:
            print(f"{keep(Path(folder), asked.keep)} requests kept in {asked.keep}")
    return code


if __name__ == "__main__":
    sys.exit(main())
