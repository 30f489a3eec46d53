"""The server's entry point; see the package's docstring for the contract."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys

PACKAGE = "sageturner_server"

PARTS = {"front": "front.main", "worker": "worker.main", "trial": "worker.trial"}
"""What may be asked for -> the module that does it."""


def start() -> int:
    """Load this folder as a package, wherever it lies, and run the part that is asked for."""
    folder = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib is slow to import
    arguments = [argument for argument in sys.argv[1:] if argument != "serve"]
    packages = os.environ.get("SAGETURNER_PACKAGES")
    front = not arguments
    if front and packages and not sys.flags.no_site:
        # The user's site-packages, .pth files included, must not reach the front.
        command = [sys.executable, "-I", "-S", __file__, "serve"]
        os.execv(sys.executable, command)
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != folder]  # noqa: PTH100
    if front and packages:
        sys.path.insert(0, packages)
    spec = importlib.util.spec_from_file_location(
        PACKAGE,
        os.path.join(folder, "__init__.py"),  # noqa: PTH118
        submodule_search_locations=[folder],
    )
    assert spec is not None and spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = package
    spec.loader.exec_module(package)
    try:
        part = importlib.import_module(f"{PACKAGE}.{PARTS[arguments[0] if arguments else 'front']}")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith(PACKAGE):
            raise
        place = packages or "this Python"
        print(
            f"sageturner: the server needs {error.name}, which is not in {place}", file=sys.stderr
        )
        return 2
    status: int = part.main() if front else part.main(arguments)
    return status


if __name__ == "__main__":
    sys.exit(start())
