"""The parts that other tests stand on are what they say they are."""

from __future__ import annotations

import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.parts import base_image
from tests.parts.registry import registry


@pytest.mark.registry
def test_the_registry_wants_the_password(tmp_path: Path) -> None:
    with registry(tmp_path) as served, pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"http://{served.host}/v2/_catalog")


@pytest.mark.docker
@pytest.mark.registry
def test_the_base_image_can_be_pushed_and_has_the_python_of_its_name(tmp_path: Path) -> None:
    name = base_image.ensure("3.11")
    version = subprocess.run(
        ["docker", "run", "--rm", name, "python", "--version"], capture_output=True, text=True
    )
    assert version.stdout.startswith("Python 3.11."), version.stderr
    with registry(tmp_path) as served:
        there = base_image.push("3.11", served.host, served.user, served.password)
        assert there.startswith(served.host)
        manifest = served.manifest("docker/library/python", "3.11-slim")
        assert manifest["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
        assert served.tags("docker/library/python") == ["3.11-slim"]
