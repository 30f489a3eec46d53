"""How ECR answers the upload of a blob, where the reference registry answers otherwise.

Sources: aws/containers-roadmap 2831 (201 for PATCH, a Range that sticks at the first part, a last
part in the PUT), dotnet/sdk 33019 (no state of an upload), apple/containerization 790 (the words
for a part out of order, and a number that is no multiple of a part: what arrived of a broken one
counts), ECR's API reference (sizes of parts; they bind clients that say which part they send:
Docker sends a layer of any size as one PATCH without a Content-Range).
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from urllib.parse import urlsplit

LEAST_PART = 5 << 20
"""Bytes of every part but the last (LayerPartTooSmallException)."""
LARGEST_PART = 20 << 20


@dataclass
class _Upload:
    arrived: int = 0
    first: int = 0
    short: bool = False
    query: str = ""


@dataclass(frozen=True)
class Answer:
    """What is said of an upload: a status, and the headers Location and Range."""

    status: int
    location: str
    range: str


@dataclass(frozen=True)
class Refusal:
    """An answer in place of the registry's."""

    status: int
    code: str
    message: str

    def body(self) -> bytes:
        """As the specification has errors."""
        return json.dumps({"errors": [{"code": self.code, "message": self.message}]}).encode()


class EcrUploads:
    """Uploads to one registry; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._uploads: dict[str, _Upload] = {}

    def refuses(self, method: str, path: str, content_range: str, size: int) -> Refusal | None:
        """What ECR says in place of passing on a request to `path`, without its query.

        Args:
            content_range: The header; empty where there is none.
            size: Bytes of the body.
        """
        if "/blobs/uploads/" not in path:
            return None
        if method == "GET":
            return Refusal(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")
        if method not in ("PATCH", "PUT") or not content_range:
            return None
        with self._lock:
            upload = self._uploads.setdefault(path, _Upload())
            first = int(content_range.partition("-")[0])
            if first != upload.arrived:
                return Refusal(
                    416,
                    "BLOB_UPLOAD_INVALID",
                    f"First byte of the layer part is {first} instead of {upload.arrived}",
                )
            if size > LARGEST_PART or upload.short:
                return Refusal(
                    400, "BLOB_UPLOAD_INVALID", "Layer parts must be 5 to 20 MiB, but the last"
                )
        return None

    def target(self, path: str, query: str) -> str:
        """Where a request goes on the registry behind: it keeps the state in the address."""
        upload = self._uploads.get(path)
        found = "&".join(filter(None, (upload.query if upload else "", query)))
        return f"{path}?{found}" if found else path

    def answered(self, method: str, path: str, content_range: str, answer: Answer) -> Answer:
        """ECR's answer for the registry's."""
        if "/blobs/uploads/" not in path or answer.status != 202:
            return answer
        place, _, query = answer.location.partition("?")
        with self._lock:
            key = urlsplit(place).path
            upload = self._uploads.setdefault(key, _Upload())
            upload.query = query
            if method != "PATCH":
                return Answer(answer.status, place, answer.range)
            upload.arrived = int(answer.range.rpartition("-")[2]) + 1
            upload.first = upload.first or upload.arrived
            first, _, last = content_range.partition("-")
            # What broke off is part of a part, which the client goes on with.
            whole = bool(last) and upload.arrived == int(last) + 1
            upload.short = whole and upload.arrived - int(first) < LEAST_PART
            return Answer(201, place, f"0-{upload.first - 1}")
