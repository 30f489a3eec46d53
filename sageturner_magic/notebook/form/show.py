"""Open the form that a line of `%sageturner form` asks for."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from IPython.core.interactiveshell import InteractiveShell

from sageturner_magic.config import Origin, parse_config, read_config
from sageturner_magic.constants import ContainerMode, EndpointType
from sageturner_magic.context import AwsOptions
from sageturner_magic.errors import UsageError
from sageturner_magic.notebook.session import NotebookSession
from sageturner_magic.verbs import DEFAULT_CONFIG


def show_form(
    shell: InteractiveShell,
    session: NotebookSession,
    *,
    config: str | Path | None,
    name: str | None,
    endpoint_type: EndpointType,
    container_mode: ContainerMode,
    invoke: str | None,
    text: str | None,
    aws: AwsOptions,
) -> None:
    """Display the deploy form, or the request form of `invoke`; see `form`.

    Raises:
        UsageError: Forms cannot be shown here.
        ConfigError: The configuration to begin with cannot be used.
    """
    if not hasattr(shell, "kernel"):
        raise UsageError(
            "A terminal cannot show the form",
            do="open JupyterLab or Notebook 7; here `%sageturner init` writes a commented"
            " sageturner.yaml, and `%sageturner plan` checks it",
            code="ST15",
        )
    if find_spec("ipywidgets") is None:
        raise UsageError("The form needs ipywidgets", do="`%pip install ipywidgets`", code="ST15")
    if invoke:
        from sageturner_magic.notebook.form.invoke import InvokeForm

        InvokeForm(shell, session, invoke, aws).show()
    else:
        _show_deploy_form(shell, session, config, name, text, endpoint_type, container_mode, aws)


def _show_deploy_form(
    shell: InteractiveShell,
    session: NotebookSession,
    config: str | Path | None,
    name: str | None,
    text: str | None,
    endpoint_type: EndpointType,
    container_mode: ContainerMode,
    aws: AwsOptions,
) -> None:
    from sageturner_magic.notebook.completion import shippable
    from sageturner_magic.notebook.form.model import Form, first_model, first_text
    from sageturner_magic.notebook.form.saved_file import SavedFile
    from sageturner_magic.notebook.form.view import DeployForm

    file = Path(config or DEFAULT_CONFIG).expanduser()
    written = None
    if text is not None:
        parse_config(text, folder=Path.cwd(), origin=Origin.cell(session.number))
    elif config is not None or file.exists():
        # The reader says what is wrong, with the place of each mistake.
        found = read_config(file).name
        written = file.read_text(encoding="utf-8-sig") if name in (None, found) else None
    saved = SavedFile(str(config or DEFAULT_CONFIG), written)
    first = text if text is not None else written
    if first is None:
        namespace = session.namespace
        first = first_text(session.notebook, namespace, shippable(namespace), name)
    form = Form(first, file.absolute().parent, endpoint_type, container_mode)
    is_new = text is None and written is None and container_mode == "generate"
    form.model, form.example = first_model(session.notebook, form, is_new=is_new)
    DeployForm(shell, session, form, saved, aws).show()
