"""Real servers in processes of their own, asked over real sockets."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

SERVER = Path(__file__).parents[3] / "sageturner_magic" / "server"
DEADLINE = 30.0

WITHOUT_UVLOOP = {"PYTHONPATH": str(Path(__file__).parent / "without_uvloop")}
LOOP = WITHOUT_UVLOOP if os.environ.get("SAGETURNER_TEST_LOOP") == "asyncio" else {}
"""Servers run on uvloop's loop, or on asyncio's where SAGETURNER_TEST_LOOP says so."""


def wait_for(condition: Callable[[], Any], what: str, seconds: float = DEADLINE) -> Any:
    """The first true value of `condition()`; fails the test when none comes in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.01)
    pytest.fail(f"waited {seconds} s in vain for: {what}")


@dataclass
class Reply:
    """Status, headers (lower case) and body of an answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The `error` of an error body, which has to be one."""
        error: dict[str, Any] = self.json["error"]
        assert isinstance(error["type"], str) and error["message"]
        return error


class Server:
    """A running server on a socket that it inherited."""

    def __init__(
        self,
        program: Path,
        log: Path,
        listener: socket.socket,
        environment: dict[str, str],
        server: Path,
        pass_fds: tuple[int, ...] = (),
    ) -> None:
        self.log_path = log
        self.port = listener.getsockname()[1]
        self._log = log.open("ab")
        self.started = time.monotonic()
        inherited = {name: value for name, value in os.environ.items() if "SAGETURNER" not in name}
        self.process = subprocess.Popen(
            [sys.executable, str(server / "__main__.py"), "serve"],
            env={
                **inherited,
                **LOOP,
                "SAGETURNER_PROGRAM_DIR": str(program),
                "SAGETURNER_LISTEN_FD": str(listener.fileno()),
                "PYTHONDONTWRITEBYTECODE": "1",
                **environment,
            },
            pass_fds=(listener.fileno(), *pass_fds),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        timeout: float = DEADLINE,
    ) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            lower = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(answer.status, lower, answer.read())

    def ping(self) -> Reply:
        return self.request("GET", "/ping")

    def invoke(
        self,
        value: Any = None,
        *,
        body: bytes | None = None,
        timeout: float = DEADLINE,
        **headers: str,
    ) -> Reply:
        sent = {"Content-Type": "application/json"}
        sent |= {name.replace("_", "-"): text for name, text in headers.items()}
        data = json.dumps(value).encode() if body is None else body
        return self.request("POST", "/invocations", data, sent, timeout)

    def connect(self) -> socket.socket:
        """A bare connection."""
        return socket.create_connection(("127.0.0.1", self.port), DEADLINE)

    def ready(self) -> Server:
        def answers() -> bool:
            assert self.process.poll() is None, self.log()
            return self.ping().status == 200

        wait_for(answers, "a good ping")
        return self

    def log(self) -> str:
        return self.log_path.read_text()

    def lines(self) -> list[dict[str, Any]]:
        """The JSON lines of the log."""
        return [json.loads(line) for line in self.log().splitlines() if line.startswith("{")]

    def workers(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def wait(self, seconds: float = DEADLINE) -> int:
        return self.process.wait(seconds)

    def complaints(self) -> list[str]:
        """Lines of the log that only a fault of the server's own writes."""
        ours = ("Exception in callback", "exception was never retrieved", "Exception ignored in")
        return [line for line in self.log().splitlines() if any(each in line for each in ours)]

    def close(self) -> None:
        if self.process.poll() is None:
            children = self.workers()
            self.process.kill()
            self.process.wait()
            for child in children:
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()
        self._log.close()


Start = Callable[..., Server]


def listening_socket() -> socket.socket:
    """On a free port of 127.0.0.1."""
    return socket.create_server(("127.0.0.1", 0), backlog=1024)


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a sageturner.py and returns its folder."""

    def write(source: str) -> Path:
        folder = tmp_path / f"program-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        (folder / "sageturner.py").write_text(textwrap.dedent(source))
        return folder

    return write


@pytest.fixture
def start(program: Callable[[str], Path], tmp_path: Path) -> Iterator[Start]:
    """Starts servers and ends them after the test.

    `start(source, serving={...}, listener=socket, VARIABLE="value")`; it does not wait.
    """
    started: list[Server] = []
    with contextlib.ExitStack() as stack:

        def run(
            source: str | Path,
            *,
            serving: dict[str, Any] | None = None,
            listener: socket.socket | None = None,
            server: Path = SERVER,
            pass_fds: tuple[int, ...] = (),
            **environment: str,
        ) -> Server:
            folder = source if isinstance(source, Path) else program(source)
            if serving is not None:
                environment["SAGETURNER_SERVING"] = json.dumps(serving)
            own = listener or listening_socket()
            log = tmp_path / f"log-{len(list(tmp_path.iterdir()))}"
            running = Server(folder, log, own, environment, server, pass_fds)
            stack.callback(running.close)
            started.append(running)
            if listener is None:
                own.close()
            return running

        yield run
    assert [line for server in started for line in server.complaints()] == []


@pytest.fixture(scope="module")
def copied_server() -> Iterator[Path]:
    """The server's folder under another parent, as in an image."""
    parent = Path(tempfile.mkdtemp())
    folder = parent / "elsewhere"
    shutil.copytree(SERVER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    yield folder
    shutil.rmtree(parent)
