"""Reading from a file: what is named is what is read, or it is said why not."""

from pathlib import Path

import pytest

from sageturner_magic.config import read_config
from sageturner_magic.errors import ConfigError, Finding


def finding(path: Path) -> Finding:
    with pytest.raises(ConfigError) as caught:
        read_config(path)
    (only,) = caught.value.findings
    return only


def test_paths_are_relative_to_the_file_and_places_name_it_as_given(tmp_path, monkeypatch):
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "sageturner.yaml").write_text("name: x\nartefact: ../model\n")
    monkeypatch.chdir(tmp_path)
    config = read_config(Path("conf/sageturner.yaml"))
    assert config.resolve("../model") == tmp_path / "conf" / ".." / "model"
    assert config.where("artefact") == "conf/sageturner.yaml:2:11"


def test_a_byte_order_mark_and_windows_line_ends_do_not_matter(tmp_path):
    file = tmp_path / "sageturner.yaml"
    file.write_bytes("\ufeffname: x\r\ntags: {a: ü}\r\n".encode())
    config = read_config(file)
    assert config.tags == {"a": "ü"}
    assert config.where("tags").endswith(":2:1")


def test_a_missing_file_comes_with_the_ones_that_are_there(tmp_path):
    (tmp_path / "sageturner.yaml").write_text("name: x")
    found = finding(tmp_path / "sagetuner.yml")
    assert "does not exist" in found.what
    assert str(tmp_path / "sageturner.yaml") in found.do


def test_a_missing_file_in_an_empty_or_missing_folder_leads_to_init(tmp_path):
    assert "`init`" in finding(tmp_path / "sageturner.yaml").do
    assert "`init`" in finding(tmp_path / "nowhere" / "sageturner.yaml").do


def test_a_directory_leads_to_the_file_in_it(tmp_path):
    assert "`init`" in finding(tmp_path).do
    (tmp_path / "a.yml").write_text("name: x")
    assert str(tmp_path / "a.yml") in finding(tmp_path).do
    (tmp_path / "sageturner.yaml").write_text("name: x")
    assert str(tmp_path / "sageturner.yaml") in finding(tmp_path).do


def test_a_large_file_is_not_read(tmp_path):
    file = tmp_path / "model.bin"
    with file.open("wb") as out:
        out.truncate(5_000_000_000)
    found = finding(file)
    assert "5000.0 MB" in found.what
    assert "sageturner.yaml" in found.do


def test_a_file_without_end_is_not_read_to_its_end():
    assert "MB large" in finding(Path("/dev/zero")).what


def test_text_in_another_encoding_is_refused_with_its_line(tmp_path):
    file = tmp_path / "sageturner.yaml"
    file.write_bytes("name: x\ntags: {a: ü}\n".encode("latin-1"))
    found = finding(file)
    assert "UTF-8" in found.what
    assert "line 2" in found.why


def test_an_archive_in_place_of_the_configuration_is_recognised(tmp_path):
    file = tmp_path / "model.tar.gz"
    file.write_bytes(b"\x1f\x8b\x08\x00rest")
    assert f"artefact: {file}" in finding(file).do


def test_a_path_that_cannot_be_a_path_is_an_error_of_ours():
    assert "cannot be read" in finding(Path("a\0b")).what
    assert "cannot be read" in finding(Path("~no-such-user-here/x.yaml")).what
