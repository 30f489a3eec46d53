"""Run the line of a `sageturner` command, and say how it ended."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from sageturner_magic._version import __version__
from sageturner_magic.cli.commands import PROG, run_verb
from sageturner_magic.deployment import EXIT_CODE, sigterm_interrupts
from sageturner_magic.errors import DeploymentCancelled, SageturnerError
from sageturner_magic.verbs import HelpShown, overview, parse, verb_of


def run(words: list[str]) -> int:
    """Run the command `words` and return its exit code."""
    if not words or words[0] in ("-h", "--help", "help"):
        print(overview(PROG))
        return 0
    if words[0] in ("-V", "--version"):
        print(f"{PROG} {__version__}")
        return 0
    with sigterm_interrupts() as terminated:
        code = _run(words)
    return EXIT_CODE if terminated() else code


def _run(words: list[str]) -> int:
    verb, *rest = words
    try:
        values = parse(verb, rest, PROG)
        run_verb(verb_of(verb), values)
    except HelpShown:
        return 0
    except SageturnerError as error:
        return _fail(error, rest)
    except KeyboardInterrupt:
        return _fail(DeploymentCancelled(f"`{PROG} {verb}` was stopped"), rest)
    except BrokenPipeError:
        # The reader of a pipe has left (`sageturner logs … | head`): nothing is wrong.
        sys.stderr.close()
        return 0
    except Exception as error:
        from sageturner_magic.deployment import unexpected

        return _fail(unexpected(error), rest)
    return 0


def _fail(error: SageturnerError, words: Sequence[str]) -> int:
    # The words, because what failed may be reading them.
    if "--json" in words and not error.shown:
        from sageturner_magic.rendering import error_data

        print(json.dumps(error_data(error), ensure_ascii=False))
    report = f"{PROG}: {error.report()}"
    if sys.stderr.isatty():
        from sageturner_magic.rendering import print_error

        print_error(report)
    else:
        print(report, file=sys.stderr)
    return error.exit_code
