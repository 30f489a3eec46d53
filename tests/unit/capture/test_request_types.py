"""The module has the classes that the types in predict's signature are made of."""

from __future__ import annotations

import sys
from textwrap import dedent
from types import ModuleType
from typing import Any

import pytest

from sageturner_magic.server.codec.contract import contract_of

from .helpers import Session

CLASSES = (
    """
    import enum
    from dataclasses import dataclass, field
    from typing import Annotated, TypedDict
    """,
    """
    class Colour(enum.Enum):
        RED = "red"
    """,
    """
    class Size(TypedDict):
        height: float
    LIMIT = 4
    """,
    """
    import annotated_types as at
    @dataclass
    class Item:
        {item}
    """,
)
PREDICT = "def predict(model, request: {request}):\n    return {used}\n"
REQUEST = [{"colour": "red", "size": {"height": 1}, "pixels": [1], "parts": []}]


@pytest.mark.parametrize("future", ["", "from __future__ import annotations"])
@pytest.mark.parametrize("quote", ["", '"'])
@pytest.mark.parametrize("request_", ["list[Item]", "'list[Item]'", 'list["Item"]'])
def test_classes_that_only_annotations_name_are_in_the_module(
    future: str, quote: str, request_: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = {
        "colour": "Colour",
        "size": "Size | None",
        "pixels": "Annotated[list[float], at.MaxLen(LIMIT)]",
    }
    lines = [f"{name}: {quote}{kind}{quote}" for name, kind in kinds.items()]
    lines.append('parts: "list[Item]" = field(default_factory=list)')
    session = Session()
    if future:
        session.run(future)
    for cell in CLASSES:
        session.run(dedent(cell).format(item="\n    ".join(lines)))
    session.load()
    session.predict(PREDICT.format(request=request_, used="len(request)"))
    source = session.notebook.module("").source

    module = ModuleType("sageturner")
    monkeypatch.setitem(sys.modules, "sageturner", module)
    exec(source, vars(module))
    names: dict[str, Any] = vars(module)
    (item,) = contract_of(names["predict"], None).request(REQUEST)
    assert type(item) is names["Item"]
    assert item.colour is names["Colour"].RED and item.pixels == [1.0]
    assert item.size == {"height": 1.0}


def test_an_alias_that_only_an_annotation_names_is_in_the_module(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session = Session()
    session.run("from __future__ import annotations\nfrom typing import Literal, Union")
    session.run("Mode = Literal['fast', 'exact']\nRequest = Union[Mode, int]")
    session.load()
    session.predict(PREDICT.format(request="Request", used="request"))
    module = ModuleType("sageturner")
    exec(session.notebook.module("").source, vars(module))
    contract = contract_of(vars(module)["predict"], None)
    assert contract.unread == "" and contract.form is not None
    assert contract.request("fast") == "fast"
