"""The rules for single values beyond their type, each with its message.

The limits are those of SageMaker's API reference (CreateModel, CreateEndpointConfig) and of the
service that a name belongs to.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from sageturner_magic.constants import ENDPOINT_NAME, TAG_CHARACTERS, nearest_endpoint_name

SERVERLESS_MEMORY = (1024, 2048, 3072, 4096, 5120, 6144)
"""MB that a serverless endpoint can have (CreateEndpointConfig, ServerlessConfig)."""

OWN_TAGS = 8
"""Tags that this package puts on an endpoint itself (`TAG_…` in aws/names.py)."""

MOST_TAGS = 50 - OWN_TAGS
"""Tags of the user's; AWS takes 50 on a resource (AddTags)."""

MOST_VARIABLES = 100
"""Variables of a container (CreateModel, ContainerDefinition)."""

MOST_ENVIRONMENT_BYTES = 32 * 1024
"""Bytes of all variables of a container, names and values (CreateModel, ContainerDefinition)."""


def rule(why: str, do: str = "") -> PydanticCustomError:
    """An error whose words are shown to the user as they are."""
    # The braces of a message are the user's, not a template's.
    return PydanticCustomError("rule", "{why}", {"why": why, "do": do})


SYSTEM_PACKAGE = r"[a-z0-9][a-z0-9+.\-]+(:[a-z0-9\-]+)?(=[A-Za-z0-9.+\-:~]+)?"
"""Pattern of a Debian package (Policy 5.6.1), with apt's `:architecture` and `=version`."""

IMAGE_REFERENCE = r"[a-z0-9][A-Za-z0-9._/:@-]*"
"""Pattern of an image reference: its grammar, without the finer points."""

LEASE = r"[1-9][0-9]{0,5}[mhd]"
"""Pattern of the length of a lease."""

BUDGET = r"\$?[0-9]{1,7}(\.[0-9]{1,2})?( ?USD)?"
"""Pattern of a budget in US dollars."""

LEASE_MINUTES = (15, 365 * 24 * 60)
"""The shortest and the longest lease."""

_BUCKET = r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
# Bucket names: Amazon S3 user guide, "General purpose bucket naming rules".
_ROLE = r"[A-Za-z0-9_+=,.@-]{1,64}"
_INSTANCE_TYPE = r"ml\.[a-z][a-z0-9-]*\.[a-z0-9-]+"


def _shown_as(pattern: str) -> WithJsonSchema:
    """What the JSON schema says of a text. Only for patterns that mean the same in ECMAScript."""
    return WithJsonSchema({"type": "string", "pattern": f"^(?:{pattern})$"})


def _name(text: str) -> str:
    if re.fullmatch(ENDPOINT_NAME, text):
        return text
    raise rule(
        "expected 1 to 40 lower-case letters, digits and hyphens, no hyphen at either end",
        f"write `{nearest_endpoint_name(text) or 'my-model'}`",
    )


def _path(text: str) -> str:
    if not text.strip() or "\0" in text:
        raise rule("expected a path")
    try:
        Path(text).expanduser()
    except RuntimeError:
        raise rule("there is no such home directory", "write the path in full") from None
    return text


def _artefact_path(text: str) -> str:
    if text.startswith("s3://"):
        if not re.match(f"s3://{_BUCKET}/", text):
            raise rule("expected s3://bucket/prefix/ or s3://bucket/model.tar.gz")
        return text
    if re.match(r"\w+://", text):
        raise rule("expected a path or an s3:// address", "download it and name the local path")
    return _path(text)


def _artefact_file(text: str) -> str:
    path = PurePosixPath(text)
    if not path.name or path.is_absolute() or ".." in path.parts or "\\" in text or "\0" in text:
        raise rule("expected a file name, relative to model_dir", "write `model.joblib`")
    return text


def _variable(text: str) -> str:
    if not text.isidentifier() or keyword.iskeyword(text):
        raise rule("expected the name of a notebook variable", "assign the object to a name first")
    return text


def _package(text: str) -> str:
    if not text.strip():
        raise rule("expected a piece of a pip command line", "write `numpy>=2`")
    return text


def _memory(megabytes: int) -> int:
    if megabytes not in SERVERLESS_MEMORY:
        raise ValueError
    return megabytes


def _instance_type(text: str) -> str:
    if re.fullmatch(_INSTANCE_TYPE, text):
        return text
    with_prefix = f"ml.{text.lower().removeprefix('ml.')}"
    fits = re.fullmatch(_INSTANCE_TYPE, with_prefix)
    raise rule(
        "expected a SageMaker instance type, `ml.FAMILY.SIZE`",
        f"write `{with_prefix if fits else 'ml.m5.xlarge'}`",
    )


def has_own_disks(instance_type: str) -> bool:
    """Whether a type has NVMe disks, so that SageMaker refuses VolumeSizeInGB.

    Source: sagemaker-python-sdk issue 4828, EC2's pages on instance store volumes.
    """
    kinds = r"ml\.(?:[a-z]+\d+[a-z]*d[a-z]*|g[4-9]\w*|p3dn|p[4-9][\w-]*|trn\d\w*|dl\d\w*)\."
    return re.match(kinds, instance_type) is not None


def is_burstable(instance_type: str) -> bool:
    """Whether Application Auto Scaling refuses variants of a type (developer guide,
    "endpoint-auto-scaling")."""
    return re.match(r"ml\.t\d\w*\.", instance_type) is not None


def _matching(pattern: str, expected: str, example: str) -> AfterValidator:
    """A text that fully matches `pattern`, which is said to the user in words."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise rule(f"expected {expected}", f"write it like `{example}`")
        return text

    return AfterValidator(check)


def _role_name(text: str) -> str:
    if not re.fullmatch(_ROLE, text):
        is_arn = text.startswith("arn:")
        raise rule(
            "expected the name of an IAM role, without its path",
            f"write `role_arn: {text}`" if is_arn else "write it like `my-sagemaker-role`",
        )
    return text


def _environment_value(text: str) -> str:
    if len(text) > 1024:
        raise rule(
            f"it has {len(text)} characters, and SageMaker takes at most 1024",
            "ship it as a file of the artefact",
        )
    return text


def environment_bytes(environment: Mapping[str, str]) -> int:
    """The size of all variables, as SageMaker counts it."""
    return sum(len(key.encode()) + len(value.encode()) for key, value in environment.items())


def environment_fits(environment: dict[str, str]) -> dict[str, str]:
    """Refuse variables that are too large in all."""
    size = environment_bytes(environment)
    if size > MOST_ENVIRONMENT_BYTES:
        raise rule(
            f"it has {size} bytes in all, and SageMaker takes at most {MOST_ENVIRONMENT_BYTES}",
            "ship long values as files of the artefact",
        )
    return environment


def lease_length(text: str) -> str:
    """Check the length of a lease. Raises what pydantic shows as a rule."""
    if text == "none":
        return text
    if not re.fullmatch(LEASE, text):
        raise rule("expected a time such as `30m`, `8h` or `2d`, or `none`", "write `8h`")
    if not LEASE_MINUTES[0] <= lease_seconds(text) / 60 <= LEASE_MINUTES[1]:
        raise rule(
            "a lease has from 15 minutes to 365 days: an endpoint takes minutes to start",
            "write `15m` or more, `365d` or less, or `none`",
        )
    return text


def lease_seconds(text: str) -> int:
    """The seconds of a lease such as `8h`; 0 for `none`, and for what is no time."""
    units = {"m": 60, "h": 3600, "d": 86400}
    return int(text[:-1]) * units[text[-1]] if re.fullmatch(LEASE, text) else 0


def _budget(text: str) -> str:
    if not re.fullmatch(BUDGET, text):
        raise rule("expected US dollars such as `$20` or `12.50`", "write `$20`")
    if not budget_dollars(text):
        raise rule("it is nothing", "write `$20`")
    return text


def budget_dollars(text: str) -> float:
    """The US dollars of a budget such as `$20` or `12.50 USD`."""
    return float(text.removeprefix("$").removesuffix("USD"))


def _tag_key(text: str) -> str:
    # AWS reserves `aws:`; `sageturner:` tells what this tool created.
    if not re.fullmatch(rf"(?!(?i:aws:|sageturner:))[{TAG_CHARACTERS}]{{1,128}}", text):
        raise rule(
            "expected 1 to 128 letters, digits, spaces and _.:/=+-@, "
            "not beginning with aws: or sageturner:"
        )
    return text


LeaseLength = Annotated[str, AfterValidator(lease_length), _shown_as(f"none|{LEASE}")]
Budget = Annotated[str, AfterValidator(_budget), _shown_as(BUDGET)]
EndpointName = Annotated[str, AfterValidator(_name), _shown_as(ENDPOINT_NAME)]
PathText = Annotated[str, AfterValidator(_path)]
ArtefactPath = Annotated[str, AfterValidator(_artefact_path)]
ArtefactFile = Annotated[str, AfterValidator(_artefact_file)]
Variable = Annotated[str, AfterValidator(_variable)]
PipPiece = Annotated[str, AfterValidator(_package)]
ServerlessMemory = Annotated[int, AfterValidator(_memory)]
InstanceType = Annotated[str, AfterValidator(_instance_type), _shown_as(_INSTANCE_TYPE)]
EnvironmentValue = Annotated[str, AfterValidator(_environment_value)]
TagKey = Annotated[str, AfterValidator(_tag_key)]
SystemPackage = Annotated[
    str, _matching(SYSTEM_PACKAGE, "the name of one Debian package", "libgomp1")
]
ImageReference = Annotated[
    str, _matching(IMAGE_REFERENCE, "an image reference", "registry/repository:tag")
]
AmiVersion = Annotated[
    str,
    _matching(
        r"[a-zA-Z0-9][a-zA-Z0-9.-]*",
        "the name of an inference AMI",
        "al2023-ami-sagemaker-inference-gpu-4-1",
    ),
]
Subnet = Annotated[
    str, _matching(r"subnet-[0-9a-zA-Z]{1,25}", "the id of a subnet", "subnet-0123456789abcdef0")
]
SecurityGroup = Annotated[
    str, _matching(r"sg-[0-9a-zA-Z]{1,29}", "the id of a security group", "sg-0123456789abcdef0")
]
KmsKey = Annotated[
    str,
    _matching(
        r"[a-zA-Z0-9:/_-]{1,2048}", "the id, the ARN or the alias of a KMS key", "alias/my-key"
    ),
]
BucketName = Annotated[
    str,
    _matching(
        _BUCKET,
        "the name of an S3 bucket: 3 to 63 lower-case letters, digits, dots and hyphens",
        "my-sagemaker-models",
    ),
]
RoleName = Annotated[str, AfterValidator(_role_name)]
RoleArn = Annotated[
    str,
    _matching(
        rf"arn:aws[a-z-]*:iam::[0-9]{{12}}:role/([!-~]*/)?{_ROLE}",
        "the ARN of an IAM role",
        "arn:aws:iam::012345670123:role/my-sagemaker-role",
    ),
]
RolePath = Annotated[
    str,
    _matching(r"/|/[!-~]{1,510}/", "a path that begins and ends with a slash", "/my-team/"),
]
PolicyArn = Annotated[
    str,
    _matching(
        r"arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/[!-~]{1,640}",
        "the ARN of an IAM policy",
        "arn:aws:iam::012345670123:policy/my-boundary",
    ),
]
RepositoryName = Annotated[
    str,
    _matching(
        r"(?=.{2,256}$)([a-z0-9]+([._-]+[a-z0-9]+)*/)*[a-z0-9]+([._-]+[a-z0-9]+)*",
        "the name of an ECR repository: lower-case letters, digits and ._-/",
        "my-sagemaker-images",
    ),
]
EnvironmentKey = Annotated[
    str,
    _matching(
        r"[a-zA-Z_][a-zA-Z0-9_]{0,1023}",
        "letters, digits and underscores, not beginning with a digit",
        "LOG_LEVEL",
    ),
]
TagValue = Annotated[
    str,
    _matching(
        rf"[{TAG_CHARACTERS}]{{0,256}}",
        "at most 256 letters, digits, spaces and _.:/=+-@",
        "search",
    ),
]
