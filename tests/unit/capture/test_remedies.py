"""What a refusal says to do is done as a person would; then the module gives the right value."""

from __future__ import annotations

import re
import sys
import types
from dataclasses import dataclass
from pathlib import Path

import pytest

from sageturner_magic.errors import CaptureError

from .helpers import Session
from .test_corpus import answer
from .test_kept_values import session, written

__all__ = ["session"]

Steps = tuple[tuple[str, str], ...]
AGAIN: Steps = (("again", ""),)
"""Run the cell again that the remedy names."""


@dataclass(frozen=True)
class Case:
    """A notebook that is refused.

    Attributes:
        name: What is wrong with it.
        before: Its cells: kind (cell, failed, lost, early, load, predict) and source.
        do: What the remedy says, as a regular expression.
        after: The cells that the user runs because of it.
        value: What `predict(load(), 7)` gives then, in the notebook and in the module.
    """

    name: str
    before: Steps
    do: str
    after: Steps
    value: object


def loading(expression: str) -> tuple[str, str]:
    return "load", f"def load():\n    return {expression}\n"


def predicting(expression: str) -> tuple[str, str]:
    return "predict", f"def predict(model, request):\n    return {expression}\n"


MODEL = predicting("model")
BAG = "class Bag:\n    size = 1\n    def f(self):\n        return self.size\n"

REGISTRY = (
    "class Registry:\n    def __init__(self):\n        self.items = {}\n"
    "    def add(self, f):\n        self.items[f.__name__] = f\n        return f\n"
)

KEY = "bytes.fromhex('736b2d70726f6a2d303132333435363738396162636465666768696a').decode()"
"""Makes what looks like an API key, as reading a file of it does."""

CASES = [
    Case("nowhere", (loading("nope"), MODEL), "define `nope`", (("cell", "nope = 3"),), 3),
    Case(
        "deleted",
        (("cell", "LIMIT = 3"), loading("LIMIT"), MODEL, ("cell", "del LIMIT")),
        "run the cell that makes `LIMIT` again",
        (("cell", "LIMIT = 3"),),
        3,
    ),
    Case(
        "its cell failed",
        (("failed", "1 / 0\nSIZE = 3"), loading("SIZE"), MODEL),
        r"fix In\[1\] and run it again",
        (("cell", "1 / 1\nSIZE = 3"),),
        3,
    ),
    Case(
        "from no cell that is known",
        (("cell", "globals()['size'] = lambda: 3"), loading("size()"), MODEL),
        "`size = …`",
        (("cell", "size = lambda: 3"),),
        3,
    ),
    Case(
        "display",
        (("cell", "display = print\ndef show(x):\n    display(x)\n    return [x]\ndel display"),
         predicting("show(request)")),
        "take it out of the code",
        (("cell", "def show(x):\n    return [x]"),),
        [7],
    ),
    Case(
        "an open file, with global",
        (("cell", "import os\nstream = open(os.devnull)"), predicting("stream.name")),
        "open it inside load.*set `global stream`",
        (
            ("load", "import os\ndef load():\n    global stream\n    stream = open(os.devnull)\n"),
        ),
        "/dev/null",
    ),
    Case(
        "a connection, returned with the model",
        (("cell", "import sqlite3\ndb = sqlite3.connect(':memory:')"),
         predicting("db.execute('select 3').fetchone()")),
        "return it with the model",
        (
            ("load", "import sqlite3\ndef load():\n    return sqlite3.connect(':memory:')\n"),
            predicting("model.execute('select 3').fetchone()"),
        ),
        (3,),
    ),
    Case(
        "what no file can hold, with global",
        (("cell", "import threading\ndef make():\n    return [threading.Lock()]\nLOCKS = make()"),
         predicting("LOCKS[0].locked()")),
        r"make `LOCKS` inside load\(\).*set `global LOCKS`",
        (("load", "def load():\n    global LOCKS\n    LOCKS = make()\n"),),
        False,
    ),
    Case(
        "a default that changed",
        (("cell", "def f(x, seen=[]):\n    seen.append(x)\n    return len(seen)"),
         ("cell", "f(1)"), loading("f(0)"), MODEL),
        r"run In\[1\] again",
        AGAIN,
        1,
    ),
    Case(
        "a method that was replaced",
        (("cell", BAG), ("cell", "type.__setattr__(Bag, 'f', lambda self: 2)"),
         loading("Bag().f()"),
         MODEL),
        r"run In\[1\] again",
        AGAIN,
        1,
    ),
    Case(
        "a function that was replaced, written with def",
        (("cell", "def f():\n    return 1"), ("cell", "globals()['f'] = lambda: 2"),
         loading("f()"), MODEL),
        "define `f` with def or class",
        (("cell", "def f():\n    return 2"),),
        2,
    ),
    Case(
        "deleted out of sight",
        (("cell", "LIMIT = 3"), loading("LIMIT"), MODEL, ("cell", "globals().pop('LIMIT')")),
        "run the cell that makes `LIMIT` again",
        (("cell", "LIMIT = 3"),),
        3,
    ),
    Case(
        "bound out of sight",
        (("cell", "A = [1]\ndef held(f):\n    now = A\n    return lambda: (now, f())"),
         ("cell", "exec('A = [2]')"), ("cell", "@held\ndef f():\n    return 3"),
         ("cell", "A = [4]"), loading("f()"), MODEL),
        r"write `A = …` there, and run that cell and the later ones again",
        (("cell", "A = [2]"), ("cell", "@held\ndef f():\n    return 3"), ("cell", "A = [4]")),
        ([2], 3),
    ),
    Case(
        "a generator, as a list",
        (("cell", "squares = (x * x for x in [1, 2])"), loading("list(squares)"), MODEL),
        r"`squares = list\(…\)`",
        (("cell", "squares = list(x * x for x in [1, 2])"),),
        [1, 4],
    ),
    Case(
        "a generator, made where it is read",
        (("cell", "squares = (x * x for x in [1, 2])"), loading("list(squares)"), MODEL),
        "make it inside the function that reads it",
        (("load", "def load():\n    cubes = (x**3 for x in [1, 2])\n    return list(cubes)\n"),),
        [1, 8],
    ),
    Case(
        "a cell that failed nobody knows where",
        (("cell", "import threading\nLOCK = threading.Lock()"),
         ("lost", "1 / 0\nLOCK = None"), loading("LOCK.locked()"), MODEL),
        r"run In\[1\] again",
        AGAIN,
        False,
    ),
    Case(
        "an import that the rest of its cell replaced and failed",
        (("failed", "from os import path\nfrom json import dumps as path, nothing_of_this_name"),
         loading("path.__name__"), MODEL),
        r"fix In\[1\] and run it again",
        (("cell", "from os import path"),),
        "posixpath",
    ),
    Case(
        "an import that a failed statement may have replaced",
        (("failed", "from math import pi\npi, other = 3, missing"), loading("pi > 3"), MODEL),
        r"fix In\[1\] and run it again",
        (("cell", "from math import pi"),),
        True,
    ),
    Case(
        "made before the extension was loaded",
        (("early", "import threading\nLOCK = threading.Lock()"), loading("LOCK.locked()"), MODEL),
        r"run In\[1\] again",
        AGAIN,
        False,
    ),
    Case(
        "a literal with a secret, read in load()",
        (("cell", f"KEY = {KEY}.strip()"), loading("None"), predicting("KEY")),
        r"`secrets: {KEY: KEY}` .* `os\.environ\['KEY'\]` in load.*`global KEY`",
        (("load", f"def load():\n    global KEY\n    KEY = {KEY}.strip()\n"),),
        "sk-proj-0123456789abcdefghij",
    ),
    Case(
        "a literal that is no secret",
        (("cell", f"KEY = (\n    {KEY}\n    .strip()\n)"), loading("KEY"), MODEL),
        r"write `# not a secret` at the end of In\[1\], line 1",
        (("cell", f"KEY = (  # not a secret\n    {KEY}\n    .strip()\n)"),),
        "sk-proj-0123456789abcdefghij",
    ),
    Case(
        "a secret that the user typed in",
        (("cell", "def getpass(prompt): return 'correct horse'\nPIN = getpass('pin')"),
         loading("PIN"), MODEL),
        r"write `# not a secret` at the end of In\[1\], line 2",
        (("cell", "PIN = getpass('pin')  # not a secret"),),
        "correct horse",
    ),
    Case(
        "settings with a secret in them",
        (("cell", f"SET = {{\n    'api_key': {KEY}}}"),
         loading("SET"), MODEL),
        r"write `# not a secret` at the end of In\[1\], line 1",
        (("cell", f"SET = {{  # not a secret\n    'api_key': {KEY}}}"),),
        {"api_key": "sk-proj-0123456789abcdefghij"},
    ),
    Case(
        "the notebook itself, imported",
        (("cell", "import __main__\nLIMIT = 3\ndef limit():\n    return __main__.LIMIT"),
         loading("LIMIT"), MODEL, predicting("limit()")),
        "remove the import, and write `NAME` instead",
        (("cell", "LIMIT = 3\ndef limit():\n    return LIMIT"),),
        3,
    ),
    Case(
        "a count of what decorators registered",
        (("cell", "COUNT = ''\ndef counted(f):\n  global COUNT; COUNT += 1500 * '.'\n  return f"),
         ("cell", "@counted\ndef f():\n    return 1"), loading("None"),
         predicting("(f(), COUNT)")),
        r"`global COUNT; COUNT = '\.+'`",
        (("load", "def load():\n    global COUNT; COUNT = '" + "." * 1500 + "'\n"),),
        (1, "." * 1500),
    ),
    Case(
        "a registry that its functions need",
        (("cell", REGISTRY), ("cell", "reg = Registry()"),
         ("cell", "@reg.add\ndef f():\n    return 3"), loading("reg.items['f']()"), MODEL),
        "remove the decorator from `f`.*add `f` to `reg` in load",
        (("cell", "def f():\n    return 3"), ("cell", "reg = Registry()"),
         ("load", "def load():\n    reg.add(f)\n    return reg.items['f']()\n")),
        3,
    ),
    Case(
        "a class from a function",
        (("cell", "def make(k):\n    class A:\n        size = k\n    return A\nA = make(3)"),
         loading("A.size"), MODEL),
        r"make `A` inside load\(\).*set `global A`",
        (("load", "def load():\n    global A\n    A = make(3)\n    return A.size\n"),),
        3,
    ),
    Case(
        "a closure of a closure of a closure",
        (("cell", "def make(a):\n    return lambda b: lambda c: lambda x: (a, b, c, x)"),
         ("cell", "g = make(1)(2)(3)"),
         predicting("g(request)")),
        r"make `g` inside load\(\).*set `global g`",
        (("load", "def load():\n    global g\n    g = make(1)(2)(3)\n"),),
        (1, 2, 3, 7),
    ),
    Case(
        "an import whose name something else took",
        (("cell", "from os import path"), ("cell", "globals()['path'] = [3]"),
         loading("path.__name__"), MODEL),
        r"run In\[1\] again",
        AGAIN,
        "posixpath",
    ),
]  # fmt: skip


def do_steps(session: Session, steps: Steps, sources: list[str], do: str = "") -> None:
    for kind, source in steps:
        if kind == "again":
            named = re.search(r"run In\[(\d+)\] again", do)
            assert named, do
            source = sources[int(named[1]) - 1]
        sources.append(source)
        if kind in ("load", "predict"):
            session.capture(kind, source)
        else:
            run = {
                "failed": session.fail,
                "lost": session.fail_somewhere,
                "early": session.before_the_extension,
            }
            run.get(kind, session.run)(source)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_remedy_works_as_it_is_written(
    case: Case, session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources: list[str] = []
    do_steps(session, case.before, sources)
    for kind in {"load", "predict"} - {kind for kind, _ in case.before}:
        sources.append("")
        session.load() if kind == "load" else session.predict()
    with pytest.raises(CaptureError) as raised:
        session.notebook.module("digits")
    (finding,) = raised.value.findings
    assert re.search(case.do, finding.do), finding.do
    do_steps(session, case.after, sources, finding.do)
    artefact = written(session, tmp_path)
    monkeypatch.setenv("SM_MODEL_DIR", str(artefact.folder if artefact else tmp_path))
    fresh = types.ModuleType("sageturner")
    monkeypatch.setitem(sys.modules, "sageturner", fresh)
    source = session.notebook.module("digits").source
    exec(compile(source, "sageturner.py", "exec", dont_inherit=True), vars(fresh))
    assert answer(vars(fresh)) == answer(session.namespace) == case.value
