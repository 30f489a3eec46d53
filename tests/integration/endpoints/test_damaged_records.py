"""A local endpoint whose record is damaged, and a state folder that cannot be used."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import psutil
import pytest

import sageturner_magic as sageturner
from sageturner_magic.errors import EndpointError

CODE = "def load(): return None\ndef predict(model, request): return request\n"


@pytest.fixture
def detached(tmp_path, state):
    """A detached endpoint `echo`; its process ends with the test."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "sageturner.py").write_text(CODE)
    (tmp_path / "y.yaml").write_text(
        "name: echo\ncontainer: {generate_container: {code_dir: ./code}}\n"
    )
    sageturner.deploy(tmp_path / "y.yaml", endpoint_type="local", detach=True)
    record = json.loads((state / "endpoints" / "echo" / "endpoint.json").read_text())
    yield record
    if psutil.pid_exists(record["pid"]):
        psutil.Process(record["pid"]).kill()


def cut(file):
    file.write_text(file.read_text()[:100])


def empty(file):
    file.write_text("")


def unreadable(file):
    file.unlink()
    file.mkdir()


def binary(file):
    file.write_bytes(b"\xff\xfe\x00" * 50)


def change(**values):
    def write(file):
        file.write_text(json.dumps({**json.loads(file.read_text()), **values}))

    return write


DAMAGES = {
    "cut": cut,
    "empty": empty,
    "unreadable": unreadable,
    "binary": binary,
    "started": change(started=time.time() - 5),
    "another process": change(pid=1, started=psutil.Process(1).create_time() + 60),
    "types": change(pid="many", port=None),
    "other folder": change(folder="/", control="/nowhere/control"),
    "name": change(name="other"),
}


@pytest.mark.parametrize("copies", [False, True], ids=["one file", "all files"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_running_server_is_listed_called_and_deleted(detached, state, damage, copies):
    folder = state / "endpoints" / "echo"
    files = [folder / "endpoint.json", *(folder.glob("servers/*/endpoint.json") if copies else ())]
    for file in files:
        DAMAGES[damage](file)
    (found,) = sageturner.list()
    assert (found.name, found.status) == ("echo", "InService")
    assert sageturner.invoke("echo", 7) == 7
    sageturner.delete("echo")
    assert not psutil.pid_exists(detached["pid"])
    assert not folder.exists()
    assert Path("/").exists() and Path("/tmp").exists()


@pytest.mark.parametrize("left", ["the rest", "the folder", "nothing"])
def test_a_running_server_is_found_without_any_record(detached, state, left):
    folder = state / "endpoints" / "echo"
    if left == "the rest":
        for file in folder.rglob("endpoint.json"):
            file.unlink()
    elif left == "the folder":
        shutil.rmtree(folder)
    else:
        shutil.rmtree(state)
    (found,) = sageturner.list()
    assert (found.name, found.status, found.version) == ("echo", "InService", detached["version"])
    assert "damaged" in found.detail
    assert sageturner.invoke("echo", 7) == 7
    sageturner.delete("echo")
    assert not psutil.pid_exists(detached["pid"])
    assert sageturner.list() == [] and not folder.exists()


def test_without_any_record_a_new_version_takes_over(detached, state, tmp_path):
    shutil.rmtree(state / "endpoints" / "echo")
    (tmp_path / "code" / "sageturner.py").write_text(CODE.replace("request\n", "'new'\n"))
    sageturner.deploy(tmp_path / "y.yaml", endpoint_type="local")
    assert not psutil.pid_exists(detached["pid"])
    assert sageturner.invoke("echo", 7) == "new"
    sageturner.delete("echo")


def test_servers_of_another_state_folder_are_not_this_ones(detached, tmp_path, monkeypatch):
    monkeypatch.setenv("SAGETURNER_STATE_DIR", str(tmp_path / "other"))
    assert sageturner.list() == []


def test_a_damaged_record_without_a_server_is_shown_and_deleted(detached, state):
    psutil.Process(detached["pid"]).kill()
    for file in (state / "endpoints" / "echo").rglob("endpoint.json"):
        empty(file)
    (found,) = sageturner.list()
    assert found.status == "OutOfService" and "damaged" in found.detail
    sageturner.delete("echo")
    assert sageturner.list() == []


def test_no_folder_that_a_record_names_is_removed(detached, state, tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("kept")
    change(control=str(precious / "control"))(state / "endpoints" / "echo" / "endpoint.json")
    sageturner.delete("echo")
    assert (precious / "file").read_text() == "kept"


def test_a_folder_that_others_can_change_is_not_trusted(detached, state):
    folder = state / "endpoints" / "echo"
    folder.chmod(0o777)
    with pytest.raises(EndpointError, match=r"not trusted.*chmod go-w .*echo"):
        sageturner.invoke("echo", 1)
    folder.chmod(0o755)
    assert sageturner.invoke("echo", 1) == 1


def test_the_control_socket_is_in_no_temporary_folder_that_is_swept(detached, state):
    assert Path(detached["control"]).is_relative_to(state)


def test_a_state_folder_without_room_is_named_with_the_variable_for_another(
    state, tmp_path, monkeypatch
):
    (tmp_path / "sageturner.py").write_text(CODE)
    (tmp_path / "y.yaml").write_text("name: echo\ncontainer: {generate_container: {code_dir: .}}\n")
    monkeypatch.setenv("SAGETURNER_STATE_DIR", "/proc/sageturner")  # Nobody can write there.
    with pytest.raises(EndpointError, match=r"/proc.*SAGETURNER_STATE_DIR"):
        sageturner.deploy(tmp_path / "y.yaml", endpoint_type="local")
