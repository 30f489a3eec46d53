"""The control socket of a local endpoint: its state and its listening socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Callable
from typing import Any


class Control:
    """Listens on a unix socket; whoever connects gets one JSON line and the listening socket.

    Args:
        path: Of the socket; what is there is replaced. Raises OSError if it cannot be made.
        status: Makes the line.
        listener: Attached to it.
    """

    def __init__(
        self, path: str, status: Callable[[], dict[str, Any]], listener: socket.socket
    ) -> None:
        self._path = path
        self._status = status
        self._listener = listener
        self.asked = asyncio.Event()
        # Made under another name, so that who sees the path can connect.
        unfinished = f"{path}~"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(unfinished)  # noqa: PTH108
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.setblocking(False)
        mask = os.umask(0o177)
        try:
            self._socket.bind(unfinished)
        finally:
            os.umask(mask)
        self._socket.listen(16)
        self._inode = os.stat(unfinished).st_ino  # noqa: PTH116
        os.replace(unfinished, path)  # noqa: PTH105
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._answer)

    def _answer(self) -> None:
        with contextlib.suppress(OSError):
            connection, _ = self._socket.accept()
            with connection:
                line = json.dumps(self._status()).encode() + b"\n"
                descriptors = [self._listener.fileno()] if self._listener.fileno() >= 0 else []
                socket.send_fds(connection, [line], descriptors)
            self.asked.set()

    def close(self) -> None:
        """Stop listening and remove the socket, unless another server has put its own there."""
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._socket.close()
        with contextlib.suppress(OSError):
            if os.stat(self._path).st_ino == self._inode:  # noqa: PTH116
                os.unlink(self._path)  # noqa: PTH108
