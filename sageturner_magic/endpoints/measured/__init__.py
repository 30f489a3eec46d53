"""Measure endpoints: costs, usage and load tests.

The verbs and the renderers use it.
"""

# mypy: implicit-reexport
from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .costs import Cost, Total, cost_of, total_of
    from .dashboard import Dashboard, cost_so_far, read_dashboard
    from .load_result import LoadTest
    from .load_run import LoadRun
    from .spent import IDLE_DAYS, DayCost, Spent, read_spent
else:
    __getattr__, __dir__ = face(__name__)
