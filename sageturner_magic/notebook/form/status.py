"""The status line of a form."""

from __future__ import annotations

from collections.abc import Sequence

import ipywidgets

from sageturner_magic.errors import Finding, SageturnerError
from sageturner_magic.notebook.display import Announcer, fill, findings_html


class Status:
    """Shows a line, and what is wrong; both are read out.

    Attributes:
        widget: To display.
    """

    def __init__(self) -> None:
        self.announcer = Announcer()
        self._line = ipywidgets.HTML()
        self.widget = ipywidgets.VBox([self._line, self.announcer.widget])

    def say(self, text: str) -> None:
        """Show one line."""
        self._line.value = fill('<div class="sageturner-status">{}</div>', text)
        self.announcer.say(text)

    def problems(self, findings: Sequence[Finding], shown: Sequence[Finding] | None = None) -> None:
        """Say how much is wrong.

        Args:
            findings: All that is.
            shown: What of it stands nowhere else, and is shown here; by default all.
        """
        shown = findings if shown is None else shown
        count = "1 problem" if len(findings) == 1 else f"{len(findings)} problems"
        keys = ", ".join(each.key or "code" for each in findings if each not in shown)
        at = f": see {keys}" if keys and not shown else ""
        self._line.value = fill(
            '<div class="sageturner-status"><b>{}</b>{}{}</div>', count, at, findings_html(shown)
        )
        self.announcer.say(". ".join([f"{count}{at}", *map(str, shown)]))

    def error(self, error: SageturnerError) -> None:
        """Say what went wrong."""
        self.problems(error.findings)
