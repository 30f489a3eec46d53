"""Unpack images to folders: each layer once, combined by hard links.

The rules are those of the image specification
(github.com/opencontainers/image-spec/blob/main/layer.md): what an upper layer has replaces what
lies there, and a file `.wh.NAME` removes NAME. A folder is never changed once it has its name,
so that any number of processes may use it, and whoever is killed leaves a folder without one.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import os
import posixpath
import shutil
import stat
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from zlib_ng import gzip_ng

from sageturner_magic.constants import FOLDERS_DEEP
from sageturner_magic.errors import ImageError
from sageturner_magic.text import clip
from sageturner_magic.values import Reporter

MAX_AGE = 7 * 24 * 3600
"""Seconds since its last use after which a folder is removed."""

_PART = ".part-"
_REMOVED = ".wh."
_OPAQUE = ".wh..wh..opq"


@dataclass(frozen=True)
class PackedLayer:
    """A layer that can be read.

    Attributes:
        diff_id: `sha256:…` of the archive itself.
        title: For people.
        read: The compressed archive, in pieces; called only where it is not unpacked yet.
    """

    diff_id: str
    title: str
    read: Callable[[], Iterator[bytes]]


@dataclass(frozen=True)
class UnpackedLayers:
    """The unpacked layers and images of this machine.

    Attributes:
        folder: It and what is in it may be removed while nothing of it runs.
    """

    folder: Path

    def image(self, layers: Sequence[PackedLayer], reporter: Reporter) -> Path:
        """The root folder of the image of `layers`, from the bottom.

        Whoever runs it holds a shared lock on the file of that name with `.lock` after it.
        Raises ImageError, also for a layer that would leave its folder, and OSError.
        """
        self._forget_unused()
        identity = hashlib.sha256("\n".join(each.diff_id for each in layers).encode()).hexdigest()
        root = self.folder / "images" / identity
        lock = root.with_name(f"{identity}.lock")
        if not root.exists():
            trees = [self._tree(layer, reporter) for layer in layers]
            with _made(root) as part:
                for tree in trees:
                    reporter.checkpoint()
                    _put_over(tree, part)
        lock.touch()
        return root

    def _tree(self, layer: PackedLayer, reporter: Reporter) -> Path:
        """The folder of one layer, in which what it removes stands as `.wh.NAME`."""
        tree = self.folder / "layers" / layer.diff_id.rpartition(":")[2]
        if not tree.exists():
            reporter.log(f"unpacking {layer.title}")
            with _made(tree) as part:
                _extract(layer, part, reporter)
        os.utime(tree)
        return tree

    def _forget_unused(self) -> None:
        old = time.time() - MAX_AGE
        for lock in (self.folder / "images").glob("*.lock"):
            with contextlib.suppress(OSError), lock.open() as held:
                if lock.stat().st_mtime < old:
                    # Raises where somebody runs it.
                    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
                    lock.unlink()
        for kind in ("layers", "images"):
            for path in (self.folder / kind).glob("*"):
                unused = kind == "layers" or path.name.startswith(_PART)
                with contextlib.suppress(OSError):
                    if unused and path.stat().st_mtime < old:
                        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def _made(folder: Path) -> Iterator[Path]:
    """A folder to fill, which gets its name at the end of the block; without one it goes."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=folder.parent, prefix=_PART))
    try:
        yield part
        part.chmod(0o755)
        try:
            part.rename(folder)
        except OSError:
            # Another process was faster, with the same content.
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(part, ignore_errors=True)


class _Hashed(io.RawIOBase):
    """Pieces as a file, and the SHA-256 of what was read from it."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self.digest = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._read(len(buffer))
        buffer[: len(data)] = data
        self.digest.update(data)
        return len(data)


class _Pieces(io.RawIOBase):
    """An iterator of bytes as a file."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._held = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._held:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._held = piece
        taken = self._held[: len(buffer)]
        self._held = self._held[len(taken) :]
        buffer[: len(taken)] = taken
        return len(taken)


def _extract(layer: PackedLayer, folder: Path, reporter: Reporter) -> None:
    compressed = io.BufferedReader(_Pieces(layer.read()), 1 << 20)
    with gzip_ng.GzipNGFile(fileobj=compressed) as plain:  # type: ignore[no-untyped-call]
        hashed = _Hashed(plain.read)
        with tarfile.open(fileobj=io.BufferedReader(hashed, 1 << 20), mode="r|") as archive:
            _Extraction(layer.title, folder).all(archive, reporter)
        while plain_rest := plain.read(1 << 20):
            hashed.digest.update(plain_rest)
    if f"sha256:{hashed.digest.hexdigest()}" != layer.diff_id:
        raise ImageError(
            f"{layer.title} is not what the image's configuration says",
            why=f"its content has the digest sha256:{hashed.digest.hexdigest()}",
            do="run it again; if it stays so, choose another base_image",
        )


class _Extraction:
    """One archive into one new folder, of which nothing may point or climb out."""

    def __init__(self, title: str, folder: Path) -> None:
        self._title = title
        self._folder = folder
        # What was made here, so that nothing is written through a link.
        self._folders: dict[str, tuple[int, float]] = {"": (0o755, 0)}
        self._files: set[str] = set()

    def all(self, archive: tarfile.TarFile, reporter: Reporter) -> None:
        for member in archive:
            reporter.checkpoint()
            self._member(archive, member)
        # Last, because making what is in them changes folders' times.
        for name, (mode, modified) in self._folders.items():
            path = self._folder / name
            path.chmod(mode | 0o700)
            os.utime(path, (modified, modified))

    def _member(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        name = self._inside(member.name)
        for part in name.split("/"):
            if part.startswith(_REMOVED) and part.removeprefix(_REMOVED) in ("", ".", ".."):
                raise self._hostile(f"{name!r} would remove more than one file or folder")
        if member.isdir():
            self._lead_to(name)
            self._folders[name] = (stat.S_IMODE(member.mode) & 0o777, member.mtime)
            return
        self._lead_to(posixpath.dirname(name))
        if name in self._folders:
            raise self._hostile(f"{name} is a folder and a file")
        path = self._folder / name
        path.unlink(missing_ok=True)
        if member.issym():
            if not member.linkname or "\0" in member.linkname:
                raise self._hostile(f"{name} is a link to {member.linkname!r}")
            path.symlink_to(member.linkname)
            return
        if member.islnk():
            target = self._inside(member.linkname)
            if target not in self._files:
                raise self._hostile(f"{name} is a link to {target}, which it does not have")
            path.hardlink_to(self._folder / target)
        elif member.isreg():
            content = archive.extractfile(member)
            assert content is not None
            with path.open("xb") as out:
                shutil.copyfileobj(content, out, 1 << 20)
            path.chmod(stat.S_IMODE(member.mode) & 0o777 | 0o400)
            os.utime(path, (member.mtime, member.mtime))
        else:
            # Devices are the machine's, not the image's.
            return
        self._files.add(name)

    def _inside(self, name: str) -> str:
        inside = posixpath.normpath(name.lstrip("/"))
        if "\0" in inside or (deep := inside.count("/")) > FOLDERS_DEEP:
            why = "has a null character" if "\0" in inside else f"is {deep:,} folders deep"
            raise self._hostile(f"the path {clip(inside, 100)!r} {why}")
        if inside.split("/")[0] == "..":
            raise self._hostile(f"the path {name!r} leads out of it")
        return "" if inside == "." else inside

    def _lead_to(self, folder: str) -> None:
        if folder in self._folders:
            return
        self._lead_to(posixpath.dirname(folder))
        try:
            (self._folder / folder).mkdir()
        except FileExistsError:
            raise self._hostile(f"{folder} is a file or link, and has something in it") from None
        self._folders[folder] = (0o755, 0)

    def _hostile(self, why: str) -> ImageError:
        return ImageError(
            f"{self._title} cannot be unpacked", why=why, do="choose another base_image"
        )


def _put_over(upper: Path, lower: Path) -> None:
    """Change `lower` into what it is with the layer `upper` over it."""
    with os.scandir(upper) as entries:
        listed = sorted(entries, key=lambda entry: entry.name)
    if any(entry.name == _OPAQUE for entry in listed):
        for path in lower.iterdir():
            _remove(path)
    for entry in listed:
        target = lower / entry.name
        if entry.name.startswith(_REMOVED):
            _remove(lower / entry.name.removeprefix(_REMOVED))
        elif entry.is_dir(follow_symlinks=False):
            if target.is_symlink() or not target.is_dir():
                _remove(target)
                target.mkdir()
            _put_over(Path(entry.path), target)
            shutil.copystat(entry.path, target)
        else:
            _remove(target)
            _link(Path(entry.path), target)


def _link(source: Path, target: Path) -> None:
    if source.is_symlink():
        target.symlink_to(source.readlink())
        return
    try:
        target.hardlink_to(source)
    except OSError:
        # A file system without hard links, or a file with too many.
        shutil.copy2(source, target)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
