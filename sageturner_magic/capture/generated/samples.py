"""Give generated code an example_request() where the user gave no example."""

from __future__ import annotations

import json
import warnings
from typing import Any

from sageturner_magic.capture.generated.code import Setting, example_function, plain
from sageturner_magic.capture.generated.inputs import Input


def with_sample(setting: Setting, predict: str, taken: Input) -> str:
    """`predict` followed by example_request(), if the model answers the sample of `taken`.

    A model that was trained with text or with positive numbers may refuse zeros.
    """
    if not taken.sample:
        return predict
    made: dict[str, Any] = dict(setting.namespace)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exec(compile(predict, "<generated>", "exec", dont_inherit=True), made)
            response = made["predict"](setting.value, eval(taken.sample, made))
        json.dumps({key: plain(value) for key, value in response.items()}, allow_nan=False)
    except Exception:
        return predict
    return predict + example_function(taken.sample)
