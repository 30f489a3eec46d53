"""The verbs, as plain functions: what the magics, the command line and Python code call.

`config` is a path (default: ./sageturner.yaml) or a Config that was read already. In a notebook
with the extension loaded, captured cells and live variables are found by themselves.
"""

from __future__ import annotations

import difflib
import json
import sys
import tempfile
from dataclasses import replace
from enum import Enum
from pathlib import Path

from sageturner_magic.config import (
    Config,
    Origin,
    commented_example,
    parse_config,
    read_config,
)
from sageturner_magic.context import DEFAULT_AWS, AwsOptions, current_notebook
from sageturner_magic.deployment import (
    Deployment,
    DeploymentHandle,
    DeployRequest,
    Listener,
    Plan,
    Progress,
    TrialHandle,
    Tried,
    code_source,
    try_request,
    unexpected,
)
from sageturner_magic.deployment.plans import (
    automatic_packages,
    plan_container,
    plan_local,
    plan_rollback,
    plan_sagemaker,
    preview_dockerfile,
    verified,
)
from sageturner_magic.deployment.trial import check_module
from sageturner_magic.endpoints import Endpoint, encode
from sageturner_magic.endpoints.local import LocalState
from sageturner_magic.errors import (
    ConfigError,
    DeploymentCancelled,
    SageturnerError,
    UsageError,
)
from sageturner_magic.packages.needed import NeededPackage
from sageturner_magic.values import ContainerMode, EndpointType, Reporter, Request
from sageturner_magic.verbs.exporting import export_folder

DEFAULT_CONFIG = "sageturner.yaml"


def find_config(config: Config | str | Path | None) -> Config:
    """The configuration that is meant. Raises ConfigError."""
    if isinstance(config, Config):
        return config
    if config is not None:
        return read_config(Path(config).expanduser())
    default = Path(DEFAULT_CONFIG)
    if not default.exists():
        raise ConfigError(
            "There is no configuration",
            why=f"none was named, and {Path.cwd()} has no {DEFAULT_CONFIG}",
            do="write the YAML below `%%sageturner deploy`, pass `-c PATH`, or run"
            " `sageturner init`",
        )
    return read_config(default)


def _request(
    config: Config | str | Path | None,
    endpoint_type: EndpointType,
    container_mode: ContainerMode,
    detach: bool = False,
    aws: AwsOptions = DEFAULT_AWS,
    smoke_test: bool = True,
) -> DeployRequest:
    found = find_config(config)
    notebook = current_notebook()
    return DeployRequest(
        config=found,
        endpoint_type=endpoint_type,
        container_mode=container_mode,
        code=code_source(found, container_mode, notebook.notebook if notebook else None),
        namespace=notebook.namespace if notebook else {},
        detach=detach,
        python=sys.executable,
        aws=aws,
        smoke_test=smoke_test,
    )


def _make_plan(asked: DeployRequest, reporter: Reporter, workspace: Path) -> Plan:
    if asked.endpoint_type == "local" and asked.local_mode == "container":
        return plan_container(asked, reporter, workspace)
    if asked.endpoint_type == "local":
        return plan_local(asked, reporter, workspace)
    return plan_sagemaker(asked, reporter, workspace)


class _Given(Enum):
    """What stands for an argument that was left out, where None is a value."""

    EXAMPLE = "what example_request() returns"


EXAMPLE = _Given.EXAMPLE


def try_(
    payload: object = EXAMPLE,
    config: Config | str | Path | None = None,
    *,
    name: str | None = None,
    content_type: str | None = None,
) -> Tried:
    """Run load() and predict() now, in a clean process with only the code and the artefact.

    Args:
        payload: The request, as `invoke` takes it; by default what example_request() returns.
        name: The captured name, where there is no configuration.
        content_type: Media type of the request; JSON unless the payload is bytes.

    Raises:
        SageturnerError: What would fail where the model runs, with the cell's line.
    """
    asked, sample = _trial_request(payload, config, name, content_type)
    with tempfile.TemporaryDirectory(prefix="sageturner-") as workspace:
        return try_request(asked, sample, Path(workspace), _Silent())


def start_trial(
    payload: object = EXAMPLE,
    config: Config | str | Path | None = None,
    *,
    name: str | None = None,
    content_type: str | None = None,
    listener: Listener | None = None,
) -> TrialHandle:
    """Begin what `try_` does in a thread of its own, which tells how far it is.

    Args:
        payload, config, name, content_type: As for `try_`.
        listener: Called with each event, on the trial's thread.

    Raises:
        SageturnerError: The configuration or the payload cannot be used.
    """
    asked, sample = _trial_request(payload, config, name, content_type)
    return TrialHandle(asked, sample, listener)


def _trial_request(
    payload: object, config: Config | str | Path | None, name: str | None, content_type: str | None
) -> tuple[DeployRequest, Request | None]:
    sample = None if payload is EXAMPLE else encode(payload, content_type)
    return _request(_trial_config(config, name), "local", "generate"), sample


def _trial_config(config: Config | str | Path | None, name: str | None) -> Config:
    """The configuration that is meant; in a notebook there need not be one."""
    notebook = current_notebook()
    if config is not None or notebook is None or Path(DEFAULT_CONFIG).exists():
        found = find_config(config)
        if name in (None, found.name):
            return found
        if config is not None or notebook is None:
            raise UsageError(
                f"The configuration is that of `{found.name}`, not of `{name}`",
                do=f"write `try {found.name}`, or name the right file with -c",
            )
    names = [captured.name for captured in notebook.notebook.names() if captured.name]
    return _named_config(name or (names[0] if len(names) == 1 else "model"))


class _Silent:
    """A Reporter for those who only want the result."""

    def log(self, line: str) -> None:
        pass

    def progress(self, done: float, total: float | None, unit: str, part: str = "") -> None:
        pass

    def checkpoint(self) -> None:
        pass


def plan(
    config: Config | str | Path | None = None,
    *,
    endpoint_type: EndpointType = "local",
    container_mode: ContainerMode = "generate",
    verify: bool = False,
    aws: AwsOptions = DEFAULT_AWS,
) -> Plan:
    """Check everything and say what a deployment would do, without doing it.

    Args:
        verify: Also make a clean environment of exactly the packages that the image gets, and
            let the module load and answer its example there.

    Raises:
        SageturnerError: Everything that stands in its way, at once.
    """
    asked = _request(config, endpoint_type, container_mode, aws=aws)
    try:
        with tempfile.TemporaryDirectory(prefix="sageturner-") as workspace:
            made = _make_plan(asked, _Silent(), Path(workspace))
            made = replace(made, layers=made.look_up_layers())
            if verify:
                return verified(made, _Silent())
        if asked.endpoint_type == "local" and asked.local_mode == "process":
            # A deployment hears it from the server that it starts.
            assert made.ingredients is not None
            check_module(made.ingredients.module, asked.python)
        return made
    except KeyboardInterrupt:
        raise DeploymentCancelled("The plan was stopped") from None
    except SageturnerError:
        raise
    except Exception as error:
        raise unexpected(error) from error


def planned_dockerfile(
    config: Config | str | Path | None = None,
    *,
    endpoint_type: EndpointType = "local",
    container_mode: ContainerMode = "generate",
    verify: bool = False,
    aws: AwsOptions = DEFAULT_AWS,
) -> str:
    """Return the Dockerfile of what `plan` plans.

    Raises:
        UsageError: There is no image.
        SageturnerError: As for `plan`.
    """
    made = plan(
        config, endpoint_type=endpoint_type, container_mode=container_mode, verify=verify, aws=aws
    )
    if not made.dockerfile:
        raise UsageError(
            "There is no Dockerfile",
            why="`--dockerfile` shows that of an image for SageMaker",
            do="add `-e serverless` or `-e server`",
        )
    return made.dockerfile


def dockerfile(
    config: Config | str | Path | None = None,
    *,
    endpoint_type: EndpointType = "serverless",
    container_mode: ContainerMode = "generate",
) -> str:
    """What an image would be built from. AWS is not asked.

    Raises:
        SageturnerError: The code, the artefact or the packages cannot be shipped.
    """
    asked = _request(config, endpoint_type, container_mode)
    with tempfile.TemporaryDirectory(prefix="sageturner-") as workspace:
        return preview_dockerfile(asked, _Silent(), Path(workspace))


def packages(config: Config | str | Path | None = None) -> tuple[NeededPackage, ...]:
    """What `python_packages: auto` takes, at the versions that are installed here.

    Raises:
        SageturnerError: The code or the artefact cannot be shipped, or something is needed that
            no installer can get.
    """
    asked = _request(config, "local", "generate")
    with tempfile.TemporaryDirectory(prefix="sageturner-") as workspace:
        return automatic_packages(asked, _Silent(), Path(workspace))


def start_deployment(
    config: Config | str | Path | None = None,
    *,
    endpoint_type: EndpointType = "local",
    container_mode: ContainerMode = "generate",
    detach: bool = False,
    smoke_test: bool = True,
    aws: AwsOptions = DEFAULT_AWS,
    listener: Listener | None = None,
) -> DeploymentHandle:
    """Begin a deployment in a thread of its own.

    Args:
        detach: A local endpoint outlives this process.
        smoke_test: An image for SageMaker is tried on this machine before it is pushed.
        listener: Called with each event, on the deployment's threads, one at a time.

    Raises:
        ConfigError: The configuration cannot be used.
        CaptureError: There is no code to deploy.
    """
    asked = _request(config, endpoint_type, container_mode, detach, aws, smoke_test)
    return DeploymentHandle(
        asked.config.name,
        lambda reporter, workspace: _make_plan(asked, reporter, workspace),
        listener,
    )


def deploy(
    config: Config | str | Path | None = None,
    *,
    endpoint_type: EndpointType = "local",
    container_mode: ContainerMode = "generate",
    detach: bool = False,
    smoke_test: bool = True,
    aws: AwsOptions = DEFAULT_AWS,
) -> Deployment:
    """Put a model behind an endpoint; returns when it answers. An interrupt cancels it.

    Raises:
        SageturnerError: What went wrong.
    """
    handle = start_deployment(
        config,
        endpoint_type=endpoint_type,
        container_mode=container_mode,
        detach=detach,
        smoke_test=smoke_test,
        aws=aws,
    )
    handle.watch(lambda: None)
    return handle.result()


def form(
    config: str | Path | None = None,
    *,
    endpoint_type: EndpointType = "local",
    container_mode: ContainerMode = "generate",
    invoke: str | None = None,
    text: str | None = None,
    aws: AwsOptions = DEFAULT_AWS,
) -> None:
    """Show a form that fills in and deploys a configuration, in a notebook.

    Args:
        config: The file to begin with.
        invoke: The endpoint that the form sends requests to, in place of deploying.
        text: YAML to begin with, in place of a file.

    Raises:
        UsageError: This is not a notebook that can show it.
        ConfigError: The configuration to begin with cannot be used.
    """
    notebook = current_notebook()
    if notebook is None:
        raise UsageError(
            "A shell cannot show the form",
            do="run `%sageturner form` in JupyterLab or Notebook 7; here `sageturner init` writes a"
            " commented sageturner.yaml",
        )
    notebook.show_form(
        config=config,
        endpoint_type=endpoint_type,
        container_mode=container_mode,
        invoke=invoke,
        text=text,
        aws=aws,
    )


def init(path: str | Path | None = None) -> Path:
    """Write a commented sageturner.yaml and return where.

    Raises:
        ConfigError: The file exists already, or cannot be written.
    """
    target = Path(path or DEFAULT_CONFIG).expanduser()
    if target.is_dir():
        target /= DEFAULT_CONFIG
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(commented_example())
    except FileExistsError:
        raise ConfigError(
            f"{target} exists already", do="name another path, or move it away first"
        ) from None
    except OSError as error:
        raise ConfigError(f"{target} cannot be written", why=error.strerror or "") from None
    return target


def export(folder: str | Path, config: Config | str | Path | None = None) -> list[Path]:
    """Write code, configuration, pinned packages and artefact as a folder to deploy from.

    Returns:
        The files that were written.

    Raises:
        SageturnerError: The folder is not empty, or what belongs into it is not right.
    """
    asked = _request(config, "local", "generate")
    return export_folder(asked, Path(folder).expanduser().absolute(), _Silent())


class Source(str):
    """The text of a module, or of a diff of one."""

    __slots__ = ()


def code(config: Config | str | Path | None = None, *, name: str | None = None) -> Source:
    """Return the text of the sageturner.py that would be deployed.

    Args:
        name: The captured name, in place of a configuration; may be left out as well where the
            notebook has captured only one. Where nothing is captured for it, a local endpoint of
            that name shows what it runs.

    Raises:
        CaptureError: There is no code, or it cannot be captured.
    """
    named = name if config is None else None
    if named and not _is_captured(named) and LocalState().read(named):
        return Source(Endpoint(named).source())
    return Source(_code_request(config, name).code.module()[0].source)


def _is_captured(name: str) -> bool:
    """Whether cells of this notebook may be meant by `name`."""
    notebook = current_notebook()
    names = [captured.name for captured in notebook.notebook.names()] if notebook else []
    return name in names or "" in names


def code_diff(
    config: Config | str | Path | None = None,
    *,
    name: str | None = None,
    aws: AwsOptions = DEFAULT_AWS,
) -> Source:
    """Return what would change in sageturner.py, as a unified diff; empty when nothing would.

    Raises:
        CaptureError: There is no code, or it cannot be captured.
        EndpointError: The endpoint is not there.
    """
    asked = _code_request(config, name)
    endpoint = asked.config.name
    deployed = Endpoint.at(endpoint, aws)
    lines = difflib.unified_diff(
        deployed.source().splitlines(keepends=True),
        asked.code.module()[0].source.splitlines(keepends=True),
        f"{endpoint} (deployed)",
        f"{endpoint} (captured)",
    )
    return Source("".join(lines))


def _code_request(config: Config | str | Path | None, name: str | None) -> DeployRequest:
    notebook = current_notebook()
    if config is None and name is None and notebook is not None:
        names = [captured.name for captured in notebook.notebook.names() if captured.name]
        if len(names) == 1:
            name = names[0]
    if config is None and name is not None:
        config = _named_config(name)
    return _request(config, "local", "generate")


def _named_config(name: str) -> Config:
    return parse_config(f"name: {json.dumps(name)}", folder=Path.cwd(), origin=Origin.file(""))


def start_rollback(
    name: str,
    version: str | None = None,
    *,
    aws: AwsOptions = DEFAULT_AWS,
    listener: Listener | None = None,
) -> DeploymentHandle:
    """Begin to let an endpoint on SageMaker serve an earlier version again.

    Args:
        version: 12 hex digits; None for the version before the present one.
    """
    return DeploymentHandle(
        name,
        lambda reporter, workspace: plan_rollback(name, version, aws),
        listener,
        Progress(name, "Rolling back", "rolled back"),
    )


def rollback(name: str, version: str | None = None, *, aws: AwsOptions = DEFAULT_AWS) -> Deployment:
    """Let an endpoint on SageMaker serve an earlier version again; returns when it does.

    Args:
        version: 12 hex digits; None for the version before the present one.

    Raises:
        SageturnerError: There is no such version; what went wrong.
    """
    handle = start_rollback(name, version, aws=aws)
    handle.watch(lambda: None)
    return handle.result()
