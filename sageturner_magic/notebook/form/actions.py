"""The buttons of the deploy form, and the deployment that they start."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

import ipywidgets
from markupsafe import Markup

from sageturner_magic import rendering, verbs
from sageturner_magic.context import AwsOptions
from sageturner_magic.deployment import DeploymentHandle
from sageturner_magic.errors import SageturnerError
from sageturner_magic.notebook.display import (
    ProgressView,
    cancel_button,
    deployment_ended,
)
from sageturner_magic.notebook.form.background import Background
from sageturner_magic.notebook.form.fields import LABELLED, WIDE
from sageturner_magic.notebook.form.live_model import code_of
from sageturner_magic.notebook.form.model import Form
from sageturner_magic.notebook.form.preview import Preview
from sageturner_magic.notebook.form.saved_file import SavedFile
from sageturner_magic.notebook.form.status import Status
from sageturner_magic.notebook.session import NotebookSession

COPY_SCRIPT = (
    "const done=w=>{this.nextElementSibling.textContent=w};"
    "navigator.clipboard?navigator.clipboard.writeText(this.dataset.text)"
    ".then(()=>done('copied'),()=>done('the browser does not allow it'))"
    ":done('the browser does not allow it')"
)


class Actions:
    """Deploy, Plan, Save YAML, Export, Copy as cell and Close.

    Attributes:
        buttons: The row of them.
        panel: Where a deployment shows how far it is.
        files: The fields that say what is written where.
    """

    def __init__(
        self,
        form: Form,
        session: NotebookSession,
        saved: SavedFile,
        aws: AwsOptions,
        background: Background,
        status: Status,
        preview: Preview,
        leave: Callable[[str, str], None],
    ) -> None:
        """
        Args:
            leave: Called with HTML and text of what replaces the form.
        """
        self._form = form
        self._session = session
        self._saved = saved
        self._aws = aws
        self._background = background
        self._status = status
        self._leave = leave
        self._save_as = ipywidgets.Text(
            saved.shown, description="YAML file", style=LABELLED, layout={**WIDE}
        )
        self._export_to = ipywidgets.Text(
            "./export", description="Export folder", style=LABELLED, layout={**WIDE}
        )
        self.files = ipywidgets.VBox([self._save_as, self._export_to])
        self.panel = ipywidgets.VBox()
        self._copy = ipywidgets.HTML()
        auto = {"width": "auto"}
        self._deploy = ipywidgets.Button(
            description="Deploy", icon="rocket", button_style="primary", layout=auto
        )
        plan = ipywidgets.Button(description="Plan", layout=auto)
        save = ipywidgets.Button(description="Save YAML", layout=auto)
        export = ipywidgets.Button(description="Export", layout=auto)
        close = ipywidgets.Button(description="Close", layout=auto)
        self._deploy.on_click(lambda _: self._on_deploy())
        plan.on_click(lambda _: preview.show_plan())
        save.on_click(lambda _: self._on_save())
        export.on_click(lambda _: self._on_export())
        close.on_click(lambda _: leave("", ""))
        self.buttons = ipywidgets.HBox(
            [self._deploy, plan, save, export, self._copy, close],
            layout={"flex_flow": "row wrap"},
        )

    @property
    def deploying(self) -> bool:
        """Whether a deployment of this form runs."""
        return bool(self._deploy.disabled)

    def offer_copy(self, cell: str) -> None:
        """Let Copy as cell copy this text."""
        self._copy.value = _copy_button(cell)

    def _on_save(self) -> None:
        try:
            said = self._saved.save(self._save_as.value, self._form.yaml)
            if self._form.model:
                first, _, _ = self._form.cell.partition("\n")
                said += f"; the model is none of it: {first[1:]} -c {self._save_as.value}"
            self._status.say(said)
        except SageturnerError as error:
            self._status.error(error)

    def _on_export(self) -> None:
        checked = self._form.check()
        if checked.config is None:
            self._status.problems(checked.findings)
            return
        config, folder = checked.config, self._export_to.value
        try:
            code = code_of(self._form, self._session)
        except SageturnerError as error:
            self._status.error(error)
            return
        self._status.say("exporting …")
        self._background.start(
            "export",
            lambda: verbs.export(folder, config, **code),
            lambda files: self._status.say(f"wrote {len(files)} files to {folder}"),
            self._status.error,
        )

    def _on_deploy(self) -> None:
        checked = self._form.check()
        if checked.config is None:
            self._status.problems(checked.findings)
            return
        try:
            handle = verbs.start_deployment(
                checked.config,
                endpoint_type=self._form.endpoint_type,
                container_mode=self._form.container_mode,
                aws=self._aws,
                **code_of(self._form, self._session),
            )
        except SageturnerError as error:
            self._status.error(error)
            return
        self._session.endpoints.add(checked.config.name)
        self._deploy.disabled = True
        self._status.say(f"Deploying {checked.config.name}")
        ended = partial(deployment_ended, self._session.request)
        view = ProgressView(handle, cancel_button(handle), ended, self._show_in_panel)
        threading.Thread(
            target=self._follow, args=(handle, view), name="sageturner-view", daemon=True
        ).start()

    def _show_in_panel(self, widget: ipywidgets.Widget) -> _Panel:
        self.panel.children = (widget,)
        return _Panel(self.panel)

    def _follow(self, handle: DeploymentHandle, view: ProgressView) -> None:
        handle.watch(view.draw)
        if handle.status == "done":
            self._leave(*deployment_ended(self._session.request, handle.progress))
            return
        self._deploy.disabled = False
        self._status.say(rendering.headline(handle.progress))


class _Panel:
    """The place of a deployment within the form."""

    def __init__(self, box: ipywidgets.VBox) -> None:
        self._box = box

    def update(self, bundle: dict[str, str], *, raw: bool) -> None:
        self._box.children = (ipywidgets.HTML(bundle["text/html"]),)


def _copy_button(cell: str) -> str:
    """A button that needs no kernel; ipywidgets has none that reaches the clipboard."""
    return Markup(
        '<button type="button" class="jupyter-button widget-button sageturner-copy"'
        ' data-text="{}" onclick="{}">Copy as cell</button>'
        ' <span role="status" aria-live="polite"></span>'
    ).format(cell, COPY_SCRIPT)
