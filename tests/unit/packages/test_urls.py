from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from sageturner_magic.packages.urls import Location, without_credentials
from sageturner_magic.values import Credentials

secret = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), min_size=1, max_size=20)


@settings(deadline=None)
@given(secret, secret)
def test_credentials_leave_a_url_and_return(user: str, password: str) -> None:
    whole = Location("https://example.org/simple", Credentials(user, password)).authenticated()
    found = Location.parse(whole)
    assert found.url == "https://example.org/simple"
    assert found.credentials == Credentials(user, password)
    assert "https://example.org/simple" in without_credentials(f"error: {whole} is bad")
    assert Location.parse(without_credentials(whole)).credentials is None


def test_an_account_of_ssh_is_no_secret() -> None:
    assert Location.parse("git+ssh://git@example.org/x.git").credentials is None


def test_a_url_without_credentials_stays_as_it_is() -> None:
    for url in ("https://example.org:8080/a@b", "file:///tmp/x", "https://example.org/?q=a@b"):
        assert Location.parse(url) == Location(url)
        assert without_credentials(url) == url
