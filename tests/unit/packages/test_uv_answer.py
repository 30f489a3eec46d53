"""uv's lock and its notes, read into packages, without uv."""

from __future__ import annotations

from pathlib import Path

import pytest

from sageturner_magic.errors import ImageError
from sageturner_magic.packages.pip_arguments import parse_pip_arguments
from sageturner_magic.packages.requirements import Requirements, Target
from sageturner_magic.packages.uv_answer import read_answer

LOCK = f"""
lock-version = "1.0"
created-by = "uv"

[[packages]]
name = "small"
version = "1.5"

[[packages.wheels]]
url = "https://files.example.org/small-1.5-py3-none-any.whl"
size = 1234
hashes = {{ sha256 = "{"a" * 64}" }}

[[packages]]
name = "Model.Tools"

[packages.archive]
url = "https://ann:s3cret@private.example.org/files/model_tools-2.1-py3-none-any.whl"
hashes = {{ sha256 = "{"b" * 64}" }}
"""

NOTES = """\
model-tools==2.1
    # via -r requirements.in
    # from https://ann:s3cret@private.example.org/simple
small==1.5
    # via
    #   -r requirements.in
    #   model-tools
    # from https://bob:hidden@index.example.org/simple
"""


def read(folder: Path, *entries: str) -> Requirements:
    return read_answer(LOCK, NOTES, parse_pip_arguments(entries, folder), Target("3.12"))


@pytest.fixture(autouse=True)
def no_netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    monkeypatch.setenv("HOME", str(tmp_path))


def test_lock_and_notes_are_put_together_by_the_packages_normal_name(tmp_path: Path) -> None:
    tools, small = read(tmp_path).packages
    assert (tools.name, tools.version, small.version) == ("model-tools", "2.1", "1.5")
    assert (tools.needed_by, small.needed_by) == ((), ("model-tools",))
    assert (tools.size, small.size) == (0, 1234)
    assert small.index == "https://index.example.org/simple"
    assert tools.direct and small.direct


def test_credentials_of_addresses_are_left_out(tmp_path: Path) -> None:
    found = read(tmp_path)
    assert "s3cret" not in repr(found) + found.text()
    assert "hidden" not in repr(found) + found.text()


def test_what_an_index_with_credentials_offers_is_handed_over(tmp_path: Path) -> None:
    private = "--extra-index-url https://ann:s3cret@private.example.org/simple"
    public = "--extra-index-url https://index.example.org/simple"
    assert read(tmp_path).handed_over == ()
    found = read(tmp_path, private, public)
    assert [package.name for package in found.handed_over] == ["model-tools"]
    assert found.extra_indexes == ("https://index.example.org/simple",)


def test_a_file_that_the_users_hashes_do_not_allow_is_refused(tmp_path: Path) -> None:
    (tmp_path / "good.txt").write_text(f"small==1.5 --hash=sha256:{'a' * 64}\n")
    (tmp_path / "bad.txt").write_text(f"small==1.5 --hash=sha256:{'0' * 64}\n")
    assert read(tmp_path, "-r good.txt") == read(tmp_path)
    with pytest.raises(ImageError, match="not one that --hash allows"):
        read(tmp_path, "-r bad.txt")
