"""The kinds of errors and warnings: code (`ST12`) to title, cause, example and remedy.

A code never changes its meaning and is never used again: ST26 and ST30 are taken.
The site's page of error codes is generated from this table; results in a notebook show the title
beside the code.
"""

from sageturner_magic.error_codes.cloud import KINDS as _CLOUD
from sageturner_magic.error_codes.kind import Kind
from sageturner_magic.error_codes.notebooks import KINDS as _NOTEBOOKS

__all__ = ["KINDS", "Kind"]

KINDS: dict[str, Kind] = {**_NOTEBOOKS, **_CLOUD}
