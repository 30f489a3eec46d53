"""Types and values drawn by hypothesis, with jsonschema as the judge of the schema."""

from __future__ import annotations

import dataclasses
import enum
import json
from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple, Optional, TypedDict, Union

import annotated_types
import jsonschema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sageturner_magic.server.codec.contract import Contract, Invalid, contract_of

Is = Callable[[Any], bool]
"""Whether a value is of a type, written beside the type and not by our code."""
Drawn = tuple[Any, Is]

NAMES = ["a", "b", "c"]


class Colour(enum.Enum):
    RED = "a"
    NONE = None
    ONE = 1


def exactly(kind: type) -> Is:
    return lambda value: type(value) is kind


@st.composite
def limited(draw: st.DrawFn) -> Drawn:
    low, high = sorted(draw(st.tuples(st.integers(-3, 3), st.integers(-3, 3))))
    kind = draw(st.sampled_from([int, float]))
    strict = draw(st.booleans())
    limits: list[Any] = [annotated_types.Ge(low), annotated_types.Le(high)]
    if strict:
        limits = [annotated_types.Interval(gt=low, lt=high)]
    return (
        Annotated[(kind, *limits)],
        lambda value: (
            type(value) is kind and (low < value < high if strict else low <= value <= high)
        ),
    )


SINGLE: st.SearchStrategy[Drawn] = st.sampled_from(
    [
        (int, exactly(int)),
        (float, exactly(float)),
        (str, exactly(str)),
        (bool, exactly(bool)),
        (None, exactly(type(None))),
        (Colour, exactly(Colour)),
        (Literal["a", 1, True], lambda value: value in ("a", 1, True)),
        (Annotated[str, annotated_types.Len(1, 2)], lambda value: 1 <= len(value) <= 2),
        (Annotated[int, annotated_types.MultipleOf(2)], lambda value: value % 2 == 0),
    ]
)


def containers(inner: st.SearchStrategy[Drawn]) -> st.SearchStrategy[Drawn]:
    return st.one_of(
        inner.map(_list),
        inner.map(_optional),
        inner.map(_dict),
        inner.map(_short),
        st.tuples(inner, inner).map(_pair),
        st.tuples(inner, inner).map(_either),
        st.tuples(st.sampled_from(["dataclass", "tuple", "dict"]), inner, inner, st.booleans()).map(
            _record
        ),
    )


def _list(item: Drawn) -> Drawn:
    return list[item[0]], lambda value: type(value) is list and all(map(item[1], value))  # type: ignore[name-defined]


def _short(item: Drawn) -> Drawn:
    kind = Annotated[list[item[0]], annotated_types.Len(1, 2)]  # type: ignore[name-defined]
    return kind, lambda value: 1 <= len(value) <= 2 and all(map(item[1], value))


def _optional(item: Drawn) -> Drawn:
    return Optional[item[0]], lambda value: value is None or item[1](value)  # noqa: UP045


def _either(items: tuple[Drawn, Drawn]) -> Drawn:
    (one, is_one), (two, is_two) = items
    return Union[one, two], lambda value: _holds(is_one, value) or _holds(is_two, value)  # noqa: UP007


def _holds(test: Is, value: Any) -> bool:
    try:
        return test(value)
    except (TypeError, AttributeError):
        return False


def _dict(item: Drawn) -> Drawn:
    return dict[str, item[0]], lambda value: (  # type: ignore[name-defined]
        type(value) is dict and all(map(item[1], value.values()))
    )


def _pair(items: tuple[Drawn, Drawn]) -> Drawn:
    (one, is_one), (two, is_two) = items
    return tuple[one, two], lambda value: (  # type: ignore[valid-type]
        type(value) is tuple and is_one(value[0]) and is_two(value[1])
    )


def _record(drawn: tuple[str, Drawn, Drawn, bool]) -> Drawn:
    form, (one, is_one), (two, is_two), optional = drawn
    if form == "dict":
        kind = TypedDict("kind", {"a": one, "b": two}, total=not optional)  # type: ignore[misc]  # noqa: UP013
        return (
            kind,
            lambda value: (
                type(value) is dict
                and ("a" in value or optional)
                and all({"a": is_one, "b": is_two}[key](value[key]) for key in value)
            ),
        )
    made: Any
    if form == "tuple":
        made = NamedTuple("made", [("a", one), ("b", two)])  # type: ignore[misc]  # noqa: UP014
    else:
        second: Any = ("b", two, dataclasses.field(default=None)) if optional else ("b", two)
        made = dataclasses.make_dataclass("made", [("a", one), second])
    return (
        made,
        lambda value: (
            type(value) is made
            and is_one(value.a)
            and (is_two(value.b) or (optional and form == "dataclass" and value.b is None))
        ),
    )


TYPES = st.recursive(SINGLE | limited(), containers, max_leaves=6)
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-4, 4), st.sampled_from([0.5, 1.0, -2.0, 1e300]),
    st.sampled_from(["", "a", "b", "aaa", "1"]),
)  # fmt: skip
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3)
    ),
    max_leaves=8,
)


def contract(kind: Any) -> Contract:
    def predict(model: Any, request: Any) -> Any: ...

    predict.__annotations__ = {"request": kind}
    return contract_of(predict, None)


def like(schema: dict[str, Any], schemas: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values near what a schema takes, so that more than scalars are taken."""
    if "$ref" in schema:
        return like(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    if "anyOf" in schema:
        return st.one_of([like(each, schemas) for each in schema["anyOf"]])
    if "allOf" in schema:
        return like(schema["allOf"][0], schemas)
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    kind = schema.get("type")
    if kind == "array" and "prefixItems" in schema:
        return st.tuples(*(like(each, schemas) for each in schema["prefixItems"])).map(list)
    if kind == "array":
        return st.lists(like(schema.get("items", {}), schemas), max_size=3)
    if kind == "object" and "properties" in schema:
        parts = {key: like(each, schemas) for key, each in schema["properties"].items()}
        return st.fixed_dictionaries(parts)
    if kind == "object":
        item = like(schema.get("additionalProperties", {}), schemas)
        return st.dictionaries(st.sampled_from(NAMES), item, max_size=2)
    return LEAVES


@settings(suppress_health_check=list(HealthCheck), max_examples=3 * settings().max_examples)
@given(TYPES, st.data())
def test_what_the_schema_takes_predict_gets_as_that_type_and_nothing_else(
    drawn: Drawn, data: st.DataObject
) -> None:
    kind, is_kind = drawn
    found = contract(kind)
    assert found.form is not None and not found.unread
    schemas = found.described["schemas"]
    schema = {**found.described["request"], "components": {"schemas": schemas}}
    jsonschema.Draft202012Validator.check_schema(schema)
    judge = jsonschema.Draft202012Validator(schema)
    near = like(found.described["request"], schemas)
    value = json.loads(json.dumps(data.draw(near | VALUES, "request")))
    try:
        taken = found.request(value)
    except Invalid as error:
        assert not judge.is_valid(value), f"the schema takes what is refused: {error}"
        assert error.faults
    else:
        assert judge.is_valid(value)
        assert is_kind(taken), f"{taken!r} is not a {kind}"
