"""Check this machine, AWS account and Python environment, and report what is missing."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec

from sageturner_magic._version import __version__
from sageturner_magic.aws import AwsSession, names_in
from sageturner_magic.aws import account as aws_account
from sageturner_magic.aws.endpoints import instance_types
from sageturner_magic.aws.storage import bucket_findings
from sageturner_magic.constants import THIS_PYTHON
from sageturner_magic.context import DEFAULT_AWS, AwsOptions
from sageturner_magic.errors import AwsError, SageturnerError
from sageturner_magic.gpu import ResolvedPackage, doctor_table
from sageturner_magic.image.docker import connect

HEAVY = ("torch", "tensorflow", "jax", "onnxruntime", "cupy", "vllm")
"""Frameworks with builds for GPUs; without one the table of instances says nothing."""


@dataclass(frozen=True)
class Report:
    """What `doctor` found.

    Attributes:
        parts: A part and its state, or what is wrong with it and what to do.
        frameworks: The rows of a table with a head: what this environment's frameworks need on
            each family of instances; empty without such a framework.
    """

    parts: tuple[tuple[str, str], ...]
    frameworks: tuple[tuple[str, ...], ...]


def doctor(*, aws: AwsOptions = DEFAULT_AWS) -> Report:
    """Check this machine, AWS account and Python environment; what is missing is in the report."""
    parts = (
        ("sageturner", __version__),
        ("Python", f"{platform.python_version()} ({sys.executable})"),
        ("Docker", _said(_docker)),
        *_account(aws),
    )
    if not any(find_spec(name) for name in HEAVY):
        return Report(parts, ())
    return Report(parts, doctor_table(installed(), THIS_PYTHON, instance_types()))


def installed() -> list[ResolvedPackage]:
    """The distributions of this environment, as the GPU fit reads them."""
    return [
        ResolvedPackage(each.name, each.version, tuple(each.requires or ()))
        for each in metadata.distributions()
        if each.name
    ]


def _said(check: Callable[[], str]) -> str:
    try:
        return check()
    except SageturnerError as error:
        return str(error)


def _docker() -> str:
    client = connect()
    try:
        version = client.version()
    finally:
        client.close()
    return f"engine {version['Version']}, {version['Os']}/{version['Arch']}"


def _account(aws: AwsOptions) -> list[tuple[str, str]]:
    try:
        session = aws.open()
        where = names_in(session)
    except AwsError as error:
        return [("AWS", str(error))]
    return [
        ("AWS", f"account {where.account}, {where.region}, as {session.caller}"),
        ("Role", _said(lambda: _role(session))),
        ("Bucket", _said(lambda: _bucket(session))),
    ]


def _role(session: AwsSession) -> str:
    where = names_in(session)
    role = aws_account.resolve_role(session, where)
    found = aws_account.role_findings(role, where)
    if role and not found:
        found = aws_account.endpoint_findings(session, role, where)
    return str(found[0]) if found else role.arn if role else where.role_arn


def _bucket(session: AwsSession) -> str:
    where = names_in(session)
    found = bucket_findings(session, where)
    return str(found[0]) if found else where.bucket
