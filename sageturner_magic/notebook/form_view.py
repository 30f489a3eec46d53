"""`%sageturner form`: the deploy form as widgets.

Callbacks run on the kernel's thread and return at once; what takes long runs in threads of its
own, which set traits and print nothing.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from html import escape
from typing import Any

import ipywidgets
from IPython.core.interactiveshell import InteractiveShell
from IPython.display import display

from sageturner_magic.aws import pricing
from sageturner_magic.deployment import verbs, words
from sageturner_magic.deployment.instances import (
    InstanceChoice,
    imported_distributions,
    instance_choices,
)
from sageturner_magic.deployment.request import AwsOptions
from sageturner_magic.deployment.run import DeploymentHandle
from sageturner_magic.errors import CaptureError, Finding, SageturnerError
from sageturner_magic.notebook.background import Background
from sageturner_magic.notebook.completer import shippable
from sageturner_magic.notebook.document import Path as KeyPath
from sageturner_magic.notebook.document import Value
from sageturner_magic.notebook.form import (
    COMPUTE,
    GENERATE,
    MAIN,
    SERVER,
    Form,
    advanced_fields,
    code_states,
    field_at,
)
from sageturner_magic.notebook.form_fields import LABELLED, WIDE, FieldView, close_all, note_html
from sageturner_magic.notebook.form_parts import (
    ENDPOINT_WORDS,
    ArtefactEditor,
    Folded,
    InstanceField,
    code_html,
)
from sageturner_magic.notebook.form_style import STYLE
from sageturner_magic.notebook.html import deployment_html, findings_html, plan_shown
from sageturner_magic.notebook.progress import DeploymentView, cancel_button
from sageturner_magic.notebook.saving import SavedFile
from sageturner_magic.notebook.session import Session

INSTANCE_TYPE = (*SERVER, "instance_type")
PACKAGES = (*GENERATE, "python_packages")
PREVIEWS = ("YAML", "sageturner.py", "Dockerfile", "plan")
PAUSE_S = 0.6
"""How long nothing has to change before the Dockerfile or the plan is made again."""

NO_WIDGETS = "The form is shown where JupyterLab or Notebook 7 has ipywidgets (jupyterlab_widgets)."

COPY_SCRIPT = (
    "const done=w=>{this.nextElementSibling.textContent=w};"
    "navigator.clipboard?navigator.clipboard.writeText(this.dataset.text)"
    ".then(()=>done('copied'),()=>done('the browser does not allow it'))"
    ":done('the browser does not allow it')"
)


class DeployForm:
    """The form. `show()` displays it; it is replaced by what came of it."""

    def __init__(
        self,
        shell: InteractiveShell,
        session: Session,
        form: Form,
        saved: SavedFile,
        aws: AwsOptions,
    ) -> None:
        self._shell = shell
        self._session = session
        self._form = form
        self._saved = saved
        self._aws = aws
        self._background = Background()
        self._views: dict[str, FieldView] = {}
        self._states = code_states(session.notebook)
        self._left_behind = threading.Event()
        self._output: Any = None
        self._build()

    # --- building -------------------------------------------------------------------------

    def _build(self) -> None:
        self._status = ipywidgets.HTML()
        self._panel = ipywidgets.VBox()
        self._code = ipywidgets.HTML()
        self._artefact = ArtefactEditor(
            self._form.get(("artefact",)), self._variables(), self._setter(("artefact",))
        )
        self._instance: InstanceField | None = None
        self._compute = ipywidgets.VBox()
        self._endpoint_type = ipywidgets.Dropdown(
            options=[(label, name) for name, label in ENDPOINT_WORDS.items()],
            value=self._form.endpoint_type,
            description="Endpoint type",
            style=LABELLED,
            layout={**WIDE},
        )
        self._endpoint_type.observe(self._on_endpoint_type, "value")
        self._preview_kind = ipywidgets.ToggleButtons(
            options=PREVIEWS, style={"button_width": "auto"}
        )
        self._preview_kind.observe(lambda _: self._preview(0), "value")
        self._preview_html = ipywidgets.HTML()
        self._save_as = ipywidgets.Text(
            self._saved.shown, description="YAML file", style=LABELLED, layout={**WIDE}
        )
        self._export_to = ipywidgets.Text(
            "./export", description="Export folder", style=LABELLED, layout={**WIDE}
        )
        column = {"flex": "1 1 430px", "min_width": "0", "width": "auto"}
        columns = ipywidgets.Box(
            [
                ipywidgets.VBox(self._left(), layout={**column}),
                ipywidgets.VBox(self._right(), layout={**column}),
            ],
            layout={"display": "flex", "flex_flow": "row wrap", "grid_gap": "0 28px"},
        )
        self.widget = ipywidgets.VBox(
            [ipywidgets.HTML(STYLE), self._actions(), self._status, self._panel, columns]
        )
        self.widget.add_class("sageturner-form")
        self._show_compute()
        self._refresh()

    def _left(self) -> list[ipywidgets.Widget]:
        children: list[ipywidgets.Widget] = []
        for title, keys in MAIN.items():
            children.append(ipywidgets.HTML(f"<h3>{escape(title)}</h3>"))
            if title == "Code":
                children.append(self._code)
            children += [self._field(path) for path in keys]
            if title == "Code":
                children += [ipywidgets.HTML("<h3>Artefact</h3>"), self._artefact.widget]
                children += [ipywidgets.HTML("<h3>Compute</h3>"), self._endpoint_type]
                children.append(self._compute)
        for title, fields in advanced_fields().items():
            paths = [field.path for field in fields]
            children.append(Folded(title, partial(self._fields, paths)).widget)
        return children

    def _right(self) -> list[ipywidgets.Widget]:
        heading = ipywidgets.HTML("<h3>What will be deployed</h3>")
        files = ipywidgets.HTML("<h3>Files</h3>")
        return [
            heading,
            self._preview_kind,
            self._preview_html,
            files,
            self._save_as,
            self._export_to,
        ]

    def _actions(self) -> ipywidgets.Widget:
        auto = {"width": "auto"}
        self._deploy = ipywidgets.Button(
            description="Deploy", icon="rocket", button_style="primary", layout=auto
        )
        plan = ipywidgets.Button(description="Plan", layout=auto)
        save = ipywidgets.Button(description="Save YAML", layout=auto)
        export = ipywidgets.Button(description="Export", layout=auto)
        close = ipywidgets.Button(description="Close", layout=auto)
        self._copy = ipywidgets.HTML()
        self._deploy.on_click(lambda _: self._on_deploy())
        plan.on_click(lambda _: self._on_plan())
        save.on_click(lambda _: self._on_save())
        export.on_click(lambda _: self._on_export())
        close.on_click(lambda _: self.close())
        buttons = [self._deploy, plan, save, export, self._copy, close]
        return ipywidgets.HBox(buttons, layout={"flex_flow": "row wrap"})

    def _fields(self, paths: Sequence[KeyPath]) -> list[ipywidgets.Widget]:
        made = [self._field(path) for path in paths]
        self._refresh()
        return made

    def _field(self, path: KeyPath) -> ipywidgets.Widget:
        field = field_at(path)
        view = FieldView(field, self._form.get(path), self._setter(path))
        self._views[field.key] = view
        return view.widget

    def _setter(self, path: KeyPath) -> Any:
        def changed(value: Value) -> None:
            self._form.set(path, value)
            self._refresh()
            if path == PACKAGES or path == (*GENERATE, "install_cuda"):
                self._offer_instances()

        return changed

    def _variables(self) -> list[tuple[str, str]]:
        namespace = self._session.namespace
        return [
            (f"{name} ({type(namespace[name]).__name__})", name) for name in shippable(namespace)
        ]

    # --- what changes -----------------------------------------------------------------------

    def _on_endpoint_type(self, change: dict[str, Any]) -> None:
        self._form.choose(change["new"])
        self._show_compute()
        self._refresh()

    def _show_compute(self) -> None:
        """The fields of the endpoint type that is chosen."""
        self._instance = None
        shown = []
        for path in COMPUTE[self._form.endpoint_type]:
            if path == INSTANCE_TYPE:
                value = self._form.get(path)
                self._instance = InstanceField(str(value or ""), self._on_instance_type)
                shown.append(self._instance.widget)
            else:
                shown.append(self._field(path))
        self._compute.children = tuple(shown)
        self._offer_instances()

    def _on_instance_type(self, value: Value) -> None:
        self._form.set(INSTANCE_TYPE, value)
        self._refresh()
        self._ask_price()

    def _offer_instances(self) -> None:
        """Find out which instance types fit; the list is filled when that is known."""
        field = self._instance
        if field is None:
            return
        packages = self._form.get(PACKAGES)
        name = str(self._form.get(("name",)) or "")
        install_cuda = self._form.get((*GENERATE, "install_cuda")) == "true"
        notebook = self._session.notebook

        def work() -> list[InstanceChoice]:
            wanted = packages if isinstance(packages, list) else []
            if not isinstance(packages, list):
                try:
                    wanted = imported_distributions(notebook.module(name).imports)
                except CaptureError:
                    # What is wrong with the code is said beside the code.
                    wanted = []
            python = ".".join(map(str, sys.version_info[:2]))
            return instance_choices(wanted, python, install_cuda=install_cuda)

        self._background.start("instances", work, field.offer, self._say_error)
        self._ask_price()

    def _ask_price(self) -> None:
        field, chosen = self._instance, self._form.get(INSTANCE_TYPE)
        if field is None or not chosen:
            return

        def work() -> float | None:
            return pricing.instance_hour(self._aws.open(), str(chosen))

        # Without an account there is no price, and nothing else is missing.
        self._background.start("price", work, field.price, lambda _: None)

    def _refresh(self) -> None:
        """Say what is wrong, at each field and in all, and show what would be deployed."""
        checked = self._form.check()
        views: dict[str, Any] = {**self._views, "artefact": self._artefact}
        if self._instance is not None:
            views[".".join(INSTANCE_TYPE)] = self._instance
        elsewhere = list(checked.findings)
        for key, view in views.items():
            problems = checked.beside(key)
            view.show(problems)
            elsewhere = [each for each in elsewhere if each not in problems]
        # A name that cannot be is nobody's code.
        code = () if checked.beside("name") else self._code_problems()
        self._code.value = code_html(self._states) + note_html("", code)
        self._copy.value = _copy_button(self._form.cell)
        if checked.findings or code:
            shown = [replace(each, where="") for each in elsewhere]
            self._say_problems((*code, *checked.findings), shown)
        elif not self._deploy.disabled:
            self._say(f"Ready to deploy {self._form.get(('name',))}.")
        self._preview(PAUSE_S)

    def _after_cell(self, _: object) -> None:
        """A cell ran: what is captured, whether it is stale, and the variables may differ."""
        self._states = code_states(self._session.notebook)
        self._artefact.offer(self._variables())
        self._refresh()

    def _code_problems(self) -> tuple[Finding, ...]:
        """Why the name that is filled in has no code, where it has none."""
        if self._form.get((*GENERATE, "code_dir")) or self._form.container_mode == "provide":
            return ()
        try:
            self._session.notebook.capture_name(str(self._form.get(("name",)) or ""))
        except CaptureError as error:
            return error.findings
        return ()

    def _say(self, text: str) -> None:
        self._status.value = (
            f'<div class="sageturner-status" role="status" aria-live="polite">{escape(text)}</div>'
        )

    def _say_problems(
        self, findings: Sequence[Finding], shown: Sequence[Finding] | None = None
    ) -> None:
        """Say how much is wrong, and what of it is not `shown` beside a field already."""
        shown = findings if shown is None else shown
        count = "1 problem" if len(findings) == 1 else f"{len(findings)} problems"
        keys = ", ".join(each.key or "code" for each in findings if each not in shown)
        at = f": see {escape(keys)}" if keys and not shown else ""
        self._status.value = (
            f'<div class="sageturner-status" role="alert"><b>{count}</b>{at}'
            f"{findings_html(shown)}</div>"
        )

    def _say_error(self, error: SageturnerError) -> None:
        self._say_problems(error.findings)

    # --- what is shown of it ----------------------------------------------------------------

    def _preview(self, pause_s: float) -> None:
        kind = self._preview_kind.value
        if kind == "YAML":
            self._show_code(self._form.yaml)
            return
        checked = self._form.check()
        if checked.config is None:
            self._preview_html.value = findings_html(checked.findings)
            return
        config, endpoint_type = checked.config, self._form.endpoint_type
        mode, aws = self._form.container_mode, self._aws
        if kind == "sageturner.py":
            self._background.start(
                "preview", lambda: verbs.code(config), self._show_code, self._show_problems
            )
            return
        self._show_waiting()
        if kind == "Dockerfile":
            self._background.start(
                "preview",
                lambda: verbs.dockerfile(config, endpoint_type=endpoint_type, container_mode=mode),
                self._show_code,
                self._show_problems,
                pause_s,
            )
            return
        self._background.start(
            "preview",
            lambda: verbs.plan(config, endpoint_type=endpoint_type, container_mode=mode, aws=aws),
            lambda plan: self._show_html(plan_shown(plan)._repr_html_()),
            self._show_problems,
            pause_s,
        )

    def _show_code(self, text: str) -> None:
        self._show_html(
            f'<pre class="sageturner-preview" tabindex="0">{escape(text) or "(empty)"}</pre>'
        )

    def _show_html(self, html: str) -> None:
        if self._preview_html.value != html:
            self._preview_html.value = html

    def _show_waiting(self) -> None:
        self._show_html('<p role="status" class="sageturner-note">checking everything …</p>')

    def _show_problems(self, error: SageturnerError) -> None:
        self._show_html(f'<div role="alert">{findings_html(error.findings)}</div>')

    # --- the buttons ------------------------------------------------------------------------

    def _on_plan(self) -> None:
        if self._preview_kind.value == "plan":
            self._preview(0)
        else:
            self._preview_kind.value = "plan"

    def _on_save(self) -> None:
        try:
            self._say(self._saved.save(self._save_as.value, self._form.yaml))
        except SageturnerError as error:
            self._say_error(error)

    def _on_export(self) -> None:
        checked = self._form.check()
        if checked.config is None:
            self._say_problems(checked.findings)
            return
        config, folder = checked.config, self._export_to.value
        self._say("exporting …")
        self._background.start(
            "export",
            lambda: verbs.export(folder, config),
            lambda files: self._say(f"wrote {len(files)} files to {folder}"),
            self._say_error,
        )

    def _on_deploy(self) -> None:
        checked = self._form.check()
        if checked.config is None:
            self._say_problems(checked.findings)
            return
        try:
            handle = verbs.start_deployment(
                checked.config,
                endpoint_type=self._form.endpoint_type,
                container_mode=self._form.container_mode,
                aws=self._aws,
            )
        except SageturnerError as error:
            self._say_error(error)
            return
        self._session.endpoints.add(checked.config.name)
        self._deploy.disabled = True
        self._say(f"Deploying {checked.config.name}")
        view = DeploymentView(handle, cancel_button(handle), self._show_in_panel)
        threading.Thread(
            target=self._follow, args=(handle, view), name="sageturner-view", daemon=True
        ).start()

    def _show_in_panel(self, widget: ipywidgets.Widget) -> _Panel:
        self._panel.children = (widget,)
        return _Panel(self._panel)

    def _follow(self, handle: DeploymentHandle, view: DeploymentView) -> None:
        handle.watch(view.draw)
        if handle.status == "done":
            progress = handle.progress
            self._leave(deployment_html(progress), words.deployment_text(progress))
            return
        self._deploy.disabled = False
        self._say(words.headline(handle.progress))

    # --- the beginning and the end ----------------------------------------------------------

    def show(self) -> None:
        """Display the form as the output of the cell that runs."""
        bundle = dict(self.widget._repr_mimebundle_())
        bundle["text/plain"] = NO_WIDGETS
        self._output = display(bundle, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        self._shell.events.register("post_run_cell", self._after_cell)

    def close(self) -> None:
        """Leave what was filled in as text, which a notebook can keep."""
        self._leave("", "")

    def _leave(self, html: str, plain: str) -> None:
        """Replace the form by what came of it and the YAML; widgets do not outlive their kernel."""
        if self._left_behind.is_set():
            return
        self._left_behind.set()
        self._shell.events.unregister("post_run_cell", self._after_cell)
        cell = self._form.cell
        folded = (
            f"<details{'' if html else ' open'}><summary>The form as a cell</summary>"
            f"<pre>{escape(cell)}</pre></details>"
        )
        self._output.update(
            {"text/html": f"{html}{folded}", "text/plain": f"{plain}\n{cell}".strip()}, raw=True
        )
        close_all(self.widget)


class _Panel:
    """The place of a deployment within the form."""

    def __init__(self, box: ipywidgets.VBox) -> None:
        self._box = box

    def update(self, bundle: dict[str, str], *, raw: bool) -> None:
        self._box.children = (ipywidgets.HTML(bundle["text/html"]),)


def _copy_button(cell: str) -> str:
    """A button that needs no kernel; ipywidgets has none that reaches the clipboard."""
    return (
        '<button type="button" class="jupyter-button widget-button sageturner-copy"'
        f' data-text="{escape(cell)}" onclick="{COPY_SCRIPT}">Copy as cell</button>'
        ' <span role="status" aria-live="polite"></span>'
    )
