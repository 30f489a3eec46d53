"""The front's clock and its judgement of silent workers, without a process."""

from __future__ import annotations

import pytest

from sageturner_magic.server.front.clock import FREEZE_SECONDS, Clock
from sageturner_magic.server.front.workers.pulse import ASK_SECONDS, Pulse

PATIENCE = 10.0


@pytest.mark.parametrize("seconds", [FREEZE_SECONDS + 0.1, 80, 10**7])
def test_a_freeze_of_any_length_does_not_count(seconds: float) -> None:
    moments = [100.0]
    clock = Clock(lambda: moments[-1])
    moments.append(100.5)
    before = clock.now()
    moments.append(100.5 + seconds)
    assert clock.now() == pytest.approx(before, abs=1e-6)
    moments.append(100.7 + seconds)
    assert clock.now() == pytest.approx(before + 0.2, abs=1e-6)


def test_a_process_that_answers_is_never_lost() -> None:
    pulse, asked = Pulse(PATIENCE), 0
    for tenth in range(1000):
        if pulse.due(tenth / 10):
            asked += 1
            pulse.heard()
        assert not pulse.late(tenth / 10) and not pulse.lost(tenth / 10)
    assert asked == pytest.approx(100 / ASK_SECONDS, abs=2)


def test_a_silent_process_is_late_first_and_then_lost() -> None:
    pulse = Pulse(PATIENCE)
    assert pulse.due(50)
    assert not pulse.due(55)
    assert not pulse.late(50.5)
    assert pulse.late(52) and not pulse.lost(52)
    assert pulse.lost(50 + PATIENCE + 0.1)
    pulse.heard()
    assert not pulse.lost(99)


def test_while_a_request_runs_silence_means_nothing() -> None:
    pulse = Pulse(PATIENCE)
    pulse.due(50)
    pulse.excuse(100)  # The request ends here.
    assert not pulse.late(100.5) and not pulse.lost(100 + PATIENCE - 1)
    assert pulse.lost(100 + PATIENCE + 1)
