"""What an account has of its own is used: role, bucket, repository, key, network, policy."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

import sageturner_magic as sageturner
from tests.stand import Stand
from tests.stand.project import SERVER, Project
from tests.stand.sweep import nothing_left

pytestmark = [pytest.mark.docker, pytest.mark.registry]

DAY = 24 * 3600


@pytest.fixture
def project(stand: Stand, tmp_path: Path) -> Iterator[Project]:
    """A project with an artefact, and nothing set up."""
    with nothing_left(stand):
        made = Project(stand, tmp_path, "owned")
        made.write_code()
        (tmp_path / "weights.txt").write_text("42")
        yield made
        stand.faults.clear()
        made.configure()
        made.run("delete", made.name, "--yes", "--if-exists")
        made.run("teardown", "--yes")


@pytest.mark.parametrize("named_by", ["role_name", "role_arn"])
def test_a_bucket_a_role_and_a_repository_of_your_own_are_used_and_left(
    project: Project, named_by: str
) -> None:
    stand = project.stand
    bucket, repository, role = "our-models", "our-images", "our-role"
    s3, ecr, iam = stand.client("s3"), stand.client("ecr"), stand.client("iam")
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": stand.region})
    ecr.create_repository(repositoryName=repository)
    arn = stand.create_role(role, bucket, repository)
    overrides = {"bucket_name": bucket, "repository_name": repository}
    overrides[named_by] = role if named_by == "role_name" else arn
    project.configure(artefact="./weights.txt", overrides=overrides)
    project.deploy("serverless", "--no-smoke-test")
    assert project.invoke({"file": "weights.txt"}) == {"value": "42"}
    sagemaker = stand.client("sagemaker")
    (model,) = [
        each["ModelName"]
        for each in sagemaker.list_models()["Models"]
        if each["ModelName"].startswith("owned-")
    ]
    described = sagemaker.describe_model(ModelName=model)
    assert described["ExecutionRoleArn"] == arn
    assert f"/{repository}@" in described["PrimaryContainer"]["Image"]
    assert described["PrimaryContainer"]["ModelDataUrl"].startswith(f"s3://{bucket}/artefacts/")
    project.run("delete", project.name, "--yes")
    project.run("teardown", "--yes")
    left = stand.inventory()
    assert bucket in left["buckets"] and role in left["roles"]
    assert repository in left["repositories"]
    assert not [each for each in left.get("objects", []) if each.startswith(bucket)]
    for image in ecr.describe_images(repositoryName=repository)["imageDetails"]:
        ecr.batch_delete_image(
            repositoryName=repository, imageIds=[{"imageDigest": image["imageDigest"]}]
        )
    ecr.delete_repository(repositoryName=repository)
    s3.delete_bucket(Bucket=bucket)
    iam.delete_role_policy(RoleName=role, PolicyName="models")
    iam.delete_role(RoleName=role)


def test_a_key_and_a_network_of_your_own_reach_every_resource(project: Project) -> None:
    key = "arn:aws:kms:eu-west-1:123456789012:key/0123abcd-12ab-34cd-56ef-1234567890ab"
    project.configure(artefact="./weights.txt")
    project.run("setup")
    network = {"subnets": ["subnet-0a1b2c3d"], "security_groups": ["sg-0a1b2c3d"]}
    project.configure(artefact="./weights.txt", kms_key=key, network=network)
    refused = project.refused("plan", "-e", "server")
    assert "ec2:CreateNetworkInterface" in refused and "sageturner setup" in refused
    project.run("setup")
    # The deployer needs the key, and the role the network.
    documents = json.loads(project.run("setup", "--show-policy").out)
    keys = project.stand.create_user("with-a-key", documents["deploy"])
    user = Project(project.stand, project.folder, project.name, keys)
    user.deploy("server", "--no-smoke-test")
    assert user.invoke({"file": "weights.txt"}) == {"value": "42"}
    sagemaker = project.stand.client("sagemaker")
    name = sagemaker.describe_endpoint(EndpointName=project.name)["EndpointConfigName"]
    assert sagemaker.describe_endpoint_config(EndpointConfigName=name)["KmsKeyId"] == key
    network = sagemaker.describe_model(ModelName=name)["VpcConfig"]
    assert network == {"Subnets": ["subnet-0a1b2c3d"], "SecurityGroupIds": ["sg-0a1b2c3d"]}
    project.configure()


def test_orphans_older_than_a_day_are_found_and_deleted_and_younger_ones_stay(
    project: Project,
) -> None:
    project.configure(artefact="./weights.txt")
    project.run("setup")
    project.deploy("serverless", "--no-smoke-test")
    sagemaker = project.stand.client("sagemaker")
    # As after a deployment whose clean-up never came.
    sagemaker.delete_endpoint(EndpointName=project.name)
    sagemaker.get_waiter("endpoint_deleted").wait(
        EndpointName=project.name, WaiterConfig={"Delay": 1}
    )
    assert "no orphans" in project.run("delete", "--orphans", "--yes").out
    project.stand.let_pass(2 * DAY)
    shown = project.refused("delete", "--orphans")
    assert f"{project.name}-" in shown and "image" in shown and "artefact" in shown
    project.run("delete", "--orphans", "--yes")
    left = project.stand.inventory()
    assert not [each for each in left.get("models", []) if each.startswith("owned")]
    assert not [each for each in left.get("images", []) if each.startswith("sageturner")]
    assert not [each for each in left.get("objects", []) if "/artefacts/" in each]


def test_teardown_lists_and_removes_the_docker_images_on_this_machine(project: Project) -> None:
    project.configure()
    project.run("setup")
    project.deploy("serverless", "--no-smoke-test")
    sagemaker = project.stand.client("sagemaker")
    # Somebody else ended the endpoint, so `delete` did not remove what was built for it.
    sagemaker.delete_endpoint(EndpointName=project.name)
    sagemaker.get_waiter("endpoint_deleted").wait(
        EndpointName=project.name, WaiterConfig={"Delay": 1}
    )

    def built() -> set[str]:
        images = docker.APIClient(base_url=project.stand.docker_host).images()
        tags = {tag for image in images for tag in image.get("RepoTags") or ()}
        return {tag for tag in tags if tag.rpartition(":")[2].startswith(f"{project.name}-")}

    images = built()
    assert len(images) == 2
    shown = project.refused("teardown")
    assert all(f"Docker image {tag} on this machine" in shown for tag in images)
    project.run("teardown", "--yes")
    assert built() == set()


def test_what_is_in_use_or_anothers_is_no_orphan(project: Project) -> None:
    project.configure(artefact="./weights.txt")
    project.run("setup")
    project.deploy("serverless", "--no-smoke-test")
    project.stand.let_pass(2 * DAY)
    assert "no orphans" in project.run("delete", "--orphans", "--yes").out
    assert project.invoke({"file": "weights.txt"}) == {"value": "42"}
    project.stand.client("sagemaker").delete_endpoint(EndpointName=project.name)
    project.stand.client("sagemaker").get_waiter("endpoint_deleted").wait(
        EndpointName=project.name, WaiterConfig={"Delay": 1}
    )
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    keys = project.stand.create_user(
        "colleague", {"Version": "2012-10-17", "Statement": [everything]}
    )
    colleague = Project(project.stand, project.folder, project.name, keys)
    assert "no orphans" in colleague.run("delete", "--orphans", "--yes").out
    assert f"{project.name}-" in colleague.refused("delete", "--orphans", "--everybody")


def test_the_policy_that_setup_shows_is_enough_for_everything_the_command_does(
    project: Project,
) -> None:
    project.configure(
        artefact="./weights.txt",
        compute={
            "serverless": {"memory": 2048, "max_concurrency": 5},
            "server": {
                **SERVER["server"],
                "autoscaling": {"min": 1, "max": 2, "invocations_per_instance": 50},
            },
        },
    )
    # Code of its own, so that there are layers that the registry does not have.
    project.write_code(factor=13)
    documents = json.loads(project.run("setup", "--show-policy").out)
    assert list(documents) == ["setup", "deploy", "role"]
    policies = [documents["setup"], documents["deploy"]]
    keys = project.stand.create_user("minimal", *policies)
    user = Project(project.stand, project.folder, project.name, keys)
    user.run("setup")
    user.run("plan", "-e", "server")
    user.deploy("server", "--no-smoke-test")
    assert user.invoke({"file": "weights.txt"}) == {"value": "42"}
    user.run("invoke", user.name, '{"fail": "on purpose"}', fails=True)
    for verb, words in (("invoke", ['{"x": 2}']), ("logs", []), ("cost", [])):
        alone = json.loads(project.run("setup", "--show-policy", "--for", verb).out)
        keys = project.stand.create_user(f"only-{verb}", alone)
        alone_user = Project(project.stand, project.folder, project.name, keys)
        done = alone_user.run(verb, project.name, *words)
        assert "note:" not in done.out + done.err
    user.write_code(factor=17)
    user.deploy("server", "--no-smoke-test")
    user.run("list")
    user.run("status", user.name)
    user.run("logs", user.name)
    user.run("rollback", user.name)
    user.run("delete", user.name, "--yes")
    user.run("teardown", "--yes")
    # What this life did not meet; each has a test that needs it in test_aws_room.py, or in
    # test_other_repositories.py.
    unmet = {
        "ecr:PutAccountSetting",
        "s3:AbortMultipartUpload",
        "s3:ListMultipartUploadParts",
        "s3:DeleteObjectVersion",
        "s3:ListBucketMultipartUploads",
        "iam:CreateServiceLinkedRole",
        "iam:DetachRolePolicy",
        "iam:GetPolicy",
        "iam:GetPolicyVersion",
        "iam:UpdateAssumeRolePolicy",
        "iam:TagRole",
        "iam:PutRolePermissionsBoundary",
        "ecr:PutImageScanningConfiguration",
        "ecr:PutImageTagMutability",
        "s3:GetBucketTagging",
        "s3:PutBucketTagging",
        "sagemaker:InvokeEndpointWithResponseStream",
    }
    verbs = "setup,plan,deploy,invoke,logs,list,rollback,delete,teardown"
    whole = json.loads(project.run("setup", "--show-policy", "--for", verbs).out)
    spare = {each.partition(": ")[2] for each in project.stand.spare("minimal", whole)}
    assert spare <= unmet, spare - unmet


def test_the_python_functions_do_what_the_command_does(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.configure(artefact="./weights.txt")
    for name, value in project.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(project.folder)
    sageturner.setup()
    planned = sageturner.plan(endpoint_type="serverless")
    assert any("will be created" in fact.value for fact in planned.facts)
    made = sageturner.deploy(endpoint_type="serverless", smoke_test=False)
    assert made.invoke({"x": 2}) == {"answer": 4}
    assert made.status().version == made.version
    assert sageturner.invoke(project.name, {"file": "weights.txt"}) == {"value": "42"}
    assert [each.name for each in sageturner.list()] == [project.name]
    assert sageturner.status(project.name).status == "InService"
    first = sageturner.status(project.name).version
    project.write_code(factor=5)
    handle = sageturner.start_deployment(endpoint_type="serverless", smoke_test=False)
    assert handle.wait().version != first
    assert sageturner.invoke(project.name, {"x": 2}) == {"answer": 10}
    assert any("the model is loaded" in line for line in sageturner.logs(project.name))
    assert sageturner.rollback(project.name).version == first
    made.delete()
    removed = project.stand.inventory()
    sageturner.delete(project.name, if_exists=True)
    assert project.stand.inventory() == removed
    with pytest.raises(sageturner.SageturnerError, match=project.name):
        sageturner.status(project.name)


NOTEBOOK = """\
from IPython.testing.globalipapp import start_ipython
shell = start_ipython()
def run(cell):
    shell.run_cell(cell, store_history=True).raise_error()
run("%load_ext sageturner_magic")
run("weights = {'factor': 6}")
run("import json")
run('''%%sageturner_load owned
def load(model_dir):
    with open(f"{model_dir}/weights.json") as file:
        return json.load(file)
''')
run('''%%sageturner_predict owned
def predict(model, request):
    return {"answer": request["x"] * model["factor"]}
''')
run('''%%sageturner deploy -e serverless --no-smoke-test
name: owned
artefact: {weights.json: weights}
container: {generate_container: {python_version: "3.11"}}
compute: {serverless: {memory: 2048, max_concurrency: 5}}
''')
"""


def test_a_notebooks_variable_becomes_the_artefact_of_an_endpoint_on_sagemaker(
    project: Project,
) -> None:
    project.configure()
    project.run("setup")
    ended = subprocess.run(
        [sys.executable, "-c", NOTEBOOK],
        cwd=project.folder,
        env={**project.environment, "IPYTHONDIR": str(project.folder / "ipython")},
        capture_output=True,
        text=True,
        timeout=240,
        stdin=subprocess.DEVNULL,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert project.invoke({"x": 7}) == {"answer": 42}
    assert not (project.folder / "weights.json").exists()
