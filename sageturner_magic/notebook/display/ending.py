"""Show a bar below a cell in the last hour of an endpoint's lease."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping

from IPython.core.interactiveshell import ExecutionResult

from sageturner_magic.text import moment

LAST_S = 3600.0
_BAR = '<div style="background:{};border-left:4px solid {};padding:4px 8px">{}</div>'


class Ending:
    """Announces the end of leases, each end once. Attributes: shown, what was announced."""

    def __init__(self) -> None:
        self.shown: set[tuple[str, float]] = set()

    def announce(self, result: ExecutionResult) -> None:
        """Show the ends within an hour that this process knows of (called after each cell)."""
        if not (result.info and result.info.store_history):
            return
        # Cells of notebooks without endpoints must not wait for the import.
        if "sageturner_magic.endpoints.leases" not in sys.modules:
            return
        from IPython.display import display

        from sageturner_magic.endpoints import known_ends
        from sageturner_magic.notebook.display.markup import box, fill, mime_bundle, prose
        from sageturner_magic.notebook.display.style import COLOURS, PANEL

        for line in self.lines(known_ends(), time.time()):
            bar = fill(_BAR, PANEL, COLOURS["warn"], prose(line))
            display(mime_bundle(box(bar), line), raw=True)  # type: ignore[no-untyped-call]

    def lines(self, ends: Mapping[str, float], now: float) -> list[str]:
        """What is to be announced now, a line for each endpoint."""
        coming = {(name, end) for name, end in ends.items() if now < end <= now + LAST_S}
        new = sorted(coming - self.shown)
        self.shown |= coming
        return [
            f"AWS deletes the endpoint `{name}` in {(end - now) / 60:.0f} min, at"
            f" {moment(end)}. `%sageturner extend {name} 8h` moves the end, and"
            f" `%sageturner keep {name}` removes it."
            for name, end in new
        ]
