"""A plan names what an image will not have, and a way that works."""

import importlib.metadata
from dataclasses import replace

import pytest

from sageturner_magic.config import Origin, parse_config
from sageturner_magic.deployment.plans import image_checks
from sageturner_magic.deployment.plans.image_checks import image_findings, with_system_packages
from sageturner_magic.deployment.plans.images import WantedImage
from sageturner_magic.image.builders import choose
from sageturner_magic.image.spec import ProvidedSpec
from sageturner_magic.values import CapturedModule, SourceFile
from tests.parts.recorder import Recorder
from tests.unit.image.specs import spec
from tests.unit.packages.elf import elf
from tests.unit.packages.test_libraries import wheel


@pytest.fixture
def needing(tmp_path, monkeypatch):
    """The specification of an image with a package that needs libraries."""
    monkeypatch.setattr(image_checks, "default_folder", lambda: tmp_path / "store")

    def make(name: str, *needed: str):
        return spec(wheel(tmp_path, name, **{f"{name}/x.so": elf(*needed)}))

    return make


def findings(made, builder: str):
    return list(image_findings(made, choose(builder, made), Recorder()))


def test_with_docker_the_packages_are_to_be_pasted(needing):
    (found,) = findings(needing("cv", "libGL.so.1", "libglib-2.0.so.0"), "docker")
    assert found.severity == "warning"
    assert "`cv` needs libGL.so.1 and libglib-2.0.so.0, which the base" in found.what
    text = "system_packages: [libgl1, libglib2.0-0]"
    assert found.do == f"add `{text}` below `container: generate_container:`"
    made = parse_config(
        f"name: m\ncontainer: {{generate_container: {{{text}}}}}",
        folder=".",
        origin=Origin.file("x"),
    )
    packages = made.container.generate_container.system_packages
    with_them = replace(needing("cv", "libGL.so.1", "libglib-2.0.so.0"), system_packages=packages)
    assert findings(with_them, "docker") == []


def test_without_docker_a_base_image_that_has_them_is_named(needing):
    made = needing("boost", "libgomp.so.1")
    (found,) = findings(made, "layers")
    full = "public.ecr.aws/docker/library/python:3.12"
    assert f"write `base_image: {full}`, which has libgomp1" in found.do
    assert "where a Docker engine answers, as `builder: layers` installs none" in found.do
    assert findings(replace(made, base_image=full), "layers") == []


def test_an_engine_installs_what_lightgbm_is_linked_to(needing):
    made = needing("lightgbm", "libgomp.so.1")
    wanted = WantedImage(made, "digits-0")
    installs = with_system_packages(wanted, choose("docker", made))
    assert installs.spec.system_packages == ("libgomp1",) and installs.tag != wanted.tag
    (note,) = installs.findings
    assert note.severity == "note" and "libgomp.so.1" in note.why
    assert findings(installs.spec, "docker") == []
    # What is installed, or installs nothing, stays as it is.
    assert with_system_packages(installs, choose("docker", made)) == installs
    assert with_system_packages(wanted, choose("layers", made)) == wanted
    own = replace(wanted, spec=replace(made, base_image="registry.example.org/mine:1"))
    assert with_system_packages(own, choose("docker", made)) == own


def test_opencv_has_a_twin_that_needs_no_screen(needing):
    for builder in ("docker", "layers"):
        (found,) = findings(needing("opencv-python", "libGL.so.1"), builder)
        assert found.do.startswith("list `opencv-python-headless` in place of `opencv-python`")
        assert "base_image" not in found.do


def test_a_library_whose_package_is_not_known_is_named(needing):
    (found,) = findings(needing("odd", "libodd.so"), "docker")
    assert "the Debian package that has libodd.so" in found.do


def test_nothing_is_said_of_images_that_are_not_known(needing, tmp_path):
    made = needing("boost", "libgomp.so.1")
    assert findings(replace(made, base_image="registry.example.org/mine:1"), "docker") == []
    assert findings(ProvidedSpec("x", tmp_path), "docker") == []


def test_an_import_without_a_package_stops_or_warns(tmp_path):
    source = b"import numpy\ndef load(): ...\ndef predict(m, r):\n    import yaml\n    return r\n"
    module = CapturedModule(
        "code", (SourceFile("sageturner.py", source),), imports=("numpy", "yaml")
    )
    made = replace(spec(), module=module)
    one, other = findings(made, "docker")
    assert (one.severity, one.where) == ("error", "sageturner.py:1")
    assert "No package of the image has `numpy`" in one.what
    assert f"add `numpy=={importlib.metadata.version('numpy')}` to `python_packages`" == one.do
    assert (other.severity, other.where) == ("warning", "sageturner.py:4")
    mine = replace(made, base_image="registry.example.org/with-numpy:1")
    assert findings(mine, "docker") == []
