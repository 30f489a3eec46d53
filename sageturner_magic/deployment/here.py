"""The notebook that this process runs, if it runs one: where the verbs find cells and variables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from sageturner_magic.capture import Notebook


class Here(Protocol):
    """A notebook's recorded cells, its live variables, and its AWS profile and region if set."""

    @property
    def notebook(self) -> Notebook: ...

    @property
    def namespace(self) -> Mapping[str, object]: ...

    @property
    def profile(self) -> str | None: ...

    @property
    def region(self) -> str | None: ...

    def ended(self, endpoint: str) -> None:
        """Forget an endpoint that was deleted."""

    @property
    def show_form(self) -> Callable[..., None]:
        """Displays what `form` asks for, with its arguments by name."""


_here: list[Here] = []


def enter_notebook(notebook: Here) -> None:
    """Let the verbs use this notebook from now on."""
    _here[:] = [notebook]


def leave_notebook() -> None:
    """Undo `enter_notebook`."""
    _here.clear()


def here() -> Here | None:
    """The notebook of this process."""
    return _here[0] if _here else None
