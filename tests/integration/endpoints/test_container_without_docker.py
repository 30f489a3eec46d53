"""Images of layers, run in containers of this machine with no Docker engine in reach.

Docker makes the base image that lies in the registry, and nothing else.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

import sageturner_magic as sageturner
from sageturner_magic.errors import EndpointError, InvocationError, SageturnerError
from sageturner_magic.verbs.deploying import start_deployment
from tests.integration.conftest import servers_of, wait_until
from tests.integration.endpoints.test_local_container import ECHO, LOOK_AROUND, OWNER
from tests.parts.no_engine import NoEngine, no_engine

pytestmark = [pytest.mark.docker, pytest.mark.registry]


@pytest.fixture(scope="session")
def away(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NoEngine]:
    with no_engine(tmp_path_factory.mktemp("away"), "3.12") as machine:
        yield machine


@pytest.fixture(params=["bwrap", "unshare"])
def program(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each of the programs that make containers, alone on the PATH with what else is needed."""
    name = str(request.param)
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setenv("PATH", str(folder))
    return name


class Project:
    """A folder with a configuration for an endpoint in a container without Docker."""

    def __init__(self, folder: Path, base: str) -> None:
        self.folder = folder
        self.base = base
        self.name = f"test-{uuid.uuid4().hex[:8]}"
        (folder / "weights.txt").write_text("weights")

    def write(self, code: str, compute: str = "local: {mode: container}", **generate: str) -> Path:
        (self.folder / "code").mkdir(exist_ok=True)
        (self.folder / "code" / "sageturner.py").write_text(textwrap.dedent(code))
        made = {
            "code_dir": "./code",
            "python_version": '"3.12"',
            "python_packages": "[six]",
            "base_image": f'"{self.base}"',
            **generate,
        }
        keys = ", ".join(f"{key}: {value}" for key, value in made.items())
        config = self.folder / "sageturner.yaml"
        config.write_text(
            f"name: {self.name}\nartefact: ./weights.txt\nenvironment: {{COLOUR: blue}}\n"
            f"container: {{generate_container: {{{keys}}}}}\ncompute: {{{compute}}}\n"
        )
        return config


@pytest.fixture
def project(
    tmp_path: Path, state: Path, away: NoEngine, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Project]:
    for name, value in away.environment.items():
        monkeypatch.setenv(name, value)
    made = Project(tmp_path, away.base)
    yield made
    if any(endpoint.name == made.name for endpoint in sageturner.list()):
        sageturner.delete(made.name)


def inside(keeper: psutil.Process) -> list[psutil.Process]:
    """The processes of a container, without the program that made it."""
    return [each for each in keeper.children(recursive=True) if each.ppid() != keeper.pid]


def test_it_serves_as_on_an_instance(project: Project, program: str) -> None:
    config = project.write(LOOK_AROUND)
    plan = {fact.label: fact.value for fact in sageturner.plan(config).facts}
    assert plan["Runs"] == "without Docker, because no Docker engine answers"
    deployment = sageturner.deploy(config)
    answer = sageturner.invoke(project.name, {})
    assert answer == {"model": "weights", "user": 0, "colour": "blue", "folder": "/opt/program"}
    for path in ("/opt/ml/model/x", "/opt/venv/x", "/usr/x", "/x"):
        assert sageturner.invoke(project.name, {"write": path}) in ("OSError", "PermissionError")
    for path in ("/opt/program/x", "/tmp/x", "/root/x", "/var/tmp/x"):
        assert sageturner.invoke(project.name, {"write": path}) == "written"
    refused = subprocess.run(
        [str(shutil.which("curl", path=os.defpath)), "-so", "/dev/null", "-w", "%{http_code}",
         f"{deployment.url}/docs"],
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert refused.stdout == "401"
    assert sageturner.deploy(config).unchanged
    found = sageturner.status(project.name)
    assert found.status == "InService" and "container without Docker" in found.detail
    (keeper,) = servers_of(Path(os.environ["SAGETURNER_STATE_DIR"]))
    running = inside(keeper)
    sageturner.delete(project.name)
    assert sageturner.list() == [] and not any(each.is_running() for each in running)


def test_it_serves_with_a_serverless_endpoints_limits(project: Project, program: str) -> None:
    limited = "local: {mode: container}, serverless: {memory: 1024}"
    sageturner.deploy(project.write(LOOK_AROUND, compute=limited))
    assert sageturner.invoke(project.name, {})["user"] != 0
    for path in ("/opt/program/x", "/opt/ml/model/x", "/home/x", "/var/tmp/x"):
        assert sageturner.invoke(project.name, {"write": path}) in ("OSError", "PermissionError")
    assert sageturner.invoke(project.name, {"write": "/tmp/x"}) == "written"
    assert sageturner.invoke(project.name, {"work": "getpass.getuser()"}) == "sageturner"
    assert sageturner.invoke(project.name, {"work": "os.mkdir(Path.home() / '.cache') or 1"}) == 1
    with pytest.raises(InvocationError, match="Read-only file system"):
        sageturner.invoke(project.name, {"work": "multiprocessing.Lock()"})
    assert sageturner.invoke(project.name, {"eat": 200}) == 200_000_000
    hungry = project.write(
        "import time\ndef load(): pass\n"
        "def predict(m, r):\n    kept = bytearray(1_500_000_000)\n    time.sleep(30)",
        compute=limited,
    )
    sageturner.deploy(hungry)
    with pytest.raises(InvocationError) as raised:
        sageturner.invoke(project.name, {})
    assert raised.value.status == 500
    wait_until(lambda: sageturner.status(project.name).status == "InService")


def test_a_model_that_does_not_fit_into_memory_is_said_so(project: Project) -> None:
    config = project.write(
        "import time\ndef load():\n    kept = bytearray(1_500_000_000)\n    time.sleep(30)\n"
        "def predict(m, r): pass",
        compute="local: {mode: container}, serverless: {memory: 1024}",
    )
    with pytest.raises(EndpointError, match="memory"):
        sageturner.deploy(config)


def test_a_new_version_takes_over_and_its_packages_are_not_unpacked_again(
    project: Project,
) -> None:
    sageturner.deploy(project.write(ECHO.format(version="1")))
    # A program that nobody has unpacked before.
    version = uuid.uuid4().hex
    handle = start_deployment(project.write(ECHO.format(version=version)))
    handle.wait(120)
    unpacked = [line for line in handle.logs() if line.startswith("unpacking")]
    assert unpacked == ["unpacking the program"]
    assert sageturner.invoke(project.name, 7) == {"version": version, "request": 7}
    assert len(servers_of(Path(os.environ["SAGETURNER_STATE_DIR"]))) == 1
    sageturner.rollback(project.name)
    assert sageturner.invoke(project.name, 7) == {"version": "1", "request": 7}
    assert len(servers_of(Path(os.environ["SAGETURNER_STATE_DIR"]))) == 1
    sageturner.rollback(project.name)
    assert sageturner.invoke(project.name, 7) == {"version": version, "request": 7}


def test_a_load_that_raises_changes_nothing_and_is_explained(project: Project) -> None:
    sageturner.deploy(project.write(ECHO.format(version="1")))
    with pytest.raises(EndpointError, match="load raised ValueError: no"):
        sageturner.deploy(
            project.write("def load():\n    raise ValueError('no')\ndef predict(m, r): pass")
        )
    assert sageturner.invoke(project.name, 7)["version"] == "1"


def test_it_ends_with_its_owner_even_by_kill_9(project: Project, program: str) -> None:
    config = project.write(ECHO.format(version="1"))
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(config)], stdout=subprocess.PIPE, text=True
    )
    with owner:
        assert owner.stdout is not None
        assert owner.stdout.readline().startswith("http://127.0.0.1:")
        (keeper,) = servers_of(Path(os.environ["SAGETURNER_STATE_DIR"]))
        running = inside(keeper)
        assert running
        os.kill(owner.pid, signal.SIGKILL)
    wait_until(lambda: not any(each.is_running() for each in running), what="the container's end")


def test_it_ends_with_a_killed_keeper(project: Project, program: str) -> None:
    sageturner.deploy(project.write(ECHO.format(version="1")))
    (keeper,) = servers_of(Path(os.environ["SAGETURNER_STATE_DIR"]))
    running = inside(keeper)
    keeper.kill()
    keeper.wait(10)
    wait_until(lambda: not any(each.is_running() for each in running), what="the container's end")
    assert sageturner.status(project.name).status == "OutOfService"


def test_builder_layers_runs_without_docker_where_there_is_one(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DOCKER_HOST")
    sageturner.deploy(project.write(ECHO.format(version="1"), builder="layers"))
    assert "without Docker" in sageturner.status(project.name).detail


def test_what_needs_docker_is_said_before_anything_is_built(project: Project) -> None:
    config = project.write(ECHO.format(version="1"), system_packages="[libgomp1]")
    with pytest.raises(SageturnerError, match=r"system packages need Docker: libgomp1"):
        sageturner.plan(config)


def test_a_machine_that_cannot_says_so_and_why(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(SageturnerError) as raised:
        sageturner.plan(project.write(ECHO.format(version="1")))
    said = str(raised.value)
    assert "no Docker engine answers" in said
    assert "neither bubblewrap nor unshare is installed" in said and "mode: process" in said
