"""SageMaker endpoints: specify, create, update, roll back, scale, invoke and watch them.

The plans of a deployment and the `endpoints` room use it.
"""

# mypy: implicit-reexport
from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .autoscaling import ensure_autoscaling, left_autoscaling
    from .budget import OVERLAP_S, Spending, budget_end, read_spending
    from .capacity import set_instances
    from .endpoint import (
        EndpointState,
        busy,
        delete_endpoint,
        find_endpoint,
        list_endpoints,
        our_endpoint,
        ours,
        refuse_protected,
        release_endpoint,
        tag_endpoint,
    )
    from .lease import (
        check_leases,
        end_lease,
        extend_lease,
        find_lease,
        keep_endpoint,
        lease_of,
        mark_leased,
        put_lease,
        remove_schedule,
        renew_lease,
    )
    from .limits import (
        SERVERLESS_IMAGE_BYTES,
        disk_findings,
        inference_ami_versions,
        instance_types,
        offer_findings,
        service_model,
    )
    from .logs import delete_log_group, follow_log, our_log_groups, tail_log
    from .metrics import metric_period, request_metrics
    from .rollback import no_version, roll_back, rollback_target
    from .rollout import apply_spec, came_too_early, one_way, settle, wait_until_gone, watch
    from .runtime import invoke, invoke_stream, sender
    from .spec import EndpointSpec, endpoint_tags
    from .versions import EndpointVersion, delete_version, find_version, list_versions, running_on
else:
    __getattr__, __dir__ = face(__name__)
