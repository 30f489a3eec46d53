"""An assistant that follows only the skill file reaches an endpoint and removes it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.parts.json_output import result_of
from tests.parts.pages import DOCS
from tests.stand import Stand
from tests.stand.project import Project

pytestmark = [pytest.mark.docker, pytest.mark.registry]

SKILL = (DOCS / "skill.md").read_text(encoding="utf-8")


def lines_of(language: str) -> list[list[str]]:
    """The words of each command in the page's blocks of `language`."""
    blocks = re.findall(rf"(?ms)^```{language}\n(.*?)^```", SKILL)
    lines = (line.removeprefix("$ ") for block in blocks for line in block.splitlines())
    return [shlex.split(line)[1:] for line in lines]


def test_the_skill_file_leads_to_an_endpoint_here_and_on_sagemaker(
    stand: Stand, tmp_path: Path
) -> None:
    project = Project(stand, tmp_path, "doubler")
    for name, text in re.findall(r'(?ms)^```\w+ title="(.*?)"\n(.*?)^```', SKILL):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)

    def follow(lines: list[list[str]]) -> dict[str, Any]:
        said = {}
        for words in lines:
            ended = project.run(*words)
            if "--json" in words:
                said[words[0]] = result_of(words[0], ended.out)
        return said

    here, there = lines_of("sh"), lines_of("console")
    assert {words[0] for words in here} >= {"try", "plan", "deploy", "invoke", "delete"}
    assert follow(here)["invoke"]["value"] == {"doubled": 8}
    try:
        # What the person is asked about comes before what costs.
        verbs = [words[0] for words in there]
        assert verbs.index("plan") < verbs.index("deploy") and verbs[-1] == "delete"
        said = follow(there[:-1])
        assert "$" in said["plan"]["facts"]["cost"]
        assert said["invoke"]["value"] == {"doubled": 8}
        (status,) = said["status"]
        assert status["status"] == "InService"
    finally:
        deleted = project.json(*there[-1])["deleted"]
    assert any("doubler" in each for each in deleted)
    assert project.json("list")["endpoints"] == []
