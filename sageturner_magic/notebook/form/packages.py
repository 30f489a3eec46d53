"""The Python packages of the deploy form: `auto`, or a list."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import ipywidgets

from sageturner_magic.errors import Finding
from sageturner_magic.notebook.display import fill, fill_each
from sageturner_magic.notebook.form.fields import LABELLED, WIDE, FieldView, note_html
from sageturner_magic.notebook.form.model import Field
from sageturner_magic.notebook.form.yaml_document import Value
from sageturner_magic.packages.needed import NeededPackage

AUTO = "auto"
EDIT = "Edit this list"
BACK = "Take them automatically"
HELP = "What the code imports and the model was made with, at the versions of this notebook."


class PackagesField:
    """What `auto` takes is shown, and becomes a list to edit at the press of a button.

    Attributes:
        widget: To display.
    """

    def __init__(self, field: Field, value: Value, changed: Callable[[Value], None]) -> None:
        """
        Args:
            value: What the key holds.
            changed: Called with each new value; None for `auto`.
        """
        self._changed = changed
        self._told: Callable[[], None] = lambda: None
        self._pins: list[str] = []
        self._known = False
        self._said = ""
        self._found = ipywidgets.HTML(description=field.label, style=LABELLED, layout={**WIDE})
        self._note = ipywidgets.HTML()
        self._auto = ipywidgets.VBox([self._found, self._note])
        self._list = FieldView(field, value if value != AUTO else None, changed)
        self._button = ipywidgets.Button(layout={"width": "auto", "align_self": "flex-start"})
        self._button.add_class("sageturner-below")
        self._button.on_click(lambda _: self._on_press())
        # The button keeps its place, and with it the focus of who pressed it.
        self.widget = ipywidgets.VBox([self._auto, self._list.widget, self._button])
        self.widget.add_class("sageturner-field")
        self._is_auto = value in (None, AUTO)
        self.waiting()
        self._draw()
        self.show(())

    @property
    def summary(self) -> str:
        """Which packages there are, in a few words."""
        if self._is_auto:
            return f"auto: {self._said}"
        lines = self._list.control.value.split()
        return f"{len(lines)} listed" if len(lines) != 1 else "1 listed"

    def waiting(self) -> None:
        """Say that the packages are being looked for, unless some are shown already."""
        if not self._known:
            self._said = "looking …"
            self._found.value = f"auto: {self._said}"
            self._told()

    def tell(self, told: Callable[[], None]) -> None:
        """Call `told` when the summary may have changed, and now."""
        self._told = told
        told()

    def found(self, packages: Sequence[NeededPackage]) -> None:
        """Show what `auto` takes."""
        self._pins, self._known = [each.line for each in packages], True
        self._said = ", ".join(each.line.partition("==")[0] for each in packages) or "none"
        rows = fill_each(
            "<tr><td><code>{}</code></td><td>{}</td></tr>",
            ((each.line, each.because) for each in packages),
        )
        self._found.value = (
            fill('<table class="sageturner-pins"><tbody>{}</tbody></table>', rows)
            if rows
            else "auto: none, the code needs only what Python brings"
        )
        self._draw()

    def not_found(self, why: str) -> None:
        """Say why it is not known what `auto` takes."""
        self._pins, self._known, self._said = [], False, why
        self._found.value = fill("auto: {}", why)
        self._draw()

    def show(self, problems: Sequence[Finding]) -> None:
        """Say what is wrong; the field's help where nothing is."""
        self._list.show(() if self._is_auto else problems)
        note = note_html(HELP, problems if self._is_auto else ())
        if self._note.value != note:
            self._note.value = note

    def _on_press(self) -> None:
        self._is_auto = not self._is_auto
        if not self._is_auto:
            self._list.control.value = "\n".join(self._pins)
            self._list.control.rows = max(2, min(len(self._pins), 12))
        self._changed(None if self._is_auto else list(self._pins))
        self._draw()

    def _draw(self) -> None:
        self._auto.layout.display = None if self._is_auto else "none"
        self._list.widget.layout.display = "none" if self._is_auto else None
        self._button.description = EDIT if self._is_auto else BACK
        self._button.icon = "pencil" if self._is_auto else "undo"
        self._button.disabled = self._is_auto and not self._known
        self._told()
