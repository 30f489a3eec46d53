"""Refuse what another web page makes a browser send to a local endpoint. No I/O.

A page can give its own name this machine's address (DNS rebinding) and post forms to any port.
The browser tells both: the Host header has the page's name, the Origin header the page's address.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ..problems import Problem


class Hosts:
    """The names under which a local endpoint may be addressed.

    Args:
        allowed: Beside this machine's own names, as `serving.allowed_hosts` has them.
    """

    def __init__(self, allowed: Collection[str]) -> None:
        self._allowed = frozenset(name.lower() for name in allowed)

    def check(self, headers: Mapping[bytes, bytes]) -> None:
        """Raise Problem (403) for a Host or an Origin with another name."""
        host = headers.get(b"host")
        if host is not None and not self._has(_name(host.decode("latin-1"))):
            raise _problem("Host", host)
        origin = headers.get(b"origin")
        if origin is not None:
            _, _, rest = origin.decode("latin-1").partition("://")
            if not self._has(_name(rest)):
                raise _problem("Origin", origin)

    def _has(self, name: str) -> bool:
        own = name == "localhost" or name.endswith(".localhost") or name == "[::1]"
        return own or _loopback(name) or name in self._allowed


def _name(host: str) -> str:
    name, colon, port = host.strip().lower().rpartition(":")
    if not colon or not port.isdecimal():
        name = host.strip().lower()
    return name.removesuffix(".")


def _loopback(name: str) -> bool:
    parts = name.split(".")
    return len(parts) == 4 and parts[0] == "127" and all(part.isdecimal() for part in parts)


def _problem(header: str, value: bytes) -> Problem:
    said = value.decode("latin-1")[:200]
    return Problem(
        403,
        f"{header}NotAllowed",
        f"this local endpoint does not accept the {header} header {said!r}. If you trust that "
        "name, add it in the YAML and deploy again: `serving: {allowed_hosts: [NAME]}`",
    )
