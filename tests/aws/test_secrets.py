"""Endpoints whose server reads `secrets:` with its role; no value is written anywhere."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.stand import Stand
from tests.stand.project import Project
from tests.stand.sweep import nothing_left

pytestmark = [pytest.mark.docker, pytest.mark.registry]

CANARY = "canary-8d41e6b0-value"
PARAMETER = "canary-parameter-77a1"

CODE = """\
import logging, os

def load(model_dir):
    logging.warning("loads with %s", os.environ["HF_TOKEN"])
    return os.environ["HF_TOKEN"]

def predict(model, request):
    if "fail" in request:
        raise ValueError(f"refused {model}")
    return {"lengths": [len(model), len(os.environ["API_KEY"])]}
"""

SECRETS = {"HF_TOKEN": "team/all#hf", "API_KEY": "ssm:/team/key"}


@pytest.fixture
def project(stand: Stand, tmp_path: Path) -> Iterator[Project]:
    with nothing_left(stand):
        made = Project(stand, tmp_path, "keeps")
        made.write_code(code=CODE)
        made.configure(secrets=SECRETS)
        yield made
        made.call("delete", made.name, "--yes", "-e", "serverless")
        made.call("teardown", "--yes")


@pytest.fixture
def stored(stand: Stand) -> Iterator[None]:
    client, parameters = stand.client("secretsmanager"), stand.client("ssm")
    client.create_secret(Name="team/all", SecretString=json.dumps({"hf": CANARY}))
    parameters.put_parameter(Name="/team/key", Value=PARAMETER, Type="SecureString")
    yield
    client.delete_secret(SecretId="team/all", ForceDeleteWithoutRecovery=True)
    parameters.delete_parameter(Name="/team/key")


def everything(project: Project) -> Iterator[tuple[str, bytes]]:
    """Every byte that a deployment has left: files, layers, objects, descriptions and logs."""
    stand = project.stand
    for folder in (project.folder, stand.folder):
        for path in folder.rglob("*"):
            if path.is_file():
                content = path.read_bytes()
                yield str(path), content
                if content[:2] == b"\x1f\x8b":
                    yield f"{path}, unpacked", gzip.decompress(content)
    s3 = stand.client("s3")
    for bucket in s3.list_buckets()["Buckets"]:
        for each in s3.list_objects_v2(Bucket=bucket["Name"]).get("Contents", ()):
            body = s3.get_object(Bucket=bucket["Name"], Key=each["Key"])["Body"].read()
            yield each["Key"], body
    sagemaker = stand.client("sagemaker")
    for model in sagemaker.list_models()["Models"]:
        told = sagemaker.describe_model(ModelName=model["ModelName"])
        yield model["ModelName"], json.dumps(told, default=str).encode()
    for each in sagemaker.list_endpoints()["Endpoints"]:
        told = sagemaker.describe_endpoint(EndpointName=each["EndpointName"])
        yield each["EndpointName"], json.dumps(told, default=str).encode()
    logs = stand.client("logs")
    for group in logs.describe_log_groups()["logGroups"]:
        name = group["logGroupName"]
        for stream in logs.describe_log_streams(logGroupName=name)["logStreams"]:
            events: list[Any] = logs.get_log_events(
                logGroupName=name, logStreamName=stream["logStreamName"], startFromHead=True
            )["events"]
            yield name, "\n".join(event["message"] for event in events).encode()


def test_an_endpoint_reads_its_secrets_and_nothing_else_holds_them(
    project: Project, stored: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # With values on this machine, so that the code and the image are tried first.
    project.variables |= {"HF_TOKEN": CANARY, "API_KEY": PARAMETER}
    told = [project.run("setup"), project.run("plan", "-e", "serverless")]
    told.append(project.run("deploy", "-e", "serverless"))
    del project.variables["HF_TOKEN"], project.variables["API_KEY"]
    lengths = [len(CANARY), len(PARAMETER)]
    assert project.invoke({"x": 1}) == {"lengths": lengths}
    told.append(project.run("invoke", project.name, '{"fail": 1}', fails=True))
    assert "refused [secret HF_TOKEN]" in told[-1].err
    told += [project.run("logs", project.name), project.run("status", project.name)]
    told.append(project.run("export", project.name, "exported"))
    seen = dict(everything(project))
    assert any("layers" in name or "blobs" in name for name in seen)
    assert any(b"loads with [secret HF_TOKEN]" in content for content in seen.values())
    said = "\n".join(each.out + each.err for each in told)
    for value in (CANARY, PARAMETER):
        assert value not in said
        assert not [name for name, content in seen.items() if value.encode() in content]
    (model,) = project.stand.client("sagemaker").list_models()["Models"]
    described = project.stand.client("sagemaker").describe_model(ModelName=model["ModelName"])
    variables = described["PrimaryContainer"]["Environment"]
    assert json.loads(variables["SAGETURNER_SECRETS"])["references"] == SECRETS


def test_the_role_is_given_exactly_these_secrets(project: Project, stored: None) -> None:
    project.configure()
    project.run("setup")
    refused = project.run("plan", "-e", "serverless")
    assert "GetSecretValue" not in refused.out + refused.err
    project.configure(secrets=SECRETS)
    said = project.refused("plan", "-e", "serverless")
    assert "does not allow secretsmanager:GetSecretValue, ssm:GetParameter" in said
    assert "sageturner setup" in said
    project.run("setup")
    project.run("plan", "-e", "serverless")
    iam = project.stand.client("iam")
    (role,) = (each for each in iam.list_roles()["Roles"] if "sageturner" in each["RoleName"])
    policy = iam.get_role_policy(RoleName=role["RoleName"], PolicyName="sageturner-eu-west-1")
    read = {
        each["Resource"]: each["Action"]
        for each in policy["PolicyDocument"]["Statement"]
        if each["Sid"].startswith("ReadSecret")
    }
    assert read == {
        "arn:aws:secretsmanager:eu-west-1:123456789012:secret:team/all-??????": [
            "secretsmanager:GetSecretValue"
        ],
        "arn:aws:ssm:eu-west-1:123456789012:parameter/team/key": ["ssm:GetParameter"],
    }


def test_plan_says_that_a_secret_does_not_exist(project: Project) -> None:
    project.run("setup")
    said = project.refused("plan", "-e", "serverless")
    assert "There is no secret `team/all` in eu-west-1" in said
    assert "sageturner secret put team/all#hf --region eu-west-1" in said
    assert "There is no parameter `/team/key` in eu-west-1" in said


def test_an_endpoint_whose_role_may_not_read_says_which_secret_and_what_to_do(
    project: Project, stored: None
) -> None:
    project.run("setup")
    bucket = f"sageturner-sagemaker-models-{project.stand.account}-{project.stand.region}"
    # A role of somebody else's: what its policies do not allow is only a warning of the plan.
    role = project.stand.create_role("theirs-sagemaker", bucket, "sageturner-sagemaker")
    project.configure(secrets=SECRETS, overrides={"role_arn": role})
    planned = project.run("plan", "-e", "serverless")
    assert "does not allow secretsmanager:GetSecretValue" in planned.out + planned.err
    said = project.refused("deploy", "-e", "serverless", "--no-smoke-test")
    assert "the secret API_KEY (`ssm:/team/key`) cannot be read" in said
    assert "not authorized to perform: ssm:GetParameter" in said
    assert "sageturner setup" in said
    project.configure(secrets=SECRETS)
    iam = project.stand.client("iam")
    iam.delete_role_policy(RoleName="theirs-sagemaker", PolicyName="models")
    iam.delete_role(RoleName="theirs-sagemaker")


def test_secret_put_stores_what_is_typed(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("HF_TOKEN", CANARY), ("API_KEY", PARAMETER)):
        monkeypatch.setattr("getpass.getpass", lambda prompt, value=value: value)
        monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
        ended = project.run("secret", "put", name)
        assert value not in ended.out + ended.err
    secrets, parameters = project.stand.client("secretsmanager"), project.stand.client("ssm")
    found = secrets.get_secret_value(SecretId="team/all")["SecretString"]
    assert json.loads(found) == {"hf": CANARY}
    stored = parameters.get_parameter(Name="/team/key", WithDecryption=True)["Parameter"]
    assert (stored["Value"], stored["Type"]) == (PARAMETER, "SecureString")
    secrets.delete_secret(SecretId="team/all", ForceDeleteWithoutRecovery=True)
    parameters.delete_parameter(Name="/team/key")


OWN_KEY = "arn:aws:kms:eu-west-1:123456789012:key/77aa88bb-12ab-34cd-56ef-1234567890ab"


def test_secrets_with_a_key_of_your_own_are_read(
    project: Project, stored: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.run("setup")
    iam = project.stand.client("iam")
    before = iam.get_role_policy(
        RoleName="sageturner-role-sagemaker", PolicyName="sageturner-eu-west-1"
    )
    assert "kms:" not in json.dumps(before["PolicyDocument"])
    # Somebody gives the secrets keys of the account's own afterwards.
    secrets, parameters = project.stand.client("secretsmanager"), project.stand.client("ssm")
    secrets.update_secret(SecretId="team/all", KmsKeyId=OWN_KEY)
    parameters.put_parameter(
        Name="/team/key", Value=PARAMETER, Type="SecureString", KeyId="alias/team", Overwrite=True
    )
    said = project.refused("plan", "-e", "serverless")
    assert f"does not allow kms:Decrypt on {OWN_KEY}" in said and "sageturner setup" in said
    documents = json.loads(project.run("setup", "--show-policy").out)
    assert OWN_KEY in json.dumps(documents["role"]) and OWN_KEY in json.dumps(documents["deploy"])
    project.run("setup")
    project.run("deploy", "-e", "serverless", "--no-smoke-test")
    assert project.invoke({"x": 1}) == {"lengths": [len(CANARY), len(PARAMETER)]}
    # Whoever may store secrets may use their keys.
    monkeypatch.setattr("getpass.getpass", lambda prompt: CANARY)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    shown = json.loads(project.run("setup", "--show-policy", "--for", "secret").out)
    keys = project.stand.create_user("writes-secrets", shown)
    writer = Project(project.stand, project.folder, project.name, keys)
    writer.run("secret", "put", "HF_TOKEN")
    writer.run("secret", "put", "API_KEY")
