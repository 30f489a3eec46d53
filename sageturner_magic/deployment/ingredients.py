"""Gather what a deployment is made of: code, model files and packages.

Gathered once from a request. Plans, trials, exports, and previews of the Dockerfile and of the
packages are made of them. Knows no endpoints and no images.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from sageturner_magic.capture import lost_variables, shown_secrets
from sageturner_magic.capture.artefact import artefact_remarks, prepare_artefact, with_objects
from sageturner_magic.config import Config, given_to_server
from sageturner_magic.constants import THIS_PYTHON
from sageturner_magic.context import current_notebook
from sageturner_magic.deployment.image_packages import resolved
from sageturner_magic.deployment.local_secrets import values_of
from sageturner_magic.deployment.outline import outline
from sageturner_magic.deployment.request import Collector, DeployRequest, NotebookCode
from sageturner_magic.deployment.trial import check_module
from sageturner_magic.errors import Finding, SageturnerError
from sageturner_magic.packages import PipArguments, Requirements, Target, parse_pip_arguments
from sageturner_magic.packages.needed import NeededPackage, needed_packages, scikit_learn_of
from sageturner_magic.text import size
from sageturner_magic.values import Artefact, CapturedModule, LiveObject, Reporter

DEFAULT_PYTHON = "3.12"
"""Outside a notebook, if the configuration names none."""


@dataclass(frozen=True)
class Ingredients:
    """The code and the model files of a deployment; the rest is computed when it is asked for.

    Attributes:
        artefact: None if the model files are in S3, or if there are none.
    """

    request: DeployRequest
    module: CapturedModule
    artefact: Artefact | None

    @property
    def model_dir(self) -> Path | None:
        """The folder of the model files on this machine."""
        return self.artefact.folder if self.artefact else None

    @property
    def config(self) -> Config:
        """The request's configuration."""
        return self.request.config

    @property
    def serving(self) -> dict[str, Any]:
        """The `serving` section as the server reads it."""
        return self.config.serving.settings()

    @property
    def environment(self) -> dict[str, str]:
        """The user's variables of a process on this machine, with the secrets that it has."""
        return {**self.config.environment, **given_to_server(values_of(self.config))}

    def variables(self, region: str) -> dict[str, str]:
        """The container's environment on SageMaker."""
        return self.config.container_environment(self.request.container_mode, region)

    @property
    def python_version(self) -> str:
        """The image's Python: the configured one, in a notebook the kernel's."""
        wanted = self.config.container.generate_container.python_version
        if wanted is not None:
            return wanted
        if isinstance(self.request.code, NotebookCode):
            return THIS_PYTHON
        return DEFAULT_PYTHON

    @cached_property
    def needed_packages(self) -> tuple[NeededPackage, ...]:
        """What `python_packages: auto` stands for.

        Raises:
            CaptureError: No installer can get a package that the code or the artefact needs.
        """
        return needed_packages(self.module, self.artefact)

    @property
    def outline(self) -> str:
        """A request with the keys that predict() reads; "" for an image of one's own."""
        provided = self.request.container_mode == "provide"
        return "" if provided else outline(self.module.source)

    @property
    def lost_variables(self) -> list[Finding]:
        """What the notebook set in its environment and the module's process will not have."""
        return _lost_variables(self.request, self.module)

    @property
    def package_lines(self) -> tuple[str, ...]:
        """Pieces of a pip command line: the configured ones, or those of `needed_packages`."""
        wanted = self.config.container.generate_container.python_packages
        if wanted != "auto":
            return tuple(wanted)
        return tuple(each.line for each in self.needed_packages)

    @property
    def pip_arguments(self) -> PipArguments:
        """`package_lines` as pip reads them.

        Raises:
            CaptureError: As for `needed_packages`.
            ImageError: Lines that pip would not understand, each with its index.
        """
        place = "container.generate_container.python_packages"
        return parse_pip_arguments(self.package_lines, self.config.resolve("."), place)

    def requirements(self, target: Target, reporter: Reporter) -> Requirements:
        """The exact files of all packages for `target`.

        Raises:
            CaptureError: As for `needed_packages`.
            ImageError: There is no such set of packages.
        """
        return resolved(self.pip_arguments, target, reporter)

    def check_imports(self, reporter: Reporter) -> None:
        """Import the module in a clean process, if it comes from cells. Raises CaptureError.

        The kernel has what its cells import, so what fails here fails in the image too. What a
        code directory imports need not be installed on the machine that deploys it.
        """
        if isinstance(self.request.code, NotebookCode):
            self.check_imports_here(reporter)

    def check_imports_here(self, reporter: Reporter) -> None:
        """Import the module in a clean process of this machine. Raises CaptureError."""
        check_module(
            self.module,
            self.request.python,
            reporter,
            model_dir=self.model_dir,
            environment=self.environment,
        )


def gather(
    request: DeployRequest, workspace: Path, reporter: Reporter, found: Collector
) -> Ingredients | None:
    """The ingredients of what runs on this machine; problems and notes go to `found`.

    Returns:
        None without code. If the model files have a problem, the rest can still be checked.
    """
    config = request.config
    module = _module(request, found)
    files = found.attempt(
        lambda: prepare_artefact(
            config.named_artefact,
            config.resolve("."),
            request.namespace,
            workspace,
            reporter,
            module.objects if module else (),
            module.definitions if module else {},
        )
    )
    if module is None:
        return None
    ingredients = Ingredients(request, module, files)
    if files is not None:
        place = config.resolve(".")
        found.add(artefact_remarks(config.named_artefact, place, request.namespace, files))
        found.add(_shipped(each, files.folder / each.file) for each in module.objects)
        found.add(_too_large(ingredients, files.folder))
    found.collect(lambda: _saved_by_another_version(ingredients))
    return ingredients


def gather_for_image(
    request: DeployRequest, workspace: Path, reporter: Reporter, found: Collector
) -> Ingredients | None:
    """As `gather`, for an image: the model files may be in S3, where SageMaker reads them.

    Objects of the notebook are then shipped beside the code.
    """
    if not request.config.s3_artefact:
        return gather(request, workspace, reporter, found)
    module = _module(request, found)
    shipped = found.attempt(lambda: with_objects(module, workspace)) if module else None
    return Ingredients(request, shipped, None) if shipped else None


def _module(request: DeployRequest, found: Collector) -> CapturedModule | None:
    config = request.config
    found.add(shown_secrets(config.environment, config.tags, config.secrets, config.not_secret))
    captured = found.attempt(request.code.module)
    if captured is None:
        return None
    module, notes = captured
    found.add(notes)
    found.add(_lost_variables(request, module))
    if module.objects and request.config.artefact == "none":
        found.add(map(_not_shipped, module.objects))
    return module


def _bytes_at(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def _too_large(ingredients: Ingredients, folder: Path) -> Iterator[Finding]:
    """Objects that nobody has named and that together are more than `artefact_limit`."""
    code, limit = ingredients.request.code, ingredients.config.artefact_limit
    named = {*ingredients.config.artefact_variables.values()}
    if isinstance(code, NotebookCode) and code.model:
        named.add(code.model.name)
    unasked = [each for each in ingredients.module.objects if each.variable not in named]
    sizes = [_bytes_at(folder / each.file) for each in unasked]
    if sum(sizes) <= limit * 1_000_000:
        return
    pairs = zip(unasked, sizes, strict=True)
    shown = ", ".join(f"{each.named} ({size(count)})" for each, count in pairs)
    files = ", ".join(f"{each.file}: {each.variable}" for each in unasked if not each.members)
    keep = f"name them with `artefact: {{{files}}}`, or " if files else ""
    yield Finding(
        f"{size(sum(sizes))} of objects of the notebook would be shipped: {shown}",
        where="artefact_limit",
        why=f"the code uses them, and more than {limit} MB are not shipped unasked",
        do=f"{keep}raise the limit with `artefact_limit: {-(-sum(sizes) // 1_000_000)}`",
        code="ST38",
    )


def _shipped(each: LiveObject, path: Path) -> Finding:
    shipped = size(_bytes_at(path))
    why = f"the code uses this {type(each.value).__name__} ({shipped})"
    if each.members:
        why = f"the code uses them, and they share parts ({shipped})"
    return Finding(
        f"{each.named} of the notebook {'are' if each.members else 'is'} shipped as {each.file}",
        where="artefact",
        why=why,
        severity="note",
    )


def _not_shipped(each: LiveObject) -> Finding:
    if each.members:
        return Finding(
            f"{each.named} are objects of this notebook, and `artefact: none` ships none",
            where="artefact",
            do="leave `artefact` out, or make them inside load()",
            code="ST38",
        )
    return Finding(
        f"{each.named} is an object of this notebook, and `artefact: none` ships none",
        where="artefact",
        do=f"write `artefact: {{{each.file}: {each.variable}}}`, or make it inside load()",
        code="ST38",
    )


def _lost_variables(request: DeployRequest, module: CapturedModule) -> list[Finding]:
    """What the notebook set in its environment and the module's process will not have."""
    here = current_notebook()
    if here is None or request.container_mode == "provide":
        return []
    return lost_variables(
        here.notebook.cells,
        module.source,
        here.environment,
        {**request.config.environment, **request.config.secrets},
    )


def _saved_by_another_version(ingredients: Ingredients) -> Iterator[Finding]:
    """Model files that another scikit-learn saved than the one that will load them."""
    files = ingredients.artefact
    if files is None or ingredients.request.container_mode == "provide":
        return
    wanted = _wanted_version("scikit-learn", ingredients)
    for path in sorted(files.folder.rglob("*")) if wanted else ():
        saved = scikit_learn_of(path) if path.is_file() else ""
        if saved and not SpecifierSet(wanted).contains(saved, prereleases=True):
            yield Finding(
                f"`{path.relative_to(files.folder)}` was saved by scikit-learn {saved}",
                why=f"scikit-learn{wanted} will load it, and another version may predict otherwise",
                do=f"write `scikit-learn=={saved}` in `python_packages`, or save the model again",
                severity="warning",
                code="ST61",
            )


def _wanted_version(name: str, ingredients: Ingredients) -> str:
    """The versions of `name` that the model gets, as pip writes them; empty for any or none."""
    listed = ingredients.config.container.generate_container.python_packages
    if listed == "auto" or ingredients.request.endpoint_type == "local":
        with suppress(PackageNotFoundError):
            return f"=={version(name)}"
        return ""
    with suppress(SageturnerError):
        for text in ingredients.pip_arguments.requirements:
            with suppress(InvalidRequirement):
                asked = Requirement(text)
                if canonicalize_name(asked.name) == name:
                    return str(asked.specifier)
    return ""
