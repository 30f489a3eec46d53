"""Read a code folder with a sageturner.py in it."""

from __future__ import annotations

import ast
import difflib
import itertools
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path, PurePosixPath

from sageturner_magic.capture.checks import check_functions, raise_for, syntax_finding
from sageturner_magic.capture.secrets import file_findings
from sageturner_magic.capture.syntax import FUNCTIONS, names_of
from sageturner_magic.constants import FOLDERS_DEEP
from sageturner_magic.errors import CaptureError, Finding
from sageturner_magic.packages.needed import imported_names
from sageturner_magic.text import clip
from sageturner_magic.values import CapturedModule, SourceFile

MODULE = "sageturner.py"

LEFT_OUT: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("version control", (".git", ".hg", ".svn")),
    (
        "credentials",
        (
            ".env*",
            ".aws",
            ".ssh",
            ".docker",
            ".kube",
            ".netrc",
            "_netrc",
            ".pypirc",
            ".git-credentials",
            "*.pem",
            "*.key",
            "*.p12",
            "*.pfx",
            "id_rsa*",
            "id_dsa*",
            "id_ecdsa*",
            "id_ed25519*",
            "credentials",
            "credentials.json",
            ".npmrc",
            ".pgpass",
            "kaggle.json",
            "service-account*.json",
            "*.tfstate",
            "*.env",
        ),
    ),
    ("notebooks", ("*.ipynb", ".ipynb_checkpoints")),
    ("caches", ("__pycache__", "*.pyc", ".*_cache", ".DS_Store")),
    ("virtual environments", (".venv", "venv", ".tox", ".nox", "node_modules")),
)
"""What is left out of an image unless .dockerignore brings it back with `!`: why, patterns."""


def from_folder(code_dir: Path) -> tuple[CapturedModule, list[Finding]]:
    """The code in `code_dir`, with notes about what is left out of it.

    Files are named, not read: a large one costs nothing until the image is built.
    Raises CaptureError when there is no usable sageturner.py, with every finding.
    """
    if not code_dir.is_dir():
        raise _no_folder(code_dir)
    main = code_dir / MODULE
    if not main.is_file():
        raise _no_module(code_dir)
    raise_for(_check_source(main))
    chosen = _Chosen(code_dir)
    paths = [path for path in chosen.paths() if path != PurePosixPath(MODULE)]
    files = [
        SourceFile(MODULE, main),
        *(SourceFile(str(path), code_dir / path) for path in sorted(paths)),
    ]
    module = CapturedModule(
        origin=str(code_dir), files=tuple(files), imports=_imports_of(code_dir, files)
    )
    secrets = (file_findings(code_dir / file.path) for file in files)
    return module, [*chosen.notes(), *itertools.chain.from_iterable(secrets)]


def chosen_below(folder: Path) -> tuple[list[str], list[Finding]]:
    """Paths below `folder` that are shipped, and notes about what is left out."""
    chosen = _Chosen(folder)
    return sorted(map(str, chosen.paths())), chosen.notes()


def is_credential(path: str) -> bool:
    """Whether a file is one of those that hold credentials, by its name or a folder's above it."""
    return _credentials().excludes(PurePosixPath(path))


@cache
def _credentials() -> _Patterns:
    return _Patterns(f"**/{pattern}" for pattern in dict(LEFT_OUT)["credentials"])


def _no_folder(code_dir: Path) -> CaptureError:
    parent = code_dir.parent
    names = [each.name for each in parent.iterdir() if each.is_dir()] if parent.is_dir() else []
    near = difflib.get_close_matches(code_dir.name, names, n=1)
    what = "is a file, not a folder" if code_dir.exists() else "does not exist"
    return CaptureError(
        f"`code_dir` {what}",
        where=str(code_dir),
        do=f"did you mean `{near[0]}`?" if near else f"give the folder that holds {MODULE}",
        code="ST43",
    )


def _no_module(code_dir: Path) -> CaptureError:
    names = [each.name for each in code_dir.iterdir() if each.suffix == ".py"]
    near = difflib.get_close_matches(MODULE, names, n=1, cutoff=0.7)
    below = sorted(str(each.relative_to(code_dir)) for each in code_dir.glob(f"*/{MODULE}"))
    if near:
        remedy = f"rename `{near[0]}` to {MODULE}"
    elif below:
        remedy = f"point `code_dir` to `{PurePosixPath(below[0]).parent}`, which has one"
    else:
        remedy = f"write {MODULE} with load() and predict(model, request) in it"
    return CaptureError(
        f"There is no {MODULE} in `code_dir`", where=str(code_dir), do=remedy, code="ST43"
    )


def _check_source(main: Path) -> list[Finding]:
    def place(line: int) -> str:
        return f"{main}:{line}"

    try:
        source = main.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        return [
            Finding(
                f"{MODULE} is not UTF-8 text",
                where=str(main),
                why=str(error),
                do="save it as UTF-8",
                code="ST33",
            )
        ]
    broken = syntax_finding(source, place)
    if broken is not None:
        return [broken]
    tree = ast.parse(source)
    # `from model import load` and `predict = pipeline.predict` are as good as a definition.
    taken = {
        name
        for statement in tree.body
        if not isinstance(statement, FUNCTIONS)
        for name in names_of(statement).binds
    }
    required = tuple(name for name in ("load", "predict") if name not in taken)
    return check_functions(tree, place, required=required)


class _Patterns:
    """Patterns of .dockerignore: the last one that fits a path, or a folder above it, decides."""

    def __init__(self, patterns: Iterable[str]) -> None:
        # Read as the engine reads them; docker is slow to import.
        from docker.utils.build import Pattern

        self._patterns = [each for each in map(Pattern, patterns) if each.dirs]

    def excludes(self, path: PurePosixPath) -> bool:
        # docker-py's own matcher misses what lies deeper than `**/name` in a folder it matches.
        places = [str(each) for each in (path, *path.parents) if each.name]
        fits = (each for each in reversed(self._patterns) if any(map(each.match, places)))
        last = next(fits, None)
        return last is not None and not last.exclusion


class _Chosen:
    """Walks a folder as `docker build` would, and notes what it leaves out."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._real_root = root.resolve()
        ours = [f"**/{pattern}" for _, patterns in LEFT_OUT for pattern in patterns]
        theirs = _dockerignore(root)
        self._groups: list[tuple[str, _Patterns]] = [
            (why, _Patterns([f"**/{pattern}" for pattern in patterns]))
            for why, patterns in LEFT_OUT
        ]
        # The last pattern that fits decides, so `!.env.example` brings a file back.
        self._matcher = _Patterns([*ours, *theirs])
        self._theirs = _Patterns(theirs)
        self._prune = not any(pattern.startswith("!") for pattern in theirs)
        self._left_out: dict[str, list[str]] = {}

    def paths(self) -> Iterator[PurePosixPath]:
        yield from self._walk(PurePosixPath(), frozenset({self._real_root}))

    def _walk(self, folder: PurePosixPath, above: frozenset[Path]) -> Iterator[PurePosixPath]:
        for entry in sorted(os.scandir(self._root / folder), key=lambda entry: entry.name):
            path = folder / entry.name
            if str(path) == ".dockerignore":
                continue
            excluded = self._matcher.excludes(path)
            if excluded:
                self._note_excluded(path)
                if self._prune or not entry.is_dir():
                    continue
            if not excluded and entry.is_symlink() and not self._leads_inside(path, above):
                continue
            real = (self._root / path).resolve()
            if entry.is_dir():
                if (self._root / path / "pyvenv.cfg").is_file():
                    self._note("virtual environments", f"{path}/")
                    continue
                if len(above) > FOLDERS_DEEP:
                    raise CaptureError(
                        f"A folder of `code_dir` lies more than {FOLDERS_DEEP} folders deep",
                        where=clip(str(self._root / path), 200),
                        do="take it out, or name it in .dockerignore",
                        code="ST43",
                    )
                yield from self._walk(path, above | {real})
            elif not excluded:
                if stat.S_ISREG(entry.stat().st_mode):
                    yield path
                else:
                    self._note("not plain files", str(path))

    def _leads_inside(self, path: PurePosixPath, above: frozenset[Path]) -> bool:
        try:
            real = (self._root / path).resolve(strict=True)
        except (OSError, RuntimeError):
            self._note("links that lead nowhere", str(path))
            return False
        if not real.is_relative_to(self._real_root) or real in above:
            self._note("links that lead out of the folder or in a circle", str(path))
            return False
        return True

    def _note_excluded(self, path: PurePosixPath) -> None:
        if self._theirs.excludes(path):
            return
        why = next((why for why, matcher in self._groups if matcher.excludes(path)), "")
        if why and not any(str(path).startswith(known) for known in self._left_out.get(why, [])):
            self._note(why, str(path) + ("/" if (self._root / path).is_dir() else ""))

    def _note(self, why: str, path: str) -> None:
        self._left_out.setdefault(why, []).append(path)

    def notes(self) -> list[Finding]:
        return [
            Finding(
                f"Left out of the image ({why}): {shortened(paths)}",
                where=str(self._root),
                severity="note",
            )
            for why, paths in self._left_out.items()
            if why != "caches"
        ]


def shortened(paths: Sequence[str], most: int = 5) -> str:
    """The first of `paths`, and how many more there are."""
    shown = ", ".join(paths[:most])
    return shown if len(paths) <= most else f"{shown} and {len(paths) - most} more"


def _dockerignore(root: Path) -> list[str]:
    try:
        text = (root / ".dockerignore").read_text(encoding="utf-8-sig")
    except (FileNotFoundError, IsADirectoryError):
        return []
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _imports_of(root: Path, files: Sequence[SourceFile]) -> tuple[str, ...]:
    """Packages that sageturner.py needs, itself or through modules that lie beside it."""
    own: dict[str, list[str]] = {}
    for file in files:
        if file.path.endswith(".py"):
            own.setdefault(file.path.partition("/")[0].removesuffix(".py"), []).append(file.path)
    found: set[str] = set()
    seen: set[str] = set()
    waiting = [MODULE]
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        for package in _imported_packages(root / path):
            if package in own:
                waiting += own[package]
            else:
                found.add(package)
    return tuple(sorted(found))


def _imported_packages(path: Path) -> set[str]:
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return set()
    return {
        imported.package
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for imported in imported_names(node)
    } - {"", "__future__"}
