"""Modules beside the notebook are copied with all that they import from there."""

import importlib
import sys
from pathlib import Path

import pytest

from sageturner_magic.errors import CaptureError

from .helpers import Session


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is first on the path, as the notebook's is; its modules are forgotten after."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        module = sys.modules[name]
        places = [str(getattr(module, "__file__", "")), *getattr(module, "__path__", ())]
        # Libraries stay: NumPy cannot be loaded twice.
        if any(each.startswith(str(tmp_path)) for each in places):
            del sys.modules[name]


def write(folder: Path, **files: str) -> None:
    for name, content in files.items():
        path = folder / f"{name.replace('_in_', '/').replace('INIT', '__init__')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    importlib.invalidate_caches()


def capture(source: str) -> Session:
    session = Session()
    session.run(source)
    session.pair(load="def load():\n    return my_utils")
    return session


def test_a_module_is_copied_and_its_own_imports_count(beside):
    write(beside, my_utils="import json\nimport numpy\ndef f(): return json", other="x = 1")
    module = capture("import my_utils").notebook.module("digits")
    assert [file.path for file in module.files] == ["sageturner.py", "my_utils.py"]
    assert module.imports == ("json", "numpy")


def test_modules_of_modules_and_whole_packages_are_copied(beside):
    write(
        beside,
        my_utils="from pkg.deep import thing",
        pkg_in_INIT="",
        pkg_in_deep="from . import shared\nthing = 1",
        pkg_in_shared="import more",
        more="y = 2",
    )
    (beside / "pkg/words.txt").write_text("a b")
    (beside / "pkg/.env").write_text("X=1")
    module = capture("import my_utils").notebook.module("digits")
    assert [file.path for file in module.files] == [
        "sageturner.py",
        "more.py",
        "my_utils.py",
        "pkg/__init__.py",
        "pkg/deep.py",
        "pkg/shared.py",
        "pkg/words.txt",
    ]


def test_local_imports_stand_after_all_others(beside):
    write(beside, my_utils="")
    session = Session()
    session.run("import my_utils, json\nimport numpy as np")
    session.pair(load="def load():\n    return my_utils, json, np")
    source = session.notebook.module("digits").source
    assert "import json\n\nimport numpy as np\n\nimport my_utils\n" in source


def test_a_module_that_was_changed_after_its_import_is_refused(beside):
    write(beside, my_utils="def f():\n    return 1\n")
    session = capture("import my_utils")
    assert session.notebook.module("digits")
    write(beside, my_utils="def f():\n    return 2\n")
    with pytest.raises(CaptureError, match=r"my_utils.py was changed after the notebook"):
        session.notebook.module("digits")


def test_a_module_that_is_imported_inside_a_function_is_copied(beside):
    write(beside, my_utils="x = 1")
    session = Session()
    session.pair(load="def load():\n    import my_utils\n    return my_utils.x")
    assert "my_utils.py" in [file.path for file in session.notebook.module("digits").files]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("def f(:", "Python cannot read my_utils.py"),
        ("api_key = 'k3y-0f-all-k3ys'", "The code holds a value for `api_key`"),
    ],
)
def test_a_local_module_that_cannot_be_shipped_is_refused_with_its_line(beside, content, expected):
    write(beside, my_utils="")
    session = capture("import my_utils")
    write(beside, my_utils=content)
    with pytest.raises(CaptureError) as raised:
        session.notebook.module("digits")
    assert expected in str(raised.value)
    assert f"{beside}/my_utils.py:1" in str(raised.value)


def test_compiled_modules_are_refused(beside):
    write(beside, my_utils="def f():\n    import fast")
    (beside / "fast.so").write_bytes(b"\x7fELF")
    with pytest.raises(CaptureError, match="`fast` is compiled for this machine"):
        capture("import my_utils").notebook.module("digits")


def test_secrets_in_data_beside_the_code_are_warnings_and_credentials_stay_here(beside):
    write(beside, my_utils="from pkg import x", pkg_in_INIT="x = 1")
    (beside / "pkg/settings.ini").write_text("[a]\ntoken = ghp_" + 36 * "a")
    (beside / "pkg/key.pem").write_text("x")
    module, found = capture("import my_utils").notebook.module_and_notes("digits")
    assert [file.path for file in module.files][1:] == [
        "my_utils.py",
        "pkg/__init__.py",
        "pkg/settings.ini",
    ]
    assert [(each.severity, each.where) for each in found] == [
        ("note", str(beside / "pkg")),
        ("warning", f"{beside / 'pkg/settings.ini'}:2"),
    ]
