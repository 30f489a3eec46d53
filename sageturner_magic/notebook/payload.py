"""Evaluate what a line of `%sageturner` has in Python: a payload, a model, an example."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from sageturner_magic.errors import UsageError

if TYPE_CHECKING:
    from sageturner_magic.verbs import Expression


def evaluate(text: str, namespace: Mapping[str, object]) -> object:
    """The value of `text` as a Python expression in the notebook, otherwise as JSON.

    Raises:
        UsageError: It is neither; says what Python and JSON make of it.
    """
    text = text.strip()
    try:
        return eval(compile(text, "<payload>", "eval"), dict(namespace))
    except Exception as raised:
        problem = raised
    try:
        return json.loads(text)
    except ValueError as json_error:
        if not isinstance(problem, SyntaxError):
            raise UsageError(
                f"The payload `{_short(text)}` raises {type(problem).__name__}",
                why=str(problem),
                do="write an expression with names that this notebook has, or JSON",
                code="ST12",
            ) from None
        raise UsageError(
            f"The payload is neither a Python expression nor JSON: `{_short(text)}`",
            why=f"as Python: {problem.msg}; as JSON: {json_error}",
            do='write it like `{"pixels": list(image)}` with names of this notebook, or as JSON',
            code="ST12",
        ) from None


def expressions(
    texts: Mapping[str, str | None], namespace: Mapping[str, object], cell: int
) -> dict[str, Expression]:
    """The values of the arguments that name objects, for those that are given.

    Args:
        texts: `model` and `example` as written; None or empty where one is left out.
        cell: The number of the cell that names them.

    Raises:
        UsageError: An expression has no value.
    """
    from sageturner_magic.verbs import Expression

    return {
        flag: Expression(text, _expression_value(text, f"--{flag}", namespace), cell)
        for flag, text in texts.items()
        if text
    }


def _expression_value(text: str, flag: str, namespace: Mapping[str, object]) -> object:
    """The value of `text`, which `flag` has, as a Python expression in the notebook.

    Raises:
        UsageError: It has none.
    """
    try:
        return eval(compile(text.strip(), f"<{flag}>", "eval"), dict(namespace))
    except NameError as error:
        near = difflib.get_close_matches(error.name or "", list(namespace), n=1)
        raise UsageError(
            f"`{flag} {_short(text)}` names `{error.name}`, which the notebook does not have",
            do=f"did you mean `{near[0]}`?" if near else f"run the cell that makes `{error.name}`",
            code="ST12",
        ) from None
    except Exception as error:
        raise UsageError(
            f"`{flag} {_short(text)}` raises {type(error).__name__}",
            why=str(error),
            do="write a variable of this notebook, or an expression of one in quotes",
            code="ST12",
        ) from None


def _short(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "…"
