"""The sections of a configuration: each key's name, type, limits, default and meaning.

Everything that explains the configuration (messages, the commented example, the table in the
documentation, the JSON schema) is derived from these models and from the top level, which is in
`configuration.py`. The limits of SageMaker are those of its API reference (CreateModel,
CreateEndpointConfig). A default costs nothing unless its description says otherwise.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
)

from sageturner_magic.config.rules import (
    SERVERLESS_MEMORY,
    AmiVersion,
    BucketName,
    ImageReference,
    InstanceType,
    PathText,
    PipPiece,
    PolicyArn,
    RepositoryName,
    RoleArn,
    RoleName,
    RolePath,
    SecurityGroup,
    ServerlessMemory,
    Subnet,
    SystemPackage,
    has_own_disks,
    is_burstable,
    rule,
)
from sageturner_magic.config.section import Section
from sageturner_magic.constants import EndpointType


def _list_or_text(value: Any) -> str:
    return "[list]" if isinstance(value, (list, tuple)) else "[text]"


class GenerateContainer(Section):
    """An image that is built from your code."""

    code_dir: PathText | None = Field(
        None,
        description="Folder with sageturner.py, which defines load() and predict(), and whatever "
        "it needs beside it. Left out in a notebook: the captured cells are used.",
        examples=["./code"],
    )
    python_packages: Annotated[
        Annotated[Literal["auto"], Tag("[text]")] | Annotated[tuple[PipPiece, ...], Tag("[list]")],
        Discriminator(_list_or_text),
    ] = Field(
        "auto",
        description="Python packages. `auto` takes what the code imports, at the versions of the "
        "running Python; or a list in which each entry is a piece of a pip command line, such as "
        "`numpy>=2` or `--extra-index-url https://example.org/whl/cpu torch`.",
    )
    system_packages: tuple[SystemPackage, ...] = Field(
        (),
        description="Debian packages that apt installs in the image.",
        examples=[["libgomp1"]],
    )
    python_version: Literal["3.10", "3.11", "3.12", "3.13", "3.14"] | None = Field(
        None,
        description="Python of the image. Left out: the kernel's in a notebook, otherwise 3.12.",
        examples=["3.12"],
    )
    install_cuda: bool = Field(
        False,
        description="true where the model computes on an NVIDIA GPU, which takes a GPU instance "
        "under `compute.server`. Serverless endpoints have no GPU.",
    )
    base_image: ImageReference | None = Field(
        None,
        description="Image that yours starts from. Left out: the official slim Python image of "
        "`python_version`, from ECR Public.",
        examples=["public.ecr.aws/docker/library/python:3.12-slim"],
    )
    builder: Literal["auto", "docker", "layers"] = Field(
        "auto",
        description="How the image is built: `docker` uses a Docker daemon, `layers` needs none, "
        "`auto` takes Docker where there is one.",
    )


class ProvideContainer(Section):
    """An image of your own."""

    docker_dir: PathText = Field(
        description="Folder with your Dockerfile. The image has to answer GET /ping and "
        "POST /invocations on port 8080.",
        examples=["./provided-container"],
    )


class Container(Section):
    """What the endpoint runs."""

    generate_container: GenerateContainer = Field(
        GenerateContainer(),
        description="For the container mode `generate`: an image is built from your code.",
    )
    provide_container: ProvideContainer | None = Field(
        None, description="For the container mode `provide`: an image of your own Dockerfile."
    )


class Local(Section):
    """An endpoint on this machine."""

    mode: Literal["process", "container"] = Field(
        "process",
        description="`process` runs the model with this Python; `container` runs the image, in "
        "Docker where there is one. An image of your own (`provide`) always runs as a container.",
    )
    startup_timeout_s: int = Field(
        480,
        ge=1,
        le=3600,
        description="Seconds that load() may take, 1 to 3600; 480 is what SageMaker gives it.",
    )


class Serverless(Section):
    """A serverless endpoint: billed for the time of requests, nothing while idle."""

    memory: ServerlessMemory = Field(
        2048,
        json_schema_extra={"enum": list(SERVERLESS_MEMORY)},
        description=f"Memory in MB: {', '.join(map(str, SERVERLESS_MEMORY[:-1]))} or "
        f"{SERVERLESS_MEMORY[-1]}. A request costs in proportion to it, and CPU power grows "
        "with it.",
    )
    max_concurrency: int = Field(
        5, ge=1, le=200, description="Requests that are answered at the same time, 1 to 200."
    )
    provisioned_concurrency: int | None = Field(
        None,
        ge=1,
        le=200,
        description="Copies that are kept warm, up to `max_concurrency`. Billed around the clock; "
        "left out, none is kept and the first request after a pause waits for a start.",
        examples=[1],
    )

    @field_validator("provisioned_concurrency")
    @classmethod
    def _within_concurrency(cls, provisioned: int | None, info: ValidationInfo) -> int | None:
        most = info.data.get("max_concurrency")
        if provisioned is not None and most is not None and provisioned > most:
            raise rule(
                f"it is more than `max_concurrency`, which is {most}",
                f"write at most {most}, or raise `max_concurrency`",
            )
        return provisioned


class Autoscaling(Section):
    """More instances under load, fewer without."""

    min: int = Field(1, ge=1, description="Fewest instances.")
    max: int = Field(
        ge=1,
        description="Most instances; each is billed by the second while it runs.",
        examples=[4],
    )
    invocations_per_instance: int = Field(
        100,
        ge=1,
        description="Requests per instance and minute that scaling aims at: above it instances "
        "are added, below it they are removed.",
    )

    @field_validator("max")
    @classmethod
    def _not_below_min(cls, most: int, info: ValidationInfo) -> int:
        least = info.data.get("min")
        if least is not None and most < least:
            raise rule(f"it is less than `min`, which is {least}", f"write {least} or more")
        return most


class Server(Section):
    """An endpoint on instances of its own: billed by the second until it is deleted."""

    instance_type: InstanceType = Field(
        description="SageMaker instance type: CPU such as ml.m5.xlarge, GPU such as "
        "ml.g5.xlarge. Billed by the second until the endpoint is deleted.",
        examples=["ml.m5.xlarge"],
    )
    initial_instance_count: int = Field(
        1, ge=1, description="Instances to start with; each is billed."
    )
    volume_gb: int | None = Field(
        None,
        ge=1,
        le=512,
        description="Disk of each instance in GB, 1 to 512. Left out: SageMaker's default. Types "
        "with disks of their own take none.",
        examples=[32],
    )
    startup_timeout_s: int | None = Field(
        None,
        ge=60,
        le=3600,
        description="Seconds that load() may take before SageMaker gives up, 60 to 3600. "
        "Left out: SageMaker's 480.",
        examples=[600],
    )
    download_timeout_s: int | None = Field(
        None,
        ge=60,
        le=3600,
        description="Seconds that fetching the artefact may take, 60 to 3600. Left out: "
        "SageMaker's default.",
        examples=[600],
    )
    inference_ami_version: AmiVersion | None = Field(
        None,
        description="Version of the machine image, which decides the NVIDIA driver. Left out: one "
        "that fits the packages is chosen.",
        examples=["al2023-ami-sagemaker-inference-gpu-4-1"],
    )
    routing: (
        Annotated[
            Literal["LEAST_OUTSTANDING_REQUESTS", "RANDOM", "PREFIX_AWARE", "KV_AWARE"],
            BeforeValidator(lambda value: value.upper() if isinstance(value, str) else value),
        ]
        | None
    ) = Field(
        None,
        description="How requests are spread over instances: to the one with the fewest waiting, "
        "at random, or for language models by prompts that begin alike or by what a cache holds. "
        "Left out: SageMaker's default, RANDOM.",
        examples=["LEAST_OUTSTANDING_REQUESTS"],
    )
    autoscaling: Autoscaling | None = Field(
        None, description="Adds and removes instances with the load. Left out: a fixed number."
    )

    @field_validator("volume_gb")
    @classmethod
    def _not_beside_own_disks(cls, volume_gb: int | None, info: ValidationInfo) -> int | None:
        instance_type = info.data.get("instance_type", "")
        if volume_gb is not None and has_own_disks(instance_type):
            raise rule(
                f"{instance_type} has disks of its own (NVMe), and SageMaker refuses other sizes",
                "leave `volume_gb` out",
            )
        return volume_gb

    @field_validator("autoscaling")
    @classmethod
    def _of_a_type_that_scales(
        cls, autoscaling: Autoscaling | None, info: ValidationInfo
    ) -> Autoscaling | None:
        instance_type = info.data.get("instance_type", "")
        if autoscaling is not None and is_burstable(instance_type):
            raise rule(
                f"{instance_type} is burstable, which Application Auto Scaling refuses to scale",
                "leave `autoscaling` out, or choose another type such as ml.m5.large",
            )
        return autoscaling


class Compute(Section):
    """Where the model runs; the endpoint type of a deployment picks the section."""

    local: Local = Field(Local(), description="For the endpoint type `local`: this machine, free.")
    serverless: Serverless | None = Field(
        None,
        description="For the endpoint type `serverless`: billed while requests are answered, "
        "nothing while idle; CPU only. Left out: its defaults.",
    )
    server: Server | None = Field(
        None,
        description="For the endpoint type `server`: instances of your own, billed by the second "
        "until the endpoint is deleted. Left out: one instance of the smallest type that holds the "
        "model, as a trial on this machine measures it; its price is named first.",
    )

    def of(self, endpoint_type: EndpointType) -> Serverless | Server | None:
        """The settings of an endpoint on SageMaker; None where they are missing, or for `local`."""
        return {"local": None, "serverless": self.serverless, "server": self.server}[endpoint_type]


class Network(Section):
    """A network of your own, for endpoints on instances."""

    subnets: tuple[
        Subnet,
        ...,
    ] = Field(
        (),
        max_length=16,
        description="Subnets of your VPC that the endpoint is placed in, at most 16.",
        examples=[["subnet-0123456789abcdef0"]],
    )
    security_groups: tuple[
        SecurityGroup,
        ...,
    ] = Field(
        (),
        max_length=5,
        description="Security groups of that VPC, at most 5; needed together with `subnets`.",
        examples=[["sg-0123456789abcdef0"]],
        validate_default=True,
    )
    isolation: bool = Field(
        False, description="true lets the container make no network call of its own."
    )

    @field_validator("security_groups")
    @classmethod
    def _both_or_neither(cls, groups: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if "subnets" in info.data and bool(groups) != bool(info.data["subnets"]):
            raise rule(
                "a VPC takes both subnets and security groups",
                "list at least one of each, or neither",
            )
        return groups


class Overrides(Section):
    """Names of your own for what is otherwise found or created by its usual name."""

    bucket_name: BucketName | None = Field(
        None,
        description="S3 bucket for artefacts. Left out: "
        "sageturner-sagemaker-models-ACCOUNT-REGION, which setup creates.",
        examples=["my-sagemaker-models"],
    )
    role_name: RoleName | None = Field(
        None,
        description="Name of the IAM role that the endpoint runs with. Left out: "
        "sageturner-role-sagemaker, which setup creates.",
        examples=["my-sagemaker-role"],
    )
    role_arn: RoleArn | None = Field(
        None,
        description="ARN of that role, in place of `role_name`; one of the two.",
        examples=["arn:aws:iam::012345670123:role/my-sagemaker-role"],
    )
    role_path: RolePath | None = Field(
        None,
        description="Path of that role, for a role that setup creates. Left out: /.",
        examples=["/my-team/"],
    )
    permissions_boundary: PolicyArn | None = Field(
        None,
        description="ARN of the policy that limits what a role that setup creates can be allowed. "
        "Left out: none.",
        examples=["arn:aws:iam::012345670123:policy/my-boundary"],
    )
    repository_name: RepositoryName | None = Field(
        None,
        description="ECR repository for images. Left out: sageturner-sagemaker, created when it "
        "is needed.",
        examples=["my-sagemaker-images"],
    )
