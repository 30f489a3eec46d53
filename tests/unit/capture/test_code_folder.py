"""A folder of code is shipped as it lies, but for what should never leave the machine."""

import os
from pathlib import Path

import pytest

from sageturner_magic.capture.code_folder import from_folder
from sageturner_magic.errors import CaptureError

CODE = "import json\nimport helpers\ndef load(): ...\ndef predict(model, request): ...\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "code"
    root.mkdir()
    (root / "sageturner.py").write_text(CODE)
    return root


def put(folder: Path, *paths: str) -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("x = 1\n")


def shipped(folder: Path) -> list[str]:
    return [file.path for file in from_folder(folder)[0].files]


def notes(folder: Path) -> str:
    return "\n".join(str(note) for note in from_folder(folder)[1])


def test_everything_is_shipped_with_sageturner_py_first(folder):
    put(folder, "config.json", "a.py", "pkg/__init__.py", "pkg/data.txt")
    assert shipped(folder) == [
        "sageturner.py",
        "a.py",
        "config.json",
        "pkg/__init__.py",
        "pkg/data.txt",
    ]
    assert notes(folder) == ""


def test_files_are_named_and_not_read(folder):
    put(folder, "big.bin")
    assert from_folder(folder)[0].files[1].content == folder / "big.bin"


SECRETS = [".env", ".env.local", "a/.env", "key.pem", "a/b/id_rsa", ".aws/credentials", ".netrc"]


@pytest.mark.parametrize("path", [*SECRETS, ".git/config", "a/.git/config", "n.ipynb"])
def test_credentials_histories_and_notebooks_stay_here_and_that_is_said(folder, path):
    put(folder, path)
    assert shipped(folder) == ["sageturner.py"]
    assert path.removesuffix("/config").removesuffix("/credentials") in notes(folder)
    assert all(note.severity == "note" for note in from_folder(folder)[1])


def test_virtual_environments_are_known_by_their_marker_whatever_their_name(folder):
    put(folder, "env311/pyvenv.cfg", "env311/lib/x.py", ".venv/lib/y.py")
    assert shipped(folder) == ["sageturner.py"]
    assert "env311/" in notes(folder)


def test_caches_are_left_out_without_a_word(folder):
    put(folder, "__pycache__/a.pyc", "a/__pycache__/b.pyc", ".pytest_cache/x")
    assert shipped(folder) == ["sageturner.py"]
    assert notes(folder) == ""


def test_dockerignore_is_honoured_and_can_bring_back(folder):
    put(folder, "data/a.csv", "data/b.csv", "logs/x.log", "deep/a/x.log", ".env.example")
    put(folder, "deep/.git/config")
    (folder / ".dockerignore").write_text("# no data\ndata\n!data/b.csv\n**/*.log\n!.env.example\n")
    assert shipped(folder) == ["sageturner.py", ".env.example", "data/b.csv"]


def test_links_inside_are_followed_and_links_out_are_not(folder, tmp_path):
    put(folder, "real/a.txt")
    put(tmp_path, "outside/secret.txt")
    (folder / "inside.txt").symlink_to("real/a.txt")
    (folder / "out").symlink_to(tmp_path / "outside")
    (folder / "out.txt").symlink_to(tmp_path / "outside/secret.txt")
    (folder / "dangling").symlink_to("nowhere")
    (folder / "real/up").symlink_to("..")
    assert shipped(folder) == ["sageturner.py", "inside.txt", "real/a.txt"]
    for name in ("out", "out.txt", "dangling", "real/up"):
        assert name in notes(folder)


def test_sockets_and_pipes_are_left_out(folder):
    os.mkfifo(folder / "pipe")
    assert shipped(folder) == ["sageturner.py"]
    assert "pipe" in notes(folder)


def test_imports_are_those_of_the_code_and_of_the_modules_beside_it(folder):
    put(folder, "unused.py")
    (folder / "unused.py").write_text("import pandas")
    (folder / "helpers.py").write_text("import numpy.linalg\nfrom deep.er import x")
    put(folder, "deep/er.py")
    (folder / "deep/er.py").write_text("def f():\n    import torch")
    assert from_folder(folder)[0].imports == ("json", "numpy", "torch")


def test_the_digest_follows_contents_and_names(folder):
    put(folder, "a.txt")
    before = from_folder(folder)[0].digest()
    assert from_folder(folder)[0].digest() == before
    (folder / "a.txt").rename(folder / "b.txt")
    assert from_folder(folder)[0].digest() != before


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"sageturn.py": CODE}, "rename `sageturn.py` to sageturner.py"),
        ({"src/sageturner.py": CODE}, "point `code_dir` to `src`"),
        ({"main.txt": ""}, "write sageturner.py with load()"),
        ({"sageturner.py": "def load(): ..."}, "No function predict is defined"),
        ({"sageturner.py": "def load(:"}, "sageturner.py:1"),
        ({"sageturner.py": "\n\ndef load(a, b): ...\nfrom m import predict"}, "sageturner.py:3"),
        ({"sageturner.py": "def load(): ...\ndef predict(a): ..."}, "takes 1"),
    ],
)
def test_a_folder_that_cannot_serve_is_refused(tmp_path, files, expected):
    for path, content in files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(content)
    with pytest.raises(CaptureError) as raised:
        from_folder(tmp_path)
    assert expected in str(raised.value)


def test_functions_may_come_from_elsewhere(tmp_path):
    (tmp_path / "sageturner.py").write_text("from model import load, predict")
    (tmp_path / "model.py").write_text("import json")
    assert from_folder(tmp_path)[0].imports == ("json",)


def test_a_main_block_is_no_reason_to_refuse(tmp_path):
    (tmp_path / "sageturner.py").write_text(CODE + "if __name__ == '__main__':\n    load()\n")
    assert from_folder(tmp_path)


def test_a_folder_that_is_not_there_is_refused_with_a_near_name(tmp_path):
    (tmp_path / "generate-container").mkdir()
    with pytest.raises(CaptureError, match="did you mean `generate-container`"):
        from_folder(tmp_path / "generate_container")


def test_a_module_that_is_not_text_is_refused(tmp_path):
    (tmp_path / "sageturner.py").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CaptureError, match="not UTF-8"):
        from_folder(tmp_path)


def test_folders_deeper_than_anybody_makes_them_are_named(folder):
    put(folder, "a/" * 250 + "b.py")
    with pytest.raises(CaptureError, match="more than 200 folders deep"):
        from_folder(folder)


def test_names_that_are_not_utf_8_are_files_like_others(folder):
    name = os.fsdecode(b"\xff.bin")
    put(folder, name)
    assert name in shipped(folder)
    assert from_folder(folder)[0].digest()


def test_a_secret_in_any_text_of_the_folder_is_a_warning_that_does_not_show_it(folder):
    key = "AKIA" + "IOSFODNN7EXAMPLE"
    (folder / "settings.json").write_text('{"a": 1,\n "key": "' + key + '"}')
    (folder / "service-account-1.json").write_text("{}")
    (folder / "prod.env").write_text("A=1")
    module, found = from_folder(folder)
    assert {"prod.env", "service-account-1.json"}.isdisjoint(file.path for file in module.files)
    (warning,) = [note for note in found if note.severity == "warning"]
    assert warning.where == f"{folder / 'settings.json'}:2"
    assert key not in str(warning) and "environment:" not in warning.do


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Makefile", "run:\n\tcurl -H 'x: {key}'\n"),
        ("notes.md", "Use\n{key} for tests\n"),
        ("train.R", "# a\nkey <- '{key}'\n"),
        ("app.yaml", "a: b\ndb-password: hunter22hunter\n"),
        ("app.properties", "a=b\nspring.datasource.password=hunter22hunter\n"),
        ("run.sh", "set -e\nexport API_TOKEN='a1b2c3d4e5'\n"),
    ],
)
def test_every_text_file_is_searched_whatever_it_is_called(folder, name, text):
    (folder / name).write_text(text.format(key="ghp_" + 36 * "a"))
    (warning,) = from_folder(folder)[1]
    assert (warning.severity, warning.where) == ("warning", f"{folder / name}:2")
    assert "hunter22" not in str(warning) and 36 * "a" not in str(warning)


@pytest.mark.parametrize(
    "content",
    [
        b"\x7fELF\0" + b"ghp_" + 36 * b"a",
        b"token: ${HF_TOKEN}\npad_token: <pad>\npassword: changeme\n",
        b"max_tokens: 512\ntoken_type: bearer\nsecret: prod/model\n",
        b'{"eos_token": "<|endoftext|>", "token_count": 12345678}',
    ],
)
def test_settings_without_a_secret_and_binary_files_are_left_alone(folder, content):
    (folder / "file").write_bytes(content)
    assert from_folder(folder)[1] == []
