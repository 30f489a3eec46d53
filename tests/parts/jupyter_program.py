"""Run a program of Jupyter with the tests' ports for its kernels.

`python tests/parts/jupyter_program.py papermill ...` runs the console script of that name;
`... nbclient GIVEN MADE KERNEL` executes a notebook by nbclient, which has no script.
"""

from __future__ import annotations

import sys
from importlib.metadata import entry_points
from pathlib import Path


def nbclient(given: str, made: str, kernel: str) -> None:
    """Execute the notebook `given` and write it to `made`."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(given, as_version=4)
    NotebookClient(notebook, kernel_name=kernel).execute()
    nbformat.write(notebook, made)


def main() -> None:
    # The folder of this file holds modules that are called as packages are.
    sys.path[0] = str(Path(__file__).parents[2])
    from tests.parts.ports import kernel_ports

    program = sys.argv.pop(1)
    with kernel_ports():
        if program == "nbclient":
            nbclient(*sys.argv[1:])
            return
        (script,) = entry_points(group="console_scripts", name=program)
        sys.exit(script.load()())


if __name__ == "__main__":
    main()
