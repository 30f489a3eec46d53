"""The pages of the documentation as notebooks: what a page shows is what runs.

| on a page | in the notebook |
|---|---|
| ```` ```python ````, ```` ```yaml ```` with a magic | a cell |
| ```` ```sh ```` | a cell that runs it with bash, which fails where a command fails |
| any block with `title="FILE"` | writes the file |
| `<!-- check: CODE -->` | a cell that readers do not see |
| every other block | nothing: needs AWS, Docker or another machine |
"""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
from nbformat import NotebookNode

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [DOCS / "start.md", DOCS / "skill.md", *sorted((DOCS / "how-to").glob("*.md"))]

_BLOCK = re.compile(
    r"(?ms)^```(?P<kind>\w+)(?: title=\"(?P<file>[^\"]+)\")?\n(?P<text>.*?)^```$"
    r"|^<!-- check: (?P<check>.*?) -->$"
)


def page_cells(page: Path) -> list[str]:
    """Return the source of each cell of a page, in its order."""
    found = _BLOCK.finditer(page.read_text(encoding="utf-8"))
    return [cell for each in found if (cell := _cell(each))]


def _cell(block: re.Match[str]) -> str:
    text = (block["text"] or "").rstrip("\n")
    if block["check"]:
        return block["check"]
    if block["file"]:
        return (
            "from pathlib import Path as _Path\n"
            f"_Path({block['file']!r}).parent.mkdir(parents=True, exist_ok=True)\n"
            f"_Path({block['file']!r}).write_text({text + chr(10)!r})"
        )
    if block["kind"] == "sh":
        return f"%%bash\nset -e\n{text}"
    shown_only = block["kind"] not in ("python", "yaml") or (
        block["kind"] == "yaml" and not text.startswith("%%")
    )
    return "" if shown_only else text


def page_notebook(page: Path) -> NotebookNode:
    """Return a page as a notebook."""
    cells = [nbformat.v4.new_code_cell(source) for source in page_cells(page)]
    return nbformat.v4.new_notebook(cells=cells)
