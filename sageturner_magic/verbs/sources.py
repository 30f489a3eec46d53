"""Show or write what would be deployed: the module, how it differs from what is, a whole folder."""

from __future__ import annotations

import difflib
import shutil
import tempfile
from pathlib import Path
from typing import Any

import yaml

from sageturner_magic.calls import in_thread
from sageturner_magic.config import ConfigSource, commented_example
from sageturner_magic.context import DEFAULT_AWS, AwsOptions, current_notebook
from sageturner_magic.deployment import (
    Collector,
    DeployRequest,
    NotebookCode,
    gather,
    portable_lines,
)
from sageturner_magic.endpoints import Endpoint
from sageturner_magic.endpoints.local import LocalState
from sageturner_magic.errors import ConfigError, SageturnerError, UsageError
from sageturner_magic.values import Reporter
from sageturner_magic.verbs.requested import (
    DEFAULT_CONFIG,
    Silent,
    config_of,
    live_model,
    request_for,
)


class Source(str):
    """The text of a module, or of a diff of one."""

    __slots__ = ()


def code(
    config: ConfigSource | None = None,
    *,
    name: str | None = None,
    model: object = None,
    example: object = None,
) -> Source:
    """Return the text of the sageturner.py that would be deployed.

    Args:
        name: The captured name, in place of a configuration; may be left out as well where the
            notebook has captured only one. Where nothing is captured for it, a local endpoint of
            that name shows what it runs.
        model, example: As for `deploy`.

    Raises:
        CaptureError: There is no code, or it cannot be captured.
    """
    named = name if config is None and model is None else None
    if named and not _is_captured(named) and LocalState().read(named):
        return Source(Endpoint(named).source())
    asked = _code_request(config, name, model, example)
    return Source(asked.code.module()[0].source)


def code_left_out(
    config: ConfigSource | None = None,
    *,
    name: str | None = None,
    model: object = None,
    example: object = None,
) -> Source:
    """Return what acts on the captured code and is not in the module, one statement a line.

    Code that gives something else in each process is listed too.

    Args:
        config, name, model, example: As for `code`.

    Raises:
        CaptureError: There is no code, or it cannot be captured.
    """
    _, notes = _code_request(config, name, model, example).code.module()
    return Source("".join(f"{note}\n" for note in notes) or "Nothing is left out.\n")


def code_cells(
    config: ConfigSource | None = None,
    *,
    name: str | None = None,
    model: object = None,
    example: object = None,
) -> Source:
    """Return the code that is generated for a model as cells to edit, and offer them below.

    Args:
        config, name, model, example: As for `code`.

    Raises:
        UsageError: No code is generated for it.
        CaptureError: The object cannot be served.
    """
    asked = _code_request(config, name, model, example)
    if not isinstance(asked.code, NotebookCode) or asked.code.model is None:
        raise UsageError(
            f"No code is generated for `{asked.config.name}`",
            why="`--cells` shows what `--model` generates",
            do=f"write `%sageturner code {asked.config.name} --model VARIABLE --cells`",
        )
    cells = asked.code.notebook.generated_cells(asked.config.name, asked.code.model)
    if here := current_notebook():
        here.offer_cells(cells)
    return Source("\n\n\n".join(cells) + "\n")


def _is_captured(name: str) -> bool:
    """Whether cells of this notebook may be meant by `name`."""
    notebook = current_notebook()
    if notebook is None:
        return False
    names = [captured.name for captured in notebook.notebook.captures.names()]
    return name in names or "" in names or notebook.notebook.model_for(name) is not None


def code_diff(
    config: ConfigSource | None = None,
    *,
    name: str | None = None,
    model: object = None,
    example: object = None,
    aws: AwsOptions = DEFAULT_AWS,
) -> Source:
    """Return what would change in sageturner.py, as a unified diff; empty when nothing would.

    Raises:
        CaptureError: There is no code, or it cannot be captured.
        EndpointError: The endpoint is not there.
    """
    asked = _code_request(config, name, model, example)
    endpoint = asked.config.name
    deployed = Endpoint.at(endpoint, aws)
    lines = difflib.unified_diff(
        deployed.source().splitlines(keepends=True),
        asked.code.module()[0].source.splitlines(keepends=True),
        f"{endpoint} (deployed)",
        f"{endpoint} (captured)",
    )
    return Source("".join(lines))


def _code_request(
    config: ConfigSource | None, name: str | None, model: object, example: object
) -> DeployRequest:
    live = live_model(model, example)
    return request_for(config_of(config, name), "local", "generate", model=live)


# --- files ---------------------------------------------------------------------------------

HEADER = "# Deploy this folder with: sageturner deploy -c sageturner.yaml -e serverless\n"


def export_folder(asked: DeployRequest, folder: Path, reporter: Reporter) -> list[Path]:
    """Write the folder, whole or not at all, and return its files.

    Raises:
        SageturnerError: It is there already, or what belongs into it is not right.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SageturnerError(
            f"{folder} is not empty", do="name a new folder, or empty this one first", code="ST17"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
        made, staging = Path(temporary, "export"), Path(temporary, "staging")
        made.mkdir()
        staging.mkdir()
        _write(asked, made, staging, reporter)
        if folder.exists():
            folder.rmdir()
        made.rename(folder)
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _write(asked: DeployRequest, made: Path, staging: Path, reporter: Reporter) -> None:
    config = asked.config
    found = Collector(config)
    ingredients = found.require(gather(asked, staging, reporter, found))
    data = yaml.safe_load(config.to_yaml())
    container: dict[str, Any] = data.setdefault("container", {})
    generate: dict[str, Any] = container.setdefault("generate_container", {})
    ingredients.module.write(made / "code")
    generate["code_dir"] = "./code"
    if config.container.generate_container.python_packages == "auto":
        portable = portable_lines(ingredients.package_lines, made / "wheels", reporter)
        text = "".join(f"{line}\n" for line in portable)
        (made / "requirements.txt").write_text(text)
        generate["python_packages"] = ["-r requirements.txt"]
    if ingredients.artefact is not None:
        shutil.copytree(ingredients.artefact.folder, made / "model")
        data["artefact"] = "./model"
    if config.docker_dir and config.docker_dir.is_dir():
        shutil.copytree(config.docker_dir, made / "docker")
        container["provide_container"]["docker_dir"] = "./docker"
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=10_000)
    (made / "sageturner.yaml").write_text(HEADER + text, encoding="utf-8")


def export(
    folder: str | Path,
    config: ConfigSource | None = None,
    *,
    name: str | None = None,
    model: object = None,
    example: object = None,
) -> list[Path]:
    """Write code, configuration, pinned packages and artefact as a folder to deploy from.

    Args:
        name: The endpoint, in place of a configuration.
        model, example: As for `deploy`.

    Returns:
        The files that were written.

    Raises:
        SageturnerError: The folder is not empty, or what belongs into it is not right.
    """
    asked = _code_request(config, name, model, example)
    return export_folder(asked, Path(folder).expanduser().absolute(), Silent())


def init(path: str | Path | None = None) -> Path:
    """Write a commented sageturner.yaml and return where.

    Raises:
        ConfigError: The file exists already, or cannot be written.
    """
    target = Path(path or DEFAULT_CONFIG).expanduser()
    if target.is_dir():
        target /= DEFAULT_CONFIG
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(commented_example())
    except FileExistsError:
        raise ConfigError(
            f"{target} exists already", do="name another path, or move it away first", code="ST17"
        ) from None
    except OSError as error:
        raise ConfigError(
            f"{target} cannot be written", why=error.strerror or "", code="ST17"
        ) from None
    return target


aexport = in_thread(export)
