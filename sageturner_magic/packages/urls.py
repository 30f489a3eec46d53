"""Split URLs of package indexes and files from their credentials."""

from __future__ import annotations

import netrc
import re
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from sageturner_magic.values import Credentials

_USERINFO = re.compile(r"(?<=://)[^/\s@'\"`]+@")


@dataclass(frozen=True)
class Location:
    """An index, a folder of wheels or a file, by URL.

    Attributes:
        url: The URL without credentials.
        credentials: Those that the URL carried, or None.
    """

    url: str
    credentials: Credentials | None = None

    @classmethod
    def parse(cls, url: str) -> Location:
        """Take the credentials out of `url`."""
        parts = urlsplit(url)
        userinfo, at, host = parts.netloc.rpartition("@")
        user, _, password = userinfo.partition(":")
        # `ssh://git@host` names an account, which is not a secret.
        if not at or (parts.scheme.endswith("ssh") and not password):
            return cls(url)
        bare = urlunsplit(parts._replace(netloc=host))
        return cls(bare, Credentials(unquote(user), unquote(password)))

    @property
    def host(self) -> str:
        """The host's name in lower case; empty for a path."""
        return (urlsplit(self.url).hostname or "").lower()

    def authenticated(self) -> str:
        """The URL with its credentials: for the one program that needs them, never for show."""
        if self.credentials is None:
            return self.url
        parts = urlsplit(self.url)
        userinfo = quote(self.credentials.user, safe="")
        if self.credentials.password:
            userinfo += f":{quote(self.credentials.password, safe='')}"
        return urlunsplit(parts._replace(netloc=f"{userinfo}@{parts.netloc}"))


def without_credentials(text: str) -> str:
    """`text` with the user and password taken out of every URL in it."""
    return _USERINFO.sub("", text)


def netrc_credentials(host: str) -> Credentials | None:
    """What the user's .netrc (or the file that NETRC names) has for `host`."""
    try:
        found = netrc.netrc().authenticators(host)
    except (OSError, netrc.NetrcParseError):
        return None
    return Credentials(found[0], found[2] or "") if found else None
