"""Endpoints that exist, wherever they run: find, describe, invoke and remove them.

`local`, `container` and `sagemaker` are the kinds; `measured` holds costs, usage and load tests.
The deployment, the verbs and the renderers use it. It knows no plans.
"""

# mypy: implicit-reexport
from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .deployed_code import remember
    from .elsewhere import note_on_sagemaker
    from .endpoint import Endpoint, Listing, UsesEndpoint, is_local, listing, no_endpoint
    from .kind import EndpointDescription, Price
    from .leases import known_ends, note_end, renew_in_background
    from .payload import (
        JSON,
        NPY,
        OCTETS,
        decode,
        encode,
        guess_content_type,
        media_type,
        plain,
        read_payload,
    )
    from .prediction import Prediction, PredictionStream, SentRequest
    from .removal import (
        LeftOver,
        Removal,
        Say,
        removal_of_endpoint,
        removal_of_everything,
        removal_of_orphans,
        remove,
        tear_down,
    )
    from .sagemaker import compute_text, price_of
    from .snippets import INLINE, Snippet, client_snippets, curl_command
    from .usage import Usage
else:
    __getattr__, __dir__ = face(__name__)
