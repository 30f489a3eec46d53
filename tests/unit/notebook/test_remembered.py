"""A notebook's last configurations, in its session and in the next."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from sageturner_magic.config import Config, Given, Origin, parse_config, with_values
from sageturner_magic.notebook import session as session_module
from sageturner_magic.notebook.remembered import notebook_file
from sageturner_magic.notebook.session import NotebookSession
from sageturner_magic.notebook.settings import Settings


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("SAGETURNER_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("JPY_SESSION_NAME", str(tmp_path / "first.ipynb"))
    return tmp_path / "state"


@pytest.fixture
def answer(monkeypatch):
    """What the user says when asked, and what was asked."""
    asked: list[str] = []

    def says(value: bool | None) -> list[str]:
        def ask(shell: InteractiveShell, question: str) -> bool | None:
            asked.append(question)
            return value

        monkeypatch.setattr(session_module, "ask", ask)
        return asked

    return says


def started() -> NotebookSession:
    """A session that has just begun, as after a restart of the kernel."""
    return NotebookSession(InteractiveShell(), Settings(), show_form=print)


def cell(text: str, number: int = 5) -> Config:
    return parse_config(text, folder=Path("/here"), origin=Origin.cell(number))


YAML = "name: digits\nenvironment: {SECRET: hidden}"


def test_the_last_one_of_each_name_is_known_and_the_only_one_without_a_name():
    session = started()
    session.remember(cell("name: digits"))
    assert session.configuration(None) == cell("name: digits")
    session.remember(cell(YAML))
    session.remember(cell("name: other"))
    assert session.configuration("digits") == cell(YAML)
    assert session.configuration(None) is None and session.configuration("third") is None


def test_one_that_is_a_files_is_read_again(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("name: digits\ntags: {a: '1'}")
    from sageturner_magic.config import read_config

    session = started()
    session.remember(read_config(file))
    file.write_text("name: digits\ntags: {a: '2'}")
    known = session.configuration("digits")
    assert known is not None and known.tags == {"a": "2"}


def test_after_a_restart_it_is_shown_with_its_cell_and_used_only_if_the_user_agrees(answer, capsys):
    started().remember(cell(YAML))
    asked = answer(False)
    session = started()
    assert session.configuration("digits") is None
    assert session.earlier_configuration("digits") is None
    assert session.earlier_configuration("digits") is None and asked == ["Use it?"]
    shown = capsys.readouterr().out
    assert "In[5] of 2" in shown and "SECRET: hidden" in shown
    answer(True)
    session = started()
    assert session.earlier_configuration(None) == cell(YAML)
    assert session.configuration("digits") == cell(YAML)


def test_where_nobody_can_be_asked_it_is_not_used(answer, capsys):
    started().remember(cell(YAML))
    answer(None)
    assert started().earlier_configuration("digits") is None
    assert "nobody can be asked" in capsys.readouterr().out


def test_flags_are_kept_with_the_rest_and_defaults_are_not_offered(answer):
    answer(True)
    session = started()
    session.remember(with_values(cell(YAML), {("tags", "a"): Given("1", "--tags")}))
    kept = started().earlier_configuration("digits")
    assert kept is not None and kept.tags == {"a": "1"}
    session.remember(cell("name: digits"))
    assert started().earlier_configuration("digits") is None


def test_only_the_user_can_read_it_and_another_notebook_does_not_see_it(
    state, answer, monkeypatch, tmp_path
):
    answer(True)
    started().remember(cell(YAML))
    (file,) = (state / "notebooks").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    monkeypatch.setenv("JPY_SESSION_NAME", str(tmp_path / "second.ipynb"))
    assert started().earlier_configuration("digits") is None
    monkeypatch.delenv("JPY_SESSION_NAME")
    started().remember(cell(YAML))
    assert [*(state / "notebooks").iterdir()] == [file]


@pytest.mark.parametrize("damage", ["", "{", "[1]", '{"digits": {"text": 1}}', '{"digits": 3}'])
def test_a_damaged_file_costs_only_what_it_held(state, answer, damage):
    answer(True)
    started().remember(cell(YAML))
    (file,) = (state / "notebooks").iterdir()
    file.write_text(damage)
    assert started().earlier_configuration("digits") is None
    started().remember(cell(YAML))
    assert started().earlier_configuration("digits") == cell(YAML)


def test_vs_code_and_jupyter_tell_their_file():
    assert notebook_file({"__vsc_ipynb_file__": "/a.ipynb"}, {}) == Path("/a.ipynb")
    assert notebook_file({}, {"JPY_SESSION_NAME": "/b.ipynb"}) == Path("/b.ipynb")
    assert notebook_file({}, {}) is None
