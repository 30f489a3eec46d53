"""What a list of endpoints says of money."""

import pytest

from sageturner_magic.endpoints.endpoint import Listing
from sageturner_magic.endpoints.kind import EndpointDescription
from sageturner_magic.endpoints.measured.costs import Cost, cost_of, total_of
from sageturner_magic.notebook.display.html import endpoints_shown
from sageturner_magic.rendering.endpoints import (
    endpoints_text,
    listing_data,
    money,
    rate_text,
    so_far_text,
    total_text,
)

HOUR = 3600.0
NOW = 10 * HOUR


def endpoint(name, kind, per_hour):
    return EndpointDescription(name, kind, "InService", "abc", 0.0, "", "", per_hour)


FREE = endpoint("here", "local", 0.0)
INSTANCE = endpoint("big", "server", 0.23)
IDLE = endpoint("idle", "serverless", 0.0)
WARM = endpoint("warm", "serverless", 0.03)
UNKNOWN = endpoint("riddle", "server", None)


@pytest.mark.parametrize(
    ("one", "rate", "so_far"),
    [
        (FREE, "free", "free"),
        (INSTANCE, "$0.230/h", "$2.30"),
        (IDLE, "by use", "by use"),
        (WARM, "$0.030/h + use", "$0.30 + use"),
        (UNKNOWN, "unknown", "unknown"),
        (endpoint("riddle", "serverless", None), "unknown", "unknown"),
    ],
)
def test_a_row_has_the_price_and_the_money_so_far(one, rate, so_far):
    cost = cost_of(one, NOW)
    assert (rate_text(cost), so_far_text(cost)) == (rate, so_far)


def test_the_total_says_what_it_leaves_out():
    everything = [FREE, INSTANCE, IDLE, WARM, UNKNOWN]
    table = endpoints_text(everything, NOW)
    assert table.splitlines()[-1] == (
        "Total: $6.24 a day ($0.260 an hour), about $2.60 so far;"
        " 2 billed by use; 1 whose price is unknown"
    )
    html = endpoints_shown(everything, NOW)._repr_html_()
    assert "about <span>$</span>2.60 so far" in html and "<td" in html


def test_where_all_is_free_or_unknown_no_sum_is_made_up():
    assert total_text(total_of([cost_of(FREE, NOW)])) == ""
    assert total_text(total_of([cost_of(UNKNOWN, NOW)])) == "Total: 1 whose price is unknown"


def test_programs_get_the_same_figures():
    data = listing_data(Listing((INSTANCE, UNKNOWN), (), NOW))
    assert data["endpoints"][0]["name"] == "big"
    assert data["endpoints"][0]["cost_so_far"] == pytest.approx(2.3)
    assert data["endpoints"][1]["cost_so_far"] is None
    assert data["total"] == {
        "cost_per_hour": 0.23,
        "cost_so_far": pytest.approx(2.3),
        "billed_by_use": 0,
        "price_unknown": 1,
    }


def test_little_money_is_not_none():
    assert money(0.001) == "less than $0.01"
    assert money(1204) == "$1,204.00"
    assert cost_of(INSTANCE, -5.0) == Cost(0.23, 0.0, False)
