"""Functions and values sliced out of notebooks that people wrote, compared with the kernel's own.

    python -m tests.integration.capture.real_notebooks fetch FOLDER PACKAGE…
    python -m tests.integration.capture.real_notebooks try FOLDER --report docs/proof/notebooks.md

`fetch` takes the notebooks out of the source distributions of packages. `try` runs each in an
IPython shell in a process of its own, with this interpreter's packages. From every top-level
function that the notebook called (with the arguments of its first calls) and every variable that
has a plain value, a module is made whose predict() calls or returns it; the module answers in a
process that has nothing of the notebook's memory. What the kernel itself does not answer the same
twice is left out.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import copy
import datetime
import io
import json
import os
import pickle
import platform
import re
import subprocess
import sys
import tarfile
import tempfile
import time
import traceback
import types
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

PLAIN = (bool, int, float, complex, str, bytes, type(None))
CALLS = 3
"""Calls of one function that are compared."""

MODULE = "tests.integration.capture.real_notebooks"

NOTEBOOK_S = 300
TEXT = 20_000
"""Characters of a value's representation that are compared."""

PREDICT = "def predict(loaded_model, request):\n    return {expression}\n"


# --- notebooks out of source distributions ------------------------------------------------


def fetch(folder: Path, packages: list[str]) -> None:
    """Put notebooks of source distributions below `folder`: of `NAME==VERSION`, or the newest."""
    index = _index(packages)
    for package in packages:
        target = folder / package.partition("==")[0]
        if target.exists():
            continue
        try:
            found = _source_distribution(index, package)
            if found:
                target.mkdir(parents=True)
                print(package, _unpack(found, target), flush=True)
        except (OSError, ValueError) as error:
            print(f"{package}: {error}", file=sys.stderr)


def _index(packages: list[str]) -> str:
    """The package index that has the first of `packages`, as the resolver names it."""
    from sageturner_magic.packages.pip_arguments import parse_pip_arguments
    from sageturner_magic.packages.requirements import Target
    from sageturner_magic.packages.resolution import resolve
    from tests.parts.recorder import Recorder

    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    for name in packages:
        asked = parse_pip_arguments([f"--no-deps {name}"], Path())
        (package,) = resolve(asked, Target(version), Recorder()).packages
        if package.index.startswith("http"):
            return package.index
    raise SystemExit("no index on the network has any of them")


def _source_distribution(index: str, package: str) -> bytes | None:
    name, _, version = package.partition("==")
    page = urllib.request.Request(
        f"{index.rstrip('/')}/{name.lower()}/",
        headers={"Accept": "application/vnd.pypi.simple.v1+json"},
    )
    with urllib.request.urlopen(page, timeout=60) as answer:
        base = answer.url
        files = json.load(answer)["files"]
    ending = f"-{version}.tar.gz" if version else ".tar.gz"
    archives = [file["url"] for file in files if file["filename"].endswith(ending)]
    if not archives:
        return None
    url = urljoin(base, archives[-1])
    with urllib.request.urlopen(url, timeout=180) as answer:
        data: bytes = answer.read(200_000_000)
    return data


def _unpack(data: bytes, target: Path) -> int:
    number = 0
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for entry in archive:
            if entry.isfile() and entry.name.endswith(".ipynb") and "checkpoint" not in entry.name:
                file = archive.extractfile(entry)
                assert file is not None
                name = entry.name.partition("/")[2].replace("/", "__")
                (target / name).write_bytes(file.read())
                number += 1
    return number


# --- one notebook -------------------------------------------------------------------------


def cells_of(path: Path) -> list[str]:
    """The code of a notebook, cell by cell; none where it is not Python."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        cells = content.get("cells") or [
            cell for sheet in content.get("worksheets", ()) for cell in sheet["cells"]
        ]
        language = content.get("metadata", {}).get("kernelspec", {}).get("language", "python")
        sources = [
            cell.get("source", cell.get("input", ""))
            for cell in cells
            if cell["cell_type"] == "code"
        ]
    except (ValueError, KeyError, AttributeError):
        return []
    if language != "python":
        return []
    return ["".join(source) for source in sources]


class Recorder:
    """What the notebook's functions were called with, seen without changing them."""

    def __init__(self) -> None:
        self.calls: dict[types.CodeType, list[dict[str, Any]]] = {}

    def __call__(self, frame: types.FrameType, event: str, arg: object) -> None:
        code = frame.f_code
        if event != "call" or code.co_name.startswith("<") or "ipykernel" in code.co_filename:
            return
        if frame.f_globals.get("__name__") != "__main__" or code.co_name not in frame.f_globals:
            return
        seen = self.calls.setdefault(code, [])
        if len(seen) < CALLS:
            count = code.co_argcount + code.co_kwonlyargcount
            if code.co_flags & 0x0C:
                # *args and **kwargs would have to be taken apart again.
                return
            names = code.co_varnames[:count]
            with contextlib.suppress(Exception):
                data = pickle.dumps({name: frame.f_locals[name] for name in names})
                if b"__main__" not in data:
                    seen.append(pickle.loads(data))


def tried(path: Path) -> Iterator[tuple[str, str, str]]:
    """Kind (`function`, `value`), verdict and details of everything in the notebook `path`."""
    from IPython.core.interactiveshell import InteractiveShell

    from sageturner_magic.capture.cells import Cell, failing_line
    from sageturner_magic.capture.notebook import Notebook

    shell = InteractiveShell()
    shell.showtraceback = lambda *args, **kwargs: None  # type: ignore[method-assign]
    # As a kernel has it, for `%matplotlib inline`.
    shell.enable_gui = lambda *args, **kwargs: None  # type: ignore[method-assign]
    namespace = shell.user_ns
    notebook = Notebook(namespace)
    recorder = Recorder()
    began = time.monotonic()
    for number, source in enumerate(cells_of(path), 1):
        if time.monotonic() - began > NOTEBOOK_S / 2:
            break
        cell = Cell(number, source)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            # It makes every call slower: only from where the notebook has functions of its own.
            sys.setprofile(recorder if "def " in source or _has_functions(namespace) else None)
            try:
                ran = shell.run_cell(source, silent=True)
            finally:
                sys.setprofile(None)
        if ran.success:
            notebook.record(cell)
        else:
            line = failing_line(source, ran.error_in_exec, namespace)
            notebook.record_failed(cell, line)
    pending: list[tuple[str, str, list[Any], list[str], Any]] = []
    for kind, expression, requests in list(_subjects(namespace, recorder)):
        verdict, expected, module = _captured(notebook, namespace, expression, requests)
        if module is None:
            yield kind, verdict, "; ".join(expected)
        else:
            pending.append((kind, expression, requests, expected, module))
    answers = _answers([(module, requests) for _, _, requests, _, module in pending])
    for (kind, expression, _, expected, module), got in zip(pending, answers, strict=True):
        if got == expected:
            yield kind, "equal", ""
        else:
            said = f"notebook: {expected!r:.500}\nmodule:   {got!r:.1500}"
            yield kind, "wrong", f"{expression}\n{said}\n{module.source}"


def _has_functions(namespace: dict[str, Any]) -> bool:
    return any(
        isinstance(value, types.FunctionType) and value.__module__ == "__main__"
        for value in namespace.values()
    )


def _subjects(
    namespace: dict[str, Any], recorder: Recorder
) -> Iterator[tuple[str, str, list[Any]]]:
    """What is compared: kind, the expression that predict returns, the requests."""
    for name, value in list(namespace.items()):
        if name.startswith("_") or name in ("In", "Out", "exit", "quit", "get_ipython", "open"):
            continue
        if isinstance(value, types.FunctionType) and value.__module__ == "__main__":
            calls = recorder.calls.get(value.__code__)
            if calls:
                yield "function", f"{name}(**request)", calls
        elif _is_plain(value):
            yield "value", name, [None]


def _is_plain(value: Any, depth: int = 0) -> bool:
    if isinstance(value, (list, tuple, set, frozenset)):
        return depth < 4 and len(value) < 1000 and all(_is_plain(v, depth + 1) for v in value)
    if isinstance(value, dict):
        return (
            depth < 4
            and len(value) < 1000
            and all(_is_plain(k, depth + 1) and _is_plain(v, depth + 1) for k, v in value.items())
        )
    is_array = type(value).__module__ == "numpy" and hasattr(value, "tolist")
    return type(value) in PLAIN or is_array


def _captured(
    notebook: Any, namespace: dict[str, Any], expression: str, requests: list[Any]
) -> tuple[str, list[str], Any]:
    """The module that answers with `expression` and what the kernel answers; else why not."""
    from sageturner_magic.capture.captures import Captures
    from sageturner_magic.capture.cells import Cell
    from sageturner_magic.errors import CaptureError

    def here(request: Any) -> str:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return shown(eval(expression, namespace, {"request": copy.deepcopy(request)}))

    state = copy.copy(notebook)
    for attribute in ("_ran", "_failed"):
        setattr(state, attribute, copy.copy(getattr(notebook, attribute)))
    state.captures = Captures()
    try:
        expected = [here(request) for request in requests]
        if expected != [here(request) for request in requests]:
            return "unsteady", [], None
    except Exception:
        return "failing", [], None
    number = len(notebook._ran) + 1
    load = Cell(number, "def load():\n    return None\n")
    predict = Cell(number + 1, PREDICT.format(expression=expression))
    saved = {name: namespace.get(name) for name in ("load", "predict") if name in namespace}
    try:
        for role, cell in (("load", load), ("predict", predict)):
            exec(compile(cell.source, f"<{role}>", "exec", dont_inherit=True), namespace)
            state.capture(role, "", cell)
        module = state.module("real")
    except CaptureError as error:
        return "refused", [error.findings[0].what], None
    except Exception:
        return "crashed", [traceback.format_exc()], None
    finally:
        for name in ("load", "predict"):
            namespace.pop(name, None)
        namespace.update(saved)
    return "", expected, module


def shown(value: Any) -> str:
    """What is compared of a value: its representation, without addresses."""
    if hasattr(value, "tolist") and type(value).__module__ == "numpy":
        value = (str(getattr(value, "dtype", "")), value.tolist())
    text = re.sub(r" at 0x[0-9a-f]+", "", repr(value))
    return text.replace("__main__.", "sageturner.")[:TEXT]


CLEAN = """
import importlib, os, pickle, sys
sys.path.insert(0, sys.argv[1])
from tests.integration.capture.real_notebooks import shown
for name in sys.argv[2].split(","):
    try:
        importlib.import_module(name)
    except Exception:
        pass
for folder in sorted(os.listdir()):
    if os.fork():
        os.wait()
        continue
    os.chdir(folder)
    os.environ["SM_MODEL_DIR"] = os.getcwd()
    try:
        sys.stdout = open(os.devnull, "w")
        sys.path.insert(0, os.getcwd())
        with open("requests", "rb") as file:
            requests = pickle.load(file)
        import sageturner
        answer = [shown(sageturner.predict(sageturner.load(), each)) for each in requests]
    except BaseException as error:
        answer = f"{type(error).__name__}: {error}"
    with open("answer", "wb") as file:
        pickle.dump(answer, file)
    os._exit(0)
"""


def _answers(modules: list[tuple[Any, list[Any]]]) -> list[object]:
    """What each module answers to its requests, each in a fork of its own.

    What they are forked from has imported the libraries, and knows nothing of the notebook.
    """
    from sageturner_magic.capture.artefact.writers import write_object

    with tempfile.TemporaryDirectory() as root:
        for number, (module, requests) in enumerate(modules):
            folder = Path(root, f"{number:04}")
            module.write(folder)
            for each in module.objects:
                write_object(each.value, each.variable, folder / each.file, module.definitions)
            (folder / "requests").write_bytes(pickle.dumps(requests))
        libraries = sorted({name for module, _ in modules for name in module.imports})
        subprocess.run(
            [sys.executable, "-c", CLEAN, str(Path(__file__).parents[3]), ",".join(libraries)],
            cwd=root,
            capture_output=True,
            timeout=NOTEBOOK_S,
        )
        files = [Path(root, f"{number:04}", "answer") for number in range(len(modules))]
        return [pickle.loads(f.read_bytes()) if f.exists() else "no answer" for f in files]


# --- all of them --------------------------------------------------------------------------

VERDICTS = {
    "equal": "module answers as the notebook",
    "refused": "capture refuses",
    "wrong": "module answers otherwise",
    "crashed": "capture fails in itself",
    "unsteady": "the notebook itself answers otherwise each time",
    "failing": "the notebook's own call raises",
}


def in_its_own_process(path: Path) -> list[list[str]]:
    """What `tried` gives for `path`; nothing where the notebook ends Python or takes too long."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parents[3]),
            "MPLBACKEND": "Agg",
            "OMP_NUM_THREADS": "1",
        }
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(
                [sys.executable, "-m", MODULE, "one", str(path.resolve()), folder],
                env=environment,
                cwd=folder,
                capture_output=True,
                timeout=NOTEBOOK_S,
            )
        result = Path(folder, ".result")
        if not result.exists():
            return []
        return [json.loads(line) for line in result.read_text().splitlines()]


def report(counts: dict[str, collections.Counter[str]], notebooks: int, packages: int) -> str:
    """The result as a table."""
    rows = [
        f"| {text} | {counts['function'][kind]} | {counts['value'][kind]} |"
        for kind, text in VERDICTS.items()
    ]
    said = (
        f"{datetime.date.today().isoformat()}, {platform.machine()}, Python"
        f" {platform.python_version()}: {notebooks} notebooks of {packages} packages of which"
        " something could be compared."
    )
    lines = [
        "# Notebooks of public packages against IPython",
        "",
        f"`python -m {MODULE}`",
        "",
        said,
        "",
        "| | functions | values |",
        "|---|---|---|",
        f"| tried | {counts['function'].total()} | {counts['value'].total()} |",
        *rows,
    ]
    return "\n".join(lines) + "\n"


def try_all(folder: Path, target: Path | None, log: Callable[[str], None] = print) -> int:
    """Try all notebooks below `folder`; how many answers were wrong."""
    counts: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    notebooks, packages, wrong = 0, set[str](), 0
    for path in sorted(folder.rglob("*.ipynb")):
        results = in_its_own_process(path)
        for kind, verdict, details in results:
            counts[kind][verdict] += 1
            if verdict in ("wrong", "crashed"):
                wrong += 1
                log(f"=== {verdict}: {path}\n{details}")
            elif verdict == "refused":
                log(f"refused ({kind}): {details}")
        if results:
            notebooks += 1
            packages.add(path.parent.name)
        log(f"{path.name}: {dict(collections.Counter(v for _, v, _ in results))}")
        if target:
            target.write_text(report(counts, notebooks, len(packages)))
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    fetching = verbs.add_parser("fetch")
    fetching.add_argument("folder", type=Path)
    fetching.add_argument("packages", nargs="+")
    trying = verbs.add_parser("try")
    trying.add_argument("folder", type=Path)
    trying.add_argument("--report", type=Path)
    one = verbs.add_parser("one")
    one.add_argument("path", type=Path)
    one.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    if arguments.verb == "fetch":
        fetch(arguments.folder, arguments.packages)
        return 0
    if arguments.verb == "try":
        return 1 if try_all(arguments.folder, arguments.report) else 0
    with Path(arguments.folder, ".result").open("a") as out:
        for found in tried(arguments.path):
            out.write(json.dumps(found) + "\n")
            out.flush()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
