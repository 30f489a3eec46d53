"""Name the AWS resources of an endpoint, and tag them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from sageturner_magic.constants import ENDPOINT_NAME, TAG_CHARACTERS

if TYPE_CHECKING:
    from sageturner_magic.aws.session import AwsSession
    from sageturner_magic.config import Overrides

ROLE_NAME = "sageturner-role-sagemaker"
REPOSITORY_NAME = "sageturner-sagemaker"
VARIANT = "AllTraffic"
"""The one variant of an endpoint; UpdateEndpoint wants the name to stay the same."""

TAG_ENDPOINT = "sageturner:endpoint"
TAG_VERSION = "sageturner:version"
TAG_CREATED_BY = "sageturner:created-by"
TAG_CREATED_AT = "sageturner:created-at"
TAG_SECONDS = "sageturner:seconds"
TAG_PREVIOUS = "sageturner:previous"
"""The version that served before the present one; what `rollback` goes back to."""
TAG_MOUNTING = "sageturner:blob-mounting"
"""On setup's repository: the region where setup let repositories share layers."""

TAG_LEASE = "sageturner:lease"
"""How long an endpoint stays; only an endpoint that has this tag can be ended by a schedule."""
TAG_PROTECTED = "sageturner:protected"
"""`true` where `delete` and leases leave the endpoint alone."""

_VERSIONED = re.compile(rf"(?P<name>{ENDPOINT_NAME})-(?P<version>[0-9a-f]{{12}})")
_NOT_IN_TAGS = re.compile(rf"[^{TAG_CHARACTERS}]")


@dataclass(frozen=True)
class Names:
    """Where an installation lives: the account and what its parts are called there.

    Attributes:
        account: Twelve digits.
        region: For example `eu-west-1`.
        partition: `aws`, `aws-cn` or `aws-us-gov`.
        bucket: The bucket for artefacts.
        role: The name of the execution role, without a path.
        repository: The ECR repository for all models.
        role_path: The path of a role that setup creates; begins and ends with `/`.
    """

    account: str
    region: str
    partition: str
    bucket: str
    role: str
    repository: str
    role_path: str = "/"

    @property
    def role_arn(self) -> str:
        """The ARN of the role that setup creates; one that exists may have another path."""
        return f"arn:{self.partition}:iam::{self.account}:role{self.role_path}{self.role}"

    @property
    def lease_role(self) -> str:
        """The name of the role that ends leases; IAM takes 64 characters."""
        return f"{self.role[:58]}-lease"

    @property
    def lease_role_arn(self) -> str:
        return f"arn:{self.partition}:iam::{self.account}:role{self.role_path}{self.lease_role}"

    @property
    def has_default_bucket(self) -> bool:
        """Whether the bucket has the name that only setup gives."""
        return self.bucket == _default_bucket(self.account, self.region)

    @property
    def bucket_arn(self) -> str:
        return f"arn:{self.partition}:s3:::{self.bucket}"

    def arn(self, service: str, resource: str) -> str:
        """The ARN of a resource of this account and region."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"


def names_in(session: AwsSession, overrides: Overrides | None = None) -> Names:
    """The names in use: the user's own where `overrides` has them, else the defaults.

    Needs no permission (sts:GetCallerIdentity is always allowed). Raises AwsError when the
    credentials do not work.
    """
    from sageturner_magic.config import Overrides

    overrides = overrides or Overrides()
    role, path = overrides.role_name or ROLE_NAME, overrides.role_path or "/"
    if overrides.role_arn:
        path, _, role = overrides.role_arn.partition(":role")[2].rpartition("/")
        path += "/"
    return Names(
        account=session.account,
        region=session.region,
        partition=session.partition,
        bucket=overrides.bucket_name or _default_bucket(session.account, session.region),
        role=role,
        repository=overrides.repository_name or REPOSITORY_NAME,
        role_path=path,
    )


def _default_bucket(account: str, region: str) -> str:
    # Names of buckets are global: a fixed one could belong to a stranger.
    return f"sageturner-sagemaker-models-{account}-{region}"


def log_group(endpoint: str) -> str:
    """The CloudWatch log group that SageMaker writes an endpoint's output to."""
    return f"/aws/sagemaker/Endpoints/{endpoint}"


def schedule_name(endpoint: str) -> str:
    """The EventBridge schedule that ends the lease of an endpoint."""
    return f"sageturner-lease-{endpoint}"


def versioned(name: str, version: str) -> str:
    """What the model and the endpoint config of a version are called."""
    return f"{name}-{version}"


def split_versioned(resource: str) -> tuple[str, str] | None:
    """(endpoint's name, version) of a model's or config's name; None if it is not ours."""
    match = _VERSIONED.fullmatch(resource)
    return (match["name"], match["version"]) if match else None


def tag_value(text: str) -> str:
    """`text` as a tag's value: characters that AWS refuses become `_`, 256 at most."""
    return _NOT_IN_TAGS.sub("_", text)[:256]


def own_tags(session: AwsSession) -> dict[str, str]:
    """The tags that everything we create carries."""
    now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {TAG_CREATED_BY: tag_value(session.caller), TAG_CREATED_AT: now}


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """`tags` in the form of most AWS calls."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def tag_map(tags: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """The tags of an answer of AWS as a dictionary."""
    return {tag["Key"]: tag["Value"] for tag in tags}


CONSOLES = {"cn-": "console.amazonaws.cn", "us-gov-": "console.amazonaws-us-gov.com"}
"""How the names of a partition's regions begin -> its console; elsewhere each region has one."""


def console_url(region: str, name: str) -> str:
    """The page of an endpoint in the AWS console."""
    hosts = [host for begin, host in CONSOLES.items() if region.startswith(begin)]
    host = hosts[0] if hosts else f"{region}.console.aws.amazon.com"
    return f"https://{host}/sagemaker/home?region={region}#/endpoints/{name}"
