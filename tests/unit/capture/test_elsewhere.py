"""Constants are the notebook's in each process: with other hash seeds, without its settings."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sageturner_magic.errors import CaptureError

from .helpers import LOAD, Session
from .test_kept_values import session, written

__all__ = ["session"]

SEEDS = ("11", "12", "13")

KEPT = [
    ("W = sorted({'aa', 'bb', 'cc', 'dd'}, key=len)", "W"),
    ("W = sorted('abcdefgh', key=hash)", "W"),
    ("C = {'labels': {'a', 'b', 'c', 'd'}}\nW = list(C['labels'])", "W"),
    ("class C:\n    L = {'a', 'b', 'c', 'd'}\nW = list(C.L)", "W"),
    ("C = {'l': {'a', 'b', 'c', 'd'}}\nW = [x for s in C.values() for x in s]", "W"),
    ("import itertools\nC = [{'a', 'b', 'c'}, {'d', 'e'}]\nW = list(itertools.chain(*C))", "W"),
    ("import itertools\nW = [k for k, g in itertools.groupby({'a', 'b', 'c', 'd'})]", "W"),
    (
        (
            "from dataclasses import dataclass\n@dataclass\nclass P:\n    names: object\n"
            "C = [{'a', 'b', 'c', 'd'}]\nW = P(tuple([n for s in C for n in s]))"
        ),
        "W.names",
    ),
    (
        (
            "import decimal\ndef setup():\n    decimal.getcontext().prec = 3\nsetup()\n"
            "W = [decimal.Decimal(1) / 3]\ndecimal.getcontext().prec = 28"
        ),
        "[str(each) for each in W]",
    ),
    (
        (
            "import numpy as np\ndef setup(digits):\n    np.set_printoptions(precision=digits)\n"
            "setup(2)\nW = str(np.array([1.23456]))\nsetup(8)"
        ),
        "W",
    ),
]


@pytest.mark.parametrize(("cell", "expression"), KEPT)
def test_a_constant_is_the_notebooks_in_each_process(
    session: Session, tmp_path: Path, cell: str, expression: str
):
    session.run(cell)
    session.pair(load=LOAD, predict=f"def predict(model, request):\n    return {expression}\n")
    here = repr(session.namespace["predict"](None, None))
    artefact = written(session, tmp_path)
    model = str(artefact.folder if artefact else tmp_path)
    (tmp_path / "sageturner.py").write_text(session.notebook.module("digits").source)
    code = "import sageturner\nprint(repr(sageturner.predict(sageturner.load(), None)))"
    there = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env={**os.environ, "PYTHONHASHSEED": seed, "SM_MODEL_DIR": model},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in SEEDS
    }
    assert there == {here}


@pytest.mark.parametrize(
    ("cell", "name", "after"),
    [
        (
            "class C:\n    L = [*{'a', 'b', 'c', 'd'}]",
            "C",
            "class C:\n    L = ['a', 'b', 'c', 'd']",
        ),
        (
            "def f(x=list({'a', 'b', 'c', 'd'})):\n    return x",
            "f",
            "def f(x=sorted({'a', 'b', 'c', 'd'})):\n    return x",
        ),
    ],
)
def test_a_definition_that_differs_is_refused_with_what_to_write(
    session: Session, cell: str, name: str, after: str
):
    session.run(cell)
    session.pair(load=LOAD, predict=f"def predict(model, request):\n    return {name}\n")
    with pytest.raises(CaptureError, match=f"`{name}` is something else in each process") as error:
        session.notebook.module("digits")
    assert "write `sorted(…)` around the set in In[1]" in str(error.value)
    session.run(after)
    assert after.partition("\n")[2] in session.notebook.module("digits").source


def test_what_is_the_same_everywhere_stays_code(session: Session):
    session.run("WORDS = {'a', 'b', 'c'}\nLONGEST = max(len(word) for word in list(WORDS))")
    session.pair(load=LOAD, predict="def predict(model, request):\n    return LONGEST\n")
    assert "LONGEST = 1" in session.notebook.module("digits").source
    session.run("SORTED = sorted(word for group in [WORDS] for word in group)")
    session.pair(load=LOAD, predict="def predict(model, request):\n    return SORTED\n")
    assert "SORTED = sorted(" in session.notebook.module("digits").source
