"""Refuse what another web page makes a browser send to a local endpoint. No I/O.

A page can give its own name this machine's address (DNS rebinding) and post forms to any port.
The browser tells both: the Host header has the page's name, the Origin header the page's address.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping

from ..problems import Problem


class Hosts:
    """The names under which a local endpoint may be addressed.

    Args:
        allowed: Beside this machine's own names, as `serving.allowed_hosts` has them. A scheme,
            a port and a path, which an address may have, do not count.
    """

    def __init__(self, allowed: Collection[str]) -> None:
        self._allowed = frozenset(map(_written, allowed)) - {""}

    def check(self, headers: Mapping[bytes, bytes]) -> None:
        """Raise Problem (403) for a Host or an Origin with another name."""
        host = headers.get(b"host")
        if host is not None:
            self._check("Host", host, host)
        origin = headers.get(b"origin")
        if origin is not None:
            self._check("Origin", origin, origin.partition(b"://")[2])

    def _check(self, header: str, value: bytes, host: bytes) -> None:
        name = _name(host.decode("latin-1"))
        if not self._has(name):
            raise _problem(header, value, name)

    def _has(self, name: str) -> bool:
        own = name == "localhost" or name.endswith(".localhost") or name == "[::1]"
        return own or _loopback(name) or name in self._allowed


def _name(host: str) -> str:
    name, colon, port = host.strip().lower().rpartition(":")
    if not colon or not port.isdecimal():
        name = host.strip().lower()
    return name.removesuffix(".")


def _written(allowed: str) -> str:
    # The name of `https://name:port/path`, `name:port`, or an IPv6 address without its brackets.
    host = allowed.rpartition("://")[2].partition("/")[0]
    return _name(f"[{host}]" if host.count(":") > 1 and "[" not in host else host)


def _loopback(name: str) -> bool:
    parts = name.split(".")
    return len(parts) == 4 and parts[0] == "127" and all(part.isdecimal() for part in parts)


def _problem(header: str, value: bytes, name: str) -> Problem:
    said = value.decode("latin-1")[:200]
    message = f"this local endpoint does not accept the {header} header {said!r}"
    if name:
        line = f"serving: {{allowed_hosts: {json.dumps([name])}}}"
        message += f". If you trust that name, add it in the YAML and deploy again: `{line}`"
    else:
        message += ", which names no host; open the page that sends it from an address"
    return Problem(403, f"{header}NotAllowed", message)
