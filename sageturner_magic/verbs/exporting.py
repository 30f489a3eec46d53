"""A folder that a shell or CI/CD deploys: code, configuration, pinned packages and artefact."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import yaml

from sageturner_magic.deployment import Collector, DeployRequest, gather, portable_lines
from sageturner_magic.errors import SageturnerError
from sageturner_magic.values import Reporter

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
    found = Collector()
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
