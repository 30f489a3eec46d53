"""Keep values that no source gives: as literals, or as objects in files beside the model."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from sageturner_magic.capture.objects import OBJECTS, Probe
from sageturner_magic.capture.runs import RunStatement
from sageturner_magic.capture.sharing import Parts, clusters
from sageturner_magic.capture.slicing.literals import Literal, NotPlainError
from sageturner_magic.capture.slicing.liveness import is_iterator, kind
from sageturner_magic.values import LiveObject, attribute_of, package_of

ASKED_BYTES = 5_000_000
"""A frame or array above this is shipped when `artefact:` names it: it may be training data."""

_FOLDER = "_objects"

# Extension -> how the module reads the file, and the module that it takes.
_READERS: Mapping[str, tuple[str, str]] = {
    "joblib": ("joblib.load({path})", "joblib"),
    "npy": ("numpy.load({path})", "numpy"),
    "pickle": ('pickle.load(open({path}, "rb"))', "pickle"),
    "pkl": ("pandas.read_pickle({path})", "pandas"),
    "pt": ('torch.load({path}, map_location="cpu", weights_only=False)', "torch"),
}

HANDLES = {
    "io": "an open file",
    "_io": "an open file",
    "socket": "a connection",
    "sqlite3": "a database connection",
    "psycopg2": "a database connection",
    "sqlalchemy": "a database connection",
    "boto3": "a client of AWS",
    "botocore": "a client of AWS",
    "requests": "a connection",
    "httpx": "a connection",
}


def folder_source(*, is_beside_code: bool) -> str:
    """The statement that says where the files of objects are."""
    if is_beside_code:
        return f'{_FOLDER} = os.path.join(os.path.dirname(__file__), "{OBJECTS}")'
    return f'{_FOLDER} = os.environ.get("SM_MODEL_DIR", "/opt/ml/model")'


def comes_from(step: RunStatement, length: int = 60) -> str:
    """The first line of a statement, for a message or a comment."""
    code = ast.unparse(step.node).partition("\n")[0].strip()
    return code if len(code) <= length else code[: length - 1] + "…"


def literal_of(value: object, namespace: Mapping[str, object]) -> Literal | None:
    """`value` as source; None if it is not plain data, or too large."""
    try:
        return Literal(value, namespace)
    except (NotPlainError, RecursionError):
        return None


@dataclass(frozen=True)
class Saved:
    """An object that can be written to a file and read from there.

    Attributes:
        found: Classes and functions of the notebook that its pickle names.
        packages: The top-level packages of all others.
        needs: The module that the reader takes.
        parts: What of it can be changed in place.
        secret: What in it looks like a secret (`Probe.secret`).
    """

    live: LiveObject
    found: tuple[Any, ...]
    packages: frozenset[str]
    needs: str
    parts: Parts
    secret: str = ""

    def source(self, origin: str) -> str:
        """The line that reads it."""
        comment = f"# {kind(self.live.value).partition(' ')[2]}: {origin}"
        return f"{comment}\n{self.live.variable} = {self._read()}"

    def _read(self) -> str:
        path = f'f"{{{_FOLDER}}}/{self.live.file}"'
        return _READERS[self.live.file.rpartition(".")[2]][0].format(path=path)

    def source_of_all(self) -> str:
        """The line that reads a file of several objects."""
        comment = "# Read together: they share parts, and a change of one may change the others."
        return f"{comment}\n{self.live.variable} = {self._read()}"

    def source_of(self, member: str, origin: str) -> str:
        """The line that takes `member` from what `source_of_all` reads."""
        comment = f"# {kind(self.live.value[member]).partition(' ')[2]}: {origin}"  # type: ignore[index]
        return f'{comment}\n{member} = {self.live.variable}["{member}"]'


def saved(variable: str, value: Any, file: str) -> Saved | None:
    """How `value` is saved; None for what lives in this process only, as a connection.

    Args:
        file: The name that `artefact:` gives it, or an empty string.
    """
    is_open = attribute_of(value, "fileno") is not None
    if is_iterator(value) or isinstance(value, FunctionType) or is_open:
        return None
    probe = Probe()
    try:
        probe.dump(value)
    except Exception:
        return None
    packages = frozenset(name.partition(".")[0] for name in probe.modules)
    if packages & HANDLES.keys():
        return None
    extension = file.rpartition(".")[2]
    if extension not in _READERS:
        extension = _extension(value)
        if extension != "pt" and (probe.parts.repeats_memory or clusters(probe.parts.arrays)):
            extension = _of_several(packages)
        file = f"{variable}.{extension}"
    live = LiveObject(file, variable, value)
    needs = _READERS[extension][1]
    return Saved(live, tuple(probe.found), packages, needs, probe.parts, probe.secret)


def saved_together(members: Sequence[Saved]) -> Saved:
    """How objects that share parts are saved: as a dict in one file."""
    names = [each.live.variable for each in members]
    name = "_and_".join(names) if len(names) < 4 else f"{names[0]}_and_{len(names) - 1}_more"
    packages = frozenset().union(*(each.packages for each in members))
    extension = _of_several(packages)
    value = {each.live.variable: each.live.value for each in members}
    live = LiveObject(f"{name}.{extension}", f"_{name}", value, tuple(names))
    found = {id(one): one for each in members for one in each.found}
    needs = _READERS[extension][1]
    return Saved(live, tuple(found.values()), packages, needs, Parts())


def _of_several(packages: frozenset[str]) -> str:
    """The format that keeps what objects have in common."""
    return "pt" if "torch" in packages else "pickle"


def file_name(variable: str, value: Any) -> str:
    """The file that `value` is saved to: its own library's format, where that keeps all of it."""
    return f"{variable}.{_extension(value)}"


def _extension(value: Any) -> str:
    names = {f"{base.__module__}.{base.__qualname__}" for base in type(value).__mro__}
    if package_of(type(value)) == "pandas":
        return "pkl"
    if type(value).__name__ == "ndarray" and not value.dtype.hasobject:
        return "npy"
    if names & {"torch.nn.modules.module.Module", "torch.Tensor"}:
        return "pt"
    # Of plain containers no package is needed to read them.
    return "pickle" if type(value).__module__ in ("builtins", "collections") else "joblib"


def is_large(value: Any) -> bool:
    """Whether `value` is a frame or array of more than `ASKED_BYTES`."""
    if package_of(type(value)) not in ("numpy", "pandas", "polars", "torch"):
        return False
    size = getattr(value, "nbytes", 0)
    if hasattr(value, "memory_usage"):
        used = value.memory_usage()
        size = used.sum() if hasattr(used, "sum") else used
    return bool(size > ASKED_BYTES) if not callable(size) else False


def is_constant(value: object) -> bool:
    """Whether nothing can change `value` in place."""
    if isinstance(value, tuple | frozenset):
        return all(map(is_constant, value))
    return value is None or isinstance(value, bool | int | float | complex | str | bytes)
