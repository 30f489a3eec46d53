"""Choose the worker that gets the next request."""

from __future__ import annotations

from .jobs import Jobs
from .worker import Worker

DEPTH = 64
"""Requests that a worker has at most before it has answered them: enough that it finds several
at each look at its socket, and no more than what can go back to the queue when it ends."""


def pump(workers: list[Worker], jobs: Jobs, depth: int, alone: bool) -> None:
    """Give waiting jobs to workers while these have room.

    Args:
        workers: Those that run.
        jobs: Those that wait are given in their order.
        depth: How many jobs a worker may have at once.
        alone: Whether the pool is meant to have one worker only.
    """
    if alone and len(workers) == 1:
        _fill(workers[0], jobs, depth)
        return
    while jobs.waiting:
        free = [each for each in workers if each.room(depth, alone=False) > 0]
        if not free:
            return
        min(free, key=lambda each: len(each.jobs)).give(jobs.waiting.popleft())


def _fill(worker: Worker, jobs: Jobs, depth: int) -> None:
    room = worker.room(depth, alone=True)
    while room > 0 and jobs.waiting:
        worker.give(jobs.waiting.popleft())
        room -= 1
