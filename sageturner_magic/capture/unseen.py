"""Find what cells bound without a word of it in their statements, and write it down.

`exec(text)`, `globals()[name] = …`, a magic, a thread, or a function with `global` binds names of
the notebook that no statement of the cell binds. After each cell the notebook is seen as it is
(`cells.Bindings`); this module says between which statements such a name got its value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from sageturner_magic.capture.cells import OBJECT, Cell
from sageturner_magic.capture.runs import Run, RunOrigin, files_run
from sageturner_magic.capture.syntax import (
    Statement,
    fills_only_what_is_absent,
    statements_of,
    written,
)
from sageturner_magic.values import CellLine

_NAMESPACE = (
    r"\bglobals\(|\blocals\(\s*\)|\bvars\(\s*\)|__main__|sys\.modules|\buser_(?:global_)?ns\b"
    r"|__globals__|__dict__|get_ipython|\brun_(?:cell|line)|\.push\(|\.ex\("
)
_NAMES_IT = re.compile(_NAMESPACE)
_HIDES = re.compile(_NAMESPACE + r"|(?<!\.)\b(?:exec|eval)\(|\brunpy\b")
"""Code that can bind a name of the notebook which it does not have as a name."""

_WORDS = (
    *("globals", "locals", "vars", "__main__", "sys.modules", "user_", "__dict__", "exec", "eval"),
    *("get_ipython", "run_cell", "run_line", ".push(", ".ex(", "runpy"),
)
"""One of these is in all that `_HIDES` finds; most cells have none."""

Ran = tuple[Statement, RunOrigin]


class Unseen:
    """Follows what functions and names of the notebook can bind others out of sight."""

    def __init__(self) -> None:
        self._hiders: set[str] = set()
        self._writers: dict[str, list[Ran]] = {}
        self._callers: set[str] = set()

    def complete(self, run: Run) -> Iterator[Ran]:
        """The statements of `run`, and between them what was bound out of sight.

        A value that nothing can change is written as a statement of its own. Where another value
        was bound, or it is not certain when, a statement of origin UNSEEN says that it is in doubt.
        """
        ran = list(run.statements())
        reached = [each for each, origin in ran if origin is not RunOrigin.UNREACHED]
        added = dict(self._added(run, reached)) if run.bound.values or run.bound.gone else {}
        for position, (statement, origin) in enumerate(ran):
            yield statement, origin
            yield from added.get(position, ())
        yield from added.get(-1, ())
        for statement, origin in ran:
            self._note(statement, origin)

    def _note(self, statement: Statement, origin: RunOrigin) -> None:
        for name in statement.names.writes_later:
            self._writers.setdefault(name, []).append((statement, origin))
            self._callers |= statement.names.binds.keys()
        if _gives_a_hider(statement):
            self._hiders |= statement.names.binds.keys()

    def _added(self, run: Run, ran: Sequence[Statement]) -> Iterator[tuple[int, list[Ran]]]:
        in_sight = _in_sight(run, ran)
        touched = [*run.bound.values, *sorted(run.bound.gone)]
        if not self._may_hide(ran) and all(name in in_sight for name in touched):
            return
        hiding = [place for place, each in enumerate(ran) if self._hides(each)]
        added: dict[int, list[Ran]] = {}
        for name in touched:
            if self._is_filled_late(name):
                continue
            writing = [] if name not in self._writers else self._calling(ran, name)
            if name not in in_sight:
                places = writing or hiding or _acting(ran) or [len(ran) - 1]
                for place, each in self._between(run, ran, name, places):
                    added.setdefault(place, []).append(each)
            else:
                places = writing or [each for each in hiding if _may_concern(ran[each], name)]
                for place, each in self._around(run, ran, name, in_sight[name], places):
                    added.setdefault(place, []).append(each)
        yield from added.items()

    def _may_hide(self, ran: Sequence[Statement]) -> bool:
        known = self._hiders | self._callers
        return any(_hides(each) or _uses(each, known) for each in ran)

    def _hides(self, statement: Statement) -> bool:
        return _hides(statement) or _uses(statement, self._hiders)

    def _calling(self, ran: Sequence[Statement], name: str) -> list[int]:
        """Where functions may be called that declare `name` global."""
        writers = {each for step, _ in self._writers[name] for each in step.names.binds}
        named = [place for place, each in enumerate(ran) if each.calls and _uses(each, writers)]
        return named or _acting(ran)

    def _is_filled_late(self, name: str) -> bool:
        """Whether load() binds `name`, or functions do where it is empty, as processes begin."""
        writers = self._writers.get(name, [])
        return bool(writers) and all(
            origin is RunOrigin.OWN or fills_only_what_is_absent(step.node, name)
            for step, origin in writers
        )

    def _between(
        self, run: Run, ran: Sequence[Statement], name: str, places: Sequence[int]
    ) -> Iterator[tuple[int, Ran]]:
        """A name that no statement of the cell binds: it was bound at one of `places`."""
        first, last = places[0], places[-1]
        if _is_read(name, ran[first + 1 : last + 1]):
            yield first, _doubt(run, name, ran[first])
        yield last, _value(run, name, ran[last] if ran else None)

    def _around(
        self,
        run: Run,
        ran: Sequence[Statement],
        name: str,
        seen: int,
        places: Sequence[int],
    ) -> Iterator[tuple[int, Ran]]:
        """A name that statement `seen` binds last, and that `places` may bind, too."""
        before = [each for each in places if each < seen]
        behind = [each for each in places if each > seen]
        if before and _is_read(name, ran[before[0] + 1 : seen + 1]):
            yield before[0], _doubt(run, name, ran[before[0]])
        if behind:
            if _is_read(name, ran[behind[0] + 1 : behind[-1] + 1]):
                yield behind[0], _doubt(run, name, ran[behind[0]])
            yield behind[-1], _value(run, name, ran[behind[-1]])


def _in_sight(run: Run, ran: Sequence[Statement]) -> dict[str, int]:
    """Name -> the last statement that binds or deletes it; -1: a file that `%run` executed."""
    files = files_run(run.cell)
    found = {name: -1 for each in files for one in statements_of(each) for name in one.names.binds}
    for place, each in enumerate(ran):
        found.update(dict.fromkeys((*each.names.binds, *each.names.deletes), place))
    return found


def _acting(ran: Sequence[Statement]) -> list[int]:
    return [place for place, each in enumerate(ran) if each.calls or _is_shells(each)]


def _is_shells(statement: Statement) -> bool:
    """Whether it is a line for the notebook's shell."""
    lines = statement.cell.shell_lines
    return bool(lines) and any(statement.start <= line <= statement.end for line in lines)


def _is_read(name: str, statements: Iterable[Statement]) -> bool:
    """Whether one of `statements` may use the value that `name` has when it runs."""
    return any(
        name in each.names.reads or (each.is_definition and each.calls) for each in statements
    )


def _uses(statement: Statement, names: set[str]) -> bool:
    """Whether `statement` or its functions read one of `names`."""
    found = statement.names
    return not (names.isdisjoint(found.reads) and names.isdisjoint(found.later))


def _may_concern(statement: Statement, name: str) -> bool:
    return (
        not _is_shells(statement)
        or re.search(rf"\b{re.escape(name)}\b", _typed(statement)) is not None
    )


@lru_cache(maxsize=4096)
def _is_suspect(cell: Cell) -> bool:
    return bool(cell.shell_lines) or any(word in cell.source for word in _WORDS)


def _hides(statement: Statement) -> bool:
    """Whether the text of `statement` says that it may bind names that it does not name."""
    if not _is_suspect(statement.cell):
        return False
    return _is_shells(statement) or _HIDES.search(_text(statement)) is not None


def _gives_a_hider(statement: Statement) -> bool:
    """Whether `statement` makes a function that hides, or a name for the notebook's variables."""
    if not _is_suspect(statement.cell):
        return False
    text = _text(statement)
    if statement.is_import:
        return "__main__" in text
    pattern = _HIDES if statement.is_definition or "lambda" in text else _NAMES_IT
    return pattern.search(text) is not None


def _text(statement: Statement) -> str:
    return "\n".join(line for line, _ in statement.text)


def _typed(statement: Statement) -> str:
    lines = statement.cell.source.split("\n")
    return "\n".join(lines[statement.start - 1 : statement.end])


def _place(run: Run, statement: Statement | None) -> CellLine:
    return statement.place if statement else run.cell.line(1)


def _doubt(run: Run, name: str, statement: Statement) -> Ran:
    return written(f"{name} = get_ipython()", _place(run, statement)), RunOrigin.UNSEEN


def _value(run: Run, name: str, statement: Statement | None) -> Ran:
    place = _place(run, statement)
    if name in run.bound.gone:
        return written(f"del {name}", place), RunOrigin.OTHER
    value = run.bound.values[name]
    if value is OBJECT:
        return written(f"{name} = get_ipython()", place), RunOrigin.UNSEEN
    typed = (_typed(statement) if statement else run.cell.source).strip().partition("\n")[0]
    return written(f"# From the notebook: {typed[:60]}\n{name} = {value!r}", place), RunOrigin.OTHER
