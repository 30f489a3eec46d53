"""A registry (Docker's own, `docker-registry serve`) with basic auth, on a free port."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.parts.ports import free_port
from tests.parts.waiting import wait_for


@dataclass(frozen=True)
class Registry:
    """A running registry.

    Attributes:
        host: `127.0.0.1:port`, which Docker accepts without TLS.
        user: The only user.
        password: Their password.
        root: The folder that holds the registry's blobs.
    """

    host: str
    user: str
    password: str
    root: Path

    def _request(self, path: str, accept: str = "*/*") -> urllib.request.Request:
        token = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        return urllib.request.Request(
            f"http://{self.host}/v2/{path}",
            headers={"Authorization": f"Basic {token}", "Accept": accept},
        )

    def manifest(self, repository: str, reference: str) -> dict[str, object]:
        """The manifest as the registry stores it, plus its `digest`. Raises HTTPError."""
        accept = ", ".join(
            f"application/vnd.{kind}+json"
            for kind in (
                "docker.distribution.manifest.v2",
                "docker.distribution.manifest.list.v2",
                "oci.image.manifest.v1",
                "oci.image.index.v1",
            )
        )
        request = self._request(f"{repository}/manifests/{reference}", accept)
        with urllib.request.urlopen(request) as answer:
            return {
                **json.loads(answer.read()),
                "digest": answer.headers["Docker-Content-Digest"],
            }

    def blob(self, repository: str, digest: str) -> bytes:
        """A blob's content. Raises HTTPError."""
        with urllib.request.urlopen(self._request(f"{repository}/blobs/{digest}")) as answer:
            return bytes(answer.read())

    def delete_blob(self, repository: str, digest: str) -> None:
        """Remove a blob from the repository. Raises HTTPError."""
        request = self._request(f"{repository}/blobs/{digest}")
        request.method = "DELETE"
        urllib.request.urlopen(request).close()

    def tags(self, repository: str) -> list[str]:
        """The repository's tags, sorted; empty where there is no such repository."""
        try:
            with urllib.request.urlopen(self._request(f"{repository}/tags/list")) as answer:
                return sorted(json.loads(answer.read())["tags"] or [])
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return []
            raise


def _asks_for_credentials(host: str) -> bool:
    try:
        urllib.request.urlopen(f"http://{host}/v2/", timeout=5)
    except urllib.error.HTTPError as error:
        return error.code == 401
    except OSError:
        return False
    return True


@contextmanager
def registry(folder: Path, user: str = "AWS", password: str = "secret-token") -> Iterator[Registry]:
    """A registry that keeps its blobs below `folder`, for as long as the block runs."""
    if not shutil.which("docker-registry"):
        raise RuntimeError("docker-registry is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    root = folder / "blobs"
    accounts = folder / "htpasswd"
    accounts.write_bytes(
        subprocess.run(
            ["htpasswd", "-niB", user], input=password.encode(), capture_output=True, check=True
        ).stdout
    )
    host = f"127.0.0.1:{free_port()}"
    config = {
        "version": 0.1,
        "log": {"level": "info", "accesslog": {"disabled": False}},
        "storage": {"filesystem": {"rootdirectory": str(root)}, "delete": {"enabled": True}},
        "http": {"addr": host},
        "auth": {"htpasswd": {"realm": "tests", "path": str(accounts)}},
    }
    # JSON is YAML.
    (folder / "config.yml").write_text(json.dumps(config))
    with (folder / "log").open("ab") as log:
        server = subprocess.Popen(
            ["docker-registry", "serve", str(folder / "config.yml")],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        wait_for(
            f"the registry (log: {folder / 'log'})",
            lambda: server.poll() is not None or _asks_for_credentials(host),
        )
        if server.poll() is not None:
            raise RuntimeError(f"the registry ended: {(folder / 'log').read_text()[-2000:]}")
        yield Registry(host, user, password, root)
    finally:
        server.terminate()
        server.wait(timeout=20)
