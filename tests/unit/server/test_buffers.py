"""How much of request bodies the front holds."""

from __future__ import annotations

import pytest

from sageturner_magic.server.front import buffers
from sageturner_magic.server.front.buffers import Buffers, limit
from sageturner_magic.server.problems import Problem


def test_what_has_no_room_is_a_429_that_names_the_setting() -> None:
    held = Buffers(100)
    held.held = 60
    held.check(40)
    with pytest.raises(Problem, match=r"60 of 100 bytes .*serving\.max_body_mb") as caught:
        held.check(41)
    assert caught.value.status == 429


@pytest.mark.parametrize(
    ("memory", "largest", "expected"),
    [(8_000, 25, 250), (400, 25, 100), (40, 25, 25)],
    ids=["ten bodies", "a quarter of memory", "always one"],
)
def test_the_bound_follows_from_the_largest_body_and_the_memory(
    monkeypatch: pytest.MonkeyPatch, memory: int, largest: int, expected: int
) -> None:
    monkeypatch.setattr(buffers, "_memory", lambda: memory)
    assert limit(largest) == expected
