"""Show load tests as text: progress and result."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from sageturner_magic.endpoints.measured import LoadTest
from sageturner_magic.text import clip, duration, milliseconds

BLOCKS = " ▁▂▃▄▅▆▇█"


def load_test_facts(test: LoadTest) -> list[tuple[str, str]]:
    """What a person wants to know first: label and value."""
    sent = f"{test.sent:,}" + (f" of {test.wanted:,}, then stopped" if test.stopped else "")
    found = [
        ("Requests", f"{sent}, {test.concurrency} at a time, in {duration(test.seconds)}"),
        ("Throughput", f"{test.throughput:,.1f} answers a second"),
        ("Failed", _failed(test)),
    ]
    if test.throttled:
        found.append(("Throttled", f"{throttled_remedy(test)}; or send fewer at a time"))
    if test.cost is not None:
        cost = "free" if not test.cost else f"at most ${test.cost:.4f} for the model's time"
        found.append(("Cost", "; ".join(filter(None, (cost, test.cost_note)))))
    elif test.cost_note:
        found.append(("Cost", test.cost_note))
    return found


def _failed(test: LoadTest) -> str:
    if not test.failed:
        return "none"
    share = f"{test.failed:,} ({test.failed / test.sent:.1%})"
    return f"{share}, of which {test.throttled:,} throttled" if test.throttled else share


def throttled_remedy(test: LoadTest) -> str:
    """What to raise so that fewer requests are refused because there are too many."""
    by_aws = any("Throttling" in trouble for trouble in test.errors())
    if by_aws:
        return (
            f"raise `compute.serverless.max_concurrency` ({test.concurrency} requests were sent at"
            " a time), or on instances `compute.server.initial_instance_count`"
        )
    return (
        "raise `serving.queue`, which is how many requests may wait, or `serving.workers`, which"
        " predict at the same time"
    )


def load_test_text(test: LoadTest) -> str:
    """The result for a terminal."""
    lines = [f"{label:<11} {value}" for label, value in load_test_facts(test)]
    if latencies := test.percentiles():
        shown = "  ".join(f"{name} {milliseconds(value)}" for name, value in latencies.items())
        lines.append(f"{'Latency':<11} {shown}")
        bins = test.histogram()
        lines.append(
            f"{'':<11} {bins[0].low:g} ms {blocks([each.count for each in bins])}"
            f" {bins[-1].low:g} ms and more"
        )
    examples = test.examples()
    for trouble, count in test.errors().items():
        said = f": {clip(examples[trouble], 300)}" if examples[trouble] else ""
        lines.append(f"{count:>11,} {trouble}{said}")
    return "\n".join(lines)


def blocks(values: Sequence[float]) -> str:
    """A bar chart in one line of text; only zero is blank."""
    top = max(values, default=0) or 1
    return "".join(BLOCKS[math.ceil(value / top * (len(BLOCKS) - 1))] for value in values)


def load_progress(endpoint: str, sent: int, wanted: int, failed: int, seconds: float) -> str:
    """How far a load test is, in a line."""
    rate = f", {sent / seconds:,.0f} a second" if sent and seconds else ""
    trouble = f", {failed:,} failed" if failed else ""
    of = f"{sent:,} of {wanted:,}" if sent < wanted else f"{sent:,}"
    return f"{endpoint}: {of} requests in {duration(seconds)}{rate}{trouble}"


def load_test_data(test: LoadTest) -> dict[str, Any]:
    """The result for programs."""
    return test.to_dict()
