"""Show results, progress and errors in a notebook. The magics and the form use it."""

# mypy: implicit-reexport
from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .announcer import Announcer
    from .ending import Ending
    from .formatters import register, show, unregister
    from .html import deployment_html, findings_html, plan_shown
    from .lines import Lines
    from .load_test import show_load_test
    from .markup import fill, fill_each, mime_bundle, preformatted
    from .progress import (
        ProgressView,
        cancel_button,
        deployment_ended,
        show_blocking,
        show_in_background,
        show_trial,
        told,
    )
    from .stream import show_stream
    from .style import CODE_FONT, COLOURS, PANEL, SMALL, TEXT_FONT
else:
    __getattr__, __dir__ = face(__name__)
