"""The values that rooms pass to each other: small and frozen."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from sageturner_magic.constants import CHUNK, REQUEST_SECONDS


@dataclass(frozen=True)
class SourceFile:
    """A file that is shipped beside the user's code.

    Attributes:
        path: Relative to the program folder, with forward slashes.
        content: The bytes, or the file on disk that holds them (never read whole).
    """

    path: str
    content: bytes | Path

    def chunks(self) -> Iterator[bytes]:
        """The content in pieces of at most `CHUNK` bytes. Raises OSError."""
        if isinstance(self.content, bytes):
            yield self.content
            return
        with self.content.open("rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk


class CellLine(NamedTuple):
    """Where a line of a module came from: `In[cell], line line` (both counted from 1)."""

    cell: int
    line: int

    def __str__(self) -> str:
        return f"In[{self.cell}], line {self.line}"


@dataclass(frozen=True)
class LiveObject:
    """An object of the notebook that the module reads from a file among the model files.

    Attributes:
        file: Its path below model_dir.
        variable: What the module calls it, as does the notebook if it is one object.
        value: The object; of several in one file a dict of them.
        members: The variables of the notebook, if they are several in one file.
    """

    file: str
    variable: str
    value: object = field(repr=False)
    members: tuple[str, ...] = ()

    @property
    def named(self) -> str:
        """The variables of the notebook, for a message."""
        *others, last = (f"`{each}`" for each in self.members or (self.variable,))
        return f"{', '.join(others)} and {last}" if others else last


@dataclass(frozen=True)
class LiveModel:
    """An object of the notebook for which load() and predict() are generated.

    Attributes:
        value: The object.
        expression: What gives it in the notebook; empty where that is not known.
        name: What the notebook calls it, or a name made of the expression that gives it.
        example: A request that the model can answer, as the notebook has it; None for none.
        cell: The number of the cell that names it; 0 outside a notebook.
        example_expression: What gives the example; empty where that is not known.
    """

    value: object = field(repr=False)
    name: str
    example: object = field(default=None, repr=False)
    cell: int = 0
    expression: str = ""
    example_expression: str = ""

    @property
    def where(self) -> str:
        """The cell that names it, for messages; empty outside a notebook."""
        return f"In[{self.cell}]" if self.cell else ""


@dataclass(frozen=True)
class Shipped:
    """How a configuration ships objects of the notebook.

    Attributes:
        files: Variable -> the file that `artefact:` saves it to.
        path: The file or folder on this machine that `artefact:` names, if it does.
        is_beside_code: The model files are elsewhere, so that objects lie beside the code.
    """

    files: Mapping[str, str] = field(default_factory=dict)
    path: Path | None = None
    is_beside_code: bool = False


AS_MODEL_FILES = Shipped()
"""Objects become files of the model, under names that are chosen for them."""


@dataclass(frozen=True)
class CapturedModule:
    """Code that serves a model: `sageturner.py` and what lies beside it.

    Attributes:
        origin: For people: `In[3], In[4]` or the code directory.
        files: `sageturner.py` first, then what is shipped beside it, sorted by path.
        cells: The numbers of the notebook cells it was made from; empty for a directory.
        imports: Top-level names that the code imports and that are not its own.
        lines: Line of sageturner.py (from 1) -> the cell's line it was copied from.
        objects: What the module reads from model_dir when it is imported.
        definitions: Id of a class or function of the notebook -> its name in the module, for
            pickles that refer to it.
    """

    origin: str
    files: tuple[SourceFile, ...]
    cells: tuple[int, ...] = ()
    imports: tuple[str, ...] = ()
    lines: dict[int, CellLine] = field(default_factory=dict)
    objects: tuple[LiveObject, ...] = ()
    definitions: Mapping[int, str] = field(default_factory=dict)

    @property
    def source(self) -> str:
        """The text of sageturner.py."""
        return b"".join(self.files[0].chunks()).decode("utf-8")

    def digest(self) -> str:
        """SHA-256 (hex) over the paths and contents of all files."""
        # OpenSSL takes as long to load as all else of the extension.
        import hashlib

        whole = hashlib.sha256()
        for file in self.files:
            content = hashlib.sha256()
            for chunk in file.chunks():
                content.update(chunk)
            line = f"{file.path}\0{content.hexdigest()}\n"
            whole.update(line.encode(errors="surrogateescape"))
        return whole.hexdigest()

    def write(self, folder: Path) -> None:
        """Write all files below `folder`, which is made if need be. Raises OSError."""
        for file in self.files:
            target = folder / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as out:
                for chunk in file.chunks():
                    out.write(chunk)


@dataclass(frozen=True)
class Artefact:
    """A model artefact on this machine: files that load() finds under `model_dir`.

    Attributes:
        folder: The folder whose content becomes `model_dir`.
        digest: SHA-256 (hex) over relative paths and contents.
        size: Bytes of all files together.
        files: Number of files.
    """

    folder: Path
    digest: str
    size: int
    files: int


@dataclass(frozen=True)
class ImageRef:
    """An image in a registry, by digest.

    Attributes:
        repository: Registry host and repository, without a tag.
        digest: `sha256:…` of the manifest.
        tag: The tag it was pushed under.
        architecture: `amd64` or `arm64`.
        size: Compressed bytes of all layers.
    """

    repository: str
    digest: str
    tag: str
    architecture: str
    size: int

    @property
    def pinned(self) -> str:
        """`repository@sha256:…`, the form that SageMaker gets."""
        return f"{self.repository}@{self.digest}"


@dataclass(frozen=True)
class UnpackedImage:
    """An image as a folder, with what its configuration says of running it.

    Attributes:
        root: Becomes `/`. Other images share files of it: it is never written to.
        command: Entrypoint and command.
        environment: The image's own variables.
        working_dir: Where the command starts.
    """

    root: str
    command: tuple[str, ...]
    environment: dict[str, str]
    working_dir: str

    @classmethod
    def of_json(cls, said: dict[str, Any] | None) -> UnpackedImage | None:
        """The image whose `asdict` went through JSON."""
        return cls(**{**said, "command": tuple(said["command"])}) if said else None


@dataclass(frozen=True)
class InvokeOptions:
    """What SageMaker takes with a request beside its body; empty is left out.

    Source: the API reference of InvokeEndpoint.

    Attributes:
        custom_attributes: At most 1,024 visible ASCII characters, which predict reads as
            `context.custom_attributes`.
        inference_id: Names the request in captured data, at most 64 characters.
        session_id: The stateful session that the request belongs to; NEW_SESSION begins one.
        target_variant: The production variant that responds.
    """

    custom_attributes: str = ""
    inference_id: str = ""
    session_id: str = ""
    target_variant: str = ""

    @property
    def given(self) -> dict[str, str]:
        """Those that are set, by the name that the API gives them."""
        names = ("CustomAttributes", "InferenceId", "SessionId", "TargetVariant")
        pairs = zip(names, astuple(self), strict=True)
        return {name: value for name, value in pairs if value}

    @property
    def dashed(self) -> dict[str, str]:
        """Those that are set, by their names with hyphens: `Custom-Attributes`."""
        border = re.compile(r"(?<=[a-z])(?=[A-Z])")
        return {border.sub("-", name): value for name, value in self.given.items()}

    @property
    def headers(self) -> dict[str, str]:
        """Those that are set, as the headers that a container gets."""
        return {f"X-Amzn-SageMaker-{name}": value for name, value in self.dashed.items()}


NO_OPTIONS = InvokeOptions()


@dataclass(frozen=True)
class Request:
    """A request to a model, as it is sent; `endpoints.payload.encode` makes one of a Python value.

    Attributes:
        body: The payload's bytes.
        content_type: Media type of the body.
        accept: Media type wanted for the response; empty leaves it to the model.
        timeout_s: Seconds to wait for the response; of a streamed one, for each piece.
        options: What SageMaker takes beside the body.
    """

    body: bytes = field(repr=False)
    content_type: str = "application/json"
    accept: str = ""
    timeout_s: float = REQUEST_SECONDS
    options: InvokeOptions = NO_OPTIONS


@dataclass(frozen=True)
class Attempt:
    """The outcome of one request of a load test.

    Attributes:
        status: HTTP status of the model server, or of AWS where the request got no further; None
            without a response.
        trouble: The kind of failure in a few words, equal for equal causes; empty on success.
        detail: The model's or AWS's own message.
        size: Bytes of the response.
    """

    status: int | None
    trouble: str = ""
    detail: str = ""
    size: int = 0


@dataclass(frozen=True)
class Credentials:
    """A user and password (or a token in the place of either). Neither shows in `repr`."""

    user: str = field(repr=False)
    password: str = field(repr=False)


class Reporter(Protocol):
    """What a long piece of work is given to say how far it is.

    Implementations may be called from any thread.
    """

    def log(self, line: str) -> None:
        """One line of output of the work (a build log, a server's log)."""

    def progress(self, done: float, total: float | None, unit: str, part: str = "") -> None:
        """How much is done; `unit` is `B` for bytes, otherwise a plural noun.

        `total` is None while it is not known. `part` names one of several concurrent measures
        (a layer, a file).
        """

    def checkpoint(self) -> None:
        """Raises DeploymentCancelled when the user has asked to stop."""


def attribute_of(value: object, name: str, default: Any = None) -> Any:
    """Return an attribute of an object of the user's, whose `__getattr__` may raise anything.

    That of a dict whose keys are attributes raises KeyError.
    """
    try:
        return getattr(value, name, default)
    except Exception:
        return default


def package_of(kind: type) -> str:
    """Return the name of the package that `kind` comes from; "" if it does not say.

    Some extension types (functions that Cython compiled) have a descriptor for `__module__`.
    """
    home = kind.__module__
    return home.partition(".")[0] if isinstance(home, str) else ""
