"""The S3 bucket and the artefacts in it: create, check, upload and delete them.

The plans of a deployment and the removal of endpoints use it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .bucket import bucket_findings as bucket_findings
    from .bucket import bucket_region as bucket_region
    from .bucket import delete_bucket as delete_bucket
    from .bucket import ensure_bucket as ensure_bucket
    from .s3 import ARTEFACTS as ARTEFACTS
    from .s3 import StoredArtefact as StoredArtefact
    from .s3 import delete_artefact as delete_artefact
    from .s3 import list_artefacts as list_artefacts
    from .s3 import uri_findings as uri_findings
    from .upload import upload_archive as upload_archive
    from .upload import upload_prefix as upload_prefix
else:
    __getattr__, __dir__ = face(__name__)
