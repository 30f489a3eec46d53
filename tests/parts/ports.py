"""Ports for servers and kernels that are told their port before they bind it.

A port that the system gives for port 0 may be given to another process until it is bound. These
lie below those that the system gives, and each test process, with all that it starts, has a range
of its own.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import socket
from collections.abc import Iterator
from unittest.mock import patch

from jupyter_client.connect import LocalPortCache

FIRST = 20_000
EACH = 3_000
RANGES = 4


@functools.cache
def _ports() -> Iterator[int]:
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = FIRST + EACH * (worker % RANGES)
    # Two processes that one test starts do not begin with the same port.
    begin = first + os.getpid() * 16 % EACH
    return itertools.cycle([*range(begin, first + EACH), *range(first, begin)])


def free_port(ip: str = "127.0.0.1") -> int:
    """Return a port of `ip` on which nothing listens."""
    for port in _ports():
        with contextlib.suppress(OSError), socket.create_server((ip, port)):
            return port
    raise AssertionError


@contextlib.contextmanager
def kernel_ports() -> Iterator[None]:
    """Let jupyter_client take the ports of this process's kernels from here."""

    def find_available_port(cache: LocalPortCache, ip: str) -> int:
        return free_port(ip)

    with patch.object(LocalPortCache, "find_available_port", find_available_port):
        yield
