"""Find what a live object is, and generate the code that serves it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType

from sageturner_magic.capture.generated import estimators, functions, networks, transformers
from sageturner_magic.capture.generated.code import Generated, Setting
from sageturner_magic.errors import CaptureError
from sageturner_magic.values import attribute_of, package_of

Generator = Callable[[Setting], Generated]

_KINDS: Mapping[str, Generator] = {
    "xgboost.XGBModel": estimators.xgboost_estimator,
    "xgboost.Booster": estimators.xgboost_booster,
    "lightgbm.Booster": estimators.lightgbm_booster,
    "catboost.CatBoost": estimators.catboost_estimator,
    "sklearn.BaseEstimator": estimators.estimator,
    "keras.Model": networks.keras_model,
    "onnxruntime.InferenceSession": networks.onnx_session,
    "sentence_transformers.SentenceTransformer": transformers.sentences,
    "transformers.Pipeline": transformers.pipeline,
    "transformers.PreTrainedModel": transformers.lone_model,
    "torch.Module": networks.torch_module,
}
"""Package and name of a class -> what generates the code for it and for what derives from it.

The first in the order of an object's classes counts. No library is imported to look: an object of
a library shows that it is there.
"""


def generator_of(value: object) -> Generator | None:
    """What generates the code for objects of a known library; None for all others."""
    for kind in type(value).__mro__:
        if made := _KINDS.get(f"{package_of(kind)}.{kind.__qualname__}"):
            return made
    return None


def generate(setting: Setting) -> Generated:
    """The cells that serve the object of `setting`.

    Raises:
        CaptureError: Nothing is known about such objects; with the cells to write.
    """
    value = setting.value
    if made := generator_of(value):
        return made(setting)
    if isinstance(value, (FunctionType, BuiltinFunctionType)):
        return functions.function(setting)
    is_own = type(value).__module__ == "__main__" and callable(attribute_of(value, "predict"))
    if not isinstance(value, (type, ModuleType)) and (
        callable(value) or is_own or isinstance(value, MethodType)
    ):
        return functions.callable_object(setting)
    raise _unknown(setting)


def _unknown(setting: Setting) -> CaptureError:
    name, value = setting.model.name, setting.value
    if isinstance(value, type):
        return CaptureError(
            f"`{name}` is a class",
            where=setting.model.where,
            why="a model is an object of it",
            do=f"make one and give its name: `model = {name}(…)`, `--model model`",
            code="ST44",
        )
    kind = type(value)
    shown = (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}"
    )
    return CaptureError(
        f"There is no rule for serving `{name}` ({shown})",
        where=setting.model.where,
        why="its library's way to save, load and predict is not known here",
        do="give a function (`--model FUNCTION`), or write these two cells and deploy with"
        f" `artefact: {{{name}.joblib: {name}}}`",
        details=_CELLS.format(name=name),
        code="ST44",
    )


_CELLS = """%%sageturner_load
import joblib

def load(model_dir):
    return joblib.load(f"{{model_dir}}/{name}.joblib")

%%sageturner_predict
def predict(model, request):
    return {{"prediction": model.predict([request])[0]}}"""
