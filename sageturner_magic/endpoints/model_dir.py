"""Copy a model's folder as SageMaker unpacks it: no links, readable by every user."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from sageturner_magic.values import Artefact, Reporter


def copy_artefact(artefact: Artefact, target: Path, reporter: Reporter) -> None:
    """Copy the artefact: what the user changes later must not change what is served.

    Args:
        target: An existing folder.

    Raises:
        OSError: A file cannot be read or written.
        DeploymentCancelled: `reporter` says so.
    """
    done = 0

    def put(source: Path, place: Path) -> None:
        nonlocal done
        reporter.checkpoint()
        _copy(source, place)
        done += place.stat().st_size
        reporter.progress(done, artefact.size, "B")

    _lay_out(artefact.folder, target, put)


def as_unpacked(folder: Path, staging: Path) -> Path:
    """An artefact's folder as a container may have it, without copying what is right as it is.

    Args:
        folder: As the user has it: with links to a model hub's cache, and with files that only
            their owner may read, as safetensors writes them.
        staging: Where a better one is made, if need be. It does not exist yet.

    Returns:
        `folder` or `staging`. Neither may be written to.

    Raises:
        OSError: A file cannot be read, or the disk is full.
    """
    if all(map(_is_plain, (folder, *folder.rglob("*")))):
        return folder
    _lay_out(folder, staging, _link_or_copy)
    return staging


def _lay_out(folder: Path, target: Path, put: Callable[[Path, Path], None]) -> None:
    """Make `folder`'s folders in `target`, and `put` each file; links are followed.

    Circles were refused when the artefact was prepared.
    """
    for current, folders, files in os.walk(folder, followlinks=True):
        folders.sort()
        here = target / Path(current).relative_to(folder)
        here.mkdir(exist_ok=True)
        here.chmod(0o755)
        for name in sorted(files):
            put(Path(current, name), here / name)


def _link_or_copy(source: Path, place: Path) -> None:
    if _is_plain(source):
        try:
            place.hardlink_to(source)
            return
        except OSError:
            # Another disk, or one that knows no hard links.
            pass
    _copy(source, place)


def _copy(source: Path, place: Path) -> None:
    shutil.copyfile(source, place)
    # As `aws.archive` packs it.
    place.chmod(0o755 if source.stat().st_mode & 0o100 else 0o644)


def _is_plain(path: Path) -> bool:
    wanted = 0o005 if path.is_dir() else 0o004
    return not path.is_symlink() and path.stat().st_mode & wanted == wanted
