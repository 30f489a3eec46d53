"""What a load test says about its requests."""

import json
import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sageturner_magic.endpoints.measured.load_result import LoadTest, Timed, histogram, percentile
from sageturner_magic.rendering.load_tests import blocks, load_test_text
from sageturner_magic.values import Attempt

LATENCIES = st.lists(st.floats(0, 1e5), min_size=1).map(sorted)


def result(*timed, wanted=None, **more):
    return LoadTest("digits", wanted or len(timed), 8, 2.0, tuple(timed), **more)


def good(seconds):
    return Timed(Attempt(200, size=10), seconds)


def bad(status, trouble, detail=""):
    return Timed(Attempt(status, trouble, detail), 0.1)


@given(LATENCIES, st.sampled_from([50, 90, 99, 100]))
def test_a_percentile_is_a_latency_that_so_many_do_not_exceed(latencies, rank):
    found = percentile(latencies, rank)
    assert found in latencies
    assert sum(value <= found for value in latencies) >= len(latencies) * rank / 100


@given(LATENCIES)
def test_every_answer_is_in_one_bin_of_the_histogram(latencies):
    bins = histogram(latencies)
    assert sum(each.count for each in bins) == len(latencies)
    assert all(math.isclose(a.high, b.low) for a, b in pairwise(bins))
    assert len(bins) <= 26
    assert bins[0].low <= latencies[0] + 1e-6


def test_only_good_answers_count_for_latency_and_throughput():
    test = result(good(0.010), good(0.030), bad(500, "HTTP 500 ValueError"))
    assert test.latencies_ms == [10.0, 30.0]
    assert test.throughput == 1.0
    assert test.percentiles() == {"p50": 10.0, "p90": 30.0, "p95": 30.0, "p99": 30.0, "max": 30.0}


def test_errors_are_counted_by_kind_and_throttling_apart():
    test = result(
        bad(429, "ThrottlingException (429)", "Rate exceeded"),
        bad(429, "ThrottlingException (429)", "Rate exceeded"),
        bad(None, "the connection failed"),
    )
    assert test.errors() == {"ThrottlingException (429)": 2, "the connection failed": 1}
    assert (test.failed, test.throttled) == (3, 2)
    shown = load_test_text(test)
    assert "3 (100.0%), of which 2 throttled" in shown and "Rate exceeded" in shown
    assert "Latency" not in shown


@pytest.mark.parametrize(
    ("trouble", "key"),
    [
        ("ThrottlingException (429)", "`compute.serverless.max_concurrency` (8 requests"),
        ("HTTP 429 Overloaded", "`serving.queue`"),
        ("HTTP 429 of the model", "`serving.workers`"),
    ],
)
def test_a_throttled_test_says_what_to_raise(trouble, key):
    shown = load_test_text(result(good(0.01), bad(429, trouble)))
    assert "Throttled   raise " in shown and key in shown
    assert "raise" not in load_test_text(result(good(0.01), bad(500, "HTTP 500 KeyError")))


def test_a_stopped_test_says_so():
    shown = load_test_text(result(good(0.01), wanted=200))
    assert "1 of 200, then stopped" in shown


@pytest.mark.parametrize(
    ("cost", "note", "shown"),
    [
        (0.0, "", "free"),
        (0.0123, "", "at most $0.0123 for the model's time"),
        (None, "what serverless costs here is not known", "not known"),
        (0.0, "$0.230 an hour for the endpoint, called or not", "$0.230 an hour"),
    ],
)
def test_the_cost_is_said(cost, note, shown):
    assert shown in load_test_text(result(good(0.01), cost=cost, cost_note=note))


def test_the_data_is_plain_values():
    data = result(good(0.01), bad(500, "HTTP 500 ValueError")).to_dict()
    assert json.loads(json.dumps(data)) == data
    assert data["latency_ms"]["p50"] == 10.0
    assert data["errors"] == {"HTTP 500 ValueError": 1}
    assert sum(each["count"] for each in data["histogram"]) == 1


@given(st.lists(st.integers(0, 1000)))
def test_a_bar_is_blank_only_for_nothing(values):
    bars = blocks(values)
    assert len(bars) == len(values)
    assert all((bar == " ") == (value == 0) for bar, value in zip(bars, values, strict=True))
