"""`%sageturner form`: the deploy form as widgets.

Callbacks run on the kernel's thread and return at once; what takes long runs in threads of its
own, which set traits and print nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import ipywidgets
from IPython.core.interactiveshell import InteractiveShell
from IPython.display import display

from sageturner_magic import verbs
from sageturner_magic.aws import account as aws_account
from sageturner_magic.aws.account import HostedInstance
from sageturner_magic.constants import THIS_PYTHON
from sageturner_magic.context import AwsOptions
from sageturner_magic.errors import CaptureError, Finding, SageturnerError
from sageturner_magic.notebook.completion import shippable
from sageturner_magic.notebook.display import fill, mime_bundle, preformatted
from sageturner_magic.notebook.form.actions import Actions
from sageturner_magic.notebook.form.background import Background
from sageturner_magic.notebook.form.fields import (
    LABELLED,
    WIDE,
    FieldView,
    close_all,
    note_html,
    problem_text,
)
from sageturner_magic.notebook.form.live_model import LiveModelField, code_of
from sageturner_magic.notebook.form.model import (
    CAPACITY,
    COMPUTE,
    GENERATE,
    MAIN,
    PACKAGES,
    SERVER,
    Field,
    Form,
    advanced_fields,
    code_states,
    field_at,
)
from sageturner_magic.notebook.form.packages import PackagesField
from sageturner_magic.notebook.form.parts import (
    ENDPOINT_WORDS,
    STATE_WORDS,
    ArtefactEditor,
    Folded,
    InstanceField,
    PriceNote,
    code_html,
)
from sageturner_magic.notebook.form.preview import PAUSE_S, Preview
from sageturner_magic.notebook.form.saved_file import SavedFile
from sageturner_magic.notebook.form.status import Status
from sageturner_magic.notebook.form.style import STYLE
from sageturner_magic.notebook.form.yaml_document import Path as KeyPath
from sageturner_magic.notebook.form.yaml_document import Value
from sageturner_magic.notebook.session import NotebookSession
from sageturner_magic.verbs import InstanceChoice, imported_distributions, instance_choices

INSTANCE_TYPE = (*SERVER, "instance_type")
NO_WIDGETS = (
    "The form is shown where JupyterLab or Notebook 7 has ipywidgets (jupyterlab_widgets)."
    " `%sageturner deploy --help` and `%sageturner invoke --help` show the lines that do the same."
)


class DeployForm:
    """The form. `show()` displays it; it is replaced by what came of it."""

    def __init__(
        self,
        shell: InteractiveShell,
        session: NotebookSession,
        form: Form,
        saved: SavedFile,
        aws: AwsOptions,
    ) -> None:
        self._shell = shell
        self._session = session
        self._form = form
        self._aws = aws
        self._background = Background()
        self._status = Status()
        code = partial(code_of, form, session)
        self._preview = Preview(form, code, aws, self._background, self._status.announcer)
        self._actions = Actions(
            form, session, saved, aws, self._background, self._status, self._preview, self._leave
        )
        self._views: dict[str, FieldView | PackagesField] = {}
        self._packages_of: object = None
        self._hosted: Mapping[str, HostedInstance] = {}
        self._states = code_states(session.notebook)
        self._left_behind = threading.Event()
        self._output: Any = None
        self._build()

    # --- building -------------------------------------------------------------------------

    def _build(self) -> None:
        """Name, model, where it runs with its price, and Deploy; everything else is folded."""
        self._code = ipywidgets.HTML()
        self._live = LiveModelField(
            *(self._form, self._session, self._background), self._refresh, self._say_problems
        )
        held, setter = self._form.get(("artefact",)), self._setter(("artefact",))
        self._artefact = ArtefactEditor(held, self._variables(), setter, self._live)
        self._instance: InstanceField | None = None
        self._compute = ipywidgets.VBox()
        self._capacity = ipywidgets.VBox()
        self._price = PriceNote(self._aws, self._background)
        self._endpoint_type = ipywidgets.Dropdown(
            options=[(label, name) for name, label in ENDPOINT_WORDS.items()],
            value=self._form.endpoint_type,
            description="Endpoint type",
            style=LABELLED,
            layout={**WIDE},
        )
        self._endpoint_type.observe(self._on_endpoint_type, "value")
        where = ipywidgets.VBox([self._endpoint_type])
        where.add_class("sageturner-field")
        self.widget = ipywidgets.VBox(
            [
                ipywidgets.HTML(STYLE),
                self._actions.buttons,
                self._status.widget,
                self._actions.panel,
                self._field(("name",)),
                self._artefact.widget,
                where,
                self._compute,
                self._price.widget,
                *(each.widget for each in self._folded_parts()),
            ]
        )
        self.widget.add_class("sageturner-form")
        self._show_compute()
        self._refresh()

    def _folded_parts(self) -> list[Folded]:
        """The parts in their order; those whose problems have to be seen at once are made now."""
        parts = {
            title: Folded(title, partial(self._fields, paths)) for title, paths in MAIN.items()
        }
        parts["Code"] = Folded("Code", lambda: [self._code, *self._fields(MAIN["Code"])])
        self._capacity_part = Folded("Capacity", lambda: [self._capacity])
        self._folds: list[tuple[Folded, Sequence[Field]]] = [
            (parts["Environment and tags"], [*map(field_at, MAIN["Environment and tags"])])
        ]
        for title, fields in advanced_fields().items():
            made = Folded(title, partial(self._fields, [field.path for field in fields]))
            self._folds.append((made, fields))
        shown = Folded("Preview", lambda: [self._preview.widget])
        shown.say("YAML, sageturner.py, Dockerfile and plan")
        files = Folded("Files", lambda: [self._actions.files])
        files.say("where YAML and export are written")
        self._code_part, packages = parts["Code"], parts["Packages"]
        for part in (*parts.values(), self._capacity_part, shown, files):
            part.fill()
        found = self._views[".".join(PACKAGES)]
        assert isinstance(found, PackagesField)
        found.tell(lambda: packages.say(found.summary))
        self._preview.opens(shown.open)
        others = [part for part, _ in self._folds]
        return [self._code_part, packages, self._capacity_part, *others, shown, files]

    def _fields(self, paths: Sequence[KeyPath]) -> list[ipywidgets.Widget]:
        return [self._field(path) for path in paths]

    def _field(self, path: KeyPath) -> ipywidgets.Widget:
        field = field_at(path)
        kind = PackagesField if path == PACKAGES else FieldView
        view = kind(field, self._form.get(path), self._setter(path))
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
        capacity = CAPACITY[self._form.endpoint_type]
        self._capacity.children = tuple(self._fields(capacity))
        self._capacity_part.widget.layout.display = None if capacity else "none"
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

    def _offer_instances(self) -> None:
        """Find out which instance types fit; the list is filled when that is known."""
        field = self._instance
        if field is None:
            return
        packages = self._form.get(PACKAGES)
        name = str(self._form.get(("name",)) or "")
        install_cuda = self._form.get((*GENERATE, "install_cuda")) == "true"
        notebook, live = self._session.notebook, self._live.served()

        def work() -> list[InstanceChoice]:
            wanted = packages if isinstance(packages, list) else []
            if not isinstance(packages, list):
                try:
                    module, _ = notebook.module_and_notes(name, model=live)
                    wanted = imported_distributions(module.imports)
                except CaptureError:
                    # What is wrong with the code is said beside the code.
                    wanted = []
            return instance_choices(wanted, THIS_PYTHON, install_cuda=install_cuda)

        self._background.start("instances", work, field.offer, self._status.error)
        self._ask_prices(field)

    def _ask_prices(self, field: InstanceField) -> None:
        """Find out what instance types have and cost; AWS is asked once."""

        def show(hosted: Mapping[str, HostedInstance]) -> None:
            self._hosted = hosted
            field.price(hosted)

        if self._hosted:
            field.price(self._hosted)
            return
        # Without an account there is no price, and nothing else is missing.
        self._background.start(
            "prices", lambda: aws_account.hosted_instances(self._aws.open()), show, lambda _: None
        )

    def _find_packages(self) -> None:
        """Find out what `python_packages: auto` takes, where that may have changed."""
        field, checked = self._views[".".join(PACKAGES)], self._form.check()
        assert isinstance(field, PackagesField)
        listed = isinstance(self._form.get(PACKAGES), list)
        if checked.config is None or listed or self._form.container_mode == "provide":
            return
        config, folder = checked.config, self._form.get((*GENERATE, "code_dir"))
        try:
            code = code_of(self._form, self._session)
        except SageturnerError:
            return
        live = (self._form.model, self._form.example) if code else self._source(config.name)
        decides: object = folder, self._form.get(("artefact",)), live
        if decides == self._packages_of:
            return
        self._packages_of = decides
        field.waiting()
        self._background.start(
            "packages",
            lambda: verbs.packages(config, **code),
            field.found,
            lambda error: field.not_found(problem_text(error.findings[0])),
            PAUSE_S,
        )

    def _source(self, name: str) -> str:
        """The captured module; empty where there is none."""
        try:
            return self._session.notebook.module(name).source
        except CaptureError:
            return ""

    def _refresh(self, *, again: bool = False) -> None:
        """Say what is wrong, and show what would be deployed; `again` after a cell ran."""
        config = self._form.check().config
        self._live.check(config, again=again)
        self._say_problems()
        self._summarise()
        if config is not None:
            kind = self._form.endpoint_type
            self._price.show(kind, config.compute.of(kind))
        self._actions.offer_copy(self._form.cell)
        self._preview.refresh()
        self._find_packages()

    def _say_problems(self) -> None:
        """Say what is wrong, at each field and in all."""
        checked = self._form.check()
        views: dict[str, Any] = {**self._views}
        if self._instance is not None:
            views[".".join(INSTANCE_TYPE)] = self._instance
        elsewhere = list(checked.findings)
        for key, view in [*views.items(), ("artefact", self._artefact)]:
            problems = checked.beside(key)
            live = self._live.problems if view is self._artefact else ()
            view.show([*problems, *live])
            elsewhere = [each for each in elsewhere if each not in problems]
        # A name that cannot be is nobody's code.
        code = () if checked.beside("name") else self._code_problems()
        self._code.value = code_html(self._states) + note_html("", code)
        code = (*code, *self._live.problems)
        if checked.findings or code:
            shown = [replace(each, where="") for each in elsewhere]
            self._status.problems((*code, *checked.findings), shown)
        elif not self._actions.deploying:
            self._status.say(f"Ready to deploy {self._form.get(('name',))}.")

    def _summarise(self) -> None:
        """Say beside the title of each folded part what is set in it."""
        for part, fields in self._folds:
            part.say(self._form.summary(fields))
        capacity = [*map(field_at, CAPACITY[self._form.endpoint_type])]
        self._capacity_part.say(self._form.summary(capacity))
        folder = self._form.get((*GENERATE, "code_dir"))
        states = [f"{STATE_WORDS[each.state]}, {each.cells}" for each in self._states]
        made = self._form.model and f"generated for {self._form.model}"
        self._code_part.say(str(folder or made or "; ".join(states) or "no cells are captured"))

    def _after_cell(self, _: object) -> None:
        """A cell ran: what is captured, whether it is stale, and the variables may differ."""
        self._states = code_states(self._session.notebook)
        self._artefact.offer(self._variables())
        self._refresh(again=True)

    def _code_problems(self) -> tuple[Finding, ...]:
        """Why the name that is filled in has no code, where it has none."""
        is_elsewhere = self._form.model or self._form.get((*GENERATE, "code_dir"))
        if is_elsewhere or self._form.container_mode == "provide":
            return ()
        try:
            self._session.notebook.captures.name_for(str(self._form.get(("name",)) or ""))
        except CaptureError as error:
            return error.findings
        return ()

    # --- the beginning and the end ----------------------------------------------------------

    def show(self) -> None:
        """Display the form as the output of the cell that runs."""
        bundle = dict(self.widget._repr_mimebundle_())
        bundle["text/plain"] = NO_WIDGETS
        self._output = display(bundle, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        self._shell.events.register("post_run_cell", self._after_cell)

    def _leave(self, html: str, plain: str) -> None:
        """Replace the form by what came of it, if anything, and the YAML.

        Widgets do not outlive their kernel; this is text, which a notebook can keep.
        """
        if self._left_behind.is_set():
            return
        self._left_behind.set()
        self._shell.events.unregister("post_run_cell", self._after_cell)
        cell = self._form.cell
        folded = fill(
            "<details{}><summary>The form as a cell</summary>{}</details>",
            *("" if html else " open", preformatted(cell, len(cell))),
        )
        plain = f"{plain}\n{cell}".strip()
        self._output.update(mime_bundle(f"{html}{folded}", plain), raw=True)
        close_all(self.widget)
