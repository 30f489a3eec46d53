"""Endpoints that exist, wherever they run: find, describe, invoke and remove them.

`local`, `container` and `sagemaker` are the kinds; `measured` holds costs, usage and load tests.
The deployment, the verbs and the renderers use it. It knows no plans.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .deployed_code import remember as remember
    from .endpoint import Endpoint as Endpoint
    from .endpoint import Listing as Listing
    from .endpoint import is_local as is_local
    from .endpoint import listing as listing
    from .kind import EndpointDescription as EndpointDescription
    from .payload import JSON as JSON
    from .payload import decode as decode
    from .payload import encode as encode
    from .payload import media_type as media_type
    from .payload import read_payload as read_payload
    from .prediction import Prediction as Prediction
    from .prediction import PredictionStream as PredictionStream
    from .prediction import SentRequest as SentRequest
    from .removal import Say as Say
    from .removal import removal_of_endpoint as removal_of_endpoint
    from .removal import removal_of_everything as removal_of_everything
    from .removal import removal_of_orphans as removal_of_orphans
    from .removal import remove as remove
    from .removal import tear_down as tear_down
    from .snippets import INLINE as INLINE
    from .snippets import Snippet as Snippet
    from .snippets import client_snippets as client_snippets
    from .usage import Usage as Usage
else:
    __getattr__, __dir__ = face(__name__)
