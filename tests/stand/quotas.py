"""Service Quotas, and SageMaker's refusal beyond them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import botocore.session

from tests.stand.wire import ACCOUNT, Answer, AwsFault, Call, json_answer

MEMORY = "Memory size in MB per serverless endpoint"
CONCURRENCY = (
    "Maximum total concurrency that can be allocated across all serverless endpoints in your "
    "account"
)
PAGE = 100


def _instance_types() -> list[str]:
    model = botocore.session.get_session().get_service_model("sagemaker")
    kind = model.shape_for("ProductionVariantInstanceType")
    return list(kind.metadata["enum"])


class Quotas:
    """The quotas of one stand, by name; `set` changes one."""

    def __init__(self) -> None:
        self._values: dict[str, float] = {}
        self.reset()

    def reset(self) -> None:
        """What a well-used account has."""
        self._values = {f"{kind} for endpoint usage": 20 for kind in _instance_types()}
        self._values |= {MEMORY: 6144, CONCURRENCY: 1000}

    def set(self, name: str, value: float) -> None:
        """Set a quota; `name` may also be an instance type. Raises KeyError."""
        full = f"{name} for endpoint usage" if name.startswith("ml.") else name
        if full not in self._values:
            raise KeyError(full)
        self._values[full] = value

    def check(self, wanted: Sequence[Mapping[str, Any]], used: Sequence[Mapping[str, Any]]) -> None:
        """Raises AwsFault (ResourceLimitExceeded) where `wanted` variants are too many."""
        for variant in wanted:
            if serverless := variant.get("ServerlessConfig"):
                memory = serverless["MemorySizeInMB"]
                self._refuse_over(MEMORY, memory, 0, "MBs")
                total = sum(
                    item["ServerlessConfig"]["MaxConcurrency"]
                    for item in used
                    if "ServerlessConfig" in item
                )
                self._refuse_over(CONCURRENCY, serverless["MaxConcurrency"], total, "")
                continue
            kind = variant["InstanceType"]
            count = sum(_count(item) for item in used if item.get("InstanceType") == kind)
            self._refuse_over(f"{kind} for endpoint usage", _count(variant), count, "Instances")

    def _refuse_over(self, name: str, more: int, now: int, unit: str) -> None:
        limit = int(self._values[name])
        if now + more <= limit:
            return
        unit = f" {unit}" if unit else ""
        raise AwsFault(
            "ResourceLimitExceeded",
            f"The account-level service limit '{name}' is {limit}{unit}, with current utilization "
            f"of {now}{unit} and a request delta of {more}{unit}. Please use AWS Service Quotas to "
            "request an increase for this quota. If AWS Service Quotas is not available, contact "
            "AWS support to request an increase for this quota.",
        )

    def handle(self, call: Call) -> Answer:
        """The answer to a call of the service-quotas API. Raises AwsFault."""
        params = call.params
        if params.get("ServiceCode") != "sagemaker":
            raise _missing("The request failed because the specified service does not exist.")
        quotas = [self._quota(name, call.region) for name in self._values]
        match call.operation:
            case "GetServiceQuota" | "GetAWSDefaultServiceQuota":
                found = [item for item in quotas if item["QuotaCode"] == params.get("QuotaCode")]
                if not found:
                    raise _missing("The request failed because the specified quota does not exist.")
                return json_answer({"Quota": found[0]})
            case "ListServiceQuotas" | "ListAWSDefaultServiceQuotas":
                if code := params.get("QuotaCode"):
                    quotas = [item for item in quotas if item["QuotaCode"] == code]
                start = int(params.get("NextToken", 0))
                end = start + int(params.get("MaxResults", PAGE))
                token = {"NextToken": str(end)} if end < len(quotas) else {}
                return json_answer({"Quotas": quotas[start:end], **token})
        raise AwsFault("UnknownOperationException", f"{call.operation} is not supported here")

    def _quota(self, name: str, region: str) -> dict[str, Any]:
        code = quota_code(name)
        return {
            "ServiceCode": "sagemaker",
            "ServiceName": "Amazon SageMaker",
            "QuotaArn": f"arn:aws:servicequotas:{region}:{ACCOUNT}:sagemaker/{code}",
            "QuotaCode": code,
            "QuotaName": name,
            "Value": float(self._values[name]),
            "Unit": "None",
            "Adjustable": True,
            "GlobalQuota": False,
        }


def quota_code(name: str) -> str:
    """`L-` and eight hex digits, as AWS's codes look; which ones AWS chose is not known here."""
    return f"L-{hashlib.sha256(name.encode()).hexdigest()[:8].upper()}"


def _count(variant: Mapping[str, Any]) -> int:
    return int(variant.get("InitialInstanceCount", 1))


def _missing(message: str) -> AwsFault:
    return AwsFault("NoSuchResourceException", message)
