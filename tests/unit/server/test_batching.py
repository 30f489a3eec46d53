from __future__ import annotations

import heapq
import random
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sageturner_magic.server.worker.batching import BatchRule


def simulate(
    fixed: float,
    each: float,
    clients: int,
    rule: BatchRule,
    batches: int = 400,
    think: float = 2e-4,
) -> tuple[float, float, list[int]]:
    """Clients that ask again `think` seconds (scattered) after each answer, and one worker.

    Returns requests a second, the mean latency, and the sizes of the batches.
    """
    scatter = random.Random(1)
    arrivals = [(scatter.random() * think, client) for client in range(clients)]
    heapq.heapify(arrivals)
    now, served, latency = 0.0, 0, 0.0
    waiting: list[float] = []
    sizes = []

    def receive() -> None:
        count = 0
        while arrivals and arrivals[0][0] <= now:
            waiting.append(heapq.heappop(arrivals)[0])
            count += 1
        if count:
            rule.arrived(count, now)

    for _ in range(batches):
        if not waiting:
            now = max(now, arrivals[0][0])
            receive()
        began = now
        while (pause := rule.wait(len(waiting), now - began)) > 0:
            if not arrivals or arrivals[0][0] > now + pause:
                now += pause
                break
            now = arrivals[0][0]
            receive()
        count = min(len(waiting), rule.size())
        took = fixed + each * count
        rule.ran(count, took)
        now += took
        for came in waiting[:count]:
            latency += now - came
            heapq.heappush(arrivals, (now + think * (0.5 + scatter.random()), 0))
        del waiting[:count]
        served += count
        sizes.append(count)
        receive()
    return served / now, latency / served, sizes


def test_one_client_never_waits() -> None:
    rate, latency, sizes = simulate(0.002, 0.0001, 1, BatchRule(32, 0.005))
    assert latency == pytest.approx(0.0021)
    assert set(sizes) == {1}
    assert rate == pytest.approx(1 / 0.0023, rel=0.05)


def test_a_fixed_cost_is_shared_by_those_who_come_together() -> None:
    rate, _, sizes = simulate(0.002, 0.00001, 16, BatchRule(32, 0.005))
    alone, _, _ = simulate(0.002, 0.00001, 16, BatchRule(1, 0))
    eager, _, _ = simulate(0.002, 0.00001, 16, BatchRule(32, 0))
    assert rate > 5 * alone
    assert rate > 0.95 * eager
    assert max(sizes) <= 16


def test_batches_stay_small_where_they_gain_nothing() -> None:
    _, latency, sizes = simulate(0.0001, 0.01, 64, BatchRule(32, 0.005))
    _, single, _ = simulate(0.0001, 0.01, 64, BatchRule(1, 0))
    assert sum(sizes[100:]) / len(sizes[100:]) < 3
    assert latency < 1.1 * single


def test_the_costs_are_learnt() -> None:
    rule = BatchRule(32, 0.005)
    for count in [1, 5, 2, 17, 8] * 20:
        rule.ran(count, 0.003 + 0.0002 * count)
    assert rule.fixed == pytest.approx(0.003)
    assert rule.each == pytest.approx(0.0002)
    assert rule.size() == 32


def test_nothing_is_waited_for_before_anything_is_known() -> None:
    assert BatchRule(32, 0.005).wait(1, 0.0) == 0.0


def observations() -> Iterator[st.SearchStrategy[object]]:
    yield st.tuples(st.just("ran"), st.integers(1, 64), st.floats(0, 10))
    yield st.tuples(st.just("arrived"), st.integers(1, 64), st.floats(0, 10))


@given(st.lists(st.one_of(*observations())), st.integers(1, 64), st.floats(0, 1), st.floats(0, 1))  # type: ignore[arg-type]
def test_limits_hold_whatever_is_observed(
    seen: list[tuple[str, int, float]], max_size: int, max_wait: float, waited: float
) -> None:
    rule = BatchRule(max_size, max_wait)
    clock = 1.0
    for what, count, seconds in seen:
        if what == "ran":
            rule.ran(count, seconds)
        else:
            clock += seconds
            rule.arrived(count, clock)
        assert 1 <= rule.size() <= max_size
        assert 0 <= rule.wait(count, waited) <= max(0.0, max_wait - waited)
        assert rule.wait(max_size, 0.0) == 0.0
        assert rule.fixed >= -1e-9 and rule.each >= 0
