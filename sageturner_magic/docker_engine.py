"""Find the Docker engine that this machine's programs use."""

from __future__ import annotations

import os

import docker
import requests
from docker.context import ContextAPI
from docker.errors import DockerException

from sageturner_magic.errors import ImageError


def connect() -> docker.APIClient:
    """The engine that `docker` on the command line would talk to.

    That is DOCKER_HOST's, else the current Docker context's. Raises ImageError if none answers.
    """
    try:
        if "DOCKER_HOST" in os.environ:
            client = docker.from_env(timeout=None).api  # type: ignore[arg-type]
        else:
            context = ContextAPI.get_current_context()
            client = docker.APIClient(base_url=context.Host if context else None, version="auto")
        client.timeout = None  # type: ignore[assignment]
        client.ping()
    except (DockerException, requests.RequestException, OSError) as error:
        raise ImageError(
            "no Docker engine answers",
            why=_cause(error),
            do="start Docker (Docker Desktop, or `systemctl start docker`), or set"
            " `builder: layers`, which needs no Docker",
            code="ST66",
        ) from None
    return client


def _cause(error: BaseException) -> str:
    """The innermost reason, which is the one that helps ("Permission denied")."""
    text = str(error)
    for known in ("Permission denied", "No such file or directory", "Connection refused"):
        if known in text:
            return known.lower()
    return text.splitlines()[0] if text else type(error).__name__
