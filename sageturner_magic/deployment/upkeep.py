"""Verbs that look after an AWS account: setting it up, what to allow, and removing things."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sageturner_magic.aws import iam, policies
from sageturner_magic.aws.bucket import ensure_bucket
from sageturner_magic.aws.names import Names, names
from sageturner_magic.aws.session import AwsSession
from sageturner_magic.config import Config
from sageturner_magic.config.schema import Overrides
from sageturner_magic.deployment import removal
from sageturner_magic.deployment.endpoint import Endpoint, is_local
from sageturner_magic.deployment.here import here
from sageturner_magic.deployment.request import HERE, AwsOptions
from sageturner_magic.deployment.verbs import DEFAULT_CONFIG, find_config
from sageturner_magic.errors import AwsError, UsageError
from sageturner_magic.targets.local import LocalTarget

SAME_POLICY = {"status": "list", "load-test": "invoke"}
"""Verbs that need what another one needs."""


@dataclass(frozen=True)
class Account:
    """An AWS account with the names that a configuration's `overrides` give."""

    session: AwsSession
    names: Names


def account(config: Config | str | Path | None = None, *, aws: AwsOptions = HERE) -> Account:
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
        names(
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


def setup(config: Config | str | Path | None = None, *, aws: AwsOptions = HERE) -> list[str]:
    """Make the execution role and the bucket, or mend what drifted; says what was changed.

    Raises:
        AwsError: One of that name is not ours; a call failed.
    """
    overrides = _overrides(config)
    found = account(config, aws=aws)
    role = iam.resolve_role(
        found.session,
        found.names,
        role_name=overrides.role_name if overrides else None,
        role_arn=overrides.role_arn if overrides else None,
    )
    if overrides and role and not role.ours and (overrides.role_name or overrides.role_arn):
        changed = [f"left role {role.name} as it is, which is your own"]
    else:
        changed = [*iam.ensure_role(found.session, found.names)[1]]
    return [*changed, *ensure_bucket(found.session, found.names)]


def show_policy(
    config: Config | str | Path | None = None,
    *,
    verbs: str | None = None,
    aws: AwsOptions = HERE,
) -> str:
    """The minimal IAM policy, as JSON, of whoever uses `verbs` (comma-separated; all).

    Raises:
        UsageError: A verb that needs no permission or does not exist.
    """
    named = [verb.strip() for verb in (verbs or ",".join(policies.VERBS)).split(",")]
    wanted = [SAME_POLICY.get(verb, verb) for verb in named]
    if unknown := [verb for verb in wanted if verb not in policies.VERBS]:
        raise UsageError(
            f"There is no policy for `{unknown[0]}`", do=f"choose from {', '.join(policies.VERBS)}"
        )
    found = account(config, aws=aws)
    document = policies.caller_policy(
        found.names, [verb for verb in policies.VERBS if verb in wanted]
    )
    return json.dumps(document, indent=2)


@dataclass(frozen=True)
class PlannedRemoval:
    """What is going to be removed, to be shown before `run` does it.

    Attributes:
        lines: What, a line each; empty when there is nothing.
        run: Removes it, telling of each thing; raises AwsError or EndpointError.
    """

    lines: list[str]
    run: Callable[[removal.Say], None]


def plan_removal(
    name: str | None,
    config: Config | str | Path | None = None,
    *,
    everybody: bool = False,
    aws: AwsOptions = HERE,
) -> PlannedRemoval:
    """What goes with an endpoint on SageMaker, or (without a name) what nothing uses any more.

    Args:
        config: For its `overrides`.
        everybody: Without a name: also what others created.

    Raises:
        EndpointError: It is not ours, or busy.
    """
    found = _account_of(name, config, aws)
    if name is None:
        gone = removal.of_orphans(found.session, found.names, everybody=everybody, now=time.time())
    else:
        gone = removal.of_endpoint(found.session, found.names, name)
    return PlannedRemoval(gone.lines(), lambda say: removal.remove(found.session, gone, say))


def plan_teardown(
    config: Config | str | Path | None = None, *, aws: AwsOptions = HERE
) -> PlannedRemoval:
    """Everything that setup and deployments made. Raises SageturnerError while endpoints live."""
    found = account(config, aws=aws)
    everything = removal.of_everything(found.session, found.names)
    return PlannedRemoval(
        [*everything.lines],
        lambda say: removal.tear_down(found.session, found.names, everything, say),
    )


def delete(
    name: str,
    config: Config | str | Path | None = None,
    *,
    aws: AwsOptions = HERE,
    say: removal.Say = lambda line: None,
) -> None:
    """End an endpoint and remove what was made for it and nothing else uses.

    Safe to repeat; finishes what an interrupted run began.

    Args:
        config: For its `overrides`.
        say: Told of each thing that was removed.

    Raises:
        EndpointError: It is not there, not ours, or busy.
    """
    if is_local(name, aws):
        LocalTarget().delete(name)
    else:
        plan_removal(name, config, aws=aws).run(say)
    if notebook := here():
        notebook.notebook.ended(name)


def _account_of(name: str | None, config: Config | str | Path | None, aws: AwsOptions) -> Account:
    try:
        if name is not None and config is None:
            # What is to go says itself where it lies: a configuration with mistakes keeps nobody
            # from deleting.
            session = aws.open()
            return Account(session, names(session))
        return account(config, aws=aws)
    except AwsError:
        if name is not None and aws.includes_local:
            # No local endpoint and no AWS: says both.
            Endpoint(name)
        raise
