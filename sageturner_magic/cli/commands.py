"""The verbs as a shell has them: each asks the rooms below, and prints what comes back.

What a verb needs is imported when it runs, so that the others start without it.
"""

from __future__ import annotations

import json
import sys
import time
from argparse import Namespace
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

from sageturner_magic.cli.reading import aws_options, has_payload, payload_of, request_of
from sageturner_magic.errors import (
    DeploymentCancelled,
    InvocationCancelled,
    InvocationError,
    SageturnerError,
    UsageError,
)
from sageturner_magic.verbs.arguments import is_name

if TYPE_CHECKING:
    from sageturner_magic.deployment.run import DeploymentHandle, Handle
    from sageturner_magic.rendering.terminal import PlainLines

PROG = "sageturner"


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def _init(arguments: Namespace) -> None:
    from sageturner_magic.deployment import verbs

    print(f"wrote {verbs.init(arguments.path)}")


def _plan(arguments: Namespace) -> None:
    from sageturner_magic.deployment import verbs
    from sageturner_magic.rendering import plans

    plan = verbs.plan(
        arguments.config_path,
        endpoint_type=arguments.endpoint_type,
        container_mode=arguments.container_mode,
        verify=arguments.verify,
        aws=aws_options(arguments),
    )
    if arguments.dockerfile:
        print(plans.plan_dockerfile(plan), end="")
    elif arguments.json:
        _print_json(plans.plan_data(plan))
    else:
        print(plans.plan_text(plan))


def _lines(arguments: Namespace) -> PlainLines | None:
    """Writes the events of work as lines; None in a terminal, where the work is drawn."""
    from sageturner_magic.rendering import terminal

    return None if sys.stderr.isatty() and not arguments.json else terminal.PlainLines()


def _follow(handle: Handle, lines: PlainLines | None) -> None:
    """Show work until it has ended: drawn, unless its events are written as `lines`."""
    from sageturner_magic.rendering import terminal

    if lines is None:
        terminal.follow(handle)
    else:
        handle.watch(lambda: None)


def _show(handle: DeploymentHandle, lines: PlainLines | None, arguments: Namespace) -> None:
    """Show a deployment until it has ended, then what came of it. Raises what went wrong."""
    from sageturner_magic.rendering import deployments, terminal

    _follow(handle, lines)
    deployment = handle.result()
    if arguments.json:
        _print_json(asdict(deployment))
    else:
        print(deployments.outcome(deployment))
        if command := deployments.invoke_command(deployment):
            terminal.say(f"Try: {command}", sys.stderr)


def _deploy(arguments: Namespace) -> None:
    from sageturner_magic.deployment import upkeep, verbs

    if arguments.no_wait:
        raise UsageError(
            "`--no-wait` gives a handle, which a shell cannot hold",
            do="run the command in the background of your shell, or leave the flag out",
        )
    lines = _lines(arguments)
    handle = verbs.start_deployment(
        arguments.config_path,
        endpoint_type=arguments.endpoint_type,
        container_mode=arguments.container_mode,
        detach=arguments.detach,
        smoke_test=not arguments.no_smoke_test,
        aws=aws_options(arguments),
        listener=lines,
    )
    name = handle.progress.name
    serves = arguments.endpoint_type == "local" and not arguments.detach
    try:
        _show(handle, lines, arguments)
        if serves:
            _serve(name)
    except KeyboardInterrupt:
        # Before it has been deployed an interrupt cancels; this one ends what serves.
        if not serves:
            raise
        upkeep.delete(name)


def _serve(name: str) -> None:
    """Show the endpoint's log until its server ends."""
    from sageturner_magic.deployment import asking
    from sageturner_magic.rendering import terminal

    # A pipe would keep the endpoint's address to itself for as long as it serves.
    sys.stdout.flush()
    print("Its log follows; Ctrl-C ends the endpoint (`--detach` leaves it).", file=sys.stderr)
    for line in asking.follow_logs(name):
        terminal.say(line, sys.stderr)
    raise SageturnerError(f"The server of `{name}` has ended", do="see its log above")


def _status(arguments: Namespace) -> None:
    from sageturner_magic.deployment import dashboard
    from sageturner_magic.rendering import dashboards, terminal

    shown = dashboard.dashboard(arguments.name, hours=arguments.hours, aws=aws_options(arguments))
    if arguments.json:
        _print_json([shown.to_dict()])
    else:
        terminal.say(dashboards.text(shown))


def _list(arguments: Namespace) -> None:
    from sageturner_magic.deployment import endpoint
    from sageturner_magic.rendering import endpoints, terminal

    found, notes = endpoint.endpoints(aws_options(arguments))
    if arguments.json:
        _print_json(endpoints.listed_data(found, time.time()))
    else:
        terminal.say(endpoints.endpoints_text(found, time.time()))
    for note in notes:
        print(f"{note.severity}: {note}", file=sys.stderr)


def _logs(arguments: Namespace) -> None:
    from sageturner_magic.deployment import asking
    from sageturner_magic.rendering import terminal

    if arguments.follow:
        lines = asking.follow_logs(arguments.name, aws=aws_options(arguments))
    else:
        lines = asking.logs(arguments.name, last=arguments.lines, aws=aws_options(arguments))
    for line in lines:
        terminal.say(line)


def _invoke(arguments: Namespace) -> None:
    from sageturner_magic.deployment.endpoint import Endpoint
    from sageturner_magic.rendering import responses, terminal

    request = request_of(arguments)
    endpoint = Endpoint.at(arguments.name, aws_options(arguments))
    if arguments.stream:
        prediction = terminal.write_stream(endpoint.send_stream(request), as_json=arguments.json)
    else:
        prediction = endpoint.send(request)
        if arguments.json:
            _print_json(
                {
                    "status": prediction.status,
                    "latency_ms": prediction.latency_ms,
                    "content_type": prediction.content_type,
                    "value": prediction.value,
                }
            )
            return
        if isinstance(prediction.value, bytes):
            sys.stdout.buffer.write(prediction.body)
        else:
            terminal.say(responses.value_text(prediction.value))
    terminal.say(responses.prediction_summary(prediction), sys.stderr)


def _try(arguments: Namespace) -> None:
    from sageturner_magic.deployment import verbs
    from sageturner_magic.rendering import trials
    from sageturner_magic.targets.payload import encode

    if arguments.name and arguments.payload is None and not is_name(arguments.name):
        arguments.name, arguments.payload = None, arguments.name
    sample = encode(*payload_of(arguments)) if has_payload(arguments) else None
    lines = _lines(arguments)
    handle = verbs.start_trial(sample, arguments.config_path, name=arguments.name, listener=lines)
    _follow(handle, lines)
    tried = handle.result()
    if arguments.json:
        _print_json(trials.tried_data(tried))
    else:
        print(trials.tried_text(tried))


def _load_test(arguments: Namespace) -> None:
    from sageturner_magic.deployment.endpoint import Endpoint
    from sageturner_magic.deployment.load_test import start_load_test
    from sageturner_magic.rendering import load_tests, terminal

    endpoint = Endpoint.at(arguments.name, aws_options(arguments))
    run = start_load_test(
        endpoint,
        request_of(arguments, endpoint.example_payload),
        requests=arguments.requests,
        concurrency=arguments.concurrency,
    )
    if sys.stderr.isatty() and not arguments.json:
        terminal.follow_load_test(run)
    else:
        run.watch(lambda: None)
    test = run.result()
    if arguments.json:
        _print_json(test.to_dict())
    else:
        terminal.say(load_tests.text(test))
    if test.stopped:
        raise InvocationCancelled(f"The load test was stopped after {test.sent:,} requests")
    if test.failed:
        raise InvocationError(
            f"{test.failed:,} of {test.sent:,} requests failed",
            where=f"endpoint {test.endpoint}",
            do=f"see `{PROG} logs {test.endpoint}`",
        )


def _setup(arguments: Namespace) -> None:
    from sageturner_magic.deployment import upkeep

    if arguments.show_policy:
        print(
            upkeep.show_policy(
                arguments.config_path, verbs=arguments.verbs, aws=aws_options(arguments)
            )
        )
        return
    changed = upkeep.setup(arguments.config_path, aws=aws_options(arguments))
    print("\n".join(changed) or "everything is as it should be; nothing was changed")


def _rollback(arguments: Namespace) -> None:
    from sageturner_magic.deployment import verbs

    lines = _lines(arguments)
    handle = verbs.start_rollback(
        arguments.name,
        arguments.version,
        aws=aws_options(arguments),
        listener=lines,
    )
    _show(handle, lines, arguments)


def _delete(arguments: Namespace) -> None:
    from sageturner_magic.deployment import upkeep
    from sageturner_magic.deployment.endpoint import is_local

    if bool(arguments.name) == arguments.orphans:
        raise UsageError("`delete` takes a NAME or --orphans", do="write one of the two")
    aws = aws_options(arguments)
    if arguments.name and is_local(arguments.name, aws):
        upkeep.delete(arguments.name)
        removed = [f"endpoint {arguments.name}"]
    else:
        removal = upkeep.plan_removal(
            None if arguments.orphans else arguments.name,
            arguments.config_path,
            everybody=arguments.everybody,
            aws=aws,
        )
        removed = removal.lines
        _confirm(removed, arguments.yes)
        removal.run(lambda line: print(line, file=sys.stderr, flush=True))
    if arguments.json:
        _print_json({"deleted": removed})
    elif arguments.name:
        print(f"{arguments.name} is deleted; nothing of it is left")
    elif not removed:
        print("there are no orphans")


def _teardown(arguments: Namespace) -> None:
    from sageturner_magic.deployment import upkeep

    removal = upkeep.plan_teardown(arguments.config_path, aws=aws_options(arguments))
    _confirm(removal.lines, arguments.yes)
    removal.run(print)


def _confirm(lines: list[str], yes: bool) -> None:
    """Show what will be removed and ask. Raises UsageError where nobody can answer."""
    if not lines or yes:
        return
    print("This will be removed:", *(f"  {line}" for line in lines), sep="\n", file=sys.stderr)
    if not sys.stdin.isatty():
        raise UsageError("Nothing was removed", why="nobody can be asked here", do="add `--yes`")
    if input("Remove it? [y/N] ").strip().lower() not in ("y", "yes"):
        raise DeploymentCancelled("Nothing was removed")


def _export(arguments: Namespace) -> None:
    from sageturner_magic.deployment import verbs

    for path in verbs.export(arguments.folder, arguments.config_path):
        print(path)


def _code(arguments: Namespace) -> None:
    from sageturner_magic.deployment import verbs

    config, name = arguments.config_path, arguments.name
    if arguments.diff:
        print(verbs.code_diff(config, name=name, aws=aws_options(arguments)), end="")
    else:
        print(verbs.code(config, name=name), end="")


def _form(arguments: Namespace) -> None:
    raise UsageError(
        "A shell cannot show the form",
        do="run `%sageturner form` in JupyterLab or Notebook 7; here `sageturner init` writes a"
        " commented sageturner.yaml",
    )


def _schema(arguments: Namespace) -> None:
    from sageturner_magic.config import json_schema

    _print_json(json_schema())


def _doctor(arguments: Namespace) -> None:
    from sageturner_magic.deployment.doctor import doctor

    print(doctor(aws_options(arguments)))


COMMANDS: dict[str, Callable[[Namespace], None]] = {
    "init": _init,
    "setup": _setup,
    "try": _try,
    "form": _form,
    "plan": _plan,
    "deploy": _deploy,
    "status": _status,
    "list": _list,
    "logs": _logs,
    "invoke": _invoke,
    "load-test": _load_test,
    "rollback": _rollback,
    "delete": _delete,
    "teardown": _teardown,
    "export": _export,
    "code": _code,
    "schema": _schema,
    "doctor": _doctor,
}
