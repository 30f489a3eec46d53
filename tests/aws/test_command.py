"""`python -m tests.stand`, as a person uses it."""

from __future__ import annotations

import os
import subprocess
import sys

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

pytestmark = [pytest.mark.docker, pytest.mark.registry]


def test_it_prints_what_to_export_takes_faults_and_ends_cleanly() -> None:
    command = [sys.executable, "-m", "tests.stand"]
    with subprocess.Popen(
        [*command, "no_capacity=ml.g5.xlarge"], stdout=subprocess.PIPE, text=True
    ) as running:
        try:
            assert running.stdout is not None
            exported: dict[str, str] = {}
            while (line := running.stdout.readline()).startswith("export "):
                name, _, value = line.removeprefix("export ").strip().partition("=")
                exported[name] = value
            assert {"AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "DOCKER_HOST"} <= set(exported)
            done = subprocess.run(
                [*command, "faults", "throttle_percent=100", "services=iam"],
                env={**os.environ, **exported},
                capture_output=True,
                text=True,
                timeout=60,
            )
            assert "throttle_percent=100" in done.stdout, done.stderr
            assert "no_capacity=ml.g5.xlarge" in done.stdout
            session = boto3.Session(
                aws_access_key_id=exported["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=exported["AWS_SECRET_ACCESS_KEY"],
                region_name=exported["AWS_DEFAULT_REGION"],
            )
            url, once = exported["AWS_ENDPOINT_URL"], Config(retries={"total_max_attempts": 1})
            assert session.client("s3", endpoint_url=url, config=once).list_buckets()
            with pytest.raises(ClientError, match="Throttling"):
                session.client("iam", endpoint_url=url, config=once).list_roles()
        finally:
            running.terminate()
            assert running.wait(timeout=60) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["nonsense"], "has no value"), (["faults", "x=1"], "AWS_ENDPOINT_URL is not set")],
)
def test_a_wrong_call_says_what_is_wrong(
    arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    command = [sys.executable, "-m", "tests.stand", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert message in done.stderr
