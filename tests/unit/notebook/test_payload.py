"""The payload of invoke is Python of the notebook, otherwise JSON."""

import pytest

from sageturner_magic.errors import UsageError
from sageturner_magic.notebook.payload import evaluate


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"pixels": list(image)}', {"pixels": [1, 2]}),
        ("[x * 2 for x in image]", [2, 4]),
        ('{"a": true, "b": null}', {"a": True, "b": None}),
        ("null", None),
        ("  image[0]  ", 1),
        ('"text"', "text"),
        ("{\n 'a': 1\n}", {"a": 1}),
    ],
)
def test_python_first_then_json(text, value):
    assert evaluate(text, {"image": [1, 2]}) == value


def test_what_is_neither_says_what_both_make_of_it():
    with pytest.raises(UsageError) as raised:
        evaluate('{"pixels": [', {})
    assert "as Python: '[' was never closed" in str(raised.value)
    assert "as JSON: " in str(raised.value)


def test_python_that_fails_says_what_it_raised_and_nothing_of_json():
    with pytest.raises(UsageError) as raised:
        evaluate('{"pixels": imgae}', {})
    assert "raises NameError: name 'imgae' is not defined" in str(raised.value)
    assert "as JSON" not in str(raised.value)
