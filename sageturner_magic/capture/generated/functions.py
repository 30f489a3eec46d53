"""Generate code for functions, for other callables, and for objects with a predict of their own."""

from __future__ import annotations

import inspect
from types import FunctionType, MethodType
from typing import Any

from sageturner_magic.capture.checks import SIGNATURES
from sageturner_magic.capture.generated.code import Generated, Setting, example_code, plain
from sageturner_magic.errors import CaptureError


def function(setting: Setting) -> Generated:
    """A function: its source is taken from its cell, or it is imported from its package."""
    value = setting.value
    name, imported = _name(setting)
    load = setting.load(imported, "", f"return {name}")
    return Generated(load, _predict(setting, _call(value, "model"), _is_async(value)))


def callable_object(setting: Setting) -> Generated:
    """An object that is called, a bound method of one, or one with a predict method."""
    value: Any = setting.value
    call = "model"
    if isinstance(value, MethodType):
        value, call = value.__self__, f"model.{value.__name__}"
    elif not callable(value):
        call = "model.predict"
    called = setting.value if callable(setting.value) else value.predict
    file = f"{setting.model.name}.pkl"
    body = ("with open($file, 'rb') as file:".replace("'", '"'), "    return pickle.load(file)")
    load = setting.load(("import pickle",), file, *body)
    predict = _predict(setting, _call(called, call), _is_async(called))
    return Generated(load, predict, file, value)


def _name(setting: Setting) -> tuple[str, tuple[str, ...]]:
    """The name of a function in the module, and the import that gives it one."""
    value = setting.value
    own = getattr(value, "__name__", "")
    names = [setting.model.name, own, *setting.namespace]
    name = next((each for each in names if setting.namespace.get(each) is value), "")
    if name in SIGNATURES:
        raise CaptureError(
            f"The function `{name}` has the name of one that the model server calls",
            where=setting.model.where,
            why=f"the module needs its own {SIGNATURES[name].partition(' or ')[0]}",
            do=f"rename yours, for example to `my_{name}`, run its cell and name that",
            code="ST34",
        )
    if name:
        return name, ()
    home = getattr(value, "__module__", None) or ""
    if home not in ("__main__", "") and "<" not in getattr(value, "__qualname__", own):
        return own, (f"from {home} import {own}",)
    raise CaptureError(
        f"`{setting.model.name}` is a function that no variable of the notebook holds",
        where=setting.model.where,
        why="its source cannot be found in a cell",
        do="define it at the top level of a cell, and give its name",
        code="ST44",
    )


def _is_async(value: Any) -> bool:
    return inspect.iscoroutinefunction(value) or inspect.isasyncgenfunction(value)


def _call(value: Any, called: str) -> str:
    """The call of `value`: one parameter gets the request, several get its parts."""
    try:
        parameters = [*inspect.signature(value).parameters.values()]
    except (TypeError, ValueError):
        return f"{called}(request)"
    needed = [each for each in parameters if each.default is each.empty]
    needed = [each for each in needed if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]
    if not parameters:
        return f"{called}()"
    if len(needed) > 1 or any(each.kind is each.KEYWORD_ONLY for each in needed):
        return f"{called}(**request) if isinstance(request, dict) else {called}(*request)"
    return f"{called}(request)"


def _predict(setting: Setting, call: str, is_async: bool) -> str:
    value = setting.value
    example = example_code(setting.model.example, setting, plain)
    if isinstance(value, (FunctionType, MethodType)) and inspect.isasyncgenfunction(value):
        body = f"    async for piece in {call}:\n        yield piece\n"
    elif is_async:
        body = f"    return await ({call})\n" if " if " in call else f"    return await {call}\n"
    else:
        body = f"    return {call}\n"
    return f"{'async ' if is_async else ''}def predict(model, request):\n{body}{example}"
