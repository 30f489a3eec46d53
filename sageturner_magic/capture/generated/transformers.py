"""Generate code for transformers pipelines and sentence-transformers."""

from __future__ import annotations

from sageturner_magic.capture.generated.code import Generated, Setting, example_code, plain
from sageturner_magic.capture.generated.inputs import texts_input
from sageturner_magic.capture.generated.samples import with_sample
from sageturner_magic.errors import CaptureError

_PREDICT = """def predict(model, request):
    if isinstance(request, dict) and "inputs" in request:
        return model(request["inputs"], **request.get("parameters", {}))
    return model(request)
"""


def pipeline(setting: Setting) -> Generated:
    """A pipeline: a folder with its model and its tokenizer or processor."""
    folder = setting.model.name
    task = setting.value.task
    load = setting.load(
        ("import transformers",), folder, f"return transformers.pipeline({task!r}, model=$file)"
    )
    example = example_code(setting.model.example, setting, plain)
    return Generated(load, _PREDICT + example, folder, setting.value)


def sentences(setting: Setting) -> Generated:
    """A sentence transformer: its folder."""
    folder = setting.model.name
    load = setting.load(
        ("from sentence_transformers import SentenceTransformer",),
        folder,
        "return SentenceTransformer($file)",
    )
    taken = texts_input(setting)
    predict = (
        f"{taken.code}\n\ndef predict(model, request):\n"
        f'    return {{"embeddings": model.encode({taken.call})}}\n{taken.example}'
    )
    predict = with_sample(setting, predict.lstrip("\n"), taken)
    return Generated(load, predict, folder, setting.value)


def lone_model(setting: Setting) -> Generated:
    """A model without its tokenizer or processor."""
    name = setting.model.name
    raise CaptureError(
        f"`{name}` ({type(setting.value).__name__}) is a model without its tokenizer",
        where=setting.model.where,
        do=f"make `pipe = transformers.pipeline(TASK, model={name}, tokenizer=…)`, and give"
        " `--model pipe`",
        code="ST44",
    )
