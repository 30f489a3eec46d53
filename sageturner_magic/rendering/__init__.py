"""Show results as text or JSON: deployments, plans, endpoints, trials, responses.

The command and the notebook use it. It creates and changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .dashboards import dashboard_facts as dashboard_facts
    from .dashboards import dashboard_text as dashboard_text
    from .dashboards import plots as plots
    from .dashboards import time_range as time_range
    from .deployments import STATE_SIGN as STATE_SIGN
    from .deployments import curl as curl
    from .deployments import deployment_text as deployment_text
    from .deployments import elapsed as elapsed
    from .deployments import headline as headline
    from .deployments import invoke_command as invoke_command
    from .deployments import invoke_line as invoke_line
    from .deployments import outcome as outcome
    from .deployments import remark as remark
    from .deployments import request_lines as request_lines
    from .deployments import state as state
    from .deployments import steps_line as steps_line
    from .endpoints import ENDPOINT_HEAD as ENDPOINT_HEAD
    from .endpoints import endpoint_row as endpoint_row
    from .endpoints import endpoints_text as endpoints_text
    from .endpoints import endpoints_total as endpoints_total
    from .load_tests import load_progress as load_progress
    from .load_tests import load_test_facts as load_test_facts
    from .plans import plan_facts as plan_facts
    from .plans import plan_text as plan_text
    from .registry import json_of as json_of
    from .registry import registered as registered
    from .registry import text_of as text_of
    from .responses import as_json as as_json
    from .responses import piece_text as piece_text
    from .responses import prediction_summary as prediction_summary
    from .responses import prediction_text as prediction_text
    from .responses import value_text as value_text
    from .terminal import PlainLines as PlainLines
    from .terminal import follow_deployment as follow_deployment
    from .terminal import follow_load_test as follow_load_test
    from .terminal import say as say
    from .terminal import write_stream as write_stream
    from .trials import tried_summary as tried_summary
    from .trials import tried_text as tried_text
else:
    __getattr__, __dir__ = face(__name__)
