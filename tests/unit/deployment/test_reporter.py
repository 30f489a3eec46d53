"""What the work of a step says is told with the step's key, one step after the other."""

import threading

import pytest

from sageturner_magic.deployment.events import StepEnded, StepLogged, StepProgressed, StepStarted
from sageturner_magic.deployment.reporter import StepReporter
from sageturner_magic.errors import DeploymentCancelled


def reporter_into(events, stop=None):
    return StepReporter(events.append, stop or threading.Event(), "It was stopped")


def named(events):
    """The events with all that is known without a clock."""
    return [
        (type(event), event.step, *((event.outcome,) if isinstance(event, StepEnded) else ()))
        for event in events
    ]


def test_entering_a_step_ends_the_one_before_it_well():
    events = []
    reporter = reporter_into(events)
    reporter.enter("a")
    reporter.enter("a")
    reporter.log("in a")
    reporter.enter("b")
    reporter.progress(1, 2, "files")
    reporter.end("failed")
    assert named(events) == [
        (StepStarted, "a"),
        (StepLogged, "a"),
        (StepEnded, "a", "done"),
        (StepStarted, "b"),
        (StepProgressed, "b"),
        (StepEnded, "b", "failed"),
    ]


def test_what_is_logged_after_a_step_has_ended_still_belongs_to_it():
    events = []
    reporter = reporter_into(events)
    reporter.enter("a")
    reporter.end("done", "well")
    reporter.log("late")
    assert events[1].note == "well"
    assert events[2] == StepLogged("a", "late")


def test_the_user_who_stops_it_is_told_what_was_stopped():
    stop = threading.Event()
    reporter = reporter_into([], stop)
    reporter.checkpoint()
    stop.set()
    with pytest.raises(DeploymentCancelled, match="It was stopped"):
        reporter.checkpoint()
