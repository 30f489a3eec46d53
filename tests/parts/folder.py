"""Where parts keep what is expensive to make, outside the checkout."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """`SAGETURNER_TEST_CACHE`, or a folder of the user's cache; it is made if need be."""
    default = Path("~/.cache/sageturner-tests").expanduser()
    folder = Path(os.environ.get("SAGETURNER_TEST_CACHE") or default)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
