"""Plan, deploy and roll back: what the magics, the command line and Python code call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sageturner_magic.calls import followed, in_thread
from sageturner_magic.config import ConfigSource, yaml_of
from sageturner_magic.constants import ContainerMode, EndpointType
from sageturner_magic.context import DEFAULT_AWS, AwsOptions, current_notebook
from sageturner_magic.deployment import (
    Deployment,
    DeploymentHandle,
    DeployRequest,
    Fact,
    Listener,
    Plan,
    Progress,
    cannot_run_here,
    unexpected,
    with_reference,
    without_reference,
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
from sageturner_magic.errors import DeploymentCancelled, SageturnerError, UsageError
from sageturner_magic.packages.needed import NeededPackage
from sageturner_magic.scratch import scratch_folder
from sageturner_magic.values import Reporter
from sageturner_magic.verbs.requested import (
    DEFAULT_CONFIG,
    Flags,
    Silent,
    chosen_config,
    live_model,
    request_for,
)
from sageturner_magic.verbs.verb import after, finish

_PROCESS = ("local", "process")


def _make_plan(asked: DeployRequest, reporter: Reporter, workspace: Path) -> Plan:
    made = _plan_of(asked, reporter, workspace)
    if asked.reference is None:
        return made
    why_not = asked.reference.why_not
    if made.ingredients and not why_not and (asked.endpoint_type, asked.local_mode) != _PROCESS:
        why_not = cannot_run_here(made.ingredients)
    text = f"not compared: {why_not}" if why_not else "compared with it"
    return replace(made, facts=(*made.facts, Fact("Notebook's response", text)))


def _plan_of(asked: DeployRequest, reporter: Reporter, workspace: Path) -> Plan:
    if asked.endpoint_type == "local" and asked.local_mode == "container":
        return plan_container(asked, reporter, workspace)
    if asked.endpoint_type == "local":
        return plan_local(asked, reporter, workspace)
    return plan_sagemaker(asked, reporter, workspace)


def plan(
    config: ConfigSource | None = None,
    *,
    name: str | None = None,
    endpoint_type: EndpointType = "local",
    container_mode: ContainerMode = "generate",
    memory: int | None = None,
    instance_type: str | None = None,
    packages: str | Sequence[str] | None = None,
    environment: Mapping[str, str] | None = None,
    lease: str | None = None,
    model: object = None,
    example: object = None,
    verify: bool = False,
    compare: bool = True,
    aws: AwsOptions = DEFAULT_AWS,
) -> Plan:
    """Check everything and say what a deployment would do, without doing it.

    Args:
        name, memory, instance_type, packages, environment, lease, model, example: As for `deploy`.
        verify: Also make a clean environment of exactly the packages that the image gets, and
            let the module load and answer its example there.
        compare: Say whether the response of the notebook's predict() is compared.

    Raises:
        SageturnerError: Everything that stands in its way, at once.
    """
    flags = Flags(name, memory, instance_type, packages, environment, lease)
    chosen = chosen_config(config, flags, endpoint_type)
    live = live_model(model, example)
    asked = request_for(chosen, endpoint_type, container_mode, aws=aws, model=live)
    asked = with_reference(asked, is_asked=False) if compare else without_reference(asked)
    try:
        with scratch_folder() as workspace:
            made = _make_plan(asked, Silent(), workspace)
            made = replace(made, layers=made.look_up_layers())
            if verify:
                return verified(made, Silent())
            if asked.endpoint_type == "local" and asked.local_mode == "process":
                # A deployment hears it from the server that it starts.
                assert made.ingredients is not None
                made.ingredients.check_imports_here(Silent())
        return made
    except KeyboardInterrupt:
        raise DeploymentCancelled("The plan was stopped") from None
    except SageturnerError:
        raise
    except Exception as error:
        raise unexpected(error) from error


@after(plan)
def planned_dockerfile(made: Plan) -> str:
    """Return the Dockerfile of what `plan` plans.

    Raises:
        UsageError: There is no image.
        SageturnerError: As for `plan`.
    """
    if not made.dockerfile:
        raise UsageError(
            "There is no Dockerfile",
            why="`--dockerfile` shows that of an image for SageMaker",
            do="add `-e serverless` or `-e server`",
        )
    return made.dockerfile


def dockerfile(
    config: ConfigSource | None = None,
    *,
    endpoint_type: EndpointType = "serverless",
    container_mode: ContainerMode = "generate",
    model: object = None,
    example: object = None,
) -> str:
    """What an image would be built from. AWS is not asked.

    Raises:
        SageturnerError: The code, the artefact or the packages cannot be shipped.
    """
    live = live_model(model, example)
    asked = request_for(config, endpoint_type, container_mode, model=live)
    with scratch_folder() as workspace:
        return preview_dockerfile(asked, Silent(), workspace)


def packages(
    config: ConfigSource | None = None, *, model: object = None, example: object = None
) -> tuple[NeededPackage, ...]:
    """What `python_packages: auto` takes, at the versions that are installed here.

    Raises:
        SageturnerError: The code or the artefact cannot be shipped, or something is needed that
            no installer can get.
    """
    asked = request_for(config, "local", "generate", model=live_model(model, example))
    with scratch_folder() as workspace:
        return automatic_packages(asked, Silent(), workspace)


def start_deployment(
    config: ConfigSource | None = None,
    *,
    name: str | None = None,
    endpoint_type: EndpointType = "local",
    container_mode: ContainerMode = "generate",
    memory: int | None = None,
    instance_type: str | None = None,
    packages: str | Sequence[str] | None = None,
    environment: Mapping[str, str] | None = None,
    lease: str | None = None,
    model: object = None,
    example: object = None,
    detach: bool = False,
    smoke_test: bool = True,
    compare: bool = True,
    fresh: bool = False,
    aws: AwsOptions = DEFAULT_AWS,
    listener: Listener | None = None,
) -> DeploymentHandle:
    """Begin a deployment in a thread of its own.

    Args:
        config: May be left out with a name: every key but the name has a default.
        name: The endpoint.
        memory: Of a serverless endpoint, in MB; 2048 where nothing gives it.
        instance_type: Of an endpoint on instances; where nothing gives it, the smallest that holds
            what a trial of the model measures.
        packages: Pieces of a pip command line; `auto` takes what the code imports.
        environment: Variables of the model server, beside those of the configuration.
        lease: How long an endpoint on SageMaker stays after its last use, such as `8h`, or `none`.
        model: A live object, or a function, for which load() and predict() are generated.
        example: A request that the model can answer, such as `X_test.head(3)`: it becomes
            example_request(), and a frame gives the types of the columns.
        detach: A local endpoint outlives this process.
        smoke_test: An image for SageMaker is tried on this machine before it is pushed.
        compare: Call predict() in the notebook too; another response stops the deployment.
        fresh: Try code and image again, although the same passed before.
        listener: Called with each event, on the deployment's threads, one at a time.

    Raises:
        ConfigError: The configuration cannot be used.
        CaptureError: There is no code to deploy.
    """
    flags = Flags(name, memory, instance_type, packages, environment, lease)
    chosen = chosen_config(config, flags, endpoint_type)
    live = live_model(model, example)
    asked = request_for(chosen, endpoint_type, container_mode, detach, aws, smoke_test, live, fresh)
    asked = with_reference(asked) if compare else without_reference(asked)
    return DeploymentHandle(
        asked.config.name,
        lambda reporter, workspace: _make_plan(asked, reporter, workspace),
        listener,
    )


@after(start_deployment)
def deploy(handle: DeploymentHandle) -> Deployment:
    """Put a model behind an endpoint; returns when it answers. An interrupt cancels it.

    Raises:
        SageturnerError: What went wrong.
    """
    return finish(handle)


def form(
    config: ConfigSource | None = None,
    *,
    name: str | None = None,
    endpoint_type: EndpointType = "local",
    container_mode: ContainerMode = "generate",
    invoke: str | None = None,
    text: str | None = None,
    aws: AwsOptions = DEFAULT_AWS,
) -> None:
    """Show a form that fills in and deploys a configuration, in a notebook.

    Args:
        config: The path, YAML text or dict to begin with.
        name: The endpoint, to begin with its last configuration in this notebook.
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
            code="ST15",
        )
    if config is not None and (text := yaml_of(config) or text):
        config = None
    if not (config or text or invoke):
        known = notebook.configuration(name)
        if known is None and not Path(DEFAULT_CONFIG).exists():
            known = notebook.earlier_configuration(name)
        if known is not None:
            config = known.places.file
            text = None if config else known.to_yaml()
    notebook.show_form(
        config=config,
        name=name,
        endpoint_type=endpoint_type,
        container_mode=container_mode,
        invoke=invoke,
        text=text,
        aws=aws,
    )


def start_rollback(
    name: str,
    version: str | None = None,
    *,
    aws: AwsOptions = DEFAULT_AWS,
    listener: Listener | None = None,
) -> DeploymentHandle:
    """Begin to roll an endpoint back to an earlier version.

    A local endpoint keeps its previous version. It stays detached, or ends with the process that
    rolls it back.

    Args:
        version: 12 hex digits; None for the previous version.
    """
    return DeploymentHandle(
        name,
        lambda reporter, workspace: plan_rollback(name, version, aws),
        listener,
        Progress(name, "Rolling back", "rolled back"),
    )


@after(start_rollback)
def rollback(handle: DeploymentHandle) -> Deployment:
    """Roll an endpoint back to an earlier version; returns when it serves that version.

    Raises:
        SageturnerError: There is no such version; what went wrong.
    """
    return finish(handle)


adeploy = followed(deploy, start_deployment)
aplan = in_thread(plan)
arollback = followed(rollback, start_rollback)
