"""Choose the constants that may be something else in another process, and compare them there."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from sageturner_magic.capture.elsewhere.described import described
from sageturner_magic.capture.elsewhere.processes import values_elsewhere
from sageturner_magic.capture.elsewhere.unordered import holds_unordered
from sageturner_magic.capture.runs import RunOrigin, RunStatement
from sageturner_magic.capture.syntax import FUNCTIONS, KeptImport, changed_by

Reads = Callable[[RunStatement], Collection[str]]
"""The names that must exist when a statement runs."""

_WITH_SETTINGS = frozenset({"decimal", "pandas"})
"""Packages whose values depend on settings that code may have made out of sight."""

_PRINTS = frozenset({"str", "repr", "format", "array2string"})
_IMPORTED = frozenset({"numpy", "pandas"})
"""Packages that are imported for the comparison, beside the standard library."""


class _Chosen:
    """Statements that can be repeated alone, with those that each of them needs."""

    def __init__(
        self,
        steps: Sequence[RunStatement],
        imports: Mapping[str, KeptImport],
        probing: Collection[float],
        reads: Reads,
    ) -> None:
        self.steps = steps
        self._imports = imports
        self._needs: list[frozenset[int] | None] = []
        self._used: list[frozenset[str]] = []
        made_by: dict[str, list[int]] = {}
        for place, step in enumerate(steps):
            changed = changed_by(step.node, step.statement.names)
            read = {*reads(step), *changed}
            apart = step.origin is RunOrigin.KEPT or step.index in probing
            before = [self._needs[each] for name in read for each in made_by.get(name, ())]
            used = {name for name in read if name in imports}
            packages = {imports[name].imported.package for name in used} - {"__future__"}
            is_known = packages <= sys.stdlib_module_names | _IMPORTED
            if apart or None in before or not is_known:
                self._needs.append(None)
            else:
                self._needs.append(frozenset({place}).union(*(each for each in before if each)))
            self._used.append(frozenset(used))
            for name in {*step.statement.names.binds, *changed}:
                made_by.setdefault(name, []).append(place)

    def needs(self, place: int) -> frozenset[int]:
        """The places of all that the statement at `place` needs, itself included; or none."""
        return self._needs[place] or frozenset()

    def packages(self, places: Collection[int]) -> set[str]:
        names = {name for place in places for name in self._used[place]}
        return {self._imports[name].imported.package for name in names}

    def pieces(self, places: Collection[int]) -> list[tuple[str, list[str]]]:
        """Source and names of each, with the imports that they use and the calls that set it up."""
        names = {name for place in places for name in self._used[place]}
        effects = {
            place
            for place, step in enumerate(self.steps)
            if isinstance(step.node, ast.Expr) and self.needs(place) <= {place, *places}
            if self._used[place] <= names
        }
        imports = [
            (str(self._imports[name].imported), [name])
            for name in sorted(names)
            if self._imports[name].imported.module != "__future__"
        ]
        steps = [self.steps[place] for place in sorted({*places, *effects})]
        return imports + [
            (ast.unparse(step.node), sorted(step.statement.names.binds)) for step in steps
        ]


def differing(
    steps: Sequence[RunStatement],
    imports: Mapping[str, KeptImport],
    probing: Collection[float],
    reads: Reads,
    made: Mapping[str, object],
) -> Iterator[tuple[str, RunStatement]]:
    """Names that are not in each process what they are here, with the statement that binds them.

    Args:
        steps: The module's statements, in their order.
        probing: Indices of statements that ask the machine, whose values may differ.
        made: What the statements make here, as far as that is known.
    """
    chosen = _Chosen(steps, imports, probing, reads)
    asked: dict[str, int] = {}
    places: set[int] = set()
    hashes = False
    for place, step in enumerate(steps):
        needed = chosen.needs(place)
        nodes = list(_run_at_once(step.node))
        if not needed or not any(isinstance(each, _MAKING) for each in nodes):
            continue
        by_order = _has_set(nodes) or any(holds_unordered(made.get(name)) for name in reads(step))
        if by_order or _by_settings(nodes, chosen.packages(needed)):
            places |= needed
            hashes = hashes or by_order
            asked.update(dict.fromkeys(step.statement.names.binds, place))
    if not asked:
        return
    found = values_elsewhere(chosen.pieces(places), asked, hashes=hashes)
    for name, values in found.items():
        step = steps[asked[name]]
        # A class or function may have been changed here since, which others look for.
        here = None if step.is_definition or name not in made else described(made[name])
        if len({*values, *filter(None, [here])}) > 1:
            yield name, step


_MAKING = (ast.Call, ast.comprehension, ast.For, ast.Starred, ast.FormattedValue, ast.BinOp)


def _run_at_once(node: ast.AST) -> Iterator[ast.AST]:
    """`node` and what is below it, but for the bodies of functions."""
    yield node
    for each in ast.iter_child_nodes(node):
        if isinstance(node, (*FUNCTIONS, ast.Lambda)) and each not in (
            node.args,
            *getattr(node, "decorator_list", ()),
        ):
            continue
        yield from _run_at_once(each)


def _has_set(nodes: Sequence[ast.AST]) -> bool:
    return any(
        isinstance(each, (ast.Set, ast.SetComp))
        or (isinstance(each, ast.Name) and each.id in ("set", "frozenset", "hash"))
        or (isinstance(each, ast.Attribute) and each.attr in ("keys", "items"))
        for each in nodes
    )


def _by_settings(nodes: Sequence[ast.AST], packages: Collection[str]) -> bool:
    if _WITH_SETTINGS & {*packages}:
        return True
    prints = any(
        isinstance(each, ast.FormattedValue)
        or (isinstance(each, ast.Name) and each.id in _PRINTS)
        or (isinstance(each, ast.Attribute) and each.attr in _PRINTS)
        for each in nodes
    )
    return prints and "numpy" in packages
