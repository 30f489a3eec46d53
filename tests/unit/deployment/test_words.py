"""How figures read."""

from pathlib import Path

import pytest

from sageturner_magic.deployment import words
from sageturner_magic.deployment.events import Ended
from sageturner_magic.deployment.progress import Measure, Progress
from sageturner_magic.errors import EndpointError
from sageturner_magic.image.layers import PlannedLayer


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.6, "1 min 0 s"), (185, "3 min 5 s"),
     (3720, "1 h 2 min")],
)  # fmt: skip
def test_durations(seconds, text):
    assert words.duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (99_949, "99.9 kB"), (123_456, "123 kB"),
     (999_700, "1.0 MB"), (3_400_000, "3.4 MB"), (1.2e9, "1.2 GB"), (2.5e12, "2500 GB")],
)  # fmt: skip
def test_sizes(count, text):
    assert words.size(count) == text


@pytest.mark.parametrize(
    ("measure", "text"),
    [
        (Measure(1_000_000, 2_000_000, "B"), "1.0 MB of 2.0 MB"),
        (Measure(1_000_000, None, "B"), "1.0 MB"),
        (Measure(1, 3, "instances"), "1 of 3 instances"),
        (Measure(2, None, "files"), "2 files"),
    ],
)
def test_measures(measure, text):
    assert words.measure(measure) == text


def test_long_text_is_cut_and_says_by_how_much():
    assert words.clip("x" * 3000, 10) == "xxxxxxxxxx… (2,990 more characters)"


def test_layers_are_shown_with_their_size_and_whether_they_are_new():
    layers = (
        PlannedLayer("base image 0123456789ab", 29_000_000, "sha256:a", "registry"),
        PlannedLayer("numpy 2.4.6", 16_900_000),
        PlannedLayer(", ".join(f"package-{n}" for n in range(20)), 0),
        PlannedLayer("the program", 1_700, "sha256:b", "cache"),
    )
    assert words.layers_summary(layers) == (
        "4, 45.9 MB compressed: 1 in the registry, 1 in this machine's cache, 2 to be made"
    )
    base, numpy, many, program = map(words.layer_line, layers)
    assert base == "base image 0123456789ab: 29.0 MB, in the registry"
    assert numpy == "numpy 2.4.6: about 16.9 MB, to be made"
    assert many.endswith("…: size not known, to be made") and len(many) < 100
    assert program == "the program: 1.7 kB, in this machine's cache"


def test_code_below_the_working_directory_is_named_from_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert words.nearby(str(tmp_path / "digits" / "code")) == str(Path("digits", "code"))
    assert words.nearby(str(tmp_path.parent / "code")) == str(tmp_path.parent / "code")
    assert words.nearby("In[3], In[4]") == "In[3], In[4]"
    assert words.nearby("") == ""


def test_what_was_to_be_rolled_back_is_not_said_to_be_deployed():
    progress = Progress("digits", "Rolling back", "rolled back")
    assert words.headline(progress) == "Rolling back digits"
    progress.apply(Ended(1.0, None, EndpointError("no")))
    assert words.headline(progress) == "digits was not rolled back"
