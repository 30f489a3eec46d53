"""The life of an endpoint on the stand, by the `sageturner` command alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.stand import Stand
from tests.stand.project import Project

pytestmark = [pytest.mark.docker, pytest.mark.registry]


def test_an_endpoint_lives_from_setup_to_teardown(stand: Stand, tmp_path: Path) -> None:
    before = stand.inventory()
    project = Project(stand, tmp_path, "lifelong")
    project.write_code(factor=2)
    project.configure()

    refused = project.refused("plan", "-e", "serverless")
    assert "sageturner setup" in refused and "role" in refused

    assert "created" in project.run("setup").out
    assert "nothing was changed" in project.run("setup").out

    facts = project.json("plan", "-e", "serverless")["facts"]
    assert facts["endpoint"] == "lifelong (serverless, 2048 MB, up to 5 at a time), will be created"
    assert stand.account in facts["account"]
    dockerfile = project.run("plan", "-e", "serverless", "--dockerfile").out
    assert (
        "FROM --platform=linux/amd64 public.ecr.aws/docker/library/python:3.11-slim" in dockerfile
    )

    first = project.run("deploy", "-e", "serverless")
    assert "Try the image: done" in first.err
    assert project.invoke({"x": 21}) == {"answer": 42}
    assert "the model is loaded" in project.run("logs", "lifelong").out
    (status,) = project.json("status", "lifelong")
    assert (status["status"], status["endpoint_type"]) == ("InService", "serverless")
    listed = {each["name"]: each for each in project.json("list")["endpoints"]}["lifelong"]
    assert listed["billed_by_use"] and listed["cost_so_far"] == 0 <= status["cost_so_far"]
    assert all(status[key] == listed[key] for key in ("name", "version", "cost_per_hour"))
    assert "billed by use" in project.run("list").out
    assert status["usage"]["requests"] >= 0

    again = project.run("deploy", "-e", "serverless")
    assert "nothing has changed" in again.out
    assert "Build the image" not in again.err and "Push the image" not in again.err
    assert project.json("status", "lifelong")[0]["version"] == status["version"]

    assert project.run("code", "--diff").out == ""
    project.write_code(factor=3)
    changed_lines = project.run("code", "--diff").out.splitlines()
    assert changed_lines[:2] == ["--- lifelong (deployed)", "+++ lifelong (captured)"]
    assert [line[0] for line in changed_lines[2:] if "factor" in line] == ["-", "+"]
    assert "Update the endpoint" in project.run("deploy", "-e", "serverless").err
    assert project.invoke({"x": 2}) == {"answer": 6}
    changed = project.json("status", "lifelong")[0]["version"]
    assert changed != status["version"]

    back = project.json("rollback", "lifelong")
    assert back["version"] == status["version"]
    assert project.invoke({"x": 2}) == {"answer": 4}

    shown = project.refused("delete", "lifelong")
    assert "endpoint lifelong" in shown and "--yes" in shown
    assert project.invoke({"x": 2}) == {"answer": 4}
    project.run("delete", "lifelong", "--yes")
    assert "There is no endpoint `lifelong`" in project.refused("delete", "lifelong", "--yes")
    project.run("delete", "lifelong", "--yes", "--if-exists")
    assert "lifelong" in project.refused("invoke", "lifelong", "{}")

    project.run("teardown", "--yes")
    project.run("teardown", "--yes")
    assert stand.inventory() == before
