"""`%sageturner form --invoke NAME`: edit requests, and keep their history."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import ipywidgets
from IPython.core.interactiveshell import InteractiveShell
from IPython.display import display
from markupsafe import Markup

from sageturner_magic import rendering
from sageturner_magic.context import AwsOptions
from sageturner_magic.endpoints import Endpoint, Prediction, plain
from sageturner_magic.errors import SageturnerError
from sageturner_magic.notebook.display import (
    Announcer,
    fill,
    findings_html,
    mime_bundle,
    preformatted,
)
from sageturner_magic.notebook.form.background import Background
from sageturner_magic.notebook.form.fields import WIDE, close_all
from sageturner_magic.notebook.form.style import STYLE
from sageturner_magic.notebook.form.view import NO_WIDGETS
from sageturner_magic.notebook.payload import evaluate
from sageturner_magic.notebook.session import NotebookSession

HISTORY = 50
"""Requests that are kept."""


EMPTY = "{}"


def first_request(endpoint: Endpoint, namespace: Mapping[str, object]) -> str:
    """What example_request() returns, the endpoint's or else the notebook's, as JSON.

    `{}` where there is none, or where it has no JSON form.
    """
    try:
        made = endpoint.example_request()
        example = namespace.get("example_request")
        if made is None and callable(example):
            made = example()
        return (
            EMPTY if made is None else json.dumps(made, indent=2, ensure_ascii=False, default=plain)
        )
    except Exception:
        # The endpoint may be gone, and the notebook's function is the user's own code: an empty
        # request is a start too.
        return EMPTY


class InvokeForm:
    """A request, Send, and the answers so far."""

    def __init__(
        self, shell: InteractiveShell, session: NotebookSession, name: str, aws: AwsOptions
    ) -> None:
        """Raises EndpointError when there is no such endpoint."""
        self._shell = shell
        self._session = session
        self._endpoint = Endpoint.at(name, aws)
        self._background = Background()
        self._sent: list[tuple[str, str]] = []
        self._quiet = False
        self._output: Any = None
        self._request = ipywidgets.Textarea(
            EMPTY,
            description="Request",
            rows=8,
            style={"description_width": "80px"},
            layout={**WIDE},
        )
        self._send = ipywidgets.Button(description="Send", button_style="primary", icon="send")
        self._send.on_click(lambda _: self._on_send())
        close = ipywidgets.Button(description="Close")
        close.on_click(lambda _: self.close())
        self._history = ipywidgets.Dropdown(
            options=[("nothing was sent yet", -1)],
            value=-1,
            description="History",
            style={"description_width": "80px"},
            layout={**WIDE},
        )
        self._history.observe(self._on_history, "value")
        self._answer = ipywidgets.HTML()
        self._announcer = Announcer()
        head = ipywidgets.HTML(fill("{}<h3>Requests to {}</h3>", STYLE, name))
        buttons = ipywidgets.HBox([self._send, close])
        self.widget = ipywidgets.VBox(
            [
                head,
                self._request,
                buttons,
                self._history,
                self._answer,
                self._announcer.widget,
            ]
        )
        self.widget.add_class("sageturner-form")

    def _begin_with(self, example: str) -> None:
        if self._request.value == EMPTY:
            self._request.value = example

    def show(self) -> None:
        """Display the form as the output of the cell that runs."""
        self._background.start(
            "example",
            lambda: first_request(self._endpoint, self._session.namespace),
            self._begin_with,
            lambda _: None,
        )
        bundle = dict(self.widget._repr_mimebundle_())
        bundle["text/plain"] = NO_WIDGETS
        self._output = display(bundle, raw=True, display_id=True)  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """Leave the last request and its answer as text, which a notebook can keep."""
        text, html = self._sent[-1] if self._sent else (self._request.value, "")
        html = f"{preformatted(text, len(text))}{html}"
        self._output.update(mime_bundle(html, text), raw=True)
        close_all(self.widget)

    def _on_send(self) -> None:
        text = self._request.value
        try:
            value = evaluate(text, self._session.namespace)
        except SageturnerError as error:
            self._failed(text, error)
            return
        self._send.disabled = True
        self._answer.value = "<p>sending …</p>"
        self._announcer.say("sending")
        self._background.start(
            "request",
            lambda: self._endpoint.invoke(value),
            lambda prediction: self._answered(text, prediction),
            lambda error: self._failed(text, error),
        )

    def _answered(self, text: str, prediction: Prediction) -> None:
        formatter = self._shell.display_formatter
        assert formatter is not None
        shown: dict[str, str] = formatter.format(prediction)[0]  # type: ignore[no-untyped-call]
        html = shown.get("text/html") or preformatted(shown["text/plain"])
        self._keep(text, html, rendering.prediction_summary(prediction))

    def _failed(self, text: str, error: SageturnerError) -> None:
        details = Markup().join(preformatted(each.details) for each in error.findings)
        html = fill('<div role="alert">{}{}</div>', findings_html(error.findings), details)
        self._keep(text, html, error.findings[0].what)

    def _keep(self, text: str, html: str, summary: str) -> None:
        self._sent = [*self._sent[-HISTORY + 1 :], (text, html)]
        label = f"{' '.join(text.split())[:60]} → {summary}"
        old = [(shown, number) for shown, number in self._history.options if number >= 0]
        number = old[0][1] + 1 if old else 0
        # What is being typed meanwhile stays.
        self._quiet = True
        try:
            self._history.options = [(label, number), *old][:HISTORY]
            self._history.value = number
        finally:
            self._quiet = False
        self._answer.value = html
        self._announcer.say(summary)
        self._send.disabled = False

    def _on_history(self, change: dict[str, Any]) -> None:
        numbers = [number for _, number in self._history.options]
        if not self._quiet and self._sent and change["new"] in numbers:
            text, html = self._sent[-1 - numbers.index(change["new"])]
            self._request.value, self._answer.value = text, html
