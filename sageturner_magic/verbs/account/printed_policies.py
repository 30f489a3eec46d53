"""Return the IAM policies that users and endpoints need."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from sageturner_magic.aws import account as aws_account
from sageturner_magic.aws import repository_arn_of, secret_keys
from sageturner_magic.aws.account import (
    Extras,
    PermissionSet,
    Scope,
    caller_policies,
    execution_policy,
    lease_policy,
)
from sageturner_magic.aws.storage import bucket_key
from sageturner_magic.config import Config, ConfigSource
from sageturner_magic.context import DEFAULT_AWS, AwsOptions
from sageturner_magic.errors import AwsError
from sageturner_magic.verbs.account.opened import Account, given_config, opened, secrets_of

T = TypeVar("T")


@dataclass(frozen=True)
class Policies:
    """IAM policies. Attributes: documents, as IAM takes them, by what each is for."""

    documents: Mapping[str, dict[str, Any]]


def show_policy(
    config: ConfigSource | None = None,
    *,
    permissions: Collection[PermissionSet] | None = None,
    aws: AwsOptions = DEFAULT_AWS,
) -> Policies:
    """Return the minimal IAM policies of whoever has these permissions.

    Each fits into a managed policy. Without `permissions` they are `setup` (which may create and
    remove roles), `deploy` (everything else), and `role`, which is what setup gives the execution
    role. With `lease` in the configuration, `lease-role` is what the role for leases gets.

    Raises:
        AwsError: There are no credentials, or no region.
    """
    given = given_config(config)
    found = opened(given, aws)
    session, names = found.session, found.names
    key = _where_allowed(lambda: bucket_key(session, names)) or ""
    keys = _where_allowed(lambda: secret_keys(session, secrets_of(given))) or ()
    scope = Scope(
        names,
        role_arn=_role_arn(found, given),
        kms_key=(given and given.kms_key) or "",
        bucket_key=key,
        secrets=secrets_of(given),
        secret_keys=keys,
        base=repository_arn_of(_base_image(given), names.partition),
        leases=bool(given and given.ends) or "lease" in (permissions or ()),
    )
    documents = caller_policies(scope, permissions)
    if permissions is None:
        network = bool(given and given.network.subnets)
        extras = Extras(network, key, secrets_of(given), keys)
        documents["role"] = execution_policy(names, extras)
        if scope.leases:
            documents["lease-role"] = lease_policy(names)
    return Policies(documents)


def _base_image(config: Config | None) -> str:
    return (config and config.container.generate_container.base_image) or ""


def _role_arn(found: Account, config: Config | None) -> str:
    """The ARN of the role that endpoints run with, which need not exist yet."""
    overrides = config.overrides if config else None
    if overrides and overrides.role_arn:
        return overrides.role_arn
    role = _where_allowed(lambda: aws_account.resolve_role(found.session, found.names))
    if role:
        return role.arn
    named = overrides and overrides.role_name
    # A deployment in SageMaker Studio then uses the notebook's own role.
    studio = None if named else _where_allowed(lambda: aws_account.studio_role(found.session))
    return studio or found.names.role_arn


def _where_allowed(look_up: Callable[[], T]) -> T | None:
    """What `look_up` finds; None where AWS does not say it, as to a caller without permission."""
    try:
        return look_up()
    except AwsError:
        return None
