"""What can be asked for: one function for each verb, and the table that describes them.

The command, the magics and the public functions of the package come from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .account import Changes as Changes
    from .account import PlannedRemoval as PlannedRemoval
    from .account import Policy as Policy
    from .account import delete as delete
    from .arguments import Argument as Argument
    from .arguments import HelpShown as HelpShown
    from .arguments import by_flag as by_flag
    from .arguments import is_name as is_name
    from .arguments import split as split
    from .arguments import split_payload as split_payload
    from .deploying import dockerfile as dockerfile
    from .deploying import packages as packages
    from .deploying import plan as plan
    from .deploying import start_deployment as start_deployment
    from .doctor import Report as Report
    from .endpoints import follow_logs as follow_logs
    from .endpoints import invoke_stream as invoke_stream
    from .exporting import export as export
    from .instances import InstanceChoice as InstanceChoice
    from .instances import imported_distributions as imported_distributions
    from .instances import instance_choices as instance_choices
    from .reading import overview as overview
    from .reading import parse as parse
    from .reading import verb_of as verb_of
    from .requested import DEFAULT_CONFIG as DEFAULT_CONFIG
    from .sources import code as code
    from .table import PERMITTED as PERMITTED
    from .table import PUBLIC as PUBLIC
    from .table import VERBS as VERBS
    from .verb import Verb as Verb
    from .verb import bound as bound
else:
    __getattr__, __dir__ = face(__name__)
