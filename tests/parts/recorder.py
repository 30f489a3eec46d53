"""A reporter that remembers what it was told."""

from __future__ import annotations


class Recorder:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.measures: list[tuple[float, float | None, str, str]] = []

    def log(self, line: str) -> None:
        self.lines.append(line)

    def progress(self, done: float, total: float | None, unit: str, part: str = "") -> None:
        self.measures.append((done, total, unit, part))

    def checkpoint(self) -> None:
        pass
