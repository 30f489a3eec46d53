"""Describe what a verb is, and run it. The table lists the verbs; this module knows none."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, wraps
from pkgutil import resolve_name
from types import SimpleNamespace
from typing import Any, Literal, ParamSpec, Protocol, TypeVar

from sageturner_magic.verbs.arguments import Argument

P = ParamSpec("P")
First = TypeVar("First")
Result = TypeVar("Result")
Outcome = TypeVar("Outcome", covariant=True)


@dataclass(frozen=True)
class Verb:
    """One verb.

    Attributes:
        name: As it is written in a line.
        summary: What it does, without a capital and a period.
        function: Path of its public function.
        result: Path of the type that the command and the magic render; empty for none.
        arguments: In the order in which help shows them.
        work: Path of what the command and the magic run in place of `function`: the same
            with progress, with a question first, or with more to show.
        permissions: Names of its permission sets in `aws.policies`.
        cell: What a cell's body means below `%%sageturner VERB`; empty where it takes none.
    """

    name: str
    summary: str
    function: str
    result: str
    arguments: tuple[Argument, ...] = ()
    work: str = ""
    permissions: tuple[str, ...] = ()
    cell: Literal["", "configuration", "payload"] = ""

    @property
    def public_name(self) -> str:
        """The name of its public function: `load_test`, `try_`."""
        return "try_" if self.name == "try" else self.name.replace("-", "_")

    @property
    def sentence(self) -> str:
        """The summary as a sentence."""
        return f"{self.summary[0].upper()}{self.summary[1:]}."

    @property
    def takes_payload(self) -> bool:
        """Whether a request can be written behind the name."""
        return any(argument.parameter == "payload" for argument in self.arguments)


def bound(verb: Verb, values: SimpleNamespace, **more: Any) -> partial[Any]:
    """Return a verb's work (or what a switch runs in its place) with the arguments that it takes.

    Calling it returns a result, or work that has begun and is to be followed.

    Args:
        values: What `parse` returned.
        more: Parameter -> value, over those of `values`; for parameters that the function has.
    """
    function = resolve_name(values.runs or verb.work or verb.function)
    given = {**vars(values), "aws": _aws(values), **more}
    taken = inspect.signature(function).parameters
    return partial(function, **{name: given[name] for name in taken if name in given})


def after(first: Callable[P, First]) -> Callable[[Callable[[First], Result]], Callable[P, Result]]:
    """Make a verb of a function of one value: it takes the arguments of `first`, which makes that.

    So verbs that differ only in what they do with it declare and describe their arguments once.
    """

    def verb_of(then: Callable[[First], Result]) -> Callable[P, Result]:
        @wraps(then)
        def verb(*args: P.args, **kwargs: P.kwargs) -> Result:
            return then(first(*args, **kwargs))

        signature = inspect.signature(first)
        returns = inspect.signature(then).return_annotation
        verb.__signature__ = signature.replace(  # type: ignore[attr-defined]
            return_annotation=returns
        )
        verb.__annotations__ = {**first.__annotations__, "return": returns}
        arguments = re.search(r"Args:\n(?: .*\n?)+", inspect.getdoc(first) or "")
        verb.__doc__ = f"{inspect.getdoc(then)}\n\n{arguments[0] if arguments else ''}".rstrip()
        return verb

    return verb_of


class Work(Protocol[Outcome]):
    """Work that has begun."""

    def watch(self, redraw: Callable[[], None]) -> None: ...
    def result(self) -> Outcome: ...


def finish(work: Work[Result]) -> Result:
    """Wait for work that has begun without showing it, and return or raise what comes of it."""
    work.watch(lambda: None)
    return work.result()


def _aws(values: SimpleNamespace) -> Any:
    from sageturner_magic.context import AwsOptions

    return AwsOptions(
        getattr(values, "profile", None),
        getattr(values, "region", None),
        getattr(values, "where", None),
    )
