from __future__ import annotations

import json
import re

from sageturner_magic.server.front.metrics import (
    HISTORY_MINUTES,
    Gauges,
    Histogram,
    History,
    Metrics,
)
from sageturner_magic.server.shared_page import BATCH_BOUNDS, Page, create

LINE = re.compile(r'(# (HELP|TYPE) \w+ .+|[a-z_]+(\{\w+="[^"]*"\})? [-+0-9.e]+)')


def gauges(restarts: int = 0) -> Gauges:
    page = Page(create())
    for size in (1, 5, 32):
        page.count_batch(size)
    batches = Histogram(BATCH_BOUNDS)
    batches.add_counts(*page.batches())
    return Gauges(3, 2, 1, restarts, 0.5, batches)


def test_prometheus_can_read_what_is_told() -> None:
    metrics = Metrics()
    metrics.answered(200, 0.004)
    metrics.answered(500, 100.0)
    metrics.refused(429)
    text = metrics.prometheus(gauges()).decode()
    assert text.endswith("\n")
    assert all(LINE.fullmatch(line) for line in text.splitlines())
    for line in (
        'sageturner_requests_total{status="429"} 1',
        'sageturner_request_seconds_bucket{le="0.0025"} 0',
        'sageturner_request_seconds_bucket{le="0.005"} 1',
        'sageturner_request_seconds_bucket{le="+Inf"} 2',
        "sageturner_request_seconds_count 2",
        'sageturner_batch_size_bucket{le="1"} 1',
        'sageturner_batch_size_bucket{le="8"} 2',
        "sageturner_batch_size_sum 38",
        "sageturner_queue_depth 3",
        "sageturner_model_load_seconds 0.5",
    ):
        assert line in text.splitlines()


def test_cloudwatch_gets_what_happened_since_the_last_line() -> None:
    metrics = Metrics()
    assert metrics.emf(gauges(), "digits") is None
    for number in range(500):
        metrics.answered(200, number / 1000)
    metrics.answered(503, 0.1)
    metrics.refused(413)
    line = metrics.emf(gauges(restarts=2), "digits")
    assert line is not None
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert directive["Dimensions"] == [["Endpoint"]] and line["Endpoint"] == "digits"
    assert {each["Name"] for each in directive["Metrics"]} == line.keys() - {"_aws", "Endpoint"}
    assert (line["Requests"], line["ClientErrors"], line["ServerErrors"]) == (502, 1, 1)
    assert line["WorkerRestarts"] == 2
    assert len(line["Latency"]) == 100 and max(line["Latency"]) < 500
    assert metrics.emf(gauges(restarts=2), "digits") is None


def test_each_minute_with_requests_is_remembered() -> None:
    now = [600.0]
    metrics = Metrics()
    metrics.history = History(lambda: now[0])
    metrics.answered(200, 0.25)
    metrics.answered(500, 0.75)
    metrics.refused(429)
    now[0] = 725.0
    metrics.answered(200, 0.5)
    first, second = json.loads(metrics.history.json())
    assert first == {
        "at": 600,
        "requests": 3,
        "client_errors": 1,
        "server_errors": 1,
        "answered": 2,
        "seconds": 1.0,
        "slowest": 0.75,
    }
    assert (second["at"], second["requests"]) == (720, 1)


def test_a_day_is_remembered_and_no_more() -> None:
    now = [0.0]
    history = History(lambda: now[0])
    for place in range(HISTORY_MINUTES + 10):
        now[0] = place * 60.0
        history.minute().count(200)
    minutes = json.loads(history.json())
    assert len(minutes) == HISTORY_MINUTES and minutes[0]["at"] == 600
