"""What the capture room is told of the cells that run in a shell."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from IPython.core.interactiveshell import InteractiveShell

from sageturner_magic.endpoints import note_end
from sageturner_magic.errors import CaptureError
from sageturner_magic.notebook.display import Ending
from sageturner_magic.notebook.session import NotebookSession
from sageturner_magic.notebook.settings import Settings
from sageturner_magic.values import LiveObject

Run = Callable[[str], None]


@pytest.fixture
def shell() -> InteractiveShell:
    shell = InteractiveShell()
    shell.showtraceback = lambda *args, **kwargs: None  # type: ignore[method-assign]
    return shell


@pytest.fixture
def session(shell: InteractiveShell) -> NotebookSession:
    session = NotebookSession(shell, Settings(), show_form=print)
    shell.events.register("pre_run_cell", session.begin)
    shell.events.register("post_run_cell", session.record)
    return session


@pytest.fixture
def run(shell: InteractiveShell) -> Run:
    def run(source: str) -> None:
        shell.run_cell(source, store_history=True)

    return run


def source_of(session: NotebookSession, load: str) -> str:
    session.capture("load", "", f"def load():\n    return {load}\n")
    session.capture("predict", "", "def predict(model, request):\n    return model\n")
    return session.notebook.module("digits").source


def test_a_failed_cell_gives_what_it_made_before_the_line_that_failed(session, run):
    run("LIMIT = 1")
    run("\n\nLIMIT = 2\nmissing\nLIMIT = 3")
    assert "\nLIMIT = 2\n" in source_of(session, "LIMIT")


def test_so_does_one_that_fails_after_the_first_capture(session, run):
    source_of(session, "None")
    run("LIMIT = 2\nmissing\nLIMIT = 3")
    assert "\nLIMIT = 2\n" in source_of(session, "LIMIT")


def test_so_does_a_cell_that_was_to_be_captured(session, run):
    with pytest.raises(ZeroDivisionError):
        session.capture("load", "", "LIMIT = 2\n1 / 0\nLIMIT = 3\ndef load(): return LIMIT\n")
    assert "\nLIMIT = 2\n" in source_of(session, "LIMIT")


@pytest.mark.parametrize("magic", ["%%capture", "%%capture out --no-stderr"])
def test_a_cell_that_fails_below_a_magic_that_goes_on_has_failed(session, run, magic):
    run("import threading\nROOM = threading.Semaphore(3)")
    run(f"{magic}\n1 / 0\nROOM = threading.Semaphore(5)")
    with pytest.raises(
        CaptureError, match=r"`ROOM` may have been changed by In\[2\], which failed"
    ):
        source_of(session, "ROOM")


def test_only_the_cell_in_which_something_failed_is_in_doubt(session, run):
    run("%%capture\n1 / 0")
    run("%%capture\nLIMIT = 3")
    assert "\nLIMIT = 3\n" in source_of(session, "LIMIT")


def test_what_runs_below_a_magic_runs_once(session, run):
    run("LABELS = []")
    run("%%capture\nLABELS.append('cat')")
    assert source_of(session, "LABELS").count("append") == 1


def test_a_cell_that_trains_a_deployed_object_again_says_what_is_still_served(session, run, capsys):
    run("weights = [1]")
    weights = LiveObject("weights.pickle", "weights", session.namespace["weights"])
    session.notebook.watched.deployed("digits", [weights])
    run("len(weights)")
    assert "still serves" not in capsys.readouterr().out
    run("weights.append(2)")
    said = "endpoint `digits` still serves the former `weights`: deploy it again to serve this one"
    assert said in capsys.readouterr().out


def test_the_last_hour_of_a_lease_is_shown_once_below_a_cell(shell, session, run, capsys):
    shell.events.register("post_run_cell", Ending().announce)
    now = time.time()
    try:
        note_end("later", now + 3 * 3600)
        note_end("ended", now - 60)
        note_end("digits", now + 1800)
        run("1")
        shown = capsys.readouterr().out
        assert "AWS deletes the endpoint `digits` in 30 min" in shown
        assert "`%sageturner extend digits 8h`" in shown
        assert "later" not in shown and "ended" not in shown
        run("2")
        assert "digits" not in capsys.readouterr().out
        # An end that was moved is announced again when it comes.
        note_end("digits", now + 3000)
        run("3")
        assert "in 50 min" in capsys.readouterr().out
    finally:
        for name in ("later", "ended", "digits"):
            note_end(name, None)
