"""Read from a saved model's bytes which modules it refers to, without running it."""

from __future__ import annotations

import bz2
import itertools
import json
import lzma
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from sageturner_magic.constants import CHUNK

EXTENSIONS = (".joblib", ".pkl", ".pickle", ".pt", ".pth", ".bin", ".skops")

# Protocol 4 and later: SHORT_BINUNICODE module, name, STACK_GLOBAL, with MEMOIZE between; a module
# that was named before is fetched from the memo, so its first mention is enough. Before that:
# GLOBAL, module and name on lines of their own. Arrays may stand between the instructions, as
# joblib writes them, so the stream cannot be read instruction by instruction.
_STACK_GLOBAL = re.compile(
    rb"\x8c(.)([A-Za-z_][\w.]*)\x94?\x8c.[A-Za-z_][\w.]*\x94?\x93", re.DOTALL
)
_GLOBAL = re.compile(rb"c([A-Za-z_][\w.]{0,200})\n[A-Za-z_][\w.]{0,200}\n")
_OVERLAP = 1024


def modules_in(path: Path) -> frozenset[str]:
    """Dotted names of the modules that a pickle, joblib, skops or torch file refers to.

    Raises OSError. A file that is none of these, or that is damaged, has none.
    """
    found = _in_skops(path) if path.suffix.lower() == ".skops" else set()
    for stream in _pickles(path):
        found |= _scan(stream)
    return frozenset(found)


def scikit_learn_of(path: Path) -> str:
    """The version of scikit-learn that saved a model file; empty where the file names none.

    scikit-learn writes it into every estimator's pickle (`BaseEstimator.__getstate__`).
    """
    for stream in _pickles(path):
        first = next(stream)
        # Large files of other libraries are not read to their end for this.
        rest = stream if b"sklearn" in first else iter(())
        for window in _windows(itertools.chain((first,), rest)):
            if match := _SKLEARN.search(window):
                length = int.from_bytes(match[1] or match[2], "little")
                return window[match.end() : match.end() + length].decode("ascii", "replace")
    return ""


_SKLEARN = re.compile(rb"_sklearn_version(?:\x94|q.|r.{4})?(?:\x8c(.)|X(.{4}))(?=[0-9])", re.DOTALL)
_PROTOCOLS = tuple(bytes((0x80, number)) for number in range(2, 6))


def _pickles(path: Path) -> Iterator[Iterator[bytes]]:
    """The streams of `path` that are pickles, by their bytes, or by a known extension."""
    trusted = path.suffix.lower() in EXTENSIONS
    try:
        for stream in _streams(path):
            first = next(iter(stream), b"")
            if trusted or first.startswith(_PROTOCOLS):
                yield itertools.chain((first,), stream)
    except (zlib.error, EOFError, lzma.LZMAError, zipfile.BadZipFile):
        return


_NAME = re.compile(rb"\x8c(.)([A-Za-z_]\w*)\x94?\x93", re.DOTALL)
_MAIN = re.compile(rb"c__main__\n([A-Za-z_]\w{0,200})\n")


def notebook_names_in(place: Path) -> frozenset[str]:
    """Names that pickles at `place`, a file or a folder, may look up in `__main__`.

    A module that was named before is fetched from the memo, so of a file that names `__main__`
    these are the names of all modules. Raises OSError.
    """
    paths = place.rglob("*") if place.is_dir() else [place]
    found: set[str] = set()
    for path in paths:
        if path.is_file() and "__main__" in modules_in(path):
            for window in (each for stream in _pickles(path) for each in _windows(stream)):
                names = [
                    match[2] for match in _NAME.finditer(window) if match[1][0] == len(match[2])
                ]
                found |= {name.decode() for name in [*names, *_MAIN.findall(window)]}
    return frozenset(found)


def _in_skops(path: Path) -> set[str]:
    """The modules that the schema of a skops file names."""
    try:
        with zipfile.ZipFile(path) as archive:
            schema = json.loads(archive.read("schema.json"))
    except (zipfile.BadZipFile, KeyError, ValueError):
        return set()
    found: set[str] = set()
    waiting = [schema]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            named = part.get("__module__")
            if isinstance(named, str) and named != "builtins":
                found.add(named)
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part
    return found


def _streams(path: Path) -> Iterator[Iterator[bytes]]:
    if zipfile.is_zipfile(path):
        # torch.save since 1.6 has data.pkl in it.
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith(".pkl"):
                    with archive.open(name) as member:
                        yield _chunks(member)
        return
    with path.open("rb") as file:
        magic = file.read(6)
        file.seek(0)
        if magic.startswith(b"\x1f\x8b") or magic[:2] in (
            b"\x78\x01",
            b"\x78\x5e",
            b"\x78\x9c",
            b"\x78\xda",
        ):
            yield _inflated(file)
        elif magic.startswith(b"BZh"):
            with bz2.open(file) as plain:
                yield _chunks(plain)
        elif magic.startswith(b"\xfd7zXZ"):
            with lzma.open(file) as plain:
                yield _chunks(plain)
        else:
            yield _chunks(file)


def _chunks(file: IO[bytes] | bz2.BZ2File | lzma.LZMAFile) -> Iterator[bytes]:
    while chunk := file.read(CHUNK):
        yield chunk


def _inflated(file: IO[bytes]) -> Iterator[bytes]:
    # 47: a header of zlib or of gzip, whichever is there.
    inflater = zlib.decompressobj(47)
    for chunk in _chunks(file):
        yield inflater.decompress(chunk)


def _scan(chunks: Iterable[bytes]) -> set[str]:
    found: set[str] = set()
    for window in _windows(chunks):
        for match in _STACK_GLOBAL.finditer(window):
            if match[1][0] == len(match[2]):
                found.add(match[2].decode())
        found |= {match[1].decode() for match in _GLOBAL.finditer(window)}
    return found


def _windows(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """`chunks`, each after the end of the one before."""
    tail = b""
    for chunk in chunks:
        window = tail + chunk
        yield window
        tail = window[-_OVERLAP:]
