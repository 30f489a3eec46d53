"""What becomes of a build when the engine's cache changes under it."""

import pytest

from sageturner_magic.errors import ImageError
from sageturner_magic.image.docker import builder, engine
from sageturner_magic.image.docker.builder import DockerBuilder
from sageturner_magic.packages.files import FileStore
from tests.parts.recorder import Recorder
from tests.unit.image.specs import spec

REMOVED = (
    "failed to export image: failed to set parent sha256:9b: unknown parent image ID sha256:9b"
)


@pytest.fixture
def builds(monkeypatch):
    """What the engine complains of, build by build; what is left has not been built."""
    complaints: list[str] = []
    built: list[str] = []

    def messages(client, call, reporter):
        complaint = complaints.pop(0)
        yield {"stream": "Step 1/1 : FROM python\n"}
        if complaint:
            yield {"error": complaint}
        else:
            built.append("image")

    found = {"Architecture": "amd64", "Size": 1}
    monkeypatch.setattr(engine, "connect", lambda: object())
    monkeypatch.setattr(engine, "inspect", lambda client, name: found if built else None)
    monkeypatch.setattr(builder.engine, "messages", messages)
    return complaints


def test_a_build_whose_cached_layer_was_removed_is_run_again(builds, tmp_path):
    builds += [REMOVED, ""]
    recorder = Recorder()
    image = DockerBuilder(FileStore(tmp_path)).build(spec(base_image="python:3.12"), recorder)
    assert image.size == 1 and not builds
    assert any("building again" in line for line in recorder.lines)


@pytest.mark.parametrize("complaints", [[REMOVED, REMOVED], ["no space left on device"]])
def test_what_fails_again_or_for_another_reason_is_told(builds, tmp_path, complaints):
    builds += complaints
    with pytest.raises(ImageError):
        DockerBuilder(FileStore(tmp_path)).build(spec(base_image="python:3.12"), Recorder())
    assert not builds
