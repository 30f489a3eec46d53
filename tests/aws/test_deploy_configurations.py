"""The original's configurations, with every key of its examples, and the artefact's other forms."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.index import guarded_index
from tests.parts.wheels import make_wheel
from tests.stand import Stand
from tests.stand.project import Project
from tests.stand.sweep import nothing_left

pytestmark = [pytest.mark.docker, pytest.mark.registry]

EXAMPLE = """\
name: {name}
artefact: ./artefact/pytorch_model.bin.tar.gz
container:
  generate_container:
    code_dir: ./generate-container
    system_packages:
    python_packages:
      - --extra-index-url https://download.pytorch.org/whl/cpu
    install_cuda: {cuda}
    python_version: 3.11
  provide_container:
    docker_dir: ./provided-container
compute:
  serverless:
    memory: 3072
    provisioned_concurrency: 1
    max_concurrency: 2
  server:
    instance_type: ml.m5.xlarge
    initial_instance_count: 1
overrides:
"""

CODE = """\
import json, os

def load():
    folder = "/opt/ml/model" if os.listdir("/opt/ml/model") else "./artefact"
    config = json.load(open("config.json"))
    weights = float(open(os.path.join(folder, "pytorch_model.bin")).read())
    return {"weights": weights, **config}

def predict(model, request):
    return {"answer": request["x"] * model["weights"] + model["bias"]}

if __name__ == "__main__":
    print(predict(load(), {"x": 1}))
"""


@pytest.fixture
def example(stand: Stand, tmp_path: Path) -> Iterator[Project]:
    """The original's example, with a small model in place of the weights."""
    with nothing_left(stand):
        made = Project(stand, tmp_path, "sageturner-resnet-50")
        (tmp_path / "sageturner.yaml").write_text(EXAMPLE.format(name=made.name, cuda="false"))
        code = tmp_path / "generate-container"
        code.mkdir()
        (code / "sageturner.py").write_text(CODE)
        (code / "config.json").write_text('{"bias": 1}')
        (tmp_path / "artefact").mkdir()
        with tarfile.open(tmp_path / "artefact" / "pytorch_model.bin.tar.gz", "w:gz") as archive:
            member = tarfile.TarInfo("pytorch_model.bin")
            member.size = 1
            archive.addfile(member, io.BytesIO(b"3"))
        provided = tmp_path / "provided-container"
        provided.mkdir()
        model = Path(__file__).parents[1] / "stand" / "model"
        for name in ("Dockerfile", "serve.py"):
            (provided / name).write_bytes((model / name).read_bytes())
        made.run("setup")
        yield made
        stand.faults.clear()
        made.run("delete", made.name, "--yes", "--if-exists")
        made.run("teardown", "--yes")


def test_the_originals_example_answers_from_a_generated_image(example: Project) -> None:
    example.deploy("serverless", "-m", "generate")
    assert example.invoke({"x": 2}) == {"answer": 7}
    (status,) = example.json("status", example.name)
    assert status["endpoint_type"] == "serverless"
    example.run("delete", example.name, "--yes")
    example.deploy("server", "-m", "generate")
    assert example.invoke({"x": 3}) == {"answer": 10}
    assert example.json("status", example.name)[0]["endpoint_type"] == "server"


@pytest.mark.parametrize("endpoint_type", ["serverless", "server"])
def test_the_originals_example_answers_from_the_users_own_image(
    example: Project, endpoint_type: str
) -> None:
    # As in the original's CLIP example; the own image says itself what it has.
    text = EXAMPLE.format(name=example.name, cuda="true")
    (example.folder / "sageturner.yaml").write_text(text)
    example.deploy(endpoint_type, "-m", "provided")
    asked = {"do": "file", "name": "pytorch_model.bin"}
    assert example.invoke(asked) == 3


def test_a_server_takes_every_key_that_is_passed_on_and_scales(example: Project) -> None:
    own = Project(example.stand, example.folder, "sageturner-keys")
    own.write_code()
    s3 = example.stand.client("s3")
    bucket = next(b for b in example.stand.inventory()["buckets"] if "models" in b and "123" in b)
    archive = (example.folder / "artefact" / "pytorch_model.bin.tar.gz").read_bytes()
    s3.put_object(Bucket=bucket, Key="mine/model.tar.gz", Body=archive)
    own.configure(
        artefact=f"s3://{bucket}/mine/model.tar.gz",
        compute={
            "server": {
                "instance_type": "ml.m5.xlarge",
                "initial_instance_count": 1,
                "volume_gb": 30,
                "startup_timeout_s": 120,
                "download_timeout_s": 90,
                "routing": "LEAST_OUTSTANDING_REQUESTS",
                "autoscaling": {"min": 1, "max": 3, "invocations_per_instance": 50},
            }
        },
        environment={"COLOUR": "green"},
        network={"isolation": True},
        tags={"team": "search"},
    )
    own.deploy("server")
    assert own.invoke({"environment": "COLOUR"}) == {"value": "green"}
    assert own.invoke({"file": "pytorch_model.bin"}) == {"value": "3"}
    sagemaker = example.stand.client("sagemaker")
    described = sagemaker.describe_endpoint(EndpointName=own.name)
    tags = sagemaker.list_tags(ResourceArn=described["EndpointArn"])["Tags"]
    assert {"Key": "team", "Value": "search"} in tags
    name = described["EndpointConfigName"]
    (variant,) = sagemaker.describe_endpoint_config(EndpointConfigName=name)["ProductionVariants"]
    assert variant["VolumeSizeInGB"] == 30
    assert variant["ContainerStartupHealthCheckTimeoutInSeconds"] == 120
    assert variant["ModelDataDownloadTimeoutInSeconds"] == 90
    assert variant["RoutingConfig"] == {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"}
    assert sagemaker.describe_model(ModelName=name)["EnableNetworkIsolation"]
    (target,) = example.stand.client("application-autoscaling").describe_scalable_targets(
        ServiceNamespace="sagemaker", ResourceIds=[f"endpoint/{own.name}/variant/AllTraffic"]
    )["ScalableTargets"]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (1, 3)
    own.run("delete", own.name, "--yes")
    s3.delete_object(Bucket=bucket, Key="mine/model.tar.gz")


def test_a_server_takes_a_folder_and_changes_it_in_place(example: Project) -> None:
    own = Project(example.stand, example.folder, "sageturner-forms")
    own.write_code()
    folder = example.folder / "model"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "a.txt").write_text("one")
    own.configure(artefact="./model")
    own.deploy("server")
    assert own.invoke({"file": "a.txt"}) == {"value": "one"}
    (folder / "deep" / "a.txt").write_text("two")
    own.deploy("server")
    assert own.invoke({"file": "a.txt"}) == {"value": "two"}
    own.run("delete", own.name, "--yes")


CLIP = """\
name: sageturner-clip
artefact: ./artefact/pytorch_model.bin.tar.gz
container:
  generate_container:
    code_dir: ./generate-container
    system_packages:
      - git
    python_packages:
      - --extra-index-url {index} torch
      - transformers
      - pillow
    install_cuda: true
    python_version: "3.10"
compute:
  server:
    instance_type: ml.g4dn.xlarge
    initial_instance_count: 1
"""


def test_the_originals_gpu_example_plans_to_an_endpoint_that_starts(
    example: Project, tmp_path: Path
) -> None:
    make_wheel(tmp_path / "published", "not-torch")
    with guarded_index(tmp_path / "published") as index:
        config = tmp_path / "clip.yaml"
        config.write_text(CLIP.format(index=index.url))
        planned = example.json("plan", "-e", "server", "-c", str(config))
    gpu = planned["facts"]["gpu"]
    assert "torch" in gpu and "ml.g4dn.xlarge's default driver 470 cannot run it" in gpu
    assert "so the endpoint uses al2023-ami-sagemaker-inference-gpu" in gpu
    assert "g4dn" in planned["facts"]["endpoint"]
    assert index.password not in str(planned)
