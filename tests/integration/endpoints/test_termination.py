"""SIGTERM ends a deployment as Ctrl-C does, and what a killed one left is removed by the next."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest
from jupyter_client.manager import KernelManager

import sageturner_magic as sageturner
from tests.integration.conftest import servers_of, wait_until

SLOW = "import time\ndef load(): time.sleep(600)\ndef predict(model, request): pass\n"
QUICK = "def load(): pass\ndef predict(model, request): return request\n"


@pytest.fixture
def project(tmp_path, state, monkeypatch):
    """Writes the code; what is temporary lies in `tmp_path / "tmp"`."""
    (tmp_path / "code").mkdir()
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))

    def write(code):
        (tmp_path / "code" / "sageturner.py").write_text(code)
        config = tmp_path / "sageturner.yaml"
        config.write_text("name: echo\ncontainer: {generate_container: {code_dir: ./code}}\n")
        return str(config)

    return write


@contextmanager
def running(*words):
    with subprocess.Popen(
        [sys.executable, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL),
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def left(tmp_path):
    return [*(tmp_path / "tmp").glob("sageturner-*")]


@pytest.mark.parametrize("times", [1, 2])
def test_the_command_cleans_up_says_so_and_exits_with_143(project, state, tmp_path, times):
    config = project(SLOW)
    with running("-m", "sageturner_magic", "deploy", "-c", config) as process:
        wait_until(lambda: servers_of(state))
        for _ in range(times):  # As timeout(1) does, to the process and to its group.
            process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "The deployment was stopped" in said and "Traceback" not in said
    assert servers_of(state) == [] and left(tmp_path) == [] and sageturner.list() == []


def test_an_endpoint_that_the_command_serves_is_deleted(project, state, tmp_path):
    config = project(QUICK)
    with running("-m", "sageturner_magic", "deploy", "-c", config) as process:
        assert process.stdout is not None
        assert "echo answers at" in process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 143 and "Traceback" not in said
    assert servers_of(state) == [] and left(tmp_path) == [] and sageturner.list() == []


def test_other_verbs_end_with_143_too(project, state):
    sageturner.deploy(project(QUICK), detach=True)
    try:
        with running("-m", "sageturner_magic", "logs", "-f", "echo") as process:
            assert process.stdout is not None and process.stdout.readline()
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=60)
    finally:
        sageturner.delete("echo")
    assert process.returncode == 143
    assert "`sageturner logs` was stopped" in said


def test_a_script_that_deploys_cleans_up_and_ends_by_the_signal(project, state, tmp_path):
    code = f"import sageturner_magic as s\ns.deploy({project(SLOW)!r})"
    with running("-c", code) as process:
        wait_until(lambda: servers_of(state))
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == -signal.SIGTERM
    assert servers_of(state) == [] and left(tmp_path) == [] and sageturner.list() == []


@pytest.mark.parametrize(
    "deploys",
    [
        "import sageturner_magic as s\ns.deploy({0!r})",
        "%load_ext sageturner_magic\n%sageturner deploy -c {0} --no-wait",
    ],
)
def test_a_kernel_that_deploys_cleans_up_and_ends(project, state, tmp_path, deploys):
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(cwd=str(tmp_path))
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        client.execute(deploys.format(project(SLOW)))
        wait_until(lambda: servers_of(state))
        os.kill(manager.provisioner.pid, signal.SIGTERM)
        wait_until(lambda: not manager.is_alive(), what="the kernel's end")
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert servers_of(state) == [] and left(tmp_path) == [] and sageturner.list() == []


def test_what_a_killed_run_left_is_removed_by_the_next(project, state, tmp_path):
    (tmp_path / "tmp" / "sageturner-mine").mkdir(mode=0o700)
    with running("-m", "sageturner_magic", "deploy", "-c", project(SLOW)) as process:
        wait_until(lambda: servers_of(state))
        process.kill()
    assert len(left(tmp_path)) > 1
    with running("-m", "sageturner_magic", "plan", "-c", project(QUICK)) as process:
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert [folder.name for folder in left(tmp_path)] == ["sageturner-mine"]
