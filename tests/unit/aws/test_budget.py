"""Whatever happens to an endpoint with a budget, it ends before it has cost more."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sageturner_magic.aws.endpoints.budget import (
    OVERLAP_S,
    Spending,
    budget_end,
    read_spending,
)

HOUR = 3600.0
TYPES = {"ml.t2.medium": 0.056, "ml.m5.large": 0.115, "ml.g5.xlarge": 1.408}


def of(budget: float, most: int, kind: str) -> Spending:
    return Spending(budget, most, kind, TYPES[kind])


def test_a_budget_pays_for_the_most_instances_that_may_run() -> None:
    twenty = of(20, 2, "ml.m5.large")
    assert budget_end(1000.0, twenty) == pytest.approx(1000 + 20 / 0.23 * HOUR, abs=1)
    assert twenty.reason == "$20 pays for 86 h of at most 2 ml.m5.large"
    assert read_spending(twenty.tag) == twenty
    assert read_spending("8h") is None


def test_more_instances_or_less_money_end_it_earlier_and_the_same_again_does_not() -> None:
    one, end = of(20, 1, "ml.m5.large"), budget_end(0.0, of(20, 1, "ml.m5.large"))
    half = end / 2
    assert budget_end(half, one, one, end) == pytest.approx(end, abs=1)
    # Half of the money is left: for two instances it lasts half as long.
    assert budget_end(half, replace(one, most=2), one, end) == pytest.approx(half * 1.5, abs=1)
    assert budget_end(half, replace(one, budget=30), one, end) == pytest.approx(
        half * 3 - half + half, abs=1
    )
    assert budget_end(half, replace(one, budget=9), one, end) < half


kinds = st.sampled_from(sorted(TYPES))
hours = st.floats(0.0, 60.0)


@settings(max_examples=500)
@given(
    budget=st.floats(1.0, 500.0),
    kind=kinds,
    most=st.integers(1, 8),
    steps=st.lists(
        st.tuples(
            hours,
            st.floats(0.0, 1.0),
            st.sampled_from(("scale", "scale", "use", "deploy")),
            kinds,
            st.integers(1, 8),
            st.floats(0.0, OVERLAP_S),
        ),
        max_size=20,
    ),
)
def test_after_any_trace_of_scaling_and_use_the_cost_is_within_the_budget(
    budget: float,
    kind: str,
    most: int,
    steps: list[tuple[float, float, str, str, int, float]],
) -> None:
    now, cost, extra_until, extra = 0.0, 0.0, 0.0, 0.0
    spending = of(budget, most, kind)
    end = budget_end(now, spending)
    running = 1

    def pass_time(until: float) -> None:
        nonlocal now, cost
        until = min(until, end)
        if until > now:
            cost += running * spending.each * (until - now) / HOUR
            cost += extra * max(min(until, extra_until) - now, 0.0) / HOUR
            now = until

    for waited, share, what, other, count, overlap in steps:
        pass_time(now + waited * HOUR)
        if now >= end:
            break
        if what == "scale":
            running = 1 + round(share * (spending.most - 1))
        elif what == "deploy" and now >= extra_until:
            wanted = of(budget, count, other)
            later = budget_end(now, wanted, spending, end, overlap_s=OVERLAP_S)
            if later > now:
                # The former instances run on for a time, as many as there may be.
                extra, extra_until = spending.hour, now + overlap
                spending, end, running = wanted, later, count
        # Use does not move the end of a budget.
    pass_time(end)
    assert cost <= budget * (1 + 1e-9)
