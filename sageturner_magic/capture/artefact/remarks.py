"""Say what of the model files stays on this machine, and what in them looks like a secret."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from sageturner_magic.capture.artefact.prepare import paths_below
from sageturner_magic.capture.code_folder import is_credential, shortened
from sageturner_magic.capture.objects import secret_of
from sageturner_magic.capture.secrets import file_findings, keep_out
from sageturner_magic.errors import Finding
from sageturner_magic.values import Artefact


def artefact_remarks(
    spec: str | Mapping[str, str] | None,
    folder: Path,
    namespace: Mapping[str, object],
    artefact: Artefact,
) -> Iterator[Finding]:
    """Warnings and notes about `artefact`, which `prepare_artefact` made of the other arguments.

    Raises OSError.
    """
    variables = {} if spec is None or isinstance(spec, str) else spec
    for file, variable in variables.items():
        if secret := secret_of(variable, namespace[variable]):
            yield Finding(
                f"`{variable}` holds {secret}",
                where=f"artefact: {{{file}: {variable}}}",
                why="whoever can read the model files can read it",
                do=f"take it out of `{variable}`, then {keep_out()}",
                severity="warning",
                code="ST42",
            )
    shipped = sorted(paths_below(artefact.folder, ""))
    for path in shipped:
        if path not in variables:
            yield from file_findings(artefact.folder / path)
    if not isinstance(spec, str):
        return
    source = folder / Path(spec).expanduser()
    if source.is_dir():
        left_out = [path for path in paths_below(source, spec) if is_credential(path)]
        if left_out:
            yield Finding(
                f"Left out of the model files (credentials): {shortened(sorted(left_out))}",
                where=str(source),
                do="pack the folder as a .tar.gz and name that, if load() needs them",
                severity="note",
            )
    elif len(shipped) > 1 and (held := list(filter(is_credential, shipped))):
        yield Finding(
            f"The archive holds files that are usually credentials: {shortened(held)}",
            where=str(source),
            why="whoever can read the model files can read them",
            do="pack it without them, if load() does not need them",
            severity="warning",
            code="ST42",
        )
