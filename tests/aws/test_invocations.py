"""Asking an endpoint on SageMaker: streamed, under load, and seen from CloudWatch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sageturner_magic.endpoints.payload import JSON
from sageturner_magic.endpoints.prediction import SentRequest
from sageturner_magic.endpoints.snippets import client_snippets
from tests.stand import Stand
from tests.stand.project import Project

pytestmark = [pytest.mark.docker, pytest.mark.registry]

CODE = """\
import time

def load():
    return None

def predict(model, request):
    if "fail" in request:
        raise ValueError(request["fail"])
    if "words" in request:
        return (word + " " for word in request["words"])
    time.sleep(request.get("sleep", 0))
    return {"answer": 42}
"""


def test_streaming_load_and_status_on_sagemaker(stand: Stand, tmp_path: Path) -> None:
    project = Project(stand, tmp_path, "asked")
    project.write_code(code=CODE)
    project.configure()
    project.run("setup")
    project.deploy()
    try:
        streamed = project.run("invoke", "--stream", "asked", '{"words": ["once", "upon"]}')
        assert streamed.out == "once upon \n"
        assert "HTTP 200" in streamed.err

        measured = project.json(
            "load-test", "--requests", "12", "--concurrency", "2", "asked", "{}"
        )
        assert (measured["failed"], measured["throttled"]) == (0, 0)
        assert 0 < measured["cost_usd"] < 0.01
        # Five at a time is what the endpoint was made for: more are refused, and counted.
        crowded = project.run(
            *("load-test", "--requests", "24", "--concurrency", "12", "--json", "asked"),
            '{"sleep": 0.5}',
            fails=True,
        )
        data = json.loads(crowded.out)
        assert 0 < data["throttled"] == data["errors"]["ThrottlingException (429)"] < 24
        broken = project.run(
            *("load-test", "--requests", "2", "--json", "asked", '{"fail": "no"}'), fails=True
        )
        data = json.loads(broken.out)
        assert data["errors"] == {"HTTP 500 of the model": 2}
        # One object has the measurement and the reason for the exit code.
        assert (data["code"], data["headline"]) == ("ST96", "2 of 2 requests failed")
        failed = project.failure("invoke", "asked", '{"fail": "no"}')
        assert (failed["code"], failed["exit_code"]) == ("ST91", 2)
        missing = project.failure("status", "no-such-endpoint")
        assert missing["code"] == "ST81" and "sageturner list" in missing["remedy"]

        policy = json.loads(project.run("setup", "--show-policy", "--for", "status").out)
        onlooker = Project(stand, tmp_path, "asked", stand.create_user("onlooker", policy))
        (status,) = onlooker.json("status", "asked")
        assert status["usage"]["requests"] >= 1 + 12 + 5 + 2
        assert status["usage"]["server_errors"] == 3
        assert status["usage"]["mean_ms"] > 0 and status["cost_so_far"] > 0
        for statement in policy["Statement"]:
            statement["Action"] = [a for a in statement["Action"] if "GetMetricData" not in a]
        shown = Project(stand, tmp_path, "asked", stand.create_user("unasked", policy))
        assert "cloudwatch:GetMetricData" in shown.run("status", "asked").out

        sent = SentRequest(b'{"sleep": 0}', JSON, region=stand.region)
        for snippet in client_snippets("asked", sent):
            if snippet.label != "AWS CLI":
                said = subprocess.run(
                    [sys.executable, "-c", snippet.code],
                    env=project.environment,
                    capture_output=True,
                    text=True,
                    check=True,
                )
                assert "42" in said.stdout
    finally:
        project.run("delete", "asked", "--yes")
        project.run("teardown", "--yes")
