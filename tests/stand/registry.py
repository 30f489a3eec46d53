"""The registry as ECR offers it: a real one behind, ECR's rules in front.

Tags and who may do what are ECR's affair; the registry behind holds blobs and manifests by
digest.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import threading
import time
import urllib.request
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from werkzeug.wrappers import Response

from tests.parts.ecr_uploads import Answer, EcrUploads
from tests.parts.registry import Registry, registry
from tests.stand.actions import Need, repository_arn
from tests.stand.ecr import Ecr, Token
from tests.stand.faults import Faults
from tests.stand.http import Server, break_off, forward, pieces
from tests.stand.iam import Iam
from tests.stand.wire import ACCOUNT, AwsFault

LAYERS = "/layers/"
MANIFEST_LIMIT = 4 << 20
PATH = re.compile(r"/v2/(?P<name>.+?)/(?P<kind>blobs/uploads|blobs|manifests|tags)/(?P<rest>.*)")
ACTIONS = {
    ("blobs/uploads", "POST"): "InitiateLayerUpload",
    ("blobs/uploads", "PATCH"): "UploadLayerPart",
    ("blobs/uploads", "PUT"): "CompleteLayerUpload",
    ("blobs/uploads", "GET"): "UploadLayerPart",
    ("blobs/uploads", "DELETE"): "UploadLayerPart",
    ("blobs", "HEAD"): "BatchCheckLayerAvailability",
    ("blobs", "GET"): "GetDownloadUrlForLayer",
    ("manifests", "HEAD"): "BatchGetImage",
    ("manifests", "GET"): "BatchGetImage",
    ("manifests", "PUT"): "PutImage",
    ("manifests", "DELETE"): "BatchDeleteImage",
    ("tags", "GET"): "ListImages",
}
"""What the registry's requests are called in IAM policies."""
PASSED_HEADERS = (
    "Accept",
    "Content-Length",
    "Content-Range",
    "Content-Type",
    "Range",
    "Transfer-Encoding",
)


class Registries:
    """A registry for each region that is used, as ECR has it."""

    def __init__(self, folder: Path, ecr: Ecr, iam: Iam, faults: Faults) -> None:
        self._folder = folder
        self._of_front = (ecr, iam, faults)
        self._fronts: dict[str, RegistryFront] = {}
        self._lock = threading.Lock()
        self._stack = ExitStack()
        ecr.host_of = lambda region: self.front(region).host
        ecr.remove_manifest = lambda region, name, digest: self.front(region).remove(name, digest)

    def front(self, region: str) -> RegistryFront:
        """The registry of a region; it starts when it is first asked for."""
        with self._lock:
            if region not in self._fronts:
                behind = self._stack.enter_context(registry(self._folder / region))
                front = self._fronts[region] = RegistryFront(region, behind, *self._of_front)
                self._stack.callback(front.server.stop)
            return self._fronts[region]

    @property
    def hosts(self) -> list[str]:
        return [front.host for front in self._fronts.values()]

    def close(self) -> None:
        """End them all."""
        self._stack.close()


class RegistryFront:
    """What Docker and other clients reach under ECR's repository URIs of a region."""

    def __init__(self, region: str, behind: Registry, ecr: Ecr, iam: Iam, faults: Faults) -> None:
        self._region = region
        self._behind = behind
        self._ecr = ecr
        self._iam = iam
        self._faults = faults
        self._downloads: dict[str, str] = {}
        self._uploads = EcrUploads()
        self.server = Server(self._handle)
        self.host = self.server.host

    def _handle(self, environ: dict[str, Any]) -> Response:
        try:
            if environ["PATH_INFO"].startswith(LAYERS):
                return self._download(environ, environ["PATH_INFO"].removeprefix(LAYERS))
            token = self._token(environ.get("HTTP_AUTHORIZATION", ""))
            # Docker asks without a password first, whoever it works for.
            if token is None or token.service:
                return self._answer(environ, token)
            return self._disturbed(environ, token)
        except AwsFault as fault:
            return _error(fault)

    def _disturbed(self, environ: dict[str, Any], token: Token) -> Response:
        """The answer, with the faults that are set."""
        last = self._faults.take("expire_token_after") == 1
        try:
            self._faults.strike("registry")
            return self._answer(environ, token)
        finally:
            if last:
                self._ecr.expire_tokens()

    def _answer(self, environ: dict[str, Any], token: Token | None) -> Response:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        if token is None:
            realm = f'Basic realm="http://{self.host}/",service="ecr.amazonaws.com"'
            return Response("Not Authorized", 401, {"WWW-Authenticate": realm})
        if token.expires < time.time():
            raise AwsFault(
                "DENIED",
                "Your authorization token has expired. Reauthenticate and try again.",
                403,
            )
        if token.region != self._region:
            # How ECR words it is unproven; that a token is for one region is documented.
            raise AwsFault("DENIED", "Your authorization token is of another region.", 403)
        if path == "/v2/":
            return Response(b"", 200, {"Docker-Distribution-Api-Version": "registry/2.0"})
        route = PATH.fullmatch(path)
        action = ACTIONS.get((route["kind"], method)) if route else None
        if route is None or action is None:
            raise AwsFault("UNSUPPORTED", f"{method} {path} is not supported", 405)
        name = route["name"]
        self._require(token, action, name)
        if self._ecr.repository(token.region, name) is None:
            raise AwsFault(
                "NAME_UNKNOWN",
                f"The repository with name '{name}' does not exist in the registry with id "
                f"'{ACCOUNT}'",
                404,
            )
        match route["kind"], method:
            case "manifests", "PUT":
                return self._put_manifest(environ, token, name, route["rest"])
            case "manifests", _:
                return self._manifest(environ, token, name, route["rest"])
            case "tags", _:
                return self._tags(token, name)
            case "blobs", "GET":
                return self._redirect(path)
            case "blobs/uploads", "POST":
                if self._mounts(token, name, environ.get("QUERY_STRING", "")):
                    return self._pass_on(environ, path)
                # What cannot be mounted is uploaded.
                environ["QUERY_STRING"] = ""
                return self._upload(environ, path)
            case "blobs/uploads", _:
                return self._upload(environ, path)
        return self._pass_on(environ, path)

    def _mounts(self, token: Token, name: str, query: str) -> bool:
        """Whether the request asks for a layer of another repository, and may have it."""
        asked = dict(parse_qsl(query))
        source, digest = asked.get("from", ""), asked.get("mount", "")
        if not source or not self._ecr.mounts(token.region, source, name, digest):
            return False
        try:
            self._require(token, "GetDownloadUrlForLayer", source)
        except AwsFault:
            return False
        return True

    def _upload(self, environ: dict[str, Any], path: str) -> Response:
        """Pass on what belongs to an upload, and answer as ECR does."""
        method, part = environ["REQUEST_METHOD"], environ.get("HTTP_CONTENT_RANGE", "")
        size = int(environ.get("CONTENT_LENGTH") or 0)
        if refusal := self._uploads.refuses(method, path, part, size):
            raise AwsFault(refusal.code, refusal.message, refusal.status)
        if method in ("PATCH", "PUT"):
            self._maybe_break_off(environ)
        target, _, environ["QUERY_STRING"] = self._uploads.target(
            path, environ.get("QUERY_STRING", "")
        ).partition("?")
        response = self._pass_on(environ, target)
        said = self._uploads.answered(
            method,
            path,
            part,
            Answer(
                response.status_code,
                response.headers.get("Location", ""),
                response.headers.get("Range", ""),
            ),
        )
        response.status_code = said.status
        if said.location:
            response.headers.update({"Location": said.location, "Range": said.range})
        return response

    def _token(self, header: str) -> Token | None:
        scheme, _, value = header.partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            login = base64.b64decode(value).decode()
        except ValueError:
            return None
        user, _, password = login.partition(":")
        return self._ecr.token(password) if user == "AWS" else None

    def _require(self, token: Token, action: str, name: str) -> None:
        need = Need(
            f"ecr:{action}",
            repository_arn(token.region, name),
            {"aws:RequestedRegion": token.region},
        )
        try:
            self._iam.require(token.principal, need, "ecr")
        except AwsFault as fault:
            raise AwsFault("DENIED", fault.message, 403) from None

    def _maybe_break_off(self, environ: Mapping[str, Any]) -> None:
        has_body = environ.get("CONTENT_LENGTH") not in (None, "", "0") or (
            "HTTP_TRANSFER_ENCODING" in environ
        )
        if has_body and self._faults.breaks_upload("registry"):
            break_off(environ)

    def _put_manifest(
        self, environ: dict[str, Any], token: Token, name: str, reference: str
    ) -> Response:
        manifest = b"".join(pieces(environ))
        if len(manifest) > MANIFEST_LIMIT:
            raise AwsFault("MANIFEST_INVALID", "Image manifest is larger than 4 MiB", 413)
        digest = f"sha256:{hashlib.sha256(manifest).hexdigest()}"
        tag = "" if reference.startswith("sha256:") else reference
        repository = self._ecr.repository(token.region, name)
        assert repository is not None
        if tag and repository.is_tag_immutable() and self._ecr.image(token.region, name, tag):
            raise AwsFault(
                "TAG_INVALID",
                f"The image tag '{tag}' already exists in the '{name}' repository and cannot be "
                "overwritten because the tag is immutable.",
            )
        media_type = environ.get("CONTENT_TYPE", "")
        headers = {**self._authorised(), "Content-Type": media_type}
        headers["Content-Length"] = str(len(manifest))
        path = f"/v2/{name}/manifests/{digest if tag else reference}"
        response = forward(self._behind.host, "PUT", path, headers, iter([manifest]))
        if response.status_code == 201:
            text = manifest.decode()
            self._ecr.record(token.region, name, text, media_type, digest, tag)
        return response

    def _manifest(
        self, environ: dict[str, Any], token: Token, name: str, reference: str
    ) -> Response:
        image = self._ecr.image(token.region, name, reference)
        if image is None:
            raise AwsFault("MANIFEST_UNKNOWN", "Requested image not found", 404)
        if environ["REQUEST_METHOD"] == "DELETE":
            raise AwsFault("UNSUPPORTED", "Images are deleted with BatchDeleteImage", 405)
        return self._pass_on(environ, f"/v2/{name}/manifests/{image.image_digest}")

    def _tags(self, token: Token, name: str) -> Response:
        repository = self._ecr.repository(token.region, name)
        assert repository is not None
        tags = [tag for image in repository.images for tag in image.image_tags]
        return Response(
            json.dumps({"name": name, "tags": sorted(tags)}), content_type="application/json"
        )

    def _redirect(self, path: str) -> Response:
        """ECR sends clients to S3 for a blob, which takes no further credentials."""
        nonce = secrets.token_urlsafe(16)
        self._downloads[nonce] = path
        port = self.host.rpartition(":")[2]
        return Response(b"", 307, {"Location": f"http://localhost:{port}{LAYERS}{nonce}"})

    def _download(self, environ: dict[str, Any], nonce: str) -> Response:
        if "HTTP_AUTHORIZATION" in environ:
            raise AwsFault("InvalidArgument", "Only one auth mechanism allowed", 400)
        if nonce not in self._downloads:
            raise AwsFault("AccessDenied", "Request has expired", 403)
        return self._pass_on(environ, self._downloads[nonce])

    def _pass_on(self, environ: dict[str, Any], path: str) -> Response:
        headers = {**self._authorised(), "Host": environ["HTTP_HOST"]}
        for name in PASSED_HEADERS:
            key = name.upper().replace("-", "_")
            key = key if key in ("CONTENT_LENGTH", "CONTENT_TYPE") else f"HTTP_{key}"
            if value := environ.get(key):
                headers[name] = value
        query = environ.get("QUERY_STRING", "")
        target = f"{path}?{query}" if query else path
        method = environ["REQUEST_METHOD"]
        return forward(self._behind.host, method, target, headers, pieces(environ))

    def _authorised(self) -> dict[str, str]:
        login = f"{self._behind.user}:{self._behind.password}"
        return {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}

    def blob(self, repository: str, digest: str) -> bytes:
        """A layer or configuration, whoever asks."""
        return self._behind.blob(repository, digest)

    def remove(self, repository: str, digest: str) -> None:
        """Remove a manifest."""
        url = f"http://{self._behind.host}/v2/{repository}/manifests/{digest}"
        request = urllib.request.Request(url, headers=self._authorised(), method="DELETE")
        urllib.request.urlopen(request).close()


def _error(fault: AwsFault) -> Response:
    body = json.dumps({"errors": [{"code": fault.code, "message": fault.message}]})
    return Response(body, fault.status, content_type="application/json")
