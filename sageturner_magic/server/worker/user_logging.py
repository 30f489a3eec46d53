"""Write what user code logs to the server's log, in the form of the server's own lines."""

from __future__ import annotations

import contextlib
import contextvars
import logging
import sys
from typing import Any

from ..logs import Log

requests: contextvars.ContextVar[tuple[str, ...]] = contextvars.ContextVar("requests", default=())
"""Ids of the requests that the running user code works on."""


class UserLog(logging.Handler):
    """The root logger's handler.

    A record that a handler of the user's writes to stdout or stderr is left to that one, so that
    no line comes twice. `logging.basicConfig` does nothing where the root logger has a handler.

    Args:
        log: The worker's log. It is replaced after a fork.
    """

    def __init__(self, log: Log) -> None:
        super().__init__()
        self.log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record. An error in it is reported as `logging` does it."""
        try:
            if not self._is_written(record):
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


def install(log: Log, level: str) -> UserLog:
    """Give the root logger its handler, and the level `serving.log_level`."""
    handler = UserLog(log)
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(level.upper())
    return handler


def _writes_to_the_log(handler: logging.Handler) -> bool:
    # Rich's handler has the stream in its console.
    stream = getattr(handler, "stream", None) or getattr(
        getattr(handler, "console", None), "file", None
    )
    if stream is None:
        return False
    if stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        return True
    with contextlib.suppress(Exception):  # Not every stream has a descriptor.
        return stream.fileno() in (1, 2)
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
