"""Run a verb in a shell: ask y/N, draw progress in a terminal, print text or JSON.

What a verb needs is imported when it runs, so that the others start without it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from functools import cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from sageturner_magic.beside import finish_beside
from sageturner_magic.cli.reading import payload_of
from sageturner_magic.context import AwsOptions
from sageturner_magic.errors import (
    DeploymentCancelled,
    InvocationCancelled,
    InvocationError,
    SageturnerError,
    UsageError,
)
from sageturner_magic.rendering import json_of, registered, text_of
from sageturner_magic.verbs import Verb, bound, is_name

if TYPE_CHECKING:
    from sageturner_magic.deployment import Deployment, DeploymentHandle, Listener, TrialHandle
    from sageturner_magic.endpoints import Listing, Prediction, PredictionStream
    from sageturner_magic.endpoints.measured import LoadRun, LoadTest
    from sageturner_magic.verbs import Changes, PlannedRemoval

PROG = "sageturner"
LOCAL = AwsOptions(endpoint_type="local")


def run_verb(verb: Verb, values: SimpleNamespace) -> None:
    """Run a verb with the values of its arguments, and write what comes of it.

    Raises:
        SageturnerError: What went wrong.
    """
    if getattr(values, "no_wait", False):
        raise UsageError(
            "`--no-wait` gives a handle, which a shell cannot hold",
            do="run the command in the background of your shell, or leave the flag out",
        )
    # Without lines, work is drawn in the terminal.
    values.lines = None if _is_drawn(values) else _lines_of_events()
    payload = _payload(verb, values) if verb.takes_payload else {}
    work = bound(verb, values, listener=values.lines, **payload)()
    follow = registered(FOLLOW, work)
    result = follow(work, values) if follow else work
    if isinstance(result, Iterator):
        result = _lines(result, values)
    if result is not None:
        (registered(WRITE, result) or _write)(result, values)
    # What reads the response does not wait for what goes on beside it.
    sys.stdout.flush()
    finish_beside()


def _lines_of_events() -> Listener:
    """Write events as lines. Most verbs have none, so what does that is imported with the first."""

    @cache
    def lines() -> Listener:
        from sageturner_magic.rendering import PlainLines

        return PlainLines()

    return lambda event: lines()(event)


def _is_drawn(values: SimpleNamespace) -> bool:
    return sys.stderr.isatty() and not getattr(values, "json", False)


def _payload(verb: Verb, values: SimpleNamespace) -> dict[str, Any]:
    """The payload and its content type, as far as they are given."""
    if verb.name == "try" and values.payload is None and values.name and not is_name(values.name):
        values.name, values.payload = None, values.name
    given = payload_of(values)
    if not given:
        if verb.name == "invoke":
            raise UsageError(
                "There is no payload", do="write JSON, @FILE, or - for standard input", code="ST11"
            )
        del values.payload
    return given


# --- work that has begun ------------------------------------------------------------------


def _follow(handle: DeploymentHandle | TrialHandle, values: SimpleNamespace) -> Any:
    from sageturner_magic import rendering

    if values.lines is None:
        rendering.follow_deployment(handle)
    else:
        handle.watch(lambda: None)
    return handle.result()


def _follow_load_test(load: LoadRun, values: SimpleNamespace) -> LoadTest:
    from sageturner_magic import rendering

    if values.lines is None:
        rendering.follow_load_test(load)
    else:
        load.watch(lambda: None)
    return load.result()


def _follow_stream(stream: PredictionStream, values: SimpleNamespace) -> None:
    from sageturner_magic import rendering

    whole = rendering.write_stream(stream, as_json=values.json)
    rendering.say(rendering.prediction_summary(whole), sys.stderr)


def _remove(removal: PlannedRemoval, values: SimpleNamespace) -> PlannedRemoval:
    if removal.lines and removal.asks and not values.yes:
        lines = (f"  {line}" for line in removal.lines)
        print("This will be removed:", *lines, sep="\n", file=sys.stderr)
        if not sys.stdin.isatty():
            raise UsageError(
                "Nothing was removed", why="nobody can be asked here", do="add `--yes`", code="ST13"
            )
        if not _agreed("Remove it?"):
            raise DeploymentCancelled("Nothing was removed")
    out = sys.stderr if removal.done or values.json else sys.stdout
    removal.run(lambda line: print(line, file=out, flush=True))
    return removal


def _offer(changes: Changes, values: SimpleNamespace) -> Changes:
    if changes.offer and not values.json and sys.stdin.isatty():
        changes.decide(_agreed(changes.offer.question))
    return changes


def _agreed(question: str) -> bool:
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")


def _lines(lines: Iterator[str], values: SimpleNamespace) -> list[str] | None:
    """Write lines as they come; as JSON in a list, or one by one where there is no end to them."""
    from sageturner_magic import rendering

    if values.json and not values.runs:
        return [*lines]
    for line in lines:
        rendering.say(json.dumps(line, ensure_ascii=False) if values.json else line)
    return None


FOLLOW: dict[str, Callable[[Any, SimpleNamespace], Any]] = {
    "sageturner_magic.deployment.run:Handle": _follow,
    "sageturner_magic.endpoints.measured.load_run:LoadRun": _follow_load_test,
    "sageturner_magic.endpoints.prediction:PredictionStream": _follow_stream,
    "sageturner_magic.verbs.account.offers:Changes": _offer,
    "sageturner_magic.verbs.account.removing:PlannedRemoval": _remove,
}
"""Path of a type -> what a shell does with it until it has ended; returns the result."""


# --- results ------------------------------------------------------------------------------


def _write(result: object, values: SimpleNamespace) -> None:
    from sageturner_magic import rendering

    if values.json:
        print(json_of(result))
    elif text := text_of(result):
        rendering.say(text, end="" if text.endswith("\n") else "\n")


def _write_deployment(deployment: Deployment, values: SimpleNamespace) -> None:
    from sageturner_magic import rendering, verbs

    serves = deployment.endpoint_type == "local" and _ends_with_this_process(deployment.name)
    try:
        _write(deployment, values)
        if not values.json and (command := rendering.invoke_command(deployment)):
            rendering.say(f"Try: {command}", sys.stderr)
        if serves:
            _serve(deployment.name)
    except KeyboardInterrupt:
        # Before it has been deployed an interrupt cancels; this one ends what serves.
        if not serves:
            raise
        verbs.delete(deployment.name, aws=LOCAL)


def _ends_with_this_process(name: str) -> bool:
    from sageturner_magic.endpoints.local import LocalState

    record = LocalState().read(name)
    return record is not None and record.owner == os.getpid()


def _serve(name: str) -> None:
    """Show the endpoint's log until its server ends."""
    from sageturner_magic import rendering, verbs

    # A pipe would keep the endpoint's address to itself for as long as it serves.
    sys.stdout.flush()
    print("Its log follows; Ctrl-C ends the endpoint (`--detach` leaves it).", file=sys.stderr)
    for line in verbs.follow_logs(name, aws=LOCAL):
        rendering.say(line, sys.stderr)
    raise SageturnerError(f"The server of `{name}` has ended", do="see its log above", code="ST16")


def _write_listing(listing: Listing, values: SimpleNamespace) -> None:
    _write(listing, values)
    for note in listing.notes:
        print(f"{note.severity}: {note.coded()}", file=sys.stderr)


def _write_prediction(prediction: Prediction, values: SimpleNamespace) -> None:
    from sageturner_magic import rendering

    if values.json:
        _write(prediction, values)
        return
    if isinstance(prediction.value, bytes):
        sys.stdout.buffer.write(prediction.body)
    else:
        rendering.say(rendering.value_text(prediction.value))
    rendering.say(rendering.prediction_summary(prediction), sys.stderr)


def _write_load_test(test: LoadTest, values: SimpleNamespace) -> None:
    from sageturner_magic import rendering

    error = _load_test_error(test)
    if error and values.json:
        # One object has both: the result, and why the command fails.
        whole = {**rendering.data_of(test), **rendering.error_data(error)}
        print(json.dumps(whole, indent=2, ensure_ascii=False))
        error.shown = True
    else:
        _write(test, values)
    if error:
        raise error


def _load_test_error(test: LoadTest) -> SageturnerError | None:
    from sageturner_magic import rendering

    if test.stopped:
        return InvocationCancelled(f"The load test was stopped after {test.sent:,} requests")
    if not test.failed:
        return None
    return InvocationError(
        f"{test.failed:,} of {test.sent:,} requests failed",
        where=f"endpoint {test.endpoint}",
        do=rendering.throttled_remedy(test)
        if test.throttled == test.failed
        else f"run `{PROG} logs {test.endpoint}`",
        code="ST96",
    )


WRITE: dict[str, Callable[[Any, SimpleNamespace], None]] = {
    "sageturner_magic.deployment.events:Deployment": _write_deployment,
    "sageturner_magic.endpoints.endpoint:Listing": _write_listing,
    "sageturner_magic.endpoints.prediction:Prediction": _write_prediction,
    "sageturner_magic.endpoints.measured.load_result:LoadTest": _write_load_test,
}
"""Path of a type -> how a shell writes it, where that is more than its text or JSON."""
