"""Logs: the end of them, and what is added while one looks."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.stub import Stubber

from sageturner_magic.aws.endpoints import logs
from sageturner_magic.aws.endpoints.logs import LogLine
from sageturner_magic.aws.session import AwsSession
from sageturner_magic.errors import AwsError, DeploymentCancelled

GROUP = "/aws/sagemaker/Endpoints/digits"


class FakeLogs:
    """A log group in memory, with CloudWatch's tokens: the same one again at the end."""

    def __init__(self, session: AwsSession, page: int = 2) -> None:
        self.streams: dict[str, list[tuple[int, str]]] | None = {}
        self.page = page
        self.calls: list[str] = []
        events = session.logs.meta.events
        events.register("before-parameter-build", self._remember)
        events.register("before-call", self._answer)

    def _remember(self, params: Any, context: Any, **_: Any) -> None:
        context["asked"] = params

    def _answer(self, model: Any, context: Any, **_: Any) -> Any:
        self.calls.append(model.name)
        if self.streams is None:
            error = {"Code": "ResourceNotFoundException", "Message": "no group"}
            return SimpleNamespace(status_code=400), {"Error": error, "ResponseMetadata": {}}
        asked = context["asked"]
        if model.name == "DescribeLogStreams":
            return SimpleNamespace(status_code=200), self._listed(asked)
        return SimpleNamespace(status_code=200), self._events(asked)

    def _listed(self, asked: Any) -> Any:
        # By name, in pages of 50. Each stream is created at its first line; LastEventTime is late.
        assert self.streams is not None
        first = int(asked.get("nextToken", 0))
        found = [
            {"logStreamName": name, "creationTime": lines[0][0] if lines else 0}
            for name, lines in sorted(self.streams.items())
        ]
        more = {"nextToken": str(first + 50)} if first + 50 < len(found) else {}
        return {"logStreams": found[first : first + 50], **more}

    def _events(self, asked: Any) -> Any:
        assert self.streams is not None
        start = asked.get("startTime", 0)
        lines = [line for line in self.streams[asked["logStreamName"]] if line[0] >= start]
        if asked.get("startFromHead"):
            at = int(asked.get("nextToken", "f/0")[2:])
            found = lines[at : at + self.page]
            tokens = {"nextForwardToken": f"f/{at + len(found)}"}
        else:
            # CloudWatch's first page from the end may be empty.
            first = "nextToken" not in asked
            found = [] if first else lines[-asked["limit"] :]
            tokens = {"nextBackwardToken": "b/1"}
        return {"events": [{"timestamp": t, "message": m} for t, m in found], **tokens}


@pytest.fixture
def fake(session: AwsSession) -> FakeLogs:
    return FakeLogs(session)


def test_the_tail_is_the_last_lines_over_all_streams_in_order(
    session: AwsSession, fake: FakeLogs
) -> None:
    fake.streams = {"a": [(1000, "one\n"), (3000, "three")], "b": [(2000, "two"), (4000, "four")]}
    assert [line.text for line in logs.tail_log(session, GROUP, 3)] == ["two", "three", "four"]
    assert logs.tail_log(session, GROUP, 1) == (LogLine(4.0, "b", "four"),)


def test_lines_of_one_millisecond_stay_in_the_order_in_which_they_were_written(
    session: AwsSession, fake: FakeLogs
) -> None:
    traceback = [
        "Traceback (most recent call last):",
        "  File 'x.py', line 1",
        "    1 / 0",
        "Z: no",
    ]
    fake.page = 10
    fake.streams = {"a": [(1000, line) for line in traceback], "b": [(2000, "after")]}
    assert [line.text for line in logs.tail_log(session, GROUP, 4)] == [*traceback[1:], "after"]
    followed = logs.follow_log(session, GROUP, pause=lambda seconds: None)
    assert [line.text for line in islice(followed, 5)] == [*traceback, "after"]


def test_a_group_that_does_not_exist_has_no_lines(session: AwsSession, fake: FakeLogs) -> None:
    fake.streams = None
    assert logs.tail_log(session, GROUP) == ()


def test_only_the_two_calls_that_sagemaker_users_have_are_made(
    session: AwsSession, fake: FakeLogs
) -> None:
    fake.streams = {"a": [(1000, "one")]}
    logs.tail_log(session, GROUP)
    next(logs.follow_log(session, GROUP))
    assert set(fake.calls) == {"DescribeLogStreams", "GetLogEvents"}


def test_following_yields_each_line_once_also_of_streams_that_come_later(
    session: AwsSession, fake: FakeLogs
) -> None:
    fake.streams = None
    waits = 0

    def pause(seconds: float) -> None:
        nonlocal waits
        waits += 1
        if waits == 1:
            fake.streams = {"a": [(i * 1000, f"a{i}") for i in range(5)]}
        elif waits == 2:
            assert fake.streams is not None
            fake.streams["a"].append((9000, "a5"))
            fake.streams["b"] = [(8000, "b0")]
        elif waits > 3:
            raise DeploymentCancelled("enough")

    found: list[str] = []
    with pytest.raises(DeploymentCancelled):
        for line in logs.follow_log(session, GROUP, pause=pause):
            found.append(line.text)
    assert found == ["a0", "a1", "a2", "a3", "a4", "b0", "a5"]


def test_following_may_begin_at_a_time(session: AwsSession, fake: FakeLogs) -> None:
    fake.streams = {"a": [(1000, "old"), (5000, "new")]}
    assert [line.text for line in islice(logs.follow_log(session, GROUP, since=4.0), 1)] == ["new"]


def test_missing_permission_names_the_action(
    session: AwsSession, stub: Callable[[object], Stubber]
) -> None:
    stub(session.logs).add_client_error(
        "describe_log_streams",
        "AccessDeniedException",
        "User: x is not authorized to perform: logs:DescribeLogStreams on resource: arn:x",
    )
    with pytest.raises(AwsError, match="logs:DescribeLogStreams on arn:x"):
        logs.tail_log(session, GROUP)


def test_the_newest_stream_is_found_among_those_of_many_cold_starts(
    session: AwsSession, fake: FakeLogs
) -> None:
    fake.streams = {f"{n:03}": [(n * 1000, f"start {n}")] for n in range(1, 180)}
    fake.streams["zzz"] = [(900_000, "the last start")]
    assert logs.tail_log(session, GROUP, 1)[0].text == "the last start"


def test_the_log_of_a_start_that_failed_is_not_that_of_the_containers_that_serve(
    session: AwsSession, fake: FakeLogs
) -> None:
    fake.streams = {f"serves {n:03}": [(500_000 + n, "200 POST /invocations")] for n in range(45)}
    fake.streams["former"] = [(1000, "ModuleNotFoundError: No module named 'former'")]
    fake.streams["failed"] = [
        (400_000, "loading"),
        (400_001, "ModuleNotFoundError: No module named 'xgboost'"),
    ]
    told = logs.start_log(session, GROUP, began=300.0)
    assert told == "loading\nModuleNotFoundError: No module named 'xgboost'"
    del fake.streams["failed"]
    assert logs.start_log(session, GROUP, began=300.0) == "200 POST /invocations"
    assert logs.start_log(session, GROUP, began=600.0) == ""
