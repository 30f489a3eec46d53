"""Take from a trial's process what a serverless container does not have.

Files are read-only but for /tmp, there is no shared memory (so `multiprocessing.Lock` fails), and
the user has no entry in passwd. Namespaces do it (`man 7 user_namespaces`), entered by the process
itself: its number, its signals and its exit status stay those that the caller knows.
"""

from __future__ import annotations

import ctypes
import os
import sys

USER = 59_999
"""The user's number inside: Debian gives nobody the numbers from 30000 to 59999."""

_NEW_USER, _NEW_MOUNTS = 0x10000000, 0x00020000
_BIND, _RECURSIVE, _PRIVATE = 0x1000, 0x4000, 0x40000
_MOUNT_SETATTR = 442  # The same on x86-64 and arm64; Linux 5.12 and later.
_HERE, _AT_RECURSIVE, _READ_ONLY = -100, 0x8000, 1


class _MountAttributes(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "user")]


def enter(read_only: tuple[str, ...], writable: tuple[str, ...]) -> str:
    """Confine this process, which must have one thread.

    Args:
        read_only: Folders that are read-only even if they lie in a writable one.
        writable: Folders that stay writable.

    Returns:
        Why this machine does not allow it; empty if the process is confined.
    """
    if sys.platform != "linux":
        return "it needs Linux"
    user, group = os.getuid(), os.getgid()
    try:
        _checked("unshare", _NEW_USER | _NEW_MOUNTS)
        for name, line in (
            ("setgroups", "deny"),
            ("uid_map", f"{USER} {user} 1"),
            ("gid_map", f"{USER} {group} 1"),
        ):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:  # noqa: PTH123
                file.write(line)
        _checked("mount", None, b"/", None, _RECURSIVE | _PRIVATE, None)
        for folder in (*writable, *read_only):
            place = os.fsencode(folder)
            _checked("mount", place, place, None, _BIND | _RECURSIVE, None)
        _change("/", _MountAttributes(set=_READ_ONLY))
        for folder in writable:
            _change(folder, _MountAttributes(clear=_READ_ONLY))
        for folder in read_only:
            _change(folder, _MountAttributes(set=_READ_ONLY))
    except OSError as error:
        return f"this machine makes no namespaces: {error.strerror}"
    return ""


def _change(folder: str, attributes: _MountAttributes) -> None:
    size = ctypes.sizeof(attributes)
    place = os.fsencode(folder)
    _checked("syscall", _MOUNT_SETATTR, _HERE, place, _AT_RECURSIVE, ctypes.byref(attributes), size)


def _checked(function: str, *arguments: object) -> None:
    """Call `function` of the C library. Raises OSError."""
    if getattr(_library(), function)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
