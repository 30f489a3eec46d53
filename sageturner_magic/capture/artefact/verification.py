"""Tell whether a model file holds what it is expected to hold."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sageturner_magic.errors import Finding
from sageturner_magic.values import package_of

_POINTER = b"version https://git-lfs.github.com/spec/"
_PAGE = re.compile(rb"\s*<(?:!doctype html|html|\?xml[^>]*>\s*<(?:html|Error))", re.IGNORECASE)
_MODEL = frozenset(
    {
        *(".bin", ".cbm", ".ckpt", ".gguf", ".h5", ".joblib", ".json", ".keras", ".model", ".npy"),
        *(".npz", ".onnx", ".parquet", ".pickle", ".pkl", ".pt", ".pth", ".safetensors", ".sav"),
        *(".skops", ".ubj"),
    }
)


def not_a_model(path: Path, name: str, beginning: bytes) -> Finding | None:
    """What file `name` of an artefact is instead of a model file; None if nothing is known.

    Args:
        beginning: Its first bytes.
    """
    if beginning.startswith(_POINTER):
        return Finding(
            f"`{name}` is a Git LFS pointer, not the file itself",
            where=str(path),
            do="run `git lfs pull` in its repository",
            code="ST57",
        )
    if path.suffix.lower() not in _MODEL:
        return None
    if not beginning:
        return Finding(
            f"`{name}` is empty", where=str(path), do="save or download it again", code="ST57"
        )
    if _PAGE.match(beginning):
        return Finding(
            f"`{name}` is a web page, not a model",
            where=str(path),
            why="downloads that need a login or have moved often give one",
            do="open it in a browser to see what it says, and download the file again",
            code="ST57",
        )
    return None


def changed_by_writing(value: Any, path: Path) -> str:
    """What reading `path` gives otherwise than `value`, which was written to it; empty if nothing.

    Formats whose library promises to read what it wrote (pickles, models) are not read again.
    """
    reader = _READERS.get(path.suffix.lower())
    return reader(value, path) if reader else ""


def _json(value: Any, path: Path) -> str:
    if not isinstance(value, (dict, list, tuple, str, int, float)) and value is not None:
        return ""
    return _difference(value, json.loads(path.read_text(encoding="utf-8")), "")


def _difference(one: Any, other: Any, where: str) -> str:
    """Where and how two plain values differ, the first place of all."""
    place = f" at `{where}`" if where else ""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in one:
            if not isinstance(key, str):
                kind = type(key).__name__
                return f"the key {key!r}{place} is {kind}, and would be read as text"
            if found := _difference(one[key], other[key], f"{where}[{key!r}]"):
                return found
        return ""
    if isinstance(one, list) and isinstance(other, list):
        pairs = enumerate(zip(one, other, strict=True))
        differences = (_difference(*pair, f"{where}[{index}]") for index, pair in pairs)
        return next((each for each in differences if each), "")
    if type(one) is not type(other):
        before, after = type(one).__name__, type(other).__name__
        return f"the value{place} is a {before}, and would be read as a {after}"
    # Not a number is not equal to itself.
    return "" if one == other or one != one else f"the value{place} would be read as {other!r}"


def _npz(value: Any, _path: Path) -> str:
    keys = [key for key in value if not isinstance(key, str)]
    if not keys:
        return ""
    return f"the key {keys[0]!r} is {type(keys[0]).__name__}, and would be read as text"


def _text(value: Any, path: Path) -> str:
    if not isinstance(value, str) or path.read_text(encoding="utf-8") == value:
        return ""
    return "its line ends would be read as newlines"


def _parquet(value: Any, path: Path) -> str:
    if package_of(type(value)) != "pandas":
        return ""
    import pandas

    read = pandas.read_parquet(path)
    if list(read.columns) != list(value.columns) or not read.index.equals(value.index):
        return "its rows or columns would have other names"
    for column, before, after in zip(value.columns, value.dtypes, read.dtypes, strict=True):
        if before != after:
            return f"column {column!r} is {before}, and would be read as {after}"
    return "" if read.equals(value) else "its values would be read otherwise"


_READERS: Mapping[str, Callable[[Any, Path], str]] = {
    ".json": _json,
    ".npz": _npz,
    ".parquet": _parquet,
    ".txt": _text,
}
