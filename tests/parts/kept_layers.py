"""Layers that the images of many tests begin with, kept on the engine between the tests."""

from __future__ import annotations

import functools
import subprocess

from filelock import FileLock

from sageturner_magic.image.docker.builder import DockerBuilder
from sageturner_magic.image.spec import BuildSpec
from sageturner_magic.packages.requirements import Requirements, Target
from sageturner_magic.packages.resolution import resolve, server_arguments
from sageturner_magic.values import CapturedModule, SourceFile
from tests.parts import base_image
from tests.parts.folder import cache_folder
from tests.parts.recorder import Recorder

NAME = "sageturner-test-kept"


@functools.cache
def keep(version: str) -> str:
    """Keep the layers of the server and its packages; the name of the base image below them.

    The engine removes an image's layers with the image, and every test removes its own: each
    would copy the server anew, and one test could remove what another is building upon.
    """
    base = base_image.ensure(version)
    target = Target(version)
    server = resolve(server_arguments(), target, Recorder())
    module = CapturedModule("In[1]", (SourceFile("sageturner.py", b""),))
    name = f"{NAME}-py{version.replace('.', '')}"
    with FileLock(cache_folder() / f"{name}.lock"):
        spec = BuildSpec(name, module, Requirements(target, ()), server)
        kept = DockerBuilder().build(spec, Recorder()).reference
        repository = kept.partition(":")[0]
        listed = _docker("images", "--format", "{{.Repository}}:{{.Tag}}", repository).split()
        for old in listed:
            if old.startswith(f"{repository}:{name}-") and old != kept:
                _docker("rmi", old)
    return base


def _docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True)
    return done.stdout
