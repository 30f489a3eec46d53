"""Names that cells bind by other means than a statement that names them.

Each way stands between an earlier and a later value of the name, and a function is decorated in
the meantime: its wrapper holds the value of that time, which nothing can compare afterwards. The
module then gives what the notebook gives, or the capture says which cell to write otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sageturner_magic.errors import CaptureError

from .random_notebooks import CleanProcess, Kernel, RandomNotebook, verdict

DECORATOR = """\
A = 1
def d(function):
    scale = A
    def wrapped(*args):
        return [scale, function(*args)]
    return wrapped
"""
DECORATED = "@d\ndef f(x):\n    return x\n"
LATER = "A = 5"
CAPTURED = (
    ("load", "def load():\n    return f(1), A"),
    ("predict", "def predict(model, request):\n    return model"),
)
IN_FUNCTION = "def bind():\n    {}\n"

FOLLOWED = {
    "globals()": "globals()['A'] = None",
    "vars()": "vars()['A'] = None",
    "locals()": "locals()['A'] = None",
    "update": "globals().update(A=None)",
    "update with a dict": "new = {'A': None}\nglobals().update(new)",
    "setdefault": "del A\nsetattr(__import__('__main__'), 'A', None)",
    "__setitem__": "globals().__setitem__('A', None)",
    "dict.update": "dict.update(globals(), A=None)",
    "keys in a loop": "for name in ['A']:\n    globals()[name] = None",
    "a dict that is the namespace": "space = globals()\nspace |= {'A': None}",
    "a target of for": "for globals()['A'] in [None]:\n    pass",
    "a target of with": (
        "import contextlib\nwith contextlib.nullcontext(None) as globals()['A']:\n    pass"
    ),
    "one of several targets": "globals()['A'], z = None, 1",
    "augmented": "globals()['A'] += 1",
    "setattr of __main__": "import sys\nsetattr(sys.modules['__main__'], 'A', None)",
    "an attribute of __main__": "import __main__\n__main__.A = None",
    "user_ns": "get_ipython().user_ns['A'] = None",
    "push": "get_ipython().push({'A': None})",
    "run_cell": "_ = get_ipython().run_cell('A = None')",
    "exec": "exec('A = None')",
    "exec of compiled text": "exec(compile('A = None', 'x', 'exec'))",
    "eval": "eval('(A := None)')",
    "%time": "%time A = None",
    "%%time": "%%time\nA = None",
    "a thread": (
        "import threading\n"
        "thread = threading.Thread(target=lambda: globals().update(A=None))\n"
        "thread.start(); thread.join()"
    ),
    "a walrus in a comprehension": "[A := None for _ in '1']",
    "global in a class": "class Body:\n    global A\n    A = None",
    "__globals__": "def other(): pass\nother.__globals__['A'] = None",
    "a star import": (
        "import sys, types\nsys.modules['starred'] = types.ModuleType('starred')\n"
        "sys.modules['starred'].A = None\nfrom starred import *"
    ),
    "a tuple": "globals()['A'] = (1, 'x')",
    "global": IN_FUNCTION.format("global A; A = None") + "bind()",
    "globals() in a function": IN_FUNCTION.format("globals()['A'] = None") + "bind()",
}
IN_DOUBT = {
    "a list": "globals()['A'] = [2]",
    "a list by a function": IN_FUNCTION.format("global A; A = [2]") + "bind()",
    "a module": "exec('import json as A')",
    "%%capture": "%%capture A\nprint(1)",
}
IN_ONE_CELL = {
    "globals()": "globals()['A'] = None",
    "exec": "exec('A = None')",
    "exec of a variable": "text = 'A = None'\nexec(text)",
    "update": "new = {'A': None}\nglobals().update(new)",
    "a name of the namespace": "space = globals()\nspace['A'] = None",
    "global": IN_FUNCTION.format("global A; A = None") + "bind()",
    "globals() in a function": IN_FUNCTION.format("globals()['A'] = None") + "bind()",
    "exec in a function": "def run(text): exec(text, globals())\nrun('A = None')",
}


@pytest.fixture(scope="module")
def processes() -> Iterator[tuple[Kernel, CleanProcess]]:
    clean = CleanProcess()
    yield Kernel(), clean
    clean.close()


def notebook(*cells: str) -> RandomNotebook:
    return RandomNotebook((*(("cell", each) for each in cells), *CAPTURED))


def refusal(of: RandomNotebook, kernel: Kernel) -> str:
    with pytest.raises(CaptureError) as raised:
        kernel.run(of)[0].module("refused")
    return str(raised.value)


@pytest.mark.parametrize("way", FOLLOWED)
def test_a_constant_is_followed(way, processes):
    assert verdict(notebook(DECORATOR, FOLLOWED[way], DECORATED, LATER), *processes) == "equal"


# A class that binds a name of the module is refused as the source of that name.
@pytest.mark.parametrize("way", sorted(FOLLOWED.keys() - {"global in a class"}))
def test_what_read_it_before_keeps_the_value_of_its_time(way, processes):
    assert verdict(notebook(DECORATOR, DECORATED, FOLLOWED[way]), *processes) == "equal"


@pytest.mark.parametrize("way", IN_DOUBT)
def test_another_value_is_refused_with_the_cell_to_write_otherwise(way, processes):
    cells = notebook(DECORATOR, IN_DOUBT[way], DECORATED, LATER)
    assert verdict(cells, *processes) == "refused"
    assert "was changed by In[2], in a way that cannot be followed" in refusal(cells, processes[0])


@pytest.mark.parametrize("way", IN_ONE_CELL)
def test_in_one_cell_with_what_reads_it_it_is_refused(way, processes):
    before, _, binding = IN_ONE_CELL[way].rpartition("\n")
    cells = notebook(DECORATOR, before or "0", f"{binding}\n{DECORATED}\n{LATER}")
    assert verdict(cells, *processes) == "refused"
    assert "`A` was changed by In[3], in a way" in refusal(cells, processes[0])


def test_the_remedy_is_to_write_the_name(processes):
    cells = notebook(DECORATOR, "A = None", f"0\n{DECORATED}", LATER)
    assert verdict(cells, *processes) == "equal"


@pytest.mark.parametrize(
    "cells",
    [
        (
            "A = None\ndef get():\n    global A\n    if A is None:\n        A = 5\n    return A",
            "get()",
        ),
        ("A = 0\ndef get():\n    global A\n    A += 1\n    return A", "get(); get()"),
        ("A = 0\ndef get(f):\n    global A\n    A += 1\n    return f", "@get\ndef g(): return 1"),
        ("A = 1", "%reset -f", "A = 3"),
        ("from math import *", "A = pi"),
    ],
    ids=["filled late", "counted", "counted by a decorator", "reset", "a star import"],
)
def test_what_functions_and_magics_do_to_names_is_as_in_the_notebook(cells, processes):
    assert verdict(notebook(*cells, "def f(x): return A, x"), *processes) == "equal"
