"""A client for registries: the Docker Registry HTTP API V2 (OCI distribution API)."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import urllib3

from sageturner_magic.constants import CHUNK, Architecture
from sageturner_magic.errors import ImageError
from sageturner_magic.image.registry.requests import (
    PASSING,
    TRIES,
    RegistryRequests,
    expected_byte,
    pause,
)
from sageturner_magic.image.spec import Destination
from sageturner_magic.values import ImageRef, Reporter

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
_MANIFESTS = ", ".join((DOCKER_MANIFEST, DOCKER_INDEX, OCI_MANIFEST, OCI_INDEX))

PART = 8 << 20
"""Bytes of an upload that are sent at once: ECR takes 5 to 20 MiB, and this much is held in
memory for each layer that is on its way."""

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
        self._registry = RegistryRequests(destination)
        self.host, self.name = self._registry.host, self._registry.name

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
                code="ST69",
            )
        if manifest.media_type != DOCKER_MANIFEST:
            raise ImageError(
                "the Docker engine pushed a manifest that SageMaker refuses",
                why=f"it is {manifest.media_type}, SageMaker takes {DOCKER_MANIFEST}",
                do="turn the engine's containerd image store off (Docker Desktop: Settings,"
                " General, `Use containerd for pulling and storing images`), or set"
                " `builder: layers`; delete the image in the registry before the next deploy",
                code="ST69",
            )
        found = self._reference(tag, manifest)
        if found.architecture != architecture:
            raise ImageError(
                f"the image in the registry is for {found.architecture}, not {architecture}",
                do="build it again for the right architecture",
                code="ST69",
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
        answer = self._registry.ask("GET", f"/manifests/{reference}", {"Accept": _MANIFESTS})
        if answer.status == 404:
            return None
        self._registry.expect(answer, 200)
        digest = f"sha256:{hashlib.sha256(answer.data).hexdigest()}"
        if reference.startswith("sha256:") and reference != digest:
            raise self._registry.corrupt(reference, digest)
        media_type = answer.headers.get("Content-Type", "").partition(";")[0]
        return Manifest(digest, media_type, json.loads(answer.data))

    def put_manifest(self, tag: str, content: bytes, media_type: str) -> str:
        """Store a manifest under `tag`; its digest."""
        answer = self._registry.ask(
            "PUT", f"/manifests/{tag}", {"Content-Type": media_type}, content
        )
        self._registry.expect(answer, 200, 201)
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        stored = answer.headers.get("Docker-Content-Digest", digest)
        if stored != digest:
            raise self._registry.corrupt(digest, stored)
        return digest

    # Blobs

    def has_blob(self, digest: str) -> bool:
        """Whether the repository has that blob."""
        answer = self._registry.ask("HEAD", f"/blobs/{digest}")
        if answer.status == 404:
            return False
        self._registry.expect(answer, 200)
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
            answer = self._registry.ask("GET", f"/blobs/{digest}", headers, streamed=True)
            with contextlib.closing(answer):
                self._registry.expect(answer, 200, 206)
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
                        raise self._registry.silent(error) from None
                    pause(failures)
        if hashed and f"sha256:{hashed.hexdigest()}" != digest:
            raise self._registry.corrupt(digest, f"sha256:{hashed.hexdigest()}")

    def mount(self, digest: str, source: str) -> bool:
        """Take a blob over from the repository `source` of this registry, if it allows that."""
        query = urlencode({"mount": digest, "from": source})
        answer = self._registry.ask("POST", f"/blobs/uploads/?{query}")
        if answer.status == 202:
            # Not mounted; an upload was begun instead, which nobody needs.
            self._registry.ask("DELETE", self._registry.location(answer))
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
                code="ST69",
            )

    def _upload(self, digest: str, size: int, read: Read, reporter: Reporter, title: str) -> None:
        begun = self._registry.ask("POST", "/blobs/uploads/")
        self._registry.expect(begun, 202)
        upload = _Upload(self._registry, self._registry.location(begun), reporter)
        parts = _parts(read(0))
        part = next(parts, b"")
        # All but the last part are sent on their own; the last one ends the upload.
        for following in parts:
            upload.send("PATCH", part)
            reporter.progress(upload.done, size, "B", title)
            part = following
        upload.send("PUT", part, urlencode({"digest": digest}))
        reporter.progress(size, size, "B", title)


class _UploadLost(Exception):
    """An upload that has to begin anew."""


class _Upload:
    """An upload that is under way, part after part.

    Attributes:
        done: Bytes that have arrived.
    """

    def __init__(self, registry: RegistryRequests, location: str, reporter: Reporter) -> None:
        self._registry = registry
        self._location = location
        self._reporter = reporter
        # ECR answers a part with 201 where the specification has 202, keeps the upload at one
        # place, shows no state of it (GET is answered by 404), and refuses a part that does not
        # follow with the number of bytes that it has (aws/containers-roadmap 2831,
        # dotnet/sdk 33019, apple/containerization 790).
        self._as_ecr = False
        self.done = 0

    def send(self, method: str, part: bytes, query: str = "") -> None:
        """Send the next part, what is missing of it again, until all has arrived.

        Raises:
            _UploadLost: The registry does not let the upload go on.
            ImageError: The registry refuses it.
        """
        for failures in range(1, TRIES + 1):
            self._reporter.checkpoint()
            headers = {"Content-Type": "application/octet-stream"}
            if part and (self.done or method == "PATCH"):
                headers["Content-Range"] = f"{self.done}-{self.done + len(part) - 1}"
            separator = "&" if urlsplit(self._location).query else "?"
            url = f"{self._location}{separator}{query}" if query else self._location
            answer = self._registry.try_once(method, url, headers, part)
            if answer is not None and answer.status in (201, 202, 204):
                self._as_ecr |= method == "PATCH" and answer.status == 201
                self._location = self._registry.location(answer, self._location)
                self.done += len(part)
                return
            if answer is not None and answer.status == 404:
                raise _UploadLost
            if answer is not None and answer.status not in {*PASSING, 416}:
                self._registry.expect(answer, 201)
            pause(failures, answer)
            arrived = self._arrived(answer)
            # The reference registry says 0-0 of an upload without a byte and of one with one.
            if arrived == 1 or not self.done <= arrived <= self.done + len(part):
                raise _UploadLost
            part, self.done = part[arrived - self.done :], arrived
            if not part and method == "PATCH":
                return
        raise _UploadLost

    def _arrived(self, refusal: urllib3.BaseHTTPResponse | None) -> int:
        """How many bytes have arrived, as far as the registry tells."""
        if refusal is not None and (told := expected_byte(refusal)) is not None:
            return told
        if self._as_ecr:
            return self.done
        state = self._registry.ask("GET", self._location)
        if state.status != 204:
            raise _UploadLost
        self._location = self._registry.location(state, self._location)
        return int(state.headers.get("Range", "0--1").rpartition("-")[2] or -1) + 1


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
