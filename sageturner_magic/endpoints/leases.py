"""Move the end of a lease when its endpoint is used, beside the work that uses it.

What is known of ends in this process is kept, so that a notebook can say that one comes.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from sageturner_magic.aws import AwsSession
from sageturner_magic.aws.endpoints import lease_of, renew_lease
from sageturner_magic.beside import beside
from sageturner_magic.endpoints.local import LocalState
from sageturner_magic.errors import AwsError, Finding

EVERY_S = 600.0
"""AWS is asked so often at most, by all processes of a user together."""

_lock = threading.Lock()
_log = logging.getLogger("sageturner_magic")
_looked: dict[str, float] = {}
_told: set[str] = set()
_ends: dict[str, float] = {}


def renew_in_background(session: AwsSession, name: str) -> None:
    """Move the end of the lease of `name`, if it has one, in a thread. Nobody waits for it.

    A refusal of AWS is logged as a warning, once in a process.
    """
    if _is_due(session, name):
        beside(lambda: _renew(session, name))


def note_end(name: str, end: float | None) -> None:
    """Remember when the lease of `name` ends, in seconds since 1970; None without a lease."""
    if end is None:
        _ends.pop(name, None)
    else:
        _ends[name] = end


def known_ends() -> dict[str, float]:
    """Endpoint -> when its lease ends, in seconds since 1970, as far as this process knows."""
    return dict(_ends)


def _is_due(session: AwsSession, name: str) -> bool:
    key = ".".join((session.profile or "", session.region, name))
    with _lock:
        if time.monotonic() - _looked.get(key, -math.inf) < EVERY_S:
            return False
        _looked[key] = time.monotonic()
    file = LocalState().root / "used" / key
    # Without a home to write to, each process asks.
    with suppress(OSError):
        if _age(file) < EVERY_S:
            return False
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return True


def _age(file: Path) -> float:
    try:
        # A clock that was set back must not stop this for long.
        return abs(time.time() - file.stat().st_mtime)
    except FileNotFoundError:
        return EVERY_S


def _renew(session: AwsSession, name: str) -> None:
    try:
        length = lease_of(session, name)
    except AwsError:
        # Who may not see whether there is a lease has nothing to hear about it.
        return
    try:
        note_end(name, renew_lease(session, name, length, time.time()) if length else None)
    except AwsError as error:
        if name not in _told:
            _told.add(name)
            _log.warning("%s", _refused(name, error.findings[0]))


def _refused(name: str, finding: Finding) -> Finding:
    what = f"This use of {name} did not move the end of its lease"
    return replace(finding, what=what, severity="note")
