"""Write a request as code to copy, for a shell or for Python."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from sageturner_magic.endpoints.payload import JSON, decode, media_type
from sageturner_magic.endpoints.prediction import SentRequest

INLINE = 2000
"""Characters of a body that stand in a line; a longer one is read from a file."""


@dataclass(frozen=True)
class Snippet:
    """`code` to copy, and what it is in (`curl`, `Python`, …)."""

    label: str
    code: str


def client_snippets(endpoint: str, sent: SentRequest) -> tuple[Snippet, ...]:
    """How to send the request again: curl and Python, on SageMaker boto3, the AWS CLI and Python.

    A body that is binary or long is taken from a file that the code names.
    """
    if sent.url:
        return (Snippet("curl", curl_command(sent)), Snippet("Python", _python(endpoint, sent)))
    return (
        Snippet("boto3", _boto3(endpoint, sent)),
        Snippet("AWS CLI", _aws_cli(endpoint, sent)),
        Snippet("Python", _python(endpoint, sent)),
    )


def _inline(sent: SentRequest) -> str | None:
    """The body as text, or None where it does not fit into a line."""
    try:
        text = sent.body.decode()
    except UnicodeDecodeError:
        return None
    return text if len(text) <= INLINE and text.isprintable() else None


def _file(sent: SentRequest) -> str:
    """A name for the file that the body is read from."""
    kinds = {JSON: "json", "text/csv": "csv", "image/png": "png", "image/jpeg": "jpg"}
    return f"request.{kinds.get(media_type(sent.content_type), 'bin')}"


def curl_command(sent: SentRequest) -> str:
    """A command that sends a request to a local endpoint."""
    headers = {**sent.headers}
    headers.pop("Authorization", None)  # Command lines are seen by others, and output is saved.
    options = [f"-H {shlex.quote(f'{key}: {value}')}" for key, value in headers.items()]
    if sent.header_file:
        options.append(f"-H {shlex.quote(f'@{sent.header_file}')}")
    text = _inline(sent)
    # curl reads a file where the data begins with @.
    if text is None or text.startswith("@"):
        options.append(f"--data-binary @{_file(sent)}")
    else:
        options.append(f"--data-binary {shlex.quote(text)}")
    return _shell(f"curl {sent.url}/invocations", options)


def _aws_cli(endpoint: str, sent: SentRequest) -> str:
    options = [f"--endpoint-name {endpoint}", f"--content-type {shlex.quote(sent.content_type)}"]
    if sent.accept:
        options.append(f"--accept {shlex.quote(sent.accept)}")
    for name, value in sent.options.dashed.items():
        options.append(f"--{name.lower()} {shlex.quote(value)}")
    text = _inline(sent)
    # Version 1 of the AWS CLI takes text as it is and version 2 as base64; both read a file.
    options.append(f"--body fileb://{_file(sent) if text is None else '/dev/stdin'}")
    options.append(f"--region {sent.region}")
    if sent.profile:
        options.append(f"--profile {shlex.quote(sent.profile)}")
    given = "" if text is None else f"printf %s {shlex.quote(text)} | "
    return _shell(f"{given}aws sagemaker-runtime invoke-endpoint", [*options, "answer"])


def _shell(command: str, options: list[str]) -> str:
    return " \\\n  ".join([command, *options])


def _boto3(endpoint: str, sent: SentRequest) -> str:
    profile = f"profile_name={sent.profile!r}, " if sent.profile else ""
    text = _inline(sent)
    body = _read(sent) if text is None else repr(text)
    arguments = [f"EndpointName={endpoint!r}", f"ContentType={sent.content_type!r}"]
    if sent.accept:
        arguments.append(f"Accept={sent.accept!r}")
    arguments += [f"{name}={value!r}" for name, value in sent.options.given.items()]
    return "\n".join(
        [
            "import boto3",
            "",
            f"session = boto3.Session({profile}region_name={sent.region!r})",
            'answer = session.client("sagemaker-runtime").invoke_endpoint(',
            *(f"    {argument}," for argument in [*arguments, f"Body={body}"]),
            ")",
            'print(answer["Body"].read())',
        ]
    )


def _python(endpoint: str, sent: SentRequest) -> str:
    place = [repr(endpoint)]
    if sent.region:
        place.append(f"region={sent.region!r}")
    if sent.profile:
        place.append(f"profile={sent.profile!r}")
    text = _inline(sent)
    is_json = media_type(sent.content_type) == JSON
    if text is None:
        request = [_read(sent)]
    else:
        request = [repr(decode(sent.body, JSON) if is_json else text)]
    if not is_json or text is None:
        request.append(f"content_type={sent.content_type!r}")
    if sent.accept:
        request.append(f"accept={sent.accept!r}")
    for name, value in sent.options.dashed.items():
        request.append(f"{name.lower().replace('-', '_')}={value!r}")
    return "\n".join(
        [
            "from sageturner_magic import Endpoint",
            "",
            f"endpoint = Endpoint({', '.join(place)})",
            f"print(endpoint.invoke({', '.join(request)}).value)",
        ]
    )


def _read(sent: SentRequest) -> str:
    return f'open("{_file(sent)}", "rb").read()'
