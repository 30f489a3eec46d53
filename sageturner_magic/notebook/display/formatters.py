"""Register how a notebook shows each type of result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

Show = Callable[..., Any]


def register(shell: InteractiveShell) -> None:
    """Let the shell show our results."""
    for kind, shows in RESULTS.items():
        for mime, show in shows.items():
            _formatter(shell, mime).for_type_by_name(*kind, show)


def unregister(shell: InteractiveShell) -> None:
    """Take that out again."""
    for kind, shows in RESULTS.items():
        for mime in shows:
            formatter = _formatter(shell, mime)
            formatter.deferred_printers.pop(kind, None)
            for type_ in [type_ for type_ in formatter.type_printers if _name(type_) == kind]:
                formatter.pop(type_)


def _name(type_: type) -> tuple[str, str]:
    return (type_.__module__, type_.__name__)


def _formatter(shell: InteractiveShell, mime: str) -> Any:
    formatter = shell.display_formatter
    assert formatter is not None
    return formatter.formatters[mime]


def _prediction_html(prediction: Any) -> str:
    from sageturner_magic.notebook.display.markup import without_maths
    from sageturner_magic.notebook.display.predictions import prediction_html

    return without_maths(prediction_html(prediction))


def _text(result: Any, printer: Any, cycle: bool) -> None:
    from sageturner_magic.rendering import text_of
    from sageturner_magic.text import visible

    printer.text(visible(text_of(result)))


def _picture(mime: str) -> Show:
    """Pictures as they are, for viewers that take them out of HTML."""

    def show(prediction: Any) -> bytes | None:
        return bytes(prediction.body) if prediction.content_type == mime else None

    return show


def _load_test_html(test: Any) -> str:
    from sageturner_magic.notebook.display.load_test import load_test_html
    from sageturner_magic.notebook.display.markup import without_maths

    return without_maths(load_test_html(test))


RESULTS: dict[tuple[str, str], dict[str, Show]] = {
    ("sageturner_magic.endpoints.prediction", "Prediction"): {
        "text/html": _prediction_html,
        "text/plain": _text,
        **{mime: _picture(mime) for mime in ("image/png", "image/jpeg")},
    },
    ("sageturner_magic.endpoints.measured.load_result", "LoadTest"): {
        "text/html": _load_test_html,
        "text/plain": _text,
    },
}
"""Module and name of a type -> media type -> what makes it."""


def show(result: object) -> Any:
    """Return what a cell shows for the result of a magic; None where it prints the text."""
    from pkgutil import resolve_name

    from sageturner_magic.rendering import registered

    path = registered(SHOWN, result)
    return resolve_name(path)(result) if path else None


def _itself(result: object) -> object:
    """The shell has formatters for its type."""
    return result


def _listing(listing: Any) -> Any:
    from sageturner_magic.notebook.display.html import endpoints_shown

    return endpoints_shown([*listing.endpoints], listing.now, listing.notes)


def _source(result: object) -> Any:
    from sageturner_magic.notebook.display.html import code_shown
    from sageturner_magic.rendering import text_of

    return code_shown(text_of(result))


SHOWN = {
    "sageturner_magic.endpoints.prediction:Prediction": f"{__name__}:_itself",
    "sageturner_magic.endpoints.measured.load_result:LoadTest": f"{__name__}:_itself",
    "sageturner_magic.deployment.plan:Plan": "sageturner_magic.notebook.display.html:plan_shown",
    "sageturner_magic.deployment.tried:Tried": (
        "sageturner_magic.notebook.display.predictions:tried_shown"
    ),
    "sageturner_magic.endpoints.measured.dashboard:Dashboard": (
        "sageturner_magic.notebook.display.html:dashboard_shown"
    ),
    "sageturner_magic.endpoints.endpoint:Listing": f"{__name__}:_listing",
    "sageturner_magic.verbs.sources:Source": f"{__name__}:_source",
    "sageturner_magic.verbs.diagnosis:Report": (
        "sageturner_magic.notebook.display.html:report_shown"
    ),
    "builtins:dict": f"{__name__}:_source",
}
"""Path of a type -> path of what a magic returns in its place; others are printed."""
