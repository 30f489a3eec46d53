"""Generate code for networks: torch modules, Keras models, ONNX sessions."""

from __future__ import annotations

import importlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sageturner_magic.capture.generated.batches import batch_input, sizes
from sageturner_magic.capture.generated.code import Generated, Setting
from sageturner_magic.capture.generated.inputs import Input
from sageturner_magic.capture.generated.samples import with_sample
from sageturner_magic.errors import CaptureError


def torch_module(setting: Setting) -> Generated:
    """A torch module: its class and weights, else its exported graph, else its pickle."""
    torch, name = importlib.import_module("torch"), setting.model.name
    batch = _batch(setting, torch)
    dtype = str(batch.dtype)
    shape = tuple(batch.shape[1:])
    taken = batch_input(setting, shape, f"torch.as_tensor(request, dtype={dtype})", ("torch",))
    predict = _torch_predict(taken)
    if setting.construction and _constructs(setting, torch):
        file = f"{name}.pt"
        load = setting.load(
            ("import torch",),
            file,
            "# The class comes from the notebook, the weights from a file.",
            f"model = {setting.construction}",
            'weights = torch.load($file, map_location="cpu", weights_only=True)',
            "model.load_state_dict(weights)",
            "return model.eval()",
        )
        return Generated(load, predict, file, setting.value.state_dict(), "{}.state_dict()")
    if exported := _exported(setting, torch, batch):
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


def _torch_predict(taken: Input) -> str:
    return (
        f"import torch\n{taken.code}\n\ndef predict(model, request):\n"
        f"    batch = {taken.call}\n    with torch.inference_mode():\n"
        f'        return {{"predictions": model(batch)}}\n{taken.example}'
    )


def _batch(setting: Setting, torch: Any) -> Any:
    """The example as a batch that the module can answer."""
    example, name = setting.model.example, setting.model.name
    if example is None:
        raise CaptureError(
            f"`{name}` (torch) needs an example",
            where=setting.model.where,
            why="a module does not say what shape and type it takes",
            do=f"add `--example` with a batch, such as `--model {name} --example X_test[:3]`",
            code="ST45",
        )
    array = example.to_numpy() if hasattr(example, "to_numpy") else example
    try:
        tensor = torch.as_tensor(array).detach()
    except (TypeError, ValueError, RuntimeError) as error:
        raise CaptureError(
            "`--example` is no tensor",
            where=setting.model.where,
            why=str(error),
            do="give a tensor, an array or nested lists of numbers",
            code="ST45",
        ) from None
    weight = next(iter(setting.value.parameters()), None)
    if weight is not None:
        tensor = tensor.to(weight.device)
        tensor = tensor.to(weight.dtype) if tensor.is_floating_point() else tensor
    failure: Exception | None = None
    with _evaluating(setting.value), torch.no_grad():
        for batch in [tensor] * (tensor.ndim > 1) + [tensor[None]]:
            try:
                setting.value(batch)
            except Exception as error:
                failure = failure or error
            else:
                return batch
    raise CaptureError(
        f"`{name}` cannot answer its example",
        where=setting.model.where,
        why=f"{type(failure).__name__}: {failure}",
        do="give a batch of what the module takes",
        code="ST45",
    )


@contextmanager
def _evaluating(module: Any) -> Iterator[None]:
    """Let `module` be in evaluation mode, and each part of it afterwards as it was."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


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


def _exported(setting: Setting, torch: Any, batch: Any) -> bytes:
    """The module's graph for batches of any size, else for the example's; empty for none."""
    if not hasattr(getattr(torch, "export", None), "Dim"):
        return b""
    # One item is taken for a constant.
    sample = torch.cat([batch, batch]) if len(batch) == 1 else batch
    with _evaluating(setting.value):
        try:
            shapes = ({0: torch.export.Dim("batch")},)
            program = torch.export.export(setting.value, (sample,), dynamic_shapes=shapes)
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
