"""Which configuration a call means, and what flags make of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from sageturner_magic import context
from sageturner_magic.config import Config, Origin, parse_config
from sageturner_magic.errors import CaptureError, ConfigError, UsageError
from sageturner_magic.verbs.reading import parse
from sageturner_magic.verbs.requested import Flags, chosen_config, config_of, request_for


@dataclass
class Notebook:
    """What the verbs ask a notebook, with the captured names and the configurations it has."""

    captured: tuple[str, ...] = ()
    known: dict[str, Config] = field(default_factory=dict)
    earlier: dict[str, Config] = field(default_factory=dict)
    namespace: dict[str, object] = field(default_factory=dict)

    @property
    def notebook(self):
        names = [SimpleNamespace(name=name) for name in self.captured]
        return SimpleNamespace(
            captures=SimpleNamespace(names=lambda: names),
            model_for=lambda name, given: given,
        )

    def configuration(self, name):
        only = [*self.known.values()] if name is None and len(self.known) == 1 else [None]
        return self.known.get(name, only[0])

    def earlier_configuration(self, name):
        return self.earlier.get(name)

    def remember(self, config):
        self.known[config.name] = config


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    context.leave_notebook()


def in_notebook(*captured: str) -> Notebook:
    notebook = Notebook(captured)
    context.enter_notebook(notebook)  # type: ignore[arg-type]
    return notebook


def cell(text: str) -> Config:
    return parse_config(text, folder=Path.cwd(), origin=Origin.cell(5))


def test_a_name_needs_no_yaml():
    in_notebook("digits", "other")
    asked = request_for(config_of(None, "digits"), "serverless", "generate")
    assert asked.config.name == "digits"
    assert asked.config.compute.serverless is not None
    assert asked.config.compute.serverless.memory == 2048
    assert asked.config.compute.serverless.max_concurrency == 5


def test_neither_does_the_only_name_that_is_captured():
    in_notebook("digits")
    assert config_of(None).name == "digits"
    in_notebook("digits", "other")
    with pytest.raises(ConfigError, match="captured for digits, other"):
        config_of(None)


def test_defaults_for_one_endpoint_type_leave_the_others_as_they_were():
    config = cell("name: a\nartefact: model")
    assert request_for(config, "serverless", "provide").config.compute.serverless is not None
    assert request_for(config, "local", "provide").config.compute.serverless is None
    given = cell("name: a\ncompute: {serverless: {memory: 4096}}")
    asked = request_for(given, "serverless", "provide")
    assert asked.config.compute.serverless == given.compute.serverless


def test_flags_stand_over_the_last_configuration_of_the_name_and_are_remembered():
    notebook = in_notebook("digits")
    notebook.known["digits"] = cell("name: digits\nenvironment: {A: '1'}")
    flags = Flags("digits", memory=4096, packages=("numpy>=2",), environment={"B": "2"})
    chosen = chosen_config(None, flags, "serverless")
    assert chosen.environment == {"A": "1", "B": "2"}
    assert chosen.container.generate_container.python_packages == ("numpy>=2",)
    again = chosen_config(None, Flags("digits"), "serverless")
    assert again == chosen


def test_a_name_means_the_notebooks_configuration_then_the_files_then_an_earlier_one(folder):
    notebook = in_notebook("digits", "other")
    notebook.earlier["digits"] = cell("name: digits\ntags: {from: earlier}")
    assert config_of(None, "digits").tags == {"from": "earlier"}
    (folder / "sageturner.yaml").write_text("name: digits\ntags: {from: file}")
    assert config_of(None, "digits").tags == {"from": "file"}
    assert config_of(None, "other").model_fields_set == {"name"}
    notebook.known["digits"] = cell("name: digits\ntags: {from: cell}")
    assert config_of(None, "digits").tags == config_of(None).tags == {"from": "cell"}


def test_two_that_can_be_meant_are_both_named(folder):
    notebook = in_notebook("digits")
    notebook.known["digits"] = cell("name: digits")
    (folder / "sageturner.yaml").write_text("name: other")
    with pytest.raises(UsageError, match="`digits` or `other`") as raised:
        config_of(None)
    assert "In[5]" in str(raised.value) and "deploy digits" in str(raised.value)


def test_a_configuration_of_another_name_is_refused(folder):
    with pytest.raises(UsageError, match="that of `a`, not of `b`"):
        config_of(cell("name: a"), "b")
    (folder / "sageturner.yaml").write_text("name: a")
    with pytest.raises(UsageError, match="that of `a`, not of `b`"):
        config_of(None, "b")


def test_a_shell_takes_the_sageturner_py_where_it_is(folder):
    with pytest.raises(CaptureError, match="no code to deploy"):
        request_for(config_of(None, "digits"), "local", "generate")
    (folder / "sageturner.py").write_text("")
    asked = request_for(config_of(None, "digits"), "local", "generate")
    assert asked.config.code_dir == folder


@pytest.mark.parametrize(
    ("flags", "endpoint_type", "remedy"),
    [
        (Flags(memory=2048), "local", "add `-e serverless`"),
        (Flags(memory=2048), "server", "leave `--memory` out"),
        (Flags(instance_type="ml.m5.large"), "serverless", "add `-e server`"),
    ],
)
def test_a_flag_of_another_endpoint_type_is_not_dropped_without_a_word(
    flags, endpoint_type, remedy
):
    with pytest.raises(UsageError) as raised:
        flags.values(endpoint_type)
    assert remedy in str(raised.value)


def test_the_line_gives_the_flags():
    line = "digits -e serverless --memory 4096 --packages numpy --packages=pandas>=2 --env A=b=c"
    values = parse("deploy", line.split(), "sageturner")
    assert (values.name, values.memory) == ("digits", "4096")
    assert values.packages == ("numpy", "pandas>=2") and values.environment == (("A", "b=c"),)
    flags = Flags("digits", None, None, values.packages, values.environment)
    assert flags.values("local")["environment", "A"].value == "b=c"
    auto = Flags(packages=("auto",)).values("local")
    assert [each.value for each in auto.values()] == ["auto"]
    with pytest.raises(UsageError, match="--env NAME=VALUE"):
        parse("deploy", ["--env", "A"], "sageturner")


def test_export_takes_the_folder_and_before_it_a_name():
    assert parse("export", ["out"], "sageturner").folder == "out"
    values = parse("export", ["digits", "out"], "sageturner")
    assert (values.name, values.folder) == ("digits", "out")
