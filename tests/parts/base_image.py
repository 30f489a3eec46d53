"""A stand-in for the public `python:X-slim` images, for machines that reach no registry.

Like the real one it is Debian with a Python below /usr/local and pip beside it. The Debian
comes from debootstrap, the Python is the one of this machine, and both carry this machine's
certificates, package sources and pip settings, so that builds inside reach what the machine
reaches. That is why it is made here, kept outside the checkout, and pushed nowhere but to a
test's own registry.
"""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

from filelock import FileLock

from tests.parts.folder import cache_folder
from tests.parts.registry import Registry, registry

REFERENCE = "public.ecr.aws/docker/library/python:{version}-slim"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
LIBRARIES = (
    "ca-certificates",
    "libbz2-1.0",
    "libexpat1",
    "libffi8",
    "liblzma5",
    "libncursesw6",
    "libreadline8",
    "libsqlite3-0",
    "libssl3",
    "libuuid1",
    "netbase",
    "tzdata",
    "zlib1g",
)
RECIPE = "1"
"""Raised when what is built here changes in a way that its inputs do not show."""

DOCKERFILE = """\
FROM {debian}
COPY prefix /usr/local
RUN ldconfig && chmod 1777 /tmp && python --version && pip --version
ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin \\
    PYTHON_VERSION={full_version}
LABEL sageturner.test.recipe={recipe}
CMD ["python3"]
"""


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _docker(*arguments: str, input: bytes | None = None) -> str:
    done = subprocess.run(["docker", *arguments], input=input, capture_output=True)
    if done.returncode:
        text = (done.stdout + done.stderr).decode(errors="replace")
        raise RuntimeError(f"docker {arguments[0]}: {text[-3000:]}")
    return done.stdout.decode().strip()


def _codename() -> str:
    return platform.freedesktop_os_release()["VERSION_CODENAME"]


def _package_sources() -> str:
    """This machine's sources for its own release, in the one-line form."""
    lines = _output(
        "apt-get",
        "indextargets",
        "--format=$(REPO_URI) $(RELEASE) $(COMPONENT)",
        "Created-By: Packages",
    ).splitlines()
    ours = [line.split() for line in lines if line.split()[1].startswith(_codename())]
    ours = [source for source in ours if source[2] == "main"]
    return "".join(f"deb {uri} {suite} {component}\n" for uri, suite, component in ours)


def _package_settings() -> str:
    """What apt has to know to reach those sources from inside as this machine does."""
    wanted = ("Acquire::http", "Acquire::https", "Acquire::Check-")
    return "".join(
        f"{line}\n"
        for line in _output("apt-config", "dump").splitlines()
        if line.startswith(wanted)
    )


def _pip_settings() -> str:
    """The part of this machine's pip configuration that holds in a container too."""
    lines = ["[global]", f"cert = {CERTIFICATES}"]
    pip = shutil.which("pip")
    for line in _output(pip, "config", "list").splitlines() if pip else ():
        name, _, value = line.partition("=")
        value = value.strip("'\"")
        key = name.rpartition(".")[2]
        if key in ("index-url", "extra-index-url") and not value.startswith("file:"):
            lines.append(f"{key} = {value}")
    return "\n".join(lines) + "\n"


def _debian() -> str:
    """A Debian image with this machine's settings; made if need be."""
    settings = {
        "etc/apt/sources.list": _package_sources(),
        "etc/apt/apt.conf.d/99machine": _package_settings(),
        "etc/pip.conf": _pip_settings(),
    }
    certificates = CERTIFICATES.read_bytes()
    identity = hashlib.sha256(certificates)
    for part in (RECIPE, _codename(), *LIBRARIES, *settings.values()):
        identity.update(part.encode() + b"\0")
    name = f"sageturner-test-debian:{identity.hexdigest()[:12]}"
    if _docker("images", "-q", name):
        return name
    cached = cache_folder() / f"{name.replace(':', '-')}.tar"
    if not cached.exists():
        with tempfile.TemporaryDirectory(dir=cache_folder()) as work:
            root = Path(work, "root")
            mirror = settings["etc/apt/sources.list"].split()[1]
            log = Path(work, "log")
            with log.open("wb") as out:
                done = subprocess.run(
                    [
                        "debootstrap",
                        "--variant=minbase",
                        f"--include={','.join(LIBRARIES)}",
                        _codename(),
                        str(root),
                        mirror,
                    ],
                    stdout=out,
                    stderr=out,
                )
            if done.returncode:
                raise RuntimeError(f"debootstrap: {log.read_text(errors='replace')[-3000:]}")
            for path, text in settings.items():
                (root / path).write_text(text)
            (root / CERTIFICATES.relative_to("/")).write_bytes(certificates)
            for archive in (root / "var/cache/apt/archives").glob("*.deb"):
                archive.unlink()
            shutil.rmtree(root / "var/lib/apt/lists")
            (root / "var/lib/apt/lists").mkdir()
            packed = Path(work, "packed.tar")
            subprocess.run(
                ["tar", "-C", root, "--numeric-owner", "--exclude=./dev/*", "-cf", packed, "."],
                check=True,
            )
            packed.replace(cached)
    with cached.open("rb") as archive:
        subprocess.run(
            ["docker", "import", "-", name], stdin=archive, stdout=subprocess.DEVNULL, check=True
        )
    return name


def interpreter(version: str) -> Path:
    """This machine's Python `version` that is not a virtual environment's."""
    candidates: list[Path] = []
    if launcher := shutil.which("pyenv"):
        # Where the launcher lies, whatever HOME is.
        versions = Path(launcher).resolve().parents[1] / "versions"
        candidates += sorted(versions.glob(f"{version}.*/bin/python"))
    if found := shutil.which(f"python{version}"):
        candidates.append(Path(found))
    for candidate in candidates:
        try:
            prefix = Path(_output(str(candidate), "-c", "import sys; print(sys.base_prefix)"))
        except (OSError, subprocess.CalledProcessError):
            continue
        # A Python whose prefix is /usr shares it with everything else and cannot be copied.
        if prefix != Path("/usr"):
            return prefix / "bin" / f"python{version}"
    raise RuntimeError(f"no Python {version} on this machine that can be copied into an image")


def _copy_python(version: str, prefix: Path, target: Path) -> None:
    library = f"lib/python{version}"

    def left_out(folder: str, names: list[str]) -> set[str]:
        inside = Path(folder).relative_to(prefix).as_posix()
        if inside == f"{library}/site-packages":
            kept = ("pip", "setuptools", "pkg_resources", "_distutils_hack", "distutils-prec")
            return {name for name in names if not name.startswith(kept)}
        unwanted = {"__pycache__"}
        if inside == library:
            unwanted |= {"test", "idlelib", "tkinter", "turtledemo"}
            unwanted |= {name for name in names if name.startswith("config-")}
        if inside == ".":
            unwanted |= {name for name in names if name not in ("bin", "lib", "include")}
        return {name for name in names if name in unwanted}

    shutil.copytree(prefix, target, symlinks=True, ignore=left_out)
    for script in (target / "bin").iterdir():
        if script.is_symlink() or script.read_bytes()[:2] != b"#!":
            continue
        _, _, rest = script.read_bytes().partition(b"\n")
        script.write_bytes(b"#!/usr/local/bin/python" + version.encode() + b"\n" + rest)
    for link in ("python", "python3"):
        (target / "bin" / link).unlink(missing_ok=True)
        (target / "bin" / link).symlink_to(f"python{version}")


def _lock() -> Path:
    """The lock of whoever makes an image or its blobs."""
    return cache_folder() / "base-image.lock"


@functools.cache
def ensure(version: str) -> str:
    """The name of the stand-in for Python `version` (`3.12`); it is made if need be.

    The first one takes about two minutes, each further one some seconds.
    """
    name = REFERENCE.format(version=version)
    with FileLock(_lock()):
        _ensure(version, name)
    return name


def _ensure(version: str, name: str) -> None:
    debian = _debian()
    python = interpreter(version)
    full_version = _output(str(python), "-c", "import platform; print(platform.python_version())")
    recipe = f"{RECIPE}-{debian.rpartition(':')[2]}-{full_version}"
    label = '{{index .Config.Labels "sageturner.test.recipe"}}'
    present = subprocess.run(
        ["docker", "image", "inspect", "--format", label, name], capture_output=True, text=True
    )
    if present.returncode == 0 and present.stdout.strip() == recipe:
        return
    with tempfile.TemporaryDirectory(dir=cache_folder()) as work:
        _copy_python(version, python.parents[1], Path(work, "prefix"))
        Path(work, "Dockerfile").write_text(
            DOCKERFILE.format(debian=debian, full_version=full_version, recipe=recipe)
        )
        environment = {**os.environ, "DOCKER_BUILDKIT": "0"}
        built = subprocess.run(
            ["docker", "build", "--tag", name, work],
            env=environment,
            capture_output=True,
            text=True,
        )
        if built.returncode:
            raise RuntimeError(f"docker build: {(built.stdout + built.stderr)[-3000:]}")


def push(version: str, served: Registry) -> str:
    """Put the image of Python `version` into a test's registry and return its name there.

    Docker compresses an image for each registry that it pushes to; it is compressed once, and its
    blobs are copied.
    """
    name = ensure(version)
    repository = f"docker/library/python:{version}-slim"
    identity = _docker("image", "inspect", "--format", "{{.Id}}", name).removeprefix("sha256:")
    blobs = cache_folder() / f"python-{version}-{identity[:12]}"
    with FileLock(_lock()):
        if not blobs.exists():
            for old in cache_folder().glob(f"python-{version}-*"):
                shutil.rmtree(old)
            with tempfile.TemporaryDirectory(dir=cache_folder()) as work:
                with registry(Path(work)) as packing:
                    _push(name, f"{packing.host}/{repository}", packing)
                packing.root.replace(blobs)
    shutil.copytree(blobs, served.root, dirs_exist_ok=True)
    return f"{served.host}/{repository}"


def _push(name: str, there: str, packing: Registry) -> None:
    with tempfile.TemporaryDirectory() as config:
        _docker("--config", config, "login", "-u", packing.user, "--password-stdin", packing.host,
                input=packing.password.encode())  # fmt: skip
        _docker("tag", name, there)
        _docker("--config", config, "push", there)
        _docker("rmi", there)
