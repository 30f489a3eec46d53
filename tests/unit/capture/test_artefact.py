"""What `artefact:` names becomes a folder with a digest, or a message with a remedy."""

import json
import os
import pickle
import shutil
import tarfile
from pathlib import Path

import joblib
import numpy as np
import pytest

from sageturner_magic.capture.artefact.prepare import prepare_artefact
from sageturner_magic.capture.artefact.remarks import artefact_remarks
from sageturner_magic.errors import ArtefactError

from .test_unpack import Silent, archive


def prepare(spec, folder: Path, namespace=None, reporter=None):
    staging = folder / "staging"
    artefact = prepare_artefact(spec, folder, namespace or {}, staging, reporter or Silent())
    assert artefact is not None
    return artefact


def content(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_no_artefact_is_none(tmp_path):
    assert prepare_artefact(None, tmp_path, {}, tmp_path / "s", Silent()) is None


def test_a_file_appears_under_its_name(tmp_path):
    (tmp_path / "model.bin").write_bytes(b"weights")
    artefact = prepare("model.bin", tmp_path)
    assert content(artefact.folder) == ["model.bin"]
    assert (artefact.size, artefact.files) == (7, 1)


def test_a_folder_is_used_where_it_lies(tmp_path):
    (tmp_path / "m/sub").mkdir(parents=True)
    (tmp_path / "m/sub/a.bin").write_bytes(b"1")
    artefact = prepare("./m", tmp_path)
    assert artefact.folder.samefile(tmp_path / "m")
    assert not (tmp_path / "staging").exists()


def test_an_archive_is_unpacked_as_sagemaker_does(tmp_path):
    archive(tmp_path / "pytorch_model.bin.tar.gz", ("pytorch_model.bin", "file", "weights"))
    artefact = prepare("pytorch_model.bin.tar.gz", tmp_path)
    assert content(artefact.folder) == ["pytorch_model.bin"]


def test_the_digest_is_that_of_the_contents_however_they_are_given(tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m/a.bin").write_text("weights")
    archive(tmp_path / "m.tgz", ("a.bin", "file", "weights"))
    given_as_folder = prepare("m", tmp_path)
    given_as_archive = prepare("m.tgz", tmp_path)
    assert given_as_folder.digest == given_as_archive.digest
    (tmp_path / "m/a.bin").rename(tmp_path / "m/b.bin")
    assert prepare("m", tmp_path).digest != given_as_folder.digest


def test_links_to_a_cache_are_followed(tmp_path):
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs/123").write_text("weights")
    (tmp_path / "snapshot").mkdir()
    (tmp_path / "snapshot/model.bin").symlink_to("../blobs/123")
    assert prepare("snapshot", tmp_path).size == 7


def test_bytes_are_reported_to_the_end(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"x" * 3_000_000)
    reporter = Silent()
    prepare("a.bin", tmp_path, reporter=reporter)
    assert reporter.steps[-1] == (3_000_000, 3_000_000)
    assert len(reporter.steps) == 3


READERS = {
    "m.joblib": joblib.load,
    "m.pickle": lambda path: pickle.loads(path.read_bytes()),
    "m.pkl": lambda path: pickle.loads(path.read_bytes()),
    "m.json": lambda path: json.loads(path.read_text()),
    "m.npy": lambda path: np.load(path).tolist(),
    "sub/m.json": lambda path: json.loads(path.read_text()),
}


@pytest.mark.parametrize("name", READERS)
def test_a_variable_is_written_by_its_extension(tmp_path, name):
    artefact = prepare({name: "model"}, tmp_path, {"model": [1, 2, 3]})
    assert READERS[name](artefact.folder / name) == [1, 2, 3]


def test_several_arrays_go_into_an_npz(tmp_path):
    artefact = prepare({"m.npz": "model"}, tmp_path, {"model": {"a": np.arange(3)}})
    with np.load(artefact.folder / "m.npz") as arrays:
        assert arrays["a"].tolist() == [0, 1, 2]


class Odd:
    def __reduce__(self):
        raise TypeError("cannot pickle 'Odd' object")


class FromNotebook:
    pass


FromNotebook.__module__ = "__main__"


BAD = [
    ("nothere.bin", "The artefact `nothere.bin` does not exist"),
    ("modle.bin", "did you mean `model.bin`?"),
    ("no/such/place.bin", "there is no folder"),
    ("empty", "is empty"),
    ("broken", "leads nowhere"),
    ("s3://b/k", "download it"),
    ("bad.tar.gz", "cannot be read"),
    ({"m.joblib": "clasifier"}, "did you mean `classifier`?"),
    ({"m.xyz": "classifier"}, "known are .bin, .cbm"),
    ({"m": "classifier"}, "it has no save_pretrained, to_disk or save"),
    ({"m.model": "classifier"}, "call it `m.joblib`"),
    ({"../m.json": "classifier"}, "is not a file name below model_dir"),
    ({"/m.json": "classifier"}, "is not a file name below model_dir"),
    ({}, "names no file"),
    ({"m.json": "odd"}, "`odd`, an Odd, cannot be saved as m.json"),
    ({"m.joblib": "odd"}, "TypeError: cannot pickle 'Odd' object"),
    ({"m.npz": "classifier"}, "it is not a dict of arrays"),
    ({"m.npy": "odd"}, "cannot be saved as m.npy"),
    ({"m.joblib": "mine"}, "would refer to `FromNotebook`, defined in the notebook"),
    ({"m.pkl": "mine"}, "would refer to `FromNotebook`, defined in the notebook"),
]


@pytest.mark.parametrize(("spec", "expected"), BAD)
def test_what_cannot_be_an_artefact_is_refused_with_a_remedy(tmp_path, spec, expected):
    (tmp_path / "model.bin").write_text("x")
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/link").symlink_to("nowhere")
    (tmp_path / "bad.tar.gz").write_text("no archive")
    namespace = {"classifier": 3, "odd": Odd(), "mine": [FromNotebook()], "_hidden": 1}
    with pytest.raises(ArtefactError) as raised:
        prepare(spec, tmp_path, namespace)
    assert expected in str(raised.value)
    assert all(finding.do for finding in raised.value.findings)


def test_all_variables_that_cannot_be_saved_are_named_at_once(tmp_path):
    with pytest.raises(ArtefactError) as raised:
        prepare({"a.joblib": "one", "b.joblib": "two"}, tmp_path)
    assert len(raised.value.findings) == 2


def test_a_folder_that_leads_in_a_circle_is_refused(tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m/again").symlink_to(".")
    with pytest.raises(ArtefactError, match="leads back to a folder"):
        prepare("m", tmp_path)


def test_folders_deeper_than_anybody_makes_them_are_named(tmp_path):
    with pytest.raises(ArtefactError, match="more than 200 folders in each other"):
        (tmp_path / "/".join(["a"] * 250)).mkdir(parents=True)
        prepare(str(tmp_path), tmp_path)


def test_names_that_are_not_utf_8_are_files_like_others(tmp_path):
    (tmp_path / os.fsdecode(b"\xff.bin")).write_text("x")
    assert prepare(str(tmp_path), tmp_path).files == 1


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (
            "model.joblib",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:1",
            "git lfs pull",
        ),
        ("vocab.txt", b"version https://git-lfs.github.com/spec/v1\noid sha256:1", "git lfs pull"),
        ("model.pt", b"<!DOCTYPE html>\n<html><body>Sign in", "is a web page"),
        ("model.bin", b'<?xml version="1.0"?>\n<Error><Code>AccessDenied', "is a web page"),
        ("model.onnx", b"", "`model.onnx` is empty"),
    ],
)
def test_a_file_that_is_no_model_is_named_for_what_it_is(tmp_path, name, content, said):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / name).write_bytes(content)
    (tmp_path / "m" / "__init__.py").touch()
    with pytest.raises(ArtefactError) as raised:
        prepare("m", tmp_path)
    assert said in str(raised.value) and len(raised.value.findings) == 1


def remarks(spec, folder: Path, namespace=None) -> list[str]:
    artefact = prepare(spec, folder, namespace)
    found = artefact_remarks(spec, folder, namespace or {}, artefact)
    return [f"{each.severity}: {each}" for each in found]


CREDENTIALS = ["credentials", "a/kaggle.json", ".npmrc", "service-account-7.json", "x.tfstate"]


def model_folder(folder: Path) -> None:
    for path in ["weights.bin", "a/tokenizer.json", *CREDENTIALS]:
        (folder / "m" / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "m" / path).write_text("x")


def test_credentials_in_a_folder_of_model_files_stay_here_and_that_is_said(tmp_path):
    model_folder(tmp_path)
    assert content(prepare("m", tmp_path).folder) == ["a/tokenizer.json", "weights.bin"]
    assert len(content(tmp_path / "m")) == 2 + len(CREDENTIALS)
    shutil.rmtree(tmp_path / "staging")
    (note,) = remarks("m", tmp_path)
    assert note.startswith("note: ") and all(path in note for path in CREDENTIALS)
    assert "pack the folder as a .tar.gz" in note


def test_credentials_in_an_archive_are_shipped_with_a_warning(tmp_path):
    model_folder(tmp_path)
    with tarfile.open(tmp_path / "m.tar.gz", "w:gz") as packed:
        packed.add(tmp_path / "m", ".")
    assert len(content(prepare("m.tar.gz", tmp_path).folder)) == 2 + len(CREDENTIALS)
    shutil.rmtree(tmp_path / "staging")
    (warning,) = remarks("m.tar.gz", tmp_path)
    assert warning.startswith("warning: ") and "kaggle.json" in warning


def test_a_credential_that_is_named_by_itself_is_shipped(tmp_path):
    (tmp_path / "server.pem").write_text("x")
    assert content(prepare("server.pem", tmp_path).folder) == ["server.pem"]
    shutil.rmtree(tmp_path / "staging")
    assert remarks("server.pem", tmp_path) == []


@pytest.mark.parametrize("file", ["m.joblib", "m.json", "m.pkl"])
def test_a_secret_in_an_object_that_artefact_names_is_a_warning(tmp_path, file):
    model = {"weights": [1.0], "client": {"api_key": "a1b2c3d4" + "e5f6"}}
    (warning,) = remarks({file: "model"}, tmp_path, {"model": model})
    assert f"`model` holds a value for `api_key`: `a1b2…` (artefact: {{{file}: model}})" in warning
    assert "e5f6" not in warning


def test_a_secret_in_a_long_file_is_named_with_its_line(tmp_path):
    (tmp_path / "m").mkdir()
    vocabulary = [f'"word{number}": {number},' for number in range(30_000)]
    vocabulary[20_000] = 'api_key: "a1b2c3d4' + 'e5f6"'
    vocabulary[25_000] = "hf_" + 34 * "a"
    (tmp_path / "m" / "vocabulary.txt").write_text("\n".join(vocabulary))
    setting, token = remarks("m", tmp_path)
    assert "a value for `api_key`" in setting and "vocabulary.txt:20001" in setting
    assert "a Hugging Face token" in token and "vocabulary.txt:25001" in token


def test_a_secret_in_a_text_among_the_model_files_is_a_warning(tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "config.json").write_text('{"hub": {"token": "hf_' + 34 * "a" + '"}}')
    (warning,) = remarks("m", tmp_path)
    assert warning.startswith("warning: A file that is shipped holds a Hugging Face token: `hf_a…`")
