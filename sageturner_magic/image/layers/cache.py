"""Cache layers and parts of layers on this machine by their content.

Any number of processes may use one cache at once, and each may be killed at any time: files
appear by renaming, under the digest of their content, and are removed only after hours
without use.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import platformdirs

from sageturner_magic.constants import CHUNK
from sageturner_magic.image.layers.writer import LayerWriter, Written

MAX_BYTES = 20 << 30
"""What a cache may hold before the least recently used goes."""

IN_USE = 6 * 3600
"""Seconds since its last use for which nothing is removed: a build may be pushing it."""

_PART = ".part-"


def layers_folder() -> Path:
    """Where layers are kept unless said otherwise."""
    return platformdirs.user_cache_path("sageturner-magic") / "layers"


@dataclass(frozen=True)
class LayerCache:
    """A folder of blobs by digest, and an index from recipe to digest.

    Attributes:
        folder: It and what is in it may be removed while no build runs.
        max_bytes: Its bound.
    """

    folder: Path
    max_bytes: int = MAX_BYTES

    def get_or_write(self, recipe: str, write: Callable[[LayerWriter], Written]) -> Written:
        """What `recipe` stands for, from the cache or by `write`. Raises OSError.

        `recipe` names everything that `write` depends on.
        """
        return self.find(recipe) or self._add(recipe, write)

    def find(self, recipe: str) -> Written | None:
        """What `recipe` stands for, if it is here and of the right size."""
        try:
            found = Written.from_json(json.loads(self._entry(recipe).read_text()))
            blob = self.blob(found.digest)
            if blob.stat().st_size != found.size:
                return None
            os.utime(blob)
        except (OSError, ValueError, TypeError, KeyError):
            return None
        return found

    def blob(self, digest: str) -> Path:
        """Where the blob of that digest (hex) lies."""
        return self.folder / "blobs" / digest

    def is_sound(self, written: Written) -> bool:
        """Whether the blob still is what it was; if not, it is removed."""
        digest = hashlib.sha256()
        try:
            with self.blob(written.digest).open("rb") as file:
                while chunk := file.read(CHUNK):
                    digest.update(chunk)
        except OSError:
            return False
        if digest.hexdigest() == written.digest:
            return True
        self.blob(written.digest).unlink(missing_ok=True)
        return False

    def _entry(self, recipe: str) -> Path:
        return self.folder / "index" / hashlib.sha256(recipe.encode()).hexdigest()

    def _add(self, recipe: str, write: Callable[[LayerWriter], Written]) -> Written:
        blobs = self.folder / "blobs"
        blobs.mkdir(parents=True, exist_ok=True)
        with _replacing(blobs) as (file, rename):
            written = write(LayerWriter(file))
            file.flush()
            rename(self.blob(written.digest))
        entry = self._entry(recipe)
        entry.parent.mkdir(exist_ok=True)
        with _replacing(entry.parent) as (file, rename):
            file.write(json.dumps(asdict(written)).encode())
            file.flush()
            rename(entry)
        return written

    def shrink(self) -> None:
        """Remove what killed builds left, and what was used longest ago, down to the bound."""
        now = time.time()
        found = []
        for path in (self.folder / "blobs").glob("*"):
            with contextlib.suppress(FileNotFoundError):
                status = path.stat()
                found.append((status.st_mtime, status.st_size, path))
        total = sum(size for _, size, _ in found)
        for used, size, path in sorted(found):
            if now - used < IN_USE:
                return
            if total > self.max_bytes or path.name.startswith(_PART):
                path.unlink(missing_ok=True)
                total -= size


@contextlib.contextmanager
def _replacing(folder: Path) -> Iterator[tuple[IO[bytes], Callable[[Path], object]]]:
    """A temporary file in `folder`, and how it gets its name; without one it goes."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix=_PART, delete=False) as file:
        part = Path(file.name)
        try:
            yield file, part.replace
        finally:
            part.unlink(missing_ok=True)
