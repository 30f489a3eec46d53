"""Open an AWS session: credentials, region and clients."""

from __future__ import annotations

import difflib
import os
import threading
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sageturner_magic._version import __version__
from sageturner_magic.aws.errors import aws_call
from sageturner_magic.constants import REQUEST_SECONDS
from sageturner_magic.errors import AwsError

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_application_autoscaling import ApplicationAutoScalingClient
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_pricing import PricingClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient
    from mypy_boto3_service_quotas import ServiceQuotasClient
    from mypy_boto3_sts import STSClient

ATTEMPTS = 10
"""Tries of a call. With three calls in ten throttled, one in 170,000 is lost (0.3 ** 10)."""

CONNECTIONS = 16
"""Connections a client keeps: more than the threads that upload parts or read tags at once."""

_PRICING_REGIONS = {"aws": "us-east-1", "aws-cn": "cn-northwest-1"}


@dataclass(frozen=True, eq=False)
class AwsSession:
    """Credentials, a region, and a client for each service, made when first used.

    May be used from several threads. Every client honours `AWS_ENDPOINT_URL`.

    Attributes:
        profile: The profile that was named by the user, or None for the default chain.
        region: For example `eu-west-1`.
        partition: `aws`, `aws-cn` or `aws-us-gov`.
    """

    profile: str | None
    region: str
    partition: str
    _boto: boto3.Session = field(repr=False)
    _clients: dict[str, Any] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def call(
        self, what: str, where: str = "", *, resource: str = "*"
    ) -> AbstractContextManager[None]:
        """Errors of AWS raised inside become an AwsError that says `what` failed and why.

        Args:
            what: The deed as a noun phrase or infinitive: `create the bucket`.
            where: The user's name for what it is about (a YAML key, an AWS resource).
            resource: The ARN to print in the missing statement when AWS does not name it.
        """
        return aws_call(what, where, profile=self.profile, region=self.region, resource=resource)

    @cached_property
    def identity(self) -> tuple[str, str]:
        """(account, ARN of the caller). Calls sts:GetCallerIdentity. Raises AwsError."""
        with self.call("find out who is calling", "AWS credentials"):
            answer = self.sts.get_caller_identity()
        return answer["Account"], answer["Arn"]

    @property
    def account(self) -> str:
        """The twelve digits of the account. Raises AwsError."""
        return self.identity[0]

    @property
    def caller(self) -> str:
        """Who is calling, without the account: `user/ann` or `assumed-role/Ops/ann`."""
        return self.identity[1].split(":", 5)[-1]

    def in_region(self, region: str) -> AwsSession:
        """A session with the same credentials in another region."""
        if region == self.region:
            return self
        return replace(self, region=region, _clients={}, _lock=threading.Lock())

    def client(self, service: str) -> Any:
        """The client of a service by botocore's name; the properties below are typed."""
        return self._client(service, service)

    def _client(
        self,
        key: str,
        service: str,
        *,
        read_timeout: float = 60,
        attempts: int = ATTEMPTS,
        connections: int = CONNECTIONS,
    ) -> Any:
        # Making a client is not thread-safe in boto3; using one is.
        with self._lock:
            if key not in self._clients:
                from botocore.config import Config

                region = _PRICING_REGIONS.get(self.partition, self.region)
                self._clients[key] = self._boto.client(
                    service,  # type: ignore[call-overload]
                    region_name=region if service == "pricing" else self.region,
                    config=Config(
                        user_agent_extra=f"sageturner-magic/{__version__}",
                        retries={"mode": "standard", "total_max_attempts": attempts},
                        connect_timeout=10,
                        read_timeout=read_timeout,
                        max_pool_connections=connections,
                        tcp_keepalive=True,
                    ),
                )
            return self._clients[key]

    @property
    def sts(self) -> STSClient:
        return self.client("sts")  # type: ignore[no-any-return]

    @property
    def iam(self) -> IAMClient:
        return self.client("iam")  # type: ignore[no-any-return]

    @property
    def s3(self) -> S3Client:
        return self.client("s3")  # type: ignore[no-any-return]

    @property
    def ecr(self) -> ECRClient:
        return self.client("ecr")  # type: ignore[no-any-return]

    @property
    def sagemaker(self) -> SageMakerClient:
        return self.client("sagemaker")  # type: ignore[no-any-return]

    @property
    def logs(self) -> CloudWatchLogsClient:
        return self.client("logs")  # type: ignore[no-any-return]

    @property
    def cloudwatch(self) -> CloudWatchClient:
        return self.client("cloudwatch")  # type: ignore[no-any-return]

    @property
    def autoscaling(self) -> ApplicationAutoScalingClient:
        return self.client("application-autoscaling")  # type: ignore[no-any-return]

    @property
    def secretsmanager(self) -> Any:
        return self.client("secretsmanager")

    @property
    def scheduler(self) -> Any:
        return self.client("scheduler")

    @property
    def ssm(self) -> Any:
        return self.client("ssm")

    @property
    def quotas(self) -> ServiceQuotasClient:
        """As for prices: a plan does not wait for it."""
        return self._client("quotas", "service-quotas", read_timeout=10, attempts=4)  # type: ignore[no-any-return]

    @property
    def pricing(self) -> PricingClient:
        """Best effort by nature: it gives up soon, so that nobody waits for a price."""
        return self._client("pricing", "pricing", read_timeout=10, attempts=3)  # type: ignore[no-any-return]

    @property
    def runtime(self) -> SageMakerRuntimeClient:
        """The client that waits as long as a request does unless it says otherwise."""
        return self.runtime_within(REQUEST_SECONDS)

    def runtime_within(self, seconds: float) -> SageMakerRuntimeClient:
        """A client that waits `seconds` for a response, or for the next piece of a stream.

        What a model has once received is not sent again when that time is over.
        """
        client = self._client(
            f"runtime-within-{seconds}", "sagemaker-runtime", read_timeout=seconds, attempts=5
        )
        client.meta.events.register_first(
            "needs-retry.sagemaker-runtime", _give_up_when_late, unique_id="sageturner-late"
        )
        return client  # type: ignore[no-any-return]

    def runtime_of(
        self, connections: int, seconds: float = REQUEST_SECONDS
    ) -> SageMakerRuntimeClient:
        """A client that tries once only, over as many connections as are asked for."""
        return self._client(  # type: ignore[no-any-return]
            f"runtime-{connections}-within-{seconds}",
            "sagemaker-runtime",
            read_timeout=seconds,
            attempts=1,
            connections=connections,
        )


def _give_up_when_late(*, caught_exception: Exception | None, **_: object) -> None:
    from botocore.exceptions import ReadTimeoutError

    if isinstance(caught_exception, ReadTimeoutError):
        raise caught_exception


def open_session(profile: str | None = None, region: str | None = None) -> AwsSession:
    """Find credentials and a region as every AWS tool does, and say what is missing.

    The region is, in this order: `region`, AWS_REGION, AWS_DEFAULT_REGION, the profile's.
    Calls nothing over the network, unless the credentials themselves are fetched.

    Raises:
        AwsError: Unknown profile, no region or an impossible one, no credentials.
    """
    import boto3
    from botocore.exceptions import ProfileNotFound, UnknownRegionError

    region = region or os.environ.get("AWS_REGION") or None
    try:
        boto = boto3.Session(profile_name=profile, region_name=region)
    except ProfileNotFound as error:
        raise _unknown_profile(profile or os.environ.get("AWS_PROFILE", "")) from error
    if not boto.region_name:
        raise AwsError(
            "No AWS region is set",
            where="--region",
            why="neither --region nor AWS_REGION nor the profile names one",
            do="add `--region eu-west-1` (or yours), or set it for good with "
            f"`aws configure set region eu-west-1{_option(profile)}`",
            code="ST71",
        )
    try:
        partition = boto.get_partition_for_region(boto.region_name)
    except UnknownRegionError as error:
        raise _unknown_region(boto, boto.region_name) from error
    session = AwsSession(profile, boto.region_name, partition, boto)
    with session.call("load the AWS credentials", "AWS credentials"):
        credentials = boto.get_credentials()
    if credentials is None:
        raise AwsError(
            "No AWS credentials were found",
            why="no profile, environment variable or role of this machine gives any",
            do=f"run `aws configure{_option(profile)}` (or `aws configure sso`), "
            "or name a profile with `--profile NAME`",
            code="ST71",
        )
    return session


def _option(profile: str | None) -> str:
    return f" --profile {profile}" if profile else ""


def _unknown_profile(profile: str) -> AwsError:
    import botocore.session

    known = sorted(botocore.session.Session(profile=None).full_config.get("profiles", {}))
    near = difflib.get_close_matches(profile, known, n=3)
    if near:
        do = f"use `--profile {near[0]}`"
    elif known:
        do = f"use one of the profiles that exist: {', '.join(known)}"
    else:
        do = f"make it with `aws configure --profile {profile}`"
    return AwsError(
        f"There is no AWS profile {profile!r}",
        where="--profile",
        why="~/.aws/config and ~/.aws/credentials do not name it",
        do=do,
        code="ST71",
    )


def _unknown_region(boto: boto3.Session, region: str) -> AwsError:
    near = difflib.get_close_matches(region, boto.get_available_regions("sagemaker"), n=3)
    return AwsError(
        f"{region!r} is not an AWS region",
        where="--region",
        do=f"use {' or '.join(f'`--region {name}`' for name in near or ['eu-west-1'])}",
        code="ST71",
    )
