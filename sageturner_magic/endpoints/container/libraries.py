"""Name the system library that a failed container did not have, with its Debian package."""

from __future__ import annotations

import re

TOGETHER = {"libGL.so.1": ("libGL.so.1", "libglib-2.0.so.0")}
"""Library -> with what is known to be missing next: opencv-python needs both of these."""

_MISSING = re.compile(r"\b(lib[\w.+-]+\.so[\w.]*): cannot open shared object")


def remedy(text: str) -> str:
    """What to do about the library that `text` says is missing; empty where it says none."""
    found = _MISSING.search(text)
    if found is None:
        return ""
    # To send a request loads nothing of packages.
    from sageturner_magic.packages.libraries import debian_packages

    library = found[1]
    packages, unknown = debian_packages(TOGETHER.get(library, (library,)))
    if unknown:
        return (
            f"add the Debian package that has {library} to"
            " `container.generate_container.system_packages`"
        )
    return f"add `system_packages: [{', '.join(packages)}]` below `container: generate_container:`"
