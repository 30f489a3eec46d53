"""A network of a test's own: a loopback and nothing else.

Chromium ends its connections when the machine's network changes, as it does whenever an engine
starts or stops a container. Needs Linux and the right to make a network, which root has.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager

CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS = 0x8914
IFF_UP = 0x1


def possible() -> bool:
    """Whether this process may make a network."""
    return sys.platform == "linux" and os.geteuid() == 0


@contextmanager
def own_network() -> Iterator[None]:
    """Move this thread, and what it starts, into a new network for as long as the block runs."""
    machine = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        _call("unshare", CLONE_NEWNET)
        try:
            with socket.socket() as anything:
                fcntl.ioctl(anything, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))
            yield
        finally:
            _call("setns", machine, CLONE_NEWNET)
    finally:
        os.close(machine)


def _call(name: str, *arguments: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments):
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")
