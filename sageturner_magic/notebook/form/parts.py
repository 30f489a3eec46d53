"""The larger parts of the deploy form: code, artefact, instance type, price, and folded parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets
from markupsafe import Markup

from sageturner_magic.aws.account import HostedInstance
from sageturner_magic.config import Server, Serverless
from sageturner_magic.constants import EndpointType
from sageturner_magic.context import AwsOptions
from sageturner_magic.endpoints import Price, price_of
from sageturner_magic.errors import Finding, SageturnerError
from sageturner_magic.notebook.display import fill, fill_each
from sageturner_magic.notebook.form.background import Background
from sageturner_magic.notebook.form.fields import LABELLED, WIDE, PairsEditor, note_html
from sageturner_magic.notebook.form.live_model import LiveModelField
from sageturner_magic.notebook.form.model import CodeState
from sageturner_magic.notebook.form.yaml_document import Value
from sageturner_magic.rendering import price_text
from sageturner_magic.verbs import InstanceChoice

STATE_WORDS = {"captured": "✓ captured", "stale": "✗ stale", "missing": "✗ missing"}

ENDPOINT_WORDS: Mapping[EndpointType, str] = {
    "local": "local: this machine, free",
    "serverless": "serverless: billed per request, nothing while idle",
    "server": "server: its own instances, billed per hour",
}


def code_html(states: Sequence[CodeState]) -> Markup:
    """Show the captured cells by name, with the state of each."""
    if not states:
        return Markup(
            '<div class="sageturner-help">No cells are captured. Begin cells with'
            " <code>%%sageturner_load</code> and <code>%%sageturner_predict</code> and run them,"
            " or name a folder.</div>"
        )
    rows = fill_each(
        '<tr><td><b>{}</b></td><td class="sageturner-{}">{}</td><td>{}{}</td></tr>',
        (
            (
                *(each.name or "(unnamed)", each.state, STATE_WORDS[each.state], each.cells),
                fill_each("<br>{}", ([str(finding)] for finding in each.findings)),
            )
            for each in states
        ),
    )
    return fill('<table class="sageturner-code"><tbody>{}</tbody></table>', rows)


_MODEL_NOTES = {
    True: "load() and predict() are generated for the object. An example, such as"
    " `X_test.head(3)`, gives columns their types and becomes example_request(); torch needs one.",
    False: "load(model_dir) finds these files below model_dir.",
}


class ArtefactEditor:
    """Where the trained model comes from: a live object, files of captured cells, or nowhere."""

    def __init__(
        self,
        value: Value,
        variables: Sequence[tuple[str, str]],
        changed: Callable[[Value], None],
        live: LiveModelField,
    ) -> None:
        """
        Args:
            variables: Label and name of what can be shipped.
        """
        self._changed = changed
        self._live = live
        held = "variables" if isinstance(value, dict) else "path" if value else "none"
        held = "model" if live.is_chosen else held
        self.control = ipywidgets.Dropdown(
            options=[
                ("a model of this notebook", "model"),
                ("none: load() needs no files", "none"),
                ("live variables of this notebook", "variables"),
                ("a file, folder or s3:// address", "path"),
            ],
            value=held,
            description="Model",
            style=LABELLED,
            layout={**WIDE},
        )
        self._pairs = PairsEditor(
            "",
            value if isinstance(value, dict) else {},
            changed,
            words=("File", "Variable"),
            choices=variables,
        )
        self._path = ipywidgets.Text(
            value if isinstance(value, str) else "",
            description="Path",
            placeholder="./model",
            style={"description_width": "initial"},
            layout={**WIDE},
        )
        self._note = ipywidgets.HTML()
        self._inner = ipywidgets.VBox()
        self._inner.add_class("sageturner-inset")
        self.widget = ipywidgets.VBox([self.control, self._inner, self._note])
        self.widget.add_class("sageturner-field")
        self.control.observe(self._on_kind, "value")
        self._path.observe(lambda change: changed(change["new"].strip()), "value")
        self._draw()
        self.show(())

    def offer(self, variables: Sequence[tuple[str, str]]) -> None:
        """Take these as what can be shipped; what is chosen stays chosen."""
        self._pairs.offer(variables)
        self._live.offer()

    def _on_kind(self, _: Any) -> None:
        self._draw()
        kind = self.control.value
        if kind == "variables" and not self._pairs.pairs():
            self._pairs.add("model.joblib")
        self._live.choose(kind == "model")
        values = {"variables": self._pairs.pairs(), "path": self._path.value.strip()}
        self._changed(values.get(kind))

    def _draw(self) -> None:
        shown = {"model": self._live.widget, "variables": self._pairs, "path": self._path}
        self._inner.children = tuple(filter(None, [shown.get(self.control.value)]))

    def show(self, problems: Sequence[Finding]) -> None:
        """Say what is wrong; what it is for where nothing is."""
        note = note_html(_MODEL_NOTES[self.control.value == "model"], problems)
        if self._note.value != note:
            self._note.value = note


class InstanceField:
    """The instance type: a search, those that fit, and why the others do not."""

    def __init__(self, value: str, changed: Callable[[Value], None]) -> None:
        self.search = ipywidgets.Text(
            description="Search",
            placeholder="name, GPU, memory: g5, A10G, 16 GiB",
            style=LABELLED,
            layout={**WIDE},
        )
        self.control = ipywidgets.Select(
            options=[(value, value)] if value else [],
            value=value or None,
            rows=6,
            description="Instance type",
            style=LABELLED,
            layout={**WIDE},
        )
        self._quiet = False
        self._hosted: Mapping[str, HostedInstance] = {}
        self._choices: Sequence[InstanceChoice] = ()
        self._problems: Sequence[Finding] = ()
        self._note = ipywidgets.HTML()
        self._changed = changed
        self.search.observe(self._on_search, "value")
        self.control.observe(self._on_change, "value")
        self.widget = ipywidgets.VBox([self.search, self.control, self._note])
        self.widget.add_class("sageturner-field")

    def _on_change(self, change: dict[str, Any]) -> None:
        if not self._quiet and change["new"]:
            self._changed(change["new"])
            self._draw()

    def _on_search(self, _: object) -> None:
        matching = self._offer()
        written = self.search.value.strip().lower()
        if len(matching) == 1 or written in matching:
            self.control.value = written if written in matching else matching[0]

    def offer(self, choices: Sequence[InstanceChoice]) -> None:
        """Take these as what there is; the type that is chosen stays chosen."""
        self._choices = choices
        self._offer()

    def price(self, hosted: Mapping[str, HostedInstance]) -> None:
        """Show what each type has and costs, as far as that is known."""
        self._hosted = hosted
        if self._choices:
            self._offer()

    def _offer(self) -> list[str]:
        """List the types that fit and that the search finds; returns their names."""
        held = self.control.value
        fitting = [
            (_label(each, self._hosted.get(each.name)), each.name)
            for each in self._choices
            if each.fits
        ]
        wanted = self.search.value.lower().split()
        found = [pair for pair in fitting if all(word in pair[0].lower() for word in wanted)]
        names = [name for _, name in found]
        if held and held not in names:
            why = "chosen" if held in [name for _, name in fitting] else "does not fit"
            found.insert(0, (f"{held} ({why})", held))
        self._quiet = True
        try:
            self.control.options = found
            self.control.value = held or (names[0] if wanted and names else "ml.m5.xlarge")
        finally:
            self._quiet = False
        self._draw()
        return names

    def show(self, problems: Sequence[Finding]) -> None:
        """Say what is wrong."""
        self._problems = problems
        self._draw()

    def _draw(self) -> None:
        held = next((each for each in self._choices if each.name == self.control.value), None)
        known = self._hosted.get(str(self.control.value))
        parts = [held.hardware, held.why] if held else []
        if known:
            parts.insert(0, _size(known))
        note = note_html(" · ".join(part for part in parts if part), self._problems)
        misfits = [each for each in self._choices if not each.fits]
        if misfits:
            items = fill_each(
                "<li><b>{}</b>: {}</li>",
                ((", ".join(names), why) for why, names in _by_reason(misfits).items()),
            )
            note += fill(
                '<details class="sageturner-help"><summary>{} instance types do not'
                " fit</summary><ul>{}</ul></details>",
                *(len(misfits), items),
            )
        if self._note.value != note:
            self._note.value = note


def _label(choice: InstanceChoice, known: HostedInstance | None) -> str:
    """`ml.g5.xlarge · A10G, 24 GB · 4 vCPU, 16 GiB · $1.408/h`, as far as it is known."""
    parts = [choice.name, choice.hardware]
    if known:
        parts += [_size(known), f"${known.hour:,.3f}/h"]
    return " · ".join(filter(None, parts))


def _size(known: HostedInstance) -> str:
    return ", ".join(filter(None, (known.vcpus and f"{known.vcpus} vCPU", known.memory)))


def _by_reason(choices: Sequence[InstanceChoice]) -> dict[str, list[str]]:
    """Reason -> the types that share it."""
    found: dict[str, list[str]] = {}
    for each in choices:
        found.setdefault(each.why.replace(each.name, "it"), []).append(each.name)
    return found


class PriceNote:
    """A line with the price.

    Attributes:
        widget: To display.
    """

    def __init__(self, aws: AwsOptions, background: Background) -> None:
        self._aws = aws
        self._background = background
        self._asked: object = None
        self.widget = ipywidgets.HTML()

    def show(self, endpoint_type: EndpointType, compute: Server | Serverless | None) -> None:
        """Show the price of this compute; AWS is asked where that has changed."""
        asked = (endpoint_type, compute)
        if asked == self._asked:
            return
        self._asked = asked
        self._say(price_text(None, endpoint_type) if endpoint_type == "local" else "asking AWS …")
        if compute is not None:
            self._background.start(
                "price",
                lambda: price_of(self._aws.open(), compute),
                lambda price: self._found(price, endpoint_type),
                self._unknown,
            )

    def _found(self, price: Price, endpoint_type: EndpointType) -> None:
        self._say(price_text(price, endpoint_type))

    def _unknown(self, error: SageturnerError) -> None:
        self._say(f"not known, because {error.findings[0].why or error.findings[0].what}")

    def _say(self, words: str) -> None:
        self.widget.value = note_html(f"Cost: {words}")


class Folded:
    """A part whose title is a button; what is set in it stands beside the title.

    Attributes:
        widget: To display.
    """

    def __init__(self, title: str, make: Callable[[], Sequence[ipywidgets.Widget]]) -> None:
        """`make` gives the widgets of the part; it is called once, when they are first wanted."""
        self._make = make
        self._button = ipywidgets.ToggleButton(
            False, description=title, tooltip=title, icon="caret-right", layout={"width": "auto"}
        )
        self._button.add_class("sageturner-fold")
        self._summary = ipywidgets.HTML(layout={"flex": "1 1 0", "min_width": "0"})
        self._inner = ipywidgets.VBox(layout={"display": "none"})
        self._inner.add_class("sageturner-folded")
        self.widget = ipywidgets.VBox([ipywidgets.HBox([self._button, self._summary]), self._inner])
        self._button.observe(self._on_toggle, "value")

    def fill(self) -> None:
        """Make the widgets, unless they are there."""
        if not self._inner.children:
            self._inner.children = tuple(self._make())

    def open(self) -> None:
        """Unfold it."""
        self._button.value = True

    def say(self, summary: str) -> None:
        """Show what is set."""
        html = fill('<span class="sageturner-summary">{}</span>', summary)
        if self._summary.value != html:
            self._summary.value = html

    def _on_toggle(self, change: dict[str, Any]) -> None:
        self._button.icon = "caret-down" if change["new"] else "caret-right"
        if change["new"]:
            self.fill()
        self._inner.layout.display = None if change["new"] else "none"
