"""The price list, in the shape that GetProducts answers with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from tests.stand.wire import Answer, AwsFault, Call, json_answer

PAGE = 100
REGIONS = {
    "us-east-1": ("US East (N. Virginia)", "USE1", 1.0),
    "us-west-2": ("US West (Oregon)", "USW2", 1.0),
    "eu-west-1": ("EU (Ireland)", "EUW1", 1.12),
    "eu-central-1": ("EU (Frankfurt)", "EUC1", 1.2),
}
"""Region -> name, prefix of its usage types, price relative to us-east-1."""
HOURLY_USD = {
    "ml.t2.medium": 0.056,
    "ml.m5.large": 0.115,
    "ml.m5.xlarge": 0.23,
    "ml.m5.2xlarge": 0.461,
    "ml.c5.large": 0.102,
    "ml.c5.xlarge": 0.204,
    "ml.m6i.large": 0.115,
    "ml.m7i.large": 0.121,
    "ml.c7g.large": 0.087,
    "ml.g4dn.xlarge": 0.7364,
    "ml.g5.xlarge": 1.408,
    "ml.g5.2xlarge": 1.515,
    "ml.g6.xlarge": 1.1267,
    "ml.p4d.24xlarge": 37.688,
}
"""Real-time inference, us-east-1: examples, close to AWS's."""
HARDWARE = {
    "ml.m5.large": ("2", "8 GiB"),
    "ml.m5.xlarge": ("4", "16 GiB"),
    "ml.g5.xlarge": ("4", "16 GiB"),
    "ml.g5.2xlarge": ("8", "32 GiB"),
}
"""vCPUs and memory of some of them."""
SERVERLESS_USD_PER_GB_SECOND = {"ServerlessInf": 0.00002, "ProvisionedConcurrency": 0.000008}


def handle(call: Call) -> Answer:
    """The answer to a call of the pricing API. Raises AwsFault."""
    params = call.params
    if call.operation != "GetProducts":
        raise AwsFault("UnknownOperationException", f"{call.operation} is not supported here")
    if params.get("ServiceCode") != "AmazonSageMaker":
        raise AwsFault("InvalidParameterException", f"Unknown service {params.get('ServiceCode')}")
    if call.region not in ("us-east-1", "eu-central-1", "ap-south-1"):
        # The API has endpoints in three regions only.
        raise AwsFault("InvalidParameterException", f"There is no pricing API in {call.region}")
    found = [
        product
        for product in _products()
        if all(_passes(product, item) for item in params.get("Filters", []))
    ]
    start = int(params.get("NextToken", 0))
    end = start + int(params.get("MaxResults", PAGE))
    token = {"NextToken": str(end)} if end < len(found) else {}
    prices = [json.dumps(product) for product in found[start:end]]
    return json_answer({"FormatVersion": "aws_v1", "PriceList": prices, **token})


def _passes(product: Mapping[str, Any], wanted: Mapping[str, str]) -> bool:
    attributes = product["product"]["attributes"]
    fields = {"productFamily": product["product"]["productFamily"], **attributes}
    return str(fields.get(wanted["Field"], "")).lower() == wanted["Value"].lower()


def _products() -> Iterator[dict[str, Any]]:
    for region, (location, prefix, factor) in REGIONS.items():
        common = {"regionCode": region, "location": location, "locationType": "AWS Region"}
        for kind, price in HOURLY_USD.items():
            vcpus, memory = HARDWARE.get(kind, ("NA", "NA"))
            attributes = {
                **common,
                "servicecode": "AmazonSageMaker",
                "servicename": "Amazon SageMaker",
                "component": "Hosting",
                "vCpu": vcpus,
                "memory": memory,
                "instanceName": kind,
                "instanceType": f"{kind}-Hosting",
                "platoinstancename": kind,
                "platoinstancetype": "Hosting",
                "operation": "RunInstance",
                "usagetype": f"{prefix}-Host:{kind}",
            }
            hourly = f"${price * factor:.4f} per Hosting {kind} hour in {location}"
            yield _product("ML Instance", attributes, "Hrs", price * factor, hourly)
        for kind, each in SERVERLESS_USD_PER_GB_SECOND.items():
            for memory in (1, 2, 3, 4, 5, 6):
                price = each * memory * factor
                attributes = {
                    **common,
                    "servicecode": "AmazonSageMaker",
                    "servicename": "Amazon SageMaker",
                    "component": "Serverless Inference",
                    "memorySize": f"{memory} GB",
                    "operation": "ServerlessInference",
                    "usagetype": f"{prefix}-{kind}:Mem-{memory}GB",
                }
                second = f"${price:.7f} per second of {memory} GB {kind} in {location}"
                yield _product("ML Serverless", attributes, "Seconds", price, second)


def _product(
    family: str, attributes: dict[str, str], unit: str, price: float, description: str
) -> dict[str, Any]:
    sku = hashlib.sha256(attributes["usagetype"].encode()).hexdigest()[:16].upper()
    term, rate = f"{sku}.JRTCKXETXF", f"{sku}.JRTCKXETXF.6YS6EN2CT7"
    dimension = {
        "unit": unit,
        "beginRange": "0",
        "endRange": "Inf",
        "description": description,
        "appliesTo": [],
        "rateCode": rate,
        "pricePerUnit": {"USD": f"{price:.10f}"},
    }
    offer = {
        "sku": sku,
        "offerTermCode": "JRTCKXETXF",
        "effectiveDate": "2026-01-01T00:00:00Z",
        "termAttributes": {},
        "priceDimensions": {rate: dimension},
    }
    return {
        "product": {"productFamily": family, "attributes": attributes, "sku": sku},
        "serviceCode": "AmazonSageMaker",
        "terms": {"OnDemand": {term: offer}},
        "version": "20260101000000",
        "publicationDate": "2026-01-01T00:00:00Z",
    }
