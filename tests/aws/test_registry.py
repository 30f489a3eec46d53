"""ECR and the registry behind it, driven with Docker, boto3 and plain HTTP."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import shutil
import subprocess
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError

from tests.stand import Stand
from tests.stand.fixtures import REPOSITORY, Account, Push

pytestmark = [pytest.mark.docker, pytest.mark.registry]

DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
OCI = "application/vnd.oci.image.manifest.v1+json"


class Client:
    """A registry client in its simplest form."""

    def __init__(self, stand: Stand, repository: str) -> None:
        self.url = f"http://{stand.registry_host}/v2/{repository}"
        answer = stand.client("ecr").get_authorization_token()["authorizationData"][0]
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Basic {answer['authorizationToken']}"

    def put_blob(self, data: bytes) -> requests.Response:
        place = self.session.post(f"{self.url}/blobs/uploads/")
        if place.status_code != 202:
            return place
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        return self.session.put(
            place.headers["Location"],
            params={"digest": digest},
            data=data,
            headers={"Content-Type": "application/octet-stream"},
        )

    def put_manifest(self, tag: str, manifest: dict[str, Any]) -> requests.Response:
        return self.session.put(
            f"{self.url}/manifests/{tag}",
            data=json.dumps({"schemaVersion": 2, **manifest}),
            headers={"Content-Type": manifest["mediaType"]},
        )

    def put_image(self, tag: str, media_type: str = DOCKER, **labels: str) -> requests.Response:
        config = json.dumps({"architecture": "amd64", "config": {"Labels": labels}}).encode()
        self.put_blob(config)
        digest = f"sha256:{hashlib.sha256(config).hexdigest()}"
        described = {
            "mediaType": "application/vnd.docker.container.image.v1+json",
            "size": len(config),
            "digest": digest,
        }
        return self.put_manifest(tag, {"mediaType": media_type, "config": described, "layers": []})


@pytest.fixture
def repository(stand: Stand, request: pytest.FixtureRequest) -> str:
    name = f"test-{hashlib.sha256(request.node.name.encode()).hexdigest()[:8]}"
    stand.client("ecr").create_repository(repositoryName=name, imageTagMutability="IMMUTABLE")
    return name


def test_a_token_is_of_use_until_the_moment_that_it_says(stand: Stand) -> None:
    stand.faults.token_lifetime_s = 1
    answer = stand.client("ecr").get_authorization_token()["authorizationData"][0]
    assert 0 < answer["expiresAt"].timestamp() - time.time() < 2
    assert answer["proxyEndpoint"].endswith(stand.registry_host)
    url = f"http://{stand.registry_host}/v2/"
    header = {"Authorization": f"Basic {answer['authorizationToken']}"}
    assert requests.get(url, headers=header).status_code == 200
    time.sleep(1.1)
    expired = requests.get(url, headers=header)
    assert expired.status_code == 403
    assert "authorization token has expired" in expired.text
    assert requests.get(url).status_code == 401
    forged = base64.b64encode(b"AWS:forged").decode()
    assert requests.get(url, headers={"Authorization": f"Basic {forged}"}).status_code == 401


def test_docker_pushes_what_ecr_then_describes(account: Account) -> None:
    ecr = account.stand.client("ecr")
    details = ecr.describe_images(repositoryName=REPOSITORY)["imageDetails"]
    tiny = next(item for item in details if "tiny" in item.get("imageTags", []))
    assert account.image.endswith(tiny["imageDigest"])
    assert tiny["imageManifestMediaType"] == DOCKER
    got = ecr.batch_get_image(repositoryName=REPOSITORY, imageIds=[{"imageTag": "tiny"}])
    manifest = json.loads(got["images"][0]["imageManifest"])
    sizes = sum(part["size"] for part in (manifest["config"], *manifest["layers"]))
    assert tiny["imageSizeInBytes"] == sizes
    repository = ecr.describe_repositories(repositoryNames=[REPOSITORY])["repositories"][0]
    assert repository["repositoryUri"] == f"{account.stand.registry_host}/{REPOSITORY}"


@pytest.mark.skipif(not shutil.which("skopeo"), reason="skopeo is not installed")
def test_a_client_that_nobody_here_wrote_copies_the_image(account: Account, tmp_path: Path) -> None:
    answer = account.stand.client("ecr").get_authorization_token()["authorizationData"][0]
    login = base64.b64decode(answer["authorizationToken"]).decode()
    subprocess.run(
        [
            "skopeo",
            "copy",
            "--quiet",
            "--src-tls-verify=false",
            f"--src-creds={login}",
            f"docker://{account.image}",
            f"dir:{tmp_path}",
        ],
        check=True,
        timeout=60,
    )
    assert json.loads((tmp_path / "manifest.json").read_text())["mediaType"] == DOCKER


def test_a_push_to_a_repository_that_was_not_created_is_refused(
    stand: Stand, model_image: str, push: Push
) -> None:
    with pytest.raises(RuntimeError, match="'nowhere' does not exist in the registry with id"):
        push(model_image, "nowhere", "a")


def test_a_tag_of_an_immutable_repository_is_pushed_once(stand: Stand, repository: str) -> None:
    client = Client(stand, repository)
    assert client.put_image("v1").status_code == 201
    again = client.put_image("v1")
    assert again.status_code == 400
    assert "cannot be overwritten because the tag is immutable" in again.text
    assert client.put_image("v2").status_code == 201
    assert client.session.get(f"{client.url}/tags/list").json()["tags"] == ["v1", "v2"]


def test_a_tag_of_a_mutable_repository_moves(stand: Stand, repository: str) -> None:
    ecr = stand.client("ecr")
    ecr.put_image_tag_mutability(repositoryName=repository, imageTagMutability="MUTABLE")
    client = Client(stand, repository)
    client.put_image("latest", version="1")
    client.put_image("latest", version="2")
    details = ecr.describe_images(repositoryName=repository)["imageDetails"]
    assert [item.get("imageTags", []) for item in details] == [[], ["latest"]]


def test_blobs_are_not_mounted_from_other_repositories(stand: Stand, repository: str) -> None:
    source = Client(stand, repository)
    assert source.put_blob(b"layer").status_code == 201
    stand.client("ecr").create_repository(repositoryName=f"{repository}-2")
    target = Client(stand, f"{repository}-2")
    digest = f"sha256:{hashlib.sha256(b'layer').hexdigest()}"
    mount = {"mount": digest, "from": repository}
    assert target.session.post(f"{target.url}/blobs/uploads/", params=mount).status_code == 202
    assert target.session.head(f"{target.url}/blobs/{digest}").status_code == 404
    assert source.session.head(f"{source.url}/blobs/{digest}").headers["Content-Length"] == "5"


def test_a_blob_is_fetched_elsewhere_and_without_credentials(stand: Stand, repository: str) -> None:
    client = Client(stand, repository)
    client.put_blob(b"layer")
    digest = f"sha256:{hashlib.sha256(b'layer').hexdigest()}"
    away = client.session.get(f"{client.url}/blobs/{digest}", allow_redirects=False)
    assert away.status_code == 307
    place = away.headers["Location"]
    assert requests.get(place).content == b"layer"
    assert client.session.get(place).status_code == 400


def test_deleted_images_are_gone_from_the_registry_too(stand: Stand, repository: str) -> None:
    ecr, client = stand.client("ecr"), Client(stand, repository)
    digest = client.put_image("v1").headers["Docker-Content-Digest"]
    with pytest.raises(ClientError, match="RepositoryNotEmptyException"):
        ecr.delete_repository(repositoryName=repository)
    ecr.batch_delete_image(repositoryName=repository, imageIds=[{"imageDigest": digest}])
    assert client.session.get(f"{client.url}/manifests/{digest}").status_code == 404
    assert ecr.describe_images(repositoryName=repository)["imageDetails"] == []
    assert client.put_image("v1").status_code == 201
    ecr.delete_repository(repositoryName=repository, force=True)
    assert client.put_image("v2").status_code == 404


def test_sagemaker_refuses_manifests_that_are_not_dockers(account: Account) -> None:
    client = Client(account.stand, REPOSITORY)
    assert client.put_image("oci", OCI).status_code == 201
    index = {"mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []}
    assert client.put_manifest("index", index).status_code == 201
    for tag in ("oci", "index"):
        image = f"{account.stand.registry_host}/{REPOSITORY}:{tag}"
        with pytest.raises(ClientError, match="Unsupported manifest media type application/vnd"):
            Account(account.stand, image, account.role).create_model("oci")


def tar_of(*paths: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for path in paths:
            member = tarfile.TarInfo(path.rstrip("/"))
            member.type = tarfile.DIRTYPE if path.endswith("/") else tarfile.REGTYPE
            archive.addfile(member)
    return out.getvalue()


@pytest.mark.parametrize(
    ("paths", "members", "why"),
    [
        (("opt/a", "opt/"), 1, "opt/a comes before its folder opt"),
        (("opt/", "opt/a"), 2, "several gzip members"),
        (("./", "./opt/", "opt/a"), 1, "CannotStartContainerError"),
    ],
)
def test_serverless_endpoints_take_only_layers_that_lambdas_unpacker_takes(
    account: Account, paths: tuple[str, ...], members: int, why: str
) -> None:
    client = Client(account.stand, REPOSITORY)
    archive = tar_of(*paths)
    middle = len(archive) // 2 if members == 2 else len(archive)
    layer = b"".join(gzip.compress(part) for part in (archive[:middle], archive[middle:]) if part)
    described: list[dict[str, Any]] = []
    root = {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(archive).hexdigest()}"]}
    config = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": root}
    for content in (json.dumps(config).encode(), layer):
        assert client.put_blob(content).status_code == 201
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        described.append({"size": len(content), "digest": digest})
    kinds = ("container.image.v1+json", "image.rootfs.diff.tar.gzip")
    for item, kind in zip(described, kinds, strict=True):
        item["mediaType"] = f"application/vnd.docker.{kind}"
    tag = f"unpacked-{hashlib.sha256(layer).hexdigest()[:8]}"
    manifest = {"mediaType": DOCKER, "config": described[0], "layers": described[1:]}
    assert client.put_manifest(tag, manifest).status_code == 201
    image = f"{account.stand.registry_host}/{REPOSITORY}:{tag}"
    odd = Account(account.stand, image, account.role)
    odd.create(tag)
    found = odd.settled(tag)
    assert found["EndpointStatus"] == "Failed" and why in found["FailureReason"]


def test_a_token_is_for_the_registry_of_its_region(stand: Stand, repository: str) -> None:
    there = stand.client("ecr", region_name="us-east-1")
    made = there.create_repository(repositoryName=repository)["repository"]
    try:
        host = made["repositoryUri"].partition("/")[0]
        assert host != stand.registry_host
        here = Client(stand, repository)
        assert here.put_blob(b"layer").status_code == 201
        assert here.session.get(f"http://{host}/v2/").status_code == 403
        token = there.get_authorization_token()["authorizationData"][0]["authorizationToken"]
        blob = f"http://{host}/v2/{repository}/blobs/sha256:{hashlib.sha256(b'layer').hexdigest()}"
        answer = requests.head(blob, headers={"Authorization": f"Basic {token}"})
        assert answer.status_code == 404
    finally:
        there.delete_repository(repositoryName=repository, force=True)


def test_every_nth_upload_breaks_off(stand: Stand, repository: str) -> None:
    client = Client(stand, repository)
    stand.faults.set(drop_every_upload=2)
    assert client.put_blob(b"a" * 100_000).status_code == 201
    with pytest.raises(requests.ConnectionError):
        client.put_blob(b"b" * 100_000)
    assert client.put_blob(b"b" * 100_000).status_code == 201


def test_tokens_expire_in_the_middle_of_a_push(stand: Stand, repository: str) -> None:
    client = Client(stand, repository)
    stand.faults.expire_token_after = 3
    assert client.put_blob(b"one").status_code == 201
    assert client.session.post(f"{client.url}/blobs/uploads/").status_code == 202
    assert client.put_blob(b"two").status_code == 403
    assert Client(stand, repository).put_blob(b"two").status_code == 201


def test_sagemakers_own_pulls_are_not_disturbed(account: Account) -> None:
    account.stand.faults.set(throttle_percent=100, services="registry", expire_token_after=1)
    account.create("undisturbed")
    assert account.settled("undisturbed")["EndpointStatus"] == "InService"


def test_the_registry_throttles(stand: Stand, repository: str) -> None:
    client = Client(stand, repository)
    stand.faults.throttle_percent = 50
    codes = {client.session.get(f"{client.url}/tags/list").status_code for _ in range(30)}
    assert codes == {200, 429}
