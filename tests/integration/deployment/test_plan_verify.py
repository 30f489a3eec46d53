"""`plan --verify`: packages are proven where nothing else is installed."""

import io
import subprocess
import sys
import tarfile
import textwrap
import time
from contextlib import nullcontext

import pytest

import sageturner_magic as sageturner
from sageturner_magic.errors import CaptureError, ImageError, UsageError
from tests.parts.wheels import make_wheel

CODE = """
    import thing

    def load(model_dir):
        assert thing.version != "of this environment"
        return thing.version

    def predict(model, request):
        return {"version": model, "request": request}

    def example_request():
        return [1]
"""


WHEEL = "./wheels/thing-1.0-py3-none-any.whl"


@pytest.fixture
def project(tmp_path, monkeypatch, state):
    """Writes code and configuration; the caches are the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"

    def write(code, packages, python=here):
        (tmp_path / "code").mkdir(exist_ok=True)
        (tmp_path / "code" / "sageturner.py").write_text(textwrap.dedent(code))
        (tmp_path / "sageturner.yaml").write_text(
            "name: proven\ncontainer:\n  generate_container:\n    code_dir: ./code\n"
            f"    python_version: '{python}'\n    python_packages: {packages}\n"
        )
        return tmp_path

    return write


def verified():
    plan = sageturner.plan(verify=True)
    return {fact.label: fact.value for fact in plan.facts}["Verified"], plan


@pytest.fixture(autouse=True)
def thing(tmp_path, monkeypatch):
    """A package that this environment does not have, except for plan's own check."""
    make_wheel(tmp_path / "wheels", "thing")
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "thing.py").write_text("version = 'of this environment'\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "here"))


def test_the_module_answers_with_its_packages_and_nothing_else(project):
    project(CODE, [WHEEL])
    said, plan = verified()
    assert said.startswith("answers its example on Python")
    assert "with 1 package and nothing else" in said
    assert not plan.findings
    began = time.monotonic()
    verified()
    # Making the environment takes longer than this, so it was there already.
    assert (time.monotonic() - began) < 30
    assert len(list((project(CODE, []) / "cache/sageturner-magic/environments").iterdir())) == 1


def test_a_package_that_the_list_lacks_is_named_with_the_line_that_imports_it(project):
    project(CODE.replace("import thing", "import thing, numpy"), [WHEEL])
    with pytest.raises(CaptureError) as raised:
        sageturner.plan(verify=True)
    finding = raised.value.findings[0]
    assert finding.where == "sageturner.py:2"
    assert "No module named 'numpy'" in finding.why
    assert "install the package that has `numpy`" in finding.do
    assert "for an image by `python_packages`" in finding.do


def test_the_command_shows_it_as_a_fact_of_the_plan(project):
    project(CODE, [WHEEL])
    done = subprocess.run(
        [sys.executable, "-m", "sageturner_magic", "plan", "--verify"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "\nVerified   answers its example on Python" in done.stdout


def test_an_image_of_ones_own_has_nothing_to_verify(project, tmp_path):
    project(CODE, [])
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "sageturner.yaml").write_text(
        "name: own\ncontainer: {provide_container: {docker_dir: ./own}}\n"
    )
    from sageturner_magic.deployment.ingredients import Ingredients
    from sageturner_magic.deployment.plan import Plan
    from sageturner_magic.deployment.plans.verification import verified
    from sageturner_magic.verbs import requested

    asked = requested.request_for(None, "local", "provide")
    made = Ingredients(asked, asked.code.module()[0], None)
    plan = Plan("own", "local", "v", (), (), (), nullcontext, lambda: None, ingredients=made)
    with pytest.raises(UsageError, match="your own Dockerfile"):
        verified(plan, None)


BACKEND = """
import os, zipfile
from pathlib import Path

def build_wheel(folder, config_settings=None, metadata_directory=None):
    found = sorted(name for name in os.environ if name.startswith("AWS_"))
    found += [str(path) for path in Path.home().glob(".aws/*")]
    if found:
        raise SystemExit(f"the build can read {found}")
    name = "thing-1.0-py3-none-any.whl"
    with zipfile.ZipFile(Path(folder, name), "w") as wheel:
        wheel.writestr("thing.py", "version = 'built'")
        wheel.writestr("thing-1.0.dist-info/METADATA",
                       "Metadata-Version: 2.1\\nName: thing\\nVersion: 1.0\\n")
        wheel.writestr("thing-1.0.dist-info/WHEEL",
                       "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("thing-1.0.dist-info/RECORD", "")
    return name

def build_sdist(folder, config_settings=None):
    raise NotImplementedError
"""


def source_distribution(folder, backend=BACKEND):
    folder.mkdir()
    project = (
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "thing"\nversion = "1.0"\n'
    )
    with tarfile.open(folder / "thing-1.0.tar.gz", "w:gz") as archive:
        for name, text in {
            "pyproject.toml": project,
            "backend.py": backend,
            "PKG-INFO": "Metadata-Version: 2.2\nName: thing\nVersion: 1.0\n",
        }.items():
            entry = tarfile.TarInfo(f"thing-1.0/{name}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))


def test_a_source_distribution_is_built_without_credentials(project, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "do not read")
    home = tmp_path / "home"
    (home / ".aws").mkdir(parents=True)
    (home / ".aws" / "credentials").write_text("do not read")
    monkeypatch.setenv("HOME", str(home))
    source_distribution(tmp_path / "dist")
    project(CODE, ["--no-index --find-links ./dist thing==1.0"])
    assert "with 1 package" in verified()[0]


def test_a_package_that_cannot_be_built_is_told_with_what_the_build_said(project, tmp_path):
    source_distribution(
        tmp_path / "dist", BACKEND.replace("found = ", "raise SystemExit('no gcc')\n    found = ")
    )
    project(CODE, ["--no-index --find-links ./dist thing==1.0"])
    with pytest.raises(ImageError) as raised:
        sageturner.plan(verify=True)
    assert "no gcc" in raised.value.report()
