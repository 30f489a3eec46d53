"""Write files for a shell or CI/CD: a configuration to fill in, or a whole folder to deploy."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import yaml

from sageturner_magic.config import Config, commented_example
from sageturner_magic.deployment import Collector, DeployRequest, gather, portable_lines
from sageturner_magic.errors import ConfigError, SageturnerError
from sageturner_magic.values import Reporter
from sageturner_magic.verbs.requested import DEFAULT_CONFIG, Silent, request_for

HEADER = "# Deploy this folder with: sageturner deploy -c sageturner.yaml -e serverless\n"


def export_folder(asked: DeployRequest, folder: Path, reporter: Reporter) -> list[Path]:
    """Write the folder, whole or not at all, and return its files.

    Raises:
        SageturnerError: It is there already, or what belongs into it is not right.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SageturnerError(
            f"{folder} is not empty", do="name a new folder, or empty this one first"
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


def export(folder: str | Path, config: Config | str | Path | None = None) -> list[Path]:
    """Write code, configuration, pinned packages and artefact as a folder to deploy from.

    Returns:
        The files that were written.

    Raises:
        SageturnerError: The folder is not empty, or what belongs into it is not right.
    """
    asked = request_for(config, "local", "generate")
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
            f"{target} exists already", do="name another path, or move it away first"
        ) from None
    except OSError as error:
        raise ConfigError(f"{target} cannot be written", why=error.strerror or "") from None
    return target
