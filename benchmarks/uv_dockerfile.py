"""uv in a hand-written Dockerfile, built by BuildKit: what a careful person does without us."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import uv

from sageturner_magic.image import context, dockerfile
from sageturner_magic.image.spec import BuildSpec, BuiltImage, Destination, Spec
from sageturner_magic.packages import machine
from sageturner_magic.packages.files import FileStore
from sageturner_magic.values import ImageRef, Reporter

CLIENTS = ("docker", "/usr/bin/docker")
"""The client on the PATH may lack buildx where Debian's has BuildKit built in."""

RECIPE = """\
FROM {base}
COPY uv /usr/local/bin/uv
ARG UV_DEFAULT_INDEX
ENV UV_LINK_MODE=copy UV_SYSTEM_CERTS=1 UV_COMPILE_BYTECODE=1
RUN python -m venv --without-pip --system-site-packages /opt/venv
WORKDIR /build
COPY requirements.txt server-requirements.txt ./
COPY wheels wheels
RUN --mount=type=cache,id={cache},target=/root/.cache/uv \\
    uv pip install --python /opt/venv/bin/python --no-deps --require-hashes \\
        --requirement requirements.txt
RUN --mount=type=cache,id={cache},target=/root/.cache/uv \\
    uv pip install --target /opt/sageturner/packages --no-deps --require-hashes \\
        --requirement server-requirements.txt
ENV PATH=/opt/venv/bin:$PATH
WORKDIR /opt/program
ENTRYPOINT {entrypoint}
CMD {command}
COPY server /opt/sageturner/server
COPY program /opt/program
"""


def client(base: str) -> str:
    """A Docker client that builds with BuildKit, or an empty string."""
    for name in CLIENTS:
        if shutil.which(name) and not _run(name, "build", "-q", "-", input=f"FROM {base}\n")[0]:
            return name
    return ""


@dataclass(frozen=True)
class UvBuilder:
    """Builds and pushes with BuildKit; its cache of packages is its own.

    Attributes:
        client: See `client`.
        config: A folder for the client's configuration, which gets the registries' passwords.
        files: Where files that are handed to the build are kept.
    """

    name: ClassVar[str] = "uv"

    client: str
    config: Path
    files: FileStore
    cache: str = field(default_factory=lambda: f"bench-{uuid.uuid4().hex[:8]}")

    def build(self, spec: Spec, reporter: Reporter) -> BuiltImage:
        assert isinstance(spec, BuildSpec)
        tag = f"{context.image_tag(spec)}-uv"
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            shutil.copy(uv.find_uv_bin(), folder / "uv")
            (folder / "wheels").mkdir()
            for requirements, name_of in (
                (spec.requirements, "requirements.txt"),
                (spec.server_requirements, "server-requirements.txt"),
            ):
                # pip takes a folder as it stands there, uv a path that looks like one.
                text = requirements.text().replace("--find-links wheels", "--find-links ./wheels")
                (folder / name_of).write_text(text)
                for package in requirements.handed_over:
                    wheel = self.files.fetch(package, requirements.credentials, reporter)
                    shutil.copy(wheel, folder / "wheels")
            for entry in (
                *context.server_entries("server"),
                *context.program_entries(spec, "program"),
            ):
                path = folder / entry.path
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(b"".join(entry.chunks()))
            (folder / "Dockerfile").write_text(
                RECIPE.format(
                    base=spec.base,
                    cache=self.cache,
                    entrypoint=json.dumps(dockerfile.ENTRYPOINT),
                    command=json.dumps(dockerfile.COMMAND),
                )
            )
            index = machine.pip_configuration().get("index-url", "")
            asked = ["--build-arg", f"UV_DEFAULT_INDEX={index}"] if index else []
            self._docker("build", "-q", *asked, "-t", f"bench-uv:{tag}", name)
        return BuiltImage(tag, f"bench-uv:{tag}", spec.architecture, 0, reused=False)

    def push(self, image: BuiltImage, destination: Destination, reporter: Reporter) -> ImageRef:
        assert destination.credentials
        account, host = destination.credentials(), destination.repository.partition("/")[0]
        self._docker("login", "-u", account.user, "--password-stdin", host, input=account.password)
        there = f"{destination.repository}:{image.tag}"
        self._docker("tag", image.reference, there)
        self._docker("push", "-q", there)
        return ImageRef(destination.repository, "", image.tag, image.architecture, 0)

    def _docker(self, *arguments: str, input: str = "") -> None:
        status, said = _run(self.client, "--config", str(self.config), *arguments, input=input)
        if status:
            raise RuntimeError(f"docker {arguments[0]}: {said[-2000:]}")


def _run(*command: str, input: str) -> tuple[int, str]:
    environment = {**os.environ, "DOCKER_BUILDKIT": "1"}
    done = subprocess.run(command, input=input, capture_output=True, text=True, env=environment)
    return done.returncode, done.stdout + done.stderr
