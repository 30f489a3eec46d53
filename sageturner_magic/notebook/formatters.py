"""How results are shown in a shell: registered by the name of their type, imported when shown."""

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
    from sageturner_magic.notebook.predictions import prediction_html

    return prediction_html(prediction)


def _prediction_text(prediction: Any, printer: Any, cycle: bool) -> None:
    from sageturner_magic.rendering.responses import prediction_text

    printer.text(prediction_text(prediction))


def _picture(mime: str) -> Show:
    """Pictures as they are, for viewers that take them out of HTML."""

    def show(prediction: Any) -> bytes | None:
        return bytes(prediction.body) if prediction.content_type == mime else None

    return show


def _load_test_html(test: Any) -> str:
    from sageturner_magic.notebook.load import load_test_html

    return load_test_html(test)


def _load_test_text(test: Any, printer: Any, cycle: bool) -> None:
    from sageturner_magic.rendering.load_tests import text
    from sageturner_magic.text import visible

    printer.text(visible(text(test)))


RESULTS: dict[tuple[str, str], dict[str, Show]] = {
    ("sageturner_magic.targets.prediction", "Prediction"): {
        "text/html": _prediction_html,
        "text/plain": _prediction_text,
        **{mime: _picture(mime) for mime in ("image/png", "image/jpeg")},
    },
    ("sageturner_magic.deployment.load_result", "LoadTest"): {
        "text/html": _load_test_html,
        "text/plain": _load_test_text,
    },
}
"""Module and name of a type -> media type -> what makes it."""
