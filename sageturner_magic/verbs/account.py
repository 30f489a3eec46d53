"""The verbs for an AWS account: set up, show policies, remove."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sageturner_magic import endpoints
from sageturner_magic.aws import AwsSession, Names, ensure_repository, names_in
from sageturner_magic.aws import account as aws_account
from sageturner_magic.aws.account import PERMISSION_SETS, PermissionSet
from sageturner_magic.aws.storage import ensure_bucket
from sageturner_magic.config import Config, Overrides
from sageturner_magic.context import DEFAULT_AWS, AwsOptions, current_notebook
from sageturner_magic.endpoints import Endpoint, is_local, no_endpoint
from sageturner_magic.endpoints.local import LocalEndpoints
from sageturner_magic.errors import AwsError, Finding, UsageError
from sageturner_magic.verbs.requested import DEFAULT_CONFIG, find_config


class Changes(list[str]):
    """What `setup` changed, a line each."""


@dataclass(frozen=True)
class Policy:
    """An IAM policy. Attributes: document, as IAM takes it."""

    document: dict[str, Any]


@dataclass(frozen=True)
class Account:
    """An AWS account with the names that a configuration's `overrides` give."""

    session: AwsSession
    names: Names


def account(config: Config | str | Path | None = None, *, aws: AwsOptions = DEFAULT_AWS) -> Account:
    """The account that the verbs speak to, with the names of the configuration's `overrides`.

    Args:
        config: Without one, ./sageturner.yaml where it is there.

    Raises:
        AwsError: There are no credentials, or no region.
        ConfigError: The configuration has mistakes.
    """
    overrides = _overrides(config)
    session = aws.open()
    return Account(
        session,
        names_in(
            session,
            bucket=overrides.bucket_name if overrides else None,
            role=overrides.role_name if overrides else None,
            repository=overrides.repository_name if overrides else None,
        ),
    )


def _overrides(config: Config | str | Path | None) -> Overrides | None:
    """Those of the configuration, which need not be there. Raises ConfigError."""
    if config is None and not Path(DEFAULT_CONFIG).exists():
        return None
    return find_config(config).overrides


def setup(config: Config | str | Path | None = None, *, aws: AwsOptions = DEFAULT_AWS) -> Changes:
    """Create or repair the IAM role, the S3 bucket and the ECR repository.

    Returns what was changed.

    Raises:
        AwsError: One of that name is not ours; a call failed.
    """
    overrides = _overrides(config)
    found = account(config, aws=aws)
    role = aws_account.resolve_role(
        found.session,
        found.names,
        role_name=overrides.role_name if overrides else None,
        role_arn=overrides.role_arn if overrides else None,
    )
    if overrides and role and not role.ours and (overrides.role_name or overrides.role_arn):
        changed = [f"left role {role.name} as it is, which is your own"]
    else:
        changed = [*aws_account.ensure_role(found.session, found.names)[1]]
    repository = ensure_repository(found.session, found.names)[1]
    return Changes([*changed, *ensure_bucket(found.session, found.names), *repository])


def show_policy(
    config: Config | str | Path | None = None,
    *,
    permissions: Collection[PermissionSet] | None = None,
    aws: AwsOptions = DEFAULT_AWS,
) -> Policy:
    """Return the minimal IAM policy of whoever has these permissions (default: all).

    Raises:
        AwsError: There are no credentials, or no region.
    """
    wanted = PERMISSION_SETS if permissions is None else permissions
    return Policy(aws_account.caller_policy(account(config, aws=aws).names, wanted))


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
    config: Config | str | Path | None = None,
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
            lambda say: _remove_local(name),
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


def _remove_local(name: str) -> None:
    LocalEndpoints().delete(name)
    _forget(name)


def _forget(name: str) -> None:
    if notebook := current_notebook():
        notebook.ended(name)


def plan_teardown(
    config: Config | str | Path | None = None, *, aws: AwsOptions = DEFAULT_AWS
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
    config: Config | str | Path | None = None,
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
    config: Config | str | Path | None = None,
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


def _account_of(name: str, config: Config | str | Path | None, aws: AwsOptions) -> Account:
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
