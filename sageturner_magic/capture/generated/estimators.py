"""Generate code for estimators: scikit-learn, LightGBM, XGBoost and CatBoost."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from sageturner_magic.capture.generated.code import Generated, Setting
from sageturner_magic.capture.generated.inputs import (
    Input,
    is_frame,
    rows_input,
    table_input,
    texts_input,
)
from sageturner_magic.capture.generated.samples import with_sample
from sageturner_magic.errors import CaptureError

_READS_OBJECTS = ("Encoder", "ColumnTransformer", "FunctionTransformer", "FeatureUnion")
"""Ends of the names of first steps that take more than numbers."""


def estimator(setting: Setting) -> Generated:
    """scikit-learn's estimators and pipelines, and those of others that are built like them."""
    _require_fitted(setting)
    file = f"{setting.model.name}.joblib"
    load = setting.load(("import joblib",), file, "return joblib.load($file)")
    return Generated(load, _predict(setting, _input(setting)), file, setting.value)


def xgboost_estimator(setting: Setting) -> Generated:
    """XGBoost's estimators, in its own format."""
    _require_fitted(setting)
    kind, defaults = type(setting.value), type(setting.value)().get_params()
    # What its file does not hold and prediction needs.
    given = {
        name: value
        for name, value in setting.value.get_params().items()
        if name in ("missing", "enable_categorical") and repr(value) != repr(defaults[name])
    }
    arguments = ", ".join(f"{name}={value!r}" for name, value in given.items())
    file = f"{setting.model.name}.ubj"
    load = setting.load(
        ("import xgboost",),
        file,
        f"model = xgboost.{kind.__name__}({arguments})",
        "model.load_model($file)",
        "return model",
    )
    return Generated(load, _predict(setting, _input(setting)), file, setting.value)


def catboost_estimator(setting: Setting) -> Generated:
    """CatBoost's estimators, in its own format."""
    if not setting.value.is_fitted():
        raise _not_fitted(setting)
    file = f"{setting.model.name}.cbm"
    made = f"return catboost.{type(setting.value).__name__}().load_model($file)"
    names = [*setting.value.feature_names_]
    load = setting.load(("import catboost",), file, made)
    predict = _predict(setting, _named(setting, names))
    if _has_classes(setting.value):
        # Of more than two classes it gives a column.
        predict = predict.replace("model.predict(rows)", "model.predict(rows).ravel()")
    return Generated(load, predict, file, setting.value)


def lightgbm_booster(setting: Setting) -> Generated:
    """LightGBM's Booster, in its own format."""
    file = f"{setting.model.name}.txt"
    load = setting.load(("import lightgbm",), file, "return lightgbm.Booster(model_file=$file)")
    taken = _named(setting, setting.value.feature_name(), "Column_")
    return Generated(load, _predict(setting, taken), file, setting.value)


def xgboost_booster(setting: Setting) -> Generated:
    """XGBoost's Booster, in its own format."""
    file = f"{setting.model.name}.ubj"
    load = setting.load(("import xgboost",), file, "return xgboost.Booster(model_file=$file)")
    names = setting.value.feature_names
    taken = (
        table_input(setting, names) if names else rows_input(setting, setting.value.num_features())
    )
    categorical = ", enable_categorical=True" if "c" in (setting.value.feature_types or ()) else ""
    matrix = f"xgboost.DMatrix({taken.call}{categorical})"
    taken = taken._replace(imports=(*taken.imports, "xgboost"), call=matrix)
    return Generated(load, _predict(setting, taken), file, setting.value)


def _named(setting: Setting, names: Sequence[str], invented: str = "") -> Input:
    """The columns a library keeps; where it numbered them itself there are none."""
    numbered = [f"{invented}{number}" for number in range(len(names))]
    example = setting.model.example
    if [*names] != numbered:
        return table_input(setting, names)
    return _of_example(setting) if is_frame(example) else rows_input(setting, len(names))


def _of_example(setting: Setting) -> Input:
    columns: Any = setting.model.example
    return table_input(setting, [str(each) for each in columns.columns])


def _input(setting: Setting) -> Input:
    """What the estimator was trained with: a frame, texts or an array."""
    model = setting.value
    names = _attribute(model, "feature_names_in_")
    if names is not None:
        return table_input(setting, [str(each) for each in names])
    first = _first_step(model)
    if hasattr(first, "build_analyzer"):
        return texts_input(setting)
    if is_frame(setting.model.example):
        return _of_example(setting)
    count = _attribute(model, "n_features_in_")
    if count is None:
        raise CaptureError(
            f"`{setting.model.name}` does not say what it was trained with",
            where=setting.model.where,
            why=f"its first step, {type(first).__name__}, keeps no names of columns",
            do="add `--example` with a few rows of a DataFrame, such as `--example X_test.head(3)`",
            code="ST44",
        )
    takes_objects = any(end in type(first).__name__ for end in _READS_OBJECTS)
    return rows_input(setting, int(count), "object" if takes_objects else "float")


def _first_step(model: Any) -> Any:
    """What gets the rows first: inside searches, pipelines and unions."""
    while True:
        inside = [
            *[_attribute(model, name) for name in ("best_estimator_", "estimator_", "estimator")],
            *[step for name in ("steps", "transformer_list") for _, step in _pairs(model, name)][
                :1
            ],
        ]
        found = next((each for each in inside if hasattr(each, "get_params")), None)
        if found is None:
            return model
        model = found


def _pairs(model: Any, name: str) -> Sequence[tuple[str, Any]]:
    pairs = _attribute(model, name)
    return pairs if isinstance(pairs, list) else []


def _attribute(model: Any, name: str) -> Any:
    """An attribute that may be computed, and fail, as those of pipelines do."""
    try:
        return getattr(model, name, None)
    except Exception:
        return None


def _predict(setting: Setting, taken: Input) -> str:
    model = setting.value
    if hasattr(model, "predict"):
        lines = ['"predictions": model.predict(rows),']
        if _has_classes(model):
            lines += ['"probabilities": model.predict_proba(rows),', '"classes": model.classes_,']
    else:
        lines = ['"values": model.transform(rows),']
    answer = "\n".join(f"        {line}" for line in lines)
    imports = "\n".join(f"import {name}" for name in taken.imports)
    source = (
        f"{imports}\n{taken.code}\n\ndef predict(model, request):\n"
        f"    rows = {taken.call}\n    return {{\n{answer}\n    }}\n{taken.example}"
    )
    return with_sample(setting, source, taken)


def _has_classes(model: Any) -> bool:
    """Whether it gives one probability for each of one list of classes."""
    classes = _attribute(model, "classes_")
    return hasattr(model, "predict_proba") and getattr(classes, "ndim", 0) == 1


def _require_fitted(setting: Setting) -> None:
    model = setting.value
    if not (hasattr(model, "predict") or hasattr(model, "transform")):
        raise CaptureError(
            f"`{setting.model.name}` ({type(model).__name__}) cannot predict for new data",
            where=setting.model.where,
            why="it has neither predict() nor transform()",
            do="give a function that computes the response: `--model FUNCTION`",
            code="ST44",
        )
    validation = sys.modules.get("sklearn.utils.validation")
    exceptions = sys.modules.get("sklearn.exceptions")
    if validation is None or exceptions is None:
        return
    try:
        validation.check_is_fitted(model)
    except exceptions.NotFittedError:
        raise _not_fitted(setting) from None
    except Exception:
        # An estimator of others, which is not built for this check.
        return


def _not_fitted(setting: Setting) -> CaptureError:
    name = setting.model.name
    return CaptureError(
        f"`{name}` ({type(setting.value).__name__}) is not trained yet",
        where=setting.model.where,
        do=f"run the cell with `{name}.fit(…)` first",
        code="ST44",
    )
