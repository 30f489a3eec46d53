"""Write what user code logs to the server's log, in the form of the server's own lines."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

from ..logs import Log
from .request_ids import follow_threads, requests
from .written import WRITTEN, watch


class UserLog(logging.Handler):
    """The root logger's handler.

    A record that a handler of the user's writes to stdout or stderr is left to that one, so that
    no line comes twice. Which one does is known from its streams, or seen: a handler with a stream
    may wait for others in its thread, and one without writes before this handler's turn.
    `logging.basicConfig` does nothing where the root logger has a handler.

    Args:
        log: The worker's log. It is replaced after a fork.
    """

    def __init__(self, log: Log) -> None:
        super().__init__()
        self.log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record. An error in it is reported as `logging` does it."""
        try:
            if not (self._is_written(record) or _was_seen(record)):
                self.log.write(record.levelname.lower(), record.getMessage(), **_fields(record))
        except Exception:
            self.handleError(record)

    def _is_written(self, record: logging.LogRecord) -> bool:
        logger: logging.Logger | None = logging.getLogger(record.name)
        while logger is not None:
            for handler in logger.handlers:
                takes = record.levelno >= handler.level and _writes_to_the_log(handler)
                if takes and handler.filter(record):
                    return True
            logger = logger.parent if logger.propagate else None
        return False


class _OursLast(list[logging.Handler]):
    """The root logger's handlers, of which `UserLog` has the last turn."""

    def __iter__(self) -> Iterator[logging.Handler]:
        handlers = list(super().__iter__())
        return iter(sorted(handlers, key=lambda each: isinstance(each, UserLog)))


def install(log: Log, level: str) -> UserLog:
    """Give the root logger its handler, and the level `serving.log_level`.

    Threads that are started afterwards log with the request that they work for.
    """
    follow_threads()
    handler = UserLog(log)
    root = logging.getLogger()
    root.handlers = _OursLast([*root.handlers, handler])
    watch()
    root.setLevel(level.upper())
    return handler


def _was_seen(record: logging.LogRecord) -> bool:
    # A microsecond, since the two clocks may be rounded differently.
    said = WRITTEN.since(record.created - 1e-6)
    if not said:
        return False
    line = record.getMessage().strip().partition("\n")[0][:200]
    # As it is, and as it reads in JSON.
    forms = (line, json.dumps(line)[1:-1], json.dumps(line, ensure_ascii=False)[1:-1])
    return any(form in said for form in forms)


def _writes_to_the_log(handler: logging.Handler) -> bool:
    return any(map(_is_the_log, _streams(handler)))


def _streams(handler: logging.Handler) -> Iterator[Any]:
    """Where `handler` writes, or the handlers that it hands its records to."""
    yield getattr(handler, "stream", None)
    # Rich's handler has the stream in its console.
    yield getattr(getattr(handler, "console", None), "file", None)
    target = getattr(handler, "target", None)  # Of a MemoryHandler.
    if isinstance(target, logging.Handler) and target is not handler:
        yield from _streams(target)
    if (queue := getattr(handler, "queue", None)) is not None:
        for listener in _listeners(queue):
            for each in listener.handlers:
                yield from _streams(each)


def _listeners(queue: Any) -> Iterator[Any]:
    """The QueueListeners that take from `queue`: each has a thread that runs a method of it."""
    for thread in threading.enumerate():
        owner = getattr(getattr(thread, "_target", None), "__self__", None)
        if getattr(owner, "queue", None) is queue and hasattr(owner, "handlers"):
            yield owner


def _is_the_log(stream: Any) -> bool:
    if stream is None:
        return False
    if stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        return True
    with contextlib.suppress(Exception):  # Not every stream has a descriptor.
        # Also /dev/stdout, opened anew.
        file = os.fstat(stream.fileno())
        return any(os.path.samestat(file, os.fstat(number)) for number in (1, 2))
    return False


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields: dict[str, Any] = {"logger": record.name}
    ids = requests.get()
    if len(ids) == 1:
        fields["request_id"] = ids[0]
    elif ids:
        fields["request_ids"] = list(ids)
    text = logging.Formatter().formatException(record.exc_info) if record.exc_info else ""
    if lines := [*text.splitlines(), *(record.stack_info or "").splitlines()]:
        fields["traceback"] = lines
    return fields
