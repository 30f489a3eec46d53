"""The S3 bucket and the artefacts in it: create, check, upload and delete them.

The plans of a deployment and the removal of endpoints use it.
"""

# mypy: implicit-reexport
from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .bucket import bucket_findings, bucket_key, bucket_region, delete_bucket, ensure_bucket
    from .s3 import (
        ARTEFACTS,
        StoredArtefact,
        archive_bytes,
        delete_artefact,
        list_artefacts,
        uri_findings,
    )
    from .upload import upload_archive, upload_prefix
else:
    __getattr__, __dir__ = face(__name__)
