"""Read a line for a verb, and print help, by the table of verbs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace

from sageturner_magic.errors import UsageError
from sageturner_magic.verbs.arguments import HelpShown, help_text, nearest, read
from sageturner_magic.verbs.shared import HELP
from sageturner_magic.verbs.table import VERBS
from sageturner_magic.verbs.verb import Verb


def verb_of(name: str) -> Verb:
    """The verb of that name. Raises UsageError for one that does not exist, with the nearest."""
    if name not in VERBS:
        raise UsageError(
            f"There is no verb `{name}`",
            do=nearest(name, VERBS) or f"the verbs are {', '.join(VERBS)}",
        )
    return VERBS[name]


def parse(
    name: str, argv: Sequence[str], prog: str, defaults: Mapping[str, object] | None = None
) -> SimpleNamespace:
    """The values of a verb's arguments, by parameter, that the words of a line give.

    Args:
        prog: `sageturner` or `%sageturner`.
        defaults: Parameter -> value where no flag says otherwise, for verbs that take it.

    Raises:
        UsageError: A verb, flag or value that does not fit, with the nearest that does.
        HelpShown: `--help` was printed.
    """
    verb = verb_of(name)
    if not {*HELP.flags}.isdisjoint(argv):
        print(help_text(verb.arguments, f"{prog} {name}", verb.sentence))
        if examples := _examples(name, prog):
            print("", "Examples:", *(f"  {prog} {each}" for each in examples), sep="\n")
        raise HelpShown
    return read(verb.arguments, argv, f"{prog} {name}", defaults)


GROUPS = {
    "First steps": ("try", "deploy", "invoke", "list", "logs", "delete"),
    "Before a deployment": ("form", "plan", "init", "doctor", "schema"),
    "The code": ("code", "export", "client"),
    "Running endpoints": ("status", "load-test", "rollback", "extend", "keep", "cost"),
    "The AWS account": ("setup", "secret", "teardown"),
}
"""Title -> verbs, in the order in which help shows them."""

EXAMPLES = {
    "try": ("try digits", "try digits --file digit.json"),
    "deploy": (
        "deploy digits",
        "deploy digits -e serverless --memory 4096",
        "deploy digits -e server --instance-type ml.m5.large --env LOG_LEVEL=info",
    ),
    "invoke": ("invoke digits --file digit.json", "invoke digits --file digit.png --stream"),
    "list": ("list", "list --region eu-west-1"),
    "logs": ("logs digits --follow", "logs digits -n 100"),
    "delete": ("delete digits", "delete digits --yes", "delete --orphans"),
    "plan": ("plan digits -e serverless",),
    "load-test": ("load-test digits --requests 500 --concurrency 16",),
    "status": ("status digits --hours 24",),
    "rollback": ("rollback digits",),
    "extend": ("extend digits 2d",),
    "keep": ("keep digits",),
    "cost": ("cost", "cost digits"),
    "export": ("export digits ./digits-to-deploy",),
    "code": ("code digits", "code digits --diff"),
    "client": ("client digits -o digits_client.py",),
    "setup": ("setup", "setup --show-policy --for deploy,invoke"),
    "secret": ("secret put HF_TOKEN",),
}
"""Verb -> lines that hold in a notebook and in a shell."""


_IN_NOTEBOOKS = {
    "deploy": "deploy digits --model classifier --example X_test[:3]",
    "invoke": "invoke digits X_test[:3]",
}
"""Verb -> a line with variables, which a shell does not have."""


def _examples(name: str, prog: str) -> tuple[str, ...]:
    """The lines that hold in a notebook (`%sageturner`) or in a shell, the first one first."""
    first = _IN_NOTEBOOKS.get(name) if prog.startswith("%") else None
    return (*([first] if first else []), *EXAMPLES.get(name, ()))


def overview(prog: str) -> str:
    """The verbs by group, a line each, and examples of those that come first."""
    width = max(map(len, VERBS))
    lines = [f"{prog} VERB", ""]
    for title, names in GROUPS.items():
        lines += [f"{title}:", *(f"  {name:<{width}}  {VERBS[name].summary}" for name in names), ""]
    examples = [f"  {prog} {_examples(name, prog)[0]}" for name in GROUPS["First steps"]]
    return "\n".join([*lines, "Examples:", *examples, "", f"`{prog} VERB --help` says more."])
