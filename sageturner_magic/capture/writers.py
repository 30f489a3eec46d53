"""Live notebook objects as files, each through its library's own writer."""

from __future__ import annotations

import importlib
import io
import json
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sageturner_magic.errors import ArtefactError

Writer = Callable[[Any, Path], None]


def write_object(value: object, variable: str, path: Path) -> None:
    """Save `value`, the notebook's variable `variable`, to `path` by the path's extension.

    Raises ArtefactError when the extension is unknown or the value cannot be written that way.
    """
    extension = path.suffix.lower()
    writer = WRITERS.get(extension)
    if writer is None:
        raise ArtefactError(
            f"`{path.name}` has an extension that names no format",
            where=f"artefact: {{{path.name}: {variable}}}",
            why=f"known are {', '.join(sorted(WRITERS))}",
            do=f"call it `{path.stem or path.name}.joblib`, for example",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        writer(value, path)
    except ImportError as error:
        raise ArtefactError(
            f"`{variable}` cannot be saved as {path.name}",
            why=f"{type(error).__name__}: {error}",
            do=f"install `{error.name or 'the library'}` in the notebook's environment",
        ) from error
    except ArtefactError:
        raise
    except Exception as error:
        path.unlink(missing_ok=True)
        raise ArtefactError(
            f"`{variable}`, {_article(value)}, cannot be saved as {path.name}",
            why=f"{type(error).__name__}: {error}",
            do=_REMEDIES.get(extension, "choose another extension, or build it inside load()"),
        ) from error


def _article(value: object) -> str:
    kind = type(value).__name__
    return f"{'an' if kind[0].lower() in 'aeiou' else 'a'} {kind}"


_REMEDIES: Mapping[str, str] = {
    ".json": "give plain dicts, lists, strings and numbers, or save it as .joblib",
    ".npy": "give one array, or save it as .joblib",
    ".npz": "give a dict of arrays, or save it as .joblib",
}


def _joblib(value: Any, path: Path) -> None:
    import joblib

    _refuse_notebook_classes(value, path)
    joblib.dump(value, path)


def _pickle(value: Any, path: Path) -> None:
    _refuse_notebook_classes(value, path)
    with path.open("wb") as file:
        pickle.dump(value, file, protocol=5)


def _json(value: Any, path: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        json.dump(value, file, ensure_ascii=False)


def _npy(value: Any, path: Path) -> None:
    import numpy

    numpy.save(path, numpy.asarray(value), allow_pickle=False)


def _npz(value: Any, path: Path) -> None:
    import numpy

    if not isinstance(value, Mapping):
        raise TypeError("it is not a dict of arrays")
    numpy.savez(path, allow_pickle=False, **{str(name): value[name] for name in value})


def _torch(value: Any, path: Path) -> None:
    # By name: torch is not here when the types are checked.
    torch = importlib.import_module("torch")
    torch.save(value, path)


WRITERS: Mapping[str, Writer] = {
    ".joblib": _joblib,
    ".json": _json,
    ".npy": _npy,
    ".npz": _npz,
    ".pickle": _pickle,
    ".pkl": _pickle,
    ".pt": _torch,
    ".pth": _torch,
}
"""Extension -> the function that writes it."""


class _Probe(pickle.Pickler):
    """Pickles into nothing, to see which classes and functions would be looked up by name."""

    def __init__(self) -> None:
        # Arrays stay where they are: only what surrounds them is walked.
        super().__init__(io.BytesIO(), protocol=5, buffer_callback=lambda _: None)
        self.from_notebook: list[str] = []

    def reducer_override(self, obj: Any) -> Any:
        named = obj if isinstance(obj, type) or callable(obj) else type(obj)
        name = getattr(named, "__qualname__", None)
        if getattr(named, "__module__", None) == "__main__" and name:
            self.from_notebook.append(name)
        return NotImplemented


def _refuse_notebook_classes(value: Any, path: Path) -> None:
    probe = _Probe()
    try:
        probe.dump(value)
    except Exception:
        if not probe.from_notebook:
            raise
    if probe.from_notebook:
        names = ", ".join(f"`{name}`" for name in dict.fromkeys(probe.from_notebook))
        raise ArtefactError(
            f"{path.name} would refer to {names}, defined in the notebook",
            why="a pickle holds only the name, and where the model runs there is no notebook to"
            " find it in",
            do="save the plain data it is made of (parameters, a state dict) and build the object"
            " inside load(), or define the class in a module beside the notebook",
        )
