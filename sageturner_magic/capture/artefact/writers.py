"""Write live notebook objects to files, each with its own library's writer."""

from __future__ import annotations

import importlib
import json
import pickle
import shutil
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

from sageturner_magic.capture.artefact.verification import changed_by_writing
from sageturner_magic.capture.objects import Probe, reduced
from sageturner_magic.capture.sharing import is_copied_on_write, views
from sageturner_magic.errors import ArtefactError
from sageturner_magic.packages.needed import modules_in
from sageturner_magic.values import package_of

Definitions = Mapping[int, str]
"""Id of a class or function of the notebook -> its name in the module, for pickles."""
Writer = Callable[[Any, Path, Definitions], None]


def write_object(
    value: object, variable: str, path: Path, definitions: Definitions = MappingProxyType({})
) -> None:
    """Save `value`, the notebook's variable `variable`, to `path` by the path's extension.

    A path without an extension becomes a folder, written by the object's own save_pretrained,
    to_disk or save.

    Raises ArtefactError when the extension is unknown or the value cannot be written that way.
    """
    extension = path.suffix.lower()
    writer = WRITERS.get(extension, None if extension else _plain(_folder))
    if writer is None:
        raise ArtefactError(
            f"`{path.name}` has an extension that names no format",
            where=f"artefact: {{{path.name}: {variable}}}",
            why=f"known are {', '.join(sorted(WRITERS))}, and folders (no extension)",
            do=f"call it `{path.stem}.joblib`, for example",
            code="ST53",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        writer(value, path, definitions)
        if changed := changed_by_writing(value, path):
            raise ArtefactError(
                f"`{variable}` would not be the same after it is read from {path.name}",
                where=f"artefact: {{{path.name}: {variable}}}",
                why=changed,
                do=f"save it as `{path.stem}.joblib`",
                code="ST54",
            )
    except ArtefactError:
        raise
    except ImportError as error:
        raise ArtefactError(
            f"`{variable}` cannot be saved as {path.name}",
            why=f"{type(error).__name__}: {error}",
            do=f"install `{error.name or 'the library'}` in the notebook's environment",
            code="ST54",
        ) from error
    except Exception as error:
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
        raise ArtefactError(
            f"`{variable}`, {_kind(value)}, cannot be saved as {path.name}",
            why=f"{type(error).__name__}: {error}",
            do=_REMEDIES.get(extension, "choose another extension, or build it inside load()"),
            code="ST54",
        ) from error


def _kind(value: object) -> str:
    name = type(value).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def _package(value: object) -> str:
    return package_of(type(value))


_REMEDIES: Mapping[str, str] = {
    ".json": "give plain dicts, lists, strings and numbers, or save it as .joblib",
    ".npy": "give one array, or save it as .joblib",
    ".npz": "give a dict of arrays, or save it as .joblib",
    ".parquet": "give a data frame, or save it as .joblib",
    ".safetensors": "give a dict of tensors, such as `model.state_dict()`",
    ".txt": "give a string or a LightGBM model, or save it as .joblib",
    ".bin": "give bytes, or save it as .joblib",
    "": "give the file an extension: .joblib, .json, .npy, .pt, …",
}


def _joblib(value: Any, path: Path, definitions: Definitions) -> None:
    from joblib.numpy_pickle import NumpyPickler

    _refuse_notebook_classes(value, path, definitions)
    with path.open("wb") as file:
        _pickler(NumpyPickler, _by_name(definitions))(file).dump(value)


def _pickle(value: Any, path: Path, definitions: Definitions) -> None:
    # The parts are held until the end, so that nothing else gets their ids.
    parts = _refuse_notebook_classes(value, path, definitions).parts
    of_views = views(parts)

    def reduce(_: Any, each: Any) -> Any:
        if each is not value and is_copied_on_write(each):
            # Frames that share memory until one is changed would share it for good.
            return each.copy().__reduce_ex__(5)
        return of_views.get(id(each)) or reduced(each, definitions)

    with path.open("wb") as file:
        _pickler(pickle.Pickler, reduce)(file, protocol=5).dump(value)


def _pickler(base: Any, reduce: Callable[[Any, Any], Any]) -> Any:
    """A kind of `base` that writes objects as `reduce` says."""
    return type("Pickler", (base,), {"reducer_override": reduce})


def _by_name(definitions: Definitions) -> Callable[[Any, Any], Any]:
    """Write the notebook's own names as those of the module."""
    return lambda _, value: reduced(value, definitions)


def _skops(value: Any, path: Path) -> None:
    _refuse_notebook_classes(value, path, {})
    importlib.import_module("skops.io").dump(value, path)
    _without_addresses(path)


def _json(value: Any, path: Path) -> None:
    if _package(value) == "catboost":
        # It does not go by the extension.
        value.save_model(str(path), format="json")
        return
    if _package(value) == "xgboost":
        _save_model(value, path)
        return
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


def _torch(value: Any, path: Path, definitions: Definitions) -> None:
    ours = SimpleNamespace(
        Pickler=_pickler(pickle.Pickler, _by_name(definitions)), __name__="pickle"
    )
    importlib.import_module("torch").save(value, path, pickle_module=ours)
    if "__main__" in modules_in(path):
        path.unlink()
        raise _notebook_class(path, type(value).__name__)


def _safetensors(value: Any, path: Path) -> None:
    tensors = value.state_dict() if hasattr(value, "state_dict") else value
    if not isinstance(tensors, Mapping):
        raise TypeError("it is not a dict of tensors")
    packages = {_package(each) for each in tensors.values()}
    library = "numpy" if packages <= {"numpy"} else "torch"
    importlib.import_module(f"safetensors.{library}").save_file(dict(tensors), str(path))


def _parquet(value: Any, path: Path) -> None:
    if hasattr(value, "to_parquet"):
        value.to_parquet(path)
    elif hasattr(value, "write_parquet"):
        value.write_parquet(path)
    else:
        raise TypeError("it has neither to_parquet nor write_parquet")


def _save_model(value: Any, path: Path) -> None:
    # XGBoost, CatBoost; LightGBM's scikit-learn models keep theirs in `booster_`.
    getattr(value, "booster_", value).save_model(str(path))


def _text(value: Any, path: Path) -> None:
    if isinstance(value, str):
        path.write_text(value, encoding="utf-8")
    else:
        _save_model(value, path)


def _bytes(value: Any, path: Path, definitions: Definitions) -> None:
    if isinstance(value, (bytes, bytearray, memoryview)):
        path.write_bytes(value)
    elif _package(value) == "torch" or isinstance(value, Mapping):
        _torch(value, path, definitions)
    else:
        _save_model(value, path)


def _keras(value: Any, path: Path) -> None:
    value.save(str(path))
    if path.suffix == ".keras":
        _without_times(path)


_KERAS_METADATA = "metadata.json"


def _onnx(value: Any, path: Path) -> None:
    data = value if isinstance(value, bytes) else value.SerializeToString(deterministic=True)
    path.write_bytes(data)


def _folder(value: Any, path: Path) -> None:
    for method in ("save_pretrained", "to_disk", "save"):
        if hasattr(value, method):
            path.mkdir()
            getattr(value, method)(str(path))
            return
    raise TypeError("it has no save_pretrained, to_disk or save that writes a folder")


def _plain(write: Callable[[Any, Path], None]) -> Writer:
    """A writer of a format that names no classes of the notebook."""
    return lambda value, path, _: write(value, path)


WRITERS: Mapping[str, Writer] = {
    ".bin": _bytes,
    ".cbm": _plain(_save_model),
    ".h5": _plain(_keras),
    ".joblib": _joblib,
    ".json": _plain(_json),
    ".keras": _plain(_keras),
    ".npy": _plain(_npy),
    ".npz": _plain(_npz),
    ".onnx": _plain(_onnx),
    ".parquet": _plain(_parquet),
    ".pickle": _pickle,
    ".pkl": _pickle,
    ".pt": _torch,
    ".pt2": _bytes,
    ".pth": _torch,
    ".safetensors": _plain(_safetensors),
    ".skops": _plain(_skops),
    ".txt": _plain(_text),
    ".ubj": _plain(_save_model),
}
"""Extension -> the function that writes it."""


def _without_times(path: Path) -> None:
    """Write a .keras file anew without the time that it was saved at, so that its digest stays."""
    with zipfile.ZipFile(path) as old:
        names = {entry.filename: entry.filename for entry in old.infolist()}
        metadata = json.loads(old.read(_KERAS_METADATA))
    text = json.dumps({**metadata, "date_saved": "1980-01-01@00:00:00"}).encode()
    _rewrite(path, names, {_KERAS_METADATA: text})


def _without_addresses(path: Path) -> None:
    """Number the objects of a skops file, which names them and their files by their addresses."""
    with zipfile.ZipFile(path) as old:
        schema = json.loads(old.read(_SKOPS_SCHEMA))
    numbers: dict[object, int] = {}
    names: dict[str, str] = {}

    def number(part: Any) -> None:
        if isinstance(part, list):
            for each in part:
                number(each)
        elif isinstance(part, dict):
            if "__id__" in part:
                part["__id__"] = numbers.setdefault(part["__id__"], len(numbers))
            if isinstance(part.get("file"), str):
                file = part["file"]
                part["file"] = names.setdefault(file, f"{len(names)}{Path(file).suffix}")
            for each in part.values():
                number(each)

    number(schema)
    text = json.dumps(schema, indent=2).encode()
    _rewrite(path, {**names, _SKOPS_SCHEMA: _SKOPS_SCHEMA}, {_SKOPS_SCHEMA: text})


_SKOPS_SCHEMA = "schema.json"


def _rewrite(path: Path, names: Mapping[str, str], contents: Mapping[str, bytes]) -> None:
    """Write a ZIP anew with the entries `names` (old -> new) in that order and no times."""
    anew = path.with_name(path.name + ".new")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(anew, "w") as new:
        for before, after in names.items():
            plain = zipfile.ZipInfo(after)
            plain.compress_type = old.getinfo(before).compress_type
            if before in contents:
                new.writestr(plain, contents[before])
                continue
            with old.open(before) as source, new.open(plain, "w", force_zip64=True) as target:
                shutil.copyfileobj(source, target)
    anew.replace(path)


def _refuse_notebook_classes(value: Any, path: Path, definitions: Definitions) -> Probe:
    probe = Probe()
    failure: Exception | None = None
    try:
        probe.dump(value)
    except Exception as error:
        failure = error
    found = [each.__qualname__ for each in probe.found if id(each) not in definitions]
    if found:
        raise _notebook_class(path, *dict.fromkeys(found))
    if failure:
        raise failure
    return probe


def _notebook_class(path: Path, *names: str) -> ArtefactError:
    return ArtefactError(
        f"{path.name} would refer to {', '.join(f'`{name}`' for name in names)}, defined in the"
        " notebook",
        why="a pickle holds only the name, and where the model runs there is no notebook to"
        " find it in",
        do="save the plain data it is made of (parameters, `weights = model.state_dict()`) and"
        " build the object inside load(), or define the class in a module beside the notebook",
        code="ST54",
    )
