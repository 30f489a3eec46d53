"""What a caller asks to be deployed, before it is checked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

from sageturner_magic.capture import Notebook, from_folder
from sageturner_magic.config import Config
from sageturner_magic.constants import ContainerMode, EndpointType
from sageturner_magic.context import DEFAULT_AWS, AwsOptions
from sageturner_magic.errors import CaptureError, Finding, SageturnerError
from sageturner_magic.values import (
    AS_MODEL_FILES,
    CapturedModule,
    LiveModel,
    LiveObject,
    Request,
    Shipped,
    SourceFile,
)

Value = TypeVar("Value")


class CodeSource(Protocol):
    """Where load() and predict() come from."""

    def module(self) -> tuple[CapturedModule, list[Finding]]:
        """The module, and notes on what was left out. Raises CaptureError."""

    def deployed(self, endpoint: str, objects: Sequence[LiveObject]) -> None:
        """Told when endpoint `endpoint` runs this code with `objects` of the notebook."""


@dataclass(frozen=True)
class NotebookCode:
    """The cells that are captured under the endpoint's name, or the unnamed pair.

    Attributes:
        shipped: How the configuration ships objects of the notebook.
        model: The object for which the code is generated, in place of captured cells.
    """

    notebook: Notebook
    name: str
    shipped: Shipped = AS_MODEL_FILES
    model: LiveModel | None = None

    def module(self) -> tuple[CapturedModule, list[Finding]]:
        return self.notebook.module_and_notes(self.name, self.shipped, self.model)

    def deployed(self, endpoint: str, objects: Sequence[LiveObject]) -> None:
        self.notebook.captures.deployed(self.name, endpoint)
        self.notebook.watched.deployed(endpoint, objects)


@dataclass(frozen=True)
class FolderCode:
    """A code directory with a sageturner.py."""

    folder: Path

    def module(self) -> tuple[CapturedModule, list[Finding]]:
        return from_folder(self.folder)

    def deployed(self, endpoint: str, objects: Sequence[LiveObject]) -> None:
        pass


@dataclass(frozen=True)
class ProvidedCode:
    """A folder with the user's own Dockerfile; the code is whatever that puts into the image."""

    folder: Path | None

    def module(self) -> tuple[CapturedModule, list[Finding]]:
        if self.folder is None or not (self.folder / "Dockerfile").is_file():
            raise CaptureError(
                "There is no Dockerfile",
                where=str(self.folder or ""),
                do="name the folder that has it as container.provide_container.docker_dir",
                code="ST67",
            )
        dockerfile = SourceFile("Dockerfile", self.folder / "Dockerfile")
        return CapturedModule(str(self.folder), (dockerfile,)), []

    def deployed(self, endpoint: str, objects: Sequence[LiveObject]) -> None:
        pass


@dataclass(frozen=True)
class Reference:
    """What predict() of the notebook returned, as JSON gives it back.

    Attributes:
        request: The request; None if predict() did not run.
        value: The response.
        why_not: Why it did not run.
        gpu: It was perhaps computed on a GPU.
        agrees: The deployed code has given the same response.
    """

    request: Request | None = None
    value: Any = None
    why_not: str = ""
    gpu: bool = False
    agrees: bool = False


@dataclass(frozen=True)
class DeployRequest:
    """Everything that a plan is made from.

    Attributes:
        namespace: Live objects that `artefact: {file: variable}` may name.
        detach: A local endpoint outlives the process that deploys it.
        python: The interpreter that runs a local process endpoint.
        smoke_test: An image is tried on this machine's Docker engine before it is pushed.
        fresh: Code and image are tried although the same passed before.
        reference: The notebook's own response; None for code that no notebook has.
    """

    config: Config
    endpoint_type: EndpointType
    container_mode: ContainerMode
    code: CodeSource
    namespace: Mapping[str, object] = field(repr=False)
    detach: bool
    python: str
    aws: AwsOptions = DEFAULT_AWS
    smoke_test: bool = True
    fresh: bool = False
    reference: Reference | None = None

    @property
    def local_mode(self) -> Literal["process", "container"]:
        """How a local endpoint runs; an image of the user's own can only be a container."""
        provided = self.container_mode == "provide"
        return "container" if provided else self.config.compute.local.mode


def code_source(
    config: Config,
    container_mode: ContainerMode,
    notebook: Notebook | None,
    model: LiveModel | None = None,
) -> CodeSource:
    """The user's own image, else the code directory that is configured, else the cells.

    Args:
        model: The object that takes the place of captured cells.

    Raises:
        CaptureError: There is none of them, or one of them and a model.
    """
    other = "docker_dir" if container_mode == "provide" else "code_dir" if config.code_dir else ""
    if model is not None and other:
        raise CaptureError(
            f"There are two sources of code: `--model {model.name}` and `{other}`",
            where=model.where,
            do="leave one of them out",
            code="ST32",
        )
    if container_mode == "provide":
        return ProvidedCode(config.docker_dir)
    folder = config.code_dir
    if folder is not None:
        return FolderCode(folder)
    if notebook is None and model is not None:
        # A script has no cells: what its model needs has to be importable.
        notebook = Notebook({})
    if notebook is not None:
        files = {variable: file for file, variable in config.artefact_variables.items()}
        spec = config.named_artefact
        path = config.resolve(spec) if isinstance(spec, str) and not config.s3_artefact else None
        shipped = Shipped(files, path, bool(config.s3_artefact))
        return NotebookCode(notebook, config.name, shipped, model)
    raise CaptureError(
        "There is no code to deploy",
        where=config.where("container.generate_container"),
        why="outside a notebook there are no captured cells, and `code_dir` is not set",
        do="set container.generate_container.code_dir to the folder that holds sageturner.py",
        code="ST31",
    )


class Collector:
    """Run checks one after the other and keep what each finds, so that all is shown at once.

    Findings that name a key of `config` are shown with its line.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self.findings: list[Finding] = []
        self._errors: list[SageturnerError] = []
        self._beside: list[Future[None]] = []

    def attempt(self, check: Callable[[], Value]) -> Value | None:
        """The result of `check`, or None when it raised; what it raised is kept."""
        try:
            return check()
        except SageturnerError as error:
            self._errors.append(error)
            return None

    def beside(self, check: Callable[[], None]) -> None:
        """Run `check` on a thread; `finish` waits for it, and tells first what it raised."""
        future: Future[None] = Future()

        def run() -> None:
            try:
                check()
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(None)

        self._beside.append(future)
        # Whoever interrupts a plan does not wait for it.
        threading.Thread(target=run, name="sageturner-check", daemon=True).start()

    def collect(self, check: Callable[[], Iterable[Finding]]) -> None:
        """Keep the findings of `check`, or what it raised."""
        self.add(self.attempt(check) or ())

    def add(self, findings: Iterable[Finding]) -> None:
        """Keep findings of any severity."""
        self.findings += map(self._config.located, findings)

    def finish(self) -> tuple[Finding, ...]:
        """The warnings and notes. Raises everything else as one error."""
        found_before, self._errors = self._errors, []
        while self._beside:
            self.attempt(self._beside.pop(0).result)
        self._errors += found_before
        errors = [finding for finding in self.findings if finding.severity == "error"]
        raised = (finding for error in self._errors for finding in error.findings)
        errors += map(self._config.located, raised)
        if errors:
            kinds = {type(error) for error in self._errors}
            kind = kinds.pop() if len(kinds) == 1 and len(self._errors) else SageturnerError
            raise kind.of(dict.fromkeys(errors))
        return tuple(finding for finding in self.findings if finding.severity != "error")

    def require(self, value: Value | None) -> Value:
        """`value`, which is None only if a check failed. Raises as `finish` does."""
        self.finish()
        assert value is not None
        return value
