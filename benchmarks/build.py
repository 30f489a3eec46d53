"""Layers against Docker: building and pushing an image, side by side in one run.

    python -m benchmarks.build [--rounds 5] [--rows cold,second,dependency,code,torch,memory]

Both builders get the same resolution, base image and packages and push to registries on this
machine. Docker has its base image already; layers copies it from another registry. The third
column is uv in a Dockerfile, by BuildKit, where a Docker client here can use that. Writes
benchmarks/results/build.md after every round, so that a run can be cut short. Five rounds take
some 25 minutes on two quiet cores. Needs what the tests need: a Docker engine and docker-registry.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
import zipfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

from benchmarks import uv_dockerfile
from sageturner_magic.image.docker.builder import DockerBuilder
from sageturner_magic.image.layers.builder import LayersBuilder
from sageturner_magic.image.layers.cache import LayerCache
from sageturner_magic.image.spec import BuildSpec, Destination
from sageturner_magic.packages.files import FileStore
from sageturner_magic.packages.pip_arguments import parse_pip_arguments
from sageturner_magic.packages.requirements import Package, Requirements, Target
from sageturner_magic.packages.resolution import resolve, server_arguments
from sageturner_magic.packages.source_builds import sha256
from sageturner_magic.packages.urls import Credentials
from sageturner_magic.values import CapturedModule, SourceFile
from tests.parts import base_image, engine
from tests.parts.registry import Registry, registry

PACKAGES = ("fastapi", "uvicorn", "numpy", "scipy", "scikit-learn", "pandas")
Builder = DockerBuilder | LayersBuilder | uv_dockerfile.UvBuilder
ADDED = "colorama"
ROWS = ("cold", "second", "dependency", "code", "torch", "memory")
RESULT = Path(__file__).parent / "results" / "build.md"


class Counting:
    """A reporter that counts what is sent."""

    def __init__(self) -> None:
        self.sent: dict[str, float] = {}

    def log(self, line: str) -> None:
        pass

    def progress(self, done: float, total: float | None, unit: str, part: str = "") -> None:
        if unit == "B":
            self.sent[part] = max(done, self.sent.get(part, 0))

    def checkpoint(self) -> None:
        pass


@dataclass
class Bench:
    """One run's parts, and what was measured: row -> builder -> seconds."""

    rounds: int
    python: str
    source: Registry
    stack: ExitStack
    work: Path
    seconds: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)

    def write(self) -> None:
        RESULT.parent.mkdir(exist_ok=True)
        RESULT.write_text(report(self))

    def fresh_registry(self) -> Registry:
        folder = Path(tempfile.mkdtemp(dir=self.work))
        return self.stack.enter_context(registry(folder))

    def destination(self, served: Registry) -> Destination:
        return Destination(
            f"{served.host}/sageturner-sagemaker",
            lambda: Credentials(served.user, served.password),
        )

    def layers(self) -> LayersBuilder:
        """A builder whose caches are empty."""
        folder = Path(tempfile.mkdtemp(dir=self.work))
        return LayersBuilder(
            LayerCache(folder / "layers"),
            FileStore(folder / "files"),
            lambda host: Credentials(self.source.user, self.source.password),
        )

    def base(self) -> str:
        """A base image that nothing was ever built on, in the engine and in the registry."""
        plain = base_image.ensure(self.python)
        name = f"{self.source.host}/python-{uuid.uuid4().hex[:8]}:{self.python}-slim"
        recipe = f"FROM {plain}\nENV BENCHMARK={uuid.uuid4()}\n"
        docker("build", "--tag", name, "-", input=recipe)
        config = str(self.work / "docker-config")
        docker("--config", config, "login", "-u", self.source.user, "--password-stdin",
               self.source.host, input=self.source.password)  # fmt: skip
        docker("--config", config, "push", name)
        return name

    def uv(self, base: str) -> list[Builder]:
        """A builder with uv in a Dockerfile, where BuildKit can be used."""
        found = uv_dockerfile.client(base)
        if not found:
            self.notes["uv"] = "uv in a Dockerfile is not shown: no Docker client here has BuildKit"
            return []
        return [
            uv_dockerfile.UvBuilder(found, self.work / "uv-config", FileStore(self.work / "files"))
        ]

    def time(self, row: str, builder: Builder, spec: BuildSpec, to: Destination) -> Counting:
        reporter = Counting()
        began = time.perf_counter()
        builder.push(builder.build(spec, reporter), to, reporter)
        took = time.perf_counter() - began
        name = builder.name
        self.seconds.setdefault(row, {}).setdefault(name, []).append(took)
        print(f"{row}: {name} {took:.2f} s", flush=True)
        return reporter


def docker(*arguments: str, input: str = "") -> str:
    environment = {**os.environ, "DOCKER_BUILDKIT": "0"}
    done = subprocess.run(
        ["docker", *arguments], input=input, capture_output=True, text=True, env=environment
    )
    if done.returncode:
        raise RuntimeError(f"docker {arguments[0]}: {done.stderr[-2000:]}")
    return done.stdout.strip()


def make_spec(
    name: str, requirements: Requirements, server: Requirements, base: str, line: str = ""
) -> BuildSpec:
    source = f"# {name} {line}\ndef load():\n    return 1\n\ndef predict(model, request):\n"
    source += "    return request\n"
    module = CapturedModule("In[1]", (SourceFile("sageturner.py", source.encode()),))
    return BuildSpec(name, module, requirements, server, base_image=base)


def image_size(to: Destination, served: Registry, tag: str) -> int:
    manifest = served.manifest(to.repository.partition("/")[2], tag)
    return sum(layer["size"] for layer in manifest["layers"])  # type: ignore[attr-defined]


def everyday(bench: Bench, rows: set[str]) -> None:
    """Cold, a second model, a dependency more, a line of code changed."""
    target = Target(bench.python)
    reporter = Counting()
    packages = resolve(parse_pip_arguments(PACKAGES, Path()), target, reporter)
    more = resolve(parse_pip_arguments((*PACKAGES, ADDED), Path()), target, reporter)
    server = resolve(server_arguments(), target, reporter)
    for _ in range(bench.rounds):
        base = bench.base()
        builders: list[Builder] = [DockerBuilder(FileStore(bench.work / "files")), bench.layers()]
        for builder in (*builders, *bench.uv(base)):
            name = f"bench-{uuid.uuid4().hex[:8]}"
            served = bench.fresh_registry()
            to = bench.destination(served)
            spec = make_spec(name, packages, server, base)
            bench.time("cold", builder, spec, to)
            (tag,) = served.tags("sageturner-sagemaker")
            size = image_size(to, served, tag)
            kind = builder.name
            bench.notes[f"size {kind}"] = f"{size / 1e6:.1f} MB"
            if "code" in rows:
                sent = bench.time("code", builder, make_spec(name, packages, server, base, "x"), to)
                if kind == "layers":
                    bench.notes["code sent"] = f"{sum(sent.sent.values()) / 1e3:.1f} kB"
            if "dependency" in rows:
                bench.time("dependency", builder, make_spec(name, more, server, base), to)
            if "second" in rows:
                fresh = bench.destination(bench.fresh_registry())
                second = make_spec(f"{name}-b", packages, server, base)
                bench.time("second", builder, second, fresh)
        for image in docker("images", "--format", "{{.Repository}}:{{.Tag}}").split():
            if "bench-" in image or image == base:
                docker("rmi", "--force", image)
        bench.write()


def torch(bench: Bench) -> None:
    """A second model with torch in an account that has a first one."""
    target = Target("3.11")
    base_bench = replace(bench, python="3.11")
    reporter = Counting()
    packages = resolve(parse_pip_arguments(["torch==2.13.0+cpu"], Path()), target, reporter)
    server = resolve(server_arguments(), target, reporter)
    base = base_bench.base()
    for builder in (DockerBuilder(FileStore(bench.work / "files")), bench.layers()):
        name = f"bench-{uuid.uuid4().hex[:8]}"
        to = bench.destination(bench.fresh_registry())
        bench.time("torch, first model", builder, make_spec(name, packages, server, base), to)
        second = make_spec(f"{name}-b", packages, server, base)
        sent = bench.time("torch, second model", builder, second, to)
        if builder.name == "layers":
            bench.notes["torch sent"] = f"{sum(sent.sent.values()) / 1e3:.1f} kB"


LARGE = """
import resource, sys
from benchmarks.build import push_large
push_large(*sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def memory(bench: Bench) -> None:
    """Peak memory of a process that lays out and pushes a wheel of 2 GB."""
    wheel = bench.work / "large-1.0-py3-none-any.whl"
    chance = random.Random(1)
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED, compresslevel=0) as archive:
        for number in range(8):
            with archive.open(f"large/part{number}.bin", "w") as file:
                for _ in range(256):
                    file.write(chance.randbytes(1 << 20))
        archive.writestr("large-1.0.dist-info/METADATA", "Name: large\nVersion: 1.0\n")
        archive.writestr("large-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\n")
        archive.writestr("large-1.0.dist-info/RECORD", "")
    base, served = bench.base(), bench.fresh_registry()
    began = time.perf_counter()
    account = (bench.source.user, bench.source.password, served.user, served.password)
    done = subprocess.run(
        [sys.executable, "-c", LARGE, str(wheel), base, served.host, bench.python, str(bench.work),
         *account],
        capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    bench.notes["memory"] = f"{done.stdout.strip()} MB"
    bench.notes["memory seconds"] = f"{time.perf_counter() - began:.0f} s"
    print("memory:", bench.notes["memory"], bench.notes["memory seconds"], flush=True)


def push_large(wheel: str, base: str, host: str, python: str, work: str, *account: str) -> None:
    """Build and push an image with one large wheel (run in a process of its own)."""
    path = Path(wheel)
    package = Package("large", "1.0", path.as_uri(), sha256(path), "", public=False)
    target = Target(python)
    spec = make_spec(
        "bench-large", Requirements(target, (package,)), Requirements(target, ()), base
    )
    folder = Path(tempfile.mkdtemp(dir=work))
    builder = LayersBuilder(
        LayerCache(folder / "layers"),
        FileStore(folder / "files"),
        lambda _: Credentials(account[0], account[1]),
    )
    to = Destination(f"{host}/large", lambda: Credentials(account[2], account[3]))
    builder.push(builder.build(spec, Counting()), to, Counting())


TITLES = {
    "cold": "cold, every cache empty",
    "second": "a second model, new to the registry",
    "dependency": "one small dependency added",
    "code": "one line of code changed",
    "torch, first model": "torch (CPU), first model",
    "torch, second model": "torch (CPU), second model",
}
GOALS: dict[str, tuple[str, Callable[[float, float], bool]]] = {
    "cold": ("<= 1/3 of Docker's", lambda ours, theirs: ours <= theirs / 3),
    "second": ("<= 1/10", lambda ours, theirs: ours <= theirs / 10),
    "dependency": ("<= 1/40", lambda ours, theirs: ours <= theirs / 40),
    "code": ("<= Docker's and <= 0.3 s", lambda ours, theirs: ours <= min(theirs, 0.3)),
    "torch, second model": ("<= 2 s", lambda ours, theirs: ours <= 2),
}


def report(bench: Bench) -> str:
    """The table."""
    engine_version = f"Docker {docker('version', '--format', '{{.Server.Version}}')}"
    lines = [
        "# Building and pushing an image: layers and Docker side by side",
        "",
        (
            f"{date.today()}, {platform.machine()}, {os.cpu_count()} cores, {engine_version},"
            f" medians of {len(bench.seconds.get('cold', {}).get('layers', ()))}, load average"
            f" {os.getloadavg()[2]:.1f} over 15 minutes."
        ),
        (
            f"Packages: {', '.join(PACKAGES)}; added: {ADDED}. Bytecode on both sides; the"
            " resolution, which both share, is not counted."
        ),
        "",
        "| | Docker build + push | uv, BuildKit, push | layers | layers to Docker | target | met |",
        "|---|---|---|---|---|---|---|",
    ]
    for row, title in TITLES.items():
        found = bench.seconds.get(row)
        if not found:
            continue
        layers, theirs = (statistics.median(found[name]) for name in ("layers", "docker"))
        by_uv = f"{statistics.median(found['uv']):.2f} s" if "uv" in found else ""
        goal, met = GOALS.get(row, ("", None))
        verdict = "" if met is None else "yes" if met(layers, theirs) else "no"
        lines.append(
            f"| {title} | {theirs:.2f} s | {by_uv} | {layers:.2f} s | 1/{theirs / layers:.1f} |"
            f" {goal} |"
            f" {verdict} |"
        )
    rows = [
        ("image, compressed", "size docker", "size uv", "size layers", "<= Docker's"),
        ("sent after a change of code", "", "", "code sent", "< 20 kB"),
        ("sent for the second model with torch", "", "", "torch sent", "no byte of torch"),
        ("peak memory with a wheel of 2 GB", "", "", "memory", "<= 200 MB"),
    ]
    lines += [
        f"| {title} | {bench.notes.get(theirs, '')} | {bench.notes.get(by_uv, '')} |"
        f" {bench.notes[ours]} | | {goal} | |"
        for title, theirs, by_uv, ours, goal in rows
        if ours in bench.notes
    ]
    if "uv" in bench.notes:
        lines += ["", f"{bench.notes['uv']}."]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the rows that are asked for and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", default=",".join(ROWS))
    parser.add_argument("--python", default="3.12")
    asked = parser.parse_args()
    rows = set(asked.rows.split(","))
    os.environ["DOCKER_HOST"] = engine.start()
    work = Path(tempfile.mkdtemp(prefix="sageturner-bench-"))
    try:
        with ExitStack() as stack:
            source = stack.enter_context(registry(work / "source"))
            bench = Bench(asked.rounds, asked.python, source, stack, work)
            steps: list[tuple[str, Callable[[], None]]] = [
                ("cold", lambda: everyday(bench, rows)),
                ("torch", lambda: torch(bench)),
                ("memory", lambda: memory(bench)),
            ]
            for name, step in steps:
                if name in rows:
                    step()
                    bench.write()
            print(report(bench))
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
