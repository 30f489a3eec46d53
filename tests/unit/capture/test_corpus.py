"""Small notebooks, each with the module that becomes of it or the words in which it is refused.

A case in `corpus/*.txt` reads

    === what it shows
    --- cell            any cell of the notebook
    --- failed          a cell that ends in an error
    --- load, --- predict   a captured cell (`--- load cats`: under that name)
    --- module          the module, without its header
    --- refused         or lines that the refusal must hold, one after the other

Cells are executed as they stand; load and predict may be left out where they do not matter.
A module must not only look as expected: `predict(load(), 7)` gives in a fresh process what it
gives in the notebook.
"""

from __future__ import annotations

import re
import sys
import types
from dataclasses import dataclass
from pathlib import Path

import pytest

from sageturner_magic.errors import CaptureError

from .helpers import LOAD, PREDICT, Session

FOLDER = Path(__file__).parent / "corpus"


@dataclass(frozen=True)
class Case:
    """One notebook and what is expected of it."""

    name: str
    cells: tuple[tuple[str, str], ...]
    kind: str
    expected: str


def read(path: Path) -> list[Case]:
    cases = []
    for block in re.split(r"^=== ", path.read_text(), flags=re.MULTILINE)[1:]:
        title, _, rest = block.partition("\n")
        parts = re.split(r"^--- (.+)\n", rest, flags=re.MULTILINE)[1:]
        sections = [(parts[i], parts[i + 1].strip("\n") + "\n") for i in range(0, len(parts), 2)]
        *cells, (kind, expected) = sections
        cases.append(Case(title, tuple(cells), kind, expected))
    return cases


CASES = [case for path in sorted(FOLDER.glob("*.txt")) for case in read(path)]


def run(case: Case) -> Session:
    session = Session()
    roles = {head.partition(" ")[0] for head, _ in case.cells}
    for head, source in case.cells:
        role, _, name = head.partition(" ")
        if role == "load" or role == "predict":
            session.capture(role, source, name)
        elif role == "failed":
            session.fail(source)
        else:
            session.run(source)
    if "load" not in roles:
        session.load()
    if "predict" not in roles:
        session.predict()
    return session


def module_text(session: Session) -> str:
    source = session.notebook.module("digits").source
    return "".join(line for line in source.splitlines(keepends=True)[2:]).lstrip("\n")


def answer(namespace: dict[str, object]) -> object:
    load, predict = namespace["load"], namespace["predict"]
    assert callable(load) and callable(predict)
    return predict(load(), 7)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    session = run(case)
    if case.kind == "refused":
        with pytest.raises(CaptureError) as raised:
            session.notebook.module("digits")
        text = str(raised.value)
        for line in case.expected.splitlines():
            assert line in text, text
        return
    module = session.notebook.module("digits")
    assert module_text(session) == case.expected
    fresh = types.ModuleType("sageturner")
    monkeypatch.setitem(sys.modules, "sageturner", fresh)
    exec(compile(module.source, "sageturner.py", "exec", dont_inherit=True), vars(fresh))
    assert repr(answer(vars(fresh))) == repr(answer(session.namespace))


def test_there_are_at_least_150_cases_with_names_of_their_own():
    assert len({case.name for case in CASES}) == len(CASES) >= 150
    assert LOAD and PREDICT
