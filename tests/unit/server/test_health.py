"""When a pool whose workers keep ending is unhealthy, and how often it tries."""

from __future__ import annotations

from sageturner_magic.server.front.workers.health import (
    CALM_SECONDS,
    LONGEST_PAUSE,
    STRIKES,
    Health,
)


def test_the_third_end_in_a_row_is_bad_and_waits_longer_each_time() -> None:
    health = Health()
    pauses = [health.ended() for _ in range(STRIKES + 7)]
    assert pauses[: STRIKES - 1] == [0.0] * (STRIKES - 1)
    assert pauses[STRIKES - 1 :][:3] == [1.0, 2.0, 4.0]
    assert max(pauses) == LONGEST_PAUSE
    assert not health.good
    assert health.restarts == len(pauses)


def test_an_answer_or_a_calm_time_makes_it_good_again() -> None:
    for calm in (lambda health: health.answered(), lambda health: health.lived(CALM_SECONDS + 1)):
        health = Health()
        for _ in range(STRIKES):
            health.ended()
        health.lived(CALM_SECONDS - 1)
        assert not health.good
        calm(health)
        assert health.good
        assert health.ended() == 0.0
