"""What SageMaker would refuse of an endpoint, found before it is asked: no I/O in here.

Limits are SageMaker's; enums and patterns come from botocore's service model at run time, so
that a new instance type needs an update of boto3 and none of this package.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from sageturner_magic.aws.names import tag_value
from sageturner_magic.aws.spec import EndpointSpec, Network, Server, Serverless
from sageturner_magic.errors import Finding

if TYPE_CHECKING:
    from botocore.model import ServiceModel

MEMORY_SIZES = (1024, 2048, 3072, 4096, 5120, 6144)
"""Megabytes that a serverless endpoint may have (API reference, ServerlessConfig)."""

SERVERLESS_IMAGE_BYTES = 10_737_418_240
"""The largest image that serverless takes (SageMaker's own error message)."""

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?")
_ENVIRONMENT_KEY = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,1023}")

_Check = Callable[[object, str, str, str], None]
"""Whether it is well, and if not: what is wrong, where, and what to do."""


def problems(spec: EndpointSpec) -> tuple[Finding, ...]:
    """Everything in `spec` that SageMaker would refuse, in the words of the configuration.

    botocore lets most of it through: it checks minimums only.
    """
    found: list[Finding] = []

    def check(ok: object, what: str, where: str, do: str) -> None:
        if not ok:
            found.append(Finding(what, do=do, where=where))

    check(
        _NAME.fullmatch(spec.name),
        f"{spec.name!r} cannot be an endpoint's name",
        "name",
        "use up to 40 lower-case letters, digits and hyphens, a letter or digit at each end",
    )
    if isinstance(spec.compute, Serverless):
        _check_serverless(spec, spec.compute, check)
    else:
        _check_server(spec.compute, check)
    _check_environment(spec.environment, check)
    _check_network(spec.network, check)
    _check_tags(spec.tags, check)
    return tuple(found)


def _check_serverless(spec: EndpointSpec, compute: Serverless, check: _Check) -> None:
    where = "compute.serverless"
    sizes = ", ".join(map(str, MEMORY_SIZES))
    check(
        compute.memory in MEMORY_SIZES,
        f"Serverless has no {compute.memory} MB",
        f"{where}.memory",
        f"choose one of {sizes}",
    )
    check(
        1 <= compute.max_concurrency <= 200,
        f"A concurrency of {compute.max_concurrency} is not possible",
        f"{where}.max_concurrency",
        "choose 1 to 200",
    )
    provisioned = compute.provisioned_concurrency
    check(
        provisioned is None or 1 <= provisioned <= compute.max_concurrency,
        f"{provisioned} provisioned of {compute.max_concurrency} concurrent requests is not "
        "possible",
        f"{where}.provisioned_concurrency",
        "choose 1 to max_concurrency, or leave it out: it is billed around the clock",
    )
    check(
        spec.network == Network(),
        "Serverless endpoints have no VPC and no network isolation",
        "network",
        "leave `network` out, or deploy with `-e server`",
    )
    check(
        not (spec.artefact_uri or "").endswith("/"),
        "Serverless endpoints take an archive only",
        "artefact",
        "name a model.tar.gz instead of a prefix, or deploy with `-e server`",
    )


def _check_server(compute: Server, check: _Check) -> None:
    where = "compute.server"
    check(
        compute.instance_type in instance_types(),
        f"{compute.instance_type!r} is no instance type for endpoints",
        f"{where}.instance_type",
        _near(compute.instance_type, instance_types()) + "; a newer type needs a newer boto3",
    )
    check(
        compute.initial_instance_count >= 1,
        f"{compute.initial_instance_count} instances cannot serve",
        f"{where}.initial_instance_count",
        "choose 1 or more",
    )
    for key, value, least, most in (
        ("volume_gb", compute.volume_gb, 1, 512),
        ("startup_timeout_s", compute.startup_timeout_s, 60, 3600),
        ("download_timeout_s", compute.download_timeout_s, 60, 3600),
    ):
        check(
            value is None or least <= value <= most,
            f"{value} is out of range",
            f"{where}.{key}",
            f"choose {least} to {most}",
        )
    for key, text, known in (
        ("inference_ami_version", compute.inference_ami_version, inference_ami_versions()),
        ("routing", compute.routing, routing_strategies()),
    ):
        check(
            text is None or text in known,
            f"{text!r} does not exist",
            f"{where}.{key}",
            _near(text or "", known),
        )
    if scaling := compute.autoscaling:
        check(
            0 < scaling.min <= scaling.max,
            f"From {scaling.min} to {scaling.max} instances is not a range",
            f"{where}.autoscaling",
            "let min be 1 or more, and max no less",
        )
        check(
            scaling.invocations_per_instance > 0,
            f"{scaling.invocations_per_instance} invocations are no target",
            f"{where}.autoscaling.invocations_per_instance",
            "give the invocations a minute that one instance handles well",
        )


def _check_environment(environment: Mapping[str, str], check: _Check) -> None:
    size = sum(len(k.encode()) + len(v.encode()) for k, v in environment.items())
    check(
        len(environment) <= 100 and size <= 32 * 1024,
        f"{len(environment)} variables of {size} bytes in all are too many",
        "environment",
        "keep to 100 variables and 32 KB, and put more into a file of the artefact",
    )
    for key, value in environment.items():
        check(
            _ENVIRONMENT_KEY.fullmatch(key),
            f"{key!r} is not a name for an environment variable",
            "environment",
            "use letters, digits and _, not beginning with a digit",
        )
        check(
            len(value) <= 1024,
            f"The value of {key} has {len(value)} characters",
            "environment",
            "keep to 1024",
        )


def _check_network(network: Network, check: _Check) -> None:
    check(
        bool(network.subnets) == bool(network.security_groups),
        "Subnets and security groups go together",
        "network",
        "name at least one of each, or none",
    )
    check(len(network.subnets) <= 16, "More than 16 subnets", "network.subnets", "name fewer")
    check(
        len(network.security_groups) <= 5,
        "More than 5 security groups",
        "network.security_groups",
        "name fewer",
    )


def _check_tags(tags: Mapping[str, str], check: _Check) -> None:
    # Beside the five or six of our own.
    check(len(tags) <= 43, "More than 43 tags", "tags", "use fewer: AWS takes 50 in all")
    for key, value in tags.items():
        check(
            tag_value(value) == value and key and tag_value(key)[:128] == key,
            f"{key}: {value} cannot be a tag",
            "tags",
            "use letters, digits, spaces and _ . : / = + - @; 128 characters for the key and 256 "
            "for the value",
        )
        check(
            not key.lower().startswith(("aws:", "sageturner:")),
            f"The tag {key} is reserved",
            "tags",
            "choose another key",
        )


def instance_types() -> tuple[str, ...]:
    """The instance types for endpoints that this botocore knows."""
    return _enum("ProductionVariantInstanceType")


def inference_ami_versions() -> tuple[str, ...]:
    """The InferenceAmiVersions that this botocore knows."""
    return _enum("ProductionVariantInferenceAmiVersion")


def routing_strategies() -> tuple[str, ...]:
    """The RoutingStrategies that this botocore knows."""
    return _enum("RoutingStrategy")


def _near(value: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(value, known, n=3)
    if near:
        return f"did you mean {' or '.join(near)}"
    return f"choose one of {', '.join(known[:8])}{' …' if len(known) > 8 else ''}"


def _enum(shape: str) -> tuple[str, ...]:
    return tuple(_model().shape_for(shape).enum)  # type: ignore[attr-defined]


@lru_cache(maxsize=1)
def _model() -> ServiceModel:
    import botocore.session

    return botocore.session.get_session().get_service_model("sagemaker")
