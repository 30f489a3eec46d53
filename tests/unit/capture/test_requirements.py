"""`python_packages: auto` finds what serves the model, at the notebook's versions, and no more."""

import importlib.metadata
import json
import pickle
from decimal import Decimal
from pathlib import Path

import joblib
import numpy as np
import pytest

from sageturner_magic.capture import requirements
from sageturner_magic.capture.pickles import modules_in
from sageturner_magic.capture.requirements import needed_packages, without_credentials
from sageturner_magic.errors import CaptureError
from sageturner_magic.values import Artefact, CapturedModule, SourceFile


def module(source: str, **beside: str) -> CapturedModule:
    files = [SourceFile("sageturner.py", source.encode())]
    files += [SourceFile(f"{name}.py", text.encode()) for name, text in beside.items()]
    return CapturedModule("In[1]", tuple(files))


def lines(source: str, tmp_path: Path, artefact: Artefact | None = None, **beside: str):
    return [each.line for each in needed_packages(module(source, **beside), artefact, tmp_path)]


def pin(name: str) -> str:
    return f"{name}=={importlib.metadata.version(name)}"


@pytest.mark.parametrize(
    "source",
    [
        "import numpy as np",
        "import numpy.linalg",
        "from numpy import array",
        "def load():\n    import numpy",
        "import importlib\nnumpy = importlib.import_module('numpy')",
        "numpy = __import__('numpy')",
        "try:\n    import numpy\nexcept ImportError:\n    numpy = None",
    ],
)
def test_an_import_is_pinned_to_the_version_of_the_notebook(source, tmp_path):
    assert lines(source, tmp_path) == [pin("numpy")]


@pytest.mark.parametrize(
    "source",
    [
        "import json, os.path\nfrom collections import abc",
        "try:\n    import cupy_is_not_here\nexcept ImportError:\n    pass",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import not_here",
        "import helper\nfrom helper import x",
    ],
)
def test_what_needs_no_package_adds_none(source, tmp_path):
    assert lines(source, tmp_path, helper="x = 1") == []


def test_modules_beside_the_code_count_too(tmp_path):
    assert lines("import helper", tmp_path, helper="import numpy") == [pin("numpy")]


def test_an_import_that_is_not_installed_is_refused_by_name(tmp_path):
    with pytest.raises(CaptureError) as raised:
        lines("import not_here_one\nimport not_here_two", tmp_path)
    assert "No package is known that has `not_here_one`" in str(raised.value)
    assert len(raised.value.findings) == 2


def test_the_module_of_a_namespace_package_is_told_from_its_neighbours(tmp_path, monkeypatch):
    _distribution(tmp_path, "acme-storage", ["acme/storage/__init__.py"])
    _distribution(tmp_path, "acme-vision", ["acme/vision/__init__.py"])
    monkeypatch.syspath_prepend(str(tmp_path))
    assert lines("from acme import vision", tmp_path) == ["acme-vision==1.0"]
    assert lines("import acme.storage.client", tmp_path) == ["acme-storage==1.0"]


def _distribution(folder: Path, name: str, files: list[str], version="1.0", **texts: str) -> None:
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "RECORD").write_text("".join(f"{file},,\n" for file in files))
    for path, text in texts.items():
        (info / path).write_text(text)
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text("")


def test_a_build_of_torch_brings_its_index(tmp_path, monkeypatch):
    _distribution(tmp_path, "torch", ["torch/__init__.py"], version="2.9.0+cpu")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert lines("import torch", tmp_path) == [
        "--extra-index-url https://download.pytorch.org/whl/cpu torch==2.9.0+cpu"
    ]


def test_a_private_build_is_refused(tmp_path, monkeypatch):
    _distribution(tmp_path, "mine", ["mine/__init__.py"], version="1.0+me")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(CaptureError, match="is a build that no public index has"):
        lines("import mine", tmp_path)


def test_an_install_from_git_keeps_its_commit(tmp_path, monkeypatch):
    direct = {"url": "https://x.org/y.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}}
    _distribution(tmp_path, "mine", ["mine/__init__.py"])
    info = tmp_path / "mine-1.0.dist-info"
    (info / "direct_url.json").write_text(json.dumps(direct))
    monkeypatch.syspath_prepend(str(tmp_path))
    assert lines("import mine", tmp_path) == ["mine @ git+https://x.org/y.git@abc"]


def test_pandas_brings_the_engine_that_the_code_uses(tmp_path, monkeypatch):
    _distribution(tmp_path, "pyarrow", ["pyarrow/__init__.py"])
    monkeypatch.syspath_prepend(str(tmp_path))
    assert lines("import pandas", tmp_path) == [pin("pandas")]
    found = lines("import pandas\ndef load(p):\n    return pandas.read_parquet(p)", tmp_path)
    assert found == [pin("pandas"), "pyarrow==1.0"]


def artefact_of(folder: Path) -> Artefact:
    return Artefact(folder, "", 0, 1)


@pytest.mark.parametrize("compress", [0, 3, ("gzip", 3), ("bz2", 3), ("xz", 3)])
def test_a_joblib_file_tells_what_it_needs_without_being_loaded(tmp_path, compress):
    joblib.dump({"x": np.arange(10000), "d": Decimal(1)}, tmp_path / "m.joblib", compress=compress)
    found = modules_in(tmp_path / "m.joblib")
    assert {"decimal", "joblib.numpy_pickle", "numpy"} <= found
    source = "import joblib\ndef load(d):\n    return joblib.load(d)"
    assert pin("numpy") in lines(source, tmp_path / "s", artefact_of(tmp_path))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_protocol_of_pickle_is_read(tmp_path, protocol):
    (tmp_path / "m.pkl").write_bytes(pickle.dumps([np.float64(1), Decimal(2)], protocol=protocol))
    assert "decimal" in modules_in(tmp_path / "m.pkl")
    assert any(name.startswith("numpy") for name in modules_in(tmp_path / "m.pkl"))


def test_a_pickle_that_would_do_harm_is_only_read(tmp_path):
    class Harm:
        def __reduce__(self):
            return Path.touch, (tmp_path / "harm",)

    (tmp_path / "m.pkl").write_bytes(pickle.dumps(Harm()))
    assert modules_in(tmp_path / "m.pkl")
    assert not (tmp_path / "harm").exists()


def test_noise_is_no_module(tmp_path):
    (tmp_path / "m.pkl").write_bytes(bytes(range(256)) * 5000)
    assert lines("x = 1", tmp_path / "s", artefact_of(tmp_path)) == []


def test_a_build_sees_no_credentials():
    environment = {"AWS_SECRET_ACCESS_KEY": "x", "aws_profile": "y", "PATH": "/bin"}
    assert without_credentials(environment) == {"PATH": "/bin"}


def test_an_editable_install_is_found_and_built_into_a_wheel(tmp_path, monkeypatch):
    project = tmp_path / "project"
    (project / "mine").mkdir(parents=True)
    (project / "mine/__init__.py").write_text("")
    direct = {"url": project.as_uri(), "dir_info": {"editable": True}}
    _distribution(tmp_path, "mine", [])
    (tmp_path / "mine-1.0.dist-info/direct_url.json").write_text(json.dumps(direct))
    monkeypatch.syspath_prepend(str(tmp_path))
    built = tmp_path / "mine-1.0-py3-none-any.whl"
    asked: list[tuple[str, Path]] = []

    def build(name: str, source: Path, staging: Path) -> Path:
        asked.append((name, source))
        return built

    monkeypatch.setattr(requirements, "build_wheel", build)
    assert lines("import mine", tmp_path) == [str(built)]
    assert asked == [("mine", project)]
