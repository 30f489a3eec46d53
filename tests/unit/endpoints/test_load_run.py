"""A load test sends what was asked, so many at a time, and stops when it is told to."""

import threading

import pytest

from sageturner_magic.endpoints.kind import Price
from sageturner_magic.endpoints.measured.load_run import LoadRun
from sageturner_magic.errors import InvocationCancelled, UsageError
from sageturner_magic.values import Attempt, Request
from sageturner_magic.verbs.endpoints import start_load_test


class Endpoint:
    """Counts how many requests it has at a time; holds them until it is told."""

    def __init__(self, *, hold=False):
        self.asked = self.present = self.most = 0
        self._lock = threading.Lock()
        self.go = threading.Event()
        if not hold:
            self.go.set()

    def __call__(self):
        with self._lock:
            self.asked += 1
            self.present += 1
            self.most = max(self.most, self.present)
        assert self.go.wait(30)
        with self._lock:
            self.present -= 1
        return Attempt(200)


FREE = Price(0.0, 0.0)


def run(endpoint, requests=50, concurrency=4, price=FREE):
    return LoadRun("digits", endpoint, requests=requests, concurrency=concurrency, price=price)


def test_every_request_is_sent_once():
    endpoint = Endpoint()
    test = run(endpoint)
    test.watch(lambda: None)
    assert endpoint.asked == test.result().sent == 50
    assert not test.result().stopped


def test_so_many_run_at_a_time_and_no_more():
    endpoint = Endpoint(hold=True)
    test = run(endpoint)
    test.watch(lambda: endpoint.present == 4 and endpoint.go.set())
    assert endpoint.most == 4


def test_stopping_waits_for_what_is_under_way_and_keeps_it():
    endpoint = Endpoint(hold=True)
    test = run(endpoint, requests=1000)
    interrupted = []

    def redraw():
        if endpoint.present == 4 and not interrupted:
            interrupted.append(True)
            raise KeyboardInterrupt
        if interrupted:
            endpoint.go.set()

    test.watch(redraw)
    result = test.result()
    assert result.stopped and result.sent == endpoint.asked == 4


def test_a_second_interrupt_leaves_at_once():
    endpoint = Endpoint(hold=True)
    test = run(endpoint)

    def redraw():
        raise KeyboardInterrupt

    with pytest.raises(InvocationCancelled):
        test.watch(redraw)
    endpoint.go.set()


def test_what_is_not_the_endpoints_fault_is_raised():
    def broken():
        raise ZeroDivisionError

    test = run(broken)
    test.watch(lambda: None)
    with pytest.raises(ZeroDivisionError):
        test.result()


@pytest.mark.parametrize(
    ("price", "cost", "note"),
    [
        (FREE, 0.0, ""),
        (Price(0.23, 0.0), 0.0, "$0.230 an hour"),
        (Price(0.0, None), None, "not known"),
        (Price(None, 0.0), None, "not known"),
    ],
)
def test_the_cost_follows_the_price(price, cost, note):
    test = run(Endpoint(), price=price)
    test.watch(lambda: None)
    assert test.result().cost == cost
    assert note in test.result().cost_note


def test_busy_seconds_are_what_the_requests_took():
    test = run(Endpoint(), price=Price(0.0, 2.0))
    test.watch(lambda: None)
    result = test.result()
    assert result.cost == pytest.approx(2 * sum(each.seconds for each in result.timed))


@pytest.mark.parametrize(
    ("about", "flag"),
    [
        ({"requests": 0}, "--requests"),
        ({"concurrency": 0}, "--conc"),
        ({"concurrency": 2000}, "1,000"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(about, flag):
    numbers = {"requests": 1, "concurrency": 1, **about}
    with pytest.raises(UsageError, match=flag):
        start_load_test(None, Request(b"{}"), **numbers)
