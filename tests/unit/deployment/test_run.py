"""Steps run in the order they need each other; errors and cancelling leave nothing behind."""

import asyncio
import threading
from contextlib import contextmanager

import pytest

from sageturner_magic.deployment.events import Deployment, Ended, StepEnded, StepLogged
from sageturner_magic.deployment.plan import Done, Plan, Step
from sageturner_magic.deployment.run import DeploymentHandle, execute
from sageturner_magic.errors import DeploymentCancelled, EndpointError, Finding, SageturnerError

DEPLOYED = Deployment("m", "local", "v", "http://127.0.0.1:1", "t", "In[1]", 1.0)


class Lock:
    """Records whether a plan's lock was entered and how it was left."""

    def __init__(self):
        self.said = []

    @contextmanager
    def __call__(self):
        self.said.append("entered")
        try:
            yield
            self.said.append("kept")
        except BaseException:
            self.said.append("undone")
            raise


def plan_of(*steps, lock=None, findings=()):
    return Plan("m", "local", "v", (), findings, steps, lock or Lock(), lambda: DEPLOYED)


def run(*steps, lock=None):
    events = []
    plan = plan_of(*steps, lock=lock)
    execute(lambda reporter, workspace: plan, events.append, threading.Event())
    return events


def ended(events):
    return [(event.step, event.outcome) for event in events if isinstance(event, StepEnded)]


def test_a_step_starts_when_those_it_needs_have_ended():
    order = []

    def step(key, *needs):
        return Step(key, key, lambda reporter: order.append(key) or Done(), needs)

    run(step("c", "a", "b"), step("a"), step("b", "a"))
    assert order == ["a", "b", "c"]


def test_steps_that_need_each_other_or_one_that_is_not_there_are_refused():
    lock, ran = Lock(), []

    def step(key, *needs):
        return Step(key, key, lambda reporter: ran.append(key) or Done(), needs)

    with pytest.raises(SageturnerError, match="CycleError"):
        run(step("a", "b"), step("b", "a"), lock=lock)
    with pytest.raises(SageturnerError, match="KeyError: 'b'"):
        run(step("a", "b"), lock=lock)
    assert ran == [] and lock.said == ["entered", "undone"] * 2


def test_independent_steps_run_at_the_same_time():
    meet = threading.Barrier(2, timeout=30)

    def wait(reporter):
        meet.wait()
        return Done()

    assert ended(run(Step("a", "A", wait), Step("b", "B", wait)))[1:] in (
        [("a", "done"), ("b", "done")],
        [("b", "done"), ("a", "done")],
    )


def test_the_first_error_stops_the_rest_and_undoes():
    lock = Lock()

    def fail(reporter):
        raise EndpointError("no")

    with pytest.raises(EndpointError):
        run(Step("a", "A", fail), Step("b", "B", lambda r: Done(), ("a",)), lock=lock)
    assert lock.said == ["entered", "undone"]


def test_a_concurrent_step_is_told_to_stop_and_the_cause_is_what_is_raised():
    started = threading.Event()

    def fail(reporter):
        started.wait(30)
        raise EndpointError("the cause")

    def long(reporter):
        started.set()
        while True:
            reporter.checkpoint()

    with pytest.raises(EndpointError, match="the cause"):
        run(Step("a", "A", fail), Step("b", "B", long))


def test_an_error_of_ours_becomes_a_message_with_a_next_step():
    def bug(reporter):
        return 1 / 0

    with pytest.raises(
        SageturnerError, match="a bug of sageturner_magic: ZeroDivisionError"
    ) as raised:
        run(Step("a", "A", bug))
    assert "Do: report it" in str(raised.value)


def test_nothing_is_entered_when_the_plan_fails():
    events = []

    def refuse(reporter, workspace):
        raise SageturnerError.of([Finding("a"), Finding("b")])

    with pytest.raises(SageturnerError, match="2 problems"):
        execute(refuse, events.append, threading.Event())
    assert ended(events) == [("check", "failed")]
    assert isinstance(events[-1], Ended) and events[-1].error is not None


def test_the_workspace_is_gone_afterwards():
    seen = []

    def make(reporter, workspace):
        (workspace / "file").write_text("x")
        seen.append(workspace)
        return plan_of()

    execute(make, lambda event: None, threading.Event())
    assert not seen[0].exists()


def test_events_of_concurrent_steps_come_one_at_a_time():
    inside = threading.Lock()

    def emit(event):
        assert inside.acquire(blocking=False)
        inside.release()

    def chatter(reporter):
        for number in range(500):
            reporter.log(str(number))
        return Done()

    plan = plan_of(*(Step(key, key, chatter) for key in "abcd"))
    execute(lambda reporter, workspace: plan, emit, threading.Event())


def test_a_handle_gives_the_deployment():
    handle = DeploymentHandle("m", lambda reporter, workspace: plan_of())
    assert handle.wait(30) == DEPLOYED
    assert handle.status == "done"


def test_a_handle_can_be_awaited():
    async def main():
        return await DeploymentHandle("m", lambda reporter, workspace: plan_of())

    assert asyncio.run(main()) == DEPLOYED


def test_cancel_stops_a_running_step_and_undoes():
    lock = Lock()
    started = threading.Event()

    def long(reporter):
        started.set()
        while True:
            reporter.checkpoint()

    handle = DeploymentHandle(
        "m", lambda reporter, workspace: plan_of(Step("a", "A", long), lock=lock)
    )
    assert started.wait(30)
    handle.cancel()
    with pytest.raises(DeploymentCancelled):
        handle.wait(30)
    assert handle.status == "cancelled"
    assert lock.said == ["entered", "undone"]


def test_an_interrupt_while_watching_cancels():
    started = threading.Event()

    def long(reporter):
        started.set()
        while True:
            reporter.checkpoint()

    handle = DeploymentHandle("m", lambda reporter, workspace: plan_of(Step("a", "A", long)))
    started.wait(30)
    interrupts = iter([KeyboardInterrupt])

    def redraw():
        for interrupt in interrupts:
            raise interrupt

    handle.watch(redraw)
    assert handle.status == "cancelled"


def test_log_lines_reach_the_handle():
    def say(reporter):
        reporter.log("hello")
        return Done()

    events = []
    handle = DeploymentHandle(
        "m", lambda reporter, workspace: plan_of(Step("a", "A", say)), events.append
    )
    handle.wait(30)
    assert handle.logs() == ["hello"]
    assert StepLogged("a", "hello") in events
