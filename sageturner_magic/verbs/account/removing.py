"""Remove endpoints, what nothing uses any more, and all that setup created."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from sageturner_magic import endpoints
from sageturner_magic.aws import names_in
from sageturner_magic.calls import in_thread
from sageturner_magic.config import ConfigSource
from sageturner_magic.context import DEFAULT_AWS, AwsOptions, current_notebook
from sageturner_magic.endpoints import Endpoint, is_local, no_endpoint
from sageturner_magic.errors import AwsError, Finding, UsageError
from sageturner_magic.verbs.account.opened import Account, account


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


adelete = in_thread(delete)
ateardown = in_thread(teardown)
