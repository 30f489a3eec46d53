"""Images that are assembled from layers: they run, and they are what Docker would have built."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sageturner_magic.errors import ImageError
from sageturner_magic.image.layers.builder import LayersBuilder
from sageturner_magic.image.layers.cache import LayerCache
from sageturner_magic.image.spec import BuildSpec, BuiltImage, Destination, ProvidedSpec
from sageturner_magic.packages.files import FileStore, default_folder
from sageturner_magic.values import Credentials, ImageRef, SourceFile
from tests.parts import base_image
from tests.parts.recorder import Recorder
from tests.parts.registry import Registry

pytestmark = [pytest.mark.docker, pytest.mark.registry]

MakeSpec = Callable[..., BuildSpec]

PACKAGES = ("six==1.17.0", "requests", "numpy", "jinja2", "pyyaml", "rich", "zope.interface")
"""Pure and compiled, with scripts, with data files, of a namespace."""


@pytest.fixture(scope="session")
def base_reference(served: Registry) -> str:
    """The stand-in base image in the registry, and under the same name in the engine."""
    reference = base_image.push("3.12", served)
    subprocess.run(["docker", "tag", base_image.ensure("3.12"), reference], check=True)
    return reference


@pytest.fixture
def builder(tmp_path: Path, served: Registry) -> LayersBuilder:
    return LayersBuilder(
        LayerCache(tmp_path / "layers"),
        FileStore(default_folder()),
        lambda host: Credentials(served.user, served.password),
    )


@pytest.fixture
def other_destination(served: Registry) -> Destination:
    """A repository that has nothing yet."""
    return Destination(
        f"{served.host}/fresh-{uuid.uuid4().hex[:8]}",
        lambda: Credentials(served.user, served.password),
    )


@pytest.fixture
def pulled(served: Registry, tmp_path: Path) -> Iterator[Callable[[ImageRef], str]]:
    """A function that has Docker pull an image; it is removed afterwards."""
    names: list[str] = []

    def pull(ref: ImageRef) -> str:
        config = ["docker", "--config", str(tmp_path / "docker-config")]
        subprocess.run(
            [*config, "login", "-u", served.user, "--password-stdin", served.host],
            input=served.password.encode(),
            capture_output=True,
            check=True,
        )
        done = subprocess.run([*config, "pull", ref.pinned], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        names.append(ref.pinned)
        return ref.pinned

    yield pull
    for name in names:
        subprocess.run(["docker", "rmi", "--force", name], capture_output=True)


def run_in(image: str, *command: str) -> str:
    options = ["--rm", "--user=1000", "--read-only", f"--entrypoint={command[0]}"]
    done = subprocess.run(
        ["docker", "run", *options, image, *command[1:]], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_image_runs_under_docker_and_others_can_read_it(
    builder: LayersBuilder,
    make_spec: MakeSpec,
    base_reference: str,
    other_destination: Destination,
    pulled: Callable[[ImageRef], str],
    served: Registry,
) -> None:
    recorder = Recorder()
    image = builder.build(make_spec("digits", *PACKAGES, base_image=base_reference), recorder)
    ref = builder.push(image, other_destination, recorder)
    name = pulled(ref)
    found = json.loads(
        run_in(
            name,
            "python",
            "-c",
            "import json, os, sys, six, numpy, yaml, zope.interface, sageturner\n"
            "print(json.dumps([six.__file__, numpy.ones(2).sum().item(), sageturner.__file__,"
            " os.getcwd(), sys.prefix, yaml.__with_libyaml__]))",
        )
    )
    site = "/opt/venv/lib/python3.12/site-packages"
    assert found == [
        f"{site}/six.py", 2.0, "/opt/program/sageturner.py", "/opt/program", "/opt/venv", True,
    ]  # fmt: skip
    assert "No broken requirements" in run_in(name, "python", "-m", "pip", "check")
    assert "numpy-config" in run_in(name, "numpy-config", "--help")
    skopeo = ["skopeo", "inspect", "--tls-verify=false", f"--creds={served.user}:{served.password}"]
    inspected = subprocess.run([*skopeo, f"docker://{ref.pinned}"], capture_output=True, check=True)
    assert json.loads(inspected.stdout)["Architecture"] == "amd64"
    manifest = served.manifest(ref.repository.partition("/")[2], ref.tag)
    assert manifest["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
    assert manifest["digest"] == ref.digest
    assert ref.size == sum(layer["size"] for layer in manifest["layers"])  # type: ignore[attr-defined]
    config = json.loads(subprocess.check_output(["docker", "image", "inspect", name]))[0]["Config"]
    assert config["Entrypoint"] == ["python", "/opt/sageturner/server/__main__.py"]
    assert config["Labels"]["sageturner.base"].partition("@")[2].startswith("sha256:")


def test_bytecode_is_that_of_the_images_python(
    builder: LayersBuilder,
    make_spec: MakeSpec,
    base_reference: str,
    other_destination: Destination,
    pulled: Callable[[ImageRef], str],
) -> None:
    spec = make_spec("digits", "six==1.17.0", base_image=base_reference)
    name = pulled(builder.push(builder.build(spec, Recorder()), other_destination, Recorder()))
    answer = run_in(
        name,
        "python",
        "-c",
        "import six, sageturner\n"
        "print(six.__spec__.cached, open(six.__spec__.cached, 'rb').read()[4])",
    )
    assert answer.endswith("six.cpython-312.pyc 1")


class Counting(Recorder):
    """Counts the bytes that are sent."""

    @property
    def sent(self) -> int:
        last: dict[str, float] = {}
        for done, _, unit, part in self.measures:
            if unit == "B":
                last[part] = max(done, last.get(part, 0))
        return int(sum(last.values()))


def changed(spec: BuildSpec) -> BuildSpec:
    """`spec` with another program."""
    source = SourceFile("sageturner.py", f"x = '{uuid.uuid4()}'\n".encode())
    return replace(spec, module=replace(spec.module, files=(source,)))


def test_a_change_of_code_sends_the_code_alone(
    builder: LayersBuilder,
    make_spec: MakeSpec,
    base_reference: str,
    destination: Destination,
) -> None:
    spec = make_spec("digits", "six==1.17.0", base_image=base_reference)
    builder.push(builder.build(spec, Recorder()), destination, Recorder())
    recorder = Counting()
    builder.push(builder.build(changed(spec), recorder), destination, recorder)
    assert 0 < recorder.sent < 20_000
    assert sum("pushed" in line for line in recorder.lines) == 1
    assert not any("laying out" in line for line in recorder.lines)


def test_a_layer_that_the_registry_has_lost_is_sent_again(
    builder: LayersBuilder,
    make_spec: MakeSpec,
    base_reference: str,
    other_destination: Destination,
    served: Registry,
) -> None:
    spec = make_spec("digits", "six==1.17.0", base_image=base_reference)
    ref = builder.push(builder.build(spec, Recorder()), other_destination, Recorder())
    repository = other_destination.repository.partition("/")[2]
    layers: list[dict[str, str]] = served.manifest(repository, ref.tag)["layers"]  # type: ignore[assignment]
    recorder = Recorder()
    builder.push(builder.build(changed(spec), recorder), other_destination, recorder)
    assert sum("pushed" in line for line in recorder.lines) == 1
    served.delete_blob(repository, layers[-3]["digest"])
    recorder = Recorder()
    builder.push(builder.build(changed(spec), recorder), other_destination, recorder)
    assert served.blob(repository, layers[-3]["digest"])


def test_the_same_inputs_give_the_same_image_in_an_empty_cache(
    builder: LayersBuilder, make_spec: MakeSpec, base_reference: str, tmp_path: Path
) -> None:
    spec = make_spec("digits", *PACKAGES, base_image=base_reference)
    other = replace(builder, cache=LayerCache(tmp_path / "other"))
    first, second = builder.build(spec, Recorder()), other.build(spec, Recorder())
    assert Path(first.reference).read_bytes() == Path(second.reference).read_bytes()
    assert builder.build(spec, Recorder()).reused


def test_an_image_for_arm_is_assembled_on_this_machine(
    builder: LayersBuilder, make_spec: MakeSpec, base_reference: str, served: Registry
) -> None:
    spec = make_spec("digits", "six==1.17.0", base_image=base_reference)
    arm = replace(spec.target, architecture="arm64")
    spec = replace(
        spec,
        requirements=replace(spec.requirements, target=arm),
        server_requirements=replace(spec.server_requirements, target=arm, packages=()),
    )
    image = builder.build(spec, Recorder())
    assert image.architecture == "arm64"
    assert (
        json.loads(json.loads(Path(image.reference).read_text())["config"])["architecture"]
        == "arm64"
    )


def test_what_needs_an_engine_is_named_with_the_remedy(
    builder: LayersBuilder, make_spec: MakeSpec, tmp_path: Path
) -> None:
    with pytest.raises(ImageError, match="libgomp1") as caught:
        builder.build(make_spec("digits", system_packages=("libgomp1",)), Recorder())
    assert "builder: docker" in str(caught.value)
    with pytest.raises(ImageError, match="Dockerfile of your own"):
        builder.build(ProvidedSpec("digits", tmp_path), Recorder())


def test_a_damaged_layer_is_made_anew(
    builder: LayersBuilder,
    make_spec: MakeSpec,
    base_reference: str,
    other_destination: Destination,
) -> None:
    spec = make_spec("digits", "six==1.17.0", base_image=base_reference)
    image: BuiltImage = builder.build(spec, Recorder())
    for blob in (builder.cache.folder / "blobs").iterdir():
        damaged = bytearray(blob.read_bytes())
        damaged[len(damaged) // 2] ^= 0xFF
        blob.write_bytes(damaged)
    with pytest.raises(ImageError, match="damaged on this disk"):
        builder.push(image, other_destination, Recorder())
    for _ in range(10):
        try:
            ref = builder.push(builder.build(spec, Recorder()), other_destination, Recorder())
            break
        except ImageError as error:
            assert "damaged" in str(error)
    assert ref.digest.startswith("sha256:")
