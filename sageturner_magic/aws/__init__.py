"""AWS, one module for each service. Each function's docstring names the permissions it needs.

`endpoints` creates and reads SageMaker endpoints, `account` roles, policies, quotas and prices,
`storage` the bucket and its artefacts. Here are the session, names and tags, errors and ECR.
Every room above may use it. It knows no notebook, no image and no local endpoint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .ecr import EcrCredentials as EcrCredentials
    from .ecr import RegistryLogin as RegistryLogin
    from .ecr import Repository as Repository
    from .ecr import StoredImage as StoredImage
    from .ecr import delete_images as delete_images
    from .ecr import delete_repository as delete_repository
    from .ecr import ensure_repository as ensure_repository
    from .ecr import find_image as find_image
    from .ecr import find_repository as find_repository
    from .ecr import list_images as list_images
    from .names import TAG_CREATED_BY as TAG_CREATED_BY
    from .names import Names as Names
    from .names import log_group as log_group
    from .names import names_in as names_in
    from .names import own_tags as own_tags
    from .session import AwsSession as AwsSession
    from .session import open_session as open_session
else:
    __getattr__, __dir__ = face(__name__)
