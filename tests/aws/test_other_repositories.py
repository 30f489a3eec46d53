"""Other ECR repositories of an account: base images in them, and layers shared with them."""

from __future__ import annotations

import base64
import functools
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sageturner_magic.aws import ecr_login
from sageturner_magic.aws.names import TAG_MOUNTING
from sageturner_magic.image import Destination
from sageturner_magic.image.registry import RegistryClient
from sageturner_magic.values import Credentials
from tests.parts import base_image
from tests.parts.registry import Registry, registry
from tests.stand import Keys, Stand
from tests.stand.project import Project
from tests.stand.sweep import nothing_left

pytestmark = pytest.mark.registry

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture
def project(stand: Stand, tmp_path: Path) -> Iterator[Project]:
    with nothing_left(stand):
        made = Project(stand, tmp_path, "shares")
        made.configure()
        yield made
        stand.faults.clear()
        made.configure()
        made.run("teardown", "--yes")


def setting(stand: Stand) -> str:
    return str(stand.client("ecr").get_account_setting(name="BLOB_MOUNTING")["value"])


def test_setup_offers_it_and_does_it_only_when_told(project: Project) -> None:
    stand = project.stand
    offered = project.run("setup").out
    assert "setup --share-layers" in offered and "free" in offered
    assert setting(stand) == "DISABLED"
    told = project.run("setup", "--share-layers").out
    assert "share layers" in told and "--share-layers" not in told
    assert setting(stand) == "ENABLED"
    again = project.run("setup").out
    assert "nothing was changed" in again and "--share-layers" not in again
    # What setup switched on, teardown switches off, and says before.
    assert "BLOB_MOUNTING" in project.refused("teardown")
    project.run("teardown", "--yes")
    assert setting(stand) == "DISABLED"


@pytest.mark.parametrize(("typed", "then"), [("y", "ENABLED"), ("", "DISABLED")])
def test_setup_asks_in_a_terminal(
    project: Project, monkeypatch: pytest.MonkeyPatch, typed: str, then: str
) -> None:
    asked = []
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda text: asked.append(text) or typed)
    said = project.run("setup").out
    assert len(asked) == 1 and "free" in asked[0] and "BLOB_MOUNTING" in asked[0]
    assert "--share-layers" not in said
    assert setting(project.stand) == then


def test_what_somebody_else_switched_on_stays(project: Project) -> None:
    stand = project.stand
    client = stand.client("ecr")
    client.put_account_setting(name="BLOB_MOUNTING", value="ENABLED")
    try:
        assert "--share-layers" not in project.run("setup").out
        assert "BLOB_MOUNTING" not in project.run("setup", "--share-layers").out
        project.run("teardown", "--yes")
        assert setting(stand) == "ENABLED"
    finally:
        client.put_account_setting(name="BLOB_MOUNTING", value="DISABLED")


def test_a_repository_of_your_own_is_not_tagged(project: Project) -> None:
    stand = project.stand
    client = stand.client("ecr")
    arn = client.create_repository(repositoryName="our-images")["repository"]["repositoryArn"]
    project.configure(overrides={"repository_name": "our-images"})
    try:
        assert "teardown leaves it" in project.run("setup", "--share-layers").out
        assert client.list_tags_for_resource(resourceArn=arn)["tags"] == []
        project.run("teardown", "--yes")
        assert setting(stand) == "ENABLED"
    finally:
        client.put_account_setting(name="BLOB_MOUNTING", value="DISABLED")
        client.delete_repository(repositoryName="our-images")


def test_a_setup_that_was_stopped_half_way_is_finished_and_undone(project: Project) -> None:
    stand = project.stand
    project.run("setup")
    arn = stand.client("ecr").describe_repositories()["repositories"][0]["repositoryArn"]
    tags = [{"Key": TAG_MOUNTING, "Value": stand.region}]
    stand.client("ecr").tag_resource(resourceArn=arn, tags=tags)
    project.run("setup", "--share-layers")
    assert setting(stand) == "ENABLED"
    project.run("teardown", "--yes")
    assert setting(stand) == "DISABLED"


def test_the_printed_policy_allows_it_and_nobody_else_is_offered_it(project: Project) -> None:
    stand = project.stand
    documents = json.loads(project.run("setup", "--show-policy").out)
    assert "PutAccountSetting" not in str(documents["deploy"])
    setting_up = [each for name, each in documents.items() if name.startswith("setup")]
    keys = stand.create_user("sets-up", *setting_up)
    administrator = replace(project, keys=keys)
    assert "share layers" in administrator.run("setup", "--share-layers").out
    administrator.run("teardown", "--yes")
    assert setting(stand) == "DISABLED"
    actions = {"Effect": "Allow", "NotAction": "ecr:*AccountSetting", "Resource": "*"}
    limited = stand.create_user("may-not", {"Version": "2012-10-17", "Statement": [actions]})
    user = replace(project, keys=limited)
    assert "--share-layers" not in user.run("setup").out
    assert "ecr:GetAccountSetting" in user.run("setup", "--share-layers").out
    assert setting(stand) == "DISABLED"


def docker_login(stand: Stand, folder: Path, keys: Keys | None = None) -> Path:
    """A folder with what `aws ecr get-login-password | docker login` stores."""
    token = stand.client("ecr", keys).get_authorization_token()["authorizationData"][0]
    auths = {stand.registry_host: {"auth": token["authorizationToken"]}}
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"auths": auths}))
    return folder


@pytest.fixture
def base_in_ecr(stand: Stand, tmp_path: Path) -> Iterator[str]:
    """A base image in another repository of the account; its reference."""
    client = stand.client("ecr")
    client.create_repository(repositoryName="team-bases")
    try:
        with registry(tmp_path / "elsewhere") as served:
            there = base_image.push(PYTHON, served)
            name, _, tag = there.partition("/")[2].partition(":")
            copy_image(served, name, tag, stand, "team-bases")
        yield f"{stand.registry_host}/team-bases:{tag}"
    finally:
        client.delete_repository(repositoryName="team-bases", force=True)


def copy_image(served: Registry, name: str, tag: str, stand: Stand, target: str) -> None:
    """Copy an image to a repository of the stand's ECR, as a person does who owns it."""
    token = stand.client("ecr").get_authorization_token()["authorizationData"][0]
    password = base64.b64decode(token["authorizationToken"]).decode().partition(":")[2]
    source = RegistryClient(
        Destination(f"{served.host}/{name}", lambda: Credentials(served.user, served.password))
    )
    there = RegistryClient(
        Destination(f"{stand.registry_host}/{target}", lambda: Credentials("AWS", password))
    )
    manifest = source.manifest(tag)
    assert manifest is not None
    for part in (manifest.content["config"], *manifest.content["layers"]):
        read = functools.partial(source.read, part["digest"])
        there.upload(part["digest"], part["size"], read, Silent(), "part")
    there.put_manifest(tag, json.dumps(manifest.content).encode(), manifest.media_type)


class Silent:
    """A reporter that nobody reads."""

    def log(self, line: str) -> None: ...
    def progress(self, done: float, total: float | None, unit: str, part: str = "") -> None: ...
    def checkpoint(self) -> None: ...


@pytest.mark.docker
def test_layers_of_other_repositories_are_mounted_once_they_are_shared(
    project: Project, base_in_ecr: str, tmp_path: Path
) -> None:
    stand = project.stand
    nowhere = f"unix://{tmp_path}/no-engine.sock"
    project.variables |= {
        "DOCKER_HOST": nowhere,
        "DOCKER_CONFIG": str(docker_login(stand, tmp_path / "docker-config")),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    made = {"code_dir": "./code", "python_version": PYTHON, "base_image": base_in_ecr}
    project.write_code()

    def deployed(repository: str) -> str:
        """What is said of the layers, with the images in a repository of this name."""
        overrides = {"repository_name": repository}
        project.configure(container={"generate_container": made}, overrides=overrides)
        project.run("setup")
        said = project.run("deploy", "-e", "serverless", "--no-smoke-test").err
        assert project.invoke({"x": 21}) == {"answer": 42}
        return said

    said = deployed("first-sagemaker")
    assert "copied" in said and "pushed" in said and "mounted" not in said
    project.run("setup", "--share-layers")
    said = deployed("second-sagemaker")
    # The base's layers from where it is, all others from where this machine pushed them last.
    assert "mounted from team-bases" in said and "mounted from first-sagemaker" in said
    assert "copied" not in said and ": pushed" not in said
    project.run("delete", project.name, "--yes")
    for repository in ("second-sagemaker", "first-sagemaker"):
        project.configure(overrides={"repository_name": repository})
        project.run("teardown", "--yes")


@pytest.mark.docker
def test_a_base_image_in_ecr_is_pulled_by_whoever_has_the_printed_policy(
    project: Project, base_in_ecr: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand = project.stand
    ours = (stand.account, stand.region)
    monkeypatch.setattr(
        ecr_login, "_place", lambda host: ours if host == stand.registry_host else ("", "")
    )
    project.variables |= {
        "DOCKER_HOST": f"unix://{tmp_path}/no-engine.sock",
        "DOCKER_CONFIG": str(tmp_path),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    project.write_code()
    made = {"code_dir": "./code", "python_version": PYTHON, "builder": "layers"}

    def policies(*words: str) -> list[dict[str, Any]]:
        shown = json.loads(project.run("setup", "--show-policy", *words).out)
        return [shown] if "Statement" in shown else [shown["deploy"]]

    project.configure(container={"generate_container": made})
    without = policies()
    project.configure(container={"generate_container": {**made, "base_image": base_in_ecr}})
    project.run("setup")
    other = f"arn:aws:ecr:{stand.region}:{stand.account}:repository/team-bases"
    assert other not in str(without) and other in str(policies())
    assert other in str(policies("--for", "deploy"))
    stranger = replace(project, keys=stand.create_user("no-base", *without))
    assert "ecr:BatchGetImage" in stranger.refused("deploy", "-e", "serverless")
    planner = replace(project, keys=stand.create_user("plans", *policies("--for", "plan")))
    assert "base image" in planner.run("plan", "-e", "serverless").out
    user = replace(project, keys=stand.create_user("deploys", *policies()))
    user.run("deploy", "-e", "serverless", "--no-smoke-test")
    assert user.invoke({"x": 21}) == {"answer": 42}
    user.run("delete", user.name, "--yes")
