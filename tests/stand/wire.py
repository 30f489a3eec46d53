"""A request as AWS sees it, and the answers and errors in AWS's own encodings."""

from __future__ import annotations

import json
import struct
import uuid
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.sax.saxutils import escape

from moto.core.request import Request

ACCOUNT = "123456789012"
"""The account that the stand plays; moto's own default."""

Body = bytes | Iterator[bytes]


class AwsFault(Exception):
    """An error that the caller receives with this code, as boto3 would raise it.

    Attributes:
        code: `ValidationException`, `AccessDenied`, …
        message: The text that AWS gives.
        status: The HTTP status.
        members: Further members of the error's shape (`OriginalStatusCode`, …).
    """

    def __init__(self, code: str, message: str, status: int = 400, **members: Any) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.members = members


class DropConnection(Exception):
    """The connection is to be reset without an answer."""


@dataclass(frozen=True)
class Answer:
    """What goes back over HTTP; a body that is an iterator is streamed in chunks."""

    body: Body = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Call:
    """One request to an AWS API.

    Attributes:
        request: The HTTP request, for what the operation's parameters do not hold.
        service: botocore's name of the service (`s3`, `sagemaker-runtime`, …).
        region: The region it was signed for.
        operation: The operation's name (`CreateModel`).
        params: Its parameters: decoded JSON, the form, or the path's labels.
        access_key: The access key id that signed it; empty for an unsigned request.
        token: The session token that came with it, if any.
    """

    request: Request
    service: str
    region: str
    operation: str
    params: dict[str, Any]
    access_key: str
    token: str = ""


def json_answer(result: Mapping[str, Any]) -> Answer:
    body = json.dumps(result, default=str).encode()
    return Answer(body, 200, {"Content-Type": "application/x-amz-json-1.1", **_request_id()})


def error_answer(fault: AwsFault, service: str) -> Answer:
    """`fault` in the encoding that `service`'s clients expect."""
    if service == "s3":
        text = (
            f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{fault.code}</Code>'
            f"<Message>{escape(fault.message)}</Message></Error>"
        )
        return Answer(text.encode(), fault.status, {"Content-Type": "application/xml"})
    if service in ("iam", "sts"):
        text = (
            f"<ErrorResponse><Error><Type>Sender</Type><Code>{fault.code}</Code>"
            f"<Message>{escape(fault.message)}</Message></Error></ErrorResponse>"
        )
        return Answer(text.encode(), fault.status, {"Content-Type": "text/xml"})
    # A plain number as code stands for an answer that carries no error type.
    kind = {} if fault.code.isdigit() else {"x-amzn-ErrorType": fault.code}
    members = {"__type": fault.code, "message": fault.message, "Message": fault.message}
    body = json.dumps({**(members if kind else {}), **fault.members}).encode()
    headers = {"Content-Type": "application/x-amz-json-1.1", **kind, **_request_id()}
    return Answer(body, fault.status, headers)


def _request_id() -> dict[str, str]:
    return {"x-amzn-RequestId": str(uuid.uuid4())}


def event(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One message of `application/vnd.amazon.eventstream`.

    The layout is total length, headers' length, CRC of these, headers, payload, CRC of all.
    """
    encoded = b"".join(
        struct.pack("!B", len(name)) + name.encode() + b"\x07" + _sized(value)
        for name, value in headers.items()
    )
    prelude = struct.pack("!II", 16 + len(encoded) + len(payload), len(encoded))
    message = prelude + struct.pack("!I", zlib.crc32(prelude)) + encoded + payload
    return message + struct.pack("!I", zlib.crc32(message))


def _sized(text: str) -> bytes:
    data = text.encode()
    return struct.pack("!H", len(data)) + data


def payload_part(data: bytes) -> bytes:
    return event(
        {
            ":message-type": "event",
            ":event-type": "PayloadPart",
            ":content-type": "application/octet-stream",
        },
        data,
    )


def stream_error(kind: str, message: str, **members: str) -> bytes:
    return event(
        {
            ":message-type": "exception",
            ":exception-type": kind,
            ":content-type": "application/json",
        },
        json.dumps({"Message": message, **members}).encode(),
    )
