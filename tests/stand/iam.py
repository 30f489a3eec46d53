"""Who calls, what they may do, and what SageMaker may do in a role's name.

Users, roles, policies and access keys are moto's; the decisions are made here, because moto's
own look at neither resources nor conditions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from moto.iam.models import Group, IAMBackend, ManagedPolicy, Role, User, iam_backends
from moto.s3.models import s3_backends
from moto.secretsmanager.models import secretsmanager_backends
from moto.ssm.models import ssm_backends
from moto.sts.models import sts_backends

from tests.stand import policies
from tests.stand.actions import Need, key_need, needs
from tests.stand.faults import Faults
from tests.stand.policies import Context, Decision, Statement
from tests.stand.wire import ACCOUNT, AwsFault, Call

SAGEMAKER = "sagemaker.amazonaws.com"
S3_KEY_ACTIONS = {
    "CompleteMultipartUpload": ("Decrypt",),
    "CreateMultipartUpload": ("GenerateDataKey",),
    "GetObject": ("Decrypt",),
    "PutObject": ("GenerateDataKey",),
    "UploadPart": ("Decrypt", "GenerateDataKey"),
}
"""What S3 asks of KMS in the caller's name, for a bucket with a key of one's own."""
SECRET_KEY_ACTIONS = {
    "CreateSecret": ("Decrypt", "GenerateDataKey"),
    "GetParameter": ("Decrypt",),
    "GetSecretValue": ("Decrypt",),
    "PutParameter": ("Encrypt",),
    "PutSecretValue": ("Decrypt", "GenerateDataKey"),
}
"""What Secrets Manager and Parameter Store (standard tier) ask of KMS in the caller's name.

https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html and
https://docs.aws.amazon.com/kms/latest/developerguide/services-parameter-store.html
"""


@dataclass(frozen=True)
class Principal:
    """Somebody who calls.

    Attributes:
        arn: Theirs.
        policy: The statements of all policies that they have.
        boundary: Those of their permissions boundary; None without one.
    """

    arn: str
    policy: tuple[Statement, ...]
    boundary: tuple[Statement, ...] | None = None

    def decide(self, action: str, resource: str, context: Context) -> Decision:
        decision = policies.decide(self.policy, action, resource, context)
        if self.boundary is None or decision != "allow":
            return decision
        return policies.decide(self.boundary, action, resource, context)


class Iam:
    """Authentication and authorisation for one stand."""

    def __init__(
        self,
        faults: Faults,
        tags_of: Callable[[str], Mapping[str, str]],
        key_of: Callable[[str, str], str],
    ) -> None:
        """Args: `key_of` gives the KMS key of an endpoint configuration (region, name), or ""."""
        self._faults = faults
        self._tags_of = tags_of
        self._key_of = key_of
        self._asked: dict[str, list[Need]] = {}

    @property
    def _backend(self) -> IAMBackend:
        return iam_backends[ACCOUNT]["aws"]

    def create_user(self, name: str, *attached: Mapping[str, Any] | str) -> tuple[str, str]:
        """A new user with managed policies: documents, or ARNs of AWS's own; returns the key."""
        backend = self._backend
        backend.create_user("us-east-1", name)
        for place, policy in enumerate(attached):
            arn = policy
            if not isinstance(policy, str):
                document = json.dumps(policy)
                arn = backend.create_policy("", "/", document, f"{name}-{place}", []).arn
            backend.attach_user_policy(str(arn), name)
        key = backend.create_access_key(name)
        return key.access_key_id, key.secret_access_key

    def principal(self, call: Call) -> Principal:
        """Who signed the call. Raises AwsFault where nobody here has that key."""
        session = sts_backends[ACCOUNT]["aws"].get_assumed_role_from_access_key(call.access_key)
        if session is None:
            key = self._backend.access_keys.get(call.access_key)
            if key is None or key.status != "Active":
                raise _unknown_key(call.service)
            return self._user(self._backend.get_user(str(key.user_name)))
        if session.session_token != call.token:
            raise _unknown_key(call.service)
        if session.expiration.replace(tzinfo=timezone.utc) < datetime.now(timezone.utc):
            raise AwsFault(
                "ExpiredToken" if call.service in ("s3", "iam", "sts") else "ExpiredTokenException",
                "The security token included in the request is expired",
                403 if call.service in ("iam", "sts") else 400,
            )
        role = self.role(session.role_arn)
        if role is None:
            raise _unknown_key(call.service)
        return self._role_principal(session.arn, role)

    def authorise(self, principal: Principal, call: Call) -> None:
        """Raises AwsFault (access denied) where the caller lacks a permission for the call."""
        for need in needs(call):
            self.require(principal, need, call.service)
        for need in self._key_needs(call):
            self.require(principal, need, call.service)
        if call.service == "s3":
            self._require_listing(principal, call)
        if call.service == "sts" and call.operation == "AssumeRole":
            self._require_trust(principal, call)
        if (
            call.service == "application-autoscaling"
            and call.operation == "RegisterScalableTarget"
            and not self._has_scaling_role()
        ):
            self._create_scaling_role(principal, call)

    def require(self, principal: Principal, need: Need, service: str) -> None:
        """Raises AwsFault where `principal` is not allowed what is needed."""
        full = Need(need.action, need.resource, self._context(principal, need))
        self._asked.setdefault(principal.arn, []).append(full)
        if not self.allows(principal, need):
            raise _denied(principal, need, service)

    def asked(self, user: str) -> list[Need]:
        """Everything that the calls of an IAM user have needed so far."""
        return self._asked.get(self._backend.get_user(user).arn, [])

    def _context(self, principal: Principal, need: Need) -> dict[str, str | list[str]]:
        tags = self._tags_of(need.resource)
        return {
            # The stand speaks HTTP on the loopback in place of AWS's HTTPS.
            "aws:SecureTransport": "true",
            "aws:SourceIp": "127.0.0.1",
            "aws:PrincipalArn": principal.arn,
            "aws:PrincipalAccount": ACCOUNT,
            **{f"aws:ResourceTag/{key}": value for key, value in tags.items()},
            **need.context,
        }

    def allows(self, principal: Principal, need: Need) -> bool:
        context = self._context(principal, need)
        decision = principal.decide(need.action, need.resource, context)
        if not need.resource.startswith("arn:aws:s3:::"):
            return decision == "allow"
        # Bucket policies: a deny of theirs holds for everybody, an allow is enough inside the
        # account and needed from outside it.
        bucket = need.resource.removeprefix("arn:aws:s3:::").partition("/")[0]
        owner = bucket_owner(bucket)
        named = (principal.arn, ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root")
        about = [item for item in bucket_policy(bucket) if policies.names_principal(item, *named)]
        there = policies.decide(about, need.action, need.resource, context)
        if "deny" in (decision, there):
            return False
        if owner not in (ACCOUNT, "") and need.action != "s3:CreateBucket":
            return decision == there == "allow"
        return "allow" in (decision, there)

    def role(self, arn: str) -> Role | None:
        return next((role for role in self._backend.roles.values() if role.arn == arn), None)

    def assume_for_sagemaker(self, arn: str, region: str) -> Principal:
        """The role as SageMaker gets it. Raises AwsFault where SageMaker may not assume it.

        The guide documents what SageMaker sends as aws:SourceArn; that it sends aws:SourceAccount,
        too, is likely and unproven, see `Faults.source_account`.
        """
        context: dict[str, str | list[str]] = {
            "aws:SourceArn": f"arn:aws:sagemaker:{region}:{ACCOUNT}:*"
        }
        if self._faults.source_account:
            context["aws:SourceAccount"] = ACCOUNT
        if found := self.assumed(arn, SAGEMAKER, context):
            return Principal(arn, ()) if self._faults.take("late_policies") else found
        raise AwsFault(
            "ValidationException",
            f"Could not assume role {arn}. Please ensure that the role exists and allows "
            f"principal '{SAGEMAKER}' to assume the role.",
        )

    def assumed(self, arn: str, service: str, context: Context) -> Principal | None:
        """The role as an AWS service gets it; None where the service may not assume it."""
        role = self.role(arn)
        if role is None or _age(role) < self._faults.role_delay_s:
            return None
        trust = policies.statements(role.assume_role_policy_document)
        about = [item for item in trust if policies.names_principal(item, service)]
        allowed = policies.decide(about, "sts:AssumeRole", arn, context) == "allow"
        return self._role_principal(arn, role) if allowed else None

    def variables_of(self, role: Principal, region: str) -> dict[str, str]:
        """The role's credentials, as environment variables of a container."""
        session = sts_backends[ACCOUNT]["aws"].assume_role(
            region_name=region,
            role_session_name="SageMaker",
            role_arn=role.arn,
            policy="",
            duration=3600,
            external_id="",
        )
        return {
            "AWS_ACCESS_KEY_ID": session.access_key_id,
            "AWS_SECRET_ACCESS_KEY": session.secret_access_key,
            "AWS_SESSION_TOKEN": session.session_token,
            "AWS_REGION": region,
        }

    def _role_principal(self, arn: str, role: Role) -> Principal:
        limit = self._backend.managed_policies.get(role.permissions_boundary_arn or "")
        boundary = _default_version(limit) if limit else None
        return Principal(arn, self._policy_of(role), boundary)

    def _key_needs(self, call: Call) -> list[Need]:
        """What a call needs of KMS because of what is there already.

        https://docs.aws.amazon.com/sagemaker/latest/dg/api-permissions-reference.html and
        https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html
        """
        if call.service == "sagemaker" and call.operation in ("CreateEndpoint", "UpdateEndpoint"):
            key = self._key_of(call.region, call.params["EndpointConfigName"])
            return [key_need("CreateGrant", key, call.region)] if key else []
        if call.service == "s3" and (key := bucket_key(call.params.get("Bucket", ""))):
            actions = S3_KEY_ACTIONS.get(call.operation, ())
            return [key_need(action, key, call.region) for action in actions]
        if call.service in ("secretsmanager", "ssm"):
            key = _secret_key(call)
            actions = SECRET_KEY_ACTIONS.get(call.operation, ()) if key else ()
            return [key_need(action, key, call.region) for action in actions]
        return []

    def _user(self, user: User) -> Principal:
        groups = [item for item in self._backend.groups.values() if user in item.users]
        inherited = [statement for group in groups for statement in self._policy_of(group)]
        return Principal(user.arn, (*self._policy_of(user), *inherited))

    def _policy_of(self, holder: User | Group | Role) -> tuple[Statement, ...]:
        inline = [item for each in holder.policies.values() for item in policies.statements(each)]
        managed = [
            item for each in holder.managed_policies.values() for item in _default_version(each)
        ]
        return (*inline, *managed)

    def _require_listing(self, principal: Principal, call: Call) -> None:
        """S3 says 404 for a key that is not there only to those who may list the bucket."""
        if call.operation not in ("GetObject", "HeadObject"):
            return
        bucket, key = call.params["Bucket"], call.params["Key"]
        found = s3_backends[ACCOUNT]["aws"].buckets.get(bucket)
        if found is not None and key not in found.keys:
            need = Need("s3:ListBucket", f"arn:aws:s3:::{bucket}", {"s3:prefix": key})
            self.require(principal, need, "s3")

    def _require_trust(self, principal: Principal, call: Call) -> None:
        arn = call.params.get("RoleArn", "")
        role = self.role(arn)
        need = Need("sts:AssumeRole", arn)
        if role is None:
            raise _denied(principal, need, "sts")
        trust = policies.statements(role.assume_role_policy_document)
        root = f"arn:aws:iam::{ACCOUNT}:root"
        named = [item for item in trust if policies.names_principal(item, principal.arn)]
        account = [item for item in trust if policies.names_principal(item, root, ACCOUNT)]
        direct = policies.decide(named, need.action, arn, {})
        through_account = policies.decide(account, need.action, arn, {}) == "allow"
        if direct == "allow" or (through_account and self.allows(principal, need)):
            return
        raise _denied(principal, need, "sts")

    _SCALING_ROLE = "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
    _SCALING_SERVICE = "sagemaker.application-autoscaling.amazonaws.com"

    def _has_scaling_role(self) -> bool:
        return self._SCALING_ROLE in {role.name for role in self._backend.roles.values()}

    def _create_scaling_role(self, principal: Principal, call: Call) -> None:
        """The first scalable target of an account makes the service-linked role.

        https://docs.aws.amazon.com/autoscaling/application/userguide/application-auto-scaling-service-linked-roles.html
        """
        path = f"/aws-service-role/{self._SCALING_SERVICE}/"
        need = Need(
            "iam:CreateServiceLinkedRole",
            f"arn:aws:iam::{ACCOUNT}:role{path}{self._SCALING_ROLE}",
            {"iam:AWSServiceName": self._SCALING_SERVICE},
        )
        self.require(principal, need, call.service)
        trust = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": self._SCALING_SERVICE},
                    "Action": "sts:AssumeRole",
                }
            ],
        }
        self._backend.create_role(
            self._SCALING_ROLE,
            json.dumps(trust),
            path=path,
            permissions_boundary=None,
            description="",
            tags=[],
            max_session_duration="3600",
        )


def bucket_owner(bucket: str) -> str:
    """The account that owns the bucket; empty where there is none of that name."""
    owner = s3_backends.bucket_accounts.get(bucket)
    return owner[1] if owner else ""


def bucket_key(bucket: str) -> str:
    """The KMS key that encrypts a bucket; empty for AWS's own."""
    owner = bucket_owner(bucket)
    found = s3_backends[owner]["aws"].buckets[bucket].encryption if owner else None
    match = re.search(r'"KMSMasterKeyID": "([^"]+)"', json.dumps(found))
    return match[1] if match else ""


def bucket_policy(bucket: str) -> list[Statement]:
    owner = bucket_owner(bucket)
    policy = s3_backends[owner]["aws"].buckets[bucket].policy if owner else None
    return policies.statements(policy.decode()) if policy else []


def _default_version(policy: ManagedPolicy) -> tuple[Statement, ...]:
    document = next(version.document for version in policy.versions if version.is_default)
    return tuple(policies.statements(document))


def _age(role: Role) -> float:
    created = role.create_date.replace(tzinfo=timezone.utc)
    return (datetime.now(timezone.utc) - created).total_seconds()


def _denied(principal: Principal, need: Need, service: str) -> AwsFault:
    message = (
        f"User: {principal.arn} is not authorized to perform: {need.action} on resource: "
        f"{need.resource} because no identity-based policy allows the {need.action} action"
    )
    if service in ("s3", "iam", "sts", "cloudwatch"):
        return AwsFault("AccessDenied", message, 403)
    return AwsFault(
        "AccessDeniedException", message, 403 if service == "sagemaker-runtime" else 400
    )


def _unknown_key(service: str) -> AwsFault:
    if service == "s3":
        message = "The AWS Access Key Id you provided does not exist in our records."
        return AwsFault("InvalidAccessKeyId", message, 403)
    message = "The security token included in the request is invalid."
    if service in ("iam", "sts"):
        return AwsFault("InvalidClientTokenId", message, 403)
    return AwsFault("UnrecognizedClientException", message, 400)


def _secret_key(call: Call) -> str:
    """The key of one's own of a secret or parameter; empty for AWS's."""
    params = call.params
    if call.service == "ssm":
        kept = ssm_backends[ACCOUNT][call.region].get_parameter(params.get("Name", ""))
        key = params.get("KeyId") or (kept.keyid if kept else "")
    else:
        wanted = params.get("SecretId", "")
        secrets = secretsmanager_backends[ACCOUNT][call.region].secrets.values()
        known = (each.kms_key_id for each in secrets if wanted in (each.name, each.arn))
        key = params.get("KmsKeyId") or next(known, "")
    return "" if not key or "alias/aws/" in key else str(key)
