"""Ask the user of a notebook, where there is one who can answer."""

from __future__ import annotations

import sys
from collections.abc import Callable

from IPython.core.error import StdinNotImplementedError
from IPython.core.interactiveshell import InteractiveShell
from IPython.display import display


def ask(shell: InteractiveShell, question: str) -> bool | None:
    """Whether the user says yes; None where nobody can be asked, as under papermill and in CI."""
    sys.stdout.flush()
    if not hasattr(shell, "kernel") and not (sys.stdin and sys.stdin.isatty()):
        return None
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except (StdinNotImplementedError, EOFError):
        return None


def offer(shell: InteractiveShell, what: str, plain: str, run: Callable[[], object]) -> None:
    """Show a button that does what could not be asked about, where a front end can show one.

    Args:
        what: What stands on the button.
        plain: What a saved notebook shows in its place.
        run: What pressing it does; what that prints appears below the button.
    """
    if not hasattr(shell, "kernel"):
        return
    import ipywidgets

    button = ipywidgets.Button(description=what, button_style="danger")
    output = ipywidgets.Output()

    def pressed(_: ipywidgets.Button) -> None:
        button.disabled = True
        with output:
            run()

    button.on_click(pressed)
    view = {"model_id": None, "version_major": 2, "version_minor": 0}
    box = ipywidgets.VBox([button, output])
    view["model_id"] = box.model_id
    bundle = {"application/vnd.jupyter.widget-view+json": view, "text/plain": plain}
    display(bundle, raw=True)  # type: ignore[no-untyped-call]
