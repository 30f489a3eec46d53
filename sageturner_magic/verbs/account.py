"""The verbs for an AWS account: set up, show policies, remove."""

from __future__ import annotations

import getpass
import sys
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from sageturner_magic import endpoints
from sageturner_magic.aws import (
    AwsSession,
    Names,
    ensure_repository,
    names_in,
    put_secret,
    repository_arn_of,
    suggests_sharing,
)
from sageturner_magic.aws import account as aws_account
from sageturner_magic.aws import share_layers as begin_sharing
from sageturner_magic.aws.account import (
    Extras,
    PermissionSet,
    Scope,
    caller_policies,
    execution_policy,
)
from sageturner_magic.aws.storage import bucket_key, ensure_bucket
from sageturner_magic.calls import in_thread
from sageturner_magic.config import Config, ConfigSource
from sageturner_magic.context import DEFAULT_AWS, AwsOptions, current_notebook
from sageturner_magic.endpoints import Endpoint, is_local, no_endpoint
from sageturner_magic.errors import AwsError, Finding, UsageError
from sageturner_magic.verbs.requested import DEFAULT_CONFIG, find_config

T = TypeVar("T")


@dataclass(frozen=True)
class Offer:
    """What a verb could do besides, and does after a yes only.

    Attributes:
        question: With what it costs; a yes or a no answers it.
        remedy: What to run instead, where nobody can be asked.
        accept: Does it; returns a line for each change.
    """

    question: str
    remedy: str
    accept: Callable[[], Collection[str]]


class Changes(list[str]):
    """What `setup` changed, a line each. Attributes: offer, what it could do besides."""

    offer: Offer | None = None

    def decide(self, agreed: bool | None) -> None:
        """Take the answer to the offer's question; None where nobody could be asked."""
        if self.offer and agreed:
            self.extend(self.offer.accept())
        if agreed is not None:
            self.offer = None


@dataclass(frozen=True)
class Policies:
    """IAM policies. Attributes: documents, as IAM takes them, by what each is for."""

    documents: Mapping[str, dict[str, Any]]


@dataclass(frozen=True)
class Account:
    """An AWS account with the names that a configuration's `overrides` give."""

    session: AwsSession
    names: Names


def account(config: ConfigSource | None = None, *, aws: AwsOptions = DEFAULT_AWS) -> Account:
    """The account that the verbs speak to, with the names of the configuration's `overrides`.

    Args:
        config: Without one, ./sageturner.yaml where it is there.

    Raises:
        AwsError: There are no credentials, or no region.
        ConfigError: The configuration has mistakes.
    """
    return _opened(_config(config), aws)


def _config(config: ConfigSource | None) -> Config | None:
    """The configuration, which need not be there. Raises ConfigError."""
    if config is None and not Path(DEFAULT_CONFIG).exists():
        return None
    return find_config(config)


def _opened(config: Config | None, aws: AwsOptions) -> Account:
    session = aws.open()
    return Account(session, names_in(session, config.overrides if config else None))


def setup(
    config: ConfigSource | None = None,
    *,
    share_layers: bool = False,
    aws: AwsOptions = DEFAULT_AWS,
) -> Changes:
    """Create or repair the S3 bucket, the IAM role and the ECR repository.

    A bucket or role of your own that `overrides` names is used: the bucket stays as it is, and
    the role gets the inline policy `sageturner-REGION` in addition to what it has. Returns what
    was changed.

    Args:
        config: Without one, ./sageturner.yaml where it is there.
        share_layers: Let all ECR repositories of the account in the region share image layers.
            Left out, `setup` only offers it.

    Raises:
        AwsError: The bucket is not ours; a call failed.
    """
    given = _config(config)
    found = _opened(given, aws)
    names, overrides = found.names, given.overrides if given else None
    changed = [*ensure_bucket(found.session, names)]
    extras = Extras(
        network=bool(given and given.network.subnets),
        bucket_key=bucket_key(found.session, names),
        secrets=_secrets(given),
    )
    boundary = overrides.permissions_boundary if overrides else None
    changed += aws_account.ensure_role(found.session, names, extras, boundary=boundary)[1]
    repository, noted = ensure_repository(found.session, names)
    changes = Changes([*changed, *noted])
    if share_layers:
        changes.extend(begin_sharing(found.session, names, repository))
    elif suggests_sharing(found.session):
        changes.offer = Offer(
            f"Let all ECR repositories of account {names.account} in {names.region} share image "
            "layers (BLOB_MOUNTING, free), so that pushes send less?",
            "setup --share-layers",
            lambda: begin_sharing(found.session, names, repository),
        )
    return changes


def show_policy(
    config: ConfigSource | None = None,
    *,
    permissions: Collection[PermissionSet] | None = None,
    aws: AwsOptions = DEFAULT_AWS,
) -> Policies:
    """Return the minimal IAM policies of whoever has these permissions.

    Each fits into a managed policy. Without `permissions` they are `setup` (which may create and
    remove roles), `deploy` (everything else), and `role`, which is what setup gives the execution
    role.

    Raises:
        AwsError: There are no credentials, or no region.
    """
    given = _config(config)
    found = _opened(given, aws)
    session, names = found.session, found.names
    key = _where_allowed(lambda: bucket_key(session, names)) or ""
    scope = Scope(
        names,
        role_arn=_role_arn(found, given),
        kms_key=(given and given.kms_key) or "",
        bucket_key=key,
        secrets=_secrets(given),
        base=repository_arn_of(_base_image(given), names.partition),
    )
    documents = caller_policies(scope, permissions)
    if permissions is None:
        network = bool(given and given.network.subnets)
        extras = Extras(network, key, _secrets(given))
        documents["role"] = execution_policy(names, extras)
    return Policies(documents)


def _secrets(config: Config | None) -> tuple[str, ...]:
    return tuple(config.secrets.values()) if config else ()


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


def secret(
    action: str,
    name: str,
    config: ConfigSource | None = None,
    *,
    value: str | None = None,
    aws: AwsOptions = DEFAULT_AWS,
) -> Changes:
    """Store the value of a secret in Secrets Manager, or where `secrets:` says.

    Args:
        action: `put`.
        name: The variable under `secrets:`; without a configuration that has it, the name of a
            secret in Secrets Manager.
        config: Without one, ./sageturner.yaml where it is there.
        value: Without one it is asked for, or read from standard input.

    Raises:
        UsageError: Another action; there is no value.
        AwsError: A call failed.
    """
    if action != "put":
        raise UsageError(f"`secret` cannot `{action}`", do=f"write `secret put {name}`")
    given = _config(config)
    reference = given.secrets.get(name, name) if given else name
    text = _asked(name) if value is None else value
    if not text:
        raise UsageError(f"There is no value for `{name}`", do="run it again and type the value")
    return Changes([put_secret(aws.open(), reference, text)])


def _asked(name: str) -> str:
    """The value, typed without echo, or a line of standard input where nobody can type."""
    if current_notebook() is None and not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    try:
        return getpass.getpass(f"Value of {name} (not shown): ")
    except (NotImplementedError, EOFError):
        # What a kernel raises whose front end cannot ask, as with papermill.
        raise UsageError(
            f"The value of `{name}` cannot be asked for here",
            why="nobody can type it",
            do=f"run `sageturner secret put {name} < FILE` in a shell",
        ) from None


@dataclass(frozen=True)
class PlannedRemoval:
    """What is going to be removed, to be shown before `run` does it.

    Attributes:
        lines: What, a line each; empty when there is nothing.
        run: Removes it, telling of each thing; raises AwsError or EndpointError.
        done: What to say afterwards; empty where the lines say it.
        asks: Whether to ask before: not for a local endpoint, which costs nothing and comes back
            with one command.
        left: What stays and why; `run` adds what was refused.
    """

    lines: tuple[str, ...]
    run: Callable[[endpoints.Say], None]
    done: str = ""
    asks: bool = True
    left: list[Finding] = field(default_factory=list)


def plan_removal(
    name: str | None,
    config: ConfigSource | None = None,
    *,
    orphans: bool = False,
    everybody: bool = False,
    if_exists: bool = False,
    aws: AwsOptions = DEFAULT_AWS,
) -> PlannedRemoval:
    """Return what goes with an endpoint, or (without a name) what nothing uses any more.

    Args:
        config: For its `overrides`.
        orphans: What nothing uses any more, in place of an endpoint.
        everybody: With `orphans`: also what others created.
        if_exists: Nothing to remove is no error.

    Raises:
        UsageError: Neither a name nor `orphans`, or both.
        EndpointError: It is not there, not ours, or busy; a local endpoint and one on SageMaker
            have this name, and `aws` does not say which is meant.
    """
    if bool(name) == orphans:
        raise UsageError("`delete` takes a NAME or --orphans", do="write one of the two")
    if not name:
        found = account(config, aws=aws)
        gone = endpoints.removal_of_orphans(
            found.session, found.names, everybody=everybody, now=time.time()
        )
        young = [Finding(_YOUNG, why=", ".join(gone.young), severity="note")] if gone.young else []
        return _planned(found, gone, "no orphans are left", young)
    if is_local(name, aws):
        return PlannedRemoval(
            (f"endpoint {name}",),
            lambda say: Endpoint(name, endpoint_type="local").delete(),
            f"{name} is deleted from this machine",
            asks=False,
        )
    whole = None
    if aws.includes_sagemaker:
        found = _account_of(name, config, aws)
        whole = endpoints.removal_of_endpoint(found.session, found.names, name)
    if whole:
        return _planned(found, whole, f"{name} is deleted", [], lambda: _forget(name))
    if if_exists:
        return PlannedRemoval((), lambda say: None, f"There is no endpoint {name}")
    raise no_endpoint(name, aws)


_YOUNG = "What is younger than a day stays, as it may belong to a deployment under way"


def _planned(
    found: Account,
    removal: endpoints.Removal,
    done: str,
    left: list[Finding],
    after: Callable[[], None] = lambda: None,
) -> PlannedRemoval:
    def run(say: endpoints.Say) -> None:
        left.extend(endpoints.remove(found.session, removal, say))
        after()

    return PlannedRemoval(tuple(removal.lines()), run, done, left=left)


def _forget(name: str) -> None:
    if notebook := current_notebook():
        notebook.ended(name)


def plan_teardown(
    config: ConfigSource | None = None, *, aws: AwsOptions = DEFAULT_AWS
) -> PlannedRemoval:
    """Return all that setup and deployments created.

    Raises:
        SageturnerError: Endpoints are left.
    """
    found = account(config, aws=aws)
    everything = endpoints.removal_of_everything(found.session, found.names)
    return PlannedRemoval(
        everything.lines,
        lambda say: endpoints.tear_down(found.session, found.names, everything, say),
    )


def teardown(
    config: ConfigSource | None = None,
    *,
    aws: AwsOptions = DEFAULT_AWS,
    say: endpoints.Say = lambda line: None,
) -> None:
    """Remove role, bucket, repository and logs from AWS, without asking.

    Args:
        config: For its `overrides`.
        say: Told of each thing that was removed.

    Raises:
        SageturnerError: Endpoints are left; a call failed.
    """
    plan_teardown(config, aws=aws).run(say)


def delete(
    name: str,
    config: ConfigSource | None = None,
    *,
    if_exists: bool = False,
    aws: AwsOptions = DEFAULT_AWS,
    say: endpoints.Say = lambda line: None,
) -> None:
    """Delete an endpoint, and what was created for it and nothing else uses, without asking.

    Safe to repeat; finishes what an interrupted run began.

    Args:
        config: For its `overrides`.
        if_exists: No error where there is no such endpoint.
        say: Told of each thing that was removed.

    Raises:
        EndpointError: It is not there, not ours, or busy; a local endpoint and one on SageMaker
            have this name, and `aws` does not say which is meant.
    """
    plan_removal(name, config, if_exists=if_exists, aws=aws).run(say)


def _account_of(name: str, config: ConfigSource | None, aws: AwsOptions) -> Account:
    try:
        if config is None:
            # What is to go says itself where it lies: a configuration with mistakes keeps nobody
            # from deleting.
            session = aws.open()
            return Account(session, names_in(session))
        return account(config, aws=aws)
    except AwsError:
        if aws.includes_local:
            # No local endpoint and no AWS: says both.
            Endpoint(name)
        raise


asetup = in_thread(setup)
asecret = in_thread(secret)
adelete = in_thread(delete)
ateardown = in_thread(teardown)
