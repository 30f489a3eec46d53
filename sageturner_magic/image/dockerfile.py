"""Render the Dockerfile of a generated image.

It needs no BuildKit. Credentials never reach it: files from guarded or local places are
fetched on the machine that builds and are copied into a stage that the image does not
contain; everything else comes from public indexes by hash.
"""

from __future__ import annotations

import json
import re
from functools import cache

import jinja2

from sageturner_magic._version import __version__
from sageturner_magic.config import IMAGE_REFERENCE, SYSTEM_PACKAGE
from sageturner_magic.image.spec import BuildSpec, default_base_image
from sageturner_magic.packages import Requirements

BIN = "/opt/venv/bin"
"""The folder of the image's Python and of its packages' scripts."""

PROGRAM = "/opt/program"
"""The folder of sageturner.py and of what lies beside it."""

ENTRYPOINT = ("python", "/opt/sageturner/server/__main__.py")
COMMAND = ("serve",)

_PIP_OPTIONS = " ".join(
    (
        "--no-deps --require-hashes --no-cache-dir --no-compile",
        "--disable-pip-version-check --root-user-action=ignore",
    )
)
# Bytecode is checked by hash, not by time, and never again when a container starts.
_COMPILEALL = "python -m compileall -qq -j 0 --invalidation-mode=unchecked-hash"


_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("sageturner_magic.image"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,
    )
    environment.filters["json_list"] = json.dumps
    environment.filters["quoted"] = _quoted
    return environment.get_template("Dockerfile.j2")


def _quoted(value: str) -> str:
    """A value of ENV or LABEL, in which Docker would replace `$NAME`."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return f'"{escaped}"'


def render_dockerfile(spec: BuildSpec) -> str:
    """The Dockerfile. Raises ValueError where a name in `spec` is not one."""
    _refuse_syntax(spec)
    return _template().render(
        platform=spec.target.platform,
        base_image=spec.base,
        check_python=spec.base != default_base_image(spec.target.python_version),
        python_version=spec.target.python_version,
        system_packages=sorted(set(spec.system_packages)),
        cuda=spec.cuda,
        libraries=f"/usr/lib/{_MACHINES[spec.architecture]}-linux-gnu",
        server_wheels=_wheels(spec.server_requirements),
        wheels=_wheels(spec.requirements),
        has_packages=bool(spec.requirements.packages),
        pip_options=_PIP_OPTIONS,
        compileall=_COMPILEALL,
        bin=BIN,
        environment=environment(spec).items(),
        entrypoint=list(ENTRYPOINT),
        command=list(COMMAND),
        program=PROGRAM,
        labels=sorted(labels(spec).items()),
    )


def environment(spec: BuildSpec) -> dict[str, str]:
    """The variables that an image sets, apart from PATH, which gets `BIN` before the base's."""
    return {
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "SAGETURNER_PACKAGES": "/opt/sageturner/packages",
        **dict(sorted(spec.environment.items())),
    }


def labels(spec: BuildSpec) -> dict[str, str]:
    """What an image says about its making."""
    return {
        "sageturner.version": __version__,
        "sageturner.requirements": spec.requirements.digest,
        "sageturner.server-requirements": spec.server_requirements.digest,
    }


def _wheels(requirements: Requirements) -> list[str]:
    return [f"wheels/{package.file}" for package in requirements.handed_over]


def _refuse_syntax(spec: BuildSpec) -> None:
    """Let nothing into the Dockerfile that would be read as more than one name or value.

    Raises ValueError: the configuration's schema refuses such names before.
    """
    wrong = [name for name in spec.system_packages if not re.fullmatch(SYSTEM_PACKAGE, name)]
    wrong += [] if re.fullmatch(IMAGE_REFERENCE, spec.base) else [spec.base]
    wrong += [value for value in spec.environment.values() if len(value.splitlines()) > 1]
    if wrong:
        raise ValueError(f"no name or value for a Dockerfile: {wrong!r}")
