"""Whether an image of layers has the files that pip installs in a container, one by one.

    python -m tests.integration.image.layouts --report docs/proof/layout.md

compares `POPULAR` and what they need; the tests compare `FIXED`. Both images stand on the same
base image: one is assembled from layers and pulled, in the other pip installs in a container.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from sageturner_magic.image.docker.builder import DockerBuilder
from sageturner_magic.image.layers.builder import LayersBuilder
from sageturner_magic.image.layers.cache import LayerCache
from sageturner_magic.image.spec import BuildSpec, Destination
from sageturner_magic.packages.files import FileStore, default_folder
from sageturner_magic.packages.pip_arguments import parse_pip_arguments
from sageturner_magic.packages.requirements import Target
from sageturner_magic.packages.resolution import resolve, server_arguments
from sageturner_magic.values import CapturedModule, Credentials, SourceFile
from tests.parts import base_image, engine
from tests.parts.recorder import Recorder
from tests.parts.registry import Registry, registry

FIXED = (
    "attrs==25.3.0", "boto3==1.40.0", "certifi==2025.8.3", "cffi==1.17.1", "click==8.2.1",
    "cryptography==45.0.5", "docutils==0.22", "flask==3.1.1", "greenlet==3.2.3",
    "googleapis-common-protos==1.70.0", "gunicorn==23.0.0", "idna==3.10", "jinja2==3.1.6",
    "jupyter-core==5.8.1", "lxml==6.0.0", "markupsafe==3.0.2", "numpy==2.3.2", "packaging==25.0",
    "pillow==11.3.0", "protobuf==6.31.1", "pytest==8.4.1", "pyyaml==6.0.2", "requests==2.32.4",
    "rich==14.1.0", "ruff==0.12.7", "setuptools==80.9.0", "six==1.17.0", "urllib3==2.5.0",
    "widgetsnbextension==4.0.14", "zope.interface==7.2",
)  # fmt: skip
"""30 distributions: pure and compiled, with scripts of every kind, data files, headers, .pth
files and namespaces of every kind. Their versions are fixed, so that a difference is ours."""

OF_VENV = ("activate", "activate.csh", "activate.fish", "Activate.ps1")

POPULAR = (
    "alembic", "black", "bokeh", "celery", "cryptography", "dask[complete]", "datasets", "django",
    "djangorestframework", "duckdb", "fastapi[all]", "flask", "gensim", "google-cloud-bigquery",
    "google-cloud-storage", "gunicorn", "h5py", "hypothesis", "jupyterlab",
    "langchain", "lightgbm", "matplotlib", "mkdocs-material", "moto[server]", "mypy",
    "networkx", "nltk", "nox", "numba", "opencv-python-headless", "openpyxl",
    "opentelemetry-exporter-otlp", "optuna", "paramiko", "plotly", "polars", "pre-commit",
    "psycopg2-binary", "pylint", "pymongo", "pytest-cov", "pytest-xdist", "redis",
    "scikit-image", "scikit-learn", "scrapy", "seaborn", "selenium", "sentry-sdk", "spacy",
    "sphinx", "statsmodels", "streamlit", "textual", "tox", "transformers", "twine",
    "uvicorn[standard]", "xarray",
)  # fmt: skip
"""Roots whose closure is some 300 distributions, resolved together."""

IGNORED = ("INSTALLER", "REQUESTED", "RECORD", "direct_url.json")

# In the image: what pip says of it, and every script of every distribution, loaded.
INSPECT = """
import importlib.metadata, json, os, subprocess, sys
check = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True)
found, broken = [], []
places = [place for place in sys.path if "/opt/venv" in place]
for distribution in importlib.metadata.distributions(path=places):
    for entry in distribution.entry_points:
        if entry.group not in ("console_scripts", "gui_scripts"):
            continue
        found.append(entry.name)
        try:
            assert os.access(f"/opt/venv/bin/{entry.name}", os.X_OK), "there is no such script"
            entry.load()
        except BaseException as error:
            why = f"{type(error).__name__}: {error}".splitlines()[0]
            broken.append(f"{distribution.name} {entry.name}: {why}")
print(json.dumps({"check": check.stdout, "scripts": len(found), "broken": broken}))
"""


@dataclass(frozen=True)
class Comparison:
    """What was compared and what differs.

    Attributes:
        distributions: `name version`, sorted.
        files: Files, folders and links on both sides.
        missing: Paths that pip makes and the layers lack.
        added: Paths that the layers have and pip does not make.
        differing: Paths whose mode, owner or content is another.
        pip_check: What `pip check` says in the image of layers.
        scripts: Entry points in it.
        broken: Those that cannot be loaded, with the reason.
    """

    distributions: tuple[str, ...]
    files: int
    missing: tuple[str, ...]
    added: tuple[str, ...]
    differing: tuple[str, ...]
    pip_check: str
    scripts: int
    broken: tuple[str, ...]


def docker(*arguments: str) -> bytes:
    done = subprocess.run(["docker", *arguments], capture_output=True)
    if done.returncode:
        raise RuntimeError(f"docker {arguments[0]}: {done.stderr.decode()[-2000:]}")
    return done.stdout


def tree(image: str) -> dict[str, tuple[int, int, str]]:
    """Path -> mode, owner and digest of what lies below /opt in an image."""
    container = docker("create", image).decode().strip()
    found: dict[str, tuple[int, int, str]] = {}
    try:
        with (
            subprocess.Popen(
                ["docker", "cp", f"{container}:/opt", "-"], stdout=subprocess.PIPE
            ) as copying,
            tarfile.open(fileobj=copying.stdout, mode="r|") as archive,
        ):
            for member in archive:
                name = member.name.rstrip("/")
                if "__pycache__" in name or name.rpartition("/")[2] in IGNORED:
                    continue
                if member.isdir():
                    found[name] = (member.mode & 0o7777, member.uid, "folder")
                elif member.issym():
                    found[name] = (0o777, member.uid, f"-> {member.linkname}")
                else:
                    file = archive.extractfile(member)
                    assert file
                    content = hashlib.sha256(file.read()).hexdigest()
                    found[name] = (member.mode & 0o7777, member.uid, content)
    finally:
        docker("rm", container)
    return found


def compare(names: Sequence[str], served: Registry, work: Path) -> Comparison:
    """Resolve `names` and make both images of them, which are removed afterwards."""
    target = Target("3.12")
    base = base_image.push("3.12", served)
    docker("tag", base_image.ensure("3.12"), base)
    requirements = resolve(parse_pip_arguments(names, work), target, Recorder())
    module = CapturedModule("In[1]", (SourceFile("sageturner.py", b"def load(): return 1\n"),))
    server = resolve(server_arguments(), target, Recorder())
    spec = BuildSpec("layout", module, requirements, server, base_image=base)
    builder = LayersBuilder(
        LayerCache(work / "layers"),
        FileStore(default_folder()),
        lambda host: Credentials(served.user, served.password),
    )
    repository = f"{served.host}/layout"
    to = Destination(repository, lambda: Credentials(served.user, served.password))
    pushed = builder.push(builder.build(spec, Recorder()), to, Recorder())
    config = ["--config", str(work / "docker-config")]
    subprocess.run(
        ["docker", *config, "login", "-u", served.user, "--password-stdin", served.host],
        input=served.password.encode(),
        capture_output=True,
        check=True,
    )
    docker(*config, "pull", pushed.pinned)
    by_pip = DockerBuilder().build(spec, Recorder()).reference
    try:
        expected, found = tree(by_pip), tree(pushed.pinned)
        options = ["--rm", "--user=1000", "--read-only", "--tmpfs=/tmp", "--env=HOME=/tmp"]
        said = json.loads(
            docker("run", *options, "--entrypoint=python", pushed.pinned, "-c", INSPECT)
            .decode()
            .splitlines()[-1]
        )
    finally:
        docker("rmi", "--force", by_pip, pushed.pinned)
    # What `python -m venv` leaves for people who work in a shell or compile is not needed.
    expected = {
        path: file
        for path, file in expected.items()
        if path.removeprefix("opt/venv/bin/") not in OF_VENV and not path.endswith("pyvenv.cfg")
    }
    found.pop("opt/venv/pyvenv.cfg")
    missing = expected.keys() - found.keys() - {"opt/venv/include", *_empty_include(target)}
    return Comparison(
        distributions=tuple(f"{each.name} {each.version}" for each in requirements.packages),
        files=len(expected.keys() & found.keys()),
        missing=tuple(sorted(missing)),
        added=tuple(sorted(found.keys() - expected.keys())),
        differing=tuple(
            sorted(path for path in expected.keys() & found.keys() if expected[path] != found[path])
        ),
        pip_check=said["check"].strip(),
        scripts=said["scripts"],
        broken=tuple(said["broken"]),
    )


def _empty_include(target: Target) -> set[str]:
    """Folders for headers that venv makes before there are any."""
    return {f"opt/venv/include/python{target.python_version}"}


def report(found: Comparison, seconds: float) -> str:
    """The comparison for people."""

    def listed(paths: Sequence[str]) -> str:
        return "none" if not paths else "\n\n" + "\n".join(f"- `{path}`" for path in paths)

    return "\n".join(
        [
            "# Layers are laid out as pip lays them out",
            "",
            (
                f"{date.today()}, {platform.machine()}, Python 3.12 in the image,"
                f" {len(found.distributions)} distributions resolved together, {seconds:.0f} s."
            ),
            "",
            (
                f"{found.files:,} files, folders and links of an image that was assembled from"
                " layers, compared with what pip installed in a container: path, mode, owner and"
                " content, apart from INSTALLER, REQUESTED, RECORD, direct_url.json and bytecode."
            ),
            "",
            f"Missing: {listed(found.missing)}",
            "",
            f"Added: {listed(found.added)}",
            "",
            f"Different: {listed(found.differing)}",
            "",
            f"`pip check` in the image: {found.pip_check}",
            "",
            (
                f"{found.scripts} console and GUI scripts; those whose function cannot be loaded:"
                f" {listed(found.broken)}"
            ),
            "",
            f"Compared: {', '.join(found.distributions)}.",
            "",
        ]
    )


def main() -> None:
    """Compare `POPULAR` and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--report", type=Path, required=True)
    asked = parser.parse_args()
    os.environ["DOCKER_HOST"] = engine.start()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="sageturner-") as folder:
        work = Path(folder)
        with registry(work / "registry") as served:
            found = compare(POPULAR, served, work)
    asked.report.write_text(report(found, time.monotonic() - began))
    print(asked.report.read_text())


if __name__ == "__main__":
    main()
