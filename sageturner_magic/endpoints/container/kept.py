"""Start a container that a keeper holds, read its state, and end it."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import urllib3

from sageturner_magic import scratch
from sageturner_magic.constants import KEEPER
from sageturner_magic.endpoints import children
from sageturner_magic.endpoints.container import libraries
from sageturner_magic.endpoints.container.runner import (
    STOP_SECONDS,
    ContainerSpec,
    Exit,
    exit_reason,
    refusal,
)
from sageturner_magic.endpoints.server_log import POLL_SECONDS
from sageturner_magic.errors import EndpointError, Finding
from sageturner_magic.values import Reporter

SECRETS = "SAGETURNER_KEPT_SECRETS"
"""What a keeper is told in its environment, because its files may be read later."""

PING_SECONDS = 2.0
"""Within this /ping has to be answered, on every call."""

START_SECONDS = 60.0
"""How long a Docker engine may take to start a container, after which it can be ended."""


@dataclass(frozen=True)
class KeptState:
    """What a keeper has written down.

    Attributes:
        state: `starting`, `running`, `refused` or `ended`.
        id: The container's, once it runs.
        port: On 127.0.0.1, once it runs.
        finding: Why it could not be started.
        exit: How it ended.
    """

    state: str
    id: str = ""
    port: int = 0
    finding: Finding | None = None
    exit: Exit | None = None


@dataclass(frozen=True)
class Kept:
    """A keeper that this process started.

    Attributes:
        pid, started: Its process.
        control: Path of its state file, in a folder of its own.
        log: What the container prints.
    """

    pid: int
    started: float
    control: str
    log: Path
    spec: ContainerSpec

    def state(self) -> KeptState:
        """What has become of the container. Raises EndpointError if it could not be started."""
        # Asked first: what a keeper that has ended wrote down is complete.
        code = children.exit_code(self.pid)
        said = read_state(self.control) or KeptState("starting")
        if said.finding is not None:
            raise EndpointError.of([said.finding])
        if code is not None and said.state != "ended":
            raise EndpointError(
                "The process that holds the container has ended",
                why=f"its status is {code}",
                do="see the log below, then deploy again",
            )
        return said


def keep(spec: ContainerSpec, log: Path, *, tied: bool, grace_s: float = STOP_SECONDS) -> Kept:
    """Start a keeper, which starts the container.

    Args:
        tied: The container ends when this process ends, however that happens.
        grace_s: Seconds between SIGTERM and SIGKILL when the keeper is told to end.

    Raises:
        EndpointError: The keeper cannot be started.
    """
    folder, held = scratch.scratch_folder_for_child()
    control = folder / "container.json"
    (folder / "spec.json").touch(mode=0o600)
    told = {**asdict(replace(spec, secrets={})), "grace_s": grace_s}
    (folder / "spec.json").write_text(json.dumps(told))
    try:
        child = children.spawn(
            [sys.executable, "-m", KEEPER],
            folder=folder,
            environment={
                "SAGETURNER_CONTROL": str(control),
                SECRETS: json.dumps(dict(spec.secrets)),
                "SAGETURNER_SERVER_DIR": str(Path(spec.model or folder).parent),
            },
            log=log,
            inherited=[held],
            tied=tied,
        )
    finally:
        os.close(held)
    return Kept(child.pid, child.started, str(control), log, spec)


def read_state(control: str) -> KeptState | None:
    """What the keeper behind `control` has written down, or None where there is nothing."""
    try:
        said: dict[str, Any] = json.loads(Path(control).read_text())
        return KeptState(
            state=said["state"],
            id=said.get("id", ""),
            port=said.get("port", 0),
            finding=Finding(**said["finding"]) if "finding" in said else None,
            exit=Exit(**said["exit"]) if "exit" in said else None,
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def read_spec(control: str) -> tuple[str, bool, str]:
    """Image, whether it is unpacked, and token of the container that a keeper holds."""
    try:
        told: dict[str, Any] = json.loads(Path(control).with_name("spec.json").read_text())
        token = told["environment"].get("SAGETURNER_TOKEN", "")
        return told["image"], told["unpacked"] is not None, token
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return "", True, ""


def end(process: psutil.Process, grace_s: float = STOP_SECONDS) -> None:
    """End a keeper: its container gets SIGTERM, and SIGKILL after the keeper's grace time."""
    children.end(process, grace_s + 15)


def cut(process: psutil.Process) -> None:
    """End a keeper whose container need not finish anything: both end at once."""
    children.end(process, START_SECONDS, signal.SIGUSR1)


def forget(control: str) -> None:
    """Remove what a keeper that has ended wrote down."""
    scratch.remove(Path(control).parent)


def ping(port: int) -> tuple[int, bytes] | None:
    """Status and body of one GET /ping; None without an answer within two seconds."""
    try:
        with urllib3.HTTPConnectionPool("127.0.0.1", port, timeout=PING_SECONDS) as pool:
            answer = pool.request("GET", "/ping", retries=False)
            return answer.status, answer.data
    except (urllib3.exceptions.HTTPError, OSError):
        return None


def wait_ready(
    kept: Kept,
    reporter: Reporter,
    *,
    timeout_s: float,
    timeout_remedy: str,
    watch: Callable[[], None] = lambda: None,
) -> KeptState:
    """Wait until /ping is answered with 200.

    Args:
        timeout_s: Seconds from now.
        timeout_remedy: What to do when they are not enough.
        watch: Called often, for instance to pass the log on.

    Raises:
        EndpointError: The container cannot be started, ended, or took too long. The log's tail
            is left to the caller to add.
        DeploymentCancelled: `reporter` says so.
    """
    deadline = time.monotonic() + timeout_s
    last: tuple[int, bytes] | None = None
    while True:
        reporter.checkpoint()
        watch()
        said = kept.state()
        if said.exit is not None:
            watch()
            raise ended_early(kept, said.exit)
        if said.port and (last := ping(said.port)) and last[0] == 200:
            watch()
            return said
        if time.monotonic() > deadline:
            heard = (
                f"GET /ping answers {last[0]}"
                if last
                else "nothing answers GET /ping on port 8080 within 2 s"
            )
            raise EndpointError(
                f"The container was not ready within {timeout_s:g} s",
                why=heard,
                do=timeout_remedy,
                code="ST86",
            )
        time.sleep(POLL_SECONDS)


def ended_early(kept: Kept, ended: Exit) -> EndpointError:
    """The error for a container that ended before it was ready."""
    output = kept.log.read_text(errors="replace").strip()
    if ended.code and len(output.splitlines()) <= 2 and "exec format error" in output:
        return refusal(kept.spec.image, output)
    if said := _last_words(output):
        return EndpointError(
            said, do=libraries.remedy(said) or "fix load() and deploy again", code="ST86"
        )
    megabytes = kept.spec.serverless_mb
    return EndpointError(
        "The container ended before it was ready",
        why=exit_reason(ended, megabytes),
        do="choose more memory under compute.serverless, or load less"
        if ended.out_of_memory
        else "see the log below, fix it and deploy again",
        code="ST86",
    )


def _last_words(output: str) -> str:
    """What our own server said of a load() that failed; empty for other servers."""
    for line in reversed(output.splitlines()):
        _, found, said = line.partition("the server ends: ")
        if found:
            return said
    return ""
