"""Sign in to registries of ECR, ours and others, and read what their addresses say."""

from __future__ import annotations

import base64
import re
import threading
import time

from sageturner_magic.aws.session import AwsSession
from sageturner_magic.values import Credentials

_RENEW_EARLY_S = 600
_REGISTRY = re.compile(
    r"(?P<account>\d{12})\.dkr[.-]ecr(-fips)?\.(?P<region>[a-z0-9-]+)\."
    r"(amazonaws\.com(\.cn)?|on\.aws|on\.amazonwebservices\.com\.cn)"
)
"""Hosts of private registries (ECR user guide, "Amazon ECR service endpoints")."""


class EcrCredentials:
    """Credentials of the registry, renewed before they expire; may be used by many threads.

    ECR's tokens last 12 hours. Permissions: ecr:GetAuthorizationToken.
    """

    def __init__(self, session: AwsSession) -> None:
        self._session = session
        self._lock = threading.Lock()
        self._credentials: Credentials | None = None
        self._expires = 0.0

    def get(self) -> Credentials:
        """Valid credentials, those from last time if they last. Raises AwsError."""
        with self._lock:
            if self._credentials is None or time.time() > self._expires - _RENEW_EARLY_S:
                self._fetch()
            return self._current()

    def renew(self, refused: Credentials) -> Credentials:
        """New credentials, after the registry has answered 401 to `refused`. Raises AwsError."""
        with self._lock:
            # Several uploads fail at once when a token expires; one fetch serves them all.
            if self._credentials == refused:
                self._fetch()
            return self._current()

    def _current(self) -> Credentials:
        if self._credentials is None:
            self._fetch()
        assert self._credentials is not None
        return self._credentials

    def _fetch(self) -> None:
        with self._session.call("sign in to the image registry", "Amazon ECR"):
            data = self._session.ecr.get_authorization_token()["authorizationData"][0]
        user, _, password = base64.b64decode(data["authorizationToken"]).decode().partition(":")
        self._credentials = Credentials(user, password)
        self._expires = data["expiresAt"].timestamp()


def ecr_region(host: str) -> str:
    """The region of a registry of ECR, whoever's account it is; empty for other registries."""
    _, region = _place(host)
    return region


def repository_arn_of(reference: str, partition: str) -> str:
    """The ARN of the ECR repository that an image's name points to; empty for other registries."""
    host, _, rest = reference.partition("/")
    account, region = _place(host)
    name = re.split("[:@]", rest, maxsplit=1)[0]
    return f"arn:{partition}:ecr:{region}:{account}:repository/{name}" if region else ""


def _place(host: str) -> tuple[str, str]:
    """Account and region of a registry of ECR; empty for other registries."""
    found = _REGISTRY.fullmatch(host)
    return (found["account"], found["region"]) if found else ("", "")


def registry_login(session: AwsSession, host: str) -> Credentials:
    """What signs in to the registry of ECR at `host`, which may be another account's.

    A token holds for every registry that the caller may read in its region (API reference,
    GetAuthorizationToken), such as AWS's own of the Deep Learning Containers.

    Permissions: ecr:GetAuthorizationToken. Raises AwsError.
    """
    region = ecr_region(host) or session.region
    return EcrCredentials(session.in_region(region)).get()
