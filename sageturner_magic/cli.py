"""The `sageturner` command: the verbs of the magics for shells and CI/CD.

Results go to standard output, progress and errors to standard error. Exit codes: 0 done, 2 an
error that says what to do, 130 stopped by the user.
"""

from __future__ import annotations

import json
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sageturner_magic._version import __version__
from sageturner_magic.arguments import HelpShown, is_name, overview, parse
from sageturner_magic.errors import (
    DeploymentCancelled,
    InvocationCancelled,
    InvocationError,
    SageturnerError,
    UsageError,
)
from sageturner_magic.plain_text import visible

if TYPE_CHECKING:
    from sageturner_magic.deployment.events import Deployment
    from sageturner_magic.deployment.request import AwsOptions
    from sageturner_magic.deployment.run import DeploymentHandle

PROG = "sageturner"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with `argv` (default: the process's own) and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help", "help"):
        print(overview(PROG))
        return 0
    if words[0] in ("-V", "--version"):
        print(f"{PROG} {__version__}")
        return 0
    verb, *rest = words
    try:
        VERBS.get(verb, _unknown)(parse(verb, rest, PROG))
    except HelpShown:
        return 0
    except SageturnerError as error:
        return _fail(error)
    except KeyboardInterrupt:
        return _fail(DeploymentCancelled(f"`{PROG} {verb}` was stopped"))
    except BrokenPipeError:
        # The reader of a pipe has left (`sageturner logs … | head`): nothing is wrong.
        sys.stderr.close()
        return 0
    except Exception as error:
        from sageturner_magic.deployment.run import unexpected

        return _fail(unexpected(error))
    return 0


def _fail(error: SageturnerError) -> int:
    report = f"{PROG}: {error.report()}"
    print(visible(report) if sys.stderr.isatty() else report, file=sys.stderr)
    return error.exit_code


def _unknown(arguments: Namespace) -> None:
    raise AssertionError("parse() refuses unknown verbs")


def _aws(arguments: Namespace) -> AwsOptions:
    from sageturner_magic.deployment.request import AwsOptions

    return AwsOptions(arguments.profile, arguments.region)


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def _init(arguments: Namespace) -> None:
    from sageturner_magic.deployment import verbs

    print(f"wrote {verbs.init(arguments.path)}")


def _plan(arguments: Namespace) -> None:
    from sageturner_magic.deployment import verbs, words

    plan = verbs.plan(
        arguments.config_path,
        endpoint_type=arguments.endpoint_type,
        container_mode=arguments.container_mode,
        verify=arguments.verify,
        aws=_aws(arguments),
    )
    if arguments.dockerfile:
        print(words.plan_dockerfile(plan), end="")
    elif arguments.json:
        _print_json(words.plan_data(plan))
    else:
        print(words.plan_text(plan))


def _show(handle: DeploymentHandle, drawn: bool, as_json: bool) -> Deployment:
    """Show a deployment until it has ended, then what came of it. Raises what went wrong."""
    from sageturner_magic.deployment import terminal, words

    if drawn:
        terminal.follow(handle)
    else:
        handle.watch(lambda: None)
    deployment = handle.result()
    if as_json:
        _print_json(asdict(deployment))
    else:
        print(words.outcome(deployment))
        if command := words.invoke_command(deployment):
            terminal.say(f"Try: {command}", sys.stderr)
    return deployment


def _deploy(arguments: Namespace) -> None:
    from sageturner_magic.deployment import terminal, upkeep, verbs

    if arguments.no_wait:
        raise UsageError(
            "`--no-wait` gives a handle, which a shell cannot hold",
            do="run the command in the background of your shell, or leave the flag out",
        )
    drawn = sys.stderr.isatty() and not arguments.json
    handle = verbs.start_deployment(
        arguments.config_path,
        endpoint_type=arguments.endpoint_type,
        container_mode=arguments.container_mode,
        detach=arguments.detach,
        smoke_test=not arguments.no_smoke_test,
        aws=_aws(arguments),
        listener=None if drawn else terminal.PlainLines(),
    )
    name = handle.progress.name
    serves = arguments.endpoint_type == "local" and not arguments.detach
    try:
        _show(handle, drawn, arguments.json)
        if serves:
            _serve(name)
    except KeyboardInterrupt:
        # Before it has been deployed an interrupt cancels; this one ends what serves.
        if not serves:
            raise
        upkeep.delete(name)


def _serve(name: str) -> None:
    """Show the endpoint's log until its server ends."""
    from sageturner_magic.deployment import asking, terminal

    # A pipe would keep the endpoint's address to itself for as long as it serves.
    sys.stdout.flush()
    print("Its log follows; Ctrl-C ends the endpoint (`--detach` leaves it).", file=sys.stderr)
    for line in asking.follow_logs(name):
        terminal.say(line, sys.stderr)
    raise SageturnerError(f"The server of `{name}` has ended", do="see its log above")


def _status(arguments: Namespace) -> None:
    from sageturner_magic.deployment import dashboard, terminal

    shown = dashboard.dashboard(arguments.name, hours=arguments.hours, aws=_aws(arguments))
    if arguments.json:
        _print_json([shown.to_dict()])
    else:
        terminal.say(dashboard.text(shown))


def _list(arguments: Namespace) -> None:
    from sageturner_magic.deployment.endpoint import endpoints

    found, notes = endpoints(_aws(arguments))
    _show_endpoints(found, arguments.json)
    for note in notes:
        print(f"{note.severity}: {note}", file=sys.stderr)


def _show_endpoints(endpoints: list[Any], as_json: bool) -> None:
    from sageturner_magic.deployment import costs, terminal, words

    if as_json:
        _print_json(costs.listed_data(endpoints, time.time()))
    else:
        terminal.say(words.endpoints_text(endpoints, time.time()))


def _logs(arguments: Namespace) -> None:
    from sageturner_magic.deployment import asking, terminal

    if arguments.follow:
        lines = asking.follow_logs(arguments.name, aws=_aws(arguments))
    else:
        lines = asking.logs(arguments.name, last=arguments.lines, aws=_aws(arguments))
    for line in lines:
        terminal.say(line)


def _invoke(arguments: Namespace) -> None:
    from sageturner_magic.deployment import asking, terminal, words

    payload, about = _request(arguments)
    if arguments.stream:
        stream = asking.invoke_stream(arguments.name, payload, **about)
        prediction = terminal.write_stream(stream, as_json=arguments.json)
    else:
        prediction = asking.invoke(arguments.name, payload, **about)
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
            terminal.say(words.value_text(prediction.value))
    terminal.say(words.prediction_summary(prediction), sys.stderr)


def _try(arguments: Namespace) -> None:
    from sageturner_magic.deployment import terminal, verbs, words

    if arguments.name and arguments.payload is None and not is_name(arguments.name):
        arguments.name, arguments.payload = None, arguments.name
    payload: object = verbs.EXAMPLE
    content_type = arguments.content_type
    if arguments.file or arguments.payload is not None:
        payload, content_type = _payload(arguments)
    drawn = sys.stderr.isatty() and not arguments.json
    handle = verbs.start_trial(
        payload,
        arguments.config_path,
        name=arguments.name,
        content_type=content_type,
        listener=None if drawn else terminal.PlainLines(),
    )
    if drawn:
        terminal.follow(handle)
    else:
        handle.watch(lambda: None)
    tried = handle.result()
    if arguments.json:
        _print_json(words.tried_data(tried))
    else:
        print(words.tried_text(tried))


def _load_test(arguments: Namespace) -> None:
    from sageturner_magic.deployment import load_result, terminal
    from sageturner_magic.deployment.load_test import start_load_test

    payload, about = _request(arguments, needed=False)
    run = start_load_test(
        arguments.name,
        payload,
        requests=arguments.requests,
        concurrency=arguments.concurrency,
        **about,
    )
    if sys.stderr.isatty() and not arguments.json:
        terminal.follow_load_test(run)
    else:
        run.watch(lambda: None)
    test = run.result()
    if arguments.json:
        _print_json(test.to_dict())
    else:
        terminal.say(load_result.text(test))
    if test.stopped:
        raise InvocationCancelled(f"The load test was stopped after {test.sent:,} requests")
    if test.failed:
        raise InvocationError(
            f"{test.failed:,} of {test.sent:,} requests failed",
            where=f"endpoint {test.endpoint}",
            do=f"see `{PROG} logs {test.endpoint}`",
        )


def _request(arguments: Namespace, *, needed: bool = True) -> tuple[object, dict[str, Any]]:
    """The payload (None where none is given nor `needed`), and how it is sent."""
    given = arguments.payload is not None or arguments.file
    payload, content_type = _payload(arguments) if given or needed else (None, None)
    return payload, {
        "content_type": content_type,
        "accept": arguments.accept,
        "timeout_s": arguments.timeout,
        "aws": _aws(arguments),
    }


def _payload(arguments: Namespace) -> tuple[object, str | None]:
    from sageturner_magic.deployment import asking

    text, content_type = arguments.payload, arguments.content_type
    if arguments.file and text is not None:
        raise UsageError("There is more than one payload", do="leave PAYLOAD or --file out")
    if arguments.file:
        return asking.read_payload(arguments.file, content_type)
    if text is None:
        raise UsageError("There is no payload", do="write JSON, @FILE, or - for standard input")
    if text == "-":
        text = sys.stdin.read()
    elif text.startswith("@"):
        return asking.read_payload(text[1:], content_type)
    if content_type and content_type != "application/json":
        return text.encode(), content_type
    try:
        return json.loads(text), content_type
    except ValueError as error:
        raise UsageError(
            "The payload is not JSON",
            why=str(error),
            do="quote it for your shell: '{\"key\": 1}', or send a file with @FILE",
        ) from None


def _setup(arguments: Namespace) -> None:
    from sageturner_magic.deployment import upkeep

    if arguments.show_policy:
        print(upkeep.show_policy(arguments.config_path, verbs=arguments.verbs, aws=_aws(arguments)))
        return
    changed = upkeep.setup(arguments.config_path, aws=_aws(arguments))
    print("\n".join(changed) or "everything is as it should be; nothing was changed")


def _rollback(arguments: Namespace) -> None:
    from sageturner_magic.deployment import terminal, verbs

    drawn = sys.stderr.isatty() and not arguments.json
    handle = verbs.start_rollback(
        arguments.name,
        arguments.version,
        aws=_aws(arguments),
        listener=None if drawn else terminal.PlainLines(),
    )
    _show(handle, drawn, arguments.json)


def _delete(arguments: Namespace) -> None:
    from sageturner_magic.deployment import upkeep

    if bool(arguments.name) == arguments.orphans:
        raise UsageError("`delete` takes a NAME or --orphans", do="write one of the two")
    aws = _aws(arguments)
    if arguments.name and upkeep.is_local(arguments.name, aws=aws):
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

    removal = upkeep.plan_teardown(arguments.config_path, aws=_aws(arguments))
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
        print(verbs.code_diff(config, name=name, aws=_aws(arguments)), end="")
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

    print(doctor(_aws(arguments)))


VERBS: dict[str, Callable[[Namespace], None]] = {
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
