"""What a killed process leaves in the temporary folder goes, and nothing else does."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from sageturner_magic import scratch
from sageturner_magic.scratch import scratch_folder

HOLDER = """
import sys, time
from sageturner_magic.scratch import scratch_folder
with scratch_folder() as folder:
    (folder / "model").write_text("large")
    print(folder, flush=True)
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def holder():
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process, Path(process.stdout.readline().strip())
        process.kill()


def test_a_folder_goes_with_the_body(temporary):
    with scratch_folder() as folder:
        assert folder.parent == temporary and folder.stat().st_mode & 0o777 == 0o700
    assert [*temporary.iterdir()] == []


def test_a_killed_process_folder_is_removed_by_the_next(holder):
    process, folder = holder
    with scratch_folder():
        assert folder.exists()  # It still runs.
    process.kill()
    process.wait()
    assert folder.exists()
    with scratch_folder():
        assert not folder.exists()


def test_this_processs_own_folders_stay():
    with scratch_folder() as first, scratch_folder():
        assert first.exists()


def test_what_is_not_plainly_ours_stays(temporary):
    users = temporary / "sageturner-notebook"
    users.mkdir(mode=0o700)
    (users / "model.ipynb").touch()
    elsewhere = temporary / "other"
    elsewhere.mkdir(mode=0o700)
    (elsewhere / scratch.MARK).touch()
    (temporary / "sageturner-link").symlink_to(elsewhere)
    shared = temporary / "sageturner-shared"
    shared.mkdir()
    shared.chmod(0o777)
    (shared / scratch.MARK).touch()
    os.mkfifo(temporary / "sageturner-pipe")
    (temporary / "sageturner-file").touch()
    before = sorted(temporary.rglob("*"))
    scratch.sweep()
    assert sorted(temporary.rglob("*")) == before


def test_a_child_keeps_the_folder_that_it_was_given():
    folder, lock = scratch.scratch_folder_for_child()
    with subprocess.Popen(["sleep", "600"], pass_fds=[lock]) as child:
        os.close(lock)
        scratch.sweep()
        assert folder.exists()
        child.kill()
    scratch.sweep()
    assert not folder.exists()


def test_a_folder_that_is_kept_stays_when_its_process_has_ended():
    folder, lock = scratch.scratch_folder_for_child()
    scratch.keep(folder)
    os.close(lock)
    scratch.sweep()
    assert folder.exists()
    scratch.remove(folder)
    assert not folder.exists()
