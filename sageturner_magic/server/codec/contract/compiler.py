"""Find the form of an annotation."""

from __future__ import annotations

import collections.abc
import enum
import re
import types
import typing
from collections.abc import Callable
from dataclasses import InitVar, replace
from typing import Any, Literal

from . import arrays, choices, containers, limits, models, records
from .faults import At, Faults
from .form import ANY, SINGLE, Form

PREFIX = "#/components/schemas/"
"""Where a reference finds the schemas of `Compiler.definitions`: their place in OpenAPI."""

_MAKERS: dict[Any, Callable[[list[Any]], Any]] = {
    list: list,
    collections.abc.Sequence: list,
    collections.abc.Collection: list,
    collections.abc.Iterable: list,
    collections.abc.MutableSequence: list,
    set: set,
    collections.abc.Set: set,
    collections.abc.MutableSet: set,
    frozenset: frozenset,
    tuple: tuple,
}
_MAPPINGS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)
_WRAPPERS = ("Required", "NotRequired", "ReadOnly", "Final", "ClassVar")


class Compiler:
    """Makes forms, one for each class however often it comes, so that types may contain themselves.

    Args:
        mode: Whether the schemas are of what comes in, or of what goes out, which pydantic
            distinguishes.
        space: What the names of definitions begin with.

    Attributes:
        definitions: The schemas that references name.
    """

    def __init__(self, mode: Literal["validation", "serialization"], space: str = "") -> None:
        self._space = space
        self._mode: Literal["validation", "serialization"] = mode
        self._known: dict[Any, Form] = {}
        self.definitions: dict[str, Any] = {}

    def form(self, annotation: Any) -> Form:
        """The form of an annotation; ANY for a type that is not known here."""
        if annotation is None:  # As in dict[str, None], of which typing makes no NoneType.
            annotation = type(None)
        # The metadata of an Annotated may have no hash.
        hashable = isinstance(annotation, collections.abc.Hashable) and not _metadata(annotation)
        if hashable and annotation in SINGLE:
            return SINGLE[annotation]
        if isinstance(annotation, InitVar):
            return self.form(annotation.type)
        origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
        if models.is_pydantic(annotation, arguments):
            return models.model(annotation, self._mode, PREFIX, self._space, self.definitions)
        if metadata := _metadata(annotation):
            rows = [each for each in metadata if isinstance(each, type) and records.is_record(each)]
            if rows and arrays.is_table(arguments[0]):
                return self._table(rows[0])
            return limits.limited(self.form(arguments[0]), metadata)
        if origin is typing.Union or origin is types.UnionType:
            return choices.union([self.form(each) for each in arguments])
        if origin is Literal:
            return choices.literal([*arguments]) or ANY
        if getattr(origin, "_name", "") in _WRAPPERS:
            return self.form(arguments[0])
        if hasattr(annotation, "__supertype__"):
            return self.form(annotation.__supertype__)
        if type(annotation).__name__ == "TypeAliasType":
            return self._named(
                annotation, annotation.__name__, lambda: self.form(annotation.__value__)
            )
        if type(origin).__name__ == "TypeAliasType":
            return self._of_alias(annotation, origin.__value__[arguments])
        kind = origin or annotation
        if kind in _MAKERS or kind in _MAPPINGS:
            return self._container(kind, arguments)
        if self._mode == "validation" and arrays.is_array(kind):
            return arrays.array(arguments)
        if self._mode == "validation" and arrays.is_table(kind):
            return arrays.table()
        return self._class(kind) if isinstance(kind, type) else ANY

    def _of_alias(self, annotation: Any, written: Any) -> Form:
        # NumPy's NDArray is such an alias since 2.5, and names nothing of the user's.
        if arrays.is_array(typing.get_origin(written)):
            return self.form(written)
        return self._named(annotation, repr(annotation), lambda: self.form(written))

    def _table(self, row: type) -> Form:
        # A response has a table's rows.
        if self._mode == "serialization":
            return containers.several(self.form(row), list)
        return arrays.table(self.form(row), records.columns(row))

    def _container(self, kind: Any, arguments: tuple[Any, ...]) -> Form:
        forms = [self.form(each) if each is not ... else ANY for each in arguments]
        if kind in _MAPPINGS:
            key, item = forms or (SINGLE[str], ANY)
            if self._mode == "serialization" and key.kinds != {"string"}:
                key = ANY  # Keys are text in JSON, however numbers and dates are written.
            return containers.mapping(key, item)
        make = _MAKERS[kind]
        if kind is tuple and arguments and arguments[-1] is not ...:
            return containers.fixed([] if arguments == ((),) else forms, tuple)
        item = forms[0] if forms else ANY
        return (
            containers.unique(item, make)
            if make in (set, frozenset)
            else containers.several(item, make)
        )

    def _class(self, kind: type) -> Form:
        if issubclass(kind, enum.Enum):
            members = choices.literal([*kind])
            return self._named(kind, kind.__qualname__, lambda: members) if members else ANY
        if records.is_record(kind):
            make = records.written if self._mode == "serialization" else records.record
            return self._named(kind, kind.__qualname__, lambda: make(kind, self.form))
        return ANY

    def _named(self, key: Any, name: str, make: Callable[[], Form]) -> Form:
        # A form that its own parts may refer to before it is complete.
        if key in self._known:
            return self._known[key]
        name = self._space + re.sub(r"[^A-Za-z0-9._-]", "_", name.replace("<locals>.", ""))
        while name in self.definitions:
            name += "_"
        whole: list[Form] = []

        def read(value: Any, at: At, faults: Faults) -> Any:
            return whole[0].read(value, at, faults)

        reference = {"$ref": PREFIX + name}
        self.definitions[name] = {}
        self._known[key] = replace(
            ANY, read=read, schema=reference, noun=f"an object ({key.__name__})", plural="objects"
        )
        whole.append(make())
        self.definitions[name] = whole[0].schema
        self._known[key] = replace(whole[0], schema=reference)
        return self._known[key]


def _metadata(annotation: Any) -> tuple[Any, ...]:
    annotated = typing.get_origin(annotation) is typing.Annotated
    return annotation.__metadata__ if annotated else ()
