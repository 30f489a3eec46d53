"""Objects of the notebook that are larger than `artefact_limit` are shipped when they are named."""

import pytest

import sageturner_magic as sageturner
from sageturner_magic.errors import SageturnerError

from .test_reference import captured, session

__all__ = ["session"]

LIMITED = {"name": "sum", "artefact_limit": 1, "compute": {"local": {}}}


def test_what_nobody_named_is_asked_for_above_the_limit(session):
    cells = ["def build():\n    return list(map(str, range(300_000)))\nTABLE = build()"]
    captured(session, "    return len(TABLE)", cells=cells)
    with pytest.raises(SageturnerError, match=r"`TABLE` \(.* MB\).*artefact_limit") as raised:
        sageturner.plan(LIMITED)
    said = str(raised.value)
    assert "1 MB are not shipped unasked" in said and "`artefact: {TABLE.pickle: TABLE}`" in said
    named = sageturner.plan({**LIMITED, "artefact": {"TABLE.pickle": "TABLE"}})
    assert not [each for each in named.findings if each.severity == "error"]
    limit = int(said.rpartition("`artefact_limit: ")[2].partition("`")[0])
    assert sageturner.plan({**LIMITED, "artefact_limit": limit}).name == "sum"
    with pytest.raises(SageturnerError):
        sageturner.plan({**LIMITED, "artefact_limit": limit - 1})
