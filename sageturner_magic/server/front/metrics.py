"""Count requests, and report them as Prometheus text and EMF log lines."""

from __future__ import annotations

import json
import time
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

LATENCY_BOUNDS = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
)  # fmt: skip
"""Upper bounds in seconds, up to SageMaker's limit for an answer."""

HISTORY_MINUTES = 24 * 60

EMF_SECONDS = 60.0
"""Between two EMF lines; CloudWatch's metrics have no finer grain by default."""

SAMPLES = 100
"""Values of one metric in an EMF line at most (CloudWatch's limit)."""


class Histogram:
    """Counts of values by upper bound."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def add(self, value: float) -> None:
        """Count one value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def add_counts(self, counts: Iterable[int], total: float) -> None:
        """Count values that somebody else sorted by the same bounds, and their sum."""
        for place, count in enumerate(counts):
            self._counts[place] += count
        self._sum += total

    def lines(self, name: str) -> Iterable[str]:
        """Prometheus' text form."""
        below = 0
        for bound, count in zip((*self._bounds, "+Inf"), self._counts, strict=True):
            below += count
            yield f'{name}_bucket{{le="{bound}"}} {below}'
        yield f"{name}_sum {self._sum:.9g}"
        yield f"{name}_count {below}"


class Minute:
    """What happened in one minute.

    Attributes:
        at: When it began, seconds since the epoch.
        answered: Jobs that were answered, of all `requests`.
        seconds: Their latencies together.
        slowest: The largest of them.
    """

    __slots__ = (
        "answered",
        "at",
        "client_errors",
        "requests",
        "seconds",
        "server_errors",
        "slowest",
    )

    def __init__(self, at: int) -> None:
        self.at = at
        self.requests = self.client_errors = self.server_errors = self.answered = 0
        self.seconds = self.slowest = 0.0

    def count(self, status: int) -> None:
        """Count one request by the status of its answer."""
        self.requests += 1
        if status >= 500:
            self.server_errors += 1
        elif status >= 400:
            self.client_errors += 1


class History:
    """The last minutes in which there were requests, at most a day's worth.

    Args:
        clock: Seconds since the epoch.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._minutes: deque[Minute] = deque(maxlen=HISTORY_MINUTES)

    def minute(self) -> Minute:
        """The minute that runs."""
        at = int(self._clock()) // 60 * 60
        minutes = self._minutes
        if not minutes or minutes[-1].at != at:
            minutes.append(Minute(at))
        return minutes[-1]

    def json(self) -> bytes:
        """Every minute as an object, the oldest first."""
        return json.dumps(
            [{name: getattr(each, name) for name in Minute.__slots__} for each in self._minutes]
        ).encode()


@dataclass(frozen=True)
class Gauges:
    """What is not counted but looked up.

    Attributes:
        queued: Requests that wait for a worker.
        running: Requests that workers have.
        workers: Workers that are ready.
        restarts: Workers that were replaced.
        load_seconds: How long the model took to load; None before it is.
        batches: Sizes of the batches so far.
    """

    queued: int
    running: int
    workers: int
    restarts: int
    load_seconds: float | None
    batches: Histogram


class Metrics:
    """Counts of requests and their latencies since the server's start.

    Args:
        samples: Latencies that are kept for an EMF line at most; 0 where none is written.
    """

    def __init__(self, samples: int = SAMPLES) -> None:
        self._kept = samples
        self._statuses: Counter[int] = Counter()
        self._latency = Histogram(LATENCY_BOUNDS)
        self._recent: Counter[int] = Counter()
        self._samples: list[float] = []
        self._sampled = 0
        self._restarts = 0
        self.history = History()

    def refused(self, status: int) -> None:
        """A request was refused before it became a job."""
        self._statuses[status] += 1
        self._recent[status] += 1
        self.history.minute().count(status)

    def answered(self, status: int, seconds: float) -> None:
        """A job was answered, `seconds` after it was received."""
        self._statuses[status] += 1
        self._recent[status] += 1
        self._latency.add(seconds)
        minute = self.history.minute()
        minute.count(status)
        minute.answered += 1
        minute.seconds += seconds
        if seconds > minute.slowest:
            minute.slowest = seconds
        if self._kept:
            self._sample(seconds)

    def _sample(self, seconds: float) -> None:
        import random

        # A sample in which each latency of this minute has the same chance.
        self._sampled += 1
        if len(self._samples) < self._kept:
            self._samples.append(seconds)
        elif (place := random.randrange(self._sampled)) < self._kept:
            self._samples[place] = seconds

    def prometheus(self, gauges: Gauges) -> bytes:
        """The text of /metrics."""
        lines = [
            "# HELP sageturner_requests_total Requests to /invocations by status.",
            "# TYPE sageturner_requests_total counter",
            *(
                f'sageturner_requests_total{{status="{status}"}} {count}'
                for status, count in sorted(self._statuses.items())
            ),
            "# HELP sageturner_request_seconds From a whole request to its whole answer.",
            "# TYPE sageturner_request_seconds histogram",
            *self._latency.lines("sageturner_request_seconds"),
            "# HELP sageturner_batch_size Requests in a call of predict_batch.",
            "# TYPE sageturner_batch_size histogram",
            *gauges.batches.lines("sageturner_batch_size"),
        ]
        for name, kind, text, value in (
            ("queue_depth", "gauge", "Requests that wait for a worker.", gauges.queued),
            ("requests_running", "gauge", "Requests that workers have.", gauges.running),
            ("workers", "gauge", "Workers that are ready.", gauges.workers),
            ("worker_restarts_total", "counter", "Workers that were replaced.", gauges.restarts),
            ("model_load_seconds", "gauge", "Import and load.", gauges.load_seconds),
        ):
            if value is not None:
                lines += [
                    f"# HELP sageturner_{name} {text}",
                    f"# TYPE sageturner_{name} {kind}",
                    f"sageturner_{name} {value}",
                ]
        return ("\n".join(lines) + "\n").encode()

    def emf(self, gauges: Gauges, endpoint: str) -> dict[str, Any] | None:
        """The CloudWatch embedded metric format of what happened since the last call.

        None when nothing did. `endpoint` becomes a dimension, if it is not empty.
        """
        if not self._recent:
            return None
        values: dict[str, tuple[str, Any]] = {
            "Requests": ("Count", sum(self._recent.values())),
            "ClientErrors": ("Count", self._errors(400)),
            "ServerErrors": ("Count", self._errors(500)),
            "QueueDepth": ("Count", gauges.queued),
            "WorkerRestarts": ("Count", gauges.restarts - self._restarts),
        }
        if self._samples:
            latencies = [round(seconds * 1000, 3) for seconds in self._samples]
            values["Latency"] = ("Milliseconds", latencies)
        self._recent.clear()
        self._samples = []
        self._sampled = 0
        self._restarts = gauges.restarts
        directive = {
            "Namespace": "sageturner",
            "Dimensions": [["Endpoint"] if endpoint else []],
            "Metrics": [{"Name": name, "Unit": unit} for name, (unit, _) in values.items()],
        }
        line: dict[str, Any] = {
            "_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]}
        }
        if endpoint:
            line["Endpoint"] = endpoint
        return line | {name: value for name, (_, value) in values.items()}

    def _errors(self, least: int) -> int:
        recent = self._recent.items()
        return sum(count for status, count in recent if least <= status < least + 100)
