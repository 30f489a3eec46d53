"""Find the captured functions in the notebook itself, and the model that load() returned there."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, NamedTuple

from sageturner_magic.capture.history import History
from sageturner_magic.capture.runs import RunOrigin, RunStatement
from sageturner_magic.capture.slicing import definition_is
from sageturner_magic.capture.syntax import FUNCTIONS, changed_by, names_of
from sageturner_magic.values import attribute_of


@dataclass(frozen=True)
class InKernel:
    """The captured functions as the notebook has them.

    Attributes:
        predict, predict_batch: The functions; of both predict_batch is used.
        model: What load() returned.
        example: example_request() of the notebook, if it is captured.
        touched: The statements that bound or used what predict() uses, by their place in the
            order of execution: after another one the response may be another.
    """

    predict: Callable[..., Any] | None
    predict_batch: Callable[..., Any] | None
    model: object
    example: Callable[[], Any] | None
    touched: tuple[float, ...]

    def answer(self, request: object, context: object) -> object:
        """What predict() returns for one request: a value, an awaitable or an iterator."""
        if self.predict_batch is not None:
            (response,) = self.predict_batch(self.model, [request])
            return response
        assert self.predict is not None
        takes_context = len(inspect.signature(self.predict).parameters) > 2
        return self.predict(self.model, request, *([context] if takes_context else []))


class Model(NamedTuple):
    """A model of the notebook, and the variable that holds it."""

    variable: str
    value: object


def in_kernel(
    history: History, namespace: Mapping[str, Any], served: Model | None = None
) -> InKernel | str:
    """The captured functions in the notebook; why they cannot be called there, in words.

    load() is never called: its model is known if a cell keeps it (`model = load()`).

    Args:
        served: The model for which load() is generated.
    """
    own = {
        name: step
        for step in history.steps
        if step.origin is RunOrigin.OWN and step.is_definition
        for name in step.statement.names.binds
        if namespace.get(name) is not None
        and definition_is(step.node, step.statement.cell.tree, namespace[name])
    }
    role = "predict_batch" if "predict_batch" in own else "predict"
    if role not in own or "load" not in own:
        return "the notebook has other functions by these names now"
    function = namespace[role]
    if not inspect.isfunction(function):
        return f"{role}() is not a plain function"
    if reason := _side_effect(own[role], history, namespace):
        return reason
    if served is not None and attribute_of(served.value, "training") is True:
        name = served.variable
        return f"`{name}` is in training mode, unlike what load() returns; `{name}.eval()` ends it"
    model = served or _model(own["load"], history, namespace)
    if model is None:
        return "no cell keeps what load() returns; `model = load()` in a cell does"
    return InKernel(
        namespace["predict"] if "predict" in own else None,
        namespace["predict_batch"] if "predict_batch" in own else None,
        model.value,
        namespace["example_request"] if "example_request" in own else None,
        # Any cell may have trained the model again.
        (len(history.steps),) if served else _touched(model.variable, own, history, namespace),
    )


def _side_effect(predict: RunStatement, history: History, namespace: Mapping[str, Any]) -> str:
    """What a call would change in the notebook, and so in the code that is deployed."""
    assert isinstance(predict.node, FUNCTIONS)
    role, model = predict.node.name, predict.node.args.args[0].arg
    changed = history.changed_by_calling([role], len(history.steps)) & namespace.keys()
    if changed:
        return f"{role}() changes `{min(changed)}`"
    parts = [(each, names_of(each)) for each in predict.node.body]
    if any(model in changed_by(each, names) for each, names in parts):
        return f"{role}() changes its `{model}`"
    return ""


def _touched(
    model: str, own: Mapping[str, RunStatement], history: History, namespace: Mapping[str, Any]
) -> tuple[float, ...]:
    read = history.read_by_calling(own, len(history.steps))
    code = (type, ModuleType, FunctionType, BuiltinFunctionType)
    used = {model, *(name for name in read if not isinstance(namespace.get(name), code))}
    return tuple(
        step.index
        for step in history.steps
        if own.keys() & step.statement.names.binds.keys()
        or used & {*step.statement.names.binds, *step.statement.names.needed()}
    )


def _model(load: RunStatement, history: History, namespace: Mapping[str, Any]) -> Model | None:
    """What load() has returned, or what its only statement returns whenever it is called."""
    for step in reversed(history.steps):
        if step.index <= load.index:
            break
        if step.origin is RunOrigin.FAILED or not isinstance(step.node, ast.Assign):
            continue
        target, value = step.node.targets[0], step.node.value
        is_load = isinstance(value, ast.Call) and ast.unparse(value.func) == "load"
        if not is_load or not isinstance(target, ast.Name) or len(step.node.targets) > 1:
            continue
        if target.id in namespace and history.is_final(target.id, step):
            return Model(target.id, namespace[target.id])
    assert isinstance(load.node, FUNCTIONS)
    body = [each for each in load.node.body if not _is_docstring(each)]
    if len(body) != 1 or not isinstance(body[0], (ast.Return, ast.Pass)):
        return None
    returned = getattr(body[0], "value", None)
    if returned is None or isinstance(returned, ast.Constant):
        return Model("load", returned.value if returned else None)
    if isinstance(returned, ast.Name) and returned.id in namespace:
        parameters = inspect.signature(namespace["load"]).parameters
        return None if returned.id in parameters else Model(returned.id, namespace[returned.id])
    return None


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
