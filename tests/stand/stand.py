"""AWS on this machine: `with Stand(folder) as stand:`; boto3 needs `stand.environment` only."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import boto3
from moto.ecr.models import ecr_backends
from moto.s3.models import s3_backends

from tests.parts import engine
from tests.stand import policies
from tests.stand.actions import repository_arn
from tests.stand.ecr import Ecr
from tests.stand.faults import Faults
from tests.stand.front import Front
from tests.stand.http import Server
from tests.stand.iam import SAGEMAKER, Iam
from tests.stand.moto_seams import seams
from tests.stand.quotas import Quotas
from tests.stand.registry import Registries
from tests.stand.sagemaker.api import SageMaker
from tests.stand.sagemaker.containers import Containers
from tests.stand.sagemaker.images import Limits
from tests.stand.sagemaker.runtime import Runtime
from tests.stand.sagemaker.transitions import Timing, Transitions
from tests.stand.scheduler import Scheduler
from tests.stand.wire import ACCOUNT

STRANGER = "999999999999"
"""Another account, for buckets whose name is taken."""
SAGEMAKER_FULL_ACCESS = "arn:aws:iam::aws:policy/AmazonSageMakerFullAccess"
"""What most people in SageMaker Studio have; the document is AWS's, as moto carries it."""
EVERYTHING = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}


@dataclass(frozen=True)
class Keys:
    """An access key of an IAM user."""

    access_key: str
    secret_key: str


@dataclass
class Stand:
    """AWS as far as a deployment meets it, with a real engine and registry behind.

    One stand at a time runs in a process, because moto's state belongs to the process. Everything
    listens on 127.0.0.1; state is in memory and below `folder`; leaving the block stops and
    removes all of it, containers and pulled images included.

    Attributes:
        folder: An empty folder for what has to be on disk.
        region: The region of `environment`.
        faults: What goes wrong on demand.
        timing: How long SageMaker takes.
        limits: SageMaker's limits that a test may lower.
        quotas: Service quotas.
        find_engine: Gives the address of the Docker engine, which the first container needs.
    """

    folder: Path
    region: str = "eu-west-1"
    faults: Faults = field(default_factory=Faults)
    timing: Timing = field(default_factory=Timing)
    limits: Limits = field(default_factory=Limits)
    quotas: Quotas = field(default_factory=Quotas)
    account: str = ACCOUNT
    find_engine: Callable[[], str] = engine.start

    def __enter__(self) -> Stand:
        with ExitStack() as stack:
            self.docker_host = self.find_engine()
            self.ecr = Ecr(self.faults)
            self.iam = Iam(self.faults, self._tags_of, self._key_of)
            stack.enter_context(
                seams(lambda region: self.ecr.host_of(region), self._sagemaker_tags)
            )
            registries = Registries(self.folder / "registry", self.ecr, self.iam, self.faults)
            stack.callback(registries.close)
            self.containers = Containers(secrets.token_hex(6), self.docker_host)
            stack.callback(lambda: self.containers.remove_all(registries.hosts))
            transitions = Transitions(
                self.folder / "models",
                self.containers,
                registries,
                self.ecr,
                self.iam,
                self.faults,
                self.timing,
                self.limits,
            )
            stack.callback(transitions.close)
            self.sagemaker = SageMaker(transitions, self.quotas, self.ecr, self.iam, self.faults)
            runtime = Runtime(self.sagemaker, self.faults, self.limits)
            self.scheduler = Scheduler(self.iam, self.sagemaker, self.faults)
            stack.callback(self.scheduler.close)
            front = Front(
                self.iam,
                self.ecr,
                self.sagemaker,
                runtime,
                self.quotas,
                self.scheduler,
                self.faults,
            ).handle

            @cache
            def container_url() -> str:
                server = Server(front, self.containers.gateway())
                self._stack.callback(server.stop)
                return f"http://{server.host}"

            transitions.container_url = container_url
            server = Server(front)
            stack.callback(server.stop)
            self.url = f"http://{server.host}"
            self.registry_host = self.ecr.host_of(self.region)
            self.admin = self.create_user("admin", EVERYTHING)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to take the stand for AWS, with keys that may do everything."""
        return self.environment_of(self.admin)

    def environment_of(self, keys: Keys) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": keys.access_key,
            "AWS_SECRET_ACCESS_KEY": keys.secret_key,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "DOCKER_HOST": self.docker_host,
        }

    def client(self, service: str, keys: Keys | None = None, **options: Any) -> Any:
        """A boto3 client of a service, with the administrator's keys unless others are given."""
        used = keys or self.admin
        return boto3.client(
            service,  # type: ignore[call-overload]
            endpoint_url=self.url,
            aws_access_key_id=used.access_key,
            aws_secret_access_key=used.secret_key,
            **{"region_name": self.region, **options},
        )

    def create_user(self, name: str, *policies: Mapping[str, Any] | str) -> Keys:
        """A new IAM user who has exactly these managed policies.

        Args:
            name: Of the user.
            policies: Documents of at most 6,144 characters, or ARNs of policies that AWS manages,
                such as `SAGEMAKER_FULL_ACCESS`.
        """
        return Keys(*self.iam.create_user(name, *policies))

    def spare(self, user: str, policy: Mapping[str, Any]) -> list[str]:
        """The actions of `policy` (`Sid: action`) that no call of `user` so far has needed.

        So one run of everything that a policy is for proves each of its statements. Raises
        AssertionError where the policy does not allow what the user's calls needed.
        """
        return policies.spare(policy, self.iam.asked(user))

    def create_role(self, name: str, bucket: str, repository: str) -> str:
        """An execution role by the book for models in `bucket` and `repository`; its ARN."""
        trust = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": SAGEMAKER},
                    "Action": "sts:AssumeRole",
                    "Condition": {"StringEquals": {"aws:SourceAccount": self.account}},
                }
            ],
        }
        iam = self.client("iam")
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
        policy = role_policy(self.region, bucket, repository)
        iam.put_role_policy(RoleName=name, PolicyName="models", PolicyDocument=json.dumps(policy))
        return str(role["Role"]["Arn"])

    def create_strangers_bucket(self, name: str) -> None:
        """A bucket of that name that belongs to another account."""
        s3_backends[STRANGER]["aws"].create_bucket(name, self.region)

    def expire_ecr_tokens(self) -> None:
        """All ECR tokens that were given out so far are expired."""
        self.ecr.expire_tokens()

    def let_pass(self, seconds: float) -> None:
        """Everything that is there is older by `seconds`, and schedules are that much nearer."""
        self.scheduler.advance(seconds)
        store = self.sagemaker.store(self.region)
        with store.lock:
            for item in (*store.models.values(), *store.configs.values()):
                item.created -= seconds
            for endpoint in store.endpoints.values():
                endpoint.created -= seconds
                endpoint.modified -= seconds
        for repository in ecr_backends[ACCOUNT][self.region].repositories.values():
            for image in repository.images:
                image.image_pushed_at -= int(seconds)
        for bucket in s3_backends[ACCOUNT]["aws"].buckets.values():
            for key in bucket.keys.values():
                key.last_modified -= timedelta(seconds=seconds)

    @contextmanager
    def maintenance(self, endpoint: str) -> Iterator[None]:
        """SageMaker maintains the endpoint meanwhile: it is SystemUpdating."""
        found = self.sagemaker.store(self.region).endpoints[endpoint]
        found.become("SystemUpdating")
        yield
        found.become("InService")

    def ping_failures(self, endpoint: str) -> list[str]:
        """Where a container of the endpoint broke the two-second rule of /ping."""
        found = self.sagemaker.store(self.region).endpoints[endpoint]
        return [line for item in found.variants for line in item.container.ping_failures]

    def inventory(self, region: str = "") -> dict[str, list[str]]:
        """Everything that is there in a region, by kind; kinds without any are left out.

        The region is the stand's unless another is given.

        The administrator and the account's service-linked roles do not count.
        """
        place = {"region_name": region or self.region}
        store = self.sagemaker.store(place["region_name"])
        s3, ecr = s3_backends[ACCOUNT]["aws"], self.client("ecr", **place)
        repositories = ecr.describe_repositories()["repositories"]
        names = [item["repositoryName"] for item in repositories]
        scaling = self.client("application-autoscaling", **place)
        targets = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")
        groups = self.client("logs", **place).describe_log_groups()["logGroups"]
        roles = self.client("iam").list_roles()["Roles"]
        schedules = self.client("scheduler", **place).list_schedules()["Schedules"]
        found = {
            "models": list(store.models),
            "endpoint configurations": list(store.configs),
            "endpoints": list(store.endpoints),
            "containers": self.containers.names_left(),
            "buckets": list(s3.buckets),
            "objects": [
                f"{name}/{key}" for name, bucket in s3.buckets.items() for key in bucket.keys
            ],
            "uploads": [
                f"{name}/{item.key_name}"
                for name, bucket in s3.buckets.items()
                for item in bucket.multiparts.values()
            ],
            "repositories": names,
            "registry settings": [
                name
                for (where, name), value in self.ecr.settings.items()
                if where == place["region_name"] and value == "ENABLED"
            ],
            "images": [
                f"{name}@{image['imageDigest']}"
                for name in names
                for image in ecr.describe_images(repositoryName=name)["imageDetails"]
            ],
            "roles": [
                item["RoleName"] for item in roles if "/aws-service-role/" not in item["Arn"]
            ],
            "scalable targets": [item["ResourceId"] for item in targets["ScalableTargets"]],
            "schedules": [item["Name"] for item in schedules],
            "log groups": [item["logGroupName"] for item in groups],
        }
        return {kind: sorted(items) for kind, items in found.items() if items}

    def _key_of(self, region: str, config: str) -> str:
        found = self.sagemaker.store(region).configs.get(config)
        return str(found.request.get("KmsKeyId", "")) if found else ""

    def _sagemaker_tags(self, region: str) -> Mapping[str, Mapping[str, str]]:
        return self.sagemaker.store(region).tags

    def _tags_of(self, arn: str) -> Mapping[str, str]:
        """Tags of what conditions may ask about: SageMaker's resources, roles, repositories."""
        service, region = (*arn.split(":"), "", "", "", "")[2:4]
        if service == "sagemaker":
            return self.sagemaker.store(region).tags_of(arn)
        if service == "iam" and (role := self.iam.role(arn)):
            return {tag["Key"]: tag["Value"] for tag in role.tags}
        if service == "ecr":
            return self.ecr.tags_of(region, arn)
        return {}


def role_policy(region: str, bucket: str, repository: str) -> dict[str, Any]:
    """What an execution role needs: the least that SageMaker's documentation names."""
    logs = f"arn:aws:logs:{region}:{ACCOUNT}:log-group:/aws/sagemaker/*"
    statements: list[tuple[list[str], str]] = [
        (["s3:GetObject"], f"arn:aws:s3:::{bucket}/*"),
        (["s3:ListBucket"], f"arn:aws:s3:::{bucket}"),
        (["ecr:GetAuthorizationToken"], "*"),
        (
            [
                "ecr:BatchGetImage",
                "ecr:GetDownloadUrlForLayer",
                "ecr:BatchCheckLayerAvailability",
            ],
            repository_arn(region, repository),
        ),
        (["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"], logs),
    ]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": actions, "Resource": resource}
            for actions, resource in statements
        ],
    }
