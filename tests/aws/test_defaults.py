"""Deployments whose configuration names no compute: defaults, and flags."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.stand import Stand
from tests.stand.project import Project

pytestmark = [pytest.mark.docker, pytest.mark.registry]


def test_an_endpoint_needs_no_compute_section(stand: Stand, tmp_path: Path) -> None:
    before = stand.inventory()
    project = Project(stand, tmp_path, "plain")
    project.write_code(factor=2)
    project.configure(compute={})
    project.run("setup")
    prepared = stand.inventory()

    planned = project.json("plan", "-e", "server")
    assert planned["facts"]["endpoint"].startswith("plain (1 of ml.t2.medium)")
    (note,) = [each["message"] for each in planned["findings"] if "is chosen" in each["message"]]
    assert "ml.t2.medium is chosen, $0.063 per hour" in note and "--instance-type" in note
    assert stand.inventory() == prepared

    shown = project.run("deploy", "plain", "-e", "server").err
    assert shown.index("ml.t2.medium is chosen") < shown.index("Push the image")
    assert project.invoke({"x": 21}) == {"answer": 42}

    changed = ("--instance-type", "ml.m5.large", "--env", "LEVEL=high", "--env", "MODE=b")
    assert "is chosen" not in project.run("deploy", "-e", "server", *changed).err
    assert project.invoke({"environment": "LEVEL"}) == {"value": "high"}
    assert "ml.m5.large" in project.run("status", "plain").out

    # Instances never become serverless.
    project.run("delete", "plain", "--yes")
    facts = project.json("plan", "plain", "-e", "serverless")["facts"]
    assert "serverless, 2048 MB, up to 5 at a time" in facts["endpoint"]
    facts = project.json("plan", "plain", "-e", "serverless", "--memory", "4096")["facts"]
    assert "serverless, 4096 MB, up to 5 at a time" in facts["endpoint"]
    refused = project.refused("plan", "-e", "serverless", "--memory", "5000")
    assert "--memory" in refused and "5120" in refused

    project.run("teardown", "--yes")
    assert stand.inventory() == before
