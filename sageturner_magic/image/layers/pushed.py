"""Remember which layers a repository has, so that unchanged ones need no request."""

from __future__ import annotations

import contextlib
import hashlib
import json
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class PushedLayers:
    """The layers of the last image that this machine pushed to a repository.

    They are a guess: a registry may have removed them since. It refuses a manifest then.

    Attributes:
        folder: Where this is noted for all repositories.
        repository: Registry host and repository.
    """

    folder: Path
    repository: str

    def read(self) -> frozenset[str]:
        """Their digests; none where nothing is noted."""
        return _noted(self._path).get(self.repository, frozenset())

    def elsewhere(self) -> dict[str, str]:
        """Digest -> another repository of the same registry that has the layer."""
        host = self.repository.partition("/")[0]
        found: dict[str, str] = {}
        for path in self.folder.glob("*.json"):
            for repository, digests in _noted(path).items():
                place, _, name = repository.partition("/")
                if place == host and repository != self.repository:
                    found.update(dict.fromkeys(digests, name))
        return found

    def write(self, digests: Iterable[str]) -> None:
        """Note them. What cannot be noted is asked for next time."""
        with contextlib.suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", dir=self.folder, delete=False) as file:
                json.dump({self.repository: sorted(set(digests))}, file)
            Path(file.name).replace(self._path)

    def forget(self) -> None:
        """Trust in nothing that was noted."""
        self._path.unlink(missing_ok=True)

    @property
    def _path(self) -> Path:
        return self.folder / f"{hashlib.sha256(self.repository.encode()).hexdigest()}.json"


def _noted(path: Path) -> dict[str, frozenset[str]]:
    """Repository -> digests, as a file has them; nothing where it cannot be read."""
    try:
        read = json.loads(path.read_text())
        return {str(name): frozenset(map(str, digests)) for name, digests in read.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
