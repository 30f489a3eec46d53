"""What the arguments of a command ask for: the account, the payload, and how it is sent."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Callable
from typing import TYPE_CHECKING

from sageturner_magic.errors import UsageError

if TYPE_CHECKING:
    from sageturner_magic.deployment.request import AwsOptions
    from sageturner_magic.values import Request


def aws_options(arguments: Namespace) -> AwsOptions:
    """The profile and region that are asked for."""
    from sageturner_magic.deployment.request import AwsOptions

    return AwsOptions(arguments.profile, arguments.region)


def request_of(arguments: Namespace, example: Callable[[], object] | None = None) -> Request:
    """The request that the arguments describe, with the payload of `example` where none is given.

    Raises UsageError as `payload_of` and `example`, InvocationError as `encode`.
    """
    from sageturner_magic.targets.payload import encode

    if example is None or has_payload(arguments):
        payload, content_type = payload_of(arguments)
    else:
        payload, content_type = example(), arguments.content_type
    return encode(payload, content_type, arguments.accept, arguments.timeout)


def has_payload(arguments: Namespace) -> bool:
    """Whether a payload is given, in any of the three ways."""
    return arguments.payload is not None or arguments.file is not None


def payload_of(arguments: Namespace) -> tuple[object, str | None]:
    """The payload and its content type, None for the default.

    Raises UsageError where there is none, more than one, or one that is not JSON.
    """
    from sageturner_magic.targets.payload import read_payload

    text, content_type = arguments.payload, arguments.content_type
    if arguments.file and text is not None:
        raise UsageError("There is more than one payload", do="leave PAYLOAD or --file out")
    if arguments.file:
        return read_payload(arguments.file, content_type)
    if text is None:
        raise UsageError("There is no payload", do="write JSON, @FILE, or - for standard input")
    if text == "-":
        text = sys.stdin.read()
    elif text.startswith("@"):
        return read_payload(text[1:], content_type)
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
