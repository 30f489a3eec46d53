"""What an AWS account allows and costs: execution roles, policies, quotas, prices.

The verbs, the plans and the doctor use it.
"""

# mypy: implicit-reexport
from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .evaluation import statements
    from .lease_role import (
        ensure_lease_role,
        lease_policy,
        lease_role_findings,
        our_lease_role,
        release_lease_role,
    )
    from .policies import PERMISSION_SETS, PermissionSet
    from .policy_documents import caller_policies
    from .pricing import HostedInstance, hosted_instances, hourly, serverless_second
    from .quotas import quota_findings
    from .resources import Scope
    from .role_documents import Extras, execution_policy
    from .role_setup import RoleShare, ensure_role, release_role, role_share
    from .roles import (
        ExecutionRole,
        access_findings,
        endpoint_findings,
        resolve_role,
        role_findings,
        studio_role,
    )
else:
    __getattr__, __dir__ = face(__name__)
