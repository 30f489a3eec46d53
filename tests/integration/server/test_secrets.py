"""A server that reads `secrets:` at its start, from the AWS stand-in with real requests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stand import Stand

from .conftest import Server, Start, wait_for

VALUE = "canary-5f2b9c-value"

PROGRAM = """
    import logging, os, sys
    def load(): return None
    def predict(model, request):
        token = os.environ["HF_TOKEN"]
        if request == "raise":
            print("printed", token)
            logging.warning("logged %s", token)
            raise ValueError(f"refused {token}")
        return {"length": len(token), "part": os.environ.get("PART", "")}
"""


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    with Stand(tmp_path_factory.mktemp("stand"), find_engine=lambda: "") as running:
        secrets = running.client("secretsmanager")
        secrets.create_secret(Name="team/hf", SecretString=VALUE)
        secrets.create_secret(Name="team/all", SecretString=json.dumps({"user": "ann", "n": 3}))
        running.client("ssm").put_parameter(Name="/team/hf", Value=VALUE, Type="SecureString")
        yield running


def environment(stand: Stand, **references: str) -> dict[str, str]:
    told = {"region": stand.region, "references": references}
    return {**stand.environment, "SAGETURNER_SECRETS": json.dumps(told)}


@pytest.mark.parametrize("reference", ["team/hf", "ssm:/team/hf", "arn"])
def test_predict_finds_the_value_in_its_environment(
    start: Start, stand: Stand, reference: str
) -> None:
    if reference == "arn":
        found = stand.client("secretsmanager").describe_secret(SecretId="team/hf")
        reference = found["ARN"]
    server = start(PROGRAM, **environment(stand, HF_TOKEN=reference, PART="team/all#user")).ready()
    assert server.invoke("x").json == {"length": len(VALUE), "part": "ann"}


def test_no_log_line_and_no_response_shows_the_value(start: Start, stand: Stand) -> None:
    server = start(PROGRAM, **environment(stand, HF_TOKEN="team/hf")).ready()
    reply = server.invoke("raise")
    assert reply.error["message"] == "refused [secret HF_TOKEN]"
    wait_for(lambda: "logged [secret HF_TOKEN]" in server.log(), "the logged line")
    wait_for(lambda: "printed [secret HF_TOKEN]" in server.log(), "the printed line")
    assert VALUE not in reply.body.decode() + server.log()
    for page in ("/docs", "/openapi.json", "/metrics"):
        assert VALUE not in server.request("GET", page).body.decode()


def test_a_worker_that_replaces_another_reads_the_value_anew(start: Start, stand: Stand) -> None:
    source = """
        import os
        def load(): return None
        def predict(model, request):
            if request == "crash": os._exit(1)
            return len(os.environ["ROTATED"])
    """
    secrets = stand.client("secretsmanager")
    secrets.create_secret(Name="team/rotated", SecretString="12345")
    server = start(source, **environment(stand, ROTATED="team/rotated")).ready()
    assert server.invoke(1).json == 5
    secrets.put_secret_value(SecretId="team/rotated", SecretString="1234567")
    server.invoke("crash")
    wait_for(lambda: server.invoke(1).json == 7, "the rotated value")


def test_all_workers_have_the_value(start: Start, stand: Stand) -> None:
    serving = {"workers": 2}
    server = start(PROGRAM, serving=serving, **environment(stand, HF_TOKEN="team/hf")).ready()
    assert [server.invoke("x").json["length"] for _ in range(4)] == [len(VALUE)] * 4


def refused(server: Server) -> str:
    assert server.process.wait(30) == 1
    return server.log()


def test_load_fails_and_names_a_secret_that_is_missing(start: Start, stand: Stand) -> None:
    said = refused(start(PROGRAM, **environment(stand, HF_TOKEN="team/none")))
    assert "the secret HF_TOKEN (`team/none`) cannot be read" in said
    assert "`sageturner secret put team/none`" in said
    said = refused(start(PROGRAM, **environment(stand, HF_TOKEN="ssm:/none")))
    assert "there is no such parameter in eu-west-1" in said


def test_load_fails_and_says_how_the_role_may_read_it(
    start: Start, stand: Stand, tmp_path: Path
) -> None:
    nobody = stand.create_user("nobody")
    told = environment(stand, HF_TOKEN="team/hf") | stand.environment_of(nobody)
    said = refused(start(PROGRAM, **told))
    assert "the secret HF_TOKEN (`team/hf`) cannot be read" in said
    assert "not authorized to perform: secretsmanager:GetSecretValue" in said
    assert "`sageturner setup`" in said


def test_a_wrong_key_of_a_json_secret_is_named(start: Start, stand: Stand) -> None:
    said = refused(start(PROGRAM, **environment(stand, HF_TOKEN="team/all#name")))
    assert "it has no key `name`" in said
    said = refused(start(PROGRAM, **environment(stand, HF_TOKEN="team/hf#name")))
    assert "it is not a JSON object" in said
    assert VALUE not in said


def test_a_variable_that_is_set_is_masked_without_aws(start: Start) -> None:
    told = json.dumps({"references": {"HF_TOKEN": ""}})
    server = start(PROGRAM, HF_TOKEN=VALUE, SAGETURNER_SECRETS=told).ready()
    assert server.invoke("raise").error["message"] == "refused [secret HF_TOKEN]"
    assert VALUE not in server.log()
