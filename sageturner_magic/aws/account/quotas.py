"""Compare an endpoint with the account's service quotas."""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import platformdirs

from sageturner_magic.aws.errors import is_aws
from sageturner_magic.aws.session import AwsSession
from sageturner_magic.aws.symptoms import QUOTAS_PAGE
from sageturner_magic.config import Server, Serverless
from sageturner_magic.errors import Finding

_INSTANCES = re.compile(r"(?P<type>ml\.[\w.\-]+) for endpoint usage")
_MEMORY = r"memory.*serverless|serverless.*memory"
_CONCURRENCY = r"concurrency.*serverless|serverless.*concurrency"


def codes_file() -> Path:
    """Where the codes of quotas are kept: AWS documents only how to look them up."""
    return platformdirs.user_cache_path("sageturner-magic") / "quota-codes.json"


@lru_cache(maxsize=16)
def quotas(session: AwsSession, wanted: str = "") -> dict[str, float] | None:
    """Name -> value of SageMaker's quotas in the region; None where AWS does not tell.

    All are listed once, in 30 pages and more. Their codes are kept on this machine, and from then
    on those that are wanted are asked for by code.

    Permissions: servicequotas:ListServiceQuotas; without it nothing can be said.

    Args:
        session: Who asks.
        wanted: A regular expression for names, without regard to case; empty for all.
    """
    try:
        found = _by_code(session, wanted) if wanted else []
        if not found:
            found = _listed(session)
            _keep_codes(found)
    except Exception as error:
        # Plans are made without this permission too; AWS itself refuses in the end.
        if not is_aws(error):
            raise
        return None
    return {name: each["Value"] for name, each in _named(found).items() if _is(name, wanted)}


def _by_code(session: AwsSession, wanted: str) -> list[dict[str, Any]]:
    """The quotas that are wanted; empty where their codes are not known, or not these."""
    known: dict[str, str] = {}
    with suppress(OSError, ValueError, AttributeError):
        codes = json.loads(codes_file().read_text(encoding="utf-8"))
        known = {name: str(code) for name, code in codes.items() if _is(name, wanted)}
    found = [each for code in known.values() for each in _listed(session, QuotaCode=code)]
    return found if _named(found).keys() == known.keys() else []


def _listed(session: AwsSession, **only: str) -> list[dict[str, Any]]:
    pages = session.quotas.get_paginator("list_service_quotas").paginate(
        ServiceCode="sagemaker",
        PaginationConfig={"PageSize": 100},
        **only,  # type: ignore[arg-type]
    )
    return [{**quota} for page in pages for quota in page["Quotas"]]


def _keep_codes(found: list[dict[str, Any]]) -> None:
    codes = {name: each["QuotaCode"] for name, each in _named(found).items() if "QuotaCode" in each}
    # A cache that cannot be written costs time and nothing else.
    with suppress(OSError):
        codes_file().parent.mkdir(parents=True, exist_ok=True)
        part = codes_file().with_suffix(f".{os.getpid()}")
        part.write_text(json.dumps(codes), encoding="utf-8")
        part.replace(codes_file())


def _named(found: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {each["QuotaName"]: each for each in found}


def _is(name: str, wanted: str) -> bool:
    return re.search(wanted, name, re.IGNORECASE) is not None


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
    wanted = rf"{_MEMORY}|{_CONCURRENCY}"
    if isinstance(compute, Server):
        wanted = rf"^{re.escape(compute.instance_type)} for endpoint usage$"
    known = quotas(session, wanted)
    if known is None:
        quotas.cache_clear()
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
        found = _instances(session, compute, replaced, known)
    else:
        found = _serverless(session, compute, known)
    if found:
        # Whoever gets a higher quota now plans again with the same session.
        quotas.cache_clear()
    return found


def types_with_quota(session: AwsSession) -> tuple[str, ...]:
    """The instance types of which an endpoint may have at least one. Permissions: as `quotas`."""
    return tuple(
        sorted(
            match["type"]
            for name, value in (quotas(session) or {}).items()
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
                code="ST76",
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
                code="ST76",
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
            code="ST76",
        )
        for pattern, wanted, key, unit in checks
        for name, value in known.items()
        if _is(name, pattern) and value < wanted
    )
