"""Compare an endpoint with the account's service quotas."""

from __future__ import annotations

import re
from functools import lru_cache

from sageturner_magic.aws.errors import is_aws
from sageturner_magic.aws.session import AwsSession
from sageturner_magic.aws.symptoms import QUOTAS_PAGE
from sageturner_magic.config import Server, Serverless
from sageturner_magic.errors import Finding

_INSTANCES = re.compile(r"(?P<type>ml\.[\w.\-]+) for endpoint usage")
_MEMORY = re.compile(r"memory.*serverless|serverless.*memory", re.IGNORECASE)
_CONCURRENCY = re.compile(r"concurrency.*serverless|serverless.*concurrency", re.IGNORECASE)


@lru_cache(maxsize=4)
def quotas(session: AwsSession) -> dict[str, float]:
    """Name -> value of all of SageMaker's quotas in the region; empty where AWS does not tell.

    The codes of quotas are not known beforehand, so all are listed (once a session).

    Permissions: servicequotas:ListServiceQuotas; without it nothing can be said.
    """
    try:
        pages = session.quotas.get_paginator("list_service_quotas").paginate(
            ServiceCode="sagemaker", PaginationConfig={"PageSize": 100}
        )
        return {quota["QuotaName"]: quota["Value"] for page in pages for quota in page["Quotas"]}
    except Exception as error:
        # Plans are made without this permission too; AWS itself refuses in the end.
        if not is_aws(error):
            raise
        return {}


def quota_findings(
    session: AwsSession, compute: Serverless | Server, replaced: Serverless | Server | None = None
) -> tuple[Finding, ...]:
    """Whether the account's quotas allow `compute`; a note where that is not known.

    Args:
        session: Who asks.
        compute: What is wanted.
        replaced: What the endpoint has now; blue/green needs room for both at once.

    Permissions: as `quotas`.
    """
    known = quotas(session)
    if not known:
        return (
            Finding(
                "The quotas could not be read",
                why="Service Quotas does not answer, or servicequotas:ListServiceQuotas is not "
                "allowed",
                where="compute",
                severity="note",
            ),
        )
    if isinstance(compute, Server):
        return _instances(session, compute, replaced, known)
    return _serverless(session, compute, known)


def types_with_quota(session: AwsSession) -> tuple[str, ...]:
    """The instance types of which an endpoint may have at least one. Permissions: as `quotas`."""
    return tuple(
        sorted(
            match["type"]
            for name, value in quotas(session).items()
            if value >= 1 and (match := _INSTANCES.fullmatch(name))
        )
    )


def _instances(
    session: AwsSession,
    compute: Server,
    replaced: Serverless | Server | None,
    known: dict[str, float],
) -> tuple[Finding, ...]:
    name = f"{compute.instance_type} for endpoint usage"
    limit = known.get(name)
    if limit is None:
        return ()
    most = compute.autoscaling.max if compute.autoscaling else compute.initial_instance_count
    page = QUOTAS_PAGE.format(region=session.region)
    if limit < compute.initial_instance_count:
        allowed = ", ".join(types_with_quota(session)[:12]) or "none"
        return (
            Finding(
                f"{compute.initial_instance_count} instances {compute.instance_type} are more than "
                "the account may have",
                where="compute.server.instance_type",
                why=f"the quota `{name}` is {limit:g} in {session.region}",
                do=f"ask for more at {page}, or choose a type that has quota: {allowed}",
            ),
        )
    both = compute.initial_instance_count
    if isinstance(replaced, Server) and replaced.instance_type == compute.instance_type:
        both += replaced.initial_instance_count
    if limit < max(most, both):
        return (
            Finding(
                f"The quota `{name}` of {limit:g} may not suffice",
                where="compute.server",
                why=f"an update runs old and new instances side by side ({both})"
                if limit < both
                else f"autoscaling may want {most}",
                do=f"ask for more at {page}",
                severity="warning",
            ),
        )
    return ()


def _serverless(
    session: AwsSession, compute: Serverless, known: dict[str, float]
) -> tuple[Finding, ...]:
    page = QUOTAS_PAGE.format(region=session.region)
    checks = (
        (_MEMORY, compute.memory, "memory", "MB of memory"),
        (_CONCURRENCY, compute.max_concurrency, "max_concurrency", "concurrent requests"),
    )
    return tuple(
        Finding(
            f"{wanted} {unit} is more than the account may have",
            where=f"compute.serverless.{key}",
            why=f"the quota `{name}` is {value:g} in {session.region}",
            do=f"choose no more than {value:g}, or ask for more at {page}",
        )
        for pattern, wanted, key, unit in checks
        for name, value in known.items()
        if pattern.search(name) and value < wanted
    )
