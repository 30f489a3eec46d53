"""The forms of pydantic's types, which read by pydantic; only where the user's code imports it."""

from __future__ import annotations

import json
import sys
import typing
from typing import Any, Literal

from ..formats import AnswerError, to_json
from .faults import At, Faults, got
from .form import ANY, Form


def is_pydantic(annotation: Any, arguments: tuple[Any, ...]) -> bool:
    """Whether only pydantic (2) knows what a type takes.

    That is so of models, pydantic's dataclasses and types, and where an Annotated names a
    function that validates.
    """
    if "pydantic" not in sys.modules:
        return False
    kind = typing.get_origin(annotation) or annotation
    parts = annotation.__metadata__ if kind is typing.Annotated else (kind,)
    return any(
        hasattr(part, "__get_pydantic_core_schema__")
        or (isinstance(part, type) and "__pydantic_validator__" in vars(part))
        for part in parts
    )


def model(
    annotation: Any,
    mode: Literal["validation", "serialization"],
    prefix: str,
    space: str,
    definitions: dict[str, Any],
) -> Form:
    """The form of such a type.

    Args:
        annotation: The type.
        mode: Whether the schema is of what comes in or of what goes out.
        prefix: What references begin with.
        space: What the names of definitions begin with.
        definitions: Gets the schemas that references name.
    """
    import pydantic

    adapter: Any = pydantic.TypeAdapter(annotation)

    def read(value: Any, at: At, faults: Faults) -> Any:
        try:
            # As JSON, in which pydantic takes lists for tuples and text for dates, strict or not.
            return adapter.validate_json(_text(value))
        except AnswerError:
            faults.add(at, f"expected JSON, got {got(value)}")
        except pydantic.ValidationError as error:
            for each in error.errors(include_url=False, include_context=False, include_input=False):
                place = at
                for key in each["loc"]:
                    place = (place, key)
                faults.add(place, each["msg"])
        return None

    if mode == "serialization":
        schema = _schema(adapter, mode, prefix, space, definitions)
        same = _plain(adapter, "validation") == _plain(adapter, "serialization")
        # What goes out in another form than it comes in, pydantic cannot read.
        return Form(read if same else ANY.read, schema, "an object", "objects", ANY.kinds)
    noun = getattr(annotation, "__name__", "a value of another form")
    return Form(
        read, _schema(adapter, mode, prefix, space, definitions), noun, f"{noun}s", ANY.kinds
    )


def _text(value: Any) -> str | bytes:
    try:
        # What was decoded from JSON is written by this in a quarter of the time.
        return json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return to_json(value, "null")


def _plain(adapter: Any, mode: str) -> Any:
    import pydantic

    try:
        return adapter.json_schema(mode=mode, by_alias=mode == "validation")
    except pydantic.errors.PydanticInvalidForJsonSchema:
        return mode


def _schema(
    adapter: Any, mode: str, prefix: str, space: str, definitions: dict[str, Any]
) -> dict[str, Any]:
    import pydantic

    while True:
        try:
            # Responses have the names of the fields, as model_dump() writes them.
            schema: dict[str, Any] = adapter.json_schema(
                mode=mode,
                by_alias=mode == "validation",
                ref_template=f"{prefix}{space}{{model}}",
            )
        except pydantic.errors.PydanticInvalidForJsonSchema:
            return {}
        parts = {space + name: part for name, part in schema.pop("$defs", {}).items()}
        if all(definitions.get(name, part) == part for name, part in parts.items()):
            definitions.update(parts)
            return schema
        space += "_"
