"""What AWS does not show yet is read again only where something is new."""

from __future__ import annotations

import time

import pytest

from sageturner_magic.aws.freshness import SEEN_S, once_seen


def read_again(age: float, seen_at: int) -> tuple[int, list[float]]:
    """How often it was read and how long was waited, where the `seen_at`th read shows it."""
    reads, pauses = [0], list[float]()

    def read() -> bool:
        reads[0] += 1
        return reads[0] >= seen_at

    once_seen(read, bool, lambda: time.time() - age, pause=pauses.append)
    return reads[0], pauses


def test_what_is_new_is_read_until_it_is_seen() -> None:
    assert read_again(0, 3) == (3, [1, 2])


def test_what_is_there_is_read_once_and_nobody_asks_how_old_it_is() -> None:
    def no_age() -> float:
        raise AssertionError

    assert once_seen(lambda: 1, bool, no_age) == 1


@pytest.mark.parametrize("age", [SEEN_S + 1, 10**9])
def test_what_is_missing_from_something_old_is_missing(age: float) -> None:
    assert read_again(age, 9) == (1, [])


def test_the_wait_ends_whatever_the_clock_says() -> None:
    reads, pauses = read_again(-3600, 10**9)
    assert SEEN_S <= sum(pauses) < SEEN_S + 8 and reads == len(pauses) + 1
