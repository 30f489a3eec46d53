"""Order statements as a person would write them, without changing their meaning."""

from __future__ import annotations

import ast
import heapq
from collections.abc import Sequence

from sageturner_magic.capture.checks import SIGNATURES
from sageturner_magic.capture.history import History
from sageturner_magic.capture.runs import RunStatement

_CONSTANT, _HELPER, _ROOT = 0, 1, 2


def in_order(steps: Sequence[RunStatement], history: History) -> list[RunStatement]:
    """Constants, helpers, then load, predict and the optional two.

    What one statement needs from another when it runs keeps them in the order of execution, so
    that the module has at each of its lines what the notebook had.
    """
    ordered = sorted(steps, key=lambda step: step.index)
    after: dict[float, set[float]] = {step.index: set() for step in ordered}
    writers: dict[str, float] = {}
    readers: dict[str, set[float]] = {}
    for step in ordered:
        reads, writes = _touches(step, history)
        for name in reads | writes:
            if name in writers:
                after[step.index].add(writers[name])
        for name in writes:
            after[step.index] |= readers.pop(name, set()) - {step.index}
            writers[name] = step.index
        for name in reads:
            readers.setdefault(name, set()).add(step.index)
    by_index = {step.index: step for step in ordered}
    followers: dict[float, list[float]] = {}
    for index, earlier in after.items():
        for each in earlier:
            followers.setdefault(each, []).append(index)
    ready = [(_rank(step), step.index) for step in ordered if not after[step.index]]
    heapq.heapify(ready)
    result: list[RunStatement] = []
    while ready:
        _, index = heapq.heappop(ready)
        result.append(by_index[index])
        for follower in followers.get(index, ()):
            after[follower].discard(index)
            if not after[follower]:
                heapq.heappush(ready, (_rank(by_index[follower]), follower))
    return result


def _touches(step: RunStatement, history: History) -> tuple[set[str], set[str]]:
    """Names that the statement reads and writes when it runs, through functions that it calls."""
    names = step.statement.names
    writes = names.binds.keys() | names.deletes.keys() | names.changes.keys()
    writes |= history.registers(step)
    reads = names.reads.keys() | names.annotated.keys()
    reads |= history.read_by_calling(reads, step.index)
    if isinstance(step.node, (ast.Expr, ast.For)):
        # `labels.append("bird")` changes what it reads.
        writes = writes | reads
    return reads, set(writes)


def _rank(step: RunStatement) -> tuple[int, int]:
    binds = [name for name in SIGNATURES if name in step.statement.names.binds]
    if binds:
        return _ROOT, list(SIGNATURES).index(binds[0])
    return (_HELPER if step.is_definition else _CONSTANT), 0
