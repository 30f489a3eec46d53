"""ECR's control plane: moto's, with tokens that the registry accepts and images that are there."""

from __future__ import annotations

import base64
import json
import math
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from moto.ecr.models import ECRBackend, Image, Repository, ecr_backends
from werkzeug.wrappers import Response

from tests.stand.faults import Faults
from tests.stand.http import respond
from tests.stand.iam import Principal
from tests.stand.wire import ACCOUNT, AwsFault, Call, json_answer

BLOB_MOUNTING = "BLOB_MOUNTING"


class PushedImage(Image):
    """An image that lies in the registry: its digest and its layers' size are the real ones."""

    def get_image_size_in_bytes(self) -> int | None:
        manifest = json.loads(self.image_manifest)
        if "layers" not in manifest:
            return None
        sizes: list[int] = [part["size"] for part in (manifest["config"], *manifest["layers"])]
        return sum(sizes)


@dataclass
class Token:
    """What a registry password stands for.

    Attributes:
        principal: Who it was given to.
        region: Whose repositories it is for.
        expires: Until when it holds (`time.time()`).
        service: It is SageMaker's own, for a pull, which faults do not touch.
    """

    principal: Principal
    region: str
    expires: float
    service: bool = False


class Ecr:
    """Tokens and image records of one stand.

    Attributes:
        host_of: Where a region's registry is reached, `127.0.0.1:port`.
        remove_manifest: Removes a manifest, by region, repository and digest, from the registry.
        settings: What PutAccountSetting was told, by region and name.
    """

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._tokens: dict[str, Token] = {}
        self.settings: dict[tuple[str, str], str] = {}
        self.host_of: Callable[[str], str] = lambda region: ""
        self.remove_manifest: Callable[[str, str, str], None] = lambda region, name, digest: None

    def issue(self, principal: Principal, region: str) -> tuple[str, float]:
        """A new password for the registry, and when it expires."""
        password = secrets.token_urlsafe(600)
        expires = time.time() + self._faults.token_lifetime_s
        self._tokens[password] = Token(principal, region, expires)
        return password, expires

    def issue_for_service(self, role: Principal, region: str) -> str:
        """A password with which SageMaker pulls in the name of `role`."""
        password = secrets.token_urlsafe(600)
        self._tokens[password] = Token(role, region, math.inf, service=True)
        return password

    def token(self, password: str) -> Token | None:
        """The token of that password, expired or not."""
        return self._tokens.get(password)

    def expire_tokens(self) -> None:
        """Every token that was given out so far is expired from now on."""
        for token in list(self._tokens.values()):
            if not token.service:
                token.expires = 0

    def handle(
        self, call: Call, principal: Principal, moto: Callable[[], Response]
    ) -> Response | None:
        """The answer to an ECR call, or None where moto's own is right."""
        match call.operation:
            case "GetAuthorizationToken":
                password, expires = self.issue(principal, call.region)
                token = base64.b64encode(f"AWS:{password}".encode()).decode()
                data = {
                    "authorizationToken": token,
                    "expiresAt": expires,
                    "proxyEndpoint": f"http://{self.host_of(call.region)}",
                }
                return respond(json_answer({"authorizationData": [data]}))
            case "GetAccountSetting" | "PutAccountSetting":
                return respond(json_answer(self._setting(call)))
            case "BatchDeleteImage" | "DeleteRepository":
                return self._delete(call, moto)
            case "InitiateLayerUpload" | "UploadLayerPart" | "CompleteLayerUpload" | "PutImage":
                raise AwsFault(
                    "UnsupportedCommandException",
                    "The stand takes images through the registry's API only.",
                )
        return None

    def _setting(self, call: Call) -> dict[str, str]:
        """API reference, PutAccountSetting: BLOB_MOUNTING is one of three, and off at first."""
        name, asked = str(call.params["name"]), call.params.get("value")
        if name != BLOB_MOUNTING or asked not in (None, "ENABLED", "DISABLED"):
            raise AwsFault("InvalidParameterException", f"Invalid parameter: {name} {asked}")
        if asked:
            self.settings[call.region, name] = str(asked)
        return {"name": name, "value": self.settings.get((call.region, name), "DISABLED")}

    def mounts(self, region: str, source: str, target: str, digest: str) -> bool:
        """Whether a layer of one repository may be had in another without an upload.

        ECR user guide, "Blob mounting"; that a manifest has to refer to the layer is
        aws/containers-roadmap 2860.
        """
        if self.settings.get((region, BLOB_MOUNTING)) != "ENABLED":
            return False
        pair = self.repository(region, source), self.repository(region, target)
        if pair[0] is None or pair[1] is None:
            return False
        if pair[0].encryption_configuration != pair[1].encryption_configuration:
            return False
        return any(digest in image.image_manifest for image in pair[0].images)

    def repository(self, region: str, name: str) -> Repository | None:
        return self._backend(region).repositories.get(name)

    def image(self, region: str, repository: str, reference: str) -> Image | None:
        """The image with that tag or digest."""
        found = self.repository(region, repository)
        for image in found.images if found else ():
            if reference in (image.image_digest, *image.image_tags):
                return image
        return None

    def record(
        self, region: str, repository: str, manifest: str, media_type: str, digest: str, tag: str
    ) -> None:
        """Note what was pushed; a tag that was on another image moves."""
        found = self._backend(region).repositories[repository]
        for image in found.images:
            if tag:
                image.remove_tag(tag)
        known = self.image(region, repository, digest)
        if known is None:
            # moto keeps an untagged image with the tag None.
            none: Any = None
            known = PushedImage(ACCOUNT, none, manifest, repository, media_type, digest)
            found.images.append(known)
        if tag:
            known.update_tag(tag)

    def tags_of(self, region: str, arn: str) -> dict[str, str]:
        found: dict[str, str] = self._backend(region).tagger.get_tag_dict_for_resource(arn)
        return found

    def _delete(self, call: Call, moto: Callable[[], Response]) -> Response:
        name = call.params["repositoryName"]
        before = self._digests(call.region, name)
        response = moto()
        for digest in before - self._digests(call.region, name):
            self.remove_manifest(call.region, name, digest)
        return response

    def _digests(self, region: str, repository: str) -> set[str]:
        found = self.repository(region, repository)
        return {image.image_digest for image in found.images} if found else set()

    @staticmethod
    def _backend(region: str) -> ECRBackend:
        return ecr_backends[ACCOUNT][region]
