"""Keep a notebook's last configurations for its next session."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from sageturner_magic.config import Config, Origin, parse_config
from sageturner_magic.endpoints.local import LocalState, write_private


@dataclass(frozen=True)
class Kept:
    """A configuration as it is kept.

    Attributes:
        text: Its YAML.
        folder: What its paths are relative to.
        origin: Where it comes from: `In[5] of 2026-11-28 14:05`.
    """

    text: str
    folder: str
    origin: str

    @property
    def is_told(self) -> bool:
        """Whether it says more than the name, so that leaving it out makes a difference."""
        return self.text.count("\n") > 1

    def config(self) -> Config:
        """Read it again. Raises ConfigError where it no longer fits."""
        origin = Origin(self.origin, is_cell=True)
        return parse_config(self.text, folder=Path(self.folder), origin=origin)


def notebook_file(variables: Mapping[str, object], environment: Mapping[str, str]) -> Path | None:
    """The notebook's own file, as VS Code or Jupyter's server tells its kernel; None if unknown."""
    told = variables.get("__vsc_ipynb_file__") or environment.get("JPY_SESSION_NAME")
    return Path(str(told)).absolute() if told else None


class Remembered:
    """The configurations of one notebook in the state folder, readable by the user only.

    A file that is damaged or cannot be written costs what it would have remembered, nothing else.
    """

    def __init__(self, notebook: Path | None) -> None:
        """
        Args:
            notebook: Its file; None keeps nothing.
        """
        self._file = None
        if notebook:
            digest = hashlib.sha256(os.fsencode(notebook)).hexdigest()[:32]
            self._file = LocalState().root / "notebooks" / f"{digest}.json"

    def read(self) -> dict[str, Kept]:
        """Name -> its last configuration."""
        with suppress(OSError, ValueError, TypeError, AttributeError):
            if self._file:
                data = json.loads(self._file.read_text(encoding="utf-8"))
                return {str(name): Kept(**kept) for name, kept in data.items()}
        return {}

    def write(self, config: Config) -> None:
        """Make it the last configuration of its name."""
        if self._file is None:
            return
        known, origin = self.read(), config.places.origin
        text, folder = config.to_yaml(), str(config.resolve("."))
        before = known.get(config.name)
        if before and (before.text, before.folder) == (text, folder):
            return
        source = origin.name.partition(" of ")[0] if origin else "a line without YAML"
        kept = Kept(text, folder, f"{source} of {datetime.now():%Y-%m-%d %H:%M}")
        data = {name: asdict(each) for name, each in {**known, config.name: kept}.items()}
        with suppress(OSError):
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(self._file, json.dumps(data))
