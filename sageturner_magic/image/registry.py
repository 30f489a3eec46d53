"""A client for registries: the Docker Registry HTTP API V2 (OCI distribution API)."""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

import urllib3

from sageturner_magic.errors import ImageError
from sageturner_magic.image.http import TIMEOUT, USER_AGENT, authorization, connections
from sageturner_magic.image.requirements import Architecture
from sageturner_magic.image.spec import Destination
from sageturner_magic.values import CHUNK, ImageRef, Reporter

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
_MANIFESTS = ", ".join((DOCKER_MANIFEST, DOCKER_INDEX, OCI_MANIFEST, OCI_INDEX))

PART = 8 << 20
"""Bytes of an upload that are sent at once: ECR takes 5 to 20 MiB, and this much is held in
memory for each layer that is on its way."""

TRIES = 8
"""How often one request may fail in a row in a way that may pass."""

_PASSING = {408, 429, 500, 502, 503, 504}

Read = Callable[[int], Iterator[bytes]]
"""The content of a blob from an offset on, in pieces of any size."""


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
    """One repository in a registry; safe to use from several threads.

    Every method raises ImageError when the registry refuses or does not answer. What may pass
    (no connection, 429, 5xx) is tried again, after as long as the registry asks for.
    """

    def __init__(self, destination: Destination) -> None:
        self.destination = destination
        self.host, _, self.name = destination.repository.partition("/")
        # Docker's rule: only a registry on this machine may do without TLS.
        local = re.fullmatch(r"(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?", self.host)
        self._root = f"{'http' if local else 'https'}://{self.host}"
        self._lock = threading.Lock()
        self._authorization: dict[str, str] = {}
        self._challenge = ""
        self._generation = 0

    # Images

    def find(self, tag: str) -> ImageRef | None:
        """The image under `tag`, or None if there is none."""
        manifest = self.manifest(tag)
        return self._reference(tag, manifest) if manifest else None

    def accepted(self, tag: str, architecture: Architecture) -> ImageRef:
        """The image under `tag`, after seeing that SageMaker would take it.

        That is one Docker schema 2 manifest for the right platform.
        """
        manifest = self.manifest(tag)
        if manifest is None:
            raise ImageError(
                f"{self.destination.repository}:{tag} did not arrive",
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
        return ImageRef(self.destination.repository, manifest.digest, tag, architecture, size)

    # Manifests

    def manifest(self, reference: str) -> Manifest | None:
        """The manifest of a tag or digest, or None if there is none."""
        answer = self._request("GET", self._url(f"/manifests/{reference}"), {"Accept": _MANIFESTS})
        if answer.status == 404:
            return None
        self._expect(answer, 200)
        digest = f"sha256:{hashlib.sha256(answer.data).hexdigest()}"
        if reference.startswith("sha256:") and reference != digest:
            raise self._corrupt(reference, digest)
        media_type = answer.headers.get("Content-Type", "").partition(";")[0]
        return Manifest(digest, media_type, json.loads(answer.data))

    def put_manifest(self, tag: str, content: bytes, media_type: str) -> str:
        """Store a manifest under `tag`; its digest."""
        answer = self._request(
            "PUT", self._url(f"/manifests/{tag}"), {"Content-Type": media_type}, content
        )
        self._expect(answer, 200, 201)
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        stored = answer.headers.get("Docker-Content-Digest", digest)
        if stored != digest:
            raise self._corrupt(digest, stored)
        return digest

    # Blobs

    def has_blob(self, digest: str) -> bool:
        """Whether the repository has that blob."""
        answer = self._request("HEAD", self._url(f"/blobs/{digest}"))
        if answer.status == 404:
            return False
        self._expect(answer, 200)
        return True

    def blob(self, digest: str) -> bytes:
        """A small blob, whole."""
        return b"".join(self.read(digest))

    def read(self, digest: str, offset: int = 0) -> Iterator[bytes]:
        """A blob from `offset` on, taken up again where a connection breaks.

        From its beginning, it is compared with its digest at the end.
        """
        hashed = hashlib.sha256() if offset == 0 else None
        failures = 0
        while True:
            headers = {"Range": f"bytes={offset}-"} if offset else {}
            answer = self._request("GET", self._url(f"/blobs/{digest}"), headers, streamed=True)
            with contextlib.closing(answer):
                self._expect(answer, 200, 206)
                skipped = offset if answer.status == 200 else 0
                try:
                    for chunk in answer.stream(CHUNK, decode_content=False):
                        if skipped:
                            skipped, chunk = max(0, skipped - len(chunk)), chunk[skipped:]
                        if not chunk:
                            continue
                        failures = 0
                        offset += len(chunk)
                        if hashed:
                            hashed.update(chunk)
                        yield chunk
                    break
                except urllib3.exceptions.HTTPError as error:
                    failures += 1
                    if failures >= TRIES:
                        raise self._silent(error) from None
                    time.sleep(_delay(failures, None))
        if hashed and f"sha256:{hashed.hexdigest()}" != digest:
            raise self._corrupt(digest, f"sha256:{hashed.hexdigest()}")

    def mount(self, digest: str, source: str) -> bool:
        """Take a blob over from the repository `source` of this registry, if it allows that."""
        query = urlencode({"mount": digest, "from": source})
        answer = self._request("POST", self._url(f"/blobs/uploads/?{query}"))
        if answer.status == 202:
            # Not mounted; an upload was begun instead, which nobody needs.
            self._request("DELETE", self._location(answer))
        return answer.status == 201

    def upload(self, digest: str, size: int, read: Read, reporter: Reporter, title: str) -> None:
        """Store a blob of `size` bytes, taken up again where the upload breaks."""
        for left in reversed(range(TRIES)):
            try:
                self._upload(digest, size, read, reporter, title)
                return
            except _UploadLost:
                if not left or self.has_blob(digest):
                    break
        if not self.has_blob(digest):
            raise ImageError(
                f"the registry {self.host} loses the upload of {title}",
                do="run it again; what has arrived is not sent again",
            )

    def _upload(self, digest: str, size: int, read: Read, reporter: Reporter, title: str) -> None:
        begun = self._request("POST", self._url("/blobs/uploads/"))
        self._expect(begun, 202)
        location = self._location(begun)
        done = 0
        parts = _parts(read(0))
        part = next(parts, b"")
        # All but the last part are sent on their own; the last one ends the upload.
        for following in parts:
            location = self._patch(location, part, done, reporter)
            done += len(part)
            reporter.progress(done, size, "B", title)
            part = following
        reporter.checkpoint()
        self._finish(location, digest, part, done)
        reporter.progress(size, size, "B", title)

    def _patch(self, location: str, part: bytes, done: int, reporter: Reporter) -> str:
        """Send one part after `done` bytes, again if need be; where the next one goes."""
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Range": f"{done}-{done + len(part) - 1}",
        }
        reporter.checkpoint()
        for failures in range(1, TRIES + 1):
            answer = self._try("PATCH", location, headers, part)
            if answer is not None and answer.status in (202, 204):
                return self._location(answer)
            if answer is not None and answer.status == 404:
                raise _UploadLost
            if answer is not None and answer.status not in {*_PASSING, 416}:
                self._expect(answer, 202)
            time.sleep(_delay(failures, answer))
            # Did the part arrive although its answer did not?
            state = self._request("GET", location)
            if state.status != 204:
                raise _UploadLost
            arrived = int(state.headers.get("Range", "0--1").rpartition("-")[2] or -1) + 1
            location = self._location(state)
            if arrived == done + len(part):
                return location
            if arrived != done:
                raise _UploadLost
        raise _UploadLost

    def _finish(self, location: str, digest: str, part: bytes, done: int) -> None:
        separator = "&" if urlsplit(location).query else "?"
        url = f"{location}{separator}{urlencode({'digest': digest})}"
        headers = {"Content-Type": "application/octet-stream"}
        if done:
            headers["Content-Range"] = f"{done}-{done + len(part) - 1}"
        answer = self._try("PUT", url, headers, part)
        if answer is None or answer.status in {*_PASSING, 404, 416}:
            time.sleep(_delay(1, answer))
            raise _UploadLost
        self._expect(answer, 201, 204)

    # Requests

    def _url(self, path: str) -> str:
        return f"{self._root}/v2/{self.name}{path}"

    def _location(self, answer: urllib3.BaseHTTPResponse) -> str:
        return urljoin(self._root, answer.headers["Location"])

    def _request(
        self,
        method: str,
        url: str,
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
        *,
        streamed: bool = False,
    ) -> urllib3.BaseHTTPResponse:
        """An answer that is neither 401 nor one that may pass, unless it stays so."""
        for failures in range(1, TRIES + 1):
            try:
                answer = self._once(method, url, headers or {}, body, streamed)
            except urllib3.exceptions.HTTPError as error:
                if failures == TRIES:
                    raise self._silent(error) from None
                time.sleep(_delay(failures, None))
                continue
            if answer.status not in _PASSING or failures == TRIES:
                return answer
            answer.release_conn()
            time.sleep(_delay(failures, answer))
        raise AssertionError("the loop returns")

    def _try(
        self, method: str, url: str, headers: dict[str, str], body: bytes
    ) -> urllib3.BaseHTTPResponse | None:
        """One answer, or None where there was none."""
        try:
            return self._once(method, url, headers, body, streamed=False)
        except urllib3.exceptions.HTTPError:
            return None

    def _once(
        self, method: str, url: str, headers: dict[str, str], body: bytes | None, streamed: bool
    ) -> urllib3.BaseHTTPResponse:
        """One answer, after new credentials if the registry wants them."""
        for _ in range(2):
            generation, own = self._generation, self._authorization
            answer = connections(url).request(
                method,
                url,
                # A blob may lie elsewhere, by redirection: urllib3 then leaves this header out.
                headers={"User-Agent": USER_AGENT, **own, **headers},
                body=body,
                timeout=TIMEOUT,
                retries=urllib3.Retry(
                    connect=0, read=0, redirect=5, status=0, other=0, raise_on_status=False
                ),
                preload_content=not streamed,
            )
            if answer.status != 401 and not _expired(answer):
                return answer
            challenge = answer.headers.get("WWW-Authenticate", self._challenge)
            answer.release_conn()
            with self._lock:
                # Another thread may have been faster.
                if generation == self._generation:
                    self._challenge = challenge
                    self._authorization = self._authenticated(challenge)
                    self._generation += 1
        return answer

    def _authenticated(self, challenge: str) -> dict[str, str]:
        kind, _, rest = challenge.partition(" ")
        fields = dict(re.findall(r'(\w+)="([^"]*)"', rest))
        account = self.destination.credentials() if self.destination.credentials else None
        if kind.lower() == "basic" and account:
            return authorization(account)
        if kind.lower() == "bearer" and "realm" in fields:
            query = {name: text for name, text in fields.items() if name in ("service", "scope")}
            url = f"{fields['realm']}?{urlencode(query)}"
            answer = connections(url).request(
                "GET", url, headers={"User-Agent": USER_AGENT, **authorization(account)},
                timeout=TIMEOUT,
            )  # fmt: skip
            self._expect(answer, 200)
            found = answer.json()
            return {"Authorization": f"Bearer {found.get('token') or found['access_token']}"}
        raise ImageError(
            f"the registry {self.host} wants credentials",
            why=f"it asks for {kind or 'them'} and none are known",
            do="log in (`docker login`), or name a registry that needs none",
        )

    # Errors

    def _silent(self, error: Exception) -> ImageError:
        return ImageError(
            f"the registry {self.host} does not answer",
            why=str(error.__cause__ or error),
            do="check the network and the proxy (HTTPS_PROXY), then run it again",
        )

    def _corrupt(self, expected: str, found: str) -> ImageError:
        return ImageError(
            f"the registry {self.host} gives other content than was asked for",
            why=f"its digest is {found}, not {expected}",
            do="run it again; if it stays so, the registry or a proxy on the way is damaged",
        )

    def _expect(self, answer: urllib3.BaseHTTPResponse, *statuses: int) -> None:
        if answer.status in statuses:
            return
        words = _words(answer)
        if answer.status in (401, 403):
            raise ImageError(
                f"the registry {self.host} refuses the credentials",
                why=words,
                do=f"see that they may read and push {self.name}",
            )
        if "immutable" in words.lower():
            raise ImageError(
                "the repository has another image under this tag",
                why=words,
                do="run it again: what is there is used, and a change of the inputs gives a new"
                " tag",
            )
        if answer.status == 404:
            raise ImageError(
                f"the registry {self.host} has no {self.name}, or not what was asked for",
                why=words,
                do="run `sageturner setup`, or correct the repository's or the image's name",
            )
        raise ImageError(
            f"the registry {self.host} answers {answer.status}",
            why=words,
            do="wait a little, then run it again: what has arrived is not sent again"
            if answer.status == 429
            else "run it again; if it stays so, see that the registry is well",
        )


class _UploadLost(Exception):
    """An upload that has to begin anew."""


def _parts(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """`chunks` joined and cut into parts of `PART` bytes; the last may be shorter."""
    held = bytearray()
    for chunk in chunks:
        held += chunk
        while len(held) >= PART:
            yield bytes(held[:PART])
            del held[:PART]
    if held:
        yield bytes(held)


def _delay(failures: int, answer: urllib3.BaseHTTPResponse | None) -> float:
    """Seconds to wait: what the registry asks for, else twice as long each time."""
    asked = answer.headers.get("Retry-After", "") if answer is not None else ""
    if asked.isdigit():
        return min(int(asked), 60)
    return float(min(0.2 * 2**failures, 10) * random.uniform(0.5, 1))


def _expired(answer: urllib3.BaseHTTPResponse) -> bool:
    """Whether new credentials would help although the answer is not 401: ECR's way to say so."""
    return answer.status == 403 and "token has expired" in _words(answer)


def _words(answer: urllib3.BaseHTTPResponse) -> str:
    """What a registry says is wrong, in its own words."""
    try:
        errors = json.loads(answer.data)["errors"]
        return "; ".join(f"{each['code']}: {each.get('message', '')}" for each in errors)
    except (ValueError, KeyError, TypeError):
        return answer.reason or f"HTTP status {answer.status}"
