"""Find what code and artefact need, at this kernel's versions: `python_packages: auto`."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sageturner_magic.errors import CaptureError, Finding
from sageturner_magic.packages.needed.distributions import conda_package, providers
from sageturner_magic.packages.needed.extras import extras_of
from sageturner_magic.packages.needed.imports import imported_names
from sageturner_magic.packages.needed.pickles import modules_in
from sageturner_magic.packages.needed.pins import pin
from sageturner_magic.packages.needed.plugins import plugins_of
from sageturner_magic.values import Artefact, CapturedModule


@dataclass(frozen=True)
class NeededPackage:
    """A distribution that serves the model.

    Attributes:
        name: The distribution's name.
        line: The piece of a pip command line that installs it, flags included.
        because: What needs it: `import sklearn`, `model.joblib`.
    """

    name: str
    line: str
    because: str


@dataclass(frozen=True)
class _Need:
    module: str
    because: str
    optional: bool


def needed_packages(module: CapturedModule, artefact: Artefact | None) -> tuple[NeededPackage, ...]:
    """What `module` imports and `artefact` refers to, pinned to what this interpreter has.

    Raises:
        CaptureError: Something is needed that no installer can get, with every such finding.
    """
    installed = providers()
    found: dict[str, NeededPackage] = {}
    modules: dict[str, set[str]] = {}
    findings: list[Finding] = []
    for need in _needs(module, artefact, installed):
        names = _distributions(need.module, installed)
        # A namespace package is nobody's; its modules are asked for one by one.
        is_known = need.module.partition(".")[0] in installed
        if not names and not need.optional and not is_known:
            findings.append(_nobodys(need))
        for name in names:
            modules.setdefault(name, set()).add(need.module)
            found.setdefault(name, NeededPackage(name, "", need.because))
    for name in list(found):
        try:
            extras, brought = extras_of(name, modules[name], installed)
            found[name] = replace(found[name], line=pin(name, extras))
            for other in brought:
                because = f"{name}[{','.join(extras)}]"
                found.setdefault(other, NeededPackage(other, pin(other), because))
        except CaptureError as error:
            findings += error.findings
    if findings:
        raise CaptureError.of(dict.fromkeys(findings))
    return tuple(sorted(found.values(), key=lambda each: each.name.lower()))


def _nobodys(need: _Need) -> Finding:
    top = need.module.partition(".")[0]
    conda = conda_package(top, Path(sys.prefix))
    if conda:
        return Finding(
            f"`{top}` is in the conda package `{conda}`, which pip cannot install",
            where=need.because,
            do="install it with pip if an index has it, or give a base_image that has it and list"
            " the other packages under `python_packages`",
            code="ST62",
        )
    return Finding(
        f"No package is known that has `{need.module}`",
        where=need.because,
        why="it is not installed in this notebook's environment, or not as a package",
        do="install it with pip, or list the packages under `python_packages`",
        code="ST61",
    )


def _needs(
    module: CapturedModule, artefact: Artefact | None, installed: Mapping[str, Sequence[str]]
) -> Iterator[_Need]:
    own = {file.path.partition("/")[0].removesuffix(".py") for file in module.files}
    sources = [
        (file.path, b"".join(file.chunks()).decode("utf-8", "replace"))
        for file in module.files
        if file.path.endswith(".py")
    ]
    seen: dict[str, _Need] = {}
    for _, source in sources:
        for found in imports_in(ast.parse(source)):
            if _is_other(found.module, own):
                known = seen.get(found.module)
                if known is None or (known.optional and not found.optional):
                    seen[found.module] = _Need(
                        found.module, f"import {found.module}", found.optional
                    )
    if artefact is not None:
        for path in sorted(artefact.folder.rglob("*")):
            if not path.is_file():
                continue
            for dotted in sorted(modules_in(path)):
                if _is_other(dotted, own):
                    # What looks like a module in raw bytes may be none.
                    seen.setdefault(dotted, _Need(dotted, path.name, optional=True))
    yield from seen.values()
    packages = {dotted.partition(".")[0] for dotted in seen}
    whole = "\n".join(source for _, source in sources)
    for plugin, package in plugins_of(packages, whole, installed):
        yield _Need(plugin, f"{package} needs it", optional=False)


def _is_other(dotted: str, own: set[str]) -> bool:
    package = dotted.partition(".")[0]
    return package not in own and package not in sys.stdlib_module_names and package != "__main__"


@dataclass(frozen=True)
class FoundImport:
    """An import in some code.

    Attributes:
        module: The dotted name of what is imported; it may be an attribute of a module.
        line: Where it stands, from 1.
        optional: The code goes on without it.
        later: It runs when a function is called, not when the code is imported.
    """

    module: str
    line: int
    optional: bool
    later: bool


def imports_in(tree: ast.Module) -> Iterator[FoundImport]:
    """What the code imports, in no order."""
    stack: list[tuple[ast.AST, bool, bool]] = [(tree, False, False)]
    while stack:
        node, optional, later = stack.pop()
        line = getattr(node, "lineno", 1)
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            for imported in imported_names(node):
                if imported.package:
                    yield FoundImport(imported.module, line, optional, later)
                    if imported.name and imported.name != "*":
                        # It may be a module: from google.cloud import storage.
                        dotted = f"{imported.module}.{imported.name}"
                        yield FoundImport(dotted, line, True, later)
        elif isinstance(node, ast.Call):
            literal = _imported_by_call(node)
            if literal:
                yield FoundImport(literal, line, optional, later)
        inside = later or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for child in ast.iter_child_nodes(node):
            if not _is_for_types(node, child):
                stack.append((child, optional or _may_fail(node, child), inside))


def _is_for_types(parent: ast.AST, child: ast.AST) -> bool:
    """Whether only type checkers read `child`: it stands below `if TYPE_CHECKING:`."""
    if not isinstance(parent, ast.If) or child not in parent.body:
        return False
    return ast.unparse(parent.test).rpartition(".")[2] == "TYPE_CHECKING"


def _imported_by_call(node: ast.Call) -> str:
    called = ast.unparse(node.func)
    if called not in ("importlib.import_module", "import_module", "__import__") or not node.args:
        return ""
    first = node.args[0]
    value = first.value if isinstance(first, ast.Constant) else ""
    return value if isinstance(value, str) and not value.startswith(".") else ""


def _may_fail(parent: ast.AST, child: ast.AST) -> bool:
    if isinstance(parent, ast.Try) and child in parent.body:
        caught = [ast.unparse(each.type) if each.type else "Exception" for each in parent.handlers]
        return any(re.search(r"ImportError|ModuleNotFoundError|Exception", each) for each in caught)
    if isinstance(parent, ast.If) and child in parent.body:
        return ast.unparse(parent.test).endswith("TYPE_CHECKING")
    return False


def _distributions(dotted: str, installed: Mapping[str, Sequence[str]]) -> list[str]:
    """The distribution that has the module `dotted`; of a namespace package, the right one."""
    names = sorted(set(installed.get(dotted.partition(".")[0], ())))
    if len(names) < 2:
        return names
    parts = dotted.split(".")
    for depth in range(len(parts), 1, -1):
        prefix = "/".join(parts[:depth])
        holding = [name for name in names if _has(name, prefix)]
        if holding:
            return holding
    return [] if len(parts) == 1 else names[:1]


def _has(name: str, prefix: str) -> bool:
    files = importlib.metadata.files(name) or ()
    return any(str(each).startswith((f"{prefix}/", f"{prefix}.")) for each in files)
