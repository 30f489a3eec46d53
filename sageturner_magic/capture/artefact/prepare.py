"""Prepare the files that `artefact:` names as the folder `model_dir`."""

from __future__ import annotations

import difflib
import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from sageturner_magic.capture.artefact.unpack import unpack
from sageturner_magic.capture.artefact.verification import not_a_model
from sageturner_magic.capture.artefact.writers import write_object
from sageturner_magic.capture.code_folder import is_credential
from sageturner_magic.capture.objects import OBJECTS
from sageturner_magic.constants import CHUNK, FOLDERS_DEEP
from sageturner_magic.errors import ArtefactError, Finding
from sageturner_magic.text import clip, size
from sageturner_magic.values import Artefact, CapturedModule, LiveObject, Reporter, SourceFile

_BEGINNING = 512
"""Bytes of a file that say what it is."""

BESIDE_BYTES = 50_000_000
ARCHIVES = (".tar.gz", ".tgz")


def prepare_artefact(
    spec: str | Mapping[str, str] | None,
    folder: Path,
    namespace: Mapping[str, object],
    staging: Path,
    reporter: Reporter,
    objects: Sequence[LiveObject] = (),
    definitions: Mapping[int, str] = MappingProxyType({}),
) -> Artefact | None:
    """The artefact that `spec` names, as a folder on this machine; None when there is none.

    Args:
        spec: A path to a file, a directory or a .tar.gz (unpacked), or `{file name: variable}`.
        folder: What a relative path is relative to.
        namespace: The notebook's variables.
        staging: A folder of the caller's, new or empty, that outlives the artefact's use. A
            directory is used where it lies and nothing is put here.
        reporter: Is told the bytes that are unpacked and then hashed.
        objects: What the module reads, put beside the rest.
        definitions: What pickles may refer to (`CapturedModule.definitions`).

    Raises:
        ArtefactError: It does not exist, is unsafe, is empty, or cannot be written.
        DeploymentCancelled: `reporter` says that the user wants to stop.
    """
    if spec is None and not objects:
        return None
    if isinstance(spec, str):
        place = _from_path(spec, folder, staging, reporter)
        _add_objects(place, spec, objects, definitions, staging)
        place = staging / "model" if objects else place
    else:
        _require_one_each(spec or {}, objects)
        given = {each.variable: each.value for each in objects}
        wanted = {**(spec or {}), **{each.file: each.variable for each in objects}}
        place = _from_variables(wanted, {**namespace, **given}, staging, definitions)
    return _measured(place, str(spec), reporter)


def with_objects(module: CapturedModule, staging: Path) -> CapturedModule:
    """`module` with its objects as files beside the code, for model files that are elsewhere.

    Raises ArtefactError: An object cannot be written, or all are larger than `BESIDE_BYTES`.
    """
    folder = staging / OBJECTS
    for each in module.objects:
        write_object(each.value, each.variable, folder / each.file, module.definitions)
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    total = sum(path.stat().st_size for path in paths)
    if total > BESIDE_BYTES:
        raise ArtefactError(
            f"The notebook's objects are too large to ship beside the code ({size(total)})",
            where=", ".join(each.named for each in module.objects),
            why=f"with an artefact in S3 they may have {size(BESIDE_BYTES)}",
            do="put them among the files in S3 and read them in load()",
            code="ST55",
        )
    files = [SourceFile(path.relative_to(staging).as_posix(), path) for path in paths]
    return replace(module, files=(*module.files, *files))


def _require_one_each(spec: Mapping[str, str], objects: Sequence[LiveObject]) -> None:
    taken = [each for each in objects if spec.get(each.file, each.variable) != each.variable]
    if taken:
        raise _collision(taken[0], f"artefact: {{{taken[0].file}: {spec[taken[0].file]}}}")


def _add_objects(
    place: Path,
    spec: str,
    objects: Sequence[LiveObject],
    definitions: Mapping[int, str],
    staging: Path,
) -> None:
    """Put `objects` beside the files of `place`, in a folder of their own if that is the user's."""
    target = staging / "model"
    if objects and place != target:
        target.mkdir(parents=True)
        for entry in place.iterdir():
            (target / entry.name).symlink_to(entry.resolve())
    for each in objects:
        if (target / each.file).exists():
            raise _collision(each, spec)
        write_object(each.value, each.variable, target / each.file, definitions)


def _collision(taken: LiveObject, where: str) -> ArtefactError:
    return ArtefactError(
        f"Two files of the artefact are called {taken.file}",
        where=where,
        why=f"the code uses {taken.named} of the notebook, saved under that name",
        do=f"rename the other file, or read {taken.named} from it in load()",
        code="ST53",
    )


def _from_path(spec: str, folder: Path, staging: Path, reporter: Reporter) -> Path:
    if spec.startswith("s3://"):
        raise ArtefactError(
            "An artefact in S3 is not a file on this machine",
            where=spec,
            do="download it (`aws s3 cp --recursive`) and give the folder",
            code="ST59",
        )
    path = (folder / Path(spec).expanduser()).absolute()
    if not path.exists():
        raise _not_found(spec, path)
    if path.is_dir():
        return _without_credentials(path, spec, staging / "model")
    if not path.is_file():
        raise ArtefactError(
            "The artefact is neither a file nor a folder",
            where=str(path),
            do="give a file, a folder or a .tar.gz",
            code="ST58",
        )
    target = staging / "model"
    if path.name.lower().endswith(ARCHIVES):
        unpack(path, target, reporter)
        return target
    target.mkdir(parents=True)
    try:
        os.link(path.resolve(), target / path.name)
    except OSError:
        # Another disk, or one that has no hard links.
        shutil.copyfile(path, target / path.name)
    return target


def _without_credentials(folder: Path, spec: str, target: Path) -> Path:
    """`folder`, or its files without those that hold credentials as links below `target`."""
    paths = list(paths_below(folder, spec))
    if not any(map(is_credential, paths)):
        return folder
    target.mkdir(parents=True)
    for path in paths:
        if not is_credential(path):
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            (target / path).symlink_to((folder / path).resolve())
    return target


def _not_found(spec: str, path: Path) -> ArtefactError:
    existing = path.parent
    while not existing.is_dir():
        existing = existing.parent
    if existing != path.parent:
        return ArtefactError(
            f"The artefact `{spec}` does not exist",
            where=str(path),
            why=f"there is no folder {path.parent}",
            do="correct the path (it is relative to the YAML file, or to the notebook's folder)",
            code="ST51",
        )
    names = sorted(each.name for each in existing.iterdir())
    near = difflib.get_close_matches(path.name, names, n=3, cutoff=0.5)
    return ArtefactError(
        f"The artefact `{spec}` does not exist",
        where=str(path),
        do="did you mean " + " or ".join(f"`{name}`" for name in near) + "?"
        if near
        else "correct the path (it is relative to the YAML file, or to the notebook's folder)",
        code="ST51",
    )


def _from_variables(
    spec: Mapping[str, str],
    namespace: Mapping[str, object],
    staging: Path,
    definitions: Mapping[int, str],
) -> Path:
    findings = [
        finding
        for name, variable in spec.items()
        for finding in (_bad_file_name(name), _no_variable(name, variable, namespace))
        if finding is not None
    ]
    if not spec:
        findings.append(
            Finding(
                "`artefact` names no file",
                do="write `artefact: {model.joblib: model}`",
                code="ST51",
            )
        )
    target = staging / "model"
    if not findings:
        target.mkdir(parents=True)
        for name, variable in spec.items():
            try:
                write_object(namespace[variable], variable, target / name, definitions)
            except ArtefactError as error:
                findings += error.findings
    if findings:
        raise ArtefactError.of(findings)
    return target


def _bad_file_name(name: str) -> Finding | None:
    path = PurePosixPath(name)
    plain = name and not path.is_absolute() and ".." not in path.parts and "\\" not in name
    if plain and "\0" not in name and path.name:
        return None
    return Finding(
        f"`{name}` is not a file name below model_dir",
        where="artefact",
        do="write a name like `model.joblib`",
        code="ST53",
    )


def _no_variable(name: str, variable: str, namespace: Mapping[str, object]) -> Finding | None:
    if variable in namespace:
        return None
    names = [each for each in namespace if not each.startswith("_")]
    near = difflib.get_close_matches(variable, names, n=1)
    return Finding(
        f"The notebook has no variable `{variable}`",
        where=f"artefact: {{{name}: {variable}}}",
        do=f"did you mean `{near[0]}`?" if near else f"run the cell that makes `{variable}`",
        code="ST52",
    )


def _measured(folder: Path, spec: str, reporter: Reporter) -> Artefact:
    files = sorted(paths_below(folder, spec))
    if not files:
        raise ArtefactError(
            f"The artefact `{spec}` is empty",
            where=str(folder),
            do="put the files that load() reads into it",
            code="ST51",
        )
    total = sum((folder / path).stat().st_size for path in files)
    whole = hashlib.sha256()
    done = 0
    findings: list[Finding] = []
    for path in files:
        content = hashlib.sha256()
        with (folder / path).open("rb") as file:
            if found := not_a_model(folder / path, path, file.read(_BEGINNING)):
                findings.append(found)
            file.seek(0)
            while chunk := file.read(CHUNK):
                reporter.checkpoint()
                content.update(chunk)
                done += len(chunk)
                reporter.progress(done, total, "B")
        whole.update(f"{path}\0{content.hexdigest()}\n".encode(errors="surrogateescape"))
    if findings:
        raise ArtefactError.of(findings)
    return Artefact(folder, whole.hexdigest(), total, len(files))


def paths_below(folder: Path, spec: str) -> Iterator[str]:
    """Paths below `folder`, links followed, as a model hub's cache consists of links."""
    stack: list[tuple[Path, frozenset[Path]]] = [(folder, frozenset({folder.resolve()}))]
    while stack:
        current, above = stack.pop()
        for entry in os.scandir(current):
            path = Path(entry.path)
            name = clip(path.relative_to(folder).as_posix(), 200)
            if entry.is_dir():
                real = path.resolve()
                if len(above) > FOLDERS_DEEP:
                    why = f"it has more than {FOLDERS_DEEP} folders in each other"
                    what = f"The artefact `{spec}` cannot be shipped"
                    raise _unusable(what, path, why, "take the innermost folders out", "ST50")
                if real in above:
                    what = f"The link {name} leads back to a folder that it lies in"
                    raise _unusable(what, path, "", "remove the link", "ST58")
                stack.append((path, above | {real}))
            elif entry.is_file():
                yield path.relative_to(folder).as_posix()
            else:
                why = "it is a link that leads nowhere" if entry.is_symlink() else ""
                what = f"{name} is neither a file nor a folder"
                raise _unusable(what, path, why, "remove it", "ST58")


def _unusable(what: str, path: Path, why: str, do: str, code: str) -> ArtefactError:
    return ArtefactError(what, where=clip(str(path), 200), why=why, do=do, code=code)
