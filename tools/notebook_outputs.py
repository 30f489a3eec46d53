"""What an example notebook keeps of the run that made its outputs.

The outputs in the repository are those of a real run, told apart by the digest of what ran, and
without what belongs to the machine: its paths, ports, processes and tokens.
"""

from __future__ import annotations

import hashlib
import re
import sys
import tempfile
from pathlib import Path

from nbformat import NotebookNode

KEY = "executed"
WIDGET = "application/vnd.jupyter.widget-view+json"

_OF_THIS_MACHINE = (
    (re.compile(r"127\.0\.0\.1:\d+"), "127.0.0.1:8000"),
    (re.compile(r"(token[= ])[0-9a-f]{32,}"), r"\1TOKEN"),
    (re.compile(r"(ends with process )\d+"), r"\g<1>1234"),
)
LEFT_OVER = re.compile(
    r"(?<![\w.])/(?:root|home|tmp|work|usr|var|mnt|opt(?!/(?:ml|program)))/|127\.0\.0\.1:(?!8000)\d"
    r"|token[= ][0-9a-f]{16}"
)
"""What no output may hold."""


def code_digest(notebook: NotebookNode, path: Path) -> str:
    """SHA-256 over the notebook's code cells and the files of the folder of the same name."""
    whole = hashlib.sha256()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            whole.update(cell.source.encode() + b"\0")
    folder = path.with_suffix("")
    for file in sorted(folder.rglob("*")):
        if file.is_file() and "model" not in file.relative_to(folder).parts:
            whole.update(str(file.relative_to(folder)).encode() + b"\0" + file.read_bytes())
    return whole.hexdigest()


def tidy(notebook: NotebookNode, path: Path) -> None:
    """Make an executed notebook ready to be kept, and write down what ran."""
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [each for each in cell.outputs if WIDGET not in each.get("data", {})]
            for output in cell.outputs:
                _strip(output)
    notebook.metadata.pop("widgets", None)
    notebook.metadata[KEY] = {"code_sha256": code_digest(notebook, path)}


def _strip(node: NotebookNode) -> None:
    for key, value in node.items():
        if isinstance(value, str) and not key.startswith("image/"):
            node[key] = _stripped(value)
        elif isinstance(value, dict):
            _strip(value)


def _stripped(text: str) -> str:
    for pattern, instead in _OF_THIS_MACHINE:
        text = pattern.sub(instead, text)
    places = ((Path.cwd(), "."), (Path(sys.prefix), "VENV"), (Path(sys.base_prefix), "PYTHON"),
              (Path(tempfile.gettempdir()), "TMP"), (Path.home(), "~"))  # fmt: skip
    for place, name in places:
        text = text.replace(str(place), name)
    return text
