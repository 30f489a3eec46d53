"""Announce changes on the page to screen readers.

A screen reader hears of a text when it changes within a live region that stood there before.
ipywidgets makes its nodes anew with every change, and a result replaces its widgets: so there is
one region for the whole page, outside of both, whose text is replaced.
"""

from __future__ import annotations

import ipywidgets
from markupsafe import Markup

REGION = "sageturner-said"
"""The id of the page's live region."""

_HIDDEN = "position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)"

# A text that a new region is born with is not heard, so it follows a moment later.
_SCRIPT = (
    "const said=this.dataset.said;"
    f"let region=document.getElementById('{REGION}');"
    "if(!region){region=document.createElement('div');"
    f"region.id='{REGION}';region.style.cssText='{_HIDDEN}';"
    "region.setAttribute('role','status');region.setAttribute('aria-live','polite');"
    "document.body.append(region)}"
    "setTimeout(()=>{if(region.textContent!==said)region.textContent=said},100)"
)


class Announcer:
    """Says a line at a time; politely, so that only the last of several in a row may be heard.

    Attributes:
        widget: To be displayed somewhere; nothing of it is seen.
    """

    def __init__(self) -> None:
        self._said = ""
        # What is hidden by CSS runs its handlers all the same.
        self.widget = ipywidgets.HTML(_html(""), layout={"display": "none"})

    def say(self, text: str) -> None:
        """Let `text` be read out, unless it was the last thing to be."""
        if text != self._said:
            self._said = text
            self.widget.value = _html(text)


def _html(text: str) -> str:
    # Of the elements that have a load event this is the one that asks nothing of the network.
    return Markup('<style data-said="{}" onload="{}"></style>').format(text, _SCRIPT)
