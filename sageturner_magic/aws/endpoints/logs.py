"""Read and delete the CloudWatch logs of endpoints.

AmazonSageMakerFullAccess grants DescribeLogStreams and GetLogEvents, and not FilterLogEvents.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sageturner_magic.aws.errors import courtesy, explain_model, unless
from sageturner_magic.aws.freshness import once_seen
from sageturner_magic.aws.names import TAG_CREATED_BY, TAG_ENDPOINT, log_group, own_tags
from sageturner_magic.aws.session import AwsSession
from sageturner_magic.errors import Finding

if TYPE_CHECKING:
    from mypy_boto3_logs.type_defs import LogGroupTypeDef, LogStreamTypeDef, OutputLogEventTypeDef

_NO_GROUP = r"^ResourceNotFoundException"
_POLL_S = 2.0
_STREAMS = 50
"""Streams that are read, the newest first; an instance writes one of each kind."""


@dataclass(frozen=True)
class LogLine:
    """A line of a log. Attributes: time (seconds since 1970), stream, text."""

    time: float
    stream: str
    text: str


def tail_log(session: AwsSession, group: str, limit: int = 100) -> tuple[LogLine, ...]:
    """The last `limit` lines over all streams of a group, oldest first; none if there is none.

    Permissions: logs:DescribeLogStreams, logs:GetLogEvents. Raises AwsError.
    """
    with session.call("read the log", group):
        lines: list[LogLine] = []
        for stream in _streams(session, group):
            lines += _last(session, group, stream, min(limit, 10_000))
    return tuple(_in_order(lines)[-limit:]) if limit > 0 else ()


def start_log(session: AwsSession, group: str, began: float, limit: int = 50) -> str:
    """The end of the log of a start that failed, after `began` (seconds since 1970).

    Other containers of the endpoint may serve and start meanwhile: the newest stream that names a
    known cause is preferred to what was written last.

    Permissions and errors: as `tail_log`.
    """
    with session.call("read the log", group):
        found = [
            [line.text for line in _last(session, group, stream, limit) if line.time >= began]
            for stream in _streams(session, group, since=began)
        ]
    texts = ["\n".join(lines) for lines in found if lines]
    return next(filter(explain_model, texts), next(iter(texts), ""))


def follow_log(
    session: AwsSession,
    group: str,
    *,
    since: float = 0.0,
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[LogLine]:
    """Lines as they are written, each once, for ever; a group that does not exist yet may come.

    Permissions and errors: as `tail`.

    Args:
        session: Who asks.
        group: The log group.
        since: Lines of this time (seconds since 1970) and later.
        pause: Called with the seconds to wait when there is nothing new; what it raises ends
            the following.
    """
    tokens: dict[str, str] = {}
    while True:
        found: list[LogLine] = []
        with session.call("read the log", group):
            for stream in _streams(session, group):
                found += _new(session, group, stream, since, tokens)
        yield from _in_order(found)
        if not found:
            pause(_POLL_S)


def claim_group(session: AwsSession, endpoint: str) -> tuple[Finding, ...]:
    """Tag the log group of an endpoint of ours, which SageMaker has made, as ours too.

    So teardown knows it after the endpoint is gone. Nothing where there is no group yet.

    Permissions: logs:TagResource.

    Returns:
        A note where it could not be tagged.
    """
    group, notes = log_group(endpoint), list[Finding]()
    tags = {**own_tags(session), TAG_ENDPOINT: endpoint}
    with courtesy(notes), session.call("tag the log", group, resource=_arn(session, group)):
        unless(
            _NO_GROUP,
            lambda: session.logs.tag_resource(resourceArn=_arn(session, group), tags=tags),
        )
    return tuple(notes)


def our_log_groups(session: AwsSession) -> tuple[str, ...]:
    """The log groups of endpoints, present and past, that sageturner made.

    Permissions: logs:DescribeLogGroups, logs:ListTagsForResource. Raises AwsError.
    """
    with session.call("list the logs", "Amazon CloudWatch"):
        pages = session.logs.get_paginator("describe_log_groups").paginate(
            logGroupNamePrefix=log_group("")
        )
        found = [group for page in pages for group in page["logGroups"]]
        return tuple(group["logGroupName"] for group in found if _is_ours(session, group))


def delete_log_group(session: AwsSession, group: str) -> bool:
    """Delete a log group; whether there was one. Permissions: logs:DeleteLogGroup."""
    with session.call("delete the log", group, resource=_arn(session, group)):
        answer = unless(_NO_GROUP, lambda: session.logs.delete_log_group(logGroupName=group))
        return answer is not None


def _is_ours(session: AwsSession, group: LogGroupTypeDef) -> bool:
    arn = _arn(session, group["logGroupName"])

    def tags() -> Mapping[str, str] | None:
        answer = unless(_NO_GROUP, lambda: session.logs.list_tags_for_resource(resourceArn=arn))
        return answer["tags"] if answer else None

    found = once_seen(
        tags,
        lambda tags: tags is None or TAG_CREATED_BY in tags,
        lambda: group["creationTime"] / 1000,
    )
    return bool(found and TAG_CREATED_BY in found)


def _arn(session: AwsSession, group: str) -> str:
    return f"arn:{session.partition}:logs:{session.region}:{session.account}:log-group:{group}"


def _streams(session: AwsSession, group: str, since: float = 0.0) -> list[str]:
    """The streams that were created or written last and after `since`, the newest first.

    All are listed: a serverless endpoint makes one at each cold start, and CloudWatch's order by
    LastEventTime is up to an hour late (API reference, LogStream).
    """
    pages = session.logs.get_paginator("describe_log_streams").paginate(logGroupName=group)
    found = unless(_NO_GROUP, lambda: [stream for page in pages for stream in page["logStreams"]])
    newest = sorted(found or (), key=_last_sign, reverse=True)
    return [
        stream["logStreamName"]
        for stream in newest[:_STREAMS]
        if _last_sign(stream) >= int(since * 1000)
    ]


def _last_sign(stream: LogStreamTypeDef) -> int:
    """The latest time, in ms since 1970, at which CloudWatch knows that the stream was in use."""
    times = (stream.get("creationTime"), stream.get("lastEventTimestamp"))
    return max(time or 0 for time in (*times, stream.get("lastIngestionTime")))


def _last(session: AwsSession, group: str, stream: str, limit: int) -> list[LogLine]:
    """The last page of a stream that holds anything."""
    position: dict[str, str] = {}
    while True:
        answer = unless(
            _NO_GROUP,
            lambda position=position: session.logs.get_log_events(  # type: ignore[misc]
                logGroupName=group, logStreamName=stream, limit=limit, **position
            ),
        )
        if answer is None:
            return []
        if answer["events"] or answer.get("nextBackwardToken") in (None, position.get("nextToken")):
            return _lines(stream, answer["events"])
        # CloudWatch may answer with an empty page although there are older events.
        position = {"nextToken": answer["nextBackwardToken"]}


def _in_order(lines: list[LogLine]) -> list[LogLine]:
    """By time. Lines of one millisecond, as those of a traceback are, stay as they were written."""
    return sorted(lines, key=lambda line: line.time)


def _lines(stream: str, events: Iterable[OutputLogEventTypeDef]) -> list[LogLine]:
    return [
        LogLine(event["timestamp"] / 1000, stream, event["message"].rstrip("\n"))
        for event in events
    ]


def _new(
    session: AwsSession, group: str, stream: str, since: float, tokens: dict[str, str]
) -> Iterator[LogLine]:
    """The events of a stream after the token of last time, page by page."""
    while True:
        position = {"nextToken": tokens[stream]} if stream in tokens else {}
        answer = unless(
            _NO_GROUP,
            lambda position=position: session.logs.get_log_events(  # type: ignore[misc]
                logGroupName=group,
                logStreamName=stream,
                startFromHead=True,
                startTime=int(since * 1000),
                **position,
            ),
        )
        if answer is None:
            return
        yield from _lines(stream, answer["events"])
        token = answer.get("nextForwardToken", "")
        # CloudWatch hands out the same token at the end of a stream; a page before it may be empty.
        if not token or token == tokens.get(stream):
            return
        tokens[stream] = token
