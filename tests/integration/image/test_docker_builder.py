"""Images that a real Docker engine builds and pushes."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from sageturner_magic.errors import DeploymentCancelled, ImageError
from sageturner_magic.image.docker.builder import DockerBuilder
from sageturner_magic.image.spec import (
    BuildSpec,
    BuiltImage,
    Destination,
    ProvidedSpec,
    SystemCuda,
)
from sageturner_magic.packages.files import FileStore
from sageturner_magic.values import Credentials
from tests.parts.recorder import Recorder
from tests.parts.registry import Registry
from tests.parts.wheels import make_wheel

pytestmark = [pytest.mark.docker, pytest.mark.registry]

MakeSpec = Callable[..., BuildSpec]


@pytest.fixture
def builder(tmp_path: Path, base: str) -> DockerBuilder:
    return DockerBuilder(FileStore(tmp_path / "files"))


@pytest.fixture
def name() -> Iterator[str]:
    """A name that no earlier test run has used; its images are removed afterwards."""
    unique = f"test-{uuid.uuid4().hex[:8]}"
    yield unique
    listed = docker("images", "--format", "{{.Repository}}:{{.Tag}}").split()
    if mine := [image for image in listed if unique in image]:
        docker("rmi", "--force", *mine)


def docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def run_in(image: BuiltImage, *command: str, options: tuple[str, ...] = ()) -> str:
    return docker(
        "run", "--rm", *options, "--entrypoint", command[0], image.reference, *command[1:]
    )


def test_an_image_holds_program_packages_and_server_apart(
    builder: DockerBuilder, make_spec: MakeSpec, name: str
) -> None:
    recorder = Recorder()
    image = builder.build(make_spec(name, "six==1.17.0", "orjson==3.10.18"), recorder)
    assert image.tag.startswith(f"{name}-")
    assert image.architecture == "amd64"
    found = json.loads(
        run_in(
            image,
            "python",
            "-c",
            "import json, os, sys, six, orjson, sageturner\n"
            "print(json.dumps([six.__version__, six.__file__, orjson.__version__,"
            " sageturner.__file__, os.getcwd(), sys.prefix]))",
            # As SageMaker's serverless endpoints may run it.
            options=("--user=1000", "--read-only"),
        )
    )
    assert found[0] == "1.17.0"
    assert found[1].startswith("/opt/venv/lib/python3.12/site-packages")
    assert found[2] == "3.10.18"
    assert found[3:] == ["/opt/program/sageturner.py", "/opt/program", "/opt/venv"]
    config = json.loads(docker("image", "inspect", image.reference))[0]["Config"]
    assert config["Entrypoint"] == ["python", "/opt/sageturner/server/__main__.py"]
    assert config["Cmd"] == ["serve"]
    assert "SAGETURNER_PACKAGES=/opt/sageturner/packages" in config["Env"]
    assert len(config["Labels"]["sageturner.requirements"]) == 64
    # The server's own orjson is another one, where the model's code does not see it.
    servers = run_in(image, "ls", "/opt/sageturner/packages").split()
    assert "orjson" in servers and "orjson-3.10.18.dist-info" not in servers
    assert any(line.startswith("Step 1/") for line in recorder.lines)
    assert any(unit == "steps" for _, _, unit, _ in recorder.measures)
    assert any(part == "context" for *_, part in recorder.measures)


def test_bytecode_is_there_and_never_checked_again(
    builder: DockerBuilder, make_spec: MakeSpec, name: str
) -> None:
    image = builder.build(make_spec(name, "six==1.17.0"), Recorder())
    flags = run_in(
        image,
        "python",
        "-c",
        "import glob\n"
        "for place in ('/opt/venv/lib/python3.12/site-packages', '/opt/program',"
        " '/opt/sageturner/server', '/opt/sageturner/packages/httptools'):\n"
        "    files = glob.glob(place + '/__pycache__/*.pyc')\n"
        "    print(len(files) > 0, {open(f, 'rb').read()[4] for f in files})",
    )
    # Bit 0: by hash. Bit 1: to be checked. PEP 552.
    assert flags.splitlines() == ["True {1}"] * 4


def test_an_unchanged_image_is_neither_built_nor_pushed_again(
    builder: DockerBuilder,
    make_spec: MakeSpec,
    name: str,
    destination: Destination,
    served: Registry,
) -> None:
    spec = make_spec(name, "six==1.17.0")
    first = builder.build(spec, Recorder())
    pushed = builder.push(first, destination, Recorder())
    assert not first.reused
    again = Recorder()
    second = builder.build(spec, again)
    assert second.reused
    assert not any(line.startswith("Step") for line in again.lines)
    nobody = replace(destination, credentials=lambda: Credentials(served.user, served.password))
    assert builder.push(second, nobody, again) == pushed
    assert "is there already" in again.lines[-1]


def test_what_arrives_is_one_schema_2_manifest_that_others_can_read(
    builder: DockerBuilder,
    make_spec: MakeSpec,
    name: str,
    destination: Destination,
    served: Registry,
) -> None:
    image = builder.build(make_spec(name, "six==1.17.0"), Recorder())
    recorder = Recorder()
    ref = builder.push(image, destination, recorder)
    manifest = served.manifest("sageturner-sagemaker", image.tag)
    assert manifest["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
    assert ref.pinned == f"{destination.repository}@{manifest['digest']}"
    assert ref.architecture == "amd64"
    assert ref.size == sum(layer["size"] for layer in manifest["layers"])  # type: ignore[attr-defined]
    assert any(part and unit == "B" for _, _, unit, part in recorder.measures)
    skopeo = subprocess.run(
        [
            *("skopeo", "inspect", "--tls-verify=false"),
            f"--creds={served.user}:{served.password}",
            f"docker://{ref.pinned}",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(skopeo.stdout)["Architecture"] == "amd64"


def test_wrong_credentials_say_so(
    builder: DockerBuilder, make_spec: MakeSpec, name: str, destination: Destination
) -> None:
    image = builder.build(make_spec(name), Recorder())
    wrong = replace(destination, credentials=lambda: Credentials("AWS", "s3cret-and-wrong"))
    with pytest.raises(ImageError, match="refuses the credentials") as caught:
        builder.push(image, wrong, Recorder())
    assert "s3cret" not in caught.value.report()


def test_credentials_that_expire_are_asked_for_again(
    builder: DockerBuilder,
    make_spec: MakeSpec,
    name: str,
    destination: Destination,
    served: Registry,
) -> None:
    image = builder.build(make_spec(name, source="# pushed late\n"), Recorder())
    given: list[str] = []

    def credentials() -> Credentials:
        # The first is for the question whether the image is there; the push gets a stale one.
        given.append("stale" if len(given) == 1 else served.password)
        return Credentials(served.user, given[-1])

    ref = builder.push(image, replace(destination, credentials=credentials), Recorder())
    assert ref.tag == image.tag
    assert "stale" in given and given[-1] == served.password


def test_a_wheel_from_this_machine_reaches_the_image_and_leaves_no_trace(
    builder: DockerBuilder, make_spec: MakeSpec, name: str, tmp_path: Path
) -> None:
    make_wheel(tmp_path / "mine", "private-model", files={"private_model.py": f"x = {name!r}\n"})
    image = builder.build(make_spec(name, "--find-links mine private-model"), Recorder())
    assert run_in(image, "python", "-c", "import private_model; print(private_model.x)") == name
    assert run_in(image, "find", "/", "-xdev", "-name", "*.whl", "-path", "*private*") == ""


def test_system_packages_are_installed_and_their_lists_are_not_kept(
    builder: DockerBuilder, make_spec: MakeSpec, name: str
) -> None:
    image = builder.build(make_spec(name, system_packages=("libgomp1",)), Recorder())
    assert "install ok" in run_in(image, "dpkg", "-s", "libgomp1")
    assert run_in(image, "ls", "/var/lib/apt/lists") == ""


def test_a_system_package_that_does_not_exist_is_named(
    builder: DockerBuilder, make_spec: MakeSpec, name: str
) -> None:
    spec = make_spec(name, system_packages=("no-such-library-9",))
    with pytest.raises(ImageError) as caught:
        builder.build(spec, Recorder())
    assert "E: Unable to locate package no-such-library-9" in str(caught.value), (
        caught.value.report()
    )
    assert "system_packages" in str(caught.value)


def test_a_base_image_with_another_python_is_refused(
    builder: DockerBuilder, make_spec: MakeSpec, name: str, base: str
) -> None:
    docker("tag", base, f"{name}:3.9")
    spec = make_spec(name, base_image=f"{name}:3.9")
    other = replace(spec.target, python_version="3.9")
    spec = replace(
        spec,
        requirements=replace(spec.requirements, target=other),
        server_requirements=replace(spec.server_requirements, target=other),
    )
    with pytest.raises(ImageError, match=r"the base image has Python 3\.12"):
        builder.build(spec, Recorder())


def test_a_base_image_that_does_not_exist_is_explained(
    builder: DockerBuilder, make_spec: MakeSpec, name: str, served: Registry
) -> None:
    with pytest.raises(ImageError) as caught:
        builder.build(make_spec(name, base_image=f"{served.host}/nothing:1"), Recorder())
    assert "Do: " in str(caught.value)
    assert "failed: " in str(caught.value)


def test_a_provided_folder_is_built_as_it_is(
    builder: DockerBuilder, name: str, base: str, tmp_path: Path, destination: Destination
) -> None:
    (tmp_path / "Dockerfile").write_text(f"FROM {base}\nCOPY hello /hello\nCMD cat /hello\n")
    (tmp_path / "hello").write_text(name)
    image = builder.build(ProvidedSpec(name, tmp_path), Recorder())
    assert run_in(image, "cat", "/hello") == name
    assert builder.push(image, destination, Recorder()).tag == image.tag
    assert builder.build(ProvidedSpec(name, tmp_path), Recorder()).reused


def test_stopping_ends_the_build_also_while_it_is_silent(
    builder: DockerBuilder, name: str, base: str, tmp_path: Path
) -> None:
    marker = f"sleep-{name}"
    (tmp_path / "Dockerfile").write_text(f"FROM {base}\nRUN echo {marker} && sleep 120\n")

    class Stopping(Recorder):
        def checkpoint(self) -> None:
            if marker in self.lines:
                raise DeploymentCancelled("stopped")

    with pytest.raises(DeploymentCancelled):
        builder.build(ProvidedSpec(name, tmp_path), Stopping())


def test_no_engine_is_an_error_with_both_remedies(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spec = make_spec("digits")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(ImageError, match="no Docker engine answers") as caught:
        DockerBuilder().build(spec, Recorder())
    assert "start Docker" in str(caught.value)
    assert "builder: layers" in str(caught.value)


CUDA_IMAGE = """\
FROM {base}
RUN mkdir -p /usr/local/cuda-12.6/lib64 /usr/local/cuda-12.6/bin \\
 && cp /lib/x86_64-linux-gnu/libz.so.1 /usr/local/cuda-12.6/lib64/libcudart.so.12 \\
 && cp /lib/x86_64-linux-gnu/libz.so.1 /usr/lib/x86_64-linux-gnu/libcudnn.so.9 \\
 && touch /usr/local/cuda-12.6/bin/nvcc
"""


@pytest.mark.parametrize("purpose", ["run", "compile"])
def test_cuda_of_the_system_is_found_where_it_is_needed_and_nowhere_else(
    builder: DockerBuilder,
    make_spec: MakeSpec,
    name: str,
    base: str,
    tmp_path: Path,
    purpose: Literal["run", "compile"],
) -> None:
    # Laid out as NVIDIA's images are, with a small library in place of the large ones.
    (tmp_path / "cuda").mkdir()
    (tmp_path / "cuda" / "Dockerfile").write_text(CUDA_IMAGE.format(base=base))
    docker("build", "--quiet", f"--tag={name}-cuda:12.6", str(tmp_path / "cuda"))
    spec = replace(make_spec(name), cuda=SystemCuda(f"{name}-cuda:12.6", "12.6", purpose))
    image = builder.build(spec, Recorder())
    load = "import ctypes; [ctypes.CDLL(n) for n in ('libcudart.so.12', 'libcudnn.so.9')]"
    if purpose == "run":
        run_in(image, "python", "-c", load)
    else:
        # What only compiling needs stays behind.
        with pytest.raises(subprocess.CalledProcessError):
            run_in(image, "ls", "/usr/local/cuda")


def test_a_base_image_of_a_guarded_registry_is_pulled_with_the_given_login(
    tmp_path: Path, name: str, base: str, served: Registry
) -> None:
    """As AWS's own base images are, with the token of the session."""
    private = f"{served.host}/{name}:1"
    docker("tag", base, private)
    docker("login", "--username", served.user, "--password", served.password, served.host)
    docker("push", private)
    docker("logout", served.host)
    docker("rmi", private)
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "Dockerfile").write_text(f"FROM {private}\nENTRYPOINT []\n")
    spec = ProvidedSpec(name, folder)
    files = FileStore(tmp_path / "files")
    with pytest.raises(ImageError):
        DockerBuilder(files, credentials=lambda host: None).build(spec, Recorder())
    builder = DockerBuilder(
        files, credentials=lambda host: Credentials(served.user, served.password)
    )
    assert builder.build(spec, Recorder()).reference
