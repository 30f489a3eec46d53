"""Explain a failure in a clean process with the user's own lines and a remedy."""

from __future__ import annotations

import ast
import re
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sageturner_magic.aws import explain_model
from sageturner_magic.constants import MODEL_DIR
from sageturner_magic.errors import CaptureError
from sageturner_magic.values import CapturedModule

Frame = Sequence[str | int]
"""File relative to the program folder, line, function, text of the line."""


@dataclass(frozen=True)
class Raised:
    """An exception of the user's code, or one about it."""

    stage: str
    type: str
    message: str
    name: str | None
    frames: Sequence[Frame]


@dataclass(frozen=True)
class Stuck:
    """A stage took longer than `limit_s` seconds."""

    stage: str
    limit_s: float
    frames: Sequence[Frame]


@dataclass(frozen=True)
class Died:
    """The process ended without a word; `code` is negative for a signal."""

    stage: str
    code: int
    frames: Sequence[Frame]


Failure = Raised | Stuck | Died


@dataclass(frozen=True)
class Scene:
    """What is known besides the failure.

    Attributes:
        model_files: Names of what lies in model_dir.
        model_is_none: load() returned None.
        output: The last lines that the code printed.
    """

    module: CapturedModule
    model_files: tuple[str, ...] = ()
    model_is_none: bool = False
    output: tuple[str, ...] = field(default=(), repr=False)


_FROM_GPU = re.compile(r"deserialize object on (a CUDA|an? \w+) device|tagged with mps")
_NO_GPU = re.compile(
    r"No CUDA GPUs are available|Found no NVIDIA driver|no CUDA-capable device|"
    r"not compiled with CUDA enabled|not linked with support for mps"
)

_DOES = {
    "": "Starting Python",
    "import": "Importing the module",
    "load": "load()",
    "example": "example_request()",
    "predict": "predict()",
}


def explain(failure: Failure, scene: Scene) -> CaptureError:
    """The error that tells a user of `failure`."""
    if isinstance(failure, Raised):
        return _raised(failure, scene)
    does = _DOES[failure.stage]
    where = _where(failure, scene)
    details = "\n".join([*_shown(failure.frames, scene.module), *scene.output])
    if isinstance(failure, Stuck):
        return CaptureError(
            f"{does} takes longer than {failure.limit_s:g} s",
            where=where,
            why=_LIMITS[failure.stage],
            do=_FASTER[failure.stage],
            details=details,
            code="ST47",
        )
    said = f"{does} ended Python ({ending(failure.code)})"
    if failure.stage == "import":
        remedy = "take out what ends the process when the code is imported"
    elif failure.code == -signal.SIGKILL:
        remedy = "free memory or use a smaller model: Linux kills a process when memory runs out"
    elif failure.code < 0:
        remedy = "read the last lines above: a library crashed, often because versions do not fit"
    else:
        remedy = "take out the exit"
    return CaptureError(said, where=where, do=remedy, details=details, code="ST46")


_LIMITS = {
    "": "",
    "import": "a model has to be ready within `startup_timeout_s`, 480 s where it is not set",
    "load": "that is the limit of `startup_timeout_s`",
    "example": "that is the limit of `serving.timeout_s`",
    "predict": "that is the limit of `serving.timeout_s`",
}
_FASTER = {
    "": "close other programs that use the processor, and run it again",
    "import": "move slow work (loading, downloading, training) into load(); where a slow disk is"
    " the reason, run it again: what was read once is read faster",
    "load": "make load() faster, or raise `compute.local.startup_timeout_s`",
    "example": "return one small request, without slow work",
    "predict": "make predict() faster, move what is the same for every request into load(),"
    " or yield the response in parts",
}


def ending(code: int) -> str:
    """`exit code 3`, `killed by SIGSEGV`."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def forgotten_return(scene: Scene) -> CaptureError | None:
    """The error of a load() that returns nothing though predict() reads its model."""
    if not scene.model_is_none:
        return None
    tree = ast.parse(scene.module.source)
    load = _function(tree, "load")
    predict = _function(tree, "predict_batch") or _function(tree, "predict")
    if load is None or predict is None or _gives(load) or not _reads_model(predict):
        return None
    last = load.body[-1]
    remedy = "end load() with `return` and the model"
    if isinstance(last, ast.Assign) and isinstance(last.targets[0], ast.Name):
        remedy = f"end load() with `return {last.targets[0].id}`"
    return CaptureError(
        "load() returns nothing",
        where=_place("sageturner.py", last.lineno, scene.module),
        why=f"it ends without `return`, and {predict.name}() reads `{_model_name(predict)}`",
        do=remedy,
        code="ST48",
    )


def _raised(failure: Raised, scene: Scene) -> CaptureError:
    if failure.stage == "predict" and (error := forgotten_return(scene)):
        return error
    module = scene.module
    frames = "\n".join(_shown(failure.frames, module))
    why = f"{failure.type}: {failure.message}" if failure.message else failure.type
    if failure.type == "ProgramError":
        return CaptureError(
            "The module cannot serve",
            where=module.origin,
            why=failure.message,
            do="define load(model_dir) and predict(model, request)",
            code="ST46",
        )
    if failure.type == "AnswerError":
        function = _function(ast.parse(module.source), "predict_batch", "predict")
        returns = list(_returns(function)) if function else []
        line = returns[-1].lineno if returns else function.lineno if function else 0
        return CaptureError(
            "The value that predict() returns cannot be sent as a response",
            where=_place("sageturner.py", line, module) if line else module.origin,
            why=failure.message,
            do="return plain values: `float(x)`, `x.tolist()`, `vars(x)`",
            code="ST48",
        )
    if failure.type == "Problem":
        return CaptureError(
            "The request cannot be decoded",
            why=failure.message,
            do="change the payload or its --content-type",
            code="ST48",
        )
    if failure.type == "Invalid" and not failure.frames:
        example = failure.stage == "example"
        source = "What example_request() returns" if example else "The payload"
        return CaptureError(
            f"{source} is not of the type that predict() takes",
            where=_where(failure, scene),
            why=failure.message.replace("\n", "; "),
            do=f"change {'example_request()' if example else 'the payload'}, or the annotation of"
            " predict()'s request",
            code="ST48",
        )
    if failure.type == "InvalidAnswer" and not failure.frames:
        return CaptureError(
            "What predict() returns is not of the type that its signature names",
            where=_where(failure, scene),
            why=failure.message.replace("\n", "; "),
            do="change what predict() returns, or the annotation after `->`; with `serving:"
            " {check_answers: false}` nothing is compared",
            code="ST48",
        )
    whats = {
        "import": "The module cannot be imported in a clean Python",
        "load": f"load() raises {failure.type} in a clean Python",
        "example": f"example_request() raises {failure.type} in a clean Python",
        "predict": f"predict() raises {failure.type} in a clean Python",
    }
    return CaptureError(
        whats[failure.stage],
        where=_where(failure, scene),
        why=why if failure.stage == "import" else failure.message or "",
        do=_remedy(failure, scene),
        details=frames,
        code="ST46",
    )


def _remedy(failure: Raised, scene: Scene) -> str:
    """What to do about an exception; `name` is what it says was missing."""
    kind, name, message = failure.type, failure.name, failure.message
    if kind == "ModuleNotFoundError" and name and "." not in name:
        return (
            f"install the package that has `{name}` where the model runs: with pip in this Python,"
            " and for an image by `python_packages`; or put the module beside sageturner.py"
        )
    if kind == "NameError" and name and failure.stage == "import":
        return f"define `{name}` in the captured code, above its first use"
    if kind == "NameError" and name:
        return (
            f"`{name}` exists in the notebook only: define it in the captured code, or let load()"
            " return it as part of the model"
        )
    if kind == "SystemExit":
        top = failure.stage == "import"
        return "take the exit out of the module's top level" if top else "take the exit out"
    if kind == "AttributeError" and message.startswith("Can't get attribute"):
        return (
            "the file names a class that was defined in the notebook: define it in the cell of"
            " load(), or in a module beside the notebook, and save the file again"
        )
    if kind == "FileNotFoundError" and failure.stage == "load":
        if MODEL_DIR in message:
            return "use the argument of load(model_dir), or os.environ['SM_MODEL_DIR']"
        if not scene.model_files:
            return (
                "model_dir is empty, because no `artefact:` is configured: name the file, as in"
                " `artefact: {model.joblib: model}`"
            )
        return f"model_dir holds {', '.join(f'`{each}`' for each in scene.model_files[:10])}"
    if _FROM_GPU.search(message):
        return (
            'read it with `torch.load(…, map_location="cpu")`, or save it after `model.cpu()`: it'
            " was saved on a GPU, and the model will have none"
        )
    if _NO_GPU.search(message):
        return (
            'write `device = "cuda" if torch.cuda.is_available() else "cpu"`, or deploy to an'
            " instance with a GPU: here the model has none"
        )
    if failure.stage == "predict" and scene.model_is_none and "NoneType" in message:
        return "let load() return the model: it returned None"
    if kind != "PermissionError" and (known := explain_model(f"{kind}: {message}")):
        return known.do
    return {
        "import": "fix the line, or move it into load()",
        "load": "fix load()",
        "example": "fix example_request()",
        "predict": "fix predict(), or the request",
    }[failure.stage]


def _where(failure: Failure, scene: Scene) -> str:
    if failure.frames:
        file, line, *_ = failure.frames[-1]
        return _place(str(file), int(line), scene.module)
    return scene.module.origin


def _shown(frames: Sequence[Frame], module: CapturedModule) -> list[str]:
    shown = []
    for file, line, function, text in frames:
        if not text and file == "sageturner.py":
            text = module.source.splitlines()[int(line) - 1].strip()
        shown.append(f"  {_place(str(file), int(line), module)}, in {function}\n    {text}")
    return shown


def _function(tree: ast.Module, *names: str) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    """The last top-level definition of the first of `names` that has one."""
    for name in names:
        for node in reversed(tree.body):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == name:
                return node
    return None


def _own(function: ast.AST) -> Iterator[ast.AST]:
    """What stands in `function`, without the functions and classes in it."""
    for child in ast.iter_child_nodes(function):
        yield child
        if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            yield from _own(child)


def _returns(function: ast.AST) -> list[ast.Return | ast.Yield]:
    return [
        node for node in _own(function) if isinstance(node, (ast.Return, ast.Yield)) and node.value
    ]


def _gives(function: ast.AST) -> bool:
    return any(
        isinstance(node, (ast.Return, ast.Yield, ast.YieldFrom)) and node.value
        for node in _own(function)
    )


def _model_name(predict: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    arguments = [*predict.args.posonlyargs, *predict.args.args]
    return arguments[0].arg if arguments else ""


def _reads_model(predict: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    name = _model_name(predict)
    return any(isinstance(node, ast.Name) and node.id == name for node in ast.walk(predict))


def _place(file: str, line: int, module: CapturedModule) -> str:
    """`In[n], line m` for a line of sageturner.py that was copied from a cell, else `file:line`."""
    if file == "sageturner.py" and line in module.lines:
        return str(module.lines[line])
    return f"{file}:{line}"
