"""SageMaker endpoints: specify, create, update, roll back, scale, invoke and watch them.

The plans of a deployment and the `endpoints` room use it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .autoscaling import ensure_autoscaling as ensure_autoscaling
    from .endpoint import EndpointState as EndpointState
    from .endpoint import EndpointVersion as EndpointVersion
    from .endpoint import busy as busy
    from .endpoint import delete_endpoint as delete_endpoint
    from .endpoint import delete_version as delete_version
    from .endpoint import find_endpoint as find_endpoint
    from .endpoint import find_version as find_version
    from .endpoint import list_endpoints as list_endpoints
    from .endpoint import list_versions as list_versions
    from .endpoint import our_endpoint as our_endpoint
    from .endpoint import ours as ours
    from .limits import SERVERLESS_IMAGE_BYTES as SERVERLESS_IMAGE_BYTES
    from .limits import inference_ami_versions as inference_ami_versions
    from .limits import instance_types as instance_types
    from .limits import offer_findings as offer_findings
    from .limits import service_model as service_model
    from .logs import delete_log_group as delete_log_group
    from .logs import follow_log as follow_log
    from .logs import our_log_groups as our_log_groups
    from .logs import tail_log as tail_log
    from .metrics import metric_period as metric_period
    from .metrics import request_metrics as request_metrics
    from .rollout import apply_spec as apply_spec
    from .rollout import roll_back as roll_back
    from .rollout import settle as settle
    from .rollout import wait_until_gone as wait_until_gone
    from .rollout import watch as watch
    from .runtime import invoke as invoke
    from .runtime import invoke_stream as invoke_stream
    from .runtime import sender as sender
    from .spec import EndpointSpec as EndpointSpec
else:
    __getattr__, __dir__ = face(__name__)
