"""Check the arguments of public functions, and make their variants for `await`."""

from __future__ import annotations

import asyncio
import difflib
import inspect
import types
import typing
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import replace
from functools import cache, wraps
from pathlib import Path
from typing import Any, Literal, ParamSpec, Protocol, TypeVar, Union

from sageturner_magic.errors import Finding, UsageError
from sageturner_magic.text import excerpt, kind_of

P = ParamSpec("P")
Result = TypeVar("Result")
Outcome = TypeVar("Outcome", covariant=True)

POLL_S = 0.05
"""Between two looks at work that runs in threads."""

PLACES = ("profile", "region")
"""What a function with `aws` also takes by itself."""

WORDS: dict[object, str] = {
    int: "a whole number",
    float: "a number",
    bool: "True or False",
    str: "text",
    Path: "a path",
    Mapping: "a dict",
    Sequence: "a list",
    Collection: "a list",
    Callable: "a function",
}


def checked(function: Callable[P, Result], name: str = "") -> Callable[P, Result]:
    """Let a public function refuse arguments of a wrong type before it does anything.

    The values reach the function as they were given. A function with `aws` also takes `profile` and
    `region`, which replace those of its `aws`.

    Args:
        name: What users call the function, where that is not its own name.

    Raises:
        UsageError: By the function: an argument that it does not have, one that is missing, or a
            value of another type. It names each and says what to write.
    """
    known_as = name or function.__qualname__.removesuffix(".__init__").rpartition(".")[2]

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> Result:
        _check(function, f"{known_as}()", args, kwargs)
        return function(*args, **_placed(function, kwargs))

    call.__signature__ = _signature(function)  # type: ignore[attr-defined]
    return call


@cache
def _signature(function: Callable[..., object]) -> inspect.Signature:
    """The signature of `function`, with `profile` and `region` where it has `aws`."""
    signature = inspect.signature(function)
    parameters = dict(signature.parameters)
    if "aws" in parameters:
        for name in PLACES:
            parameters[name] = inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation="str | None"
            )
    return signature.replace(parameters=[*parameters.values()])


def _placed(function: Callable[..., object], kwargs: Mapping[str, object]) -> dict[str, Any]:
    """`kwargs` with what names a place in AWS put into `aws`."""
    signature = inspect.signature(function).parameters
    if "aws" not in signature:
        return dict(kwargs)
    passed: dict[str, Any] = {key: value for key, value in kwargs.items() if key not in PLACES}
    given: dict[str, Any] = {key: kwargs[key] for key in PLACES if kwargs.get(key) is not None}
    if given:
        passed["aws"] = replace(passed.get("aws", signature["aws"].default), **given)
    return passed


def unknown_argument(kind: type, kwargs: Mapping[str, object]) -> UsageError:
    """The error for a keyword argument that objects of `kind` are not made with."""
    return _misfit(f"{kind.__name__}()", inspect.signature(kind.__init__), kwargs, "")  # type: ignore[misc]


def _check(
    function: Callable[..., object],
    called: str,
    args: tuple[object, ...],
    kwargs: Mapping[str, object],
) -> None:
    """Raise UsageError where the arguments do not fit the function's annotations."""
    signature = _signature(function)
    try:
        given = signature.bind(*args, **kwargs).arguments
    except TypeError as error:
        raise _misfit(called, signature, kwargs, str(error)) from None
    given.pop("self", None)
    from pydantic import ValidationError

    try:
        _model(function).model_validate(given)
    except ValidationError as error:
        names = dict.fromkeys(str(each["loc"][0]) for each in error.errors(include_url=False))
        hints = _hints(function)
        raise UsageError.of(
            _refused(called, name, hints[name], given[name]) for name in names
        ) from None


@cache
def _model(function: Callable[..., object]) -> Any:
    from pydantic import ConfigDict, create_model

    hints = _hints(function)
    fields: dict[str, Any] = {name: (hint, None) for name, hint in hints.items()}
    config = ConfigDict(arbitrary_types_allowed=True, strict=True, protected_namespaces=())
    return create_model("Arguments", __config__=config, **fields)


@cache
def _hints(function: Callable[..., object]) -> dict[str, Any]:
    hints = typing.get_type_hints(function)
    hints |= dict.fromkeys(PLACES, str | None) if "aws" in hints else {}
    return {name: hints[name] for name in _signature(function).parameters if name in hints}


def _misfit(
    called: str, signature: inspect.Signature, kwargs: Mapping[str, object], why: str
) -> UsageError:
    """The error for arguments that the function does not have, or that are missing."""
    takes = {name: each for name, each in signature.parameters.items() if name != "self"}
    unknown = next((name for name in kwargs if name not in takes), "")
    if unknown:
        near = difflib.get_close_matches(unknown, takes, n=1)
        return UsageError(
            f"`{called}` has no argument `{unknown}`",
            why=f"it takes {', '.join(f'`{name}`' for name in takes) or 'no arguments'}",
            do=f"write `{near[0]}=`" if near else f"leave `{unknown}` out",
        )
    needed = [name for name, each in takes.items() if each.default is each.empty]
    places = needed or [name for name, each in takes.items() if each.kind is not each.KEYWORD_ONLY]
    written = ", ".join(f"{name}=…" for name in places)
    return UsageError(
        f"`{called}` does not fit its arguments", why=why, do=f"write `{called[:-1]}{written})`"
    )


def _refused(called: str, name: str, hint: object, value: object) -> Finding:
    kind = kind_of(value)
    # What `value` is called is the value of a secret.
    plain = isinstance(value, (str, int, float)) and name != "value"
    what = f"`{name}` of `{called}` is {f'{excerpt(repr(value))}, {kind}' if plain else kind}"
    choices = [repr(each) for each in _choices(hint)]
    if near := difflib.get_close_matches(repr(value), choices, n=1):
        why = f"it takes one of {', '.join(choices)}"
        return Finding(what, why=why, do=f"did you mean `{name}={near[0]}`?", code="ST10")
    return Finding(what, do=f"pass {' or '.join(choices) or _words(hint)}", code="ST10")


def _choices(hint: object) -> tuple[object, ...]:
    """The values of a Literal, alone or beside None."""
    if typing.get_origin(hint) is Literal:
        return typing.get_args(hint)
    return tuple(value for each in _union(hint) for value in _choices(each))


def _union(hint: object) -> tuple[object, ...]:
    return typing.get_args(hint) if typing.get_origin(hint) in (Union, types.UnionType) else ()


def _words(hint: object) -> str:
    """What a person calls values of a type."""
    if members := _union(hint):
        texts = [_words(each) for each in members if each is not type(None)]
        # What a person writes first, objects of this package last.
        texts = sorted(dict.fromkeys(texts), key=lambda text: "(" in text)
        return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} or {texts[-1]}"
    origin = typing.get_origin(hint) or hint
    for kind, words in WORDS.items():
        if origin is kind or origin is typing.get_origin(kind):
            return words
    name = getattr(origin, "__name__", str(origin))
    return f"sageturner_magic.{name}(…)"


# --- for `await` ---------------------------------------------------------------------------


def in_thread(
    function: Callable[P, Result], name: str = ""
) -> Callable[P, Coroutine[Any, Any, Result]]:
    """Return `function` for `await`: it runs in a thread, so that the event loop continues.

    A thread cannot be interrupted: cancelling ends the wait, and the call runs to its end.

    Args:
        name: Of the coroutine function, where it is not that of the function after an `a`.
    """

    @wraps(function)
    async def call(*args: P.args, **kwargs: P.kwargs) -> Result:
        return await asyncio.to_thread(function, *args, **kwargs)

    return named(call, function, name)


class Stoppable(Protocol[Outcome]):
    """Work that runs in threads of its own."""

    def done(self) -> bool: ...
    def cancel(self) -> None: ...
    def result(self) -> Outcome: ...


def followed(
    function: Callable[P, object], start: Callable[P, Stoppable[Result]], name: str = ""
) -> Callable[P, Coroutine[Any, Any, Result]]:
    """Return `function`, which waits for what `start` begins, for `await`.

    Cancelling does what Ctrl-C does: it stops the work and waits for its clean-up. Cancelling
    again leaves.
    """

    @wraps(function)
    async def call(*args: P.args, **kwargs: P.kwargs) -> Result:
        work = start(*args, **kwargs)
        try:
            await _ended(work)
        except asyncio.CancelledError:
            work.cancel()
            await _ended(work)
            raise
        return work.result()

    return named(call, function, name)


async def _ended(work: Stoppable[object]) -> None:
    while not work.done():
        await asyncio.sleep(POLL_S)


def named(
    call: Callable[P, Coroutine[Any, Any, Result]], function: Callable[..., object], name: str = ""
) -> Callable[P, Coroutine[Any, Any, Result]]:
    """Return `call` with the name and the help of a variant of `function`."""
    call.__name__ = call.__qualname__ = name or f"a{function.__name__}"
    call.__doc__ = f"For `await`: {inspect.getdoc(function)}"
    return call
