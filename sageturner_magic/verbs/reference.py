"""Write docs/cli.md from the table of verbs: `python -m sageturner_magic.verbs.reference`."""

from __future__ import annotations

from sageturner_magic.verbs.arguments import Argument, usage
from sageturner_magic.verbs.table import VERBS
from sageturner_magic.verbs.verb import Verb

HEAD = """\
# Verbs

Each verb is a command, a magic and a function: `sageturner VERB` in a shell, `%sageturner VERB` in
a notebook, `sageturner_magic.VERB()` in Python. This page is generated from the table of verbs.
`sageturner setup --show-policy --for VERB` prints the minimal IAM policy of a verb.

| Verb | What it does |
|---|---|
"""


def markdown() -> str:
    """Return the reference of all verbs as Markdown."""
    rows = [f"| [`{verb.name}`](#{verb.name}) | {verb.summary} |\n" for verb in VERBS.values()]
    return HEAD + "".join(rows) + "".join(map(_section, VERBS.values()))


def _section(verb: Verb) -> str:
    cell = {
        "": "",
        "configuration": f"`%%sageturner {verb.name}` takes the YAML configuration as the cell's"
        " body.\n\n",
        "payload": f"`%%sageturner {verb.name}` takes the payload as the cell's body.\n\n",
    }[verb.cell]
    rows = "".join(f"| `{_cell(each.shown)}` | {_help(each)} |\n" for each in verb.arguments)
    line = usage(verb.arguments, f"sageturner {verb.name}").replace("\N{NO-BREAK SPACE}", " ")
    return (
        f"\n## {verb.name}\n\n{verb.sentence} In Python: `sageturner_magic.{verb.public_name}()`."
        f"\n\n```\n{line}\n```\n\n{cell}| Argument | Meaning |\n|---|---|\n{rows}"
    )


def _help(argument: Argument) -> str:
    return _cell(argument.help[0].upper() + argument.help[1:])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    print(markdown(), end="")
