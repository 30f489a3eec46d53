"""Random notebooks, and what IPython itself says of them.

A notebook is a list of cells over a few names, which define, rebind, change, delete and alias
each other, fail half-way, and run in any order and more than once. It is run in a real IPython
shell. Then either the capture refuses, or the module gives in a clean process what the notebook
gives.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import reprlib
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st
from IPython.core.interactiveshell import InteractiveShell

from sageturner_magic.capture.artefact.writers import write_object
from sageturner_magic.capture.cells import Cell, failing_line
from sageturner_magic.capture.notebook import Notebook
from sageturner_magic.errors import CaptureError

VALUES = ("A", "B", "C", "D")
FUNCTIONS = ("f", "g", "h")
CLASSES = ("K", "L")
MODULES = ("m", "n")

Draw = Callable[[st.SearchStrategy[str]], str]

LITERALS = ("0", "1", "2.5", "'x'", "[]", "[1]", "[1, [2]]", "{}", "{'k': 1}", "None", "(1, 'y')")

# In each template V is one of the values, E an expression, and so on; they are filled in from
# left to right, so that only what is used is drawn.
EXPRESSIONS = (
    "V",
    "V",
    "O",
    "[E, E]",
    "str(E)",
    "len(str(E))",
    "F(E)",
    "F(E)",
    "(E if V else E)",
    "[(i, E) for i in range(2)]",
    "[(V, E) for V in range(2)]",
    "(lambda V: (V, E))(1)",
    "f'{V!r}'",
    "K.a",
    "K().get()",
    "M.__name__",
    "(w := E)",
    "sorted([2, 1], key=lambda v: -v) + [E]",
    "{'a': E, **{}}",
)
FUNCTION_BODIES = (
    "    return [x, y, E]",
    "    def inner():\n        return x, E\n    return inner()",
    "    V = x\n    return E",
    "    global S\n    S = [S, 1]\n    return E",
    "    global S\n    if S is None:\n        S = 5\n    return S",
    "    class Inner:\n        v = E\n    return Inner.v",
    "    import json\n    return json.dumps(str(E))",
    "    return [z for z in (x, y) if z != E]",
)
STATEMENTS = (
    "V = O",
    "V = O",
    "V = E",
    "V = E",
    "V = V",
    "V, V = E, E",
    "V = V = E",
    "V += E",
    "V.append(E)",
    "V['k'] = E",
    "V[0] = E",
    "del V",
    "globals()['V'] = O",
    "globals().pop('V', None)",
    "if V:\n    V = E\nelse:\n    V = 3",
    "if V:\n    V = E",
    "for i in range(2):\n    V = [i, E]",
    "S = []\nfor i in range(3):\n    S.append((i, E))",
    "try:\n    V = E\nexcept Exception:\n    V = 'failed'",
    "V: int = E",
    "(V := E)",
    "@d\ndef F(x, y=E):\nBODY",
    "@functools.lru_cache\ndef F(x, y=E):\nBODY",
    "def F(x, y=E):\nBODY",
    "def F(x, y=E):\nBODY",
    "def F(x, y=E):\nBODY",
    "class L:\n    a = E\n    b = a\n    def get(self):\n        return [self.a, E]",
    "class K(L):\n    a = E\n    def get(self):\n        return [self.a, E, super().get()]",
    "F = F",
    "F = lambda x: [x, E]",
    "F(1)",
    "print(E)",
    "K.a = E",
    "import math as M",
    "import json as M",
    "from os import path as M",
    "def change(v):\n    v.append(9)\nchange(V)",
    "V = {**{'z': V}}",
    "V = (lambda v: v)(V)",
    "V = F",
    "from __future__ import annotations",
    "1 / 0",
)
FAILING = (
    "1 / 0",
    "V = missing",
    "V, V = E, missing",
    "V = E; V = missing; V = E",
    "V.append(missing)",
    "V.append(E), missing",
    "F(missing)",
    "[F(E), missing]",
    "import missing",
    "from json import dumps as M, missing",
    "for V in range(2):\n    V = [V, E]\n    1 / 0",
    "if V is V:\n    V = E\n    V = missing",
    "try:\n    V = E\nfinally:\n    V = missing",
    "def F(x, y=missing):\nBODY",
    "@missing\ndef F(x, y=E):\nBODY",
    "class L:\n    a = E\n    b = missing",
    "V = [\n    E,\n    missing,\n]",
    "del V, missing",
)
NAMES = {"V": VALUES, "F": FUNCTIONS, "K": CLASSES, "M": MODULES, "O": LITERALS}
PLACE = re.compile(r"\b(?:[VFKMOES]|BODY)\b")


def fill(draw: Draw, template: str, depth: int) -> str:
    """`template` with all its places filled; expressions nest `depth` deep."""
    shared: list[str] = []

    def one(match: re.Match[str]) -> str:
        place = match[0]
        if place == "S":
            # The same name all through the template.
            shared.append(shared[0] if shared else draw(st.sampled_from(VALUES)))
            return shared[0]
        if place == "BODY":
            return fill(draw, draw(st.sampled_from(FUNCTION_BODIES)), depth)
        if place == "E":
            if depth == 0:
                return draw(st.sampled_from((*VALUES, *LITERALS)))
            return fill(draw, draw(st.sampled_from(EXPRESSIONS)), depth - 1)
        return draw(st.sampled_from(NAMES[place]))

    return PLACE.sub(one, template)


@st.composite
def statements(draw: Draw) -> str:
    """A top-level statement of any kind that notebooks have."""
    return fill(draw, draw(st.sampled_from(STATEMENTS)), 1)


@st.composite
def expressions(draw: Draw) -> str:
    """An expression over the names of the notebook."""
    return fill(draw, draw(st.sampled_from(EXPRESSIONS)), 1)


BEGINNING = """\
import functools
import math as m, json as n
def d(function):
    scale = A
    @functools.wraps(function)
    def wrapped(*args):
        return [scale, function(*args)]
    return wrapped
A, B, C, D = 1, [2], {'k': 3}, None
def f(x): return [x, A]
def g(x): return f(x)
def h(x): return B
class L:
    a = 1
    def get(self): return A
class K(L):
    b = 2
"""


@dataclass(frozen=True)
class RandomNotebook:
    """Sources in the order in which they are run; two of them are captured."""

    cells: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return "\n".join(f"--- {role}\n{source}" for role, source in self.cells)


@st.composite
def sources(draw: Callable[[st.SearchStrategy[object]], object]) -> str:
    """A cell: of some statements, and of those that fail often with others before and behind."""
    several = st.lists(statements(), min_size=1, max_size=3).map("\n".join)
    source = draw(several)
    if draw(st.sampled_from((False, False, True))):
        failing = fill(draw, draw(st.sampled_from(FAILING)), 1)  # type: ignore[arg-type]
        source = f"{source}\n{failing}\n{draw(several)}"
    assert isinstance(source, str)
    return source


@st.composite
def notebooks(draw: Callable[[st.SearchStrategy[object]], object]) -> RandomNotebook:
    """A beginning in which everything is defined, then anything."""
    written = draw(st.lists(sources(), min_size=1, max_size=6))
    assert isinstance(written, list)
    order = draw(st.lists(st.sampled_from(written), min_size=1, max_size=8))
    assert isinstance(order, list)
    load = f"def load():\n    return {draw(expressions())}"
    predict = f"def predict(model, request):\n    return [model, request, {draw(expressions())}]"
    if draw(st.booleans()):
        predict = f"{draw(statements())}\n{predict}"
    cells = [("cell", BEGINNING), *(("cell", source) for source in order)]
    places = sorted(
        (draw(st.integers(1, len(cells))), draw(st.integers(1, len(cells)))), reverse=True
    )
    for place, captured in zip(places, (("predict", predict), ("load", load)), strict=True):
        cells.insert(place, captured)
    if draw(st.sampled_from((False, False, True))):
        # A cell that was to be captured and failed, before or behind its definition.
        parts = [draw(sources()), predict, "predict(missing)"]
        cells.insert(draw(st.integers(1, len(cells))), ("predict", "\n".join(parts)))
    return RandomNotebook(tuple(cells))


class Kernel:
    """An IPython shell that runs notebooks one after the other, each in a namespace of its own."""

    def __init__(self) -> None:
        self._shell = InteractiveShell()
        # Formatting the tracebacks of failing cells would take most of the time.
        self._shell.showtraceback = lambda *args, **kwargs: None

    def run(self, notebook: RandomNotebook) -> tuple[Notebook, dict[str, object]]:
        """What is captured, and the namespace afterwards, with load and predict as captured."""
        shell = self._shell
        shell.user_ns.clear()
        shell.init_user_ns()
        shell.compile.reset_compiler_flags()
        namespace = shell.user_ns
        captured = Notebook(namespace)
        functions: dict[str, object] = {}
        for number, (role, source) in enumerate(notebook.cells, 1):
            cell = Cell(number, source)
            with contextlib.redirect_stdout(io.StringIO()):
                if role == "cell":
                    ran = shell.run_cell(source, silent=True)
                    if ran.success:
                        captured.record(cell)
                    else:
                        line = failing_line(source, ran.error_in_exec, namespace)
                        captured.record_failed(cell, line)
                    continue
                try:
                    captured.check(role, cell)  # type: ignore[arg-type]
                    name = shell.compile.cache(source, number)
                    exec(shell.compile(source, name, "exec"), namespace)
                except CaptureError:
                    continue
                except Exception as error:
                    captured.record_failed(cell, failing_line(source, error, namespace))
                    continue
                captured.capture(role, "", cell)  # type: ignore[arg-type]
                functions[role] = namespace[role]
        return captured, {**namespace, **functions}


LONGEST = 60_000
"""Bytes of an answer that are compared; a list that holds itself has no end."""


def _cut(answer: bytes) -> str:
    return answer[:LONGEST].decode("utf-8", "ignore")


CLEAN = """
import os, reprlib, struct, sys, types
SHOW = reprlib.Repr()
for limit in ("maxlevel", "maxlist", "maxtuple", "maxdict", "maxset"):
    setattr(SHOW, limit, 12)
SHOW.maxstring = SHOW.maxother = SHOW.maxlong = 5000
def answer(source):
    folder, _, source = source.partition("\\0")
    os.environ["SM_MODEL_DIR"] = folder
    sys.modules["sageturner"] = types.ModuleType("sageturner")
    namespace = vars(sys.modules["sageturner"])
    try:
        exec(compile(source, "sageturner.py", "exec", dont_inherit=True), namespace)
        return SHOW.repr(namespace["predict"](namespace["load"](), 7))
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
while header := sys.stdin.buffer.read(4):
    source = sys.stdin.buffer.read(struct.unpack("<I", header)[0]).decode()
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        sys.stdout = open(os.devnull, "w")
        os.write(writer, answer(source).encode()[:int(sys.argv[1])])
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        data = pipe.read()
    os.waitpid(child, 0)
    sys.__stdout__.buffer.write(struct.pack("<I", len(data)) + data)
    sys.__stdout__.buffer.flush()
"""


class CleanProcess:
    """A bare Python that forks itself for each module, so that each begins with nothing."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", CLEAN, str(LONGEST)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(os.sep),
        )

    def answer(self, source: str, model_dir: str) -> str:
        """repr of `predict(load(), 7)`, or the error that it raised."""
        assert self._process.stdin and self._process.stdout
        data = f"{model_dir}\0{source}".encode()
        self._process.stdin.write(len(data).to_bytes(4, "little") + data)
        self._process.stdin.flush()
        size = int.from_bytes(self._process.stdout.read(4), "little")
        return _cut(self._process.stdout.read(size))

    def close(self) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


SHOW = reprlib.Repr()
for limit in ("maxlevel", "maxlist", "maxtuple", "maxdict", "maxset"):
    # Values that double with every run of a cell are shown to this depth.
    setattr(SHOW, limit, 12)
SHOW.maxstring = SHOW.maxother = SHOW.maxlong = 5000


def _without_addresses(text: str) -> str:
    return re.sub(r" at 0x[0-9a-f]+", "", text.replace("__main__.", "sageturner."))


def verdict(notebook: RandomNotebook, kernel: Kernel, clean: CleanProcess) -> str:
    """`equal`, `refused`, `failing` (the notebook's own functions raise), or what went wrong."""
    captured, namespace = kernel.run(notebook)
    with tempfile.TemporaryDirectory() as folder:
        try:
            module = captured.module("random")
            for each in module.objects:
                path = Path(folder, each.file)
                write_object(each.value, each.variable, path, module.definitions)
        except CaptureError:
            return "refused"
        return _compared(module.source, folder, namespace, clean)


def _compared(source: str, folder: str, namespace: dict[str, object], clean: CleanProcess) -> str:
    try:
        load, predict = namespace["load"], namespace["predict"]
        expected = _cut(SHOW.repr(predict(load(), 7)).encode())  # type: ignore[operator]
    except Exception:
        # It does not work in the notebook: whether it is captured is of no matter.
        return "failing"
    expected = _without_addresses(expected)
    got = _without_addresses(clean.answer(source, folder))
    if got == expected:
        return "equal"
    return f"notebook: {expected}\nmodule:   {got}\n{source}"
