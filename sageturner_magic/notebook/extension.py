"""Putting the extension into a shell, and taking it out without a trace."""

from __future__ import annotations

from typing import Any

from IPython.core.interactiveshell import InteractiveShell

from sageturner_magic.deployment.here import enter_notebook, leave_notebook
from sageturner_magic.notebook.magics import SageturnerMagics

PREDICTION = ("sageturner_magic.targets.prediction", "Prediction")
_loaded: dict[InteractiveShell, SageturnerMagics] = {}


def load(shell: InteractiveShell) -> None:
    """Register the magics, the recording of cells and the display of predictions."""
    if shell in _loaded:
        return
    magics = SageturnerMagics(shell)
    shell.register_magics(magics)
    shell.events.register("pre_run_cell", magics.session.begin)
    shell.events.register("post_run_cell", magics.session.record)
    enter_notebook(magics.session)
    for mime, show in FORMATTERS.items():
        _formatter(shell, mime).for_type_by_name(*PREDICTION, show)
    _loaded[shell] = magics


def unload(shell: InteractiveShell) -> None:
    """Undo `load`. Endpoints that were deployed go on."""
    magics = _loaded.pop(shell, None)
    if magics is None:
        return
    leave_notebook()
    shell.events.unregister("pre_run_cell", magics.session.begin)
    shell.events.unregister("post_run_cell", magics.session.record)
    for kind, names in magics.magics.items():
        for name in names:
            shell.magics_manager.magics[kind].pop(name, None)
    shell.magics_manager.registry.pop(type(magics).__name__, None)
    configurables: list[Any] = shell.configurables
    configurables.remove(magics)
    for mime in FORMATTERS:
        formatter = _formatter(shell, mime)
        formatter.deferred_printers.pop(PREDICTION, None)
        for kind in [kind for kind in formatter.type_printers if _is_prediction(kind)]:
            formatter.pop(kind)


def _formatter(shell: InteractiveShell, mime: str) -> Any:
    formatter = shell.display_formatter
    assert formatter is not None
    return formatter.formatters[mime]


def _is_prediction(kind: type) -> bool:
    return (kind.__module__, kind.__name__) == PREDICTION


def _html(prediction: Any) -> str:
    from sageturner_magic.notebook.predictions import prediction_html

    return prediction_html(prediction)


def _text(prediction: Any, printer: Any, cycle: bool) -> None:
    from sageturner_magic.deployment.words import prediction_text

    printer.text(prediction_text(prediction))


def _picture(mime: str) -> Any:
    def show(prediction: Any) -> bytes | None:
        return bytes(prediction.body) if prediction.content_type == mime else None

    return show


PICTURES = ("image/png", "image/jpeg")
"""Also given as they are, for viewers that take the pictures out of HTML."""

FORMATTERS: dict[str, Any] = {
    "text/html": _html,
    "text/plain": _text,
    **{mime: _picture(mime) for mime in PICTURES},
}
