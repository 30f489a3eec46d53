"""Remember which cells are captured under which name, and which endpoints they serve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sageturner_magic.capture.cells import Cell
from sageturner_magic.errors import CaptureError

if TYPE_CHECKING:
    from sageturner_magic.capture.checks import Role

ROLES: tuple[Role, ...] = ("load", "predict")


@dataclass(frozen=True)
class CapturedCell:
    """A cell that was captured.

    Attributes:
        role: What it defines, `load` or `predict`.
        name: The name it was captured under; empty for the unnamed pair.
        cell: The cell.
    """

    role: Role
    name: str
    cell: Cell


@dataclass(frozen=True)
class Captured:
    """What is captured under one name, for messages and completion.

    Attributes:
        name: The name; empty for the unnamed pair.
        cells: Role -> number of the cell, for the halves that are there.
    """

    name: str
    cells: Mapping[Role, int]

    def __str__(self) -> str:
        halves = ", ".join(f"{role} in In[{number}]" for role, number in self.cells.items())
        return f"{f'`{self.name}`' if self.name else 'the unnamed cells'} ({halves})"


class Captures:
    """The captured cells of one notebook, by name and role."""

    def __init__(self) -> None:
        self._captured: dict[str, dict[Role, Cell]] = {}
        self._served: dict[str, tuple[str, dict[Role, Cell]]] = {}

    def __getitem__(self, name: str) -> Mapping[Role, Cell]:
        """The halves that are captured under `name`; empty: the unnamed pair."""
        return self._captured[name]

    def put(self, role: Role, name: str, cell: Cell) -> CapturedCell:
        """Let `cell` be one half of `name`, in place of what was captured as it before."""
        self._captured.setdefault(name, {})[role] = cell
        return CapturedCell(role, name, cell)

    def cells(self) -> set[int]:
        """The identities (`id`) of all cells that are captured now."""
        return {id(cell) for halves in self._captured.values() for cell in halves.values()}

    def names(self) -> tuple[Captured, ...]:
        """What is captured, in the order in which the names came up."""
        return tuple(
            Captured(name, {role: halves[role].number for role in ROLES if role in halves})
            for name, halves in self._captured.items()
        )

    def name_for(self, name: str) -> str:
        """The capture that `deploy` of `name: NAME` uses: NAME itself, or empty (unnamed).

        Raises CaptureError when it is not plain which cells are meant.
        """
        if name in self._captured:
            self._require_both(name)
            return name
        if "" not in self._captured:
            raise self._nothing_captured(name)
        self._require_both("")
        self._require_same_pair(name)
        return ""

    def halves_or_unnamed(self, name: str) -> Mapping[Role, Cell]:
        """What is captured as `name`, else the unnamed cells, unless they serve elsewhere."""
        elsewhere = any(not each and to != name for to, (each, _) in self._served.items())
        return self._captured.get(name, {} if elsewhere else self._captured.get("", {}))

    def deployed(self, capture_name: str, endpoint: str) -> None:
        """Remember that what is captured as `capture_name`, or unnamed, serves as `endpoint`."""
        name = capture_name if capture_name in self._captured else ""
        self._served[endpoint] = (name, dict(self._captured.get(name, {})))

    def ended(self, endpoint: str) -> None:
        """Forget what serves as `endpoint`: it was deleted."""
        self._served.pop(endpoint, None)

    def outdated(self, role: Role, capture_name: str) -> dict[str, int]:
        """Endpoints that serve other code than is captured now, with the cell that they serve."""
        now = self._captured[capture_name][role]
        return {
            endpoint: served[role].number
            for endpoint, (name, served) in self._served.items()
            if name == capture_name
            and role in served
            and served[role].source != now.source
            # Unnamed cells elsewhere in the notebook may be another model's.
            and (name or served[role].cell_id == now.cell_id)
        }

    def _require_both(self, name: str) -> None:
        halves = self._captured[name]
        for role in ROLES:
            if role in halves:
                continue
            there = next(iter(halves.values()))
            called = f"`{name}`" if name else "the unnamed cells"
            candidates = [str(each) for each in self.names() if each.name != name]
            raise CaptureError(
                f"No {role} is captured for {called}",
                where=f"In[{there.number}]",
                why="captured are " + "; ".join(candidates) if candidates else "",
                do=f"run a cell that begins with `%%sageturner_{role} {name}`".rstrip("` ") + "`",
                code="ST31",
            )

    def _nothing_captured(self, name: str) -> CaptureError:
        names = [each for each in self._captured if each]
        remedy = (
            f"begin the cells with `%%sageturner_load {name}` and `%%sageturner_predict {name}`"
        )
        if not names:
            return CaptureError(
                "No cells are captured",
                do=f"name a model of this notebook (`--model VARIABLE`), or {remedy} and run them,"
                " or give `code_dir`",
                code="ST31",
            )
        import difflib

        near = difflib.get_close_matches(name, names, n=1)
        return CaptureError(
            f"No cells are captured as `{name}`",
            why="captured are " + "; ".join(map(str, self.names())),
            do=(f"did you mean `{near[0]}`? Otherwise " if near else "") + remedy,
            code="ST31",
        )

    def _require_same_pair(self, name: str) -> None:
        """The unnamed pair may serve one endpoint, and an endpoint be served by one pair."""
        pair = self._captured[""]
        where = ", ".join(f"In[{pair[role].number}]" for role in ROLES)
        remedy = f"write `%%sageturner_load {name}` and `%%sageturner_predict {name}` and run them"
        unnamed = {
            endpoint: served for endpoint, (each, served) in self._served.items() if not each
        }
        for endpoint, served in unnamed.items():
            shared = [role for role in ROLES if served.get(role) is pair[role]]
            if endpoint != name and shared:
                raise CaptureError(
                    f"It is unclear which cells `{name}` means",
                    where=where,
                    why=f"{' and '.join(shared)} of the unnamed cells serve `{endpoint}`",
                    do=f"name the cells of this model: {remedy} above its own code",
                    code="ST32",
                )
        before = unnamed.get(name, {})
        moved = [
            role
            for role, cell in before.items()
            if cell.cell_id and pair[role].cell_id and cell.cell_id != pair[role].cell_id
        ]
        if moved:
            old = ", ".join(f"{role} in In[{before[role].number}]" for role in moved)
            raise CaptureError(
                f"It is unclear which cells `{name}` means",
                where=where,
                why=f"`{name}` was deployed from other cells ({old}),"
                " and unnamed cells were captured elsewhere since",
                do=f"name the cells of each model: {remedy}",
                code="ST32",
            )
