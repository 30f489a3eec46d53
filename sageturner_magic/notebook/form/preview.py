"""Preview what a form deploys: YAML, module, Dockerfile and plan."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets
from markupsafe import Markup

from sageturner_magic import verbs
from sageturner_magic.context import AwsOptions
from sageturner_magic.errors import SageturnerError
from sageturner_magic.notebook.display import Announcer, fill, findings_html, plan_shown
from sageturner_magic.notebook.form.background import Background
from sageturner_magic.notebook.form.model import Form

PREVIEWS = ("YAML", "sageturner.py", "Dockerfile", "plan")
PAUSE_S = 0.6
"""How long nothing has to change before the Dockerfile or the plan is made again."""


class Preview:
    """Shows one of `PREVIEWS` and keeps it as the form is.

    Attributes:
        widget: To display.
    """

    def __init__(
        self,
        form: Form,
        code: Callable[[], dict[str, Any]],
        aws: AwsOptions,
        background: Background,
        announcer: Announcer,
    ) -> None:
        """
        Args:
            code: Gives `model` and `example` for a verb; raises UsageError.
        """
        self._form = form
        self._code = code
        self._aws = aws
        self._background = background
        self._announcer = announcer
        self._unfold: Callable[[], None] = lambda: None
        self._kind = ipywidgets.ToggleButtons(options=PREVIEWS, style={"button_width": "auto"})
        self._kind.observe(lambda _: self.refresh(0), "value")
        self._html = ipywidgets.HTML()
        self.widget = ipywidgets.VBox([self._kind, self._html])

    def opens(self, unfold: Callable[[], None]) -> None:
        """Call `unfold` before something is shown that was asked for elsewhere."""
        self._unfold = unfold

    def show_plan(self) -> None:
        """Turn to the plan, made anew."""
        self._unfold()
        if self._kind.value == "plan":
            self.refresh(0)
        else:
            self._kind.value = "plan"

    def refresh(self, pause_s: float = PAUSE_S) -> None:
        """Show what the form would deploy now; what takes long is made after a pause."""
        kind = self._kind.value
        if kind == "YAML":
            # A live model is no part of the YAML.
            self._show_code(self._form.cell if self._form.model else self._form.yaml)
            return
        checked = self._form.check()
        if checked.config is None:
            self._show(findings_html(checked.findings))
            return
        config, endpoint_type = checked.config, self._form.endpoint_type
        mode, aws = self._form.container_mode, self._aws
        try:
            code = self._code()
        except SageturnerError as error:
            self._show_problems(error)
            return
        if kind == "sageturner.py":
            self._background.start(
                "preview", lambda: verbs.code(config, **code), self._show_code, self._show_problems
            )
            return
        self._show('<p class="sageturner-note">checking everything …</p>')
        self._announcer.say("checking everything")
        if kind == "Dockerfile":
            self._background.start(
                "preview",
                lambda: verbs.dockerfile(
                    config, endpoint_type=endpoint_type, container_mode=mode, **code
                ),
                self._made,
                self._show_problems,
                pause_s,
            )
            return
        self._background.start(
            "preview",
            lambda: verbs.plan(
                config, endpoint_type=endpoint_type, container_mode=mode, aws=aws, **code
            ),
            lambda plan: self._made_plan(plan_shown(plan)._repr_html_()),
            self._show_problems,
            pause_s,
        )

    def _made(self, text: str) -> None:
        self._show_code(text)
        self._announcer.say("The Dockerfile is shown")

    def _made_plan(self, html: str) -> None:
        self._show(html)
        self._announcer.say("The plan is shown")

    def _show_code(self, text: str) -> None:
        shown = Markup('<pre class="sageturner-preview" tabindex="0">{}</pre>')
        self._show(shown.format(text or "(empty)"))

    def _show(self, html: str) -> None:
        if self._html.value != html:
            self._html.value = html

    def _show_problems(self, error: SageturnerError) -> None:
        self._show(fill('<div role="alert">{}</div>', findings_html(error.findings)))
