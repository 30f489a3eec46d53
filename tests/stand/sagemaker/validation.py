"""Requests held against botocore's service model, and the limits that it does not hold."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import botocore.session
from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape

from tests.stand.wire import AwsFault

SERVERLESS_MEMORY_MB = (1024, 2048, 3072, 4096, 5120, 6144)
SERVERLESS_CONCURRENCY = range(1, 201)
ENVIRONMENT_ENTRIES = 100
ENVIRONMENT_BYTES = 32 * 1024
NVME_FAMILIES = re.compile(r"ml\.([cmr]\d\w*d|g4dn|g5|g6e?|g7e?|p3dn|p4de?|p5\w*|p6\S*|trn\d\w*)\.")
"""Types with a local disk, which take no VolumeSizeInGB."""

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "boolean": (bool,),
    "timestamp": (int, float, str),
    "list": (list,),
    "map": (dict,),
    "structure": (dict,),
}


def invalid(message: str) -> AwsFault:
    return AwsFault("ValidationException", message)


@cache
def _model() -> Any:
    return botocore.session.get_session().get_service_model("sagemaker")


def validate(operation: str, params: Mapping[str, Any]) -> None:
    """Raises AwsFault with AWS's own text where `params` break the operation's model."""
    shape = _model().operation_model(operation).input_shape
    problems = list(_problems(shape, params, ""))
    if problems:
        count = f"{len(problems)} validation error{'s' if len(problems) > 1 else ''} detected: "
        raise invalid(count + "; ".join(problems))


def _problems(shape: Shape, given: object, path: str) -> Iterator[str]:
    kinds = _TYPES.get(shape.type_name, (object,))
    value: Any = given
    if not isinstance(given, kinds) or (isinstance(given, bool) and bool not in kinds):
        raise AwsFault(
            "SerializationException", f"{path or 'The request'} is not of type {shape.type_name}"
        )
    if isinstance(shape, StructureShape):
        for name in shape.metadata.get("required", ()):
            if value.get(name) is None:
                place = _join(path, name)
                yield f"{_at(None, place)}Member must not be null"
        for name, member in value.items():
            if name in shape.members and member is not None:
                yield from _problems(shape.members[name], member, _join(path, name))
    elif isinstance(shape, ListShape):
        yield from _sizes(shape, value, path)
        for index, member in enumerate(value, 1):
            yield from _problems(shape.member, member, f"{path}.{index}.member")
    elif isinstance(shape, MapShape):
        yield from _sizes(shape, value, path)
        for key, member in value.items():
            yield from _problems(shape.key, key, f"{path}.{key}.key")
            yield from _problems(shape.value, member, f"{path}.{key}.member")
    else:
        yield from _sizes(shape, value, path)
        yield from _text(shape, value, path)


def _sizes(shape: Shape, value: Any, path: str) -> Iterator[str]:
    if isinstance(value, bool) or shape.type_name == "timestamp":
        return
    counted = not isinstance(value, int | float)
    size = len(value) if counted else value
    what = "length" if counted else "value"
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and size < low:
        yield f"{_at(value, path)}Member must have {what} greater than or equal to {low}"
    if high is not None and size > high:
        yield f"{_at(value, path)}Member must have {what} less than or equal to {high}"


def _text(shape: Shape, value: Any, path: str) -> Iterator[str]:
    if not isinstance(shape, StringShape):
        return
    if shape.enum and value not in shape.enum:
        allowed = ", ".join(shape.enum)
        yield f"{_at(value, path)}Member must satisfy enum value set: [{allowed}]"
    pattern = shape.metadata.get("pattern")
    if pattern and not _pattern(pattern).fullmatch(value):
        yield f"{_at(value, path)}Member must satisfy regular expression pattern: {pattern}"


@cache
def _pattern(java: str) -> re.Pattern[str]:
    # Python has no \p{…}; these classes stand for letters, separators and digits.
    return re.compile(java.replace(r"\p{L}\p{Z}\p{N}", r"\w\s"))


def _at(value: Any, path: str) -> str:
    shown = "null" if value is None else f"'{value}'"
    return f"Value {shown} at '{path}' failed to satisfy constraint: "


def _join(path: str, name: str) -> str:
    lowered = name[:1].lower() + name[1:]
    return f"{path}.{lowered}" if path else lowered


def check_environment(environment: Mapping[str, str]) -> None:
    """Entries and bytes in all: https://docs.aws.amazon.com/sagemaker (ContainerDefinition)."""
    if len(environment) > ENVIRONMENT_ENTRIES:
        raise invalid(f"Environment must have at most {ENVIRONMENT_ENTRIES} entries.")
    size = sum(len(key.encode()) + len(value.encode()) for key, value in environment.items())
    if size > ENVIRONMENT_BYTES:
        raise invalid(f"Environment must be at most {ENVIRONMENT_BYTES} bytes in all.")


def check_variants(variants: list[dict[str, Any]], config: Mapping[str, Any]) -> None:
    """What a set of production variants may not be. Raises AwsFault."""
    names = [variant["VariantName"] for variant in variants]
    if len(set(names)) != len(names):
        raise invalid("Production variant names must be unique within an endpoint configuration.")
    for variant in variants:
        serverless = variant.get("ServerlessConfig")
        if serverless is None:
            _check_server(variant)
        else:
            _check_serverless(variant, serverless, config, len(variants))


def _check_server(variant: Mapping[str, Any]) -> None:
    name, kind = variant["VariantName"], variant.get("InstanceType")
    if not kind:
        raise invalid(
            f"Either InstanceType or ServerlessConfig must be specified for variant {name}."
        )
    scaling = variant.get("ManagedInstanceScaling")
    if "InitialInstanceCount" not in variant and not scaling:
        raise invalid(f"InitialInstanceCount must be specified for variant {name}.")
    if "VolumeSizeInGB" in variant and NVME_FAMILIES.match(kind):
        raise invalid(f"VolumeSizeInGB parameter is not supported for instance type {kind}.")
    if "ModelName" not in variant:
        raise invalid(f"ModelName must be specified for variant {name}.")


def _check_serverless(
    variant: Mapping[str, Any],
    serverless: Mapping[str, Any],
    config: Mapping[str, Any],
    variants: int,
) -> None:
    if variants > 1:
        raise invalid("Serverless endpoints support only one production variant.")
    for key in (
        "InstanceType",
        "InitialInstanceCount",
        "VolumeSizeInGB",
        "ModelDataDownloadTimeoutInSeconds",
        "ContainerStartupHealthCheckTimeoutInSeconds",
        "InferenceAmiVersion",
        "RoutingConfig",
        "ManagedInstanceScaling",
        "EnableSSMAccess",
        "AcceleratorType",
    ):
        if key in variant:
            raise invalid(f"{key} cannot be specified together with ServerlessConfig.")
    if "DataCaptureConfig" in config:
        raise invalid("DataCaptureConfig is not supported for serverless endpoints.")
    memory, most = serverless["MemorySizeInMB"], serverless["MaxConcurrency"]
    if memory not in SERVERLESS_MEMORY_MB:
        sizes = ", ".join(map(str, SERVERLESS_MEMORY_MB))
        raise invalid(f"MemorySizeInMB must be one of [{sizes}], but it is {memory}.")
    if most not in SERVERLESS_CONCURRENCY:
        raise invalid(f"MaxConcurrency must be between 1 and 200, but it is {most}.")
    provisioned = serverless.get("ProvisionedConcurrency")
    if provisioned is not None and provisioned > most:
        raise invalid("ProvisionedConcurrency must be less than or equal to MaxConcurrency.")
