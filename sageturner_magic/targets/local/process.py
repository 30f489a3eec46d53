"""One model server as a child process: start it, watch it, end it.

The server's side of this contract (environment, control socket) stands in the docstring of the
`server` room.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import psutil

from sageturner_magic.errors import EndpointError

DRAIN_SECONDS = 30.0
"""SIGTERM to SIGKILL, as SageMaker allows."""

NOTEBOOK_ONLY = ("JPY_PARENT_PID", "JPY_SESSION_NAME", "MPLBACKEND", "SAGETURNER_LISTEN_FD")
"""Environment variables of a kernel that mean nothing, or harm, in a process of its own."""

_children: dict[int, subprocess.Popen[bytes]] = {}
_lifelines: dict[int, int] = {}
"""Servers of this process, and the write ends of their lifelines. A lifeline stays open as long
as this process lives: the server ends when the pipe does, also after kill -9."""


@dataclass(frozen=True)
class ServerState:
    """What the server says of itself on its control socket.

    Attributes:
        state: `loading`, `ready`, `failed` or `draining`.
        error: Type, message and traceback lines of a load() that failed.
    """

    state: str
    pid: int
    load_seconds: float | None
    error: Mapping[str, Any] | None


@dataclass(frozen=True)
class LocalServer:
    """A model server that was started by this process.

    Attributes:
        pid, started: The process and its creation time.
        port: TCP port on 127.0.0.1.
        control: Path of the control socket.
        log: Everything the server and the user's code print.
    """

    pid: int
    started: float
    port: int
    control: str
    log: Path

    def exit_code(self) -> int | None:
        """The exit status (negative for a signal), or None while it runs."""
        return _children[self.pid].poll()


def bind() -> socket.socket:
    """A listening socket on a free port of 127.0.0.1."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 0))
    listener.listen(2048)
    return listener


def start(
    *,
    python: str,
    program: Path,
    model: Path,
    log: Path,
    listener: socket.socket,
    token: str,
    serving: Mapping[str, Any],
    environment: Mapping[str, str],
    tied: bool,
    replaces: bool,
) -> LocalServer:
    """Start a model server on `listener`.

    Args:
        python: The interpreter that runs the user's code.
        environment: The user's own variables, on top of this process's.
        tied: The server ends when this process ends, however that happens.
        replaces: Another server still answers on `listener`: do not accept before ready.

    Raises:
        EndpointError: The interpreter cannot be started.
    """
    control = Path(tempfile.mkdtemp(prefix="sageturner-"), "control")
    lifeline: tuple[int, int] | None = os.pipe() if tied else None
    variables = {
        **{key: value for key, value in os.environ.items() if key not in NOTEBOOK_ONLY},
        **environment,
        "SAGETURNER_PROGRAM_DIR": str(program),
        "SM_MODEL_DIR": str(model),
        "SAGETURNER_SERVING": json.dumps(serving),
        "SAGETURNER_TOKEN": token,
        "SAGETURNER_LISTEN_FD": str(listener.fileno()),
        "SAGETURNER_CONTROL": str(control),
        "SAGETURNER_LOG": "text",
        "PYTHONUNBUFFERED": "1",
    }
    inherited = [listener.fileno()]
    if replaces:
        variables["SAGETURNER_ACCEPT"] = "ready"
    if lifeline:
        variables["SAGETURNER_LIFELINE_FD"] = str(lifeline[0])
        inherited.append(lifeline[0])
    main = resources.files("sageturner_magic") / "server" / "__main__.py"
    try:
        with log.open("ab") as output:
            # A session of its own: the stop button signals the kernel's whole process group.
            child = subprocess.Popen(
                [python, str(main), "serve"],
                cwd=program,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=inherited,
                start_new_session=True,
            )
    except OSError as error:
        if lifeline:
            os.close(lifeline[1])
        raise EndpointError(
            "The model server could not be started", why=str(error), where=python
        ) from None
    finally:
        if lifeline:
            os.close(lifeline[0])
    _children[child.pid] = child
    if lifeline:
        _lifelines[child.pid] = lifeline[1]
    try:
        started = psutil.Process(child.pid).create_time()
    except psutil.NoSuchProcess:
        started = time.time()
    return LocalServer(child.pid, started, listener.getsockname()[1], str(control), log)


def new_token() -> str:
    """A token as Jupyter makes one: 192 random bits in hex."""
    return secrets.token_hex(24)


def ask(control: str, timeout_s: float = 2.0) -> tuple[ServerState, socket.socket] | None:
    """The state of the server behind `control` and its listening socket (the caller closes it).

    None when nobody answers there.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout_s)
        try:
            connection.connect(control)
            data, descriptors, _, _ = socket.recv_fds(connection, 65536, 1)
            if not descriptors:
                return None
            listener = socket.socket(fileno=descriptors[0])
            while not data.endswith(b"\n") and (more := connection.recv(65536)):
                data += more
        except OSError:
            return None
    try:
        said = json.loads(data)
    except ValueError:
        listener.close()
        return None
    state = ServerState(said["state"], said["pid"], said.get("load_seconds"), said.get("error"))
    return state, listener


def state_of(control: str) -> ServerState | None:
    """As `ask`, without the socket."""
    answer = ask(control)
    if answer is None:
        return None
    answer[1].close()
    return answer[0]


def stop(process: psutil.Process, control: str, grace_s: float = DRAIN_SECONDS) -> None:
    """SIGTERM, so that requests in flight are answered; after `grace_s` SIGKILL for the rest.

    Afterwards no process of the server is left. Stopping one that has ended is fine.
    """
    with suppress(psutil.NoSuchProcess):
        family = [process, *process.children(recursive=True)]
        process.send_signal(signal.SIGTERM)
        _wait(process, grace_s)
        for member in family:
            with suppress(psutil.NoSuchProcess):
                member.kill()
        _wait(process, 5.0)
    forget(process.pid)
    shutil.rmtree(Path(control).parent, ignore_errors=True)


def _wait(process: psutil.Process, timeout_s: float) -> None:
    child = _children.get(process.pid)
    if child:
        with suppress(subprocess.TimeoutExpired):
            child.wait(timeout_s)
        return
    # Somebody else's child stays a zombie until its parent looks: that has ended, too.
    deadline = time.monotonic() + timeout_s
    with suppress(psutil.NoSuchProcess):
        while process.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
            time.sleep(0.05)


def forget(pid: int) -> None:
    """Let go of a server of this process that has ended."""
    _children.pop(pid, None)
    lifeline = _lifelines.pop(pid, None)
    if lifeline is not None:
        os.close(lifeline)
