"""A local endpoint goes back to the version that it served before, and forward again."""

import json
import signal
import subprocess
import sys
import threading

import pytest

import sageturner_magic as sageturner
from sageturner_magic.context import AwsOptions
from sageturner_magic.errors import EndpointError, SageturnerError
from tests.integration.conftest import servers_of, wait_until

CODE = """
import os
from pathlib import Path

def load(model_dir):
    return Path("labels.txt").read_text() + Path(model_dir, "weights.txt").read_text()

def predict(model, request):
    return [model, os.environ["WORD"]]
"""


@pytest.fixture
def project(tmp_path, state):
    """Writes version `which`: its code, model files and settings all differ from the others'."""
    code = tmp_path / "code"
    code.mkdir()

    def write(which):
        (code / "sageturner.py").write_text(CODE + f"# {which}\n")
        (code / "labels.txt").write_text(f"labels {which}, ")
        (tmp_path / "weights.txt").write_text(f"weights {which}")
        config = tmp_path / "sageturner.yaml"
        config.write_text(
            "name: echo\ncontainer: {generate_container: {code_dir: ./code}}\n"
            f"artefact: ./weights.txt\nenvironment: {{WORD: word {which}}}\n"
            f"serving: {{timeout_s: {10 + which}}}\n"
        )
        return config

    yield write
    if (state / "endpoints" / "echo").exists():
        sageturner.delete("echo")


def of(which):
    return [f"labels {which}, weights {which}", f"word {which}"]


def served():
    return sageturner.invoke("echo", 1).value


def versions_kept(state):
    return len(list((state / "endpoints" / "echo" / "servers").iterdir()))


def test_code_model_and_settings_go_back_and_forward_again(project, state):
    first = sageturner.deploy(project(1))
    second = sageturner.deploy(project(2))
    assert served() == of(2)
    back = sageturner.rollback("echo")
    assert served() == of(1)
    assert (back.version, back.origin, back.url) == (first.version, first.origin, second.url)
    assert sageturner.status("echo").version == first.version
    forward = sageturner.rollback("echo")
    assert served() == of(2) and forward.version == second.version
    assert versions_kept(state) == 2


def test_only_the_version_before_is_kept_and_delete_removes_it(project, state):
    first, second, _ = (sageturner.deploy(project(each)) for each in (1, 2, 3))
    assert versions_kept(state) == 2
    other = f"no version {first.version} .*`sageturner rollback echo {second.version}`"
    with pytest.raises(EndpointError, match=other):
        sageturner.rollback("echo", first.version)
    assert sageturner.rollback("echo", second.version).version == second.version
    assert served() == of(2)
    sageturner.delete("echo")
    assert not (state / "endpoints" / "echo").exists() and servers_of(state) == []


def test_the_plan_says_what_a_rollback_brings_back(project):
    first = sageturner.deploy(project(1))
    facts = {fact.label: fact.value for fact in sageturner.plan(project(2)).facts}
    assert facts["Replaces"] == f"{first.version}; `sageturner rollback echo` brings it back"
    assert "Replaces" not in {fact.label for fact in sageturner.plan(project(1)).facts}


def test_without_an_earlier_version_nothing_changes(project):
    sageturner.deploy(project(1))
    sageturner.deploy(project(1))
    with pytest.raises(EndpointError, match=r"no earlier version of echo .*deploy the code"):
        sageturner.rollback("echo")
    with pytest.raises(EndpointError, match=r"no endpoint `missing` on this machine\."):
        sageturner.rollback("missing", aws=AwsOptions(endpoint_type="local"))
    assert served() == of(1)


def test_no_request_fails_while_it_goes_back(project):
    sageturner.deploy(project(1))
    sageturner.deploy(project(2))
    answers, problems, stop = [], [], threading.Event()

    def call():
        while not stop.is_set():
            try:
                answers.append(served())
            except SageturnerError as error:
                problems.append(error)

    callers = [threading.Thread(target=call) for _ in range(3)]
    for caller in callers:
        caller.start()
    wait_until(lambda: len(answers) > 20)
    sageturner.rollback("echo")
    seen = len(answers)
    wait_until(lambda: len(answers) > seen + 20)
    stop.set()
    for caller in callers:
        caller.join()
    assert problems == [] and answers[0] == of(2) and answers[-1] == of(1)


def test_an_earlier_version_that_no_longer_loads_leaves_everything_as_it_is(project, state):
    first = sageturner.deploy(project(1))
    sageturner.deploy(project(2))
    (kept,) = (state / "endpoints" / "echo" / "servers").glob(f"{first.version}-*")
    weights = kept / "model" / "weights.txt"
    weights.rename(kept / "weights.txt")
    with pytest.raises(EndpointError, match=r"weights\.txt"):
        sageturner.rollback("echo")
    assert served() == of(2)
    (kept / "weights.txt").rename(weights)
    sageturner.rollback("echo")
    assert served() == of(1)


@pytest.mark.parametrize("damage", ["", "{}", '{"files": 3}', "[1]"])
def test_a_damaged_earlier_version_is_named(project, state, damage):
    first = sageturner.deploy(project(1))
    sageturner.deploy(project(2))
    (kept,) = (state / "endpoints" / "echo" / "servers").glob(f"{first.version}-*")
    (kept / "served.json").write_text(damage)
    with pytest.raises(EndpointError, match=f"earlier version of echo cannot be read .*{kept}"):
        sageturner.rollback("echo")
    assert served() == of(2)


def test_an_endpoint_whose_server_has_ended_goes_back(project, state):
    sageturner.deploy(project(1))
    sageturner.deploy(project(2))
    for server in servers_of(state):
        server.kill()
    wait_until(lambda: sageturner.status("echo").status == "OutOfService")
    sageturner.rollback("echo")
    assert served() == of(1)


def command(*words):
    words = [sys.executable, "-m", "sageturner_magic", *map(str, words)]
    return subprocess.run(words, capture_output=True, text=True, timeout=120)


def test_a_detached_endpoint_outlives_the_command_that_rolls_it_back(project, state):
    sageturner.deploy(project(1), detach=True)
    sageturner.deploy(project(2), detach=True)
    done = command("rollback", "echo", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["name"] == "echo"
    assert served() == of(1)
    assert command("rollback", "echo").returncode == 0
    assert served() == of(2)


def test_a_command_that_rolls_back_a_kernels_endpoint_serves_until_it_is_stopped(project):
    sageturner.deploy(project(1))
    sageturner.deploy(project(2))
    words = [sys.executable, "-m", "sageturner_magic", "rollback", "echo"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as shell:
        wait_until(lambda: served() == of(1))
        assert any(b"Ctrl-C ends the endpoint" in line for line in shell.stderr)
        assert shell.poll() is None
        shell.send_signal(signal.SIGINT)
        shell.communicate(timeout=60)
    assert sageturner.list() == []
