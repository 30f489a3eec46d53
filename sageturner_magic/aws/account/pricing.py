"""Read prices from AWS. An unknown price is None, never an error."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sageturner_magic.aws.errors import is_aws
from sageturner_magic.aws.session import AwsSession
from sageturner_magic.config import Server, Serverless


def hourly(session: AwsSession, compute: Serverless | Server) -> float | None:
    """US dollars an hour that an endpoint costs whether it is used or not.

    0 for serverless without provisioned concurrency. None where the Pricing API does not tell.

    Permissions: pricing:GetProducts; without it there is no price.
    """
    if isinstance(compute, Server):
        each = instance_hour(session, compute.instance_type)
        return None if each is None else each * compute.initial_instance_count
    if not compute.provisioned_concurrency:
        return 0.0
    second = _serverless(session, f"ProvisionedConcurrency:Mem-{compute.memory // 1024}GB")
    return None if second is None else second * 3600 * compute.provisioned_concurrency


def serverless_second(session: AwsSession, memory: int) -> float | None:
    """US dollars for a second of work of a serverless endpoint. Permissions: as `hourly`.

    Args:
        session: Who asks.
        memory: In MB.
    """
    return _serverless(session, f"ServerlessInf:Mem-{memory // 1024}GB")


@lru_cache(maxsize=64)
def instance_hour(session: AwsSession, instance_type: str) -> float | None:
    """US dollars for an hour of an instance that hosts an endpoint. Permissions: as `hourly`."""
    return _price(session, {"instanceName": instance_type}, f"Host:{instance_type}")


@dataclass(frozen=True)
class HostedInstance:
    """An instance type as AWS's price list has it.

    Attributes:
        hour: US dollars for an hour of one that hosts an endpoint.
        vcpus: `4`; empty where the list does not say.
        memory: `16 GiB`; likewise.
    """

    hour: float
    vcpus: str
    memory: str


def hosted_instances(session: AwsSession) -> dict[str, HostedInstance]:
    """Every instance type that hosts endpoints in the session's region, by its name.

    Empty where the Pricing API does not tell. Permissions: as `hourly`.
    """
    found: dict[str, HostedInstance] = {}
    attributes = {"productFamily": "ML Instance", "component": "Hosting"}
    for said, price in _products(session, attributes):
        name = said.get("instanceName", "")
        if price is not None and said["usagetype"].endswith(f"Host:{name}"):
            vcpus, memory = (said.get(key, "") for key in ("vCpu", "memory"))
            found[name] = HostedInstance(price, _known(vcpus), _known(memory))
    return found


def _known(said: str) -> str:
    return "" if said.upper() in ("NA", "N/A") else said


@lru_cache(maxsize=16)
def _serverless(session: AwsSession, usage: str) -> float | None:
    return _price(session, {"productFamily": "ML Serverless"}, usage)


def _price(session: AwsSession, attributes: Mapping[str, str], usage: str) -> float | None:
    """The price of the product with these attributes whose usage type ends in `usage`."""
    for said, price in _products(session, attributes):
        if said["usagetype"].endswith(usage):
            return price
    return None


def _products(
    session: AwsSession, attributes: Mapping[str, str]
) -> Iterator[tuple[dict[str, str], float | None]]:
    """Attributes and price of the region's products with `attributes`, as far as AWS tells."""
    filters: list[Any] = [
        {"Type": "TERM_MATCH", "Field": field, "Value": value}
        for field, value in {"regionCode": session.region, **attributes}.items()
    ]
    try:
        pages = session.pricing.get_paginator("get_products").paginate(
            ServiceCode="AmazonSageMaker", Filters=filters
        )
        for page in pages:
            for text in page["PriceList"]:
                product = json.loads(text)
                said = product["product"]["attributes"]
                if "usagetype" in said:
                    yield said, dollars(product)
    except Exception as error:
        # A price is a courtesy: no permission, no network or another form of answer costs it.
        if not (is_aws(error) or isinstance(error, (KeyError, ValueError, TypeError))):
            raise


def dollars(product: Mapping[str, Any]) -> float | None:
    """The on-demand price in US dollars of an entry of the price list; None if it has none.

    Of several tiers the dearest: the first one may be free of charge for new accounts.
    """
    prices = [
        float(dimension["pricePerUnit"]["USD"])
        for term in product.get("terms", {}).get("OnDemand", {}).values()
        for dimension in term.get("priceDimensions", {}).values()
        if "USD" in dimension.get("pricePerUnit", {})
    ]
    return max(prices, default=None)
