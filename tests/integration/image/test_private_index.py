"""Packages from an index that wants a password: they arrive, the password does not."""

from __future__ import annotations

import subprocess
import uuid
from pathlib import Path

import pytest

from sageturner_magic.errors import ImageError
from sageturner_magic.image.docker.builder import DockerBuilder
from sageturner_magic.image.spec import BuildSpec
from sageturner_magic.packages.files import FileStore
from sageturner_magic.packages.pip_arguments import parse_pip_arguments
from sageturner_magic.packages.requirements import Requirements
from sageturner_magic.packages.resolution import resolve
from sageturner_magic.values import CapturedModule, SourceFile
from tests.integration.image.conftest import TARGET
from tests.parts.index import Index, guarded_index
from tests.parts.recorder import Recorder
from tests.parts.wheels import make_wheel


@pytest.fixture
def index(tmp_path: Path):  # type: ignore[no-untyped-def]
    make_wheel(tmp_path / "published", "guarded-model", requires=["six>=1"])
    with guarded_index(tmp_path / "published") as running:
        yield running


def test_a_guarded_package_is_resolved_and_fetched_with_its_password(
    index: Index, tmp_path: Path
) -> None:
    recorder = Recorder()
    found = resolve(
        parse_pip_arguments([f"--extra-index-url {index.url} guarded-model"], tmp_path),
        TARGET,
        recorder,
        tmp_path / "cache",
    )
    guarded = next(package for package in found.packages if package.name == "guarded-model")
    six = next(package for package in found.packages if package.name == "six")
    assert not guarded.public
    assert six.needed_by == ("guarded-model",)
    assert index.host not in found.text()
    files = FileStore(tmp_path / "files")
    fetched = files.fetch(guarded, found.credentials, recorder)
    assert fetched.name == "guarded_model-1.0-py3-none-any.whl"
    everything = [repr(found), found.text(), *recorder.lines]
    kept = (path for path in tmp_path.rglob("*") if path.is_file())
    everything += [path.read_bytes().decode(errors="replace") for path in kept]
    assert not any(index.password in text for text in everything)
    # From memory, the password is known again.
    again = resolve(
        parse_pip_arguments([f"--extra-index-url {index.url} guarded-model"], tmp_path),
        TARGET,
        recorder,
        tmp_path / "cache",
    )
    assert FileStore(tmp_path / "other").fetch(guarded, again.credentials, recorder).exists()


def test_a_wrong_password_is_explained_and_not_repeated(index: Index, tmp_path: Path) -> None:
    wrong = index.url.replace(index.password, "wr0ng")
    with pytest.raises(ImageError, match="refuses the credentials") as caught:
        resolve(
            parse_pip_arguments([f"--index-url {wrong} guarded-model"], tmp_path),
            TARGET,
            Recorder(),
            tmp_path / "cache",
        )
    assert "wr0ng" not in caught.value.report()


@pytest.mark.docker
def test_the_password_is_in_no_layer_history_or_log_of_the_image(
    index: Index, tmp_path: Path, server_requirements: Requirements, base: str
) -> None:
    recorder = Recorder()
    name = f"test-{uuid.uuid4().hex[:8]}"
    requirements = resolve(
        parse_pip_arguments([f"--extra-index-url {index.url} guarded-model"], tmp_path),
        TARGET,
        recorder,
        tmp_path / "cache",
    )
    module = CapturedModule("In[1]", (SourceFile("sageturner.py", b"import guarded_model\n"),))
    spec = BuildSpec(name, module, requirements, server_requirements)
    image = DockerBuilder(FileStore(tmp_path / "files")).build(spec, recorder)
    try:
        saved = tmp_path / "saved.tar"
        program = ["--entrypoint", "python", image.reference, "-c", "import sageturner"]
        run = subprocess.run(["docker", "run", "--rm", *program], capture_output=True)
        assert run.returncode == 0, run.stderr
        subprocess.run(["docker", "save", "--output", saved, image.reference], check=True)
        assert index.password.encode() not in saved.read_bytes()
        history = subprocess.run(
            ["docker", "history", "--no-trunc", image.reference], capture_output=True, check=True
        )
        assert index.password.encode() not in history.stdout
        assert not any(index.password in line for line in recorder.lines)
    finally:
        subprocess.run(["docker", "rmi", "--force", image.reference], capture_output=True)
