"""Write the function that turns a request into a batch of arrays or tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sageturner_magic.capture.generated.code import Setting, example_code, filled, plain, zeros
from sageturner_magic.capture.generated.inputs import BAD_REQUEST, Input

_BATCH = '''
$SHAPE = $shape
$bad_request

def $batch_of(request):
    """Make a batch of one item or a list of items, alone or as the only value of a record."""
    if isinstance(request, dict):
        if len(request) != 1:
            raise $BadRequest("the model takes one item or a list of items")
        (request,) = request.values()
    try:
        batch = $made
    except (TypeError, ValueError) as error:
        raise $BadRequest(f"the model takes items of shape {$SHAPE}: {error}") from error
    batch = batch[None] if batch.ndim == len($SHAPE) else batch
    fits = batch.ndim == len($SHAPE) + 1 and all(
        size in (None, given) for size, given in zip($SHAPE, batch.shape[1:])
    )
    if not fits:
        raise $BadRequest(f"the model takes items of shape {$SHAPE}, not {tuple(batch.shape)}")
    return batch
'''


def batch_input(
    setting: Setting, shape: tuple[int | None, ...], made: str, imports: tuple[str, ...]
) -> Input:
    """A batch of items of `shape`; None stands for any size, `made` is the array's source."""
    names = setting.names("SHAPE", "BadRequest", "batch_of")
    bad = filled(BAD_REQUEST, names)
    text = filled(_BATCH, names, shape=repr(shape), bad_request=bad, made=made)
    example = example_code(setting.model.example, setting, plain)
    sample = "" if example or None in shape else zeros([size or 0 for size in shape])
    return Input(imports, text, f"{names['batch_of']}(request)", example, sample)


_BATCHES = '''
$INPUTS = {
$kinds}
$bad_request

def $batches_of(request):
    """Make a batch for each input of an object: one item, or a list of items."""
    if not isinstance(request, dict) or set(request) != set($INPUTS):
        raise $BadRequest(f"the model takes an object with {', '.join($INPUTS)}")
    batches = {}
    for name, (shape, dtype) in $INPUTS.items():
        try:
            batch = torch.as_tensor(request[name], dtype=dtype)
        except (TypeError, ValueError) as error:
            raise $BadRequest(f"{name} takes items of shape {shape}: {error}") from error
        batches[name] = batch[None] if batch.ndim == len(shape) else batch
        if tuple(batches[name].shape[1:]) != shape:
            raise $BadRequest(f"{name} takes items of shape {shape}, not {tuple(batch.shape)}")
    if len({len(batch) for batch in batches.values()}) != 1:
        raise $BadRequest("the inputs have different numbers of items")
    return batches
'''


def batches_input(
    setting: Setting, kinds: Mapping[str, tuple[tuple[int, ...], str]], request: object
) -> Input:
    """A batch of torch for each of several inputs.

    Args:
        kinds: Input -> shape of an item, and the type of its numbers as source.
        request: The example, as a request.
    """
    names = setting.names("INPUTS", "BadRequest", "batches_of")
    bad = filled(BAD_REQUEST, names)
    lines = "".join(
        f"    {name!r}: ({shape}, {dtype}),\n" for name, (shape, dtype) in kinds.items()
    )
    text = filled(_BATCHES, names, kinds=lines, bad_request=bad)
    example = example_code(request, setting, plain)
    return Input(("torch",), text, f"{names['batches_of']}(request)", example)


def sizes(shape: Any) -> tuple[int | None, ...]:
    """The sizes of one item: `shape` without the batch's, names and unknown ones as None."""
    return tuple(each if isinstance(each, int) and each > 0 else None for each in shape[1:])
