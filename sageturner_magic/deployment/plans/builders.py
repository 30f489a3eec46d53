"""Choose the image builder of a deployment on this machine.

Used by the plans. `image/builders.py` knows the builders; this module adds what runs containers.
"""

from __future__ import annotations

from sageturner_magic import aws
from sageturner_magic.context import AwsOptions
from sageturner_magic.deployment.request import DeployRequest
from sageturner_magic.endpoints import container
from sageturner_magic.endpoints.container import local_engine
from sageturner_magic.errors import AwsError, EndpointError, Finding
from sageturner_magic.image import ChosenBuilder, Spec, choose
from sageturner_magic.image.docker import DockerBuilder
from sageturner_magic.image.layers import LayersBuilder
from sageturner_magic.image.registry import BaseCredentials, stored_credentials
from sageturner_magic.values import Credentials, Reporter


def builder_to_push(request: DeployRequest, spec: Spec, reporter: Reporter) -> ChosenBuilder:
    """The builder of an image for SageMaker, ready to build `spec`.

    Raises:
        ImageError: No builder can make the image here.
    """
    setting = request.config.container.generate_container.builder
    chosen = choose(setting, spec, base_credentials(request.aws))
    chosen.builder.prepare(spec, reporter)
    return chosen


def builder_to_run(request: DeployRequest) -> ChosenBuilder:
    """The builder of images that run here: the Docker engine's, else the one of unpacked layers.

    Raises:
        EndpointError: Neither a Docker engine nor this machine's namespaces can run containers.
    """
    provided = request.container_mode == "provide"
    credentials = base_credentials(request.aws)
    setting = "docker" if provided else request.config.container.generate_container.builder
    missing: tuple[Finding, ...] = ()
    if setting != "layers":
        try:
            arm = local_engine().version()["Arch"] in ("arm64", "aarch64")
            return ChosenBuilder(
                DockerBuilder(credentials=credentials),
                "arm64" if arm else "amd64",
                "a Docker engine answers",
            )
        except EndpointError as error:
            if setting == "docker":
                raise
            missing = error.findings
    try:
        container.require_sandbox()
    except EndpointError as error:
        raise EndpointError.of([*missing, *error.findings]) from None
    reason = "no Docker engine answers" if missing else "`builder: layers` asks for it"
    return ChosenBuilder(
        LayersBuilder(credentials=credentials), container.sandbox_architecture(), reason
    )


def base_credentials(options: AwsOptions) -> BaseCredentials:
    """What to present to base images' registries: to ECR's the session's token, to others and
    without a session what `docker login` has stored."""

    def of_host(host: str) -> Credentials | None:
        if not aws.ecr_region(host):
            return stored_credentials(host)
        try:
            return aws.registry_login(options.open(), host)
        except AwsError:
            if stored := stored_credentials(host):
                return stored
            raise

    return of_host


def untried(chosen: ChosenBuilder) -> tuple[Finding, ...]:
    """A note with the reason, if this machine cannot try the image before the push."""
    if chosen.builder.needs_engine:
        return ()
    if chosen.architecture != container.sandbox_architecture():
        why = f"it is for {chosen.architecture} and this machine is not"
    else:
        try:
            container.require_sandbox()
            return ()
        except EndpointError as error:
            why = error.findings[0].why
    note = "The image is not tried before it is pushed"
    return (Finding(note, why=f"there is no Docker engine for it, and {why}", severity="note"),)
