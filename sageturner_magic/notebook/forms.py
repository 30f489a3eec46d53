"""From a line of `%sageturner form` to the form that it asks for."""

from __future__ import annotations

from argparse import Namespace
from importlib.util import find_spec
from pathlib import Path

from IPython.core.interactiveshell import InteractiveShell

from sageturner_magic.config import Origin, parse_config, read_config
from sageturner_magic.deployment.request import AwsOptions
from sageturner_magic.deployment.verbs import DEFAULT_CONFIG
from sageturner_magic.errors import UsageError
from sageturner_magic.notebook.session import Session


def show_form(
    shell: InteractiveShell, session: Session, arguments: Namespace, cell: str | None
) -> None:
    """Display the deploy form, or the request form of `--invoke`.

    Raises:
        UsageError: Forms cannot be shown here.
        ConfigError: The configuration to begin with cannot be used.
    """
    if not hasattr(shell, "kernel"):
        raise UsageError(
            "A terminal cannot show the form",
            do="open JupyterLab or Notebook 7; here `%sageturner init` writes a commented"
            " sageturner.yaml, and `%sageturner plan` checks it",
        )
    if find_spec("ipywidgets") is None:
        raise UsageError("The form needs ipywidgets", do="`%pip install ipywidgets`")
    if arguments.invoke:
        from sageturner_magic.notebook.form_invoke import InvokeForm

        aws = AwsOptions(arguments.profile, arguments.region)
        InvokeForm(shell, session, arguments.invoke, aws).show()
        return
    _show_deploy_form(shell, session, arguments, cell)


def _show_deploy_form(
    shell: InteractiveShell, session: Session, arguments: Namespace, cell: str | None
) -> None:
    from sageturner_magic.notebook.completer import shippable
    from sageturner_magic.notebook.form import Form, first_text
    from sageturner_magic.notebook.form_view import DeployForm
    from sageturner_magic.notebook.saving import SavedFile

    path, text = arguments.config_path, None
    if cell is not None and path is not None:
        raise UsageError(
            "There are two configurations: the cell's body and --config-path",
            do="leave one of them out",
        )
    if cell is not None:
        parse_config(cell, folder=Path.cwd(), origin=Origin.cell(session.number))
    elif path is not None or Path(DEFAULT_CONFIG).exists():
        file = Path(path or DEFAULT_CONFIG)
        # The reader says what is wrong, with the place of each mistake.
        read_config(file)
        text = file.expanduser().read_text(encoding="utf-8-sig")
    saved = SavedFile(path or DEFAULT_CONFIG, text)
    first = cell if cell is not None else text
    if first is None:
        namespace = session.namespace
        first = first_text(session.notebook, namespace, shippable(namespace))
    folder = Path(path or DEFAULT_CONFIG).expanduser().absolute().parent
    form = Form(first, folder, arguments.endpoint_type, arguments.container_mode)
    DeployForm(shell, session, form, saved, AwsOptions(arguments.profile, arguments.region)).show()
