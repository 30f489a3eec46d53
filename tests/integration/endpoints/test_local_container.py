"""A model in a container of this machine, by SageMaker's contract, on a real Docker engine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

import sageturner_magic as sageturner
from sageturner_magic.deployment.events import Deployment
from sageturner_magic.errors import (
    DeploymentCancelled,
    EndpointError,
    InvocationError,
    SageturnerError,
)
from sageturner_magic.verbs.deploying import start_deployment
from tests.integration.conftest import STATE, servers_of, wait_until
from tests.parts import kept_layers

pytestmark = pytest.mark.docker

ECHO = """
    def load():
        print("loading")
        return "{version}"

    def predict(model, request):
        return {{"version": model, "request": request}}
"""

LOOK_AROUND = """
    import getpass
    import multiprocessing
    import os
    from pathlib import Path

    def load(model_dir):
        return Path(model_dir, "weights.txt").read_text()

    def write(path):
        try:
            Path(path).write_text("written")
        except OSError as error:
            return type(error).__name__
        return "written"

    def predict(model, request):
        if "write" in request:
            return write(request["write"])
        if "work" in request:
            return eval(request["work"])
        if "eat" in request:
            return len(bytearray(request["eat"] * 1_000_000))
        return {
            "model": model,
            "user": os.getuid(),
            "colour": os.environ["COLOUR"],
            "folder": os.getcwd(),
        }
"""

OWN_SERVER = """
import http.server, os, signal, sys, threading

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(b"")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        print("asked for", body.decode(), flush=True)
        self.answer(body.upper() + open("/opt/ml/model/weights.txt", "rb").read())

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass

assert sys.argv[1:] == ["serve"], sys.argv
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
"""


def docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def containers_of(name: str, state: Path) -> list[str]:
    home = f"label=sageturner.home={state / 'endpoints' / name}"
    return docker("ps", "--all", "--quiet", "--no-trunc", "--filter", home).split()


def images_of(name: str) -> list[str]:
    listed = docker("images", "--format", "{{.Tag}}", "sageturner-sagemaker").split()
    return [tag for tag in listed if tag.startswith(f"{name}-")]


class Project:
    """A folder with a configuration for an endpoint of a name that nobody else uses."""

    def __init__(self, folder: Path, state: Path) -> None:
        self.folder = folder
        self.state = state
        self.name = f"test-{uuid.uuid4().hex[:8]}"
        (folder / "weights.txt").write_text("weights")

    def write(self, code: str, extra: str = "", compute: str = "local: {mode: container}") -> Path:
        (self.folder / "code").mkdir(exist_ok=True)
        (self.folder / "code" / "sageturner.py").write_text(textwrap.dedent(code))
        return self._config(
            "container: {generate_container: {code_dir: ./code, python_packages: []}}\n"
            f"compute: {{{compute}}}\n{extra}"
        )

    def write_provided(self, dockerfile: str, **files: str) -> Path:
        (self.folder / "own").mkdir(exist_ok=True)
        (self.folder / "own" / "Dockerfile").write_text(textwrap.dedent(dockerfile))
        for name, text in files.items():
            (self.folder / "own" / name).write_text(text)
        return self._config(
            "artefact: ./weights.txt\ncontainer: {provide_container: {docker_dir: ./own}}\n"
        )

    def _config(self, text: str) -> Path:
        config = self.folder / "sageturner.yaml"
        config.write_text(f"name: {self.name}\n{text}")
        return config

    def containers(self) -> list[str]:
        return containers_of(self.name, self.state)

    def images(self) -> list[str]:
        return images_of(self.name)

    def clear(self) -> list[str]:
        """Remove what is left, and say what that was."""
        if any(endpoint.name == self.name for endpoint in sageturner.list()):
            sageturner.delete(self.name)
        left = self.containers()
        if left:
            docker("rm", "--force", *left)
        for tag in self.images():
            docker("rmi", "--force", f"sageturner-sagemaker:{tag}")
        return left


@pytest.fixture(scope="module")
def base() -> str:
    return kept_layers.keep("3.12")


@pytest.fixture
def project(tmp_path: Path, state: Path, base: str) -> Iterator[Project]:
    made = Project(tmp_path, state)
    yield made
    assert not made.clear(), "containers were left behind"


@pytest.fixture(scope="module")
def limited(
    tmp_path_factory: pytest.TempPathFactory, base: str
) -> Iterator[tuple[Deployment, Path]]:
    """An endpoint with the limits of a serverless one, and its state folder."""
    state = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(STATE, str(state))
        project = Project(tmp_path_factory.mktemp("project"), state)
        deployment = sageturner.deploy(
            project.write(
                LOOK_AROUND,
                extra="artefact: ./weights.txt\nenvironment: {COLOUR: blue}\n",
                compute="local: {mode: container}, serverless: {memory: 1024}",
            )
        )
        yield deployment, state
        sageturner.delete(deployment.name)
        assert project.clear() == []
        assert servers_of(state) == []


@pytest.fixture
def here(limited: tuple[Deployment, Path], monkeypatch: pytest.MonkeyPatch) -> Deployment:
    monkeypatch.setenv(STATE, str(limited[1]))
    return limited[0]


def test_it_answers_with_the_model_and_the_environment(here: Deployment) -> None:
    answer = sageturner.invoke(here.name, {})
    assert answer["model"] == "weights"
    assert answer["colour"] == "blue"
    assert answer["folder"] == "/opt/program"


def test_a_serverless_container_has_no_root_and_writes_to_tmp_only(here: Deployment) -> None:
    assert sageturner.invoke(here.name, {})["user"] != 0
    for path in ("/opt/program/x", "/opt/ml/model/x", "/home/x", "/var/tmp/x"):
        assert sageturner.invoke(here.name, {"write": path}) in ("OSError", "PermissionError")
    assert sageturner.invoke(here.name, {"write": "/tmp/x"}) == "written"


def test_a_serverless_container_has_a_home_and_a_users_name_and_no_shared_memory(
    here: Deployment,
) -> None:
    assert sageturner.invoke(here.name, {"work": "getpass.getuser()"}) == "sageturner"
    assert sageturner.invoke(here.name, {"work": "os.mkdir(Path.home() / '.cache') or 1"}) == 1
    with pytest.raises(InvocationError, match="No such file or directory"):
        sageturner.invoke(here.name, {"work": "multiprocessing.Lock()"})


def test_a_serverless_container_has_the_memory_of_its_size(
    here: Deployment, limited: tuple[Deployment, Path]
) -> None:
    (container,) = containers_of(here.name, limited[1])
    host = json.loads(docker("inspect", container))[0]["HostConfig"]
    assert host["Memory"] == host["MemorySwap"] == 1024 * 1024 * 1024
    assert sageturner.invoke(here.name, {"eat": 200}) == 200_000_000
    # What does not fit costs the worker, and not the endpoint.
    with pytest.raises(InvocationError) as raised:
        sageturner.invoke(here.name, {"eat": 1500})
    assert raised.value.status == 500
    wait_until(lambda: sageturner.status(here.name).status == "InService")
    assert sageturner.invoke(here.name, {})["model"] == "weights"


def test_it_listens_on_the_loopback_only_and_wants_its_token(
    here: Deployment, limited: tuple[Deployment, Path]
) -> None:
    (container,) = containers_of(here.name, limited[1])
    ports = json.loads(docker("inspect", container))[0]["NetworkSettings"]["Ports"]
    assert [binding["HostIp"] for binding in ports["8080/tcp"]] == ["127.0.0.1"]
    refused = subprocess.run(
        ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", f"{here.url}/docs"],
        capture_output=True,
        text=True,
    )
    assert refused.stdout == "401"


def test_status_says_that_it_is_a_container_and_whose(here: Deployment) -> None:
    found = sageturner.status(here.name)
    assert (found.status, found.endpoint_type) == ("InService", "local")
    assert found.detail == f"container, ends with process {os.getpid()}"


def test_the_same_again_does_nothing(
    here: Deployment, limited: tuple[Deployment, Path], tmp_path: Path
) -> None:
    before = containers_of(here.name, limited[1])
    config = Path(here.origin).parent / "sageturner.yaml"
    again = sageturner.deploy(config)
    assert again.unchanged and again.version == here.version
    assert containers_of(here.name, limited[1]) == before


def test_a_new_version_takes_over_and_the_one_before_can_be_gone_back_to(project: Project) -> None:
    first = sageturner.deploy(project.write(ECHO.format(version="1")))
    assert sageturner.invoke(project.name, 7) == {"version": "1", "request": 7}
    old_images = project.images()
    plan = sageturner.plan(project.write(ECHO.format(version="2")))
    assert "the port changes" in {fact.label: fact.value for fact in plan.facts}["Access"]
    second = sageturner.deploy(project.write(ECHO.format(version="2")))
    assert sageturner.invoke(project.name, 7)["version"] == "2"
    assert second.token == first.token
    assert len(project.containers()) == 1
    assert len(servers_of(project.state)) == 1
    assert len(project.images()) == 2 and {*old_images} < {*project.images()}
    assert {fact.label: fact.value for fact in plan.facts}["Replaces"].startswith(first.version)
    back = sageturner.rollback(project.name)
    assert back.version == first.version and back.token == first.token
    assert sageturner.invoke(project.name, 7)["version"] == "1"
    assert len(project.containers()) == 1 and len(project.images()) == 2
    sageturner.rollback(project.name)
    assert sageturner.invoke(project.name, 7)["version"] == "2"
    # One that does not load changes nothing.
    with pytest.raises(EndpointError, match="load raised ValueError: no") as raised:
        sageturner.deploy(
            project.write("def load():\n    raise ValueError('no')\ndef predict(m, r): pass")
        )
    assert "sageturner.py" in raised.value.report() and "in load" in raised.value.report()
    assert sageturner.invoke(project.name, 7)["version"] == "2"
    assert len(project.containers()) == 1
    sageturner.deploy(project.write(ECHO.format(version="3")))
    assert not {*old_images} & {*project.images()}
    sageturner.delete(project.name)
    assert project.containers() == [] and servers_of(project.state) == []
    assert sageturner.list() == []


def test_an_earlier_version_whose_image_was_removed_is_named(project: Project) -> None:
    sageturner.deploy(project.write(ECHO.format(version="1")))
    (image,) = project.images()
    sageturner.deploy(project.write(ECHO.format(version="2")))
    docker("rmi", f"sageturner-sagemaker:{image}")
    with pytest.raises(EndpointError, match=r"image of the earlier version .* is gone"):
        sageturner.rollback(project.name)
    assert sageturner.invoke(project.name, 7)["version"] == "2"


def test_an_endpoint_changes_between_process_and_container(project: Project) -> None:
    code = ECHO.format(version="1")
    sageturner.deploy(project.write(code, compute="local: {mode: process}"))
    sageturner.deploy(project.write(code))
    assert sageturner.status(project.name).detail.startswith("container")
    assert len(servers_of(project.state)) == 1 and len(project.containers()) == 1
    assert sageturner.invoke(project.name, 1)["version"] == "1"
    sageturner.rollback(project.name)
    assert project.containers() == [] and len(project.images()) == 1
    assert sageturner.status(project.name).detail.startswith("ends with process")
    assert sageturner.invoke(project.name, 1)["version"] == "1"
    sageturner.rollback(project.name)
    assert len(project.containers()) == 1
    assert sageturner.invoke(project.name, 1)["version"] == "1"
    sageturner.deploy(project.write(code, compute="local: {mode: process}"))
    sageturner.deploy(
        project.write(f"# 2\n{textwrap.dedent(code)}", compute="local: {mode: process}")
    )
    assert project.containers() == [] and project.images() == []
    assert sageturner.invoke(project.name, 1)["version"] == "1"


def test_a_model_that_does_not_fit_into_memory_is_said_so(project: Project) -> None:
    config = project.write(
        "def load():\n    return bytearray(1_500_000_000)\ndef predict(m, r): pass",
        compute="local: {mode: container}, serverless: {memory: 1024}",
    )
    with pytest.raises(EndpointError) as raised:
        sageturner.deploy(config)
    assert "memory" in str(raised.value)


def test_a_load_that_takes_too_long_is_stopped(project: Project) -> None:
    config = project.write(
        "import time\ndef load(): time.sleep(600)\ndef predict(m, r): pass",
        compute="local: {mode: container, startup_timeout_s: 5}",
    )
    with pytest.raises(EndpointError, match="not ready within 5 s") as raised:
        sageturner.deploy(config)
    assert "GET /ping answers 503" in str(raised.value)
    assert project.containers() == []


def test_cancelling_leaves_no_container(project: Project) -> None:
    handle = start_deployment(
        project.write("import time\ndef load(): time.sleep(600)\ndef predict(m, r): pass")
    )
    wait_until(project.containers, seconds=120)
    handle.cancel()
    with pytest.raises(DeploymentCancelled):
        handle.wait(60)
    assert project.containers() == [] and servers_of(project.state) == []


def test_an_image_of_ones_own_is_run_as_it_is(project: Project, base: str) -> None:
    config = project.write_provided(
        f"""
        FROM {base}
        COPY server.py /server.py
        ENTRYPOINT ["python", "/server.py"]
        """,
        **{"server.py": OWN_SERVER},
    )
    deployment = sageturner.deploy(config, container_mode="provide")
    assert deployment.token == ""
    assert sageturner.invoke(project.name, "hello", content_type="text/plain") == "HELLOweights"
    wait_until(lambda: "asked for hello" in list(sageturner.logs(project.name)))
    assert sageturner.status(project.name).status == "InService"


def test_an_image_without_serve_is_refused_with_what_to_do(project: Project, base: str) -> None:
    config = project.write_provided(f"FROM {base}\nCMD python -m http.server 8080\n")
    with pytest.raises(EndpointError, match="no program `serve`") as raised:
        sageturner.deploy(config, container_mode="provide")
    assert "ENTRYPOINT" in str(raised.value)
    assert project.containers() == []


def test_a_container_that_ends_is_out_of_service_and_says_why(project: Project) -> None:
    code = ECHO.format(version="1")
    sageturner.deploy(project.write(code))
    docker("kill", *project.containers())
    wait_until(lambda: sageturner.status(project.name).status == "OutOfService")
    assert "signal 9" in sageturner.status(project.name).detail
    with pytest.raises(InvocationError, match="has ended"):
        sageturner.invoke(project.name, 1)
    assert not sageturner.deploy(project.write(code)).unchanged
    assert sageturner.invoke(project.name, 1)["version"] == "1"


def test_what_a_killed_keeper_leaves_is_removed_by_delete(project: Project) -> None:
    sageturner.deploy(project.write(ECHO.format(version="1")))
    (keeper,) = servers_of(project.state)
    keeper.kill()
    keeper.wait(10)
    assert sageturner.status(project.name).status == "OutOfService"
    assert len(project.containers()) == 1
    sageturner.delete(project.name)
    assert project.containers() == [] and sageturner.list() == []


def test_no_docker_engine_is_said_with_everything_else_that_is_wrong(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = project.write("def load(): pass", extra="artefact: ./nowhere\n")
    with monkeypatch.context() as patch:
        patch.setenv("DOCKER_HOST", f"unix://{project.folder}/none.sock")
        # Neither bubblewrap nor unshare.
        patch.setenv("PATH", str(project.folder))
        with pytest.raises(SageturnerError) as raised:
            sageturner.plan(config)
    said = str(raised.value)
    assert "no Docker engine answers" in said and "mode: process" in said
    assert "nowhere" in said and "predict" in said


# --- across processes ---------------------------------------------------------------------

OWNER = """
import sys, time
import sageturner_magic as sageturner
print(sageturner.deploy(sys.argv[1]).url, flush=True)
time.sleep(600)
"""


def test_it_ends_with_its_owner_even_by_kill_9(project: Project) -> None:
    config = project.write(ECHO.format(version="1"))
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(config)], stdout=subprocess.PIPE, text=True
    )
    with owner:
        assert owner.stdout is not None
        assert owner.stdout.readline().startswith("http://127.0.0.1:")
        # Another process can use it meanwhile.
        assert sageturner.invoke(project.name, 1)["version"] == "1"
        os.kill(owner.pid, signal.SIGKILL)
    wait_until(lambda: not servers_of(project.state), what="the keeper's end")
    assert project.containers() == []
    assert sageturner.status(project.name).status == "OutOfService"


def test_an_owner_killed_while_the_model_loads_leaves_no_container(project: Project) -> None:
    config = project.write("import time\ndef load(): time.sleep(600)\ndef predict(m, r): pass")
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(config)], stdout=subprocess.DEVNULL)
    wait_until(project.containers, seconds=120)
    owner.kill()
    owner.wait()
    wait_until(lambda: not project.containers(), what="the container's end")
    wait_until(lambda: not servers_of(project.state), what="the keeper's end")


def command(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sageturner_magic", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_the_command_looks_after_a_detached_container(project: Project) -> None:
    config = project.write(ECHO.format(version="1"))
    made = command("deploy", "-c", config, "--detach", "--json")
    assert made.returncode == 0, made.stderr
    assert "Build the image: " in made.stderr
    answer = command("invoke", project.name, '{"a": 1}', "--json")
    assert json.loads(answer.stdout)["value"] == {"version": "1", "request": {"a": 1}}
    (listed,) = json.loads(command("list", "--json").stdout)["endpoints"]
    assert (listed["name"], listed["status"]) == (project.name, "InService")
    assert listed["detail"] == "container"
    assert "container" in command("status", project.name).stdout
    assert "loading" in command("logs", project.name).stdout
    assert command("delete", project.name).returncode == 0
    assert project.containers() == [] and project.images() == []
    assert servers_of(project.state) == []
