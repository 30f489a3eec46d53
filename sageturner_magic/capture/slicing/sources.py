"""Tell which names get their value from source that a module can repeat."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sageturner_magic.capture.history import History
from sageturner_magic.capture.runs import RunOrigin, RunStatement
from sageturner_magic.capture.slicing.keeper import Keeper


class Sources:
    """Judges statements together with all that they are made of."""

    def __init__(
        self,
        history: History,
        keeper: Keeper,
        is_judged: Callable[[RunStatement], bool],
        now: Callable[[RunStatement], Iterable[str]],
    ) -> None:
        """Take what the slicer knows.

        Args:
            is_judged: Whether a statement alone gives the same wherever it runs.
            now: Names that must exist when a statement runs.
        """
        self._history = history
        self._keeper = keeper
        self._is_judged = is_judged
        self._now = now
        self._repeated: dict[float, bool] = {}

    def make_of_plain(self, name: str, binder: RunStatement | None) -> bool:
        """Whether source makes `name` of values that can be written as source."""
        if binder is None or self._keeper.is_wanted(name):
            return False
        steps = [binder, *self._history.changes(name, binder)]
        return all(map(self._is_judged, steps)) and all(
            self._is_plain(each, step.index)
            for step in steps
            for each in self._now(step)
            if each != name
        )

    def _is_plain(self, name: str, at: float) -> bool:
        """Whether `name` is given by source, or its value can be written as source."""
        binder = self._history.binder(name, at)
        return self.give(name, at) or (
            self._keeper.is_current(name, binder, at) and self._keeper.literal(name) is not None
        )

    def give(self, name: str, at: float | None) -> bool:
        """Whether the source of `name` gives its value wherever it is repeated."""
        if self._keeper.is_wanted(name):
            return False
        binder = self._history.binder(name, at)
        if binder is None:
            # `_` and `Out` have values, and so has what `exec` made.
            return not self._keeper.is_value(name)
        if binder.is_import or binder.is_definition:
            return True
        changes = self._history.changes(name, binder)
        return self._repeats(binder) and all(
            self._repeats(change)
            for change in changes
            if (at is None or change.index < at) and change.origin is not RunOrigin.FOREIGN
        )

    def _repeats(self, step: RunStatement) -> bool:
        known = self._repeated.get(step.index)
        if known is None:
            self._repeated[step.index] = True
            known = self._is_judged(step) and all(
                self.give(name, step.index) for name in self._now(step)
            )
            self._repeated[step.index] = known
        return known
