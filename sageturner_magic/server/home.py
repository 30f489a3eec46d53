"""Give user code a home folder that it can write, and a user's name.

A serverless container runs as a user without an entry in passwd, with HOME=/, and may write below
/tmp only. The caches of matplotlib, numba, Hugging Face and torch lie below HOME unless their own
variables say otherwise, and `getpass.getuser()` reads a variable before it asks passwd.

Called once before user code is imported, by workers and by trials.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping

USER = "sageturner"
"""The user's name where passwd has none for the process's number."""

CACHES = ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR", "NUMBA_CACHE_DIR")
"""Variables that name folders for files that can be made again."""

MODELS = ("HF_HOME", "TORCH_HOME")
"""Variables that name folders of downloads; an image may hold them, to be read only."""

NAMES = ("LOGNAME", "USER", "LNAME", "USERNAME")
"""What `getpass.getuser()` reads, in this order."""


def prepare(environ: MutableMapping[str, str]) -> None:
    """Correct HOME, the caches' variables and the user's name, where they cannot be used.

    What can be used stays as it is: on an instance, on a user's machine, or where an image sets it.
    """
    if not _writable(environ.get("HOME", "")):
        environ["HOME"] = _own_home()
    for name in CACHES:
        if name in environ and not _writable(environ[name]):
            del environ[name]
    for name in MODELS:
        if name in environ and not (os.path.isdir(environ[name]) or _writable(environ[name])):  # noqa: PTH112
            del environ[name]
    if not any(environ.get(name) for name in NAMES) and not _known_user():
        environ["USER"] = environ["LOGNAME"] = USER


def _writable(folder: str) -> bool:
    """Whether `folder` can be written; it is created if it does not exist."""
    if not folder:
        return False
    try:
        os.makedirs(folder, exist_ok=True)  # noqa: PTH103
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)


def _own_home() -> str:
    """One folder for all workers of a container, so that they share the caches."""
    import tempfile

    folder = os.path.join(tempfile.gettempdir(), f"sageturner-home-{os.getuid()}")  # noqa: PTH118
    if _writable(folder) and os.stat(folder).st_uid == os.getuid():  # noqa: PTH116
        os.chmod(folder, 0o700)  # noqa: PTH101
        return folder
    return tempfile.mkdtemp(prefix="sageturner-home-")  # Somebody else's has the name.


def _known_user() -> bool:
    import pwd

    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        return False
    return True
