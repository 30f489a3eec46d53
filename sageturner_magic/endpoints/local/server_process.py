"""Start, watch and end one model server as a child process.

The server's side of this contract (environment, control socket) stands in the docstring of the
`server` room.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import psutil

from sageturner_magic import scratch
from sageturner_magic.context import model_environment
from sageturner_magic.endpoints import children

SOCKET_PATH_BYTES = 100
"""Of a unix socket's path at most: 107 on Linux, 103 on macOS (unix(7), sys/un.h), less a few."""

DRAIN_SECONDS = 30.0
"""SIGTERM to SIGKILL, as SageMaker allows."""


@dataclass(frozen=True)
class ServerState:
    """What the server says of itself on its control socket.

    Attributes:
        state: `loading`, `ready`, `failed` or `draining`.
        load_seconds: From the start of a worker until its model is loaded.
        error: Type, message and traceback lines of a load() that failed.
        import_seconds: How many of `load_seconds` the imports took; None where the server is of
            a version that does not say.
        warmed: The example request, and content type and text of the response to it, if short.
    """

    state: str
    pid: int
    load_seconds: float | None
    error: Mapping[str, Any] | None
    import_seconds: float | None = None
    warmed: Mapping[str, Any] | None = None


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
        return children.exit_code(self.pid)


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
        environment: The user's own variables, on top of `context.model_environment()`.
        tied: The server ends when this process ends, however that happens.
        replaces: Another server still answers on `listener`: do not accept before ready.

    Raises:
        EndpointError: The interpreter cannot be started.
    """
    control, held = _control_path(program.parent)
    variables = {
        **environment,
        "SAGETURNER_PROGRAM_DIR": str(program),
        "SM_MODEL_DIR": str(model),
        "SAGETURNER_SERVING": json.dumps(serving),
        "SAGETURNER_TOKEN": token,
        "SAGETURNER_LISTEN_FD": str(listener.fileno()),
        "SAGETURNER_CONTROL": str(control),
        "SAGETURNER_LOCAL": "1",
        "SAGETURNER_LOG": "text",
        "PYTHONUNBUFFERED": "1",
    }
    if replaces:
        variables["SAGETURNER_ACCEPT"] = "ready"
    main = resources.files("sageturner_magic") / "server" / "__main__.py"
    try:
        child = children.spawn(
            [python, str(main), "serve"],
            folder=program,
            environment=variables,
            inherits=model_environment(),
            log=log,
            inherited=[listener.fileno(), *held],
            tied=tied,
        )
    finally:
        for descriptor in held:
            os.close(descriptor)
    return LocalServer(child.pid, child.started, listener.getsockname()[1], str(control), log)


def _control_path(folder: Path) -> tuple[Path, tuple[int, ...]]:
    """Where the control socket is to be, and what the server inherits to keep its folder."""
    # Beside the program, because temporary folders are swept; but a socket's path is limited.
    path = folder / "control"
    if len(os.fsencode(path)) <= SOCKET_PATH_BYTES:
        return path, ()
    short, held = scratch.scratch_folder_for_child()
    return short / "control", (held,)


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
    state = ServerState(
        said["state"],
        said["pid"],
        said.get("load_seconds"),
        said.get("error"),
        said.get("import_seconds"),
        said.get("warmed"),
    )
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
    children.end(process, grace_s)
    scratch.remove(Path(control).parent)
