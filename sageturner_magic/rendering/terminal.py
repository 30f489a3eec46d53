"""Show a deployment in a terminal, or as plain lines where there is none."""

from __future__ import annotations

import sys
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sageturner_magic.deployment import (
    Announced,
    Event,
    Found,
    Handle,
    Progress,
    StepEnded,
    StepLogged,
    StepStarted,
)
from sageturner_magic.endpoints.measured import LoadRun
from sageturner_magic.rendering import deployments
from sageturner_magic.rendering.load_tests import load_progress
from sageturner_magic.rendering.output import say
from sageturner_magic.text import duration, visible

STYLE = {"done": "green", "reused": "green", "failed": "red", "cancelled": "yellow"}
LOG_LINES = 8


def draw(progress: Progress) -> Group:
    """The steps, and the log tail of those that run."""
    table = Table.grid(padding=(0, 1))
    tails: list[Text] = []
    for step in progress.steps():
        state = deployments.state(step)
        measure = step.measure() if step.outcome is None else None
        bar: ProgressBar | str = ""
        if measure and measure.total:
            bar = ProgressBar(total=measure.total, completed=measure.done, width=20)
        table.add_row(
            Text(deployments.STATE_SIGN[state], STYLE.get(state or "", "")),
            Text(step.title, "" if state else "dim"),
            Text(duration(step.seconds()) if state else "", "dim"),
            bar,
            Text(visible(deployments.remark(step)), "dim"),
        )
        if state == "running":
            tails += [
                Text("  │ " + visible(line), "dim", no_wrap=True, overflow="ellipsis")
                for line in progress.log(step)[-LOG_LINES:]
            ]
    head = Text(visible(deployments.headline(progress)), "bold")
    if progress.end is None:
        head.append(f" · {deployments.elapsed(progress)}", "dim")
    return Group(head, table, *tails)


def follow_deployment(handle: Handle, out: TextIO | None = None) -> None:
    """Show work until it has ended; the user's interrupt cancels it.

    Raises:
        DeploymentCancelled: It was interrupted a second time.
    """
    console = Console(file=out or sys.stderr)
    with Live(console=console, auto_refresh=False, transient=False) as live:
        handle.watch(lambda: live.update(draw(handle.progress), refresh=True))


def print_error(report: str) -> None:
    """Write the report of an error to the terminal's standard error, with its codes dimmed."""
    text = Text(visible(report))
    text.highlight_regex(r"\[ST\d\d\](?=\n|$)", "dim")
    Console(stderr=True).print(text, soft_wrap=True)


class PlainLines:
    """Writes events as lines: for CI logs and pipes. Call it with each event."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stderr
        self._titles: dict[str, str] = {}
        self._started: dict[str, float] = {}

    def __call__(self, event: Event) -> None:
        match event:
            case Announced(steps, _):
                self._titles |= {step.key: step.title for step in steps}
            case Found(findings):
                for finding in findings:
                    self._line(f"{finding.severity}: {finding.coded()}")
            case StepStarted(step, at):
                self._started[step] = at
                self._line(f"{self._titles[step]} …")
            case StepLogged(step, line):
                self._line(f"  | {line}")
            case StepEnded(step, outcome, at, note):
                seconds = duration(at - self._started.get(step, at))
                remark = f" ({note})" if note else ""
                self._line(f"{self._titles[step]}: {outcome} in {seconds}{remark}")

    def _line(self, text: str) -> None:
        say(text, self._out)


def follow_load_test(run: LoadRun, out: TextIO | None = None) -> None:
    """Show how far a load test is; the user's interrupt ends it.

    Raises:
        InvocationCancelled: It was interrupted a second time.
    """
    console = Console(file=out or sys.stderr)

    def drawn() -> Group:
        line = load_progress(run.endpoint, run.sent, run.wanted, run.failed, run.seconds())
        return Group(ProgressBar(total=run.wanted, completed=run.sent, width=40), Text(line))

    with Live(console=console, auto_refresh=False, transient=True) as live:
        run.watch(lambda: live.update(drawn(), refresh=True))
