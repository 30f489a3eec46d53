"""`python_packages: auto` finds what serves the model, at the notebook's versions, and no more."""

import decimal
import gzip
import importlib.metadata
import json
import pickle
import shutil
import sys
import zipfile
from decimal import Decimal
from pathlib import Path

import joblib
import numpy as np
import pytest

from sageturner_magic.errors import CaptureError
from sageturner_magic.packages.needed.distributions import providers
from sageturner_magic.packages.needed.needed import needed_packages
from sageturner_magic.packages.needed.pickles import modules_in, scikit_learn_of
from sageturner_magic.packages.needed.plugins import plugins_of
from sageturner_magic.values import Artefact, CapturedModule, SourceFile


def module(source: str, **beside: str) -> CapturedModule:
    files = [SourceFile("sageturner.py", source.encode())]
    files += [SourceFile(f"{name}.py", text.encode()) for name, text in beside.items()]
    return CapturedModule("In[1]", tuple(files))


def lines(source: str, tmp_path: Path, artefact: Artefact | None = None, **beside: str):
    return [each.line for each in needed_packages(module(source, **beside), artefact)]


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


def test_what_is_installed_or_removed_in_the_meantime_is_seen(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    _distribution(tmp_path, "first", ["one/__init__.py", "with,comma.py", "two.py", "data/x-y.txt"])
    assert {"one", "two", "data"} <= providers().keys()
    _distribution(tmp_path, "second", ["one/more.py", "native.cpython-311-x86_64-linux-gnu.so"])
    assert (providers()["one"], providers()["native"]) == (["first", "second"], ["second"])
    for folder in tmp_path.glob("first*"):
        shutil.rmtree(folder)
    assert (providers()["one"], providers().get("two")) == (["second"], None)


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


def test_an_editable_install_is_named_by_its_folder(tmp_path, monkeypatch):
    project = tmp_path / "my project"
    (project / "mine").mkdir(parents=True)
    (project / "mine/__init__.py").write_text("")
    direct = {"url": project.as_uri(), "dir_info": {"editable": True}}
    _distribution(tmp_path, "mine", [], **{"direct_url.json": json.dumps(direct)})
    monkeypatch.syspath_prepend(str(tmp_path))
    assert lines("import mine", tmp_path) == [f"'{project}'"]
    shutil.rmtree(project)
    (tmp_path / "mine-1.0.dist-info/top_level.txt").write_text("mine")
    with pytest.raises(CaptureError, match="which is not there any more"):
        lines("import mine", tmp_path)


def test_a_project_in_a_folder_of_a_repository_keeps_that_folder(tmp_path, monkeypatch):
    direct = {
        "url": "https://x.org/y.git",
        "vcs_info": {"vcs": "git", "commit_id": "abc"},
        "subdirectory": "python",
    }
    _distribution(tmp_path, "mine", ["mine/__init__.py"], **{"direct_url.json": json.dumps(direct)})
    monkeypatch.syspath_prepend(str(tmp_path))
    assert lines("import mine", tmp_path) == [
        "mine @ git+https://x.org/y.git@abc#subdirectory=python"
    ]


def test_what_conda_installed_is_asked_for_as_a_release(tmp_path, monkeypatch):
    direct = {"url": "file:///home/conda/feedstock_root/build_artifacts/mine/work"}
    texts = {"direct_url.json": json.dumps(direct), "INSTALLER": "conda\n"}
    _distribution(tmp_path, "mine", ["mine/__init__.py"], **texts)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert lines("import mine", tmp_path) == ["mine==1.0"]


def test_a_module_that_only_a_conda_package_has_is_refused_by_that_name(tmp_path, monkeypatch):
    (tmp_path / "conda-meta").mkdir()
    record = {"name": "graph-tool", "files": ["lib/python3.11/site-packages/graph_tool/all.py"]}
    (tmp_path / "conda-meta/graph-tool-2.7-py311.json").write_text(json.dumps(record))
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    with pytest.raises(CaptureError) as raised:
        lines("import graph_tool.all", tmp_path)
    assert "`graph_tool` is in the conda package `graph-tool`" in str(raised.value)


EXTRAS = """Provides-Extra: fast
Provides-Extra: http
Provides-Extra: all
Requires-Dist: baseline
Requires-Dist: fastloop >=1; extra == "fast"
Requires-Dist: httplib; extra == "http"
Requires-Dist: fastloop; extra == "all"
Requires-Dist: httplib; extra == "all"
"""


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import acme", ["acme==1.0"]),
        ("import acme.plain", ["acme==1.0"]),
        ("import acme.guarded", ["acme==1.0"]),
        ("from acme import loop", ["acme[fast]==1.0", "fastloop==1.0"]),
        ("import acme.through", ["acme[fast]==1.0", "fastloop==1.0"]),
        ("import acme.strict", ["acme[http]==1.0", "httplib==1.0"]),
        (
            "from acme import loop, strict",
            ["acme[fast,http]==1.0", "fastloop==1.0", "httplib==1.0"],
        ),
    ],
)
def test_an_extra_is_asked_for_where_what_is_imported_needs_it(
    source, expected, tmp_path, monkeypatch
):
    strict = "try:\n    import httplib\nexcept ImportError as e:\n    raise ImportError from e\n"
    files = {
        "acme/__init__.py": "",
        "acme/plain.py": "import baseline",
        "acme/guarded.py": "try:\n    import fastloop\nexcept ImportError:\n    fastloop = None\n",
        "acme/loop.py": "import fastloop",
        "acme/through.py": "from . import plain\nfrom .loop import fastloop",
        "acme/strict.py": strict,
    }
    _distribution(tmp_path, "acme", list(files))
    for path, text in files.items():
        (tmp_path / path).write_text(text)
    metadata = tmp_path / "acme-1.0.dist-info/METADATA"
    metadata.write_text(metadata.read_text() + EXTRAS)
    for other in ("fastloop", "httplib", "baseline"):
        _distribution(tmp_path, other, [f"{other}.py"])
    monkeypatch.syspath_prepend(str(tmp_path))
    assert lines(source, tmp_path) == expected


@pytest.mark.parametrize(
    ("package", "code", "plugin"),
    [
        ("sqlalchemy", "e = sqlalchemy.create_engine('postgresql://h/db')", "psycopg2"),
        ("spacy", "nlp = spacy.load('en_core_web_sm')", "en_core_web_sm"),
        ("sklearn", "p.set_output(transform='pandas')", "pandas"),
        ("polars", "polars.DataFrame().to_pandas()", "pyarrow"),
        ("networkx", "networkx.pagerank(g)", "scipy"),
    ],
)
def test_a_plugin_that_is_needed_but_not_imported_is_found(package, code, plugin):
    installed = {package, plugin}
    assert list(plugins_of({package}, code, installed)) == [(plugin, package)]
    assert list(plugins_of({package}, "x = 1", installed)) == []
    assert list(plugins_of(set(), code, installed)) == []


def test_of_several_plugins_the_one_that_the_notebook_has_loaded_is_taken(monkeypatch):
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    monkeypatch.setitem(sys.modules, "jax", sys)
    assert list(plugins_of({"keras"}, "", {"tensorflow", "jax"})) == [("jax", "keras")]
    monkeypatch.delitem(sys.modules, "jax")
    assert list(plugins_of({"keras"}, "", {"tensorflow", "jax"})) == [("tensorflow", "keras")]


def test_the_schema_of_a_skops_file_tells_what_it_needs(tmp_path):
    schema = {
        "__class__": "Pipeline",
        "__module__": "sklearn.pipeline",
        "content": [{"__class__": "dict", "__module__": "builtins"}, {"__module__": "numpy"}],
    }
    with zipfile.ZipFile(tmp_path / "m.skops", "w") as archive:
        archive.writestr("schema.json", json.dumps(schema))
    assert modules_in(tmp_path / "m.skops") == {"sklearn.pipeline", "numpy"}
    (tmp_path / "odd.skops").write_bytes(b"no zip")
    assert modules_in(tmp_path / "odd.skops") == frozenset()


@pytest.mark.parametrize("name", ["m.sav", "m.model", "m.joblib.gz", "m.cpkl", "m", "m.pkl"])
def test_a_pickle_is_known_by_its_bytes_whatever_its_name(tmp_path, name):
    packed = pickle.dumps(decimal.Decimal(1))
    (tmp_path / name).write_bytes(gzip.compress(packed) if name.endswith(".gz") else packed)
    assert "decimal" in modules_in(tmp_path / name)


@pytest.mark.parametrize(
    "content", [b"x^2 + y", b"cos\nsystem\n", b"\x1f\x8bno gzip", b"PK\x05\x06"]
)
def test_what_is_no_pickle_refers_to_nothing(tmp_path, content):
    (tmp_path / "m.txt").write_bytes(content)
    assert modules_in(tmp_path / "m.txt") == frozenset()
    assert scikit_learn_of(tmp_path / "m.txt") == ""


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_the_version_of_scikit_learn_is_read_from_the_bytes(tmp_path, protocol):
    sklearn = pytest.importorskip("sklearn")
    from sklearn.linear_model import LinearRegression

    model = {"a": LinearRegression().fit([[0.0], [1.0]], [0, 1])}
    (tmp_path / "m.sav").write_bytes(pickle.dumps(model, protocol=protocol))
    assert scikit_learn_of(tmp_path / "m.sav") == sklearn.__version__


def test_what_only_type_checkers_import_is_not_needed():
    code = (
        "import typing\nif typing.TYPE_CHECKING:\n    import pandas\nelse:\n    import joblib\n"
        "if joblib:\n    import numpy\n"
    )
    module = CapturedModule("In[1]", (SourceFile("sageturner.py", code.encode()),))
    assert [each.name for each in needed_packages(module, None)] == ["joblib", "numpy"]
