"""Show results as text or JSON: deployments, plans, endpoints, trials, responses.

The command and the notebook use it. It creates and changes nothing.
"""

# mypy: implicit-reexport
from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .account import verdict
    from .dashboards import dashboard_facts, dashboard_text, plots, time_range
    from .deployments import (
        STATE_SIGN,
        curl,
        deployment_facts,
        deployment_text,
        elapsed,
        headline,
        invoke_command,
        invoke_line,
        outcome,
        remark,
        request_lines,
        state,
        steps_line,
    )
    from .endpoints import ENDPOINT_HEAD, endpoint_row, endpoints_text, endpoints_total
    from .findings import error_data
    from .json_schemas import ERROR, FINDING, SCHEMAS, VARIANTS
    from .load_tests import load_progress, load_test_facts, throttled_remedy
    from .output import say, write_stream
    from .plans import plan_facts, plan_text
    from .prices import price_text
    from .registry import data_of, json_of, registered, text_of
    from .responses import as_json, piece_text, prediction_summary, prediction_text, value_text
    from .terminal import PlainLines, follow_deployment, follow_load_test, print_error
    from .trials import tried_summary, tried_text
else:
    __getattr__, __dir__ = face(__name__)
