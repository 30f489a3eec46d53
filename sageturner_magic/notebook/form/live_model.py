"""Choose a live object of the notebook that load() and predict() are generated for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import ipywidgets

from sageturner_magic import verbs
from sageturner_magic.config import Config
from sageturner_magic.errors import Finding, SageturnerError
from sageturner_magic.notebook.form.background import Background
from sageturner_magic.notebook.form.fields import LABELLED, WIDE
from sageturner_magic.notebook.form.model import Form
from sageturner_magic.notebook.form.preview import PAUSE_S
from sageturner_magic.notebook.payload import expressions
from sageturner_magic.notebook.session import NotebookSession
from sageturner_magic.values import LiveModel


def code_of(form: Form, session: NotebookSession) -> dict[str, Any]:
    """`model` and `example` of a verb, as `--model` and `--example` give them; empty for cells.

    Raises:
        UsageError: The notebook has no such object.
    """
    texts = {"model": form.model, "example": form.model and form.example}
    return {**expressions(texts, session.namespace, session.number)}


class LiveModelField:
    """A variable of the notebook, and an example of what it takes.

    Attributes:
        widget: To display.
        problems: Why the object cannot be served, as far as that is known.
    """

    def __init__(
        self,
        form: Form,
        session: NotebookSession,
        background: Background,
        changed: Callable[[], None],
        checked: Callable[[], None],
    ) -> None:
        """
        Args:
            changed: Called when another object or example is chosen.
            checked: Called on another thread when `problems` has changed.
        """
        self._form = form
        self._session = session
        self._background = background
        self._changed = changed
        self._checked = checked
        self._asked: object = None
        self.problems: tuple[Finding, ...] = ()
        self._variable = ipywidgets.Dropdown(description="Variable", style=LABELLED, layout=WIDE)
        self._example = ipywidgets.Text(
            form.example,
            description="Example",
            placeholder="X_test.head(3)",
            continuous_update=False,
            style=LABELLED,
            layout={**WIDE},
        )
        self._quiet = False
        self._is_shown = self.is_chosen
        self.offer()
        self.widget = ipywidgets.VBox([self._variable, self._example])
        self._variable.observe(self._on_change, "value")
        self._example.observe(self._on_change, "value")

    @property
    def is_chosen(self) -> bool:
        """Whether the form deploys an object in place of captured cells."""
        return bool(self._form.model)

    def offer(self) -> None:
        """List what the notebook has now, once that is wanted; what is chosen stays chosen."""
        if not self._is_shown:
            return
        held = self._form.model
        namespace = self._session.namespace
        names = self._session.notebook.models()
        options = [(f"{name} ({type(namespace[name]).__name__})", name) for name in names]
        if not names:
            options = [("none yet: run the cell that trains one", "")]
        held = self._form.model = held or options[0][1]
        if held not in dict(options).values():
            options.insert(0, (held, held))
        if tuple(options) == self._variable.options:
            return
        self._quiet = True
        try:
            self._variable.options = options
            self._variable.value = held
        finally:
            self._quiet = False

    def choose(self, is_chosen: bool) -> None:
        """Serve an object, the newest if none is chosen, or captured cells in its place."""
        self._is_shown = is_chosen
        if not is_chosen:
            self._form.model = ""
            self._session.notebook.forget_model(str(self._form.get(("name",)) or ""))
            return
        newest = next(iter(self._session.notebook.models()), "")
        self._form.model = self._variable.value or newest
        self.offer()

    def served(self) -> LiveModel | None:
        """The object; None for captured cells, or where the notebook does not have it."""
        try:
            return verbs.live_model(**{"model": None, **code_of(self._form, self._session)})
        except SageturnerError:
            return None

    def _on_change(self, _: object) -> None:
        if not self._quiet:
            self._form.model = self._variable.value
            self._form.example = self._example.value.strip()
            self._changed()

    def check(self, config: Config | None, *, again: bool = False) -> None:
        """Find out whether the object can be served; `again` if it may have changed in place."""
        asked = (config and config.name, self._form.model, self._form.example)
        if not self._form.model or config is None:
            self._asked, self.problems = None, ()
            return
        if asked == self._asked and not (again and self.problems):
            return
        self._asked = asked
        try:
            code = code_of(self._form, self._session)
        except SageturnerError as error:
            self._found(error)
            return
        work = partial(verbs.code, config, **code)
        self._background.start("model", work, lambda _: self._found(), self._found, PAUSE_S)

    def _found(self, error: SageturnerError | None = None) -> None:
        findings = error.findings if error and self.is_chosen else ()
        self.problems = tuple(replace(each, key="model", where="") for each in findings)
        self._checked()
