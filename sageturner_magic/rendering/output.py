"""Write text and responses to the terminal, a file or a pipe."""

from __future__ import annotations

import sys
from typing import TextIO

from sageturner_magic.endpoints import Prediction, PredictionStream
from sageturner_magic.rendering import responses
from sageturner_magic.text import visible


def say(text: str, out: TextIO | None = None, end: str = "\n") -> None:
    """Write text of others: to a terminal with its escape sequences shown, elsewhere as it is."""
    out = out or sys.stdout
    print(visible(text) if out.isatty() else text, file=out, end=end, flush=True)


def write_stream(stream: PredictionStream, *, as_json: bool = False) -> Prediction:
    """Write an answer to standard output as it arrives, and return it whole.

    Args:
        stream: The answer.
        as_json: Each piece as a line of JSON; otherwise text and bytes as they are.

    Raises:
        InvocationError: The response broke off.
        KeyboardInterrupt: It was stopped; the rest is given up.
    """
    last = "\n"
    with stream:
        for piece in stream:
            if as_json:
                print(responses.as_json(piece), flush=True)
            elif isinstance(piece, bytes):
                sys.stdout.buffer.write(piece)
                sys.stdout.buffer.flush()
            else:
                last = responses.piece_text(piece)
                say(last, end="")
    if not last.endswith("\n"):
        print()
    return stream.so_far()
