"""Model containers: started, watched and stopped as SageMaker does it."""

from __future__ import annotations

import http.client
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import docker
import docker.errors

PORT = "8080/tcp"
PING_TIMEOUT_S = 2.0
"""https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html"""

LogSink = Callable[[str], None]


class Container:
    """One running model container.

    Attributes:
        ping_failures: What the watch saw since the container was in service: one line for each
            /ping that was not answered with 200 within two seconds.
    """

    def __init__(self, handle: Any, log: LogSink) -> None:
        self._handle = handle
        self._closing = threading.Event()
        self.ping_failures: list[str] = []
        self._log = log
        self.port = self._published()
        self._follower = threading.Thread(target=self._follow, daemon=True)
        self._follower.start()

    @property
    def id(self) -> str:
        return str(self._handle.id)

    def running(self) -> bool:
        try:
            self._handle.reload()
        except docker.errors.NotFound:
            return False
        return bool(self._handle.status == "running")

    def ping(self) -> int | None:
        """The status of one GET /ping; None without an answer within two seconds."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PING_TIMEOUT_S)
        try:
            connection.request("GET", "/ping")
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def watch(self, every_s: float = 1.0) -> None:
        """Ping it for as long as it serves, and start it again should it end."""
        threading.Thread(target=self._watch, args=(every_s,), daemon=True).start()

    def stop(self, grace_s: int) -> None:
        """SIGTERM, and SIGKILL after `grace_s`; then it is removed."""
        self._closing.set()
        with suppress(docker.errors.NotFound):
            self._handle.stop(timeout=grace_s)
            self._follower.join(timeout=5)
            self._handle.remove(force=True, v=True)

    def _published(self) -> int:
        self._handle.reload()
        bindings = self._handle.attrs["NetworkSettings"]["Ports"].get(PORT)
        # A container that has already ended publishes nothing.
        return int(bindings[0]["HostPort"]) if bindings else 0

    def _watch(self, every_s: float) -> None:
        while not self._closing.wait(every_s):
            status = self.ping()
            if status == 200 or self._closing.is_set():
                continue
            self.ping_failures.append(f"/ping: {status or 'no answer within 2 s'}")
            with suppress(docker.errors.APIError):
                if not self.running() and not self._closing.is_set():
                    self._handle.start()
                    self.port = self._published()
                    threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self) -> None:
        rest = b""
        # The engine ends the stream, one way or another, when the container goes.
        with suppress(docker.errors.APIError, OSError, http.client.HTTPException):
            for piece in self._handle.logs(stream=True, follow=True):
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    self._log(line.decode(errors="replace").rstrip("\r"))
        if rest:
            self._log(rest.decode(errors="replace"))


class Containers:
    """All containers and images of one stand, on the engine at `docker_host`.

    Raises docker.errors.DockerException when no engine answers.
    """

    LABEL = "sageturner.stand"

    def __init__(self, stand: str, docker_host: str) -> None:
        self._host = docker_host
        self._stand = stand

    @cached_property
    def _client(self) -> docker.DockerClient:
        client = docker.DockerClient(base_url=self._host)
        # Threads ask the engine while tests change the environment.
        client.api.trust_env = False
        self._remove_left_behind(client)
        return client

    def gateway(self) -> str:
        """The address of this machine as containers reach it."""
        bridge = self._client.networks.get("bridge").attrs
        return str(bridge["IPAM"]["Config"][0]["Gateway"])

    def pull(self, repository: str, digest: str, password: str) -> Any:
        """Pull an image by digest. Raises docker.errors.APIError."""
        credentials = {"username": "AWS", "password": password}
        return self._client.images.pull(repository, tag=digest, auth_config=credentials)

    def start(
        self,
        image: str,
        *,
        environment: Mapping[str, str],
        model_dir: Path,
        log: LogSink,
        memory_mb: int | None,
        endpoint: str,
    ) -> Container:
        """`docker run IMAGE serve`; raises docker.errors.APIError when it cannot be started.

        Args:
            memory_mb: The limit of a serverless endpoint, whose containers have a read-only file
                system and an unprivileged user besides; None on an instance.
        """
        # Without a port, the engine picks one of the loopback's free ones.
        options: dict[str, Any] = {"ports": {PORT: ("127.0.0.1", None)}}
        if memory_mb is not None:
            options |= {
                "mem_limit": f"{memory_mb}m",
                "memswap_limit": f"{memory_mb}m",
                # As serverless sandboxes: no entry in passwd, no /dev/shm.
                "user": "59999:59999",
                "ipc_mode": "none",
                "read_only": True,
                "tmpfs": {"/tmp": "size=5g,mode=1777"},
            }
        handle = self._client.containers.create(
            image,
            "serve",
            environment=dict(environment),
            labels={
                self.LABEL: self._stand,
                f"{self.LABEL}.endpoint": endpoint,
                f"{self.LABEL}.process": str(os.getpid()),
            },
            volumes={str(model_dir): {"bind": "/opt/ml/model", "mode": "ro"}},
            detach=True,
            **options,
        )
        try:
            handle.start()
        except docker.errors.APIError:
            handle.remove(force=True)
            raise
        return Container(handle, log)

    def remove_all(self, registries: list[str]) -> None:
        """Remove this stand's containers, and the images that were pulled from its registries."""
        if "_client" not in vars(self):
            return
        for container in self._own():
            with suppress(docker.errors.APIError):
                container.remove(force=True, v=True)
        for registry in registries:
            self._remove_pulled(registry)
        self._client.close()

    def _remove_pulled(self, registry: str) -> None:
        for image in self._client.images.list(filters={"reference": f"{registry}/*"}):
            names = {*image.tags, *image.attrs.get("RepoDigests", ())}
            for name in names:
                if name.startswith(f"{registry}/"):
                    with suppress(docker.errors.APIError):
                        self._client.images.remove(name, noprune=False)

    def names_left(self) -> list[str]:
        """Names of the containers that are there now."""
        return [str(item.name) for item in self._own()]

    def _remove_left_behind(self, client: docker.DockerClient) -> None:
        """Remove the containers of stands whose process was killed."""
        for container in client.containers.list(
            all=True, filters={"label": self.LABEL}, ignore_removed=True
        ):
            process = container.labels.get(f"{self.LABEL}.process", "")
            if not Path(f"/proc/{process}").exists():
                with suppress(docker.errors.APIError):
                    container.remove(force=True, v=True)

    def _own(self) -> list[Any]:
        if "_client" not in vars(self):
            return []
        label = f"{self.LABEL}={self._stand}"
        return list(
            self._client.containers.list(all=True, filters={"label": label}, ignore_removed=True)
        )
