"""Which layers Lambda's unpacker takes, as far as others have met its limits.

A layer is gzip and lists the folders above each of its files (rules_aws 96, 103 and 145, rules_img
258). That several gzip members are read is unproven, so they are refused.
"""

from __future__ import annotations

import io
import posixpath
import tarfile
import zlib


def problem(layer: bytes) -> str:
    """Why a layer is refused; empty where it is taken."""
    inflate = zlib.decompressobj(31)
    try:
        archive = inflate.decompress(layer)
    except zlib.error as error:
        return f"it is not gzip ({error})"
    if not inflate.eof:
        return "its end is missing"
    if inflate.unused_data:
        return "it has several gzip members"
    seen = {"", "."}
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as members:
        for member in members:
            path = posixpath.normpath(member.name).lstrip("/")
            folder = posixpath.dirname(path)
            if folder not in seen:
                return f"{path} comes before its folder {folder}"
            if member.isdir():
                seen.add(path)
    return ""
