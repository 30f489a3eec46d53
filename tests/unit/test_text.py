"""What others wrote is shown, not obeyed; how figures read."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sageturner_magic.text import clip, duration, nearby, size, visible

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


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.6, "1 min 0 s"), (185, "3 min 5 s"),
     (3720, "1 h 2 min")],
)  # fmt: skip
def test_durations(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (99_949, "99.9 kB"), (123_456, "123 kB"),
     (999_700, "1.0 MB"), (3_400_000, "3.4 MB"), (1.2e9, "1.2 GB"), (2.5e12, "2500 GB")],
)  # fmt: skip
def test_sizes(count, text):
    assert size(count) == text


def test_long_text_is_cut_and_says_by_how_much():
    assert clip("x" * 3000, 10) == "xxxxxxxxxx… (2,990 more characters)"


def test_code_below_the_working_directory_is_named_from_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert nearby(str(tmp_path / "digits" / "code")) == str(Path("digits", "code"))
    assert nearby(str(tmp_path.parent / "code")) == str(tmp_path.parent / "code")
    assert nearby("In[3], In[4]") == "In[3], In[4]"
    assert nearby("") == ""
