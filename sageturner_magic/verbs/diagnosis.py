"""Check this machine, AWS account and Python environment, and report what is missing."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from sageturner_magic._version import __version__
from sageturner_magic.aws import AwsSession, names_in
from sageturner_magic.aws import account as aws_account
from sageturner_magic.aws.endpoints import instance_types
from sageturner_magic.aws.storage import bucket_findings
from sageturner_magic.calls import in_thread
from sageturner_magic.config import read_config
from sageturner_magic.constants import THIS_PYTHON
from sageturner_magic.context import DEFAULT_AWS, AwsOptions
from sageturner_magic.errors import AwsError, Finding, SageturnerError
from sageturner_magic.gpu import ResolvedPackage, doctor_table, machine_of
from sageturner_magic.image.docker import connect
from sageturner_magic.verbs.requested import DEFAULT_CONFIG

HEAVY = ("torch", "tensorflow", "jax", "onnxruntime", "cupy", "vllm")
"""Frameworks with builds for GPUs; without one the table of instances says nothing."""


@dataclass(frozen=True)
class Report:
    """What `doctor` found.

    Attributes:
        parts: A part and its state, or what is wrong with it and what to do.
        frameworks: The rows of a table with a head: what this environment's frameworks need on
            each family of instances; empty without such a framework, or where neither this
            machine nor the configuration is about GPUs.
        wrong: The parts with which something is wrong.
    """

    parts: tuple[tuple[str, str], ...]
    frameworks: tuple[tuple[str, ...], ...]
    wrong: tuple[str, ...] = ()


def doctor(*, aws: AwsOptions = DEFAULT_AWS) -> Report:
    """Check this machine, AWS account and Python environment; what is missing is in the report."""
    parts = (
        _Part("sageturner", __version__),
        _Part("Python", f"{platform.python_version()} ({sys.executable})"),
        _checked("Docker", _docker),
        *_account(aws),
    )
    about_gpus = any(find_spec(name) for name in HEAVY) and _concerns_gpus()
    return Report(
        tuple((part.label, part.state) for part in parts),
        doctor_table(installed(), THIS_PYTHON, instance_types()) if about_gpus else (),
        tuple(part.label for part in parts if not part.good),
    )


class _Part(NamedTuple):
    label: str
    state: str
    good: bool = True


def _concerns_gpus() -> bool:
    """Whether this machine has a GPU, or the configuration in this folder asks for one."""
    if Path("/dev/nvidiactl").exists() or shutil.which("nvidia-smi"):
        return True
    if not Path(DEFAULT_CONFIG).exists():
        return False
    try:
        config = read_config(Path(DEFAULT_CONFIG))
    except SageturnerError:
        return False
    server = config.compute.server
    on_gpu = server is not None and machine_of(server.instance_type).gpu is not None
    return on_gpu or config.container.generate_container.install_cuda


def installed() -> list[ResolvedPackage]:
    """The distributions of this environment, as the GPU fit reads them."""
    return [
        ResolvedPackage(each.name, each.version, tuple(each.requires or ()))
        for each in metadata.distributions()
        if each.name
    ]


def _checked(label: str, check: Callable[[], str | Finding]) -> _Part:
    try:
        state = check()
    except SageturnerError as error:
        return _Part(label, str(error), good=False)
    return _Part(label, str(state), good=isinstance(state, str))


def _docker() -> str:
    client = connect()
    try:
        version = client.version()
    finally:
        client.close()
    return f"engine {version['Version']}, {version['Os']}/{version['Arch']}"


def _account(aws: AwsOptions) -> list[_Part]:
    try:
        session = aws.open()
        where = names_in(session)
    except AwsError as error:
        return [_Part("AWS", str(error), good=False)]
    return [
        _Part("AWS", f"account {where.account}, {where.region}, as {session.caller}"),
        _checked("Role", lambda: _role(session)),
        _checked("Bucket", lambda: _bucket(session)),
    ]


def _role(session: AwsSession) -> str | Finding:
    where = names_in(session)
    role = aws_account.resolve_role(session, where)
    found = aws_account.role_findings(role, where)
    if role and not found:
        found = aws_account.endpoint_findings(session, role, where)
    return found[0] if found else role.arn if role else where.role_arn


def _bucket(session: AwsSession) -> str | Finding:
    where = names_in(session)
    found = bucket_findings(session, where)
    return found[0] if found else where.bucket


adoctor = in_thread(doctor)
