"""Describe arguments of verbs as data, and read them from a line.

The table of verbs uses this module; it knows no verb itself.
"""

from __future__ import annotations

import ast
import json
import re
import shlex
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace

from sageturner_magic.constants import ENDPOINT_NAME
from sageturner_magic.errors import UsageError


class HelpShown(Exception):
    """`--help` was asked for and has been printed."""


@dataclass(frozen=True)
class Argument:
    """One argument of a verb.

    Attributes:
        parameter: The keyword under which a verb's function takes the value.
        help: What it is for.
        flags: Its flags, the long one last; none for an argument that is known by its place.
        metavar: What help shows for the value; empty for a switch, which has none.
        type: Converts the text; `int` and `float` have messages of their own.
        choices: The values that are allowed; empty where all are.
        spellings: Another spelling -> the value that it means.
        default: The value where the argument is left out.
        sets: The value of a switch that is given.
        required: Whether an argument without flags must be given.
        collects: Whether it may be given several times; its value is then the tuple of all.
        runs: Dotted path of the function that runs in place of the verb's when the switch is given.
    """

    parameter: str
    help: str
    flags: tuple[str, ...] = ()
    metavar: str = ""
    type: Callable[[str], object] = str
    choices: tuple[str, ...] = ()
    spellings: Mapping[str, str] | None = None
    default: object = None
    sets: object = True
    required: bool = False
    collects: bool = False
    runs: str = ""

    @property
    def name(self) -> str:
        """What messages call it: the long flag, or the name of its place."""
        return self.flags[-1] if self.flags else self.metavar

    @property
    def takes_value(self) -> bool:
        """Whether text belongs to it."""
        return not self.flags or bool(self.metavar or self.choices)

    @property
    def value(self) -> str:
        """How help shows its value: `NAME`, `{local,serverless,server}`."""
        return f"{{{','.join(self.choices)}}}" if self.choices else self.metavar

    @property
    def shown(self) -> str:
        """How help shows the whole: `-c, --config-path PATH`."""
        return " ".join(filter(None, (", ".join(self.flags), self.value)))


_NUMBERS: dict[object, str] = {int: "a whole number", float: "a number"}
_NUMBER = re.compile(r"-\d+$|-\d*\.\d+$")


def by_flag(arguments: Iterable[Argument]) -> dict[str, Argument]:
    """Every flag and the argument that it belongs to."""
    return {flag: argument for argument in arguments for flag in argument.flags}


def read(
    arguments: Sequence[Argument],
    argv: Sequence[str],
    prog: str,
    defaults: Mapping[str, object] | None = None,
) -> SimpleNamespace:
    """The values of `arguments`, by parameter, that the words of a line give.

    Args:
        prog: What messages call the command.
        defaults: Parameter -> value where the line says nothing.

    Raises:
        UsageError: A flag or value that does not fit, with the nearest that does.
    """
    flags = by_flag(arguments)
    places = [argument for argument in arguments if not argument.flags]
    values = {argument.parameter: argument.default for argument in reversed(arguments)}
    values |= {key: value for key, value in (defaults or {}).items() if key in values}
    runs = ""
    words, all_values = list(argv), False
    words_of_places: list[str] = []
    collected: dict[str, tuple[object, ...]] = {}
    while words:
        word = words.pop(0)
        if word == "--" and not all_values:
            all_values = True
            continue
        flag, equals, text = word.partition("=")
        argument = flags.get(flag)
        if all_values or (argument is None and not _looks_like_flag(word)):
            if len(words_of_places) == len(places):
                raise _unknown(word, prog, flags)
            words_of_places.append(word)
        elif argument is None and word[:2] in flags:
            # `-n5` and `-fn 5`.
            joined = flags[word[:2]]
            words[:0] = [word[:2], word[2:] if joined.takes_value else f"-{word[2:]}"]
        elif argument is None:
            raise _unknown(word, prog, flags)
        elif argument.takes_value:
            if not equals:
                if not words or words[0] in flags or _looks_like_flag(words[0]):
                    raise _without_value(argument, prog)
                text = words.pop(0)
            value = _converted(argument, text, prog)
            if argument.collects:
                collected[argument.parameter] = (*collected.get(argument.parameter, ()), value)
            values |= {argument.parameter: value, **collected}
        elif equals:
            raise UsageError(f"`{prog}`: `{flag}` takes no value", do=f"write `{flag}` alone")
        else:
            values[argument.parameter] = argument.sets
            runs = argument.runs or runs
    given = _filled_places(places, len(words_of_places))
    for place, word in zip(given, words_of_places, strict=True):
        values[place.parameter] = _converted(place, word, prog)
    if missing := [place.metavar for place in places if place.required and place not in given]:
        known = "; `sageturner list` shows the names" if "NAME" in missing else ""
        raise UsageError(
            f"`{prog}` needs {' and '.join(missing)}",
            do=f"write `{prog} {' '.join(missing)}`{known}",
        )
    return SimpleNamespace(**values, runs=runs)


def _filled_places(places: Sequence[Argument], words: int) -> list[Argument]:
    """The places that so many words fill: those that are required first, in their order."""
    ranked = sorted(places, key=lambda place: not place.required)
    filled = ranked[:words]
    return [place for place in places if place in filled]


def _looks_like_flag(word: str) -> bool:
    """Whether a word is written as a flag: `-1` is a number, `-` the standard input."""
    return word.startswith("-") and word != "-" and not _NUMBER.match(word) and " " not in word


def _converted(argument: Argument, text: str, prog: str) -> object:
    text = (argument.spellings or {}).get(text, text)
    if argument.choices and text not in argument.choices:
        raise UsageError(
            f"`{prog}`: `{argument.name}` is `{text}`",
            why=f"expected one of {', '.join(argument.choices)}",
            do=nearest(text, argument.choices) or _see_help(prog),
        )
    try:
        return argument.type(text)
    except ValueError:
        number = _NUMBERS[argument.type]
        raise UsageError(
            f"`{prog}`: `{argument.name}` is `{text}`",
            why=f"expected {number}",
            do=f"write {number}, or leave it out",
        ) from None


def _without_value(argument: Argument, prog: str) -> UsageError:
    choices = f"; it is one of {', '.join(argument.choices)}" if argument.choices else ""
    example = argument.choices[0] if argument.choices else argument.metavar
    return UsageError(
        f"`{prog}`: `{argument.name}` needs a value",
        do=f"write `{argument.name} {example}`{choices}",
    )


def _unknown(word: str, prog: str, flags: Iterable[str]) -> UsageError:
    return UsageError(
        f"`{prog}` does not take `{word}`",
        do=nearest(word.partition("=")[0], flags) or _see_help(prog),
    )


def nearest(word: str, known: Iterable[str]) -> str:
    """Ask whether the most similar of the known words was meant; empty where none is similar."""
    import difflib

    found = difflib.get_close_matches(word, list(known), 1)
    return f"did you mean `{found[0]}`?" if found else ""


def _see_help(prog: str) -> str:
    return f"`{prog} --help` shows what it takes"


# --- help ---------------------------------------------------------------------------------


def usage(arguments: Sequence[Argument], prog: str) -> str:
    """The command and its arguments in a line: `sageturner logs [-f] [-n N] NAME`."""
    parts = [
        f"[{' '.join(filter(None, (each.name, each.value)))}]" for each in arguments if each.flags
    ]
    places = [each for each in arguments if not each.flags]
    parts += [each.metavar if each.required else f"[{each.metavar}]" for each in places]
    return " ".join([prog, *(part.replace(" ", _NO_BREAK) for part in parts)])


_NO_BREAK = "\N{NO-BREAK SPACE}"
"""Keeps a flag and its value in one line."""


def help_text(arguments: Sequence[Argument], prog: str, summary: str) -> str:
    """What `--help` prints."""
    lines = [*_wrapped(usage(arguments, prog), "usage: ", 7), "", summary, ""]
    for argument in arguments:
        head = f"  {argument.shown}"
        if len(head) > 22:
            lines.append(head)
            head = ""
        lines += _wrapped(argument.help, f"{head:<24}", 24)
    return "\n".join(lines).replace(_NO_BREAK, " ")


def _wrapped(text: str, first: str, indent: int) -> list[str]:
    return textwrap.wrap(
        text, 79, initial_indent=first, subsequent_indent=" " * indent, break_on_hyphens=False
    )


# --- lines --------------------------------------------------------------------------------


def split(line: str) -> list[str]:
    """Words of a line as a shell splits them. Raises UsageError for an open quote."""
    try:
        return shlex.split(line)
    except ValueError:
        raise UsageError(f"A quote is not closed in `{line}`", do="close it") from None


def split_payload(
    line: str, flags: Mapping[str, Argument], may_be_name: Callable[[str], bool] = bool
) -> tuple[list[str], str]:
    """The words around the payload, and the payload exactly as written.

    The first word that is neither a flag nor a flag's value is the endpoint's name; the payload
    begins with the next such word, or with the first if that cannot be a name. Flags may also
    come after a payload that is complete without them.
    """
    words: list[str] = []
    rest = line.strip()
    named = False
    while rest:
        head, tail = _first_word(rest)
        flag, equals, _ = head.partition("=")
        if flag.startswith("--") or flag in flags:
            words.append(head)
            if flag in flags and flags[flag].takes_value and not equals:
                value, tail = _first_word(tail)
                words.append(value)
        elif named or not may_be_name(head):
            break
        else:
            words.append(head)
            named = True
        rest = tail
    after, payload = _flags_after(rest, flags)
    return words + after, payload


def _flags_after(payload: str, flags: Mapping[str, Argument]) -> tuple[list[str], str]:
    for found in re.finditer(r"\s--[a-z-]+", payload):
        after = payload[found.start() :].split()
        expected, wants_value = 0, False
        for word in after:
            flag, equals, _ = word.partition("=")
            if not wants_value and flag not in flags:
                break
            wants_value = not wants_value and flags[flag].takes_value and not equals
            expected += 1
        if expected == len(after) and _is_complete(payload[: found.start()]):
            return after, payload[: found.start()]
    return [], payload


def _is_complete(payload: str) -> bool:
    try:
        ast.parse(payload.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


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
