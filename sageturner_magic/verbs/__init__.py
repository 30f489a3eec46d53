"""What can be asked for: one function for each verb, and the table that describes them.

The command, the magics and the public functions of the package come from it.
"""

# mypy: implicit-reexport
from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .account import Changes, PlannedRemoval, Policies, delete
    from .arguments import Argument, HelpShown, by_flag, is_name, split, split_payload
    from .deploying import dockerfile, packages, plan, start_deployment
    from .doctor import Report
    from .endpoints import follow_logs, invoke_stream
    from .instances import InstanceChoice, imported_distributions, instance_choices
    from .reading import overview, parse, verb_of
    from .requested import DEFAULT_CONFIG, Expression
    from .sources import code, export
    from .table import PERMITTED, PUBLIC, VERBS
    from .verb import Verb, bound
else:
    __getattr__, __dir__ = face(__name__)
