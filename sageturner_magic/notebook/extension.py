"""Load the extension into a shell, and unload it without a trace."""

from __future__ import annotations

from typing import Any

from IPython.core.interactiveshell import InteractiveShell

from sageturner_magic.context import enter_notebook, leave_notebook
from sageturner_magic.notebook import display
from sageturner_magic.notebook.completion import magic_first, matcher
from sageturner_magic.notebook.magics import SageturnerMagics

_loaded: dict[InteractiveShell, SageturnerMagics] = {}
_matchers: dict[InteractiveShell, Any] = {}
_endings: dict[InteractiveShell, display.Ending] = {}


def load(shell: InteractiveShell) -> None:
    """Register the magics, the recording of cells and the display of results."""
    if shell in _loaded:
        return
    magics = SageturnerMagics(shell)
    shell.register_magics(magics)
    shell.events.register("pre_run_cell", magics.session.begin)
    shell.events.register("post_run_cell", magics.session.record)
    _endings[shell] = display.Ending()
    shell.events.register("post_run_cell", _endings[shell].announce)
    shell.input_transformers_cleanup.append(magic_first)
    enter_notebook(magics.session)
    display.register(shell)
    _matchers[shell] = matcher(magics.session)
    _custom_matchers(shell).append(_matchers[shell])
    _loaded[shell] = magics


def unload(shell: InteractiveShell) -> None:
    """Undo `load`. Endpoints that were deployed go on."""
    magics = _loaded.pop(shell, None)
    if magics is None:
        return
    leave_notebook()
    _custom_matchers(shell).remove(_matchers.pop(shell))
    shell.input_transformers_cleanup.remove(magic_first)
    shell.events.unregister("pre_run_cell", magics.session.begin)
    shell.events.unregister("post_run_cell", magics.session.record)
    shell.events.unregister("post_run_cell", _endings.pop(shell).announce)
    for kind, names in magics.magics.items():
        for name in names:
            shell.magics_manager.magics[kind].pop(name, None)
    shell.magics_manager.registry.pop(type(magics).__name__, None)
    configurables: list[Any] = shell.configurables
    configurables.remove(magics)
    display.unregister(shell)


def _custom_matchers(shell: InteractiveShell) -> list[Any]:
    assert shell.Completer is not None
    matchers: list[Any] = shell.Completer.custom_matchers
    return matchers
