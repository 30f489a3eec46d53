"""Measure endpoints: costs, usage and load tests.

The verbs and the renderers use it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .costs import Cost as Cost
    from .costs import Total as Total
    from .costs import cost_of as cost_of
    from .costs import total_of as total_of
    from .dashboard import Dashboard as Dashboard
    from .dashboard import cost_so_far as cost_so_far
    from .dashboard import read_dashboard as read_dashboard
    from .load_result import LoadTest as LoadTest
    from .load_run import LoadRun as LoadRun
    from .load_run import load_test as load_test
    from .load_run import start_load_test as start_load_test
else:
    __getattr__, __dir__ = face(__name__)
