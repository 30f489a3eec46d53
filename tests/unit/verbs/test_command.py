"""The command: what goes to standard output, and how it ends."""

import subprocess
import sys

import pytest

from sageturner_magic.cli import main
from sageturner_magic.rendering import SCHEMAS
from sageturner_magic.verbs import VERBS, endpoints
from sageturner_magic.verbs.account import removing
from sageturner_magic.verbs.reading import overview
from tests.parts.json_output import failure_of, result_of


@pytest.fixture
def command(capsys):
    """Runs a command; returns its exit code and what it wrote."""

    def run(*words):
        code = main(words)
        return (code, *capsys.readouterr())

    return run


def test_what_a_verb_wrote_is_said_in_a_line_or_as_json(command, tmp_path):
    first, second = str(tmp_path / "a.yaml"), str(tmp_path / "b.yaml")
    assert command("init", first) == (0, f"wrote {first}\n", "")
    code, out, _ = command("init", second, "--json")
    assert (code, result_of("init", out)) == (0, {"wrote": second})


def test_code_is_written_as_it_is(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = "def load():\n    pass\n\n\ndef predict(model, request):\n    pass\n"
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "sageturner.py").write_text(source)
    (tmp_path / "sageturner.yaml").write_text(
        "name: x\ncontainer: {generate_container: {code_dir: ./code}}\n"
    )
    assert command("code") == (0, source, "")
    assert result_of("code", command("code", "--json")[1]) == {"text": source}
    assert command("code", "--left-out") == (0, "Nothing is left out.\n", "")


def test_lines_of_logs_are_a_list_and_followed_ones_come_one_by_one(command, monkeypatch):
    lines = ["first", "öther"]
    monkeypatch.setattr(endpoints, "logs", lambda name, last=None: iter(lines))
    monkeypatch.setattr(endpoints, "follow_logs", lambda name: iter(lines))
    assert command("logs", "digits")[1] == "first\nöther\n"
    assert result_of("logs", command("logs", "digits", "--json")[1]) == lines
    assert command("logs", "-f", "digits", "--json")[1] == '"first"\n"öther"\n'


@pytest.fixture
def removed(monkeypatch):
    """What was removed; `delete` and `teardown` plan to remove one thing."""
    found = []

    def planned(done):
        def run(say):
            found.append("bucket")
            say("removed the bucket")

        return lambda: removing.PlannedRemoval(("bucket",), run, done)

    monkeypatch.setattr(removing, "plan_teardown", planned(""))
    monkeypatch.setattr(removing, "plan_removal", planned("it is gone"))
    return found


def test_nothing_is_removed_where_nobody_can_be_asked(command, removed):
    code, out, err = command("teardown")
    assert (code, out, removed) == (2, "", [])
    assert "bucket" in err and "add `--yes`" in err


def test_what_was_removed_is_said_and_listed(command, removed):
    assert command("teardown", "--yes") == (0, "removed the bucket\n", "")
    assert command("delete", "x", "--yes") == (0, "it is gone\n", "removed the bucket\n")
    code, out, err = command("teardown", "--yes", "--json")
    assert (code, result_of("teardown", out)) == (0, {"deleted": ["bucket"]})
    assert err == "removed the bucket\n"


def test_a_handle_cannot_be_had_in_a_shell(command):
    code, _, err = command("deploy", "--no-wait")
    assert code == 2 and "leave the flag out" in err


def test_the_form_is_for_notebooks(command):
    code, _, err = command("form")
    assert code == 2 and "A shell cannot show the form" in err and "sageturner init" in err


def test_a_request_needs_a_payload(command):
    code, _, err = command("invoke", "digits")
    assert code == 2 and "There is no payload" in err


INTERRUPTED = """
import sys

class Interrupts:
    def find_spec(self, name, path, target=None):
        if name == "{module}":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupts())
from sageturner_magic.cli import main
sys.exit(main(["list"]))
"""


@pytest.mark.parametrize(
    "module", ["sageturner_magic.deployment", "sageturner_magic.cli.commands", "importlib.metadata"]
)
def test_ctrl_c_while_the_command_is_imported_is_no_traceback(module):
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED.format(module=module)], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (130, "")
    assert "`sageturner list` was stopped" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["no-such-verb", "--json"], "ST10"),
        (["status", "--json", "--hours"], "ST10"),
        (["invoke", "digits", "--json"], "ST11"),
        (["invoke", "digits", "{'x'", "--json"], "ST12"),
        (["plan", "--json", "-c", "none.yaml"], "ST22"),
        (["code", "--json"], "ST23"),
        (["export", "folder", "--json", "-c", "none.yaml"], "ST22"),
        (["teardown", "--json"], "ST13"),
    ],
)
def test_a_failure_is_an_object_for_programs(command, removed, words, code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exit_code, out, err = command(*words)
    problem = failure_of(out)
    assert (exit_code, problem["exit_code"], problem["code"]) == (2, 2, code)
    assert problem["headline"] in problem["message"] and problem["message"] in err


def test_all_problems_of_a_configuration_are_listed(command, tmp_path):
    config = tmp_path / "sageturner.yaml"
    config.write_text("name: UPPER\ncompute: {serverless: {memory: 1}}\n")
    problem = failure_of(command("plan", "--json", "-c", str(config))[1])
    assert len(problem["problems"]) >= 2
    assert all(each["where"].startswith(str(config)) for each in problem["problems"])
    assert problem["headline"] == problem["problems"][0]["headline"]


def test_without_json_a_failure_leaves_standard_output_empty(command):
    assert command("no-such-verb")[1] == ""


def test_every_verb_with_json_has_a_schema():
    with_json = {
        name
        for name, verb in VERBS.items()
        if any(each.name == "--json" for each in verb.arguments)
    }
    assert with_json == set(SCHEMAS)


def test_help_in_a_notebook_begins_with_its_variables():
    for_notebooks, for_shells = overview("%sageturner"), overview("sageturner")
    assert "%sageturner deploy digits --model classifier" in for_notebooks
    assert "%sageturner invoke digits X_test" in for_notebooks
    assert "X_test" not in for_shells and "\n  sageturner deploy digits\n" in for_shells
