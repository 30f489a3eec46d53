"""Show a load test in a notebook: progress, then the result as static HTML."""

from __future__ import annotations

import ipywidgets
from IPython.core.interactiveshell import InteractiveShell
from IPython.display import display
from markupsafe import Markup

from sageturner_magic import rendering
from sageturner_magic.endpoints.measured import LoadRun, LoadTest
from sageturner_magic.notebook.display.figures import bars
from sageturner_magic.notebook.display.markup import (
    box,
    facts_table,
    fill,
    mime_bundle,
    table,
    text,
)
from sageturner_magic.notebook.display.progress import STYLE, has_widgets
from sageturner_magic.notebook.display.style import TONES, Tone, headline
from sageturner_magic.rendering import load_progress
from sageturner_magic.text import milliseconds


def show_load_test(shell: InteractiveShell, run: LoadRun) -> LoadTest:
    """Show how far it is until it has ended. The stop button ends it with what was measured."""
    if not has_widgets(shell):
        rendering.follow_load_test(run)
        return run.result()
    view = ipywidgets.HTML()
    hint = ipywidgets.HTML("<small>press ■ to stop and keep what was measured</small>")
    output = display(ipywidgets.VBox([view, hint]), display_id=True)  # type: ignore[no-untyped-call]

    def draw() -> None:
        view.value = STYLE + _progress_html(run)

    try:
        run.watch(draw)
    finally:
        # The result is the cell's value; a widget would be dead in the saved notebook.
        line = rendering.load_progress(
            run.endpoint, run.sent, run.wanted, run.failed, run.seconds()
        )
        output.update(mime_bundle(fill("<p>{}</p>", line), line), raw=True)
    return run.result()


def _progress_html(run: LoadRun) -> Markup:
    line = load_progress(run.endpoint, run.sent, run.wanted, run.failed, run.seconds())
    return fill(
        '<div class="sageturner-progress"><progress value="{}" max="{}"'
        ' aria-label="Requests sent"></progress> {}</div>',
        *(run.sent, run.wanted, line),
    )


def _verdict(test: LoadTest) -> tuple[Tone, str]:
    """The tone and sign of a result: whether requests failed, or it was stopped."""
    state = "failed" if test.failed else "cancelled" if test.stopped else "done"
    return TONES[state], rendering.STATE_SIGN[state]


def load_test_html(test: LoadTest) -> Markup:
    """What a load test measured."""
    parts = [
        headline(*_verdict(test), f"Load test of {test.endpoint}"),
        facts_table(rendering.load_test_facts(test)),
    ]
    if latencies := test.percentiles():
        parts.append(_histogram_html(test))
        shown = [milliseconds(value) for value in latencies.values()]
        parts.append(table(list(latencies), [shown], range(len(shown))))
    examples = test.examples()
    if errors := test.errors():
        parts.append(
            table(
                ("Error", "Times", "What was said first"),
                [
                    (text(trouble, 200), f"{count:,}", text(examples[trouble], 500))
                    for trouble, count in errors.items()
                ],
                figures=(1,),
            )
        )
    return box(*parts)


def _histogram_html(test: LoadTest) -> Markup:
    bins = test.histogram()
    width = bins[0].high - bins[0].low
    latencies = test.percentiles()
    marks = [
        (min((latencies[name] - bins[0].low) / width, len(bins)), name)
        for name in ("p50", "p95", "p99")
    ]
    labels = [f"{each.low:g}" for each in bins] + [f"{bins[-1].high:g}"]
    title = (
        f"How many answers took how many milliseconds: half of them up to"
        f" {milliseconds(latencies['p50'])}, 99 of 100 up to {milliseconds(latencies['p99'])}"
    )
    return bars(
        [each.count for each in bins],
        labels,
        title=title,
        axes=("milliseconds", "answers"),
        marks=marks,
    )
