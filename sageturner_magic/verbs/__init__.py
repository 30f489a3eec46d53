"""What can be asked for: one function for each verb, and the table that describes them.

The command, the magics and the public functions of the package come from it.
"""

# mypy: implicit-reexport
from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .account import (
        Changes,
        PlannedRemoval,
        Policies,
        adelete,
        asecret,
        asetup,
        ateardown,
        delete,
        secret,
        setup,
        teardown,
    )
    from .arguments import Argument, HelpShown, by_flag, is_name, split, split_payload
    from .deploying import (
        adeploy,
        aplan,
        arollback,
        deploy,
        dockerfile,
        form,
        packages,
        plan,
        rollback,
        start_deployment,
    )
    from .diagnosis import Report, adoctor, doctor
    from .endpoints import (
        aclient,
        acost,
        ainvoke,
        ainvoke_stream,
        alist,
        aload_test,
        alogs,
        astatus,
        client,
        cost,
        follow_logs,
        invoke,
        invoke_stream,
        list_endpoints,
        load_test,
        logs,
        status,
    )
    from .instances import InstanceChoice, imported_distributions, instance_choices
    from .leases import LEASE_OFFERED, aextend, akeep, extend, keep, lease_offer
    from .reading import overview, parse, verb_of
    from .requested import DEFAULT_CONFIG, Expression, live_model
    from .sources import Source, aexport, code, export, init
    from .table import PERMITTED, PUBLIC, VERBS
    from .trying import atry, try_
    from .verb import Verb, bound
else:
    __getattr__, __dir__ = face(__name__)
