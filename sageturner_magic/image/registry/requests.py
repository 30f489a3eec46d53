"""Send requests to a registry: credentials, retries, and its errors in plain words."""

from __future__ import annotations

import json
import random
import re
import threading
import time
from urllib.parse import urlencode, urljoin

import urllib3

from sageturner_magic.errors import ImageError
from sageturner_magic.image.spec import Destination
from sageturner_magic.packages import TIMEOUT, USER_AGENT, authorization, open_connections

TRIES = 8
"""How often one request may fail in a row in a way that may pass."""

PASSING = {408, 429, 500, 502, 503, 504}

_INSTEAD_OF = re.compile(r"First byte of the layer part is \d+ instead of (\d+)")
"""ECR's words for a part that is out of order."""


class RegistryRequests:
    """Asks the registry of one repository; safe to use from several threads.

    Attributes:
        host: The registry's host, with a port if need be.
        name: The repository's name in it.
    """

    def __init__(self, destination: Destination) -> None:
        self._destination = destination
        self.host, _, self.name = destination.repository.partition("/")
        # Docker's rule: only a registry on this machine may do without TLS.
        local = re.fullmatch(r"(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?", self.host)
        self._root = f"{'http' if local else 'https'}://{self.host}"
        self._lock = threading.Lock()
        self._authorization: dict[str, str] = {}
        self._challenge = ""
        self._generation = 0

    def location(self, answer: urllib3.BaseHTTPResponse, present: str = "") -> str:
        """Where `answer` says to go on: at `present` where it says nothing."""
        return urljoin(self._root, answer.headers.get("Location", present))

    def ask(
        self,
        method: str,
        address: str,
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
        *,
        streamed: bool = False,
    ) -> urllib3.BaseHTTPResponse:
        """An answer that is neither 401 nor one that may pass, unless it stays so.

        Args:
            address: A path in the repository (`/manifests/…`), or a whole URL.
            streamed: Leave the body to be read in pieces.

        Raises ImageError where the registry does not answer.
        """
        url = f"{self._root}/v2/{self.name}{address}" if address.startswith("/") else address
        for failures in range(1, TRIES + 1):
            try:
                answer = self._once(method, url, headers or {}, body, streamed)
            except urllib3.exceptions.HTTPError as error:
                if failures == TRIES:
                    raise self.silent(error) from None
                pause(failures)
                continue
            if answer.status not in PASSING or failures == TRIES:
                return answer
            answer.release_conn()
            pause(failures, answer)
        raise AssertionError("the loop returns")

    def try_once(
        self, method: str, url: str, headers: dict[str, str], body: bytes
    ) -> urllib3.BaseHTTPResponse | None:
        """One answer, or None where there was none."""
        try:
            return self._once(method, url, headers, body, streamed=False)
        except urllib3.exceptions.HTTPError:
            return None

    def _once(
        self, method: str, url: str, headers: dict[str, str], body: bytes | None, streamed: bool
    ) -> urllib3.BaseHTTPResponse:
        """One answer, after new credentials if the registry wants them."""
        for _ in range(2):
            generation, own = self._generation, self._authorization
            answer = open_connections(url).request(
                method,
                url,
                # A blob may lie elsewhere, by redirection: urllib3 then leaves this header out.
                headers={"User-Agent": USER_AGENT, **own, **headers},
                body=body,
                timeout=TIMEOUT,
                retries=urllib3.Retry(
                    connect=0, read=0, redirect=5, status=0, other=0, raise_on_status=False
                ),
                preload_content=not streamed,
            )
            if answer.status != 401 and not _expired(answer):
                return answer
            challenge = answer.headers.get("WWW-Authenticate", self._challenge)
            answer.release_conn()
            with self._lock:
                # Another thread may have been faster.
                if generation == self._generation:
                    self._challenge = challenge
                    self._authorization = self._authenticated(challenge)
                    self._generation += 1
        return answer

    def _authenticated(self, challenge: str) -> dict[str, str]:
        kind, _, rest = challenge.partition(" ")
        fields = dict(re.findall(r'(\w+)="([^"]*)"', rest))
        account = self._destination.credentials() if self._destination.credentials else None
        if kind.lower() == "basic" and account:
            return authorization(account)
        if kind.lower() == "bearer" and "realm" in fields:
            query = {name: text for name, text in fields.items() if name in ("service", "scope")}
            url = f"{fields['realm']}?{urlencode(query)}"
            answer = open_connections(url).request(
                "GET", url, headers={"User-Agent": USER_AGENT, **authorization(account)},
                timeout=TIMEOUT,
            )  # fmt: skip
            self.expect(answer, 200)
            found = answer.json()
            return {"Authorization": f"Bearer {found.get('token') or found['access_token']}"}
        raise ImageError(
            f"the registry {self.host} wants credentials",
            why=f"it asks for {kind or 'them'} and none are known",
            do="log in (`docker login`), or name a registry that needs none",
            code="ST69",
        )

    def silent(self, error: Exception) -> ImageError:
        """The error for a registry that does not answer."""
        return ImageError(
            f"the registry {self.host} does not answer",
            why=str(error.__cause__ or error),
            do="check the network and the proxy (HTTPS_PROXY), then run it again",
            code="ST69",
        )

    def corrupt(self, expected: str, found: str) -> ImageError:
        """The error for content whose digest is another one."""
        return ImageError(
            f"the registry {self.host} gives other content than was asked for",
            why=f"its digest is {found}, not {expected}",
            do="run it again; if it stays so, the registry or a proxy on the way is damaged",
            code="ST69",
        )

    def expect(self, answer: urllib3.BaseHTTPResponse, *statuses: int) -> None:
        """Raises ImageError where the answer has none of `statuses`, with what it means."""
        if answer.status in statuses:
            return
        words = _words(answer)
        if answer.status in (401, 403):
            raise ImageError(
                f"the registry {self.host} refuses the credentials",
                why=words,
                do=f"check that they may read and push {self.name}",
                code="ST69",
            )
        if "immutable" in words.lower():
            raise ImageError(
                "the repository has another image under this tag",
                why=words,
                do="run it again: what is there is used, and a change of the inputs gives a new"
                " tag",
                code="ST69",
            )
        if answer.status == 404:
            raise ImageError(
                f"the registry {self.host} has no {self.name}, or not what was asked for",
                why=words,
                do="run `sageturner setup`, or correct the repository's or the image's name",
                code="ST69",
            )
        raise ImageError(
            f"the registry {self.host} answers {answer.status}",
            why=words,
            do="wait a little, then run it again: what has arrived is not sent again"
            if answer.status == 429
            else "run it again; if it stays so, check the registry",
            code="ST69",
        )


def pause(failures: int, answer: urllib3.BaseHTTPResponse | None = None) -> None:
    """Wait before the next try: the longer, the more have failed."""
    time.sleep(_delay(failures, answer))


def _delay(failures: int, answer: urllib3.BaseHTTPResponse | None) -> float:
    """Seconds to wait: what the registry asks for, else twice as long each time."""
    asked = answer.headers.get("Retry-After", "") if answer is not None else ""
    if asked.isdigit():
        return min(int(asked), 60)
    return float(min(0.2 * 2**failures, 10) * random.uniform(0.5, 1))


def _expired(answer: urllib3.BaseHTTPResponse) -> bool:
    """Whether new credentials would help although the answer is not 401: ECR's way to say so."""
    return answer.status == 403 and "token has expired" in _words(answer)


def expected_byte(refusal: urllib3.BaseHTTPResponse) -> int | None:
    """The byte that ECR wants next, where it refuses a part for beginning with another."""
    found = _INSTEAD_OF.search(_words(refusal))
    return int(found[1]) if found else None


def _words(answer: urllib3.BaseHTTPResponse) -> str:
    """What a registry says is wrong, in its own words."""
    try:
        errors = json.loads(answer.data)["errors"]
        return "; ".join(f"{each['code']}: {each.get('message', '')}" for each in errors)
    except (ValueError, KeyError, TypeError):
        return answer.reason or f"HTTP status {answer.status}"
