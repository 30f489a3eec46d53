"""Make a Python environment with exactly the packages of a resolution."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import platformdirs
import uv

from sageturner_magic.constants import THIS_PYTHON
from sageturner_magic.errors import ImageError
from sageturner_magic.packages import machine
from sageturner_magic.packages.files import FileStore, default_folder
from sageturner_magic.packages.pip_arguments import PipArguments
from sageturner_magic.packages.programs import run
from sageturner_magic.packages.requirements import Requirements
from sageturner_magic.packages.source_builds import public_indexes
from sageturner_magic.packages.urls import without_credentials
from sageturner_magic.scratch import scratch_folder
from sageturner_magic.values import Reporter

KEPT = 3
"""Environments that are kept; one with torch takes gigabytes."""

_ARCHITECTURE = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


@dataclass(frozen=True)
class Environment:
    """A virtual environment.

    Attributes:
        python: Its interpreter.
        version: The interpreter's version, as `3.12`.
        same_files: Whether it has the very files that an image gets; otherwise it has the same
            versions, built for this machine.
        reused: It was there already.
    """

    python: Path
    version: str
    same_files: bool
    reused: bool


def make_environment(
    requirements: Requirements, interpreter: Path, reporter: Reporter, folder: Path | None = None
) -> Environment:
    """The environment of `requirements` on `interpreter`, found by its digest or made.

    Args:
        requirements: Resolved for the version of `interpreter`.
        folder: Where environments are kept; by default in the user's cache.

    Raises:
        ImageError: A package cannot be fetched, built or installed.
        DeploymentCancelled: `reporter` says that the user wants to stop.
    """
    store = folder or platformdirs.user_cache_path("sageturner-magic") / "environments"
    store.mkdir(parents=True, exist_ok=True)
    target = requirements.target
    here = _ARCHITECTURE.get(platform.machine(), "")
    same_files = sys.platform == "linux" and here == target.architecture
    identity = f"{requirements.digest}\n{interpreter.resolve()}\n{same_files}"
    home = store / hashlib.sha256(identity.encode()).hexdigest()[:32]
    reused = home.is_dir()
    if not reused:
        with tempfile.TemporaryDirectory(dir=store, prefix=".making-") as work:
            made = Path(work, "environment")
            _install(requirements, interpreter, made, same_files, reporter)
            made.rename(home)
    os.utime(home)
    _tidy(store)
    return Environment(home / "bin" / "python", target.python_version, same_files, reused)


def _install(
    requirements: Requirements,
    interpreter: Path,
    home: Path,
    same_files: bool,
    reporter: Reporter,
) -> None:
    settings = machine.pip_configuration()
    arguments = machine.with_machine_settings(PipArguments(), settings, os.environ)
    environment = {
        # What a source distribution runs gets a home without anybody's secrets.
        "UV_CACHE_DIR": str(Path("~/.cache/uv").expanduser()),
        **machine.resolver_environment(settings),
        "HOME": str(home.parent),
        "UV_PYTHON_DOWNLOADS": "never",
    }
    _uv(["venv", "--relocatable", f"--python={interpreter}", str(home)], environment, reporter)
    if same_files:
        files = FileStore(default_folder())
        wanted = [
            str(files.fetch(package, requirements.credentials, reporter))
            for package in requirements.packages
        ]
    else:
        wanted = [f"{package.name}=={package.version}" for package in requirements.packages]
    if not wanted:
        return
    indexes = [
        *public_indexes(arguments),
        *(f"--index={url}" for url in requirements.extra_indexes),
        *(f"--allow-insecure-host={host}" for host in requirements.trusted_hosts),
    ]
    reporter.log(f"installing {len(wanted)} packages")
    command = ["pip", "install", f"--python={home / 'bin' / 'python'}", "--no-deps", *indexes]
    _uv([*command, *wanted], environment, reporter)


def _uv(command: Sequence[str], environment: Mapping[str, str], reporter: Reporter) -> None:
    with scratch_folder() as folder:
        done = run(
            [uv.find_uv_bin(), *command, "--quiet", "--no-progress", "--color=never"],
            environment=environment,
            folder=folder,
            reporter=reporter,
        )
    if done.status:
        said = without_credentials(done.errors).strip()
        raise ImageError(
            "The packages cannot be installed into a clean environment",
            why=said.splitlines()[0].removeprefix("error: ") if said else "",
            do="choose versions that have wheels, or see the output below",
            details=said,
        )


def _tidy(store: Path) -> None:
    homes = [path for path in store.iterdir() if not path.name.startswith(".")]
    for old in sorted(homes, key=lambda path: path.stat().st_mtime, reverse=True)[KEPT:]:
        shutil.rmtree(old, ignore_errors=True)


def find_interpreter(version: str) -> Path | None:
    """An interpreter of this machine with major and minor `version`, as uv and pyenv know them."""
    if version == THIS_PYTHON:
        return Path(sys.executable)
    command = ["python", "find", "--no-project", "--system", "--no-python-downloads", version]
    done = subprocess.run([uv.find_uv_bin(), *command], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return Path(done.stdout.strip())
    # pyenv's launchers on the path answer only for the versions that are switched on.
    root = Path(os.environ.get("PYENV_ROOT") or Path("~/.pyenv").expanduser())
    found = sorted(root.glob(f"versions/{version}.*/bin/python"))
    return found[-1] if found else None
