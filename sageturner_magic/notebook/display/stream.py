"""Show a streamed response in a notebook while it arrives."""

from __future__ import annotations

import threading
from dataclasses import dataclass, fields
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from IPython.display import display

from sageturner_magic import rendering
from sageturner_magic.endpoints import Prediction, PredictionStream
from sageturner_magic.errors import InvocationCancelled
from sageturner_magic.notebook.display.markup import mime_bundle, preformatted
from sageturner_magic.notebook.display.predictions import PROSE_CHARACTERS, prediction_html
from sageturner_magic.notebook.display.progress import has_widgets
from sageturner_magic.notebook.session import NotebookSession
from sageturner_magic.text import brief

UPDATES = 10
"""How often a second the output is drawn."""


@dataclass(frozen=True, eq=False)
class StreamedPrediction(Prediction):
    """A prediction that its cell has shown while it came, and does not show once more.

    Attributes:
        session: Knows which cell runs.
        cell: The number of the cell that showed it.
    """

    session: NotebookSession | None = None
    cell: int = 0

    def _ipython_display_(self) -> None:
        if self.session is None or self.session.number != self.cell:
            display(self.plain())  # type: ignore[no-untyped-call]

    def plain(self) -> Prediction:
        """The same, as any other cell may show it."""
        values = {field.name: getattr(self, field.name) for field in fields(Prediction)}
        return Prediction(**values)


def show_stream(
    shell: InteractiveShell, session: NotebookSession, stream: PredictionStream
) -> StreamedPrediction:
    """Show an answer as it arrives and return it whole. The stop button gives up the rest.

    Raises:
        InvocationCancelled: It was stopped; what had arrived stays in the output.
        InvocationError: The response broke off; likewise.
    """
    if has_widgets(shell):
        whole = _show_in_place(stream)
    else:
        whole = rendering.write_stream(stream)
    values = {field.name: getattr(whole, field.name) for field in fields(Prediction)}
    return StreamedPrediction(**values, session=session, cell=session.number)


class _Growing:
    """The output of a cell that is drawn by a thread while another one reads the answer."""

    def __init__(self, stream: PredictionStream) -> None:
        self._stream = stream
        self._ended = threading.Event()
        self._tail = ""
        self._arrived = 0
        self._output: Any = display(mime_bundle("", "…"), raw=True, display_id=True)  # type: ignore[no-untyped-call]
        # The reader blocks in a socket, where an interrupt reaches it: what has arrived is drawn
        # beside it, so that the last words before a pause are seen at once.
        self._thread = threading.Thread(target=self._draw, name="sageturner-stream", daemon=True)
        self._thread.start()

    def add(self, piece: object) -> None:
        self._tail = (self._tail + rendering.piece_text(piece))[-PROSE_CHARACTERS:]
        self._arrived += 1

    def _draw(self) -> None:
        drawn = 0
        while not self._ended.wait(1 / UPDATES):
            if drawn != self._arrived:
                drawn, tail = self._arrived, self._tail
                self._output.update(mime_bundle(preformatted(tail, len(tail)), tail), raw=True)

    def end(self, remark: str) -> None:
        """Leave what arrived as a static result."""
        self._ended.set()
        self._thread.join()
        arrived = self._stream.so_far()
        plain = "\n".join(filter(None, (rendering.prediction_text(arrived), remark)))
        self._output.update(mime_bundle(prediction_html(arrived, remark), plain), raw=True)


def _show_in_place(stream: PredictionStream) -> Prediction:
    output = _Growing(stream)
    remark = "broke off"
    try:
        with stream:
            for piece in stream:
                output.add(piece)
        remark = f"first bytes after {brief((stream.first_ms or 0.0) / 1000)}"
    except KeyboardInterrupt:
        remark = "stopped"
        raise InvocationCancelled("The answer was stopped before its end") from None
    finally:
        output.end(remark)
    return stream.so_far()
