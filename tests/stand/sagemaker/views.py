"""What Describe and List operations say about a resource."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.stand.sagemaker.store import Endpoint, Record, Store, Variant


def record(kind: str, item: Record) -> dict[str, Any]:
    """A model (`Model`) or an endpoint configuration (`EndpointConfig`)."""
    request = {key: value for key, value in item.request.items() if key != "Tags"}
    return {**request, f"{kind}Arn": item.arn, "CreationTime": item.created}


def summary(kind: str, item: Record) -> dict[str, Any]:
    return {f"{kind}Name": item.name, f"{kind}Arn": item.arn, "CreationTime": item.created}


def endpoint(item: Endpoint, store: Store) -> dict[str, Any]:
    described: dict[str, Any] = {
        "EndpointName": item.name,
        "EndpointArn": item.arn,
        "EndpointConfigName": item.config,
        "EndpointStatus": item.status,
        "CreationTime": item.created,
        "LastModifiedTime": item.modified,
    }
    if item.variants:
        described["ProductionVariants"] = [_variant(item, variant) for variant in item.variants]
    if item.reason:
        described["FailureReason"] = item.reason
    if item.pending:
        config = store.configs.get(item.pending)
        variants = config.request["ProductionVariants"] if config else []
        status = [{"Status": item.pending_status, "StartTime": item.pending_since}]
        described["PendingDeploymentSummary"] = {
            "EndpointConfigName": item.pending,
            "StartTime": item.pending_since,
            "ProductionVariants": [
                {"VariantName": variant["VariantName"], "VariantStatus": status}
                for variant in variants
            ],
        }
    return described


def endpoint_summary(item: Endpoint) -> dict[str, Any]:
    return {
        "EndpointName": item.name,
        "EndpointArn": item.arn,
        "EndpointStatus": item.status,
        "CreationTime": item.created,
        "LastModifiedTime": item.modified,
    }


def tags(found: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in found.items()]


def _variant(item: Endpoint, variant: Variant) -> dict[str, Any]:
    settings = variant.settings
    name = settings["VariantName"]
    image = {
        "SpecifiedImage": variant.image,
        "ResolvedImage": variant.resolved,
        "ResolutionTime": item.modified,
    }
    weight = item.weight(variant)
    described = {
        "VariantName": name,
        "DeployedImages": [image],
        "CurrentWeight": weight,
        "DesiredWeight": weight,
    }
    if serverless := settings.get("ServerlessConfig"):
        return {
            **described,
            "CurrentInstanceCount": 0,
            "CurrentServerlessConfig": serverless,
            "DesiredServerlessConfig": serverless,
        }
    count = item.counts.get(name, settings.get("InitialInstanceCount", 1))
    return {**described, "CurrentInstanceCount": count, "DesiredInstanceCount": count}
