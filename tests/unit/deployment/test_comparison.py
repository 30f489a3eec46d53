"""Two responses are alike, or the first place where they differ is named."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sageturner_magic.deployment.trial import difference

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-1000, 1000)
    | st.text(max_size=5)
    | st.floats(-1e6, 1e6, allow_nan=False)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=12,
)


def leaves(value, place=""):
    """Place, container and key of every leaf."""
    pairs = enumerate(value) if isinstance(value, list) else value.items()
    for key, item in pairs:
        at = f"{place}[{json.dumps(key)}]"
        if isinstance(item, (list, dict)):
            yield from leaves(item, at)
        else:
            yield at, value, key


@given(VALUES)
def test_a_value_is_like_itself_sent_as_json(value):
    assert difference(value, json.loads(json.dumps(value))) == ""


@given(VALUES.filter(lambda value: isinstance(value, (list, dict))), st.data())
def test_a_changed_leaf_is_named_by_its_place(value, data):
    found = list(leaves(value))
    if not found:
        return
    at, container, key = data.draw(st.sampled_from(found))
    before = json.loads(json.dumps(value))
    container[key] = "another value"
    assert f"at `{at}`: " in difference(before, value)
    assert difference(before, value).endswith('and "another value"')


@pytest.mark.parametrize(
    ("here", "there"),
    [(1 / 3, 0.3333333334), (2, 2.0), (0.0, 1e-9), ([1.0], [1.00001]), (1e300, 1e300)],
)
def test_floats_are_alike_within_the_tolerance(here, there):
    assert difference(here, there) == ""


@pytest.mark.parametrize(
    ("here", "there", "said"),
    [
        (0.5, 0.501, "0.5 and 0.501"),
        (100_000_000, 100_000_001, "100000000 and 100000001"),
        (True, 1, "true and 1"),
        (0.0, False, "0.0 and false"),
        (None, 0, "null and 0"),
        ("1", 1, '"1" and 1'),
        ([1, 2], [1], "lists of 2 and 1 items"),
        ({"a": [1]}, {"a": []}, 'at `["a"]`: lists of 1 and 0 items'),
        ({"a": 1}, {}, '`["a"]` is in the response of the notebook only'),
        ({}, {"b": 1}, '`["b"]` is in the response of the deployed code only'),
        ([1], {"a": 1}, '[1] and {"a": 1}'),
    ],
)
def test_what_differs_is_said(here, there, said):
    assert difference(here, there) == said


def test_a_gpu_rounds_more():
    assert difference([0.5], [0.5005], gpu=True) == ""
    assert difference([0.5], [0.5005]) != "" and difference([0.5], [0.6], gpu=True) != ""
