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
from typing import Any

from sageturner_magic._version import __version__
from sageturner_magic.arguments import HelpShown, overview, parse
from sageturner_magic.errors import DeploymentCancelled, SageturnerError, UsageError

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
    print(f"{PROG}: {error.report()}", file=sys.stderr)
    return error.exit_code


def _unknown(arguments: Namespace) -> None:
    raise AssertionError("parse() refuses unknown verbs")


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
    )
    if arguments.json:
        _print_json(words.plan_data(plan))
    else:
        print(words.plan_text(plan))


def _deploy(arguments: Namespace) -> None:
    from sageturner_magic.deployment import terminal, verbs, words

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
        listener=None if drawn else terminal.PlainLines(),
    )
    if drawn:
        terminal.follow(handle)
    else:
        handle.watch(lambda: None)
    deployment = handle.result()
    if arguments.json:
        _print_json(asdict(deployment))
    else:
        print(words.outcome(deployment))
    if deployment.endpoint_type == "local" and not arguments.detach:
        print("Its log follows; Ctrl-C ends the endpoint (`--detach` leaves it).", file=sys.stderr)
        _serve(deployment.name)


def _serve(name: str) -> None:
    """Show the endpoint's log until its server ends or the user has had enough."""
    from sageturner_magic.deployment import verbs

    try:
        for line in verbs.follow_logs(name):
            print(line, file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        verbs.delete(name)
        return
    raise SageturnerError(f"The server of `{name}` has ended", do="see its log above")


def _status(arguments: Namespace) -> None:
    from sageturner_magic.deployment import verbs

    _show_endpoints([verbs.status(arguments.name)], arguments.json)


def _list(arguments: Namespace) -> None:
    from sageturner_magic.deployment import verbs

    _show_endpoints(verbs.list_endpoints(), arguments.json)


def _show_endpoints(endpoints: list[Any], as_json: bool) -> None:
    from sageturner_magic.deployment import words

    if as_json:
        _print_json([asdict(endpoint) for endpoint in endpoints])
    else:
        print(words.endpoints_text(endpoints, time.time()))


def _logs(arguments: Namespace) -> None:
    from sageturner_magic.deployment import verbs

    if arguments.follow:
        lines = verbs.follow_logs(arguments.name)
    else:
        lines = verbs.logs(arguments.name, last=arguments.lines)
    for line in lines:
        print(line, flush=arguments.follow)


def _invoke(arguments: Namespace) -> None:
    from sageturner_magic.deployment import verbs, words

    payload, content_type = _payload(arguments)
    prediction = verbs.invoke(
        arguments.name,
        payload,
        content_type=content_type,
        accept=arguments.accept,
        timeout_s=arguments.timeout,
    )
    if arguments.json:
        _print_json(
            {
                "status": prediction.status,
                "latency_ms": prediction.latency_ms,
                "content_type": prediction.content_type,
                "value": prediction.value,
            }
        )
    elif isinstance(prediction.value, bytes):
        sys.stdout.buffer.write(prediction.body)
    else:
        print(words.value_text(prediction.value))
        print(words.prediction_summary(prediction), file=sys.stderr)


def _payload(arguments: Namespace) -> tuple[object, str | None]:
    from sageturner_magic.deployment import verbs

    text, content_type = arguments.payload, arguments.content_type
    if arguments.file and text is not None:
        raise UsageError("There is more than one payload", do="leave PAYLOAD or --file out")
    if arguments.file:
        return verbs.read_payload(arguments.file, content_type)
    if text is None:
        raise UsageError("There is no payload", do="write JSON, @FILE, or - for standard input")
    if text == "-":
        text = sys.stdin.read()
    elif text.startswith("@"):
        return verbs.read_payload(text[1:], content_type)
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


def _delete(arguments: Namespace) -> None:
    from sageturner_magic.deployment import verbs

    verbs.delete(arguments.name)
    if arguments.json:
        _print_json({"deleted": arguments.name})
    else:
        print(f"{arguments.name} is deleted; nothing of it is left")


def _export(arguments: Namespace) -> None:
    from sageturner_magic.deployment import verbs

    for path in verbs.export(arguments.folder, arguments.config_path):
        print(path)


def _code(arguments: Namespace) -> None:
    from sageturner_magic.deployment import verbs

    show = verbs.code_diff if arguments.diff else verbs.code
    print(show(arguments.config_path, name=arguments.name), end="")


VERBS: dict[str, Callable[[Namespace], None]] = {
    "init": _init,
    "plan": _plan,
    "deploy": _deploy,
    "status": _status,
    "list": _list,
    "logs": _logs,
    "invoke": _invoke,
    "delete": _delete,
    "export": _export,
    "code": _code,
}
