"""A load test reads as numbers, with or without its figure."""

import re

from sageturner_magic.endpoints.measured.load_result import LoadTest, Timed
from sageturner_magic.notebook.display.figures import bars, spark
from sageturner_magic.notebook.display.load_test import load_test_html
from sageturner_magic.values import Attempt
from tests.unit.notebook.test_html import HOSTILE, tags


def result(*timed):
    return LoadTest("digits", len(timed), 8, 2.0, tuple(timed))


def test_a_load_test_has_a_figure_and_the_same_as_a_table():
    test = result(*(Timed(Attempt(200), 0.001 * number) for number in range(1, 101)))
    html = load_test_html(test)
    assert tags(html).count("svg") == 1
    assert "half of them up to 50.0 ms" in html
    assert "<th" in html and "p99" in html and "99.0 ms" in html


def test_what_the_model_said_is_text():
    html = load_test_html(result(Timed(Attempt(500, f"HTTP 500 {HOSTILE}", HOSTILE), 0.1)))
    assert "img" not in tags(html) and "svg" not in tags(html)


def test_a_figure_has_a_bar_for_each_value_but_zero():
    assert (
        tags(bars([1, 0, 3], ["a", "b", "c", "d"], title="t", axes=("x", "y"))).count("rect") == 2
    )
    assert tags(spark([1, None, 0.0], title="t")).count("rect") == 2
    assert tags(spark([1, None, 0.0], title="t", bad=True)).count("rect") == 1
    assert bars([], [], title="t", axes=("x", "y")) == "" and spark([None], title="t") == ""


def test_a_figure_says_what_it_shows_and_its_words_are_text():
    html = spark([1], title=HOSTILE)
    assert 'role="img"' in html and "aria-label=" in html and "img" not in tags(html)


def test_names_of_marks_stand_at_their_lines_and_not_on_each_other():
    marks = [(3.0, "p50"), (9.6, "p95"), (9.7, "p99"), (10.0, "max")]
    html = bars([5] * 10, ["x"] * 11, title="t", axes=("ms", "answers"), marks=marks)
    lines = [float(x) for x in re.findall(r'x1="([\d.]+)"[^>]*stroke-dasharray', html)]
    names = {
        name: (float(x), float(y))
        for x, y, name in re.findall(r'<text x="([\d.]+)" y="([\d.]+)"[^>]*>(p\d\d|max)<', html)
    }
    assert [*names] == ["p50", "p95", "p99", "max"]
    for line, (x, _) in zip(lines, names.values(), strict=True):
        assert abs(line - x) < 12
    assert len({y for _, y in names.values()}) == 3 and min(y for _, y in names.values()) > 8
