"""Runs a notebook with a real kernel and prints what it showed, cell by cell.

    python tools/run_notebook.py [--save] example_notebooks/01_quickstart.ipynb

The executed copy and the pictures are written to `build/`; with --save the outputs are kept in
the notebook itself. Exits with 1 when a cell fails.
"""

import argparse
import base64
import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from notebook_outputs import tidy

TIMEOUT_S = 600
PICTURES = {"image/png": ".png", "image/jpeg": ".jpg"}


def show(output: NotebookNode, picture: Path) -> None:
    """Print one output as a terminal can."""
    if output.output_type == "stream":
        print(output.text, end="" if output.text.endswith("\n") else "\n")
        return
    if output.output_type == "error":
        print("\n".join(output.traceback))
        return
    for mime, suffix in PICTURES.items():
        if mime in output.data:
            target = picture.with_suffix(suffix)
            target.write_bytes(base64.b64decode(output.data[mime]))
            print(f"[picture: {target}]")
            return
    print(output.data.get("text/plain", ""))


def run(path: Path, build: Path) -> NotebookNode:
    """The executed notebook; raises CellExecutionError. What ran is in `build` either way."""
    # The kernel of this very environment, not one of the same name installed elsewhere.
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    notebook = nbformat.read(path, as_version=4)
    build.mkdir(exist_ok=True)

    def on_cell_executed(cell: NotebookNode, cell_index: int, execute_reply: object) -> None:
        if cell.cell_type != "code":
            return
        first = cell.source.strip().splitlines()[0] if cell.source.strip() else ""
        print(f"\nIn [{cell.execution_count}]: {first}", flush=True)
        for number, output in enumerate(cell.outputs):
            show(output, build / f"{path.stem}-{cell_index}-{number}")

    client = NotebookClient(
        notebook,
        timeout=TIMEOUT_S,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        on_cell_executed=on_cell_executed,
        extra_arguments=["--IPKernelApp.log_level=ERROR"],
    )
    try:
        client.execute()
    finally:
        nbformat.write(notebook, build / path.name)
    return notebook


def main() -> int:
    """Run the notebook that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebook", type=Path)
    parser.add_argument("--save", action="store_true", help="keep the outputs in the notebook")
    arguments = parser.parse_args()
    path, build = arguments.notebook, Path("build")
    try:
        notebook = run(path, build)
    except CellExecutionError as error:
        print(f"\n{path} failed:\n{error}", file=sys.stderr)
        return 1
    if arguments.save:
        tidy(notebook, path)
        nbformat.write(notebook, path)
    print(f"\nThe executed notebook is in {path if arguments.save else build / path.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
