"""Know which requests the running user code works on, in the threads that it starts too.

Threads do not inherit context variables before Python 3.14, and those of a pool outlive the request
that started them. So a thread gets the ids of whoever starts it, and a pool's task those of whoever
submits it.
"""

from __future__ import annotations

import contextvars
import functools
import sys
import threading
from collections.abc import Callable
from typing import Any

requests: contextvars.ContextVar[tuple[str, ...]] = contextvars.ContextVar("requests", default=())
"""Ids of the requests that the running user code works on."""

_POOLS = (
    ("concurrent.futures.thread", "ThreadPoolExecutor", ("submit",)),
    (
        "multiprocessing.pool",
        "ThreadPool",
        ("apply_async", "_map_async", "imap", "imap_unordered"),
    ),
)
"""Module and class of each kind of thread pool, and the methods by which a task gets into it."""


def follow_threads() -> None:
    """Hand ids on to the threads, and to the tasks of thread pools, that this process starts."""
    start = threading.Thread.start

    @functools.wraps(start)
    def start_with_ids(thread: threading.Thread) -> None:
        if ids := requests.get():
            thread.run = functools.partial(_run, thread, ids)  # type: ignore[method-assign]
        # A pool begins with a thread. Importing its module earlier would slow every start.
        for module, pool, methods in _POOLS:
            if loaded := sys.modules.get(module):
                _follow(getattr(loaded, pool), methods)
        start(thread)

    threading.Thread.start = start_with_ids  # type: ignore[method-assign, assignment]


@functools.cache
def _follow(pool: type, methods: tuple[str, ...]) -> None:
    for name in methods:
        setattr(pool, name, _with_ids(getattr(pool, name)))


def _with_ids(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def with_ids(pool: Any, *args: Any, **kwargs: Any) -> Any:
        call = functools.partial(functools.partial, _call, requests.get())
        if args:
            return method(pool, call(args[0]), *args[1:], **kwargs)
        if "func" in kwargs:
            kwargs["func"] = call(kwargs["func"])
        return method(pool, **kwargs)

    return with_ids


def _run(thread: threading.Thread, ids: tuple[str, ...]) -> None:
    del thread.run  # The class's own shows again.
    requests.set(ids)
    thread.run()


def _call(ids: tuple[str, ...], task: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    token = requests.set(ids)
    try:
        return task(*args, **kwargs)
    finally:
        requests.reset(token)
