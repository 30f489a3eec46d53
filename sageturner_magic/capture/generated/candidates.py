"""Find the variables of a notebook that `--model` can serve. Nothing of the objects is called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import FunctionType

from sageturner_magic.capture.cells import Cell
from sageturner_magic.capture.checks import SIGNATURES
from sageturner_magic.capture.generated.kinds import generator_of
from sageturner_magic.capture.generated.transformers import lone_model
from sageturner_magic.capture.syntax import statements_of


def servable(ran: Sequence[Cell], namespace: Mapping[str, object]) -> list[str]:
    """Variables that hold a model, then those that only transform, then the notebook's functions.

    Of each kind the newest comes first.

    Args:
        ran: The cells that ran, in order.
    """
    steps = [statement for cell in ran for statement in statements_of(cell)]
    bound = {name: number for number, step in enumerate(steps) for name in step.names.binds}
    values = {name: value for name, value in [*namespace.items()] if not name.startswith("_")}

    def rank(name: str) -> tuple[int, int]:
        value = values[name]
        only_transforms = _has(value, "transform") and not _has(value, "predict")
        kind = 2 if isinstance(value, FunctionType) else 1 if only_transforms else 0
        return kind, -bound.get(name, -1)

    found = [
        name
        for name, value in values.items()
        if _is_model(value) or (name in bound and _is_own_function(name, value))
    ]
    return sorted(found, key=rank)


def _has(value: object, method: str) -> bool:
    return any(method in vars(kind) for kind in type(value).__mro__)


def _is_own_function(name: str, value: object) -> bool:
    is_own = isinstance(value, FunctionType) and value.__module__ == "__main__"
    return is_own and name not in SIGNATURES


def _is_model(value: object) -> bool:
    if isinstance(value, type):
        return False
    generator = generator_of(value)
    if generator is None:
        return type(value).__module__ == "__main__" and _has(value, "predict")
    return generator is not lone_model and not _is_loss(value)


def _is_loss(value: object) -> bool:
    """Whether it is a module of torch with nothing in it, as losses and activations are."""
    held = getattr(value, "__dict__", {})
    return "_modules" in held and not (held["_modules"] or held.get("_parameters"))
