"""Send many concurrent requests to an endpoint and measure the responses."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable

from sageturner_magic.endpoints.kind import Price, Send
from sageturner_magic.endpoints.measured.load_result import LoadTest, Timed
from sageturner_magic.errors import InvocationCancelled

REDRAWS = 5
"""How often a second a load test that runs is drawn."""


class LoadRun:
    """A load test in threads of its own, one for each request at a time; `watch` runs it."""

    def __init__(
        self, endpoint: str, send: Send, *, requests: int, concurrency: int, price: Price
    ) -> None:
        self.endpoint = endpoint
        self.wanted = requests
        self.concurrency = min(concurrency, requests)
        self._send = send
        self._price = price
        self._turns = itertools.count()
        self._timed: list[Timed] = []
        self._failed = 0
        self._error: BaseException | None = None
        self._stop = threading.Event()
        self._begin = self._end = 0.0
        self._done = threading.Event()
        self._running = self.concurrency
        self._lock = threading.Lock()
        self._waiting = [
            threading.Thread(target=self._work, name="sageturner-load", daemon=True)
            for _ in range(self.concurrency)
        ]

    def _work(self) -> None:
        try:
            # next() of a count is one step of the interpreter: no two threads get one turn.
            while not self._stop.is_set() and next(self._turns) < self.wanted:
                begin = time.perf_counter()
                timed = Timed(self._send(), time.perf_counter() - begin)
                with self._lock:
                    self._timed.append(timed)
                    self._failed += bool(timed.attempt.trouble)
        except BaseException as error:
            # Not what an endpoint may do: `result` raises it.
            self._error = error
            self._stop.set()
        finally:
            with self._lock:
                self._running -= 1
                if not self._running:
                    self._end = time.perf_counter()
                    self._done.set()

    @property
    def sent(self) -> int:
        """Requests that were answered or failed so far."""
        return len(self._timed)

    @property
    def failed(self) -> int:
        """How many of them failed."""
        return self._failed

    def seconds(self) -> float:
        """How long it has been running, or ran."""
        return (self._end or time.perf_counter()) - self._begin if self._begin else 0.0

    def stop(self) -> None:
        """Send no further requests; those that are under way are waited for."""
        self._stop.set()

    cancel = stop

    def done(self) -> bool:
        """Whether no request is under way any more."""
        return self._done.is_set()

    def begun(self) -> LoadRun:
        """The same load test, which sends its requests now. Safe to repeat."""
        self._begin = self._begin or time.perf_counter()
        while self._waiting:
            self._waiting.pop().start()
        return self

    def watch(self, redraw: Callable[[], None]) -> None:
        """Send the requests, and call `redraw` at most `REDRAWS` times a second meanwhile.

        The first interrupt sends no further requests and waits for those that are under way.

        Raises:
            InvocationCancelled: It was interrupted a second time.
        """
        while True:
            try:
                self.begun()
                while not self._done.wait(1 / REDRAWS):
                    redraw()
                break
            except KeyboardInterrupt:
                if self._stop.is_set():
                    raise InvocationCancelled(
                        "The load test was left before all answers had come"
                    ) from None
                self.stop()
        redraw()

    def result(self) -> LoadTest:
        """What was measured so far."""
        if self._error is not None:
            raise self._error
        timed = tuple(self._timed)
        cost, note = _cost(self._price, sum(each.seconds for each in timed))
        return LoadTest(
            self.endpoint, self.wanted, self.concurrency, self.seconds(), timed, cost, note
        )


def _cost(price: Price, busy: float) -> tuple[float | None, str]:
    """Dollars for `busy` seconds of requests, and what the endpoint costs anyway."""
    note = f"${price.hour:.3f} an hour for the endpoint, called or not" if price.hour else ""
    if price.busy_second is None:
        return None, "what serverless costs here is not known"
    if price.hour is None:
        return None, "what the instances cost here is not known"
    return price.busy_second * busy, note
