"""Open HTTP connections with this machine's proxies and certificates."""

from __future__ import annotations

import base64
import os
import ssl
from functools import cache
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3

from sageturner_magic._version import __version__
from sageturner_magic.values import Credentials

TIMEOUT = urllib3.Timeout(connect=10, read=60)
"""Seconds to a connection and between two pieces of an answer."""

USER_AGENT = f"sageturner-magic/{__version__}"


@cache
def _context() -> ssl.SSLContext:
    # OpenSSL itself reads SSL_CERT_FILE and SSL_CERT_DIR; the others are requests' and curl's.
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    return ssl.create_default_context(cafile=None if "SSL_CERT_FILE" in os.environ else bundle)


@cache
def _pool(proxy: str) -> urllib3.PoolManager:
    if not proxy:
        return urllib3.PoolManager(maxsize=8, ssl_context=_context())
    parts = urlsplit(proxy)
    headers = {}
    if parts.username:
        account = f"{parts.username}:{parts.password or ''}"
        headers = urllib3.make_headers(proxy_basic_auth=account)
    return urllib3.ProxyManager(proxy, maxsize=8, ssl_context=_context(), proxy_headers=headers)


def open_connections(url: str) -> urllib3.PoolManager:
    """The connections to take for `url`, shared by everything in this process."""
    parts = urlsplit(url)
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all") or ""
    if parts.hostname and proxy_bypass(parts.hostname):
        proxy = ""
    return _pool(proxy)


def authorization(credentials: Credentials | None) -> dict[str, str]:
    """The header that presents `credentials`, or none."""
    if credentials is None:
        return {}
    account = f"{credentials.user}:{credentials.password}".encode()
    return {"Authorization": f"Basic {base64.b64encode(account).decode()}"}


def status_of(url: str, credentials: Credentials | None) -> int:
    """The status that a GET of `url` gets, or 0 without an answer."""
    try:
        answer = open_connections(url).request(
            "GET",
            url,
            headers={"User-Agent": USER_AGENT, **authorization(credentials)},
            timeout=TIMEOUT,
            retries=False,
        )
    except urllib3.exceptions.HTTPError:
        return 0
    return answer.status
