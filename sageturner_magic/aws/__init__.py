"""AWS, one module for each service. Each function's docstring names the permissions it needs.

`endpoints` creates and reads SageMaker endpoints, `account` roles, policies, quotas and prices,
`storage` the bucket and its artefacts. Here are the session, names and tags, errors and ECR.
Every room above may use it. It knows no notebook, no image and no local endpoint.
"""

# mypy: implicit-reexport
from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .blob_mounting import share_layers, stop_sharing_layers, suggests_sharing
    from .ecr import (
        Repository,
        StoredImage,
        delete_images,
        delete_repository,
        ensure_repository,
        find_image,
        find_repository,
        list_images,
        settled_repository,
    )
    from .ecr_login import EcrCredentials, ecr_region, registry_login, repository_arn_of
    from .errors import explain_model, refusals, refused
    from .kept_sessions import kept_session
    from .names import (
        TAG_CREATED_BY,
        TAG_LEASE,
        Names,
        console_url,
        log_group,
        names_in,
        own_tags,
        split_versioned,
    )
    from .secrets import put_secret, secret_findings, secret_keys
    from .session import AwsSession, open_session
else:
    __getattr__, __dir__ = face(__name__)
