from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sageturner_magic.server.front.workers import describe_status
from sageturner_magic.server.worker.program import ProgramError, describe, user_traceback


def predict(model: Any, request: Any) -> Any:
    return model, request


@pytest.mark.parametrize(
    ("function", "gets"),
    [
        (lambda: "nothing", "nothing"),
        (lambda model_dir: model_dir, "/m"),
        (lambda anything: anything, "/m"),
        (lambda path="own": path, "own"),
        (lambda model_dir="own": model_dir, "/m"),
    ],
)
def test_load_gets_the_model_directory_where_it_asks_for_it(
    function: Callable[..., Any], gets: str
) -> None:
    assert describe({"load": function, "predict": predict}).load("/m") == gets


@pytest.mark.parametrize(
    ("function", "gets"),
    [
        (lambda model, request: "two", "two"),
        (lambda model, request, context: context, "C"),
        (lambda model, request, extra: extra, "C"),
        (lambda model, request, context=None: context, "C"),
        (lambda model, request, threshold=0.5: threshold, 0.5),
        (lambda *arguments: len(arguments), 2),
        (lambda model, request, **options: options, {}),
    ],
)
def test_predict_gets_the_context_where_it_asks_for_it(
    function: Callable[..., Any], gets: Any
) -> None:
    assert describe({"load": lambda: 0, "predict": function}).predict("m", "r", "C") == gets


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ({"predict": predict}, "no function load"),
        ({"load": lambda: 0, "predict": 5}, "no function predict"),
        ({"load": lambda a, b: 0, "predict": predict}, "load(a, b)"),
        ({"load": lambda *, key: 0, "predict": predict}, "load(*, key)"),
        ({"load": lambda: 0, "predict": lambda request: 0}, "predict(request)"),
        ({"load": lambda: 0, "predict": lambda a, b, c, d: 0}, "predict(a, b, c, d)"),
        ({"load": lambda: 0, "predict": predict, "predict_batch": lambda m: 0}, "predict_batch(m)"),
    ],
)
def test_functions_that_cannot_be_called_are_explained(names: dict[str, Any], words: str) -> None:
    with pytest.raises(ProgramError) as caught:
        describe(names)
    assert words in str(caught.value)


async def async_predict(model: Any, request: Any) -> Any:
    return request


async def async_generator(model: Any, request: Any) -> Any:
    yield request


def test_the_kind_of_a_program_follows_its_functions() -> None:
    base: dict[str, Any] = {"load": lambda: 0, "predict": predict}
    assert describe(base).kind == "plain"
    assert describe(base | {"predict": async_predict}).kind == "async"
    assert describe(base | {"predict": async_generator}).kind == "async"
    assert describe(base | {"predict_batch": predict}).kind == "batch"


def test_a_traceback_has_no_frame_of_the_import_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken_model.py").write_text("import no_such_package\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError) as caught:
        importlib.import_module("broken_model")
    lines = "\n".join(user_traceback(caught.value, str(tmp_path)))
    assert "broken_model.py" in lines and "frozen" not in lines


def test_a_traceback_has_the_users_frames_and_the_causes(tmp_path: Path) -> None:
    source = (
        "import json\n"
        "def inner(): json.loads('{')\n"
        "def outer():\n"
        "    try: inner()\n"
        "    except ValueError as error: raise RuntimeError('outer failed') from error\n"
    )
    file = tmp_path / "sageturner.py"
    file.write_text(source)
    names: dict[str, Any] = {}
    exec(compile(source, str(file), "exec"), names)
    with pytest.raises(RuntimeError) as caught:
        names["outer"]()
    text = "\n".join(user_traceback(caught.value, str(tmp_path)))
    assert "in inner" in text and "in outer" in text
    assert "direct cause" in text and text.endswith("RuntimeError: outer failed")
    assert "decoder.py" not in text and "test_program.py" not in text


def test_the_end_of_a_process_is_put_in_words() -> None:
    assert describe_status(3) == "exit status 3"
    assert describe_status(-11) == "killed by SIGSEGV (a crash in compiled code)"
    assert describe_status(-9) == "killed by SIGKILL (out of memory?)"
    assert describe_status(-250) == "killed by signal 250"
