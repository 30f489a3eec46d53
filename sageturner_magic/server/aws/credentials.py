"""Find the credentials of the endpoint's role, where AWS gives them to containers.

Source: AWS SDKs and tools reference guide, "Container credential provider" and "AWS access keys".
"""

from __future__ import annotations

import ipaddress
import json
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from .signing import Credentials

SECONDS = 5.0
"""How long the credentials' endpoint may take; it is on the same machine."""

_CONTAINER_HOST = "http://169.254.170.2"
_ALLOWED_HOSTS = ("169.254.170.2", "169.254.170.23", "fd00:ec2::23")


class NoCredentials(Exception):
    """There are no credentials; the message says where they were looked for."""


def find_credentials(environ: Mapping[str, str]) -> Credentials:
    """The credentials in the environment, or those of the endpoint that it names.

    Raises:
        NoCredentials: Neither gives any.
    """
    key, secret = environ.get("AWS_ACCESS_KEY_ID"), environ.get("AWS_SECRET_ACCESS_KEY")
    if key and secret:
        return Credentials(key, secret, environ.get("AWS_SESSION_TOKEN", ""))
    address = _address(environ)
    if not address:
        raise NoCredentials(
            "this container has no AWS credentials: neither AWS_CONTAINER_CREDENTIALS_RELATIVE_URI "
            "nor AWS_ACCESS_KEY_ID is set"
        )
    request = urllib.request.Request(address, headers=_authorization(environ))
    # No proxy knows this address.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=SECONDS) as response:
            found = json.load(response)
        return Credentials(found["AccessKeyId"], found["SecretAccessKey"], found.get("Token", ""))
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise NoCredentials(f"{address} gave no credentials: {error!r}") from None


def _address(environ: Mapping[str, str]) -> str:
    if relative := environ.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"):
        return _CONTAINER_HOST + relative
    full = environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI", "")
    if full and not _is_allowed(full):
        raise NoCredentials(
            f"AWS_CONTAINER_CREDENTIALS_FULL_URI is {full}, and only https or an address of this "
            "machine may give credentials"
        )
    return full


def _is_allowed(address: str) -> bool:
    parts = urlsplit(address)
    host = parts.hostname or ""
    if parts.scheme == "https" or host == "localhost" or host in _ALLOWED_HOSTS:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _authorization(environ: Mapping[str, str]) -> dict[str, str]:
    token = environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")
    if file := environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"):
        try:
            token = Path(file).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise NoCredentials(f"{file} cannot be read: {error.strerror}") from None
    return {"Authorization": token} if token else {}
