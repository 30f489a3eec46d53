"""The `sageturner` command: the verbs of the magics for shells and CI/CD.

Results go to standard output, progress and errors to standard error; with `--json` an error goes
to standard output too, as an object. Exit codes: 0 done, 2 an error that says what to do, 130
stopped by the user, 143 stopped by SIGTERM.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with `argv` (default: the process's own) and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        # Importing takes longest of a short command: Ctrl-C often comes meanwhile.
        from sageturner_magic.cli.program import run

        return run(words)
    except KeyboardInterrupt:
        print(f"sageturner: `{' '.join(['sageturner', *words[:1]])}` was stopped", file=sys.stderr)
        return 130
