"""Detached endpoints that a former version left are found, answer, and are deleted completely.

`former/` holds what version 0.2.0.dev0 wrote before its modules were moved: the record of an
endpoint in a process, that of one in a container, and what the container's keeper wrote down. The
processes that the tests start have its command lines.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import sageturner_magic as sageturner
from sageturner_magic.endpoints.container.runner import HOME_LABEL
from tests.integration.conftest import wait_until

FORMER = Path(__file__).parent / "former"

SERVED = """
import http.server, json, os, signal, socket, sys, threading

class Model(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer({"status": "ready"})

    def do_POST(self):
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer({"double": 2 * sent["x"]})

    def answer(self, value):
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Model)
threading.Thread(target=server.serve_forever, daemon=True).start()
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print(server.server_port, flush=True)
"""

SERVER = """
control = socket.socket(socket.AF_UNIX)
control.bind(os.environ["SAGETURNER_CONTROL"])
control.listen()
while True:
    connection, _ = control.accept()
    said = {"state": "ready", "pid": os.getpid(), "load_seconds": 0.0, "error": None}
    socket.send_fds(connection, [json.dumps(said).encode() + b"\\n"], [server.fileno()])
    connection.close()
"""

KEEPER = "signal.pause()"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Any]:
    """Starts a process of the former version; returns it with its control path and its port."""
    started = []

    def start(module: str, source: str, *command: str, control: str) -> Any:
        path = tmp_path / "former" / module
        path.parent.mkdir(parents=True)
        for package in (path.parent, *path.parent.parents):
            if package == tmp_path / "former":
                break
            (package / "__init__.py").touch()
        path.write_text(SERVED + source)
        folder = tmp_path / "sageturner-former"
        folder.mkdir()
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=tmp_path / "former",
            env={**os.environ, "SAGETURNER_CONTROL": str(folder / control)},
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        started.append(process)
        return process, folder / control, int(process.stdout.readline())

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def record(file: str, state: Path, process: Any, control: Path, port: int) -> str:
    """Put a record of the former version into the state folder; returns the endpoint's name."""
    text = (FORMER / file).read_text()
    name = json.loads(text)["name"]
    folder = state / "endpoints" / name
    (folder / "logs").mkdir(parents=True)
    (folder / "logs" / "former.log").write_text("21:03:57 the model is loaded\n")
    places = {"STATE": state, "CONTROL": control, "PYTHON": sys.executable}
    for word, place in places.items():
        text = text.replace(word, str(place))
    began = psutil.Process(process.pid).create_time()
    told = json.loads(text) | {"port": port, "pid": process.pid, "started": began}
    (folder / "endpoint.json").write_text(json.dumps(told))
    return str(name)


def check(name: str, state: Path, process: Any, control: Path) -> None:
    """The endpoint is listed and answers; after `delete` nothing of it is left."""
    (listed,) = sageturner.list()
    assert (listed.name, listed.status, listed.version) == (name, "InService", "d63b14692049")
    assert sageturner.invoke(name, {"x": 4}) == {"double": 8}
    assert "the model is loaded" in "".join(sageturner.logs(name))
    sageturner.delete(name)
    wait_until(lambda: process.poll() is not None, what="the end of the former version's process")
    assert not control.parent.exists()
    assert not (state / "endpoints" / name).exists()
    assert sageturner.list() == []


def test_a_detached_process_is_found_and_deleted(start: Any, state: Path) -> None:
    module = "sageturner_magic/server/__main__.py"
    process, control, port = start(module, SERVER, module, "serve", control="control")
    wait_until(control.exists, what="the control socket")
    check(record("process.json", state, process, control, port), state, process, control)


def test_a_kept_container_is_found_and_deleted(start: Any, state: Path) -> None:
    parts = ("sageturner_magic", "targets", "container", "keeper")
    module, name = f"{'/'.join(parts)}.py", ".".join(parts)
    process, control, port = start(module, KEEPER, "-m", name, control="container.json")
    control.write_text((FORMER / "keeper.json").read_text().replace("12345", str(port)))
    check(record("container.json", state, process, control, port), state, process, control)


def test_containers_of_a_docker_engine_have_the_label_that_the_former_version_gave() -> None:
    assert HOME_LABEL == "sageturner.home"
