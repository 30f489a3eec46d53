"""Show a running deployment or trial: a widget in a notebook, text in a terminal.

The widget is built once and its traits are changed; when the work has ended, the cell's output is
replaced by static HTML and text, which a notebook can keep.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Protocol

import ipywidgets
from IPython.core.interactiveshell import InteractiveShell
from IPython.display import display
from markupsafe import Markup

from sageturner_magic import rendering
from sageturner_magic.deployment import (
    DeploymentHandle,
    Handle,
    Progress,
    StepProgress,
    TrialHandle,
)
from sageturner_magic.errors import SageturnerError
from sageturner_magic.notebook.display.announcer import Announcer
from sageturner_magic.notebook.display.html import deployment_html, error_html, headline_html
from sageturner_magic.notebook.display.markup import box, fill, mime_bundle, text
from sageturner_magic.notebook.display.style import FILL, PANEL, SMALL, TEXT_FONT, colour_rules
from sageturner_magic.text import duration

LOG_LINES = 100
LOG_CHARACTERS = 20_000
"""Of the log's tail; it is sent whole with every update, though it is folded at first."""

STYLE = Markup(
    f"""<style>
.sageturner-progress{{font-family:{TEXT_FONT};color:var(--jp-ui-font-color1,inherit);
 font-size:var(--jp-ui-font-size1,13px);line-height:1.5}}
.sageturner-progress table{{border-collapse:collapse;background:none}}
.sageturner-progress td{{padding:1px 12px 1px 0;text-align:left;vertical-align:top;border:none;
 background:none;color:inherit;overflow-wrap:break-word}}
.sageturner-progress td:nth-child(3){{text-align:right;white-space:nowrap}}
{colour_rules(".sageturner-progress")}
.sageturner-progress progress{{width:140px;height:8px;accent-color:{FILL}}}
.sageturner-tail{{max-height:14em;overflow:auto;display:flex;flex-direction:column-reverse;
 background:{PANEL}}}
.jupyter-widgets.sageturner-fold .jupyter-widget-Collapse-header,
.jupyter-widgets.sageturner-fold .jupyter-widget-Collapse-contents
{{border:none;background:none;padding:2px 0}}
.sageturner-tail pre{{flex-shrink:0;margin:0;font-size:{SMALL};line-height:1.4;padding:6px 8px;
 background:none;color:var(--jp-content-font-color1,inherit);white-space:pre-wrap;
 overflow-wrap:anywhere}}
</style>"""
)


class Output(Protocol):
    """Where something is shown that can be replaced."""

    def update(self, bundle: dict[str, str], *, raw: bool) -> None: ...


def in_cell(widget: ipywidgets.Widget) -> Output:
    """Show a widget as the output of the cell that runs."""
    bundle = dict(widget._repr_mimebundle_())
    # What a front end without widgets shows until the result is there.
    bundle["text/plain"] = "In progress: the result follows here."
    shown: Output = display(bundle, raw=True, display_id=True)  # type: ignore[no-untyped-call]
    return shown


Result = tuple[str, str]
"""HTML and text that are left; the first line of the text is read out."""


class ProgressView:
    """The widget of what runs in steps. Use it from one thread at a time."""

    def __init__(
        self,
        handle: Handle,
        cancel: ipywidgets.Widget,
        ended: Callable[[Progress], Result],
        show: Callable[[ipywidgets.Widget], Output] = in_cell,
    ) -> None:
        """
        Args:
            cancel: What stands below, and says how to cancel.
            ended: Makes what takes the widget's place.
        """
        self._handle = handle
        self._ended = ended
        self._drawn = (-1, -1)
        self._steps = ipywidgets.HTML()
        self._log = ipywidgets.HTML()
        self._fold = ipywidgets.Accordion([self._log], titles=("Log",), selected_index=None)
        self._fold.add_class("sageturner-fold")
        self._announcer = Announcer()
        parts = [self._steps, self._fold, cancel, self._announcer.widget]
        self._output = show(ipywidgets.VBox(parts))

    def draw(self) -> None:
        """Bring the widget up to date; when the work has ended, leave the static result."""
        progress = self._handle.progress
        if self._handle.done():
            html, plain = self._ended(progress)
            self._announcer.say(plain.partition("\n")[0])
            self._output.update(mime_bundle(html, plain), raw=True)
            return
        # Durations change by themselves, so the steps are drawn once a second at the least.
        now = (progress.version, int(progress.seconds()))
        if now == self._drawn:
            return
        self._drawn = now
        self._steps.value = STYLE + steps_html(progress)
        self._log.value = log_html(progress)
        if running := _running(progress):
            self._announcer.say(", ".join(step.title for step in running))


def deployment_ended(last: Callable[[str], str], progress: Progress) -> Result:
    """What a deployment leaves; `last` gives an endpoint's last request, if there was one."""
    deployment = progress.deployment
    if deployment and not deployment.example and (request := last(deployment.name)):
        progress.deployment = replace(deployment, example=request)
    return deployment_html(progress), rendering.deployment_text(progress)


def _trial_ended(progress: Progress) -> Result:
    """What a trial leaves above its result, which is the cell's value."""
    line = rendering.steps_line(progress)
    html = fill("<p><small>{}</small></p>", line)
    if progress.error:
        return box(headline_html(progress), html, error_html(progress.error)), line
    return html, line


def _running(progress: Progress) -> list[StepProgress]:
    return [step for step in progress.steps() if rendering.state(step) == "running"]


def log_html(progress: Progress) -> Markup:
    """Show the last lines that the running steps wrote."""
    lines = [line for step in _running(progress) for line in progress.log(step)][-LOG_LINES:]
    tail = text("\n".join(lines)[-LOG_CHARACTERS:], LOG_CHARACTERS)
    # A column in reverse keeps the newest line in sight without a script.
    return fill('<div class="sageturner-tail"><pre>{}</pre></div>', tail or "nothing yet")


def steps_html(progress: Progress) -> Markup:
    """Show the steps of a deployment that runs, with bars where there is a measure."""
    rows = Markup()
    for step in progress.steps():
        state = rendering.state(step)
        measure = step.measure() if state == "running" else None
        bar = Markup()
        if measure and measure.total:
            bar = fill(
                '<progress value="{}" max="{}" aria-label="{}"></progress> ',
                *(measure.done, measure.total, step.title),
            )
        rows += fill(
            '<tr><td class="{}">{}</td><td class="{}">{}</td><td class="dim">{}</td>'
            '<td class="dim">{}{}</td></tr>',
            *(state or "dim", rendering.STATE_SIGN[state], "" if state else "dim", step.title),
            *(duration(step.seconds()) if state else "", bar, rendering.remark(step)),
        )
    return fill(
        '<div class="sageturner-progress"><b>{}</b><span class="dim"> · {}</span>'
        "<table>{}</table></div>",
        *(rendering.headline(progress), rendering.elapsed(progress), rows),
    )


def has_widgets(shell: InteractiveShell) -> bool:
    """Whether the shell is a notebook's kernel (a terminal would print a widget's repr)."""
    return hasattr(shell, "kernel")


def told(shell: InteractiveShell, error: SageturnerError) -> SageturnerError:
    """The error of work whose output in the cell says all of it, so that it is not said again.

    A terminal has no such output. Where nobody looks at the notebook (papermill, CI) the error
    alone is seen, and says what to do.
    """
    if not has_widgets(shell):
        return error
    if not _is_attended(shell):
        return error.brief()
    error.shown = True
    return error


def _is_attended(shell: InteractiveShell) -> bool:
    """Whether the front end that runs the cell can ask a person for input."""
    parent = shell.kernel.get_parent("shell")  # type: ignore[attr-defined]
    return bool(parent.get("content", {}).get("allow_stdin"))


Last = Callable[[str], str]
"""Gives an endpoint's last request as JSON; empty where there was none."""


def show_blocking(shell: InteractiveShell, handle: DeploymentHandle, last: Last) -> None:
    """Show a deployment until it has ended; the stop button cancels it."""
    _show(shell, handle, partial(deployment_ended, last))


def show_trial(shell: InteractiveShell, handle: TrialHandle) -> None:
    """Show a trial until it has ended; the stop button cancels it."""
    _show(shell, handle, _trial_ended)


def _show(shell: InteractiveShell, handle: Handle, ended: Callable[[Progress], Result]) -> None:
    if not has_widgets(shell):
        rendering.follow_deployment(handle)
        return
    hint = ipywidgets.HTML("<small>press ■ to cancel</small>")
    handle.watch(ProgressView(handle, hint, ended).draw)


def cancel_button(handle: DeploymentHandle) -> ipywidgets.Button:
    """A button that stops a deployment."""
    button = ipywidgets.Button(description="Cancel", icon="stop")

    def cancel(_: ipywidgets.Button) -> None:
        # This may be called on any thread: nothing but setting the event.
        handle.cancel()

    button.on_click(cancel)
    return button


def show_in_background(shell: InteractiveShell, handle: DeploymentHandle, last: Last) -> None:
    """Show a deployment while the kernel goes on, with a Cancel button."""
    if not has_widgets(shell):
        return
    view = ProgressView(handle, cancel_button(handle), partial(deployment_ended, last))
    threading.Thread(
        target=handle.watch, args=(view.draw,), name="sageturner-view", daemon=True
    ).start()
