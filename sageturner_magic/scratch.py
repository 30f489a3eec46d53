"""Temporary folders that do not outlive their process: a later run removes what a killed one left.

The mark in a folder is locked for as long as the process that uses the folder runs. The system
gives the lock back however the process ends, and to no other process that has its number.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "sageturner-"
MARK = ".sageturner-scratch"


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Create a private folder for the body, and remove what killed processes left of theirs."""
    sweep()
    with tempfile.TemporaryDirectory(prefix=PREFIX) as name:
        lock = hold(Path(name))
        try:
            yield Path(name)
        finally:
            os.close(lock)


def scratch_folder_for_child() -> tuple[Path, int]:
    """Create a folder, and the descriptor that the process which uses it has to inherit."""
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    return folder, hold(folder)


def hold(folder: Path) -> int:
    """Mark `folder`, and keep it as long as the descriptor that is returned is open."""
    unfinished = folder / f"{MARK}.new"
    lock = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    # Without a lock, as on some network file systems, there is no mark and nothing is swept.
    with suppress(OSError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The mark is never seen without its lock.
        unfinished.rename(folder / MARK)
    return lock


def keep(folder: Path) -> None:
    """Leave `folder` to whoever knows its path, also when this process has ended."""
    (folder / MARK).unlink(missing_ok=True)


def sweep() -> None:
    """Remove the marked folders of this user whose processes have ended."""
    with suppress(OSError):
        for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
            with suppress(OSError):
                _remove_if_left(folder)


def remove(folder: Path) -> None:
    """Remove a folder of this user that is named as ours are; leave any other alone.

    The path may come from a record that somebody has changed.
    """
    with suppress(OSError):
        if folder.name.startswith(PREFIX) and folder.lstat().st_uid == os.getuid():
            shutil.rmtree(folder, ignore_errors=True)


def _remove_if_left(folder: Path) -> None:
    status = folder.lstat()
    private = stat.S_ISDIR(status.st_mode) and not status.st_mode & 0o077
    if not private or status.st_uid != os.getuid():
        return
    lock = os.open(folder / MARK, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # Fails while the process runs.
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)
