"""What runs a notebook without a person: nbclient, papermill and `jupyter execute`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

NBCLIENT = """
import sys, nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(notebook, kernel_name=sys.argv[3]).execute()
nbformat.write(notebook, sys.argv[2])
"""

RUNNERS: dict[str, Callable[[str, str, str], list[str]]] = {
    "nbclient": lambda given, made, kernel: [sys.executable, "-c", NBCLIENT, given, made, kernel],
    "papermill": lambda given, made, kernel: [
        *(sys.executable, "-m", "papermill", given, made),
        *("--kernel", kernel, "--no-progress-bar"),
    ],
    "jupyter-execute": lambda given, made, kernel: [
        *(sys.executable, "-m", "jupyter", "execute", given, f"--output={made}"),
        f"--kernel_name={kernel}",
    ],
}
"""Runner -> its command for a notebook, the notebook that it makes, and a kernel's name."""


def run(
    runner: str,
    given: Path,
    made: Path,
    *,
    kernel: str = "python3",
    environment: Mapping[str, str] | None = None,
    seconds: float = 300,
) -> subprocess.CompletedProcess[str]:
    """Run `given` in the folder that `made` is in; it ends with 0 when no cell failed."""
    return subprocess.run(
        RUNNERS[runner](str(given), str(made), kernel),
        cwd=made.parent,
        env=environment,
        capture_output=True,
        text=True,
        timeout=seconds,
    )
