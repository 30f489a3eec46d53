"""Keep the AWS session of a notebook between its calls, as long as it is of the same credentials.

A session knows who is calling, and what does not change within minutes: quotas and prices. Its
clients keep their connections. `context` uses it.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from sageturner_magic.aws.session import AwsSession, open_session

MAX_AGE = 900.0
"""Seconds for which a session is kept, and with it what it knows of quotas and prices."""

FILES = {
    "AWS_CONFIG_FILE": "~/.aws/config",
    "AWS_SHARED_CREDENTIALS_FILE": "~/.aws/credentials",
}
"""Variable -> where AWS's tools look for the file without it."""


@dataclass(frozen=True)
class _Kept:
    given: object
    until: float
    session: AwsSession


_lock = threading.Lock()
_last: _Kept | None = None


def kept_session(profile: str | None = None, region: str | None = None) -> AwsSession:
    """The session of the last call, if everything that it was opened with is as it was.

    Args:
        profile, region: As for `open_session`.

    Raises:
        AwsError: As `open_session`.
    """
    global _last
    given = _given(profile, region)
    with _lock:
        last = _last
    if last and last.given == given and time.monotonic() < last.until:
        return last.session
    session = open_session(profile, region)
    with _lock:
        _last = _Kept(given, time.monotonic() + MAX_AGE, session)
    return session


def _given(profile: str | None, region: str | None) -> object:
    """Arguments, variables and files that credentials and region come from."""
    variables = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    places = [os.environ.get(name) or default for name, default in FILES.items()]
    return profile, region, variables, [_state(Path(place).expanduser()) for place in places]


def _state(path: Path) -> tuple[str, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return str(path), found.st_mtime_ns, found.st_size
