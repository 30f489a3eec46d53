"""docs/gpu.md is what the code decides."""

from __future__ import annotations

from sageturner_magic.gpu import facts
from tests.unit.gpu import document
from tests.unit.gpu.wheels import versions


def test_the_document_is_in_step_with_the_code():
    assert document.PATH.read_text(encoding="utf-8") == document.document(), (
        "run `python -m tests.unit.gpu.document` and read what changed"
    )


def test_the_document_has_every_family_every_torch_and_every_ami():
    text = document.PATH.read_text(encoding="utf-8")
    sections = text.split("\n### ml.")[1:]
    assert [section.split(" ")[0] for section in sections] == list(facts.FAMILIES)
    for section in sections:
        rows = [line for line in section.splitlines() if line.startswith("| 2.")]
        assert [row.split(" ")[1] for row in rows] == versions("torch")
        assert all(row.count("|") == len(facts.AMIS) + 3 for row in rows)


def test_the_wheels_reach_the_newest_torch_of_the_tables():
    assert {tuple(map(int, version.split(".")[:2])) for version in versions("torch")} == set(
        facts.TORCH
    )
