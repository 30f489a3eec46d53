"""Show results, progress and errors in a notebook. The magics and the form use it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .announcer import Announcer as Announcer
    from .formatters import register as register
    from .formatters import show as show
    from .formatters import unregister as unregister
    from .html import deployment_html as deployment_html
    from .html import findings_html as findings_html
    from .html import plan_shown as plan_shown
    from .lines import Lines as Lines
    from .load_test import show_load_test as show_load_test
    from .markup import fill as fill
    from .markup import fill_each as fill_each
    from .markup import preformatted as preformatted
    from .progress import ProgressView as ProgressView
    from .progress import cancel_button as cancel_button
    from .progress import deployment_ended as deployment_ended
    from .progress import show_blocking as show_blocking
    from .progress import show_in_background as show_in_background
    from .progress import show_trial as show_trial
    from .stream import show_stream as show_stream
else:
    __getattr__, __dir__ = face(__name__)
