"""`python_packages: auto`: what the code and the artefact need, at this kernel's versions."""

from __future__ import annotations

import ast
import importlib.metadata
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sageturner_magic.capture.distributions import direct_url, local_path, providers
from sageturner_magic.capture.pickles import modules_in
from sageturner_magic.capture.statements import imported_names
from sageturner_magic.errors import CaptureError, Finding
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


_PLUGINS: tuple[tuple[str, re.Pattern[str], tuple[str, ...]], ...] = (
    # Package; what the code does with it; modules of which it then needs one, the first that
    # is installed.
    ("pandas", re.compile(r"\b(?:read|to)_parquet\b"), ("pyarrow", "fastparquet")),
    ("pandas", re.compile(r"\b(?:read|to)_(?:feather|orc)\b"), ("pyarrow",)),
    ("pandas", re.compile(r"\b(?:read|to)_excel\b"), ("openpyxl", "xlsxwriter", "xlrd")),
    ("pandas", re.compile(r"\b(?:read|to)_hdf\b"), ("tables",)),
    ("pandas", re.compile(r"\b(?:read|to)_sql\b"), ("sqlalchemy",)),
    ("pandas", re.compile(r"\bread_html\b"), ("lxml", "html5lib")),
    ("transformers", re.compile(r""), ("torch", "tensorflow", "flax")),
    ("transformers", re.compile(r"\bdevice_map\b"), ("accelerate",)),
    ("sentence_transformers", re.compile(r""), ("torch",)),
    ("diffusers", re.compile(r""), ("torch",)),
    ("torchvision", re.compile(r"\bread_image\b|\btransforms\b"), ("PIL",)),
)

# Where the builds that PyPI does not have are published: https://pytorch.org/get-started.
_TORCH_INDEX = "https://download.pytorch.org/whl/"
_TORCH_FAMILY = frozenset({"torch", "torchvision", "torchaudio", "torchtext"})
_TORCH_BUILD = re.compile(r"cpu|cu\d{2,3}|rocm[\d.]+|xpu")


def needed_packages(
    module: CapturedModule, artefact: Artefact | None, staging: Path
) -> tuple[NeededPackage, ...]:
    """What `module` imports and `artefact` refers to, pinned to what this interpreter has.

    Args:
        staging: A folder of the caller's for wheels of editable installs.

    Raises:
        CaptureError: Something is needed that no installer can get, with every such finding.
    """
    installed = providers()
    needs = list(_needs(module, artefact, installed))
    found: dict[str, NeededPackage] = {}
    findings: list[Finding] = []
    for need in needs:
        names = _distributions(need.module, installed)
        # A namespace package is nobody's; its modules are asked for one by one.
        is_known = need.module.partition(".")[0] in installed
        if not names and not need.optional and not is_known:
            findings.append(
                Finding(
                    f"No package is known that has `{need.module}`",
                    where=need.because,
                    why="it is not installed in this notebook's environment, or not as a package",
                    do="install it with pip, or list the packages under `python_packages`",
                )
            )
        for name in names:
            if name not in found:
                try:
                    line = _line(name, staging)
                except CaptureError as error:
                    findings += error.findings
                    continue
                found[name] = NeededPackage(name, line, need.because)
    if findings:
        raise CaptureError.of(findings)
    return tuple(sorted(found.values(), key=lambda each: each.name.lower()))


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
        for dotted, optional in _imports(ast.parse(source)):
            if _is_other(dotted, own):
                known = seen.get(dotted)
                if known is None or (known.optional and not optional):
                    seen[dotted] = _Need(dotted, f"import {dotted}", optional)
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
    for package, trigger, modules in _PLUGINS:
        if package in packages and trigger.search(whole):
            chosen = next((each for each in modules if each in installed), None)
            if chosen is not None:
                yield _Need(chosen, f"{package} needs it", optional=False)


def _is_other(dotted: str, own: set[str]) -> bool:
    package = dotted.partition(".")[0]
    return package not in own and package not in sys.stdlib_module_names and package != "__main__"


def _imports(tree: ast.Module) -> Iterator[tuple[str, bool]]:
    """Dotted names that the code imports, and whether it goes on without them."""
    stack: list[tuple[ast.AST, bool]] = [(tree, False)]
    while stack:
        node, optional = stack.pop()
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            for imported in imported_names(node):
                if imported.package:
                    yield imported.module, optional
                    if imported.name and imported.name != "*":
                        # It may be a module: from google.cloud import storage.
                        yield f"{imported.module}.{imported.name}", True
        elif isinstance(node, ast.Call):
            literal = _imported_by_call(node)
            if literal:
                yield literal, optional
        for child in ast.iter_child_nodes(node):
            stack.append((child, optional or _may_fail(node, child)))


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


def _line(name: str, staging: Path) -> str:
    """The piece of a pip command line that installs what this environment has."""
    distribution = importlib.metadata.distribution(name)
    version = distribution.version
    direct = direct_url(distribution)
    if direct:
        return _from_direct_url(name, direct, staging)
    _, _, build = version.partition("+")
    if not build:
        return f"{name}=={version}"
    if name.lower() in _TORCH_FAMILY and _TORCH_BUILD.fullmatch(build):
        return f"--extra-index-url {_TORCH_INDEX}{build} {name}=={version}"
    raise CaptureError(
        f"`{name}` {version} is a build that no public index has",
        do="list it under `python_packages` with its index:"
        f" `--extra-index-url … {name}=={version}`",
    )


def _from_direct_url(name: str, direct: Mapping[str, object], staging: Path) -> str:
    url = str(direct.get("url", ""))
    vcs = direct.get("vcs_info")
    if isinstance(vcs, dict):
        return f"{name} @ {vcs['vcs']}+{url}@{vcs['commit_id']}"
    path = local_path(url)
    if path is None:
        return f"{name} @ {url}"
    if path.is_file() and path.suffix == ".whl":
        return str(path)
    if not path.exists():
        raise CaptureError(
            f"`{name}` was installed from {path}, which is not there any more",
            do="install it again, or list it under `python_packages`",
        )
    return str(build_wheel(name, path, staging))


def build_wheel(name: str, project: Path, staging: Path) -> Path:
    """Build the project that `name` is installed from, in an environment without credentials.

    Raises CaptureError with the end of the build's output.
    """
    target = staging / "wheels" / name
    target.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet"]
    result = subprocess.run(
        [*command, "--wheel-dir", str(target), str(project)],
        env=without_credentials(os.environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    wheels = sorted(target.glob("*.whl"))
    if result.returncode or not wheels:
        raise CaptureError(
            f"No wheel could be built of `{name}`",
            where=str(project),
            do="mend the build, or list a published version under `python_packages`",
            details="\n".join((result.stdout + result.stderr).splitlines()[-20:]),
        )
    return wheels[-1]


def without_credentials(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` without what gives access to AWS: a build runs code of strangers."""
    return {
        name: value for name, value in environment.items() if not name.upper().startswith("AWS_")
    }
