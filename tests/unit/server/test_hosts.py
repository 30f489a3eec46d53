"""Which Host and Origin headers a local endpoint accepts."""

from __future__ import annotations

import re

import pytest
import yaml

from sageturner_magic.server.front.hosts import Hosts
from sageturner_magic.server.problems import Problem

HOSTS = Hosts(["host.docker.internal", "Hub.Example.org"])


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:8080", "127.0.0.1", "localhost:1", "LOCALHOST", "localhost.:80", "a.localhost:80",
     "[::1]:8080", "[::1]", "127.8.9.1:5", "host.docker.internal:99", "hub.example.org"],
)  # fmt: skip
def test_this_machine_and_allowed_names_are_accepted(host: str) -> None:
    HOSTS.check({b"host": host.encode()})
    HOSTS.check({b"host": b"localhost", b"origin": b"http://" + host.encode()})


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example",
     "notlocalhost", "10.0.0.1", "[::2]:80", "sub.hub.example.org", "127.0.0.1@evil.example"],
)  # fmt: skip
def test_other_names_are_refused_with_the_key_that_allows_them(host: str) -> None:
    with pytest.raises(Problem, match="allowed_hosts") as caught:
        HOSTS.check({b"host": host.encode()})
    assert caught.value.status == 403
    with pytest.raises(Problem, match="Origin"):
        HOSTS.check({b"host": b"localhost", b"origin": b"https://" + host.encode()})


@pytest.mark.parametrize(
    "written", ["hub.example.org:8443", "https://Hub.example.org/", "hub.example.org.", "fe80::7"]
)
def test_a_name_may_be_allowed_as_an_address_has_it(written: str) -> None:
    host = b"[fe80::7]:80" if "::" in written else b"hub.example.org:9000"
    Hosts([written]).check({b"host": host, b"origin": b"https://" + host})


@pytest.mark.parametrize("host", [b"hub.example.org:8443", b"[fe80::7]:80", b"x] , evil"])
def test_the_line_that_a_refusal_shows_allows_the_name(host: bytes) -> None:
    with pytest.raises(Problem) as caught:
        Hosts([]).check({b"host": host})
    (line,) = re.findall("`(.*)`", caught.value.message)
    Hosts(yaml.safe_load(line)["serving"]["allowed_hosts"]).check({b"host": host})


def test_no_configuration_allows_what_names_no_host() -> None:
    for headers in ({b"host": b""}, {b"host": b"localhost", b"origin": b"null"}):
        with pytest.raises(Problem) as caught:
            Hosts(["", "null", "https://"]).check(headers)
        assert "allowed_hosts" not in caught.value.message


def test_a_page_without_an_address_of_its_own_is_refused() -> None:
    with pytest.raises(Problem, match="null"):
        HOSTS.check({b"host": b"localhost", b"origin": b"null"})


def test_a_client_that_says_neither_is_no_browser() -> None:
    HOSTS.check({})
