"""Tables of known AWS errors, each with its cause and its remedy.

A row's pattern is searched for in `Code: message` of an API error, in a FailureReason, in a line
of an endpoint's log or in a registry's response. Sources of the rows: the messages that AWS's
services are known to send (developer guides, public issues of the SDKs). `aws/` uses the tables.
"""

# mypy: implicit-reexport
from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .calls import CREDENTIALS, NETWORK, QUOTAS_PAGE, SERVICE, TABLE
    from .endpoints import ENDPOINT_LOG, INVOCATION, LAST_ERROR, MODEL_ERROR, PING
    from .rows import Row
else:
    __getattr__, __dir__ = face(__name__)
