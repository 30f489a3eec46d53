"""What the arguments of a command ask for: the account, the payload, and how it is sent."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from typing import TYPE_CHECKING, Any

from sageturner_magic.errors import UsageError

if TYPE_CHECKING:
    from sageturner_magic.deployment.request import AwsOptions


def aws_options(arguments: Namespace) -> AwsOptions:
    """The profile and region that are asked for."""
    from sageturner_magic.deployment.request import AwsOptions

    return AwsOptions(arguments.profile, arguments.region)


def request_of(arguments: Namespace, *, needed: bool = True) -> tuple[object, dict[str, Any]]:
    """The payload (None where none is given nor `needed`), and how it is sent.

    Raises UsageError, as `payload_of`.
    """
    given = arguments.payload is not None or arguments.file
    payload, content_type = payload_of(arguments) if given or needed else (None, None)
    return payload, {
        "content_type": content_type,
        "accept": arguments.accept,
        "timeout_s": arguments.timeout,
        "aws": aws_options(arguments),
    }


def payload_of(arguments: Namespace) -> tuple[object, str | None]:
    """The payload and its content type, None for JSON's.

    Raises UsageError where there is none, more than one, or one that is not JSON.
    """
    from sageturner_magic.deployment import asking

    text, content_type = arguments.payload, arguments.content_type
    if arguments.file and text is not None:
        raise UsageError("There is more than one payload", do="leave PAYLOAD or --file out")
    if arguments.file:
        return asking.read_payload(arguments.file, content_type)
    if text is None:
        raise UsageError("There is no payload", do="write JSON, @FILE, or - for standard input")
    if text == "-":
        text = sys.stdin.read()
    elif text.startswith("@"):
        return asking.read_payload(text[1:], content_type)
    if content_type and content_type != "application/json":
        return text.encode(), content_type
    try:
        return json.loads(text), content_type
    except ValueError as error:
        raise UsageError(
            "The payload is not JSON",
            why=str(error),
            do="quote it for your shell: '{\"key\": 1}', or send a file with @FILE",
        ) from None
