"""Decide when to wait for a larger batch, and how large it gets.

A call of predict_batch with n requests is taken to last `fixed + each * n` seconds; both are
fitted to the last batches. With the mean gap between arrivals this says what waiting costs and
what it saves, so that a model that gains nothing by batches, and a client that is alone, are
never made to wait.
"""

from __future__ import annotations

import math

MEMORY = 0.95
"""What a batch counts after the next one: about the last 20 batches matter."""

GAP_WEIGHT = 0.1
"""How much the newest gap between arrivals counts in their mean."""

OVERHEAD = 0.1
"""A batch is large enough when the fixed cost is at most this share of its time: larger ones
would gain little throughput, and make the first request wait for the last."""

MARGIN = 0.7
"""Share of the fixed cost that is believed in: a client that is alone asks again after a little
more than a batch's time, and noise must not make that look like less."""

PATIENCE = 2.0
"""After this many mean gaps without an arrival nobody is waited for any more."""


class BatchRule:
    """The rule for one worker. All times are in seconds.

    Args:
        max_size: Requests in a batch at most.
        max_wait: How long a request is made to wait for others at most.
    """

    def __init__(self, max_size: int, max_wait: float) -> None:
        self._max_size = max_size
        self._max_wait = max_wait
        self._gap = math.inf
        self._last_arrival = 0.0
        # Weighted sums over past batches: 1, n, n * n, seconds, n * seconds.
        self._weight = self._n = self._nn = self._t = self._nt = 0.0

    def arrived(self, count: int, now: float) -> None:
        """`count` requests were found since the last call."""
        if self._last_arrival:
            gap = (now - self._last_arrival) / count
            known = self._gap if math.isfinite(self._gap) else gap
            self._gap = known + GAP_WEIGHT * (gap - known)
        self._last_arrival = now

    def ran(self, count: int, seconds: float) -> None:
        """A batch of `count` requests took `seconds`."""
        self._weight = MEMORY * self._weight + 1
        self._n = MEMORY * self._n + count
        self._nn = MEMORY * self._nn + count * count
        self._t = MEMORY * self._t + seconds
        self._nt = MEMORY * self._nt + count * seconds

    @property
    def fixed(self) -> float:
        """Seconds that a batch costs whatever its size."""
        return self._fit()[0]

    @property
    def each(self) -> float:
        """Seconds that a batch costs for each of its requests."""
        return self._fit()[1]

    def size(self) -> int:
        """How many requests a batch should hold at most."""
        fixed, each = self._fit()
        if each <= 0:
            return self._max_size
        enough = math.ceil(fixed * (1 / OVERHEAD - 1) / each)
        return max(1, min(self._max_size, enough))

    def wait(self, count: int, waited: float) -> float:
        """How long to wait for one more request; 0 when the batch should run now.

        Args:
            count: Requests that are there.
            waited: How long the first of them has been made to wait.

        One that comes after the mean gap g while the batch runs would wait for its end and then
        cost a batch of its own: merged, it saves `fixed - g`. Each of those that are there pays
        `g + each` for it.
        """
        fixed, each = self._fit()
        gap = self._gap
        if count >= self.size() or MARGIN * fixed - gap <= count * (gap + each):
            return 0.0
        return max(0.0, min(PATIENCE * gap, self._max_wait - waited))

    def _fit(self) -> tuple[float, float]:
        if not self._weight:
            return 0.0, 0.0
        n, t = self._n / self._weight, self._t / self._weight
        spread = self._nn / self._weight - n * n
        if spread < 0.01:
            # All batches had the same size: nothing is known of larger ones, so hope for the best.
            return t, 0.0
        each = (self._nt / self._weight - n * t) / spread
        each = min(max(each, 0.0), t / n)
        return t - each * n, each
