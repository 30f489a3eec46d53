"""Translate errors of boto3 to AwsError, with the tables of `symptoms`."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from sageturner_magic.aws import permissions
from sageturner_magic.aws.symptoms import (
    CREDENTIALS,
    ENDPOINT_LOG,
    LAST_ERROR,
    NETWORK,
    PING,
    TABLE,
    Row,
)
from sageturner_magic.errors import AwsError, Finding

T = TypeVar("T")


_DENIED_PARTS = re.compile(
    r"is not authorized to perform:? (?P<action>[\w\-]+:\w+)"
    r"(?: on resource: \"?(?P<resource>[^\s\"]+)\"?)?"
)
_GPU = re.compile(r"ml\.(p\d|g\d)")
_CODES = {**dict.fromkeys(CREDENTIALS, "ST71"), **dict.fromkeys(NETWORK, "ST79")}
"""The kinds of problems that are narrower than "AWS refused a call"."""


class _Blanks(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return ""


def code(error: BaseException) -> str:
    """AWS's error code (`NoSuchBucket`), or the name of the class where there is none."""
    answer: Mapping[str, Any] = getattr(error, "response", None) or {}
    return str(answer.get("Error", {}).get("Code", "") or type(error).__name__)


def message(error: BaseException) -> str:
    """`Code: message` as AWS sent it."""
    answer: Mapping[str, Any] = getattr(error, "response", None) or {}
    text = answer.get("Error", {}).get("Message", "") if answer else str(error)
    return f"{code(error)}: {' '.join(str(text).split())}"


def is_aws(error: BaseException) -> bool:
    """Whether `error` comes from boto3: an answer of AWS, the network, credentials."""
    from botocore.exceptions import BotoCoreError, ClientError

    return isinstance(error, (BotoCoreError, ClientError))


REFUSED = r"^(AccessDenied\w*|UnauthorizedOperation|UnauthorizedException|403)\b"
"""How AWS begins when the caller is not allowed a call."""


@contextmanager
def courtesy(notes: list[Finding]) -> Iterator[None]:
    """Turn an AwsError raised inside into a note: what is done inside is useful, not necessary.

    Args:
        notes: Takes the note.
    """
    try:
        yield
    except AwsError as error:
        notes += _as_notes(error)


@contextmanager
def refusals(notes: list[Finding]) -> Iterator[None]:
    """Turn an AwsError that says "you may not" into a note; all others pass."""
    try:
        yield
    except AwsError as error:
        if not refused(error):
            raise
        notes += _as_notes(error)


def refused(error: AwsError) -> bool:
    """Whether the caller is not allowed what failed."""
    cause = error.__cause__
    return cause is not None and bool(re.match(REFUSED, message(cause)))


def _as_notes(error: AwsError) -> list[Finding]:
    return [
        Finding(each.what, why=each.why, where=each.where, severity="note")
        for each in error.findings
    ]


def unless(missing: str, call: Callable[[], T]) -> T | None:
    """What `call()` returns, or None if AWS answers with an error that matches `missing`.

    Args:
        missing: A regular expression, searched for in `Code: message`.
        call: Makes one call of AWS.
    """
    try:
        return call()
    except Exception as error:
        if is_aws(error) and re.search(missing, message(error), re.IGNORECASE):
            return None
        raise


def patiently(
    unready: str,
    call: Callable[[], T],
    *,
    seconds: float,
    pause: Callable[[float], None] = time.sleep,
    say: Callable[[str], object] = lambda line: None,
) -> T:
    """What `call()` returns; it is repeated for `seconds` while AWS's answer matches `unready`.

    Args:
        unready: A regular expression, searched for in `Code: message`.
        call: May be made again after it failed.
        seconds: How long to wait in all; then the error is raised.
        pause: Waits so many seconds.
        say: Told once what is waited for.
    """
    waited, delay = 0.0, 1.0
    while True:
        try:
            return call()
        except Exception as error:
            known = is_aws(error) and re.search(unready, message(error), re.IGNORECASE)
            if waited >= seconds or not known:
                raise
            if not waited:
                say(f"waiting up to {seconds:.0f} s: {message(error)}")
        pause(delay)
        waited, delay = waited + delay, min(delay * 2, 15.0)


@contextmanager
def aws_call(
    what: str,
    where: str = "",
    *,
    profile: str | None = None,
    region: str = "",
    resource: str = "*",
) -> Iterator[None]:
    """Errors of AWS raised inside become an AwsError; all others pass. See `translate`."""
    try:
        yield
    except Exception as error:
        if not is_aws(error):
            raise
        raise translate(
            error, what=what, where=where, profile=profile, region=region, resource=resource
        ) from error


def translate(
    error: BaseException,
    *,
    what: str,
    where: str = "",
    profile: str | None = None,
    region: str = "",
    resource: str = "*",
) -> AwsError:
    """The AwsError for an error of boto3: `what` failed, why, and what to do.

    Args:
        error: A ClientError or BotoCoreError.
        what: What was being done, as an infinitive (`create the bucket`).
        where: The user's name of the thing it was done to.
        profile: The profile in use, for the command to run.
        region: The region in use.
        resource: The ARN for the missing statement where AWS's message has none.
    """
    text = message(error)
    finding = _denied(error, text, resource) or explain(text, profile=profile, region=region)
    if finding is None:
        finding = Finding(
            "",
            why=f"AWS answered {text}",
            do="look the code up in the service's documentation, and run the same command again: "
            "it continues where this one stopped",
        )
    details = "\n".join(part for part in (finding.details, _request(error)) if part)
    return AwsError(
        f"Could not {what}",
        why=finding.why,
        do=finding.do,
        where=where,
        details=details,
        code=finding.code,
    )


def explain(
    text: str, *, profile: str | None = None, region: str = "", instance_type: str = ""
) -> Finding | None:
    """What the table says about `Code: message`, a FailureReason or a registry's answer.

    Returns None where no row fits.
    """
    return look_up(
        TABLE, text, profile=profile, region=region, instance_type=instance_type
    ) or look_up(ENDPOINT_LOG[:1], text, instance_type=instance_type)


def explain_model(text: str) -> Finding | None:
    """What the table knows about an error of a model's code: a line `Type: message`, or a log.

    Returns:
        The cause and the remedy of the last line that a row fits; None where none does.
    """
    lines = reversed(text.splitlines())
    return next((found for line in lines if (found := look_up(ENDPOINT_LOG, line))), None)


def diagnose(
    failure_reason: str,
    log_tail: str,
    *,
    instance_type: str = "",
    region: str = "",
) -> Finding:
    """Why an endpoint failed, from its FailureReason and the last lines of its log.

    Args:
        failure_reason: From DescribeEndpoint; may be empty.
        log_tail: The last lines of the log group; may be empty.
        instance_type: Empty for serverless.
        region: For links.
    """
    context = {"region": region, "instance_type": instance_type or "this serverless endpoint"}
    finding: Finding | None = None
    if not PING.search(failure_reason):
        finding = explain(failure_reason, region=region, instance_type=context["instance_type"])
    if finding is None and _GPU.match(instance_type) and "CannotStartContainer" in failure_reason:
        finding = explain_model(log_tail) or _old_driver(instance_type)
    if finding is None:
        for line in reversed(log_tail.splitlines()):
            if finding := look_up((*ENDPOINT_LOG, *LAST_ERROR), line, **context):
                break
        else:
            finding = look_up((*ENDPOINT_LOG, *LAST_ERROR), failure_reason, **context)
    if finding is None and PING.search(failure_reason):
        finding = _no_ping(log_tail, instance_type)
    if finding is None:
        finding = Finding(
            "",
            why=failure_reason or "AWS gives no reason",
            do="see the log below, and deploy again",
        )
    details = [f"AWS says: {failure_reason}"] if failure_reason else []
    if log_tail:
        details.append("The endpoint's log ended with:\n" + log_tail.rstrip())
    return Finding(
        "The endpoint did not start",
        why=finding.why,
        do=finding.do,
        details="\n".join(details),
        code="ST86",
    )


def _old_driver(instance_type: str) -> Finding:
    # https://docs.aws.amazon.com/sagemaker/latest/dg/inference-gpu-drivers.html
    return Finding(
        "",
        why=f"on a GPU instance such as {instance_type} this means most often that its NVIDIA"
        " driver is older than the image's CUDA",
        do="set `compute.server.inference_ami_version: al2023-ami-sagemaker-inference-gpu-4-1`;"
        " where that is set, look whether the image takes `docker run IMAGE serve`",
    )


def _no_ping(log_tail: str, instance_type: str) -> Finding:
    if not log_tail.strip() and _GPU.match(instance_type):
        return Finding(
            "",
            why="the container died before it wrote a line, which on a GPU instance means that "
            "the instance's NVIDIA driver is older than the image's CUDA",
            do="set `compute.server.inference_ami_version: al2023-ami-sagemaker-inference-gpu-4-1`",
        )
    if instance_type:
        do = "raise `compute.server.startup_timeout_s` (up to 3600) if loading takes long"
    else:
        do = "make loading faster: serverless allows 3 minutes for download and load together"
    return Finding(
        "",
        why="nothing answered GET /ping on port 8080 in time",
        do=f"{do}; a container of your own must listen on 0.0.0.0:8080",
    )


def look_up(
    rows: tuple[Row, ...], text: str, *, profile: str | None = None, **context: str
) -> Finding | None:
    """What the first of `rows` that fits `text` says, `context` filled in; None if none fits."""
    for row in rows:
        if match := row.pattern.search(text):
            known = _Blanks(context)
            known["profile"] = f" --profile {profile}" if profile else ""
            known["message"] = text.partition(": ")[2] or text
            known.update({name: value for name, value in match.groupdict().items() if value})
            return Finding(
                "",
                why=row.why.format_map(known),
                do=row.do.format_map(known),
                code=_CODES.get(row, ""),
            )
    return None


def _denied(error: BaseException, text: str, resource: str) -> Finding | None:
    if not re.match(REFUSED, text):
        return None
    parts = _DENIED_PARTS.search(text)
    if parts:
        needed = [parts["action"]]
        resource = parts["resource"] or resource
    else:
        needed = _actions(error)
    if not needed:
        return None
    names = " and ".join(needed)
    statement = json.dumps(statement_for(needed, resource), indent=2)
    if "explicit deny" in text:
        policy = re.search(r"explicit deny in an? ([\w\- ]+?policy|permissions boundary)", text)
        return Finding(
            "",
            why=f"you may not {names} on {resource}: "
            f"{policy[1] if policy else 'a policy'} denies it explicitly",
            do="ask whoever keeps that policy; a further allowing statement does not help",
            code="ST72",
        )
    return Finding(
        "",
        why=f"the permission {names} on {resource} is missing",
        do="add the statement below to your user or role (`sageturner setup --show-policy` prints "
        "all that are needed)",
        details=statement,
        code="ST72",
    )


def statement_for(needed: list[str], resource: str) -> dict[str, object]:
    """The policy statement that allows `needed` (IAM actions) on `resource` (an ARN)."""
    action: object = needed[0] if len(needed) == 1 else needed
    return {"Effect": "Allow", "Action": action, "Resource": resource}


def _actions(error: BaseException) -> list[str]:
    # Only S3 answers without naming the action, and with no body at all to a HEAD.
    import botocore.session

    operation = getattr(error, "operation_name", "")
    s3 = botocore.session.get_session().get_service_model("s3")
    return list(permissions.actions("s3", operation)) if operation in s3.operation_names else []


def _request(error: BaseException) -> str:
    answer: Mapping[str, Any] = getattr(error, "response", None) or {}
    request = answer.get("ResponseMetadata", {}).get("RequestId")
    return f"Request ID: {request}" if request else ""
