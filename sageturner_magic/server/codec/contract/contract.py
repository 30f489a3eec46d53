"""What a program's signature promises: the requests it takes and the values it returns."""

from __future__ import annotations

import collections.abc
import inspect
import json
import typing
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..formats import to_json
from .compiler import Compiler
from .faults import At, Fault, Faults, Full, Invalid, InvalidAnswer, written
from .form import ANY, Form
from .records import evaluated

_STREAMS = (
    collections.abc.Iterator,
    collections.abc.Generator,
    collections.abc.AsyncIterator,
    collections.abc.AsyncGenerator,
)


@dataclass(frozen=True)
class Contract:
    """The types of predict's request and of what it returns.

    Attributes:
        form: Reads requests; None where the signature names no type that is known here.
        answers: Reads responses, or what is yielded of one; None likewise.
        streams: Whether predict yields its response in parts.
        described: `request` and `answer`, JSON schemas or None, `schemas`, to which they refer,
            and `streams`, for /openapi.json; empty where the signature has neither.
        unread: Why the signature could not be read, if so.
    """

    form: Form | None = None
    answers: Form | None = None
    streams: bool = False
    described: dict[str, Any] = field(default_factory=dict)
    unread: str = ""

    def request(self, value: Any) -> Any:
        """The request as predict gets it. Raises Invalid where it is not of its type."""
        if self.form is None:
            return value
        read, faults = _read(self.form, value, None)
        if faults:
            raise Invalid(faults)
        return read

    def check_answer(self, value: Any, yielded: int | None = None) -> None:
        """Compare what predict returned with its type, as JSON, which is what callers get.

        Args:
            value: What was returned or yielded.
            yielded: How many values the response yielded before this one, if it is a stream.

        Raises:
            InvalidAnswer: It is not of its type.
            AnswerError: JSON has no form for it.
        """
        if self.answers is None or self.streams == (yielded is None):
            return
        at: At = (None, "answer")
        if yielded is not None:
            at = (at, yielded)
        _, faults = _read(self.answers, json.loads(to_json(value, "null")), at)
        if faults:
            raise InvalidAnswer(faults)


FREE = Contract()
"""Nothing is promised, nothing is checked."""


def _read(form: Form, value: Any, at: At) -> tuple[Any, Faults]:
    faults = Faults({})
    try:
        return form.read(value, at, faults), faults
    except Full:
        pass
    except RecursionError:
        faults.append(
            Fault(
                written(at),
                "the request is nested too deeply" if at is None else "nested too deeply",
            )
        )
    return None, faults


def contract_of(predict: Callable[..., Any], predict_batch: Callable[..., Any] | None) -> Contract:
    """The contract of the function that serves: predict_batch where there is one.

    A type that cannot be read is no reason not to serve: such a contract is free and says why.
    """
    try:
        request, answer = _annotations(predict_batch or predict)
        if predict_batch is not None:
            request, answer = _item(request), _item(answer)
        streams = predict_batch is None and _origin(answer) in _STREAMS
        if streams:
            answer = _item(answer, _STREAMS)
        incoming = Compiler("validation")
        taken = incoming.form(request)
        outgoing = Compiler("serialization")
        given = outgoing.form(answer)
        schemas = {**outgoing.definitions, **incoming.definitions}
        if any(schemas[name] != schema for name, schema in outgoing.definitions.items()):
            outgoing = Compiler("serialization", "Answer.")
            given = outgoing.form(answer)
            schemas = {**outgoing.definitions, **incoming.definitions}
    except Exception as error:
        return Contract(unread=f"{type(error).__name__}: {error}")
    described = {
        "request": None if taken is ANY else taken.schema,
        "answer": None if given is ANY else given.schema,
        "schemas": schemas,
        "streams": streams,
    }
    if taken is ANY and given is ANY:
        return FREE
    return Contract(
        None if taken is ANY else taken, None if given is ANY else given, streams, described
    )


def _annotations(function: Any) -> tuple[Any, Any]:
    # Of the second parameter and of what is returned.
    signature = inspect.signature(function)
    inner = inspect.unwrap(function)
    if not hasattr(inner, "__globals__"):
        inner = getattr(inner, "func", None) or getattr(inner, "__call__", inner)  # noqa: B004
    names = getattr(inner, "__globals__", {})
    parameters = [*signature.parameters.values()]
    request = parameters[1].annotation if len(parameters) > 1 else Any
    return tuple(  # type: ignore[return-value]
        Any if each is signature.empty else evaluated(each, names)
        for each in (request, signature.return_annotation)
    )


def _origin(annotation: Any) -> Any:
    return typing.get_origin(annotation) or annotation


def _item(annotation: Any, origins: tuple[Any, ...] = (list, collections.abc.Sequence)) -> Any:
    # What a list has so many of; Any where it is none.
    arguments = typing.get_args(annotation)
    return arguments[0] if _origin(annotation) in origins and arguments else Any
