"""What others wrote is shown, not obeyed."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sageturner_magic.plain_text import visible

OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@given(st.text(st.characters(exclude_categories=[])))
def test_nothing_is_left_that_a_terminal_or_browser_obeys(text):
    shown = visible(text)
    assert not OBEYED.search(shown)
    shown.encode()


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"])))
def test_letters_of_every_language_stay(text):
    assert visible(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "␛[31mred␛[0m"),
        ("\x1b]0;title\x07", "␛]0;title␇"),
        ("tab\tand\r\nline\n", "tab\tand\nline\n"),
        ("overwritten\rby this", "overwritten␍by this"),
        ("\x9b2J", "\\u009b2J"),
        ("abc\u202edef", "abc\\u202edef"),
        ("שלום 😀 مرحبا", "שלום 😀 مرحبا"),
    ],
)
def test_control_characters_become_symbols(text, shown):
    assert visible(text) == shown
