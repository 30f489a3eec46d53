"""A Docker engine: the one that answers, or our own in the background."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from tests.parts.folder import cache_folder
from tests.parts.waiting import wait_for


def _answers(host: str | None) -> bool:
    environment = {**os.environ, **({"DOCKER_HOST": host} if host else {})}
    try:
        answer = subprocess.run(
            ["docker", "version", "--format", "{{.Server.Version}}"],
            env=environment,
            capture_output=True,
            timeout=20,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0


def _home() -> Path:
    return cache_folder() / "docker"


def own_host() -> str:
    """The address of the engine that `start` starts."""
    return f"unix://{_home() / 'docker.sock'}"


def address() -> str:
    """The address that `start` gives, or would give; starts nothing."""
    if _answers(None):
        return os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    return own_host()


def start() -> str:
    """The address of an engine that answers: DOCKER_HOST, Docker's default, or our own.

    Our own is started if need be and outlives this process (see `stop`). Raises RuntimeError
    with the end of its log when it does not come up.
    """
    host = address()
    if host != own_host() or _answers(host):
        return host
    if not shutil.which("dockerd"):
        raise RuntimeError("no Docker engine answers and dockerd is not installed")
    home = _home()
    home.mkdir(exist_ok=True)
    # What a killed engine left would stop the next one.
    (home / "pid").unlink(missing_ok=True)
    log = home / "log"
    with log.open("wb") as out:
        engine = subprocess.Popen(
            [
                "dockerd",
                f"--host={own_host()}",
                f"--data-root={home / 'data'}",
                f"--exec-root={home / 'exec'}",
                f"--pidfile={home / 'pid'}",
            ],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )

    def ready() -> bool:
        if engine.poll() is not None:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
            raise RuntimeError(f"dockerd ended with {engine.returncode}:\n{tail}")
        return _answers(own_host())

    wait_for(f"a Docker engine (log: {log})", ready, seconds=60)
    return own_host()


def stop() -> None:
    """End the engine that `start` started, and only that one; its images are kept."""
    try:
        pid = int((_home() / "pid").read_text())
        os.kill(pid, signal.SIGTERM)
    except (FileNotFoundError, ProcessLookupError):
        return

    def ended() -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        return False

    wait_for("the end of dockerd", ended, seconds=60)
    print("stopped the Docker engine", file=sys.stderr)
