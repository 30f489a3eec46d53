"""EventBridge Scheduler: moto keeps the schedules, this carries out those that call SageMaker.

A one-time schedule assumes its role and calls the API at its time, on a clock that tests move
(`advance`). https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-targets-universal.html
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

from moto.scheduler.models import EventBridgeSchedulerBackend, Schedule, scheduler_backends
from werkzeug.wrappers import Response

from tests.stand.actions import needs
from tests.stand.faults import Faults
from tests.stand.iam import Iam
from tests.stand.sagemaker.api import SageMaker
from tests.stand.wire import ACCOUNT, AwsFault, Call

SERVICE = "scheduler.amazonaws.com"
TARGET = "arn:aws:scheduler:::aws-sdk:sagemaker:"
AT = re.compile(r"at\((\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\)")
FIRST_RETRY_S, LONGEST_WAIT_S = 1.0, 3600.0

Key = tuple[str, str, str]
"""Region, group and name of a schedule."""


@dataclass(frozen=True)
class Event:
    """An invocation of a target that is under way, until it succeeds or is given up."""

    schedule: Schedule
    began: float
    next: float
    attempts: int = 0


class Scheduler:
    """Serves the API and carries schedules out, in a thread of its own until `close`."""

    def __init__(self, iam: Iam, sagemaker: SageMaker, faults: Faults) -> None:
        self._iam = iam
        self._sagemaker = sagemaker
        self._faults = faults
        self._ahead = 0.0
        self._events: dict[Key, Event] = {}
        self._changed = threading.Condition(threading.RLock())
        self._closing = False
        self.attempts: list[tuple[str, str]] = []
        """Every call of a target: the schedule's name, and `done` or the error."""
        self._thread = threading.Thread(target=self._run, name="scheduler", daemon=True)
        self._thread.start()

    def now(self) -> float:
        """Seconds since 1970 on the scheduler's clock."""
        return time.time() + self._ahead

    def advance(self, seconds: float) -> None:
        """Move the clock on; returns when all that was due by then has been tried."""
        with self._changed:
            self._ahead += seconds
            self._carry_out()
            self._changed.notify_all()

    def reset(self) -> None:
        """The clock shows the real time again, and no call waits for a retry."""
        with self._changed:
            self._ahead = 0.0
            self._events.clear()

    def close(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    def handle(self, call: Call, moto: Callable[[], Response]) -> Response:
        """The answer to a call. Raises AwsFault."""
        with self._changed:
            if call.operation in ("CreateSchedule", "UpdateSchedule"):
                self._check(call)
            answer = moto()
            if call.operation == "UpdateSchedule" and answer.status_code == 200:
                # What UpdateSchedule leaves out gets its default; moto keeps or empties it.
                found = _backend(call.region).get_schedule(
                    call.params.get("GroupName"), call.params["Name"]
                )
                found.action_after_completion = call.params.get("ActionAfterCompletion", "NONE")
                found.state = call.params.get("State", "ENABLED")
            self._changed.notify_all()
            return answer

    def _check(self, call: Call) -> None:
        expression = call.params.get("ScheduleExpression", "")
        if not AT.fullmatch(expression) and not re.match(r"(rate|cron)\(.+\)", expression):
            raise AwsFault("ValidationException", f"Invalid Schedule Expression {expression}.")
        self._assume(call.params["Target"]["RoleArn"], call.region)

    def _assume(self, role: str, region: str) -> Any:
        context = {
            "aws:SourceAccount": ACCOUNT,
            "aws:SourceArn": f"arn:aws:scheduler:{region}:{ACCOUNT}:schedule-group/default",
        }
        found = self._iam.assumed(role, SERVICE, context)
        if found is None:
            raise AwsFault(
                "ValidationException",
                "The execution role you provide must allow AWS EventBridge Scheduler to assume "
                "the role.",
            )
        return found

    def _run(self) -> None:
        with self._changed:
            while not self._closing:
                self._carry_out()
                times = [event.next for event in self._events.values()]
                times += [at for _, _, at in self._waiting()]
                self._changed.wait(max(0.0, min(times) - self.now()) if times else None)

    def _waiting(self) -> list[tuple[Key, Schedule, float]]:
        """Enabled one-time schedules that have not begun."""
        return [
            (key, schedule, _time_of(schedule))
            for region in list(scheduler_backends[ACCOUNT])
            for group in _backend(region).schedule_groups.values()
            for schedule in group.schedules.values()
            if schedule.state == "ENABLED"
            and AT.fullmatch(schedule.schedule_expression)
            and (key := (region, group.name, schedule.name)) not in self._events
        ]

    def _carry_out(self) -> None:
        now = self.now()
        for key, schedule, at in self._waiting():
            if at <= now:
                self._events[key] = Event(schedule, at, at)
        for key, event in list(self._events.items()):
            if event.next > now:
                continue
            failure = self._call(key[0], event.schedule)
            self.attempts.append((event.schedule.name, failure or "done"))
            wait = min(FIRST_RETRY_S * 2**event.attempts, LONGEST_WAIT_S)
            tried = replace(event, attempts=event.attempts + 1, next=now + wait)
            policy = event.schedule.target["RetryPolicy"]
            if (
                not failure
                # What is not allowed is not tried again.
                or failure.startswith("AccessDenied")
                or tried.attempts > policy.get("MaximumRetryAttempts", 185)
                or tried.next - tried.began > policy.get("MaximumEventAgeInSeconds", 86400)
            ):
                self._finish(key, event.schedule)
            else:
                self._events[key] = tried

    def _finish(self, key: Key, schedule: Schedule) -> None:
        self._events.pop(key, None)
        groups = _backend(key[0]).schedule_groups
        present = groups[key[1]].schedules.get(key[2]) if key[1] in groups else None
        if present is not schedule:
            return
        if schedule.action_after_completion == "DELETE":
            groups[key[1]].delete_schedule(key[2])
        else:
            schedule.state = "DISABLED"

    def _call(self, region: str, schedule: Schedule) -> str:
        """Call the schedule's target once; the error, or nothing."""
        target = schedule.target
        operation = target["Arn"].removeprefix(TARGET)
        params = json.loads(target.get("Input") or "{}")
        operation = operation[:1].upper() + operation[1:]
        call = Call(None, "sagemaker", region, operation, params, "")  # type: ignore[arg-type]
        try:
            role = self._assume(target["RoleArn"], region)
            self._faults.strike("sagemaker")
            self._faults.strike_operation("sagemaker", operation)
            for need in needs(call):
                self._iam.require(role, need, "sagemaker")
            self._sagemaker.handle(call)
        except AwsFault as fault:
            return str(fault)
        return ""


def _backend(region: str) -> EventBridgeSchedulerBackend:
    return scheduler_backends[ACCOUNT][region]


def _time_of(schedule: Schedule) -> float:
    match = AT.fullmatch(schedule.schedule_expression)
    assert match and schedule.schedule_expression_timezone == "UTC"
    return datetime.fromisoformat(match[1]).replace(tzinfo=timezone.utc).timestamp()
