"""The fields of the deploy form as widgets: label, control and hint."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets
from markupsafe import Markup, escape

from sageturner_magic.config import alternatives, schema_at
from sageturner_magic.errors import Finding
from sageturner_magic.notebook.display import fill, fill_each
from sageturner_magic.notebook.form.model import Field
from sageturner_magic.notebook.form.yaml_document import Value

LABELLED = {"description_width": "170px"}
WIDE = {"width": "auto", "min_width": "0"}


def close_all(widget: ipywidgets.Widget) -> None:
    """Give up a widget and all within it, here and in the browser."""
    for child in getattr(widget, "children", ()):
        close_all(child)
    widget.close()


def note_html(text: str, problems: Sequence[Finding] = ()) -> Markup:
    """What stands below a field: its help, or what is wrong with it."""
    if not problems:
        return fill('<div class="sageturner-help">{}</div>', marked_up(text)) if text else Markup()
    lines = fill_each("<li>{}</li>", ([marked_up(problem_text(each))] for each in problems))
    return fill('<div role="alert"><ul class="sageturner-problem">{}</ul></div>', lines)


def marked_up(text: str) -> Markup:
    """Show text, and the names between backticks in it as code."""
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def problem_text(finding: Finding) -> str:
    """A finding beside its field, where the place need not be said."""
    text = finding.what + (f": {finding.why}" if finding.why else "")
    return f"{text}. {finding.do[0].upper()}{finding.do[1:]}." if finding.do else f"{text}."


class FieldView:
    """A field: `widget` to display, `show()` to say what is wrong with it."""

    def __init__(self, field: Field, value: Value, changed: Callable[[Value], None]) -> None:
        """
        Args:
            value: What the key holds.
            changed: Called with each new value.
        """
        self.field = field
        self._changed = changed
        self._note = ipywidgets.HTML()
        self.control = self._control(value)
        if not isinstance(self.control, PairsEditor):
            self.control.tooltip = field.help
            self.control.observe(self._on_change, "value")
        self.widget = ipywidgets.VBox([self.control, self._note])
        self.widget.add_class("sageturner-field")
        self.show(())

    def _control(self, value: Value) -> Any:
        field = self.field
        common: dict[str, Any] = {
            "description": field.label,
            "style": LABELLED,
            "layout": {**WIDE},
        }
        if field.kind == "choice":
            options = [
                (f"{each} (default)", "") if each == field.default else (each, each)
                for each in field.choices
            ]
            if not field.default and not field.required:
                options.insert(0, ("left out", ""))
            held = "" if value in (None, field.default) else str(value)
            if held not in [each for _, each in options]:
                options.append((held, held))
            return ipywidgets.Dropdown(options=options, value=held, **common)
        if field.kind == "switch":
            return ipywidgets.Checkbox(value == "true", indent=True, **common)
        if field.kind == "lines":
            lines = value if isinstance(value, list) else [str(value)] if value else []
            return ipywidgets.Textarea(
                "\n".join(lines), placeholder=field.default or "one a line", rows=2, **common
            )
        if field.kind == "pairs":
            pairs = value if isinstance(value, dict) else {}
            each = {"environment": "variable", "tags": "tag"}.get(field.key, "")
            return PairsEditor(field.label, pairs, self._changed, each=each)
        if bounds := self._bounds():
            return ipywidgets.BoundedIntText(
                int(str(value or field.default)), min=bounds[0], max=bounds[1], **common
            )
        return ipywidgets.Text(
            str(value or ""), placeholder=field.default, continuous_update=True, **common
        )

    def _bounds(self) -> tuple[int, int] | None:
        """Least and most, for numbers that always have a value within them."""
        (schema,) = alternatives(schema_at(self.field.path) or {})
        least, most = schema.get("minimum"), schema.get("maximum")
        if self.field.kind != "number" or not self.field.default or least is None or most is None:
            return None
        return int(least), int(most)

    def _on_change(self, change: dict[str, Any]) -> None:
        self._changed(self._value(change["new"]))

    def _value(self, new: Any) -> Value:
        if self.field.kind == "switch":
            return "true" if new else None
        if self.field.kind == "lines":
            lines = [line.strip() for line in new.splitlines() if line.strip()]
            return self.field.default if lines == [self.field.default] else lines
        if self.field.kind == "number" and str(new) == self.field.default:
            return None
        return str(new).strip()

    def show(self, problems: Sequence[Finding]) -> None:
        """Say what is wrong; the field's help where nothing is."""
        note = note_html(self.field.summary, problems)
        if self._note.value != note:
            self._note.value = note


class PairsEditor(ipywidgets.VBox):  # type: ignore[misc]
    """Names with values, a row each."""

    def __init__(
        self,
        label: str,
        pairs: dict[str, str],
        changed: Callable[[dict[str, str]], None],
        *,
        words: tuple[str, str] = ("Name", "Value"),
        each: str = "",
        choices: Sequence[tuple[str, str]] | None = None,
    ) -> None:
        """
        Args:
            words: What the two halves of a row are called.
            each: What a row is called; by default as its first half.
            choices: Label and value of what the second half is chosen from.
        """
        super().__init__()
        self._pairs_changed = changed
        self._words = words
        self._choices = choices
        self._quiet = False
        self._rows: list[ipywidgets.HBox] = []
        self._add = ipywidgets.Button(
            description=f"Add {each or words[0].lower()}",
            icon="plus",
            layout={"width": "auto", "align_self": "flex-start"},
        )
        self._add.on_click(self._on_add)
        title = ipywidgets.HTML(fill('<div class="sageturner-pairs">{}</div>', label))
        self._title = title
        for name, value in pairs.items():
            self._row(name, value)
        self._draw()

    def pairs(self) -> dict[str, str]:
        """The rows that have a name."""
        found = {}
        for row in self._rows:
            name, value = row.children[0].value.strip(), row.children[1].value
            if name:
                found[name] = str(value or "")
        return found

    def add(self, name: str) -> None:
        """Add a row whose second half is to be filled in."""
        self._row(name, "")
        self._draw()

    def offer(self, choices: Sequence[tuple[str, str]]) -> None:
        """Take these as what the second halves are chosen from; what is chosen stays chosen."""
        self._choices = choices
        self._quiet = True
        try:
            for row in self._rows:
                second = row.children[1]
                held = second.value
                second.options = self._options(held)
                second.value = held
        finally:
            self._quiet = False

    def _options(self, held: str) -> list[tuple[str, str]]:
        options = [("choose …", ""), *(self._choices or ())]
        return options if held in dict(options).values() else [*options, (held, held)]

    def _on_add(self, _: ipywidgets.Button) -> None:
        self.add("")

    def _row(self, name: str, value: str) -> ipywidgets.HBox:
        style = {"description_width": "initial"}
        half = {"flex": "1 1 230px", "width": "auto", "min_width": "0"}
        first = ipywidgets.Text(name, description=self._words[0], style=style, layout={**half})
        if self._choices is None:
            second = ipywidgets.Text(value, description=self._words[1], style=style, layout=half)
        else:
            second = ipywidgets.Dropdown(
                options=self._options(value),
                value=value,
                description=self._words[1],
                style=style,
                layout=half,
            )
        remove = ipywidgets.Button(description="Remove", layout={"width": "auto"})
        row = ipywidgets.HBox([first, second, remove], layout={"flex_flow": "row wrap"})
        remove.on_click(lambda _: self._remove(row))
        for each in (first, second):
            each.observe(self._on_change, "value")
        self._rows.append(row)
        return row

    def _on_change(self, _: object) -> None:
        if not self._quiet:
            self._pairs_changed(self.pairs())

    def _remove(self, row: ipywidgets.HBox) -> None:
        self._rows.remove(row)
        self._draw()
        self._pairs_changed(self.pairs())

    def _draw(self) -> None:
        self.children = (self._title, *self._rows, self._add)
