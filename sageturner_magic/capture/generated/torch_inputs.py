"""Find out from an example what a torch module takes."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from sageturner_magic.capture.generated.code import Setting, plain
from sageturner_magic.errors import CaptureError


@dataclass(frozen=True)
class TorchInputs:
    """A batch for each input of a module.

    Attributes:
        batches: Input -> a batch that the module can answer.
        is_single: The module takes one tensor, without a name.
        by_name: The module is called with keywords.
        example: The example, or the request that was made of several inputs.
    """

    batches: Mapping[str, Any]
    is_single: bool
    by_name: bool
    example: object


def example_inputs(setting: Setting, torch: Any) -> TorchInputs:
    """The example as batches: one tensor, a tuple of them, or a dict by name.

    Raises:
        CaptureError: There is no example, or the module cannot answer it.
    """
    example: Any = setting.model.example
    name = setting.model.name
    if example is None:
        names = _names(setting.value)
        shown = "X_test[:3]" if len(names) < 2 else f'"({", ".join(names)})"'
        raise CaptureError(
            f"`{name}` (torch) needs an example",
            where=setting.model.where,
            why="a module does not say what shape and type it takes",
            do=f'add `--example` with a batch, such as `--model {name} --example "{shown}"`',
            code="ST45",
        )
    by_name = isinstance(example, Mapping)
    parts = [*example] if by_name or isinstance(example, tuple) else [example]
    is_single = len(parts) == 1 and not by_name
    if by_name:
        given = {str(key): each for key, each in example.items()}
    else:
        names = _names(setting.value)
        if len(names) < len(parts):
            names = [f"input_{number}" for number in range(1, len(parts) + 1)]
        given = dict(zip(names, parts, strict=False))
    tensors = {key: _tensor(each, setting, torch) for key, each in given.items()}
    request = parts[0] if is_single else {key: plain(each) for key, each in given.items()}
    made = TorchInputs(tensors, is_single, by_name, request)
    is_batch = all(each.ndim > 1 for each in tensors.values())
    single = {key: each[None] for key, each in tensors.items()}
    return _answered(setting, torch, made, [tensors] * is_batch + [single])


def _names(module: Any) -> list[str]:
    """The parameters of forward() that are not keywords only."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(module.forward).parameters.values()
    return [each.name for each in parameters if each.kind in kinds]


def _tensor(given: Any, setting: Setting, torch: Any) -> Any:
    array = given.to_numpy() if hasattr(given, "to_numpy") else given
    try:
        tensor = torch.as_tensor(array).detach()
    except (TypeError, ValueError, RuntimeError) as error:
        raise CaptureError(
            "`--example` is no tensor",
            where=setting.model.where,
            why=str(error),
            do="give a tensor, an array or nested lists of numbers; for several inputs a tuple of"
            " them, or a dict by the names of forward()'s parameters",
            code="ST45",
        ) from None
    weight = next(iter(setting.value.parameters()), None)
    if weight is not None:
        tensor = tensor.to(weight.device)
        tensor = tensor.to(weight.dtype) if tensor.is_floating_point() else tensor
    return tensor


def _answered(
    setting: Setting, torch: Any, made: TorchInputs, tries: list[dict[str, Any]]
) -> TorchInputs:
    failure: Exception | None = None
    with evaluating(setting.value), torch.no_grad():
        for batches in tries:
            try:
                if made.by_name:
                    setting.value(**batches)
                else:
                    setting.value(*batches.values())
            except Exception as error:
                failure = failure or error
            else:
                return replace(made, batches=batches)
    raise CaptureError(
        f"`{setting.model.name}` cannot answer its example",
        where=setting.model.where,
        why=f"{type(failure).__name__}: {failure}",
        do="give a batch of what the module takes",
        code="ST45",
    )


@contextmanager
def evaluating(module: Any) -> Iterator[None]:
    """Let `module` be in evaluation mode, and each part of it afterwards as it was."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training
