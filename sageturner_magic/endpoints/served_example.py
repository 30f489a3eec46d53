"""Read the example request that a model server gives out."""

from __future__ import annotations

import json
import re
from typing import Any

PATH = "/docs"
"""The page of the server that has it, if the code defines example_request()."""

_FACTS = re.compile(rb'<script type="application/json" id="facts">(.*?)</script>', re.DOTALL)
"""What the page is made of (see `server/front/docs.py`)."""


def read_example(page: bytes) -> Any:
    """The example on the server's page, or None where it has none.

    Raises:
        ValueError, LookupError, TypeError: This is not the page of a model server.
    """
    facts = _FACTS.search(page)
    example = json.loads(facts[1])["example"] if facts else None
    return None if example is None else json.loads(example)
