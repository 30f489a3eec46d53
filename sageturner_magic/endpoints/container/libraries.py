"""Name the system libraries that Python packages need and slim images do not have."""

from __future__ import annotations

import re

DEBIAN = {
    "libGL.so.1": "libgl1",
    "libSM.so.6": "libsm6",
    "libX11.so.6": "libx11-6",
    "libXext.so.6": "libxext6",
    "libXrender.so.1": "libxrender1",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libgomp.so.1": "libgomp1",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libmagic.so.1": "libmagic1",
    "libpq.so.5": "libpq5",
    "libsndfile.so.1": "libsndfile1",
    "libxcb.so.1": "libxcb1",
}
"""Library -> the Debian 12 package that has it (by Debian's search for files)."""

TOGETHER = {"libGL.so.1": ("libgl1", "libglib2.0-0")}
"""Library -> what is known to be missing next: opencv-python needs both of these."""

_MISSING = re.compile(r"\b(lib[\w.+-]+\.so[\w.]*): cannot open shared object")


def remedy(text: str) -> str:
    """What to do about the library that `text` says is missing; empty where it says none."""
    found = _MISSING.search(text)
    if found is None:
        return ""
    library = found[1]
    packages = TOGETHER.get(library) or (DEBIAN.get(library),)
    if packages[0] is None:
        return (
            f"add the Debian package that has {library} to"
            " `container.generate_container.system_packages`"
        )
    named = ", ".join(each for each in packages if each)
    return f"add `system_packages: [{named}]` below `container: generate_container:`"
