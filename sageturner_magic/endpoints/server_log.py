"""The log file of a local endpoint's server: read it, follow it, show the notebook's cells in it.

Used by everything that starts a server or shows what it wrote. Knows no processes and no
containers.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from sageturner_magic.errors import EndpointError, SageturnerError
from sageturner_magic.values import Reporter

TAIL_LINES = 20
POLL_SECONDS = 0.1

CellLines = Mapping[int, tuple[int, int]]
"""Line of sageturner.py -> number of the cell and line in it."""

# As a traceback has it, also inside JSON, and as linters and loggers shorten it.
_OUR_FILE = re.compile(r'(?:File \\?")?[^\s"]*?(?<![\w-])sageturner\.py(?:\\?"?, line |:)(\d+)')


def read(log: Path) -> Iterator[str]:
    """The lines of a log so far, oldest first; none if the file does not exist."""
    if log.exists():
        with log.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                yield line.rstrip("\r\n")


def follow(log: Path, alive: Callable[[], bool]) -> Iterator[str]:
    """The lines of a growing log, until `alive` returns False and the rest is read.

    Raises EndpointError if the file does not exist.
    """
    if not log.exists():
        raise EndpointError(
            "The log does not exist", where=str(log), do="deploy the endpoint again", code="ST89"
        )
    pending = ""
    with log.open(encoding="utf-8", errors="replace", newline="") as file:
        while True:
            running = alive()
            while chunk := file.read(65536):
                *lines, pending = (pending + chunk).split("\n")
                yield from (line.rstrip("\r") for line in lines)
            if not running:
                break
            time.sleep(POLL_SECONDS)
    if pending:
        yield pending


def pass_on(log: Path, shown: int, reporter: Reporter) -> int:
    """Report the complete lines after byte `shown`; returns the byte after the last of them."""
    with log.open("rb") as file:
        file.seek(shown)
        new = file.read()
    end = new.rfind(b"\n") + 1
    for line in new[:end].splitlines():
        reporter.log(line.decode("utf-8", "replace"))
    return shown + end


def tail(log: Path, cells: CellLines) -> str:
    """The last `TAIL_LINES` lines, with the notebook's cells in place of sageturner.py."""
    return with_cells("\n".join(deque(read(log), TAIL_LINES)), cells)


def with_tail(error: EndpointError, log: Path, cells: CellLines) -> SageturnerError:
    """`error` with the log's tail as its details, if the log has any lines."""
    found = error.findings[0]
    return EndpointError.of([replace(found, details=tail(log, cells) or found.details)])


def with_cells(text: str, cells: CellLines) -> str:
    """`text` with lines of sageturner.py replaced by the cell and line they were captured from.

    `File "/opt/program/sageturner.py", line 7` and `sageturner.py:7` become `In[3], line 2`.
    Lines that were not copied from a cell stay as they are.
    """

    def cell(match: re.Match[str]) -> str:
        place = cells.get(int(match[1]))
        return f"In[{place[0]}], line {place[1]}" if place else match[0]

    return _OUR_FILE.sub(cell, text) if cells else text
