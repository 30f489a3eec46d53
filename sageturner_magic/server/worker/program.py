"""Import the user's sageturner.py, check its functions, and trim its tracebacks."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from ..codec.contract import FREE, Contract, contract_of
from ..masking import masked

MOST_CHARACTERS = 10_000
"""Of a message, or of a line of a traceback."""

Kind = Literal["plain", "async", "batch"]


class ProgramError(Exception):
    """sageturner.py cannot serve, for a reason that is not an exception of its own."""


@dataclass(frozen=True)
class Program:
    """What sageturner.py defines.

    Attributes:
        load: Called with the model directory; returns the model.
        predict: Called with model, request and context; whether the user's own takes the
            context is settled.
        kind: `async` where predict is a coroutine function or an async generator, `batch` where
            predict_batch is defined.
        predict_batch: Called with model and a list of requests; None where it is not defined.
        example_request: None where it is not defined.
        contract: The types that the signature names.
    """

    load: Callable[[str], Any]
    predict: Callable[[Any, Any, Any], Any]
    kind: Kind
    predict_batch: Callable[[Any, list[Any]], Any] | None = None
    example_request: Callable[[], Any] | None = None
    contract: Contract = FREE


def import_program(folder: str) -> Program:
    """Import `folder`/sageturner.py and look at its functions.

    The folder becomes the working directory and the first entry of sys.path, and the module is
    also known as `__main__`, so that objects which were pickled in a notebook find their classes.

    Raises ProgramError, or whatever the module raises when it is imported.
    """
    path = os.path.join(folder, "sageturner.py")  # noqa: PTH118
    if not os.path.isfile(path):  # noqa: PTH113
        raise ProgramError(f"there is no sageturner.py in {folder}")
    os.chdir(folder)
    sys.path.insert(0, folder)
    module = importlib.import_module("sageturner")
    sys.modules["__main__"] = module
    return describe(vars(module))


def describe(names: dict[str, Any]) -> Program:
    """The program that a module with these names is. Raises ProgramError."""
    for name in ("load", "predict"):
        if not callable(names.get(name)):
            raise ProgramError(f"sageturner.py defines no function {name}")
    load, predict = names["load"], names["predict"]
    batch, example = names.get("predict_batch"), names.get("example_request")
    if inspect.iscoroutinefunction(load):
        raise ProgramError("load is async; define it with a plain `def`")
    takes_directory = _arguments(load, "load", "load() or load(model_dir)", (0, 1), "model_dir")
    takes_context = _arguments(
        predict, "predict", "predict(model, request) or predict(model, request, context)",
        (2, 3), "context",
    )  # fmt: skip
    if callable(batch):
        _arguments(batch, "predict_batch", "predict_batch(model, requests)", (2, 2), "")
    kind: Kind = "plain"
    if callable(batch):
        kind = "batch"
    elif inspect.iscoroutinefunction(predict) or inspect.isasyncgenfunction(predict):
        kind = "async"
    return Program(
        load=load if takes_directory else lambda _: load(),
        predict=predict if takes_context else lambda model, request, _: predict(model, request),
        kind=kind,
        predict_batch=batch if callable(batch) else None,
        example_request=example if callable(example) else None,
        contract=contract_of(predict, batch if callable(batch) else None),
    )


def _arguments(
    function: Callable[..., Any], name: str, forms: str, counts: tuple[int, int], last: str
) -> bool:
    # Whether `function` takes the last, optional argument. A further argument that has a default
    # is the user's own and is left alone, unless it bears the name.
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return False
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    required = [p for p in positional if p.default is p.empty]
    collects = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    unfillable = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
    fewest, most = counts
    if unfillable or len(required) > most or (len(positional) < fewest and not collects):
        raise ProgramError(
            f"{name}{inspect.signature(function)} cannot be called; it has to be {forms}"
        )
    if len(required) == most and most > fewest:
        return True
    return len(positional) >= most > fewest and positional[most - 1].name == last


def user_traceback(error: BaseException, folder: str) -> tuple[str, ...]:
    """The traceback of `error` as lines, cut to the frames of files below `folder`."""
    whole = traceback.TracebackException.from_exception(error, compact=True)
    seen = set()
    part: traceback.TracebackException | None = whole
    while part is not None and id(part) not in seen:
        seen.add(id(part))
        _keep(part.stack, folder)
        part = part.__cause__ or part.__context__
    return tuple(map(shortened, "".join(whole.format()).rstrip("\n").split("\n")))


def shortened(text: str) -> str:
    """What a log and a response hold of a message: a model may put a whole request into one."""
    text = masked(text)  # First: a part of a secret would not be known as one.
    if len(text) <= MOST_CHARACTERS:
        return text
    return f"{text[:MOST_CHARACTERS]} … ({len(text):,} characters)"


def _keep(stack: traceback.StackSummary, folder: str) -> None:
    prefix = os.path.join(os.path.realpath(folder), "")  # noqa: PTH118
    stack[:] = [
        frame
        for frame in stack
        # `<frozen importlib._bootstrap>` is no path, and would lie below the working directory.
        if not frame.filename.startswith("<")
        and os.path.realpath(frame.filename).startswith(prefix)
    ]
