"""The table of verbs, and that what it names is there and fits."""

import collections.abc
import inspect
import subprocess
import sys
import typing
from pathlib import Path
from pkgutil import resolve_name
from types import SimpleNamespace

import pytest

import sageturner_magic
from sageturner_magic.aws.account.policies import PERMISSION_SETS
from sageturner_magic.cli import commands
from sageturner_magic.notebook import magics
from sageturner_magic.notebook.display import formatters
from sageturner_magic.rendering.registry import RENDERERS, data_of, json_of, registered, text_of
from sageturner_magic.verbs.reference import markdown
from sageturner_magic.verbs.table import PUBLIC, VERBS
from sageturner_magic.verbs.verb import bound

CLI_PAGE = Path(__file__).parents[3] / "docs" / "cli.md"

FACES = {"help", "json", "yes", "no_wait", "file", "profile", "region", "where"}
"""Parameters that the command and the magic handle themselves."""


def functions(verb):
    """Whatever the command and the magic may run for a verb."""
    paths = [verb.work or verb.function, *(each.runs for each in verb.arguments if each.runs)]
    return [resolve_name(path) for path in paths]


@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
def test_every_argument_reaches_a_function(verb):
    taken = {name for each in functions(verb) for name in inspect.signature(each).parameters}
    switches = {each.parameter for each in verb.arguments if each.runs}
    assert {each.parameter for each in verb.arguments} - FACES - switches <= taken
    named = {each.parameter for each in verb.arguments}
    assert {"profile", "region"} <= named or "aws" not in taken


@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
def test_every_verb_is_a_public_function(verb):
    function = getattr(sageturner_magic, verb.public_name)
    assert verb.public_name in sageturner_magic.__all__
    assert function.__wrapped__ is resolve_name(verb.function) and inspect.getdoc(function)


QUICK = {"init", "form", "schema", "code"}
"""Verbs that nobody waits for."""


@pytest.mark.parametrize("verb", [each for each in VERBS.values() if each.name not in QUICK])
def test_a_verb_that_waits_can_be_awaited(verb):
    name = f"a{verb.public_name.rstrip('_')}"
    function = getattr(sageturner_magic, name)
    assert name in sageturner_magic.__all__ and function.__name__ == name
    assert inspect.iscoroutinefunction(function.__wrapped__)
    plain = getattr(sageturner_magic, verb.public_name)
    assert inspect.signature(function).parameters == inspect.signature(plain).parameters
    assert inspect.getdoc(function).startswith("For `await`: ")


@pytest.mark.parametrize("name", ["deploy", "invoke", "load_test", "rollback", "try_"])
def test_the_help_of_a_function_describes_its_arguments(name):
    function = getattr(sageturner_magic, name)
    assert function.__name__ == name
    assert len(inspect.signature(function).parameters) > 3
    assert name == "invoke" or "Args:\n" in inspect.getdoc(function)


@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
def test_the_result_is_what_the_work_returns(verb):
    work = typing.get_type_hints(resolve_name(verb.work or verb.function))["return"]
    kind = typing.get_origin(work) or work
    if not verb.result:
        assert kind is type(None)
    elif kind is not resolve_name(verb.result):
        # Work that has begun: both faces know how to follow it to the result.
        for follow in (commands.FOLLOW, magics.FOLLOW):
            assert any(f"{each.__module__}:{each.__qualname__}" in follow for each in kind.__mro__)


@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
def test_every_result_has_text_and_json(verb):
    assert verb.result == "" or any(each.parameter == "json" for each in verb.arguments)
    plain = {"pathlib:Path", "builtins:list", "builtins:dict", "collections.abc:Iterator"}
    source = "sageturner_magic.verbs.sources:Source"
    assert verb.result in {"", source, *plain, *RENDERERS}


@pytest.mark.parametrize(
    "path", [*RENDERERS, *formatters.SHOWN, *commands.FOLLOW, *commands.WRITE, *magics.FOLLOW]
)
def test_registered_types_exist(path):
    assert isinstance(resolve_name(path), type)


def test_registered_renderers_exist():
    for renderer in RENDERERS.values():
        assert callable(resolve_name(renderer.text)) and callable(resolve_name(renderer.data))
    assert all(callable(resolve_name(path)) for path in formatters.SHOWN.values())


def test_every_permission_set_belongs_to_a_verb():
    assert {each for verb in VERBS.values() for each in verb.permissions} == {*PERMISSION_SETS}


def test_public_names_are_those_of_the_table():
    assert {"form", "doctor", "teardown", "try_", "load_test"} <= {*PUBLIC}


def test_loading_the_extension_imports_no_verb_and_not_their_table():
    code = "import sageturner_magic.notebook.extension, sys; print(*sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    ours = {name for name in shown.stdout.split() if name.startswith("sageturner_magic.")}
    assert "sageturner_magic.notebook.magics" in ours
    assert not {name for name in ours if ".verbs" in name or ".rendering" in name}
    assert not {"pydantic", "boto3", "ipywidgets", "rich"} & {*shown.stdout.split()}


def test_a_form_outside_a_notebook_says_what_to_do():
    with pytest.raises(sageturner_magic.SageturnerError, match="A shell cannot show the form"):
        sageturner_magic.form()


def test_a_type_is_found_by_its_nearest_base():
    registry = {"builtins:dict": 1, "collections:OrderedDict": 2}
    assert registered(registry, collections.OrderedDict()) == 2
    assert registered(registry, collections.Counter()) == 1
    assert registered(registry, []) is None


@pytest.mark.parametrize(
    ("result", "text", "data"),
    [
        (Path("a.yaml"), "wrote a.yaml", {"wrote": "a.yaml"}),
        ([Path("a"), Path("b")], "a\nb", ["a", "b"]),
        ({"a": 1}, '{\n  "a": 1\n}', {"a": 1}),
        ("FROM python\n", "FROM python\n", {"text": "FROM python\n"}),
    ],
)
def test_plain_results_have_text_and_json(result, text, data):
    assert (text_of(result), data_of(result)) == (text, data)
    assert json_of(result)


def test_work_gets_the_arguments_that_it_takes():
    values = SimpleNamespace(runs="", config=None, json=True)
    assert bound(VERBS["schema"], values)()["type"] == "object"


def test_the_reference_page_is_that_of_the_table():
    assert CLI_PAGE.read_text(encoding="utf-8") == markdown(), (
        "run: python -m sageturner_magic.verbs.reference > docs/cli.md"
    )
