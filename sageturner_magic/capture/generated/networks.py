"""Generate code for networks: torch modules, Keras models, ONNX sessions."""

from __future__ import annotations

import importlib
import io
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sageturner_magic.capture.generated.batches import batch_input, batches_input, sizes
from sageturner_magic.capture.generated.code import Generated, Setting
from sageturner_magic.capture.generated.samples import with_sample
from sageturner_magic.capture.generated.torch_inputs import (
    TorchInputs,
    evaluating,
    example_inputs,
)
from sageturner_magic.errors import CaptureError


def torch_module(setting: Setting) -> Generated:
    """A torch module: its class and weights, else its exported graph, else its pickle."""
    torch, name = importlib.import_module("torch"), setting.model.name
    given = example_inputs(setting, torch)
    predict = _torch_predict(setting, given)
    if setting.construction and _constructs(setting, torch):
        state = setting.value.state_dict()
        is_safe = find_spec("safetensors") is not None and _are_plain(state, torch)
        file = f"{name}.safetensors" if is_safe else f"{name}.pt"
        read = (
            "load_file($file)"
            if is_safe
            else 'torch.load($file, map_location="cpu", weights_only=True)'
        )
        load = setting.load(
            ("from safetensors.torch import load_file",) if is_safe else ("import torch",),
            file,
            "# The class comes from the notebook, the weights from a file.",
            f"model = {setting.construction}",
            f"model.load_state_dict({read})",
            "return model.eval()",
        )
        return Generated(load, predict, file, state, "{}.state_dict()")
    if exported := _exported(setting, torch, given):
        file = f"{name}.pt2"
        load = setting.load(
            ("import torch",),
            file,
            "# The graph that torch.export made of the notebook's module and the example.",
            "return torch.export.load($file).module()",
        )
        return Generated(load, predict, file, exported)
    file = f"{name}.pt"
    load = setting.load(
        ("import torch",),
        file,
        "# A pickle: no single assignment makes the module, and torch.export cannot read it.",
        'return torch.load($file, map_location="cpu", weights_only=False).eval()',
    )
    return Generated(load, predict, file, setting.value)


def _torch_predict(setting: Setting, given: TorchInputs) -> str:
    if given.is_single:
        (batch,) = given.batches.values()
        made = f"torch.as_tensor(request, dtype={batch.dtype})"
        live = replace(setting.model, example=given.example)
        shape = tuple(batch.shape[1:])
        taken = batch_input(replace(setting, model=live), shape, made, ("torch",))
        arguments = "batch"
    else:
        kinds = {
            name: (tuple(batch.shape[1:]), f"{batch.dtype}")
            for name, batch in given.batches.items()
        }
        taken = batches_input(setting, kinds, given.example)
        arguments = "**batch" if given.by_name else "*batch.values()"
    return (
        f"import torch\n{taken.code}\n\ndef predict(model, request):\n"
        f"    batch = {taken.call}\n    with torch.inference_mode():\n"
        f'        return {{"predictions": model({arguments})}}\n{taken.example}'
    )


def _are_plain(state: dict[str, Any], torch: Any) -> bool:
    """Whether safetensors can hold them: tensors that share no memory, each in one piece."""
    tensors = [*state.values()]
    if not all(
        isinstance(each, torch.Tensor)
        and each.layout is torch.strided
        and each.is_contiguous()
        and not (each.is_complex() or each.is_quantized)
        for each in tensors
    ):
        return False
    places = [each.untyped_storage().data_ptr() for each in tensors if each.numel()]
    return len(places) == len({*places})


def _constructs(setting: Setting, torch: Any) -> bool:
    """Whether the assignment gives the module that the notebook has, but for its weights."""
    model = setting.value
    try:
        # Neither takes memory nor changes the notebook's random numbers.
        with torch.device("meta"):
            fresh = eval(setting.construction, dict(setting.namespace))
        if type(fresh) is not type(model) or repr(fresh) != repr(model):
            return False
        ours, theirs = fresh.state_dict(), model.state_dict()
        same = {key: (each.shape, each.dtype) for key, each in ours.items()} == {
            key: (each.shape, each.dtype) for key, each in theirs.items()
        }
        return same and all(
            _settings(one) == _settings(other)
            for one, other in zip(fresh.modules(), model.modules(), strict=True)
        )
    except Exception:
        return False


def _settings(module: Any) -> dict[str, object]:
    plain = (bool, int, float, str, tuple, type(None))
    return {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, plain) and name != "training"
    }


def _exported(setting: Setting, torch: Any, given: TorchInputs) -> bytes:
    """The module's graph for batches of any size, else for the example's; empty for none."""
    if not hasattr(getattr(torch, "export", None), "Dim"):
        return b""
    # One item is taken for a constant.
    batches = {
        name: torch.cat([batch, batch]) if len(batch) == 1 else batch
        for name, batch in given.batches.items()
    }
    arguments, named = ((), batches) if given.by_name else (tuple(batches.values()), {})
    size = torch.export.Dim("batch")
    shapes = {name: {0: size} for name in named} or tuple({0: size} for _ in arguments)
    with evaluating(setting.value):
        try:
            program = torch.export.export(setting.value, arguments, named, dynamic_shapes=shapes)
            file = io.BytesIO()
            torch.export.save(program, file)
        except Exception:
            return b""
    return file.getvalue()


def keras_model(setting: Setting) -> Generated:
    """A Keras model, in its own format."""
    model, file = setting.value, f"{setting.model.name}.keras"
    if isinstance(model.input_shape, list) or not isinstance(model.input_shape, tuple):
        raise CaptureError(
            f"`{setting.model.name}` has several inputs",
            where=setting.model.where,
            do="give a function that calls it: `--model FUNCTION`",
            code="ST44",
        )
    backend = importlib.import_module("keras").backend.backend()
    load = setting.load(
        ("import os",),
        file,
        f'os.environ.setdefault("KERAS_BACKEND", "{backend}")',
        "import keras",
        "",
        "return keras.models.load_model($file)",
    )
    dtype = str(model.inputs[0].dtype)
    made = f'numpy.asarray(request, dtype="{dtype}")'
    taken = batch_input(setting, sizes(model.input_shape), made, ("numpy",))
    predict = (
        f"import numpy\n{taken.code}\n\ndef predict(model, request):\n"
        f'    return {{"predictions": model.predict_on_batch({taken.call})}}\n{taken.example}'
    )
    return Generated(load, with_sample(setting, predict, taken), file, model)


_ONNX_TYPES = {"tensor(float)": "float32", "tensor(double)": "float64", "tensor(int64)": "int64"}


def onnx_session(setting: Setting) -> Generated:
    """An ONNX Runtime session that was made of a file with one input."""
    session, file = setting.value, f"{setting.model.name}.onnx"
    path = getattr(session, "_model_path", None)
    inputs = session.get_inputs()
    if not path or not Path(path).is_file() or len(inputs) != 1:
        raise CaptureError(
            f"The file of `{setting.model.name}` is not known, or it has several inputs",
            where=setting.model.where,
            why="a session does not hold the model that it runs",
            do="make it of a path (`onnxruntime.InferenceSession(PATH)`), or give a function",
            code="ST44",
        )
    load = setting.load(("import onnxruntime",), file, "return onnxruntime.InferenceSession($file)")
    (only,) = inputs
    dtype = _ONNX_TYPES.get(only.type, "float32")
    made = f'numpy.asarray(request, dtype="{dtype}")'
    taken = batch_input(setting, sizes(only.shape), made, ("numpy",))
    predict = (
        f"import numpy\n{taken.code}\n\ndef predict(model, request):\n"
        f"    outputs = model.run(None, {{{only.name!r}: {taken.call}}})\n"
        f"    return dict(zip({[each.name for each in session.get_outputs()]!r}, outputs))\n"
        f"{taken.example}"
    )
    return Generated(load, with_sample(setting, predict, taken), file, Path(path).read_bytes())
