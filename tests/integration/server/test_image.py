"""The server in a container, started as SageMaker starts it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sageturner_magic import conformance
from tests.parts import base_image

from .conftest import SERVER
from .test_isolation import OWN, installed

DOCKERFILE = """
FROM public.ecr.aws/docker/library/python:{version}-slim
COPY packages /opt/sageturner/packages
COPY server /opt/sageturner/server
COPY program /opt/program
ENV SAGETURNER_PACKAGES=/opt/sageturner/packages
ENTRYPOINT ["python", "/opt/sageturner/server/__main__.py"]
"""
PROGRAM = """
def load(): return None
def predict(model, request): return sum(request["x"]) if isinstance(request, dict) else None
"""


@pytest.fixture
def image(tmp_path: Path) -> Iterator[str]:
    """An image with the server, its packages and a program, as a deployment would build it."""
    import docker

    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    base_image.ensure(version)
    (tmp_path / "Dockerfile").write_text(DOCKERFILE.format(version=version))
    (tmp_path / "program").mkdir()
    (tmp_path / "program" / "sageturner.py").write_text(PROGRAM)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(SERVER, tmp_path / "server", ignore=ignored)
    for source in installed(OWN):
        target = tmp_path / "packages" / source.name
        target.parent.mkdir(exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=ignored)
        else:
            shutil.copy(source, target)
    client = docker.from_env()
    built, _ = client.images.build(path=str(tmp_path), rm=True)
    yield str(built.id)
    client.images.remove(str(built.id), force=True)
    client.close()


@pytest.mark.docker
def test_the_server_keeps_the_container_contract_from_start_to_end(image: str) -> None:
    results = conformance.check_image(image, body=b'{"x": [1, 2]}')
    assert {result.rule for result in results} >= {"start", "ping", "sigterm", "serverless"}
    broken = [result for result in results if result.outcome != "passed"]
    assert not broken, conformance.table(broken)
