"""The state that renderers read: complete, and small whatever happens."""

from sageturner_magic.deployment.events import (
    Announced,
    StepEnded,
    StepLogged,
    StepProgressed,
    StepStarted,
    StepTitle,
)
from sageturner_magic.deployment.progress import LINE, TAIL, Progress
from sageturner_magic.rendering.deployments import elapsed


def progress_with(*events):
    progress = Progress("m")
    progress.apply(Announced((StepTitle("a", "A"), StepTitle("b", "B"))))
    for event in events:
        progress.apply(event)
    return progress


def test_steps_keep_their_order_and_state():
    progress = progress_with(StepStarted("a", 1.0), StepEnded("a", "done", 3.5, "note"))
    first, second = progress.steps()
    assert (first.outcome, first.note, first.seconds()) == ("done", "note", 2.5)
    assert (second.started, second.outcome) == (None, None)


def test_steps_that_began_stay_when_others_are_announced():
    progress = progress_with(StepStarted("a", 1.0))
    progress.apply(Announced((StepTitle("c", "C"),)))
    assert [step.key for step in progress.steps()] == ["a", "c"]


def test_concurrent_measures_are_added_up():
    progress = progress_with(
        StepStarted("a", 1.0),
        StepProgressed("a", 10, 100, "B", "layer 1"),
        StepProgressed("a", 5, 50, "B", "layer 2"),
        StepProgressed("a", 20, 100, "B", "layer 1"),
    )
    measure = progress.steps()[0].measure()
    assert (measure.done, measure.total) == (25, 150)


def test_a_total_that_is_not_known_is_not_made_up():
    progress = progress_with(
        StepProgressed("a", 10, None, "B", "x"), StepProgressed("a", 5, 50, "B", "y")
    )
    assert progress.steps()[0].measure().total is None


def test_the_time_that_it_took_the_last_time_is_said():
    progress = progress_with()
    assert "of about" not in elapsed(progress)
    progress.apply(Announced((StepTitle("c", "C"),), 42.0))
    assert elapsed(progress).endswith("of about 42 s, as the last time")


def test_a_flood_of_log_lines_keeps_only_the_last():
    progress = progress_with(*(StepLogged("a", f"{n} " + "x" * 10_000) for n in range(5000)))
    lines = progress.log(progress.steps()[0])
    assert len(lines) == TAIL
    assert lines[-1].startswith("4999 ")
    assert all(len(line) <= LINE for line in lines)


def test_a_bar_counts_one_thing_at_a_time():
    progress = progress_with(
        StepStarted("a", 1.0),
        StepProgressed("a", 100, 100, "B", "context"),
        StepProgressed("a", 1, 4, "steps"),
    )
    measure = progress.steps()[0].measure()
    assert (measure.done, measure.total, measure.unit) == (1, 4, "steps")
