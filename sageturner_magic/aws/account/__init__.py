"""What an AWS account allows and costs: execution roles, policies, quotas, prices.

The verbs, the plans and the doctor use it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .evaluation import statements as statements
    from .policies import PERMISSION_SETS as PERMISSION_SETS
    from .policies import PermissionSet as PermissionSet
    from .policies import caller_policy as caller_policy
    from .pricing import HostedInstance as HostedInstance
    from .pricing import hosted_instances as hosted_instances
    from .pricing import hourly as hourly
    from .pricing import serverless_second as serverless_second
    from .quotas import quota_findings as quota_findings
    from .roles import ExecutionRole as ExecutionRole
    from .roles import access_findings as access_findings
    from .roles import delete_role as delete_role
    from .roles import ensure_role as ensure_role
    from .roles import resolve_role as resolve_role
    from .roles import role_findings as role_findings
    from .roles import studio_role as studio_role
else:
    __getattr__, __dir__ = face(__name__)
