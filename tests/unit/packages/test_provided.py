"""An import that no package of the image has is found before the image is built."""

import importlib.metadata
from pathlib import Path

from sageturner_magic.capture.code_folder import from_folder
from sageturner_magic.packages.files import FileStore
from sageturner_magic.packages.provided import unprovided
from sageturner_magic.packages.requirements import Package, Requirements, Target
from tests.parts.recorder import Recorder

from .test_libraries import wheel

CODE = """
import numpy as np
try:
    import optional_one
except ImportError:
    optional_one = None
import helper
def load(): ...
def predict(model, request):
    import yaml
    return request
"""


def code(folder: Path) -> Path:
    made = folder / "code"
    made.mkdir()
    (made / "sageturner.py").write_text(CODE)
    (made / "helper.py").write_text("import json, cv2\n")
    (made / "train.py").write_text("import never_reached\n")
    return made


def found(folder: Path, *packages: Package) -> dict[str, tuple[str, bool, str]]:
    module, _ = from_folder(folder / "code")
    requirements = Requirements(Target("3.12"), packages)
    missing = unprovided(module, requirements, FileStore(folder / "store"), Recorder())
    return {each.module: (each.where, each.always, each.package) for each in missing}


def listed(name: str) -> Package:
    url = f"https://127.0.0.1:9/{name}-1-py3-none-any.whl"
    return Package(name, "1", url, "0" * 64, "", True)


def test_what_is_imported_and_not_listed_is_found_with_its_line(tmp_path):
    folder = code(tmp_path)
    assert found(tmp_path, listed("numpy")) == {
        "cv2": (f"{folder / 'helper.py'}:1", False, ""),
        "yaml": (
            f"{folder / 'sageturner.py'}:10",
            False,
            f"PyYAML=={importlib.metadata.version('pyyaml')}",
        ),
    }


def test_an_import_that_always_runs_is_told_from_others(tmp_path):
    folder = code(tmp_path)
    assert found(tmp_path)["numpy"] == (
        f"{folder / 'sageturner.py'}:2",
        True,
        f"numpy=={importlib.metadata.version('numpy')}",
    )


def test_a_package_of_another_name_is_looked_into(tmp_path):
    code(tmp_path)
    head = wheel(tmp_path, "opencv_headless", **{"cv2/cv2.abi3.so": b"", "x.dist-info/RECORD": b""})
    assert found(tmp_path, listed("numpy"), listed("PyYAML"), head) == {}


def test_nothing_is_said_where_a_package_is_not_known(tmp_path):
    code(tmp_path)
    assert found(tmp_path, listed("numpy"), listed("not-installed-here")) == {}
