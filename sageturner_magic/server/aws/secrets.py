"""Read secrets from Secrets Manager and from Systems Manager's parameters.

Sources: API references of GetSecretValue and GetParameter; AWS SDKs and tools reference guide,
"Service-specific endpoints".
"""

from __future__ import annotations

import base64
import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlsplit

from ..settings import Secrets
from .credentials import NoCredentials, find_credentials
from .signing import Credentials, signed_headers

SECONDS = 10.0
"""How long one call may take."""

TRIES = 4
"""For a call that meets a broken connection, throttling or an error of AWS's own."""

PARAMETER = "ssm:"
"""The beginning of a reference to a parameter of Systems Manager."""

_SUFFIXES = {
    "cn-": "amazonaws.com.cn",
    "eu-isoe-": "cloud.adc-e.uk",
    "eusc-": "amazonaws.eu",
    "us-iso-": "c2s.ic.gov",
    "us-isob-": "sc2s.sgov.gov",
    "us-isof-": "csp.hci.ic.gov",
}
"""Beginning of a region's name -> domain of AWS there; botocore's endpoint rules are the source."""

_SENTENCES = {
    "AccessDenied": "the endpoint's role may not read it ({said}). Run `sageturner setup`, which"
    " allows the role to, or give the role the statement that `sageturner plan` shows",
    "ResourceNotFound": "there is no such secret in {region}. Create it with"
    " `sageturner secret put {reference}`, or correct its name under `secrets:`",
    "ParameterNotFound": "there is no such parameter in {region}. Create it with"
    " `sageturner secret put {reference}`, or correct its name under `secrets:`",
}


class SecretError(Exception):
    """A secret that cannot be read; the message names it and what to do, and has no value."""


class _Refused(Exception):
    """AWS's error: its code and message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}" if message else code)
        self.code = code


def read_secrets(sources: Secrets, environ: Mapping[str, str]) -> dict[str, str]:
    """The value of every secret, by its environment variable.

    Raises:
        SecretError: One cannot be read.
    """
    references = sources.references
    wanted = {name: each for name, each in references.items() if each}
    found = {name: environ[name] for name in references if name not in wanted and name in environ}
    if not wanted:
        return found
    region = sources.region or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION", "")
    try:
        credentials = find_credentials(environ)
    except NoCredentials as error:
        raise SecretError(f"the secrets {', '.join(wanted)} cannot be read: {error}") from None
    read: dict[str, str] = {}
    for name, reference in wanted.items():
        whole, _, key = reference.partition("#")
        arn = whole.removeprefix(PARAMETER).split(":")
        place = arn[3] if len(arn) > 5 else region
        try:
            if whole not in read:
                read[whole] = _read(whole, place, credentials, environ)
            found[name] = _part(read[whole], key)
        except (_Refused, OSError, ValueError) as error:
            raise SecretError(
                f"the secret {name} (`{reference}`) cannot be read: {_why(error, reference, place)}"
            ) from None
    return found


def _why(error: Exception, reference: str, region: str) -> str:
    code = error.code if isinstance(error, _Refused) else ""
    for beginning, sentence in _SENTENCES.items():
        if code.startswith(beginning):
            return sentence.format(said=error, reference=reference, region=region)
    return str(error)


def _part(value: str, key: str) -> str:
    if not key:
        return value
    # What json says of a text that is none would show the text.
    try:
        object_ = json.loads(value)
    except ValueError:
        object_ = None
    if not isinstance(object_, dict):
        raise ValueError(f"it is not a JSON object, so it has no `#{key}`: remove `#{key}`")
    if key not in object_:
        raise ValueError(f"it has no key `{key}`: correct what follows `#` under `secrets:`")
    part = object_[key]
    return part if isinstance(part, str) else json.dumps(part)


def _read(reference: str, region: str, credentials: Credentials, environ: Mapping[str, str]) -> str:
    if not region:
        raise ValueError("the region is not known: write the secret's ARN under `secrets:`")
    if _is_parameter(reference):
        name = reference.removeprefix(PARAMETER)
        asked = {"Name": name, "WithDecryption": True}
        said = _call("ssm", "AmazonSSM.GetParameter", asked, region, credentials, environ)
        return str(said["Parameter"]["Value"])
    asked = {"SecretId": reference}
    target = "secretsmanager.GetSecretValue"
    said = _call("secretsmanager", target, asked, region, credentials, environ)
    if "SecretString" in said:
        return str(said["SecretString"])
    try:
        return base64.b64decode(said["SecretBinary"]).decode()
    except UnicodeDecodeError:
        raise ValueError("it is not text, and an environment variable has to be") from None


def _is_parameter(reference: str) -> bool:
    return reference.startswith(PARAMETER) or reference.split(":")[2:3] == ["ssm"]


def endpoint_of(service: str, region: str, environ: Mapping[str, str]) -> str:
    """The address of a service: the environment's, as the SDKs read it, or AWS's own."""
    own = {"secretsmanager": "SECRETS_MANAGER", "ssm": "SSM"}[service]
    given = environ.get(f"AWS_ENDPOINT_URL_{own}") or environ.get("AWS_ENDPOINT_URL")
    if given and environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() != "true":
        return given.rstrip("/")
    suffixes = (suffix for begin, suffix in _SUFFIXES.items() if region.startswith(begin))
    return f"https://{service}.{region}.{next(suffixes, 'amazonaws.com')}"


def _call(
    service: str,
    target: str,
    asked: Mapping[str, object],
    region: str,
    credentials: Credentials,
    environ: Mapping[str, str],
) -> dict[str, Any]:
    address = endpoint_of(service, region, environ)
    body = json.dumps(asked).encode()
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": target}
    for attempt in range(TRIES):
        signed = signed_headers(
            urlsplit(address).netloc,
            headers,
            body,
            credentials,
            region=region,
            service=service,
            now=datetime.now(timezone.utc),
        )
        try:
            return _send(urllib.request.Request(f"{address}/", body, signed))
        except (_Refused, OSError) as error:
            if attempt == TRIES - 1 or not _is_passing(error):
                raise
            time.sleep(0.5 * 2**attempt)
    raise AssertionError


def _send(request: urllib.request.Request) -> dict[str, Any]:
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as response:
            said: dict[str, Any] = json.load(response)
            return said
    except urllib.error.HTTPError as error:
        with error:
            text = error.read()
        try:
            said = json.loads(text)
            code = str(said["__type"]).rpartition("#")[2]
        except (ValueError, LookupError, TypeError):
            raise _Refused(f"InternalFailure{error.code}", error.reason) from None
        raise _Refused(code, str(said.get("message") or said.get("Message") or "")) from None


def _is_passing(error: _Refused | OSError) -> bool:
    code = error.code if isinstance(error, _Refused) else "InternalFailure"
    return code.startswith(("Throttl", "Internal", "TooManyRequests", "ServiceUnavailable"))
