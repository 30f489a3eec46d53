"""Remember which images started on this machine, so that a change of code needs no second start.

The plan for SageMaker uses it. The code itself is tried in a clean process in any case.
"""

from __future__ import annotations

import ast
import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from sageturner_magic import image
from sageturner_magic._version import __version__
from sageturner_magic.deployment.ingredients import Ingredients
from sageturner_magic.deployment.plans.images import WantedImage
from sageturner_magic.deployment.tried import cannot_run_here
from sageturner_magic.endpoints.local import LocalState
from sageturner_magic.image import BuildSpec, ChosenBuilder, ProvidedSpec
from sageturner_magic.packages.needed import imported_names
from sageturner_magic.values import CapturedModule

MAX_AGE = 24 * 3600.0
"""Seconds for which a start counts: the tag of a base image may mean another image tomorrow."""

MACHINE_MODULES = {"cffi", "ctypes", "multiprocessing", "pty", "subprocess"}
MACHINE_NAMES = {
    *("CDLL", "create_subprocess_exec", "create_subprocess_shell", "environ", "execl", "execv"),
    *("execve", "execvp", "expanduser", "find_library", "getenv", "gethostname", "getlogin"),
    *("home", "import_module", "popen", "posix_spawn", "spawnl", "spawnv", "system", "uname"),
    *("which", "__import__"),
}
EVALUATING = {"eval", "exec"}
"""What code uses to reach files, programs and libraries that an image may not have."""


@dataclass(frozen=True)
class ImageTrial:
    """The start of an image on this machine, before it is pushed.

    Attributes:
        tag: The image's.
        identity: The digest of all that decides whether it starts, except the text of the code;
            empty where only a start can tell.
        since: The tag of an image that started with the same identity; empty if there is none.
    """

    tag: str
    identity: str = ""
    since: str = ""

    def passed(self) -> None:
        """Remember that the image started. Raises OSError."""
        if self.identity:
            written = _store() / self.identity
            written.parent.mkdir(parents=True, exist_ok=True)
            written.write_text(self.tag, encoding="utf-8")


def image_trial(
    wanted: WantedImage,
    chosen: ChosenBuilder,
    ingredients: Ingredients,
    variables: dict[str, str],
    memory: int | None,
) -> ImageTrial:
    """The trial of an image, with what is remembered of one that differs in its code alone.

    Args:
        variables: The container's environment.
        memory: Of a serverless endpoint, in MB.
    """
    spec, tag = wanted.spec, wanted.tag
    if isinstance(spec, ProvidedSpec) or cannot_run_here(ingredients):
        # Nothing but a start of the image tries this code.
        return ImageTrial(tag)
    identity = _identity(spec, chosen, ingredients, variables, memory)
    if ingredients.request.fresh:
        return ImageTrial(tag, identity)
    return ImageTrial(tag, identity, _started(_store() / identity))


def _started(written: Path) -> str:
    try:
        if time.time() - written.stat().st_mtime < MAX_AGE:
            return written.read_text(encoding="utf-8")
    except OSError:
        pass
    return ""


def _store() -> Path:
    return LocalState().root / "image-trials"


def _identity(
    spec: BuildSpec,
    chosen: ChosenBuilder,
    ingredients: Ingredients,
    variables: dict[str, str],
    memory: int | None,
) -> str:
    artefact, config = ingredients.artefact, ingredients.config
    codeless = replace(spec, module=CapturedModule("", ()))
    parts = [
        __version__,
        # Base image, packages, system packages, variables of the image and the model server.
        image.image_tag(codeless),
        chosen.builder.name,
        artefact.digest if artefact else None,
        variables,
        sorted(config.secrets),
        memory,
        [
            [file.path, sorted(_needs(file.chunks(), file.path))]
            for file in sorted(spec.module.files, key=lambda file: file.path)
        ],
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _needs(chunks: Iterator[bytes], path: str) -> set[str]:
    """What a file asks of the image: the whole of it, unless it is code that reaches nothing."""
    content = b"".join(chunks)
    if path.endswith(".py"):
        try:
            return needs_of_code(content.decode("utf-8"))
        except (SyntaxError, ValueError):
            pass
    return {hashlib.sha256(content).hexdigest()}


def needs_of_code(source: str) -> set[str]:
    """Imports and paths in `source`; all of it if it starts programs or loads libraries itself.

    Raises:
        SyntaxError: It is not Python.
    """
    found: set[str] = set()
    reaches = False
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import() | ast.ImportFrom():
                names = imported_names(node)
                found |= {f"{each.module}:{each.name}" for each in names}
                reaches |= any(
                    each.package in MACHINE_MODULES or each.name in MACHINE_NAMES for each in names
                )
            case ast.Attribute(attr=name):
                reaches |= name in MACHINE_NAMES
            case ast.Name(id=name):
                reaches |= name in MACHINE_NAMES | EVALUATING
            case ast.Constant(value=str() | bytes() as text) if _is_path(str(text)):
                found.add(repr(text))
    return {source} if reaches else found


def _is_path(text: str) -> bool:
    return "/" in text or "\\" in text or text.startswith("~")
