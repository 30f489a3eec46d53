"""A client for registries: the Docker Registry HTTP API V2 (OCI distribution API)."""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import urllib3

from sageturner_magic.errors import ImageError
from sageturner_magic.image.http import TIMEOUT, USER_AGENT, connections
from sageturner_magic.image.requirements import Architecture
from sageturner_magic.image.spec import Destination
from sageturner_magic.values import ImageRef

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"

_MANIFESTS = ", ".join((DOCKER_MANIFEST, DOCKER_INDEX, OCI_MANIFEST, OCI_INDEX))
_RETRIES = urllib3.Retry(
    total=6,
    backoff_factor=0.3,
    status_forcelist=(429, 500, 502, 503, 504),
    allowed_methods={"GET", "HEAD"},
    raise_on_status=False,
)


@dataclass(frozen=True)
class Manifest:
    """A manifest as a registry has it.

    Attributes:
        digest: `sha256:…` of its bytes.
        media_type: Its Content-Type.
        content: Its parsed JSON.
    """

    digest: str
    media_type: str
    content: dict[str, Any]


class RegistryClient:
    """One repository in a registry; safe to use from several threads."""

    def __init__(self, destination: Destination) -> None:
        self._destination = destination
        self.host, _, self.name = destination.repository.partition("/")
        # Docker's rule: only a registry on this machine may do without TLS.
        local = re.match(r"(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$", self.host)
        self._base = f"{'http' if local else 'https'}://{self.host}/v2/{self.name}"
        self._lock = threading.Lock()
        self._authorization = ""

    def find(self, tag: str) -> ImageRef | None:
        """The image under `tag`, or None if there is none. Raises ImageError."""
        manifest = self.manifest(tag)
        return self._reference(tag, manifest) if manifest else None

    def accepted(self, tag: str, architecture: Architecture) -> ImageRef:
        """The image under `tag`, after seeing that SageMaker would take it.

        That is one Docker schema 2 manifest for the right platform. Raises ImageError.
        """
        manifest = self.manifest(tag)
        if manifest is None:
            raise ImageError(
                f"{self._destination.repository}:{tag} did not arrive",
                why="the push ended well, but the registry has no such image",
                do="run it again",
            )
        if manifest.media_type != DOCKER_MANIFEST:
            raise ImageError(
                "the Docker engine pushed a manifest that SageMaker refuses",
                why=f"it is {manifest.media_type}, SageMaker takes {DOCKER_MANIFEST}",
                do="turn the engine's containerd image store off (Docker Desktop: Settings,"
                " General, `Use containerd for pulling and storing images`), or set"
                " `builder: layers`; delete the image in the registry before the next deploy",
            )
        found = self._reference(tag, manifest)
        if found.architecture != architecture:
            raise ImageError(
                f"the image in the registry is for {found.architecture}, not {architecture}",
                do="build it again for the right architecture",
            )
        return found

    def _reference(self, tag: str, manifest: Manifest) -> ImageRef:
        config = manifest.content.get("config")
        architecture, size = "", 0
        if config:
            architecture = json.loads(self.blob(config["digest"])).get("architecture", "")
            size = sum(layer["size"] for layer in manifest.content["layers"])
        return ImageRef(self._destination.repository, manifest.digest, tag, architecture, size)

    def manifest(self, reference: str) -> Manifest | None:
        """The manifest of a tag or digest, or None if there is none. Raises ImageError."""
        answer = self._request("GET", f"/manifests/{reference}", {"Accept": _MANIFESTS})
        if answer.status == 404:
            return None
        self._expect(answer, 200)
        media_type = answer.headers.get("Content-Type", "").partition(";")[0]
        return Manifest(
            answer.headers["Docker-Content-Digest"], media_type, json.loads(answer.data)
        )

    def blob(self, digest: str) -> bytes:
        """A small blob, whole. Raises ImageError."""
        answer = self._request("GET", f"/blobs/{digest}", {})
        self._expect(answer, 200)
        return answer.data

    def _request(self, method: str, path: str, headers: dict[str, str]) -> urllib3.HTTPResponse:
        """An answer, after one more try with new credentials if it was 401."""
        answer = self._send(method, path, headers)
        if answer.status == 401:
            self._authenticate(answer.headers.get("WWW-Authenticate", ""))
            answer = self._send(method, path, headers)
        return answer

    def _send(self, method: str, path: str, headers: dict[str, str]) -> urllib3.HTTPResponse:
        own = {"User-Agent": USER_AGENT}
        if self._authorization:
            own["Authorization"] = self._authorization
        try:
            return connections(self._base).request(  # type: ignore[return-value]
                method,
                self._base + path,
                headers={**own, **headers},
                timeout=TIMEOUT,
                retries=_RETRIES,
            )
        except urllib3.exceptions.HTTPError as error:
            raise ImageError(
                f"the registry {self.host} does not answer",
                why=str(error.__cause__ or error),
                do="check the network and the proxy (HTTPS_PROXY), then run it again",
            ) from None

    def _authenticate(self, challenge: str) -> None:
        kind, _, rest = challenge.partition(" ")
        fields = dict(re.findall(r'(\w+)="([^"]*)"', rest))
        account = self._destination.credentials() if self._destination.credentials else None
        basic = (
            urllib3.make_headers(basic_auth=f"{account.user}:{account.password}") if account else {}
        )
        with self._lock:
            if kind.lower() == "basic" and basic:
                self._authorization = basic["authorization"]
            elif kind.lower() == "bearer" and "realm" in fields:
                self._authorization = f"Bearer {self._token(fields, dict(basic))}"
            else:
                raise ImageError(
                    f"the registry {self.host} wants credentials",
                    why=f"it asks for {kind or 'them'} and none are known",
                    do="log in, or name a registry that needs none",
                )

    def _token(self, fields: dict[str, str], headers: dict[str, str]) -> str:
        query = {name: value for name, value in fields.items() if name in ("service", "scope")}
        url = f"{fields['realm']}?{urlencode(query)}"
        answer = connections(url).request(
            "GET", url, headers=headers, timeout=TIMEOUT, retries=_RETRIES
        )
        self._expect(answer, 200)
        found = answer.json()
        return str(found.get("token") or found["access_token"])

    def _expect(self, answer: urllib3.BaseHTTPResponse, *statuses: int) -> None:
        if answer.status in statuses:
            return
        if answer.status in (401, 403):
            raise ImageError(
                f"the registry {self.host} refuses the credentials",
                why=_words(answer),
                do=f"see that they may read and push {self.name}",
            )
        raise ImageError(
            f"the registry {self.host} answers {answer.status}",
            why=_words(answer),
            do="run it again; if it stays so, see that the registry is well",
        )


def _words(answer: urllib3.BaseHTTPResponse) -> str:
    """What a registry says is wrong, in its own words."""
    try:
        errors = json.loads(answer.data)["errors"]
        return "; ".join(f"{each['code']}: {each.get('message', '')}" for each in errors)
    except (ValueError, KeyError, TypeError):
        return answer.reason or ""
