"""The verbs and their arguments, the same for the magics and the command line."""

from __future__ import annotations

import argparse
import difflib
import json
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from sageturner_magic.errors import UsageError
from sageturner_magic.values import ENDPOINT_NAME, REQUEST_SECONDS

ENDPOINT_TYPES = ("local", "serverless", "server")
CONTAINER_MODES = ("generate", "provide")

TAKES_CELL = ("form", "plan", "deploy", "export", "code")
"""Verbs that take the YAML as a cell's body."""


class HelpShown(Exception):
    """`--help` was asked for and has been printed."""


class Parser(argparse.ArgumentParser):
    """An argument parser that raises instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        raise _in_our_words(self.prog, message)

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        raise HelpShown

    def options(self) -> dict[str, bool]:
        """Every flag, and whether it takes a value."""
        return {
            flag: action.nargs != 0 for action in self._actions for flag in action.option_strings
        }


_MISSING = re.compile(r"the following arguments are required: (?P<names>.+)")
_NO_CHOICE = re.compile(
    r"argument (?P<flag>\S+): invalid choice: (?P<value>.+) \(choose from (?P<choices>.+)\)"
)
_NO_NUMBER = re.compile(r"argument (?P<flag>\S+): invalid (?P<kind>int|float) value: (?P<value>.+)")
"""What argparse says; other versions put the choices without quotes."""


def _in_our_words(prog: str, message: str) -> UsageError:
    """The error for what argparse has to say, with what to write in its place."""
    helps = f"`{prog} --help` shows what it takes"
    if found := _MISSING.fullmatch(message):
        names = found["names"].replace(",", "")
        known = "; `sageturner list` shows the names" if "NAME" in names else ""
        return UsageError(f"`{prog}` lacks {found['names']}", do=f"write `{prog} {names}`{known}")
    if found := _NO_CHOICE.fullmatch(message):
        value = found["value"].strip("'")
        choices = [choice.strip("'") for choice in found["choices"].split(", ")]
        near = difflib.get_close_matches(value, choices, 1)
        return UsageError(
            f"`{prog}`: `{found['flag'].rpartition('/')[2]}` is `{value}`",
            why=f"expected one of {', '.join(choices)}",
            do=f"did you mean `{near[0]}`?" if near else helps,
        )
    if found := _NO_NUMBER.fullmatch(message):
        number = "a whole number" if found["kind"] == "int" else "a number"
        value = found["value"].strip("'")
        return UsageError(
            f"`{prog}`: `{found['flag'].rpartition('/')[2]}` is `{value}`",
            why=f"expected {number}",
            do=f"write {number}, or leave it out",
        )
    return UsageError(f"`{prog}`: {message}", do=helps)


@dataclass(frozen=True)
class Verb:
    """One verb: what it does in a line, and its arguments."""

    name: str
    summary: str
    add_arguments: Callable[[argparse.ArgumentParser], None]


def _container_mode(text: str) -> str:
    return "provide" if text == "provided" else text


def _config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-c",
        "--config-path",
        metavar="PATH",
        help="the YAML configuration (default: ./sageturner.yaml)",
    )


def _deployment(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-e",
        "--endpoint-type",
        choices=ENDPOINT_TYPES,
        default="local",
        help="where the model runs (default: %(default)s)",
    )
    parser.add_argument(
        "-m",
        "--container-mode",
        choices=CONTAINER_MODES,
        type=_container_mode,
        default="generate",
        help="generate the image from the code, or build the Dockerfile that you provide",
    )
    _config(parser)
    _aws(parser)


def _aws(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--profile", metavar="NAME", help="AWS profile")
    parser.add_argument("--region", metavar="REGION", help="AWS region")


def _json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON for programs")


def _name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="the endpoint")


def _init(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "path", metavar="PATH", nargs="?", help="the file to write (default: ./sageturner.yaml)"
    )


def _plan(parser: argparse.ArgumentParser) -> None:
    _deployment(parser)
    parser.add_argument(
        "--dockerfile",
        action="store_true",
        help="print the Dockerfile that an image for SageMaker would be built from, and that only",
    )
    parser.add_argument(
        "--verify",
        action="store_true",
        help="prove the packages: load and predict in a clean environment made from them alone",
    )
    _json(parser)


def _deploy(parser: argparse.ArgumentParser) -> None:
    _deployment(parser)
    parser.add_argument(
        "--no-wait",
        action="store_true",
        help="return at once with a handle (status, wait(), cancel(), logs())",
    )
    parser.add_argument(
        "--wait",
        dest="no_wait",
        action="store_false",
        help="return when the endpoint answers (the default)",
    )
    parser.add_argument(
        "--detach",
        action="store_true",
        help="let a local endpoint outlive the notebook or command that deploys it",
    )
    parser.add_argument(
        "--no-smoke-test",
        action="store_true",
        help="build and push without trying code and image on this machine first",
    )
    _json(parser)


def _list(parser: argparse.ArgumentParser) -> None:
    _aws(parser)
    _json(parser)


def _status(parser: argparse.ArgumentParser) -> None:
    _name(parser)
    parser.add_argument(
        "--hours",
        type=float,
        metavar="N",
        default=3.0,
        help="how far back requests are shown (default: 3)",
    )
    _aws(parser)
    _json(parser)


def _yes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="do it without asking")


def _delete(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", nargs="?", help="the endpoint")
    parser.add_argument(
        "--orphans",
        action="store_true",
        help="instead of an endpoint: what is older than a day, yours, and used by none",
    )
    parser.add_argument(
        "--everybody", action="store_true", help="with --orphans: also what others created"
    )
    _yes(parser)
    _config(parser)
    _aws(parser)
    _json(parser)


def _setup(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--show-policy",
        action="store_true",
        help="print the minimal IAM policy of whoever uses the verbs, and change nothing",
    )
    parser.add_argument(
        "--for",
        dest="verbs",
        metavar="VERB,…",
        help="with --show-policy: only for these verbs (setup, plan, deploy, invoke, load-test,"
        " logs, list, status, rollback, delete, teardown)",
    )
    _config(parser)
    _aws(parser)


def _teardown(parser: argparse.ArgumentParser) -> None:
    _yes(parser)
    _config(parser)
    _aws(parser)


def _rollback(parser: argparse.ArgumentParser) -> None:
    _name(parser)
    parser.add_argument(
        "version", metavar="VERSION", nargs="?", help="12 hex digits (default: the one before)"
    )
    _aws(parser)
    _json(parser)


def _logs(parser: argparse.ArgumentParser) -> None:
    _name(parser)
    parser.add_argument("-f", "--follow", action="store_true", help="wait for new lines")
    parser.add_argument("-n", "--lines", type=int, metavar="N", help="only the last N lines")
    _aws(parser)


def _request(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--file", metavar="PATH", help="send this file as it is")
    parser.add_argument("--content-type", metavar="TYPE", help="media type of the request")
    parser.add_argument("--accept", metavar="TYPE", help="media type wanted for the answer")
    parser.add_argument(
        "--timeout",
        type=float,
        metavar="SECONDS",
        default=REQUEST_SECONDS,
        help="how long to wait",
    )
    _aws(parser)
    _json(parser)
    _name(parser)
    parser.add_argument(
        "payload",
        metavar="PAYLOAD",
        nargs="?",
        help="a Python expression in a notebook; JSON, @FILE or - (standard input) in a shell",
    )


def _try(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--file", metavar="PATH", help="send this file as it is")
    parser.add_argument("--content-type", metavar="TYPE", help="media type of the request")
    _config(parser)
    _json(parser)
    parser.add_argument(
        "name", metavar="NAME", nargs="?", help="the model (default: the configuration's)"
    )
    parser.add_argument(
        "payload",
        metavar="PAYLOAD",
        nargs="?",
        help="a Python expression in a notebook; JSON, @FILE or - (standard input) in a shell"
        " (default: what example_request() returns)",
    )


def _invoke(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--stream", action="store_true", help="show the answer while the model makes it"
    )
    _request(parser)


def _load_test(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--requests", type=int, metavar="N", default=200, help="how many to send (default: 200)"
    )
    parser.add_argument(
        "--concurrency", type=int, metavar="N", default=8, help="how many at a time (default: 8)"
    )
    _request(parser)


def _export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="DIR", help="an empty or new folder")
    _config(parser)


def _code(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name", metavar="NAME", nargs="?", help="the captured name (default: the configuration's)"
    )
    parser.add_argument("--diff", action="store_true", help="against what is deployed")
    _config(parser)
    _aws(parser)


def _form(parser: argparse.ArgumentParser) -> None:
    _deployment(parser)
    parser.add_argument(
        "--invoke",
        metavar="NAME",
        help="a form that sends requests to this endpoint instead",
    )


def _schema(parser: argparse.ArgumentParser) -> None:
    """It takes nothing."""


VERBS = {
    verb.name: verb
    for verb in (
        Verb("init", "write a commented sageturner.yaml", _init),
        Verb("setup", "make the execution role and the bucket on AWS, or mend them", _setup),
        Verb("try", "run load and predict in a clean process, now", _try),
        Verb("form", "fill in and deploy a configuration as a form, in a notebook", _form),
        Verb("plan", "check everything and show what deploy would do", _plan),
        Verb("deploy", "put the model behind an endpoint", _deploy),
        Verb("status", "show one endpoint", _status),
        Verb("list", "show all endpoints", _list),
        Verb("logs", "show what an endpoint wrote", _logs),
        Verb("invoke", "send a request and show the prediction", _invoke),
        Verb("load-test", "send many requests and measure how they are answered", _load_test),
        Verb("rollback", "let an endpoint serve the version before again", _rollback),
        Verb("delete", "end an endpoint and remove what was made for it", _delete),
        Verb("teardown", "remove role, bucket, repository and logs from AWS", _teardown),
        Verb("export", "write code, configuration and artefact as a folder to deploy", _export),
        Verb("code", "show the module that is deployed", _code),
        Verb("schema", "print the configuration's JSON schema, for editors", _schema),
        Verb("doctor", "show what this machine, account and environment can and lack", _aws),
    )
}


def parser(verb: str, prog: str) -> Parser:
    """The parser of one verb. Raises UsageError for a verb that does not exist."""
    if verb not in VERBS:
        near = difflib.get_close_matches(verb, VERBS, 1)
        raise UsageError(
            f"There is no verb `{verb}`",
            do=f"did you mean `{near[0]}`?" if near else f"the verbs are {', '.join(VERBS)}",
        )
    made = Parser(
        prog=f"{prog} {verb}",
        description=VERBS[verb].summary[0].upper() + VERBS[verb].summary[1:] + ".",
        allow_abbrev=False,
    )
    VERBS[verb].add_arguments(made)
    return made


def parse(
    verb: str, argv: Sequence[str], prog: str, defaults: Mapping[str, object] | None = None
) -> argparse.Namespace:
    """The arguments of one verb.

    Args:
        defaults: Argument -> value where no flag says otherwise, for verbs that take it.

    Raises:
        UsageError: A verb, flag or value that does not fit, with the nearest that does.
        HelpShown: `--help` was printed.
    """
    made = parser(verb, prog)
    taken = {action.dest for action in made._actions}
    made.set_defaults(**{dest: value for dest, value in (defaults or {}).items() if dest in taken})
    arguments, unknown = made.parse_known_args(list(argv))
    if unknown:
        near = difflib.get_close_matches(unknown[0].partition("=")[0], made.options(), 1)
        raise UsageError(
            f"`{made.prog}` does not take `{unknown[0]}`",
            do=f"did you mean `{near[0]}`?"
            if near
            else f"`{made.prog} --help` shows what it takes",
        )
    return arguments


def split(line: str) -> list[str]:
    """Words of a line as a shell splits them. Raises UsageError for an open quote."""
    try:
        return shlex.split(line)
    except ValueError:
        raise UsageError(f"A quote is not closed in `{line}`", do="close it") from None


def split_payload(
    line: str, options: dict[str, bool], may_be_name: Callable[[str], bool] = bool
) -> tuple[list[str], str]:
    """The words up to the payload, and the payload exactly as written.

    The first word that is neither a flag nor a flag's value is the endpoint's name; the payload
    begins with the next such word, or with the first if that cannot be a name.

    Args:
        options: Flag -> whether it takes a value.
    """
    words: list[str] = []
    rest = line.strip()
    named = False
    while rest:
        head, tail = _first_word(rest)
        flag, equals, _ = head.partition("=")
        if flag.startswith("--") or flag in options:
            words.append(head)
            if options.get(flag) and not equals:
                value, tail = _first_word(tail)
                words.append(value)
        elif named or not may_be_name(head):
            break
        else:
            words.append(head)
            named = True
        rest = tail
    return words, rest


def is_name(word: str) -> bool:
    """Whether a word of a line is an endpoint's name and not a payload: `7` and `true` are JSON."""
    try:
        json.loads(word)
    except ValueError:
        return re.fullmatch(ENDPOINT_NAME, word) is not None
    return False


_WORD = re.compile(r"""(?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"|'[^']*')+(?=\s|$)""", re.DOTALL)


def _first_word(text: str) -> tuple[str, str]:
    """The first word as a shell reads it, and the rest as written."""
    text = text.lstrip()
    match = _WORD.match(text)
    if match is None:
        # An open quote: part of a payload, which is not ours to split.
        return text, ""
    return "".join(shlex.split(match[0])), text[match.end() :].lstrip()


def overview(prog: str) -> str:
    """The verbs, a line each."""
    width = max(map(len, VERBS))
    lines = [f"  {verb.name:<{width}}  {verb.summary}" for verb in VERBS.values()]
    return "\n".join([f"{prog} VERB", "", *lines, "", f"`{prog} VERB --help` says more."])
