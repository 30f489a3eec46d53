"""Sign requests to AWS: Signature Version 4 for calls that POST JSON to `/`.

Source: IAM user guide, "Create a signed AWS API request".
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True)
class Credentials:
    """Temporary or permanent credentials of AWS.

    Attributes:
        token: The session token; empty for permanent ones.
    """

    access_key: str
    secret_key: str = field(repr=False)
    token: str = field(default="", repr=False)


def signed_headers(
    host: str,
    headers: Mapping[str, str],
    body: bytes,
    credentials: Credentials,
    *,
    region: str,
    service: str,
    now: datetime,
) -> dict[str, str]:
    """`headers` with those that prove who sends `body` to `host`.

    Args:
        host: As the Host header has it, with the port where it is not the scheme's own.
        service: The signing name, such as `secretsmanager`.
        now: In UTC; AWS takes requests of the last five minutes.
    """
    time = now.strftime("%Y%m%dT%H%M%SZ")
    sent = {**headers, "Host": host, "X-Amz-Date": time}
    if credentials.token:
        sent["X-Amz-Security-Token"] = credentials.token
    lowered = sorted((name.lower(), " ".join(value.split())) for name, value in sent.items())
    names = ";".join(name for name, _ in lowered)
    lines = [f"{name}:{value}" for name, value in lowered]
    digest = hashlib.sha256(body).hexdigest()
    canonical = "\n".join(["POST", "/", "", *lines, "", names, digest])
    parts = (time[:8], region, service, "aws4_request")
    scope = "/".join(parts)
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    key = f"AWS4{credentials.secret_key}".encode()
    for part in (*parts, "\n".join([ALGORITHM, time, scope, hashed])):
        key = hmac.digest(key, part.encode(), "sha256")
    sent["Authorization"] = (
        f"{ALGORITHM} Credential={credentials.access_key}/{scope}, "
        f"SignedHeaders={names}, Signature={key.hex()}"
    )
    return sent
