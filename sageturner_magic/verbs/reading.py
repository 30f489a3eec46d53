"""Read a line for a verb, and print help, by the table of verbs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace

from sageturner_magic.errors import UsageError
from sageturner_magic.verbs.arguments import HelpShown, help_text, nearest, read
from sageturner_magic.verbs.table import HELP, VERBS
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
        raise HelpShown
    return read(verb.arguments, argv, f"{prog} {name}", defaults)


def overview(prog: str) -> str:
    """The verbs, a line each."""
    width = max(map(len, VERBS))
    lines = [f"  {verb.name:<{width}}  {verb.summary}" for verb in VERBS.values()]
    return "\n".join([f"{prog} VERB", "", *lines, "", f"`{prog} VERB --help` says more."])
