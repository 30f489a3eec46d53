"""Environments with other versions of ipykernel, made once and kept below `build/`."""

import functools
import os
import subprocess
import sys
from pathlib import Path

from filelock import FileLock

ROOT = Path(__file__).parents[2]
NEEDED = ["ipywidgets>=8.1", "joblib>=1.3", "matplotlib>=3.8", "scikit-learn>=1.4"]
NEWEST = "newest"
LAUNCHER = ["-m", "ipykernel_launcher"]
STEADY = [str(Path(__file__).with_name("steady_kernel.py"))]


def kernel_command(version: str) -> list[str]:
    """The command that starts a kernel of `version`, but for its connection file."""
    lossy = version.startswith(("7.0", "7.1", "7.2", "7.3"))
    return [str(kernel_python(version)), *(STEADY if lossy else LAUNCHER)]


@functools.cache
def kernel_python(version: str) -> Path:
    """The interpreter of an environment with this checkout and `ipykernel==VERSION.*`.

    `NEWEST` is the environment that runs the tests, whose requirements have no upper bounds.
    """
    if version == NEWEST:
        return Path(sys.executable)
    name = f"ipykernel-{version}-py{sys.version_info[0]}{sys.version_info[1]}"
    folder = ROOT / "build" / "kernels" / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    python = folder / "bin" / "python"
    # uv looks only at its own certificates unless told to use the machine's.
    environment = {"UV_SYSTEM_CERTS": "true"} | os.environ
    environment.pop("VIRTUAL_ENV", None)
    uv = [sys.executable, "-m", "uv", "--quiet"]
    with FileLock(folder.with_suffix(".lock")):
        if not python.exists():
            subprocess.run(
                [*uv, "venv", "--python", sys.executable, str(folder)], check=True, env=environment
            )
        packages = ["--editable", str(ROOT), f"ipykernel=={version}.*", *NEEDED]
        install = [*uv, "pip", "install", "--python", str(python), *packages]
        subprocess.run(install, check=True, env=environment)
    return python
