"""Small wheels, made where a test needs packages that nobody has published."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path


def make_wheel(
    folder: Path,
    name: str,
    version: str = "1.0",
    *,
    tag: str = "py3-none-any",
    requires: Sequence[str] = (),
    files: Mapping[str, str] | None = None,
    entry_points: str = "",
) -> Path:
    """A wheel with one module of its own name, or with `files`, in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    module = name.replace("-", "_")
    metadata = f"{module}-{version}.dist-info"
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {each}" for each in requires]
    content = dict(files if files is not None else {f"{module}.py": f"version = {version!r}\n"})
    content[f"{metadata}/METADATA"] = "\n".join(lines) + "\n"
    pure = str(tag.endswith("none-any")).lower()
    content[f"{metadata}/WHEEL"] = (
        f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: {pure}\nTag: {tag}\n"
    )
    if entry_points:
        content[f"{metadata}/entry_points.txt"] = entry_points
    record = [
        f"{path},sha256={_digest(text)},{len(text.encode())}" for path, text in content.items()
    ]
    content[f"{metadata}/RECORD"] = "\n".join([*record, f"{metadata}/RECORD,,"]) + "\n"
    wheel = folder / f"{module}-{version}-{tag}.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, text in content.items():
            archive.writestr(zipfile.ZipInfo(path, (2020, 1, 1, 0, 0, 0)), text)
    return wheel


def _digest(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
