"""Unit tests on every supported Python on this machine, and with the oldest dependencies."""

import os
import shutil
from pathlib import Path

import nox

nox.options.default_venv_backend = "uv|virtualenv"
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False
nox.options.reuse_existing_virtualenvs = True

# uv looks only at its own certificates unless told to use the machine's.
os.environ.setdefault("UV_SYSTEM_CERTS", "true")

# pyenv's launchers answer only for the versions that are switched on, so its interpreters
# are put on the path themselves, after all others.
if launcher := shutil.which("pyenv"):
    # Not what `pyenv root` says: that depends on HOME.
    versions = Path(launcher).resolve().parents[1].glob("versions/3.*/bin")
    rest = [path for path in os.environ["PATH"].split(os.pathsep) if not path.endswith("/shims")]
    os.environ["PATH"] = os.pathsep.join([*rest, *map(str, sorted(versions))])


@nox.session(python=["3.10", "3.11", "3.12", "3.13", "3.14"])
def unit(session: nox.Session) -> None:
    """Run the unit tests with the newest dependencies, as a new user gets them."""
    # The Python of the integration tests draws every example; the others draw a quarter.
    _test(session, profile="tests" if session.python == "3.11" else "sample")


@nox.session(python="3.10", venv_backend="uv")
def lowest(session: nox.Session) -> None:
    """Run the unit tests with every direct dependency at its lowest declared version."""
    _test(session, "--resolution=lowest-direct", profile="sample")


def _test(session: nox.Session, *options: str, profile: str) -> None:
    session.install(*options, "--editable", ".", "--group", "test")
    tests = session.posargs or ["tests/unit"]
    session.run("python", "-m", "pytest", f"--hypothesis-profile={profile}", *tests)
