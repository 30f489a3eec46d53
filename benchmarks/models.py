"""The example notebooks' models, served by this project and by LitServe in one run.

    python -m benchmarks.models [--rounds 3] [--models embeddings,reader,...] [--without-images]

Each model is what its notebook exports right before it deploys: the same code, artefact and
packages on both sides, in the same environment. LitServe is the peer that can serve all four
(batches, streams) and was the fastest peer in `benchmarks.server`; around the code it is written,
and its image made, as its documentation says. Images are built by the same Docker engine on base
images that nothing was ever built on, and pushed to registries of this machine. Writes
benchmarks/results/models.md and models.svg. Needs wrk, and for images what the tests need.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import nbformat
import uv
import yaml

from benchmarks.build import Bench, Counting, docker, image_size
from benchmarks.server import end, free_port, memory_of, wrk
from sageturner_magic.capture.code_folder import from_folder
from sageturner_magic.deployment.image_packages import resolved
from sageturner_magic.image.docker.builder import DockerBuilder
from sageturner_magic.image.spec import BuildSpec
from sageturner_magic.packages.files import FileStore
from sageturner_magic.packages.pip_arguments import parse_pip_arguments
from sageturner_magic.packages.requirements import Package, Requirements, Target
from sageturner_magic.packages.resolution import resolve, server_arguments
from tests.parts.examples import NOTEBOOKS, environment_python, execute
from tests.parts.registry import Registry, registry
from tests.stand import Stand
from tests.stand.project import Project

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"
OURS, PEER = "this project", "LitServe"
CONNECTIONS = (1, 16)
SECONDS = 8
PREDICTIONS = 50
"""A slow model is measured for as long as so many predictions take, one after the other."""
START_LIMIT = 600.0
SMALL = 50_000
"""Layers of fewer bytes are not listed."""

LITSERVE = """
import inspect, sys
import litserve
import sageturner

BATCHED = hasattr(sageturner, "predict_batch")
STREAMED = inspect.isgeneratorfunction(sageturner.predict)

class API(litserve.LitAPI):
    def setup(self, device):
        load = sageturner.load
        self.model = load(sys.argv[2]) if inspect.signature(load).parameters else load()
    def decode_request(self, request):
        return request
    def predict(self, request):
        if BATCHED:
            return sageturner.predict_batch(self.model, request)
        return sageturner.predict(self.model, request)
    def batch(self, inputs):
        return list(inputs)
    def unbatch(self, output):
        return output

class Whole(API):
    def encode_response(self, output):
        return {name: plain(value) for name, value in output.items()}

class Pieces(API):
    def predict(self, request):
        yield from sageturner.predict(self.model, request)
    def encode_response(self, output):
        yield from output

def plain(value):
    # FastAPI's encoder knows no numpy arrays.
    if hasattr(value, "tolist"):
        return value.tolist()
    return [plain(each) for each in value] if isinstance(value, list) else value

if __name__ == "__main__":
    options = {"max_batch_size": 32, "batch_timeout": 0.005} if BATCHED else {}
    kind = Pieces if STREAMED else Whole
    api = kind(api_path="/invocations", stream=STREAMED, **options)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1,
                                healthcheck_path="/ping")
    server.run(host="0.0.0.0", port=int(sys.argv[1]), generate_client_file=False,
               log_level="warning")
"""

# As https://lightning.ai/docs/litserve/features/dockerization-deployment writes it; the wheels
# that no index has lie beside it.
DOCKERFILE = """\
FROM {base}
WORKDIR /app
COPY . /app
{system}RUN pip install --no-cache-dir --find-links wheels litserve -r requirements.txt
CMD ["python", "lit.py", "8080", "/opt/ml/model"]
"""

EXPORT = {
    "embeddings": ("02_text_embeddings", '{"sentences": [sentences[0]]}'),
    "reader": (
        "03_image_to_text",
        '{"image": base64.b64encode(open("receipt.png", "rb").read()).decode()}',
    ),
    "digit-words": ("04_config_and_code_dir", '{"image": IMAGE}'),
    "writer": ("05_streaming", '{"prompt": "A function", "words": 60}'),
}
"""Model -> its notebook, and the request as an expression there."""


@dataclass(frozen=True)
class Case:
    """A model as its notebook exported it.

    Attributes:
        folder: Holds sageturner.yaml, code/ and perhaps model/.
        body: A request, JSON.
    """

    name: str
    folder: Path
    body: str

    @property
    def generate(self) -> dict[str, list[str] | str | None]:
        document = yaml.safe_load((self.folder / "sageturner.yaml").read_text())
        found: dict[str, list[str] | str | None] = document["container"]["generate_container"]
        return found


def export(name: str, work: Path) -> Case:
    """Run the notebook until it would deploy, and export what it would."""
    title, request = EXPORT[name]
    here = work / name
    here.mkdir()
    if (NOTEBOOKS / title).is_dir():
        shutil.copytree(NOTEBOOKS / title, here / title, ignore=shutil.ignore_patterns("model"))
    notebook = nbformat.read(NOTEBOOKS / f"{title}.ipynb", as_version=4)
    deploying = next(
        number
        for number, cell in enumerate(notebook.cells)
        if cell.cell_type == "code" and "sageturner deploy" in cell.source
    )
    deploy = notebook.cells[deploying]
    deploy.source = deploy.source.replace("deploy --endpoint-type local", "export exported")
    deploy.source = deploy.source.replace("deploy -e local", "export exported")
    code = "import json, pathlib\n"
    if name == "digit-words":
        # The cell after the deployment has the helper that encodes a picture.
        helper = next(cell.source for cell in notebook.cells if "def base64_of" in cell.source)
        code += helper.partition("\n\n\nanswer = ")[0] + "\nIMAGE = base64_of(test_images[0])\n"
    code += f"pathlib.Path('request.json').write_text(json.dumps({request}))"
    notebook.cells = [*notebook.cells[: deploying + 1], nbformat.v4.new_code_cell(code)]
    execute(notebook, here, environment_python(title))
    return Case(name, here / "exported", (here / "request.json").read_text())


def peer_python(own: Path) -> Path:
    """`own`'s environment once more, with LitServe in it."""
    place = ROOT / "build" / "benchmark-servers" / f"litserve-{own.parents[1].name}"
    python = place / "bin" / "python"
    if not (place / "complete").exists():
        shutil.rmtree(place, ignore_errors=True)
        uv_ = [uv.find_uv_bin(), "--quiet"]
        environment = {"UV_SYSTEM_CERTS": "true", **os.environ}
        subprocess.run([*uv_, "venv", "--python", own.resolve(), place], check=True)
        listed = subprocess.run([*uv_, "pip", "freeze", "--exclude-editable", "--python", own],
                                capture_output=True, text=True, check=True).stdout  # fmt: skip
        links = subprocess.run([sys.executable, "-m", "pip", "config", "get", "global.find-links"],
                               capture_output=True, text=True).stdout.split()  # fmt: skip
        links += os.environ.get("PIP_FIND_LINKS", "").split()
        subprocess.run(
            [*uv_, "pip", "install", "--python", python, *(f"--find-links={x}" for x in links),
             "litserve", *listed.split()],
            check=True, env=environment,
        )  # fmt: skip
        (place / "complete").touch()
    return python


def post(url: str, body: str) -> bytes:
    request = urllib.request.Request(url, body.encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as answer:
        content: bytes = answer.read()
        return content


@contextlib.contextmanager
def serving(case: Case, server: str, python: Path) -> Iterator[tuple[str, int, float]]:
    """The URL, the process and the seconds from its start to the first prediction."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/invocations"
    with tempfile.TemporaryDirectory() as temporary:
        program = Path(temporary, "program")
        shutil.copytree(case.folder / "code", program)
        model = case.folder / "model"
        (program / "lit.py").write_text(LITSERVE)
        environment = {
            **os.environ,
            "SM_MODEL_DIR": str(model),
            "SAGETURNER_PROGRAM_DIR": str(program),
            "SAGETURNER_MODEL_DIR": str(model),
            "SAGETURNER_HOST": "127.0.0.1",
            "SAGETURNER_PORT": str(port),
        }
        own = [str(ROOT / "sageturner_magic" / "server" / "__main__.py"), "serve"]
        command = own if server == OURS else ["lit.py", str(port), str(model)]
        log = Path(temporary, "log")
        began = time.perf_counter()
        with log.open("wb") as out:
            process = subprocess.Popen(
                [python, *command], cwd=program, env=environment, stdout=out, stderr=out,
                start_new_session=True,
            )  # fmt: skip
        try:
            while True:
                try:
                    post(url, case.body)
                    break
                except OSError:
                    waited = time.perf_counter() - began
                    if waited > START_LIMIT or process.poll() is not None:
                        raise RuntimeError(log.read_text()[-3000:]) from None
                    time.sleep(0.02)
            yield url, process.pid, time.perf_counter() - began
        finally:
            end(process)


class Peak:
    """The most memory that a server and its descendants held, sampled."""

    def __init__(self, pid: int) -> None:
        self.mb = 0.0
        self._ended = threading.Event()

        def sample() -> None:
            while not self._ended.wait(0.25):
                self.mb = max(self.mb, memory_of(pid))

        self._thread = threading.Thread(target=sample)
        self._thread.start()

    def stop(self) -> float:
        self._ended.set()
        self._thread.join()
        return self.mb


Figures = dict[tuple[str, str, str], list[float]]
"""(model, server, what) -> a value of each round."""


def measure_servers(case: Case, seen: Figures) -> None:
    own = environment_python(EXPORT[case.name][0])
    for server, python in {OURS: own, PEER: peer_python(own)}.items():
        with serving(case, server, python) as (url, pid, first):
            seen[case.name, server, "start"].append(first)
            peak = Peak(pid)
            try:
                _, single, _, _ = wrk(url, case.body, 1, 2)
                for connections in CONNECTIONS:
                    wrk(url, case.body, connections, 2)
                    # What the warm-up left in a queue is not measured.
                    post(url, case.body)
                    seconds = max(SECONDS, round(PREDICTIONS * single / 1000))
                    rate, median, high, errors = wrk(url, case.body, connections, seconds)
                    for what, value in (("rps", rate), ("p50", median), ("p99", high),
                                        ("errors", errors)):  # fmt: skip
                        seen[case.name, server, f"{what} {connections}"].append(value)
            finally:
                seen[case.name, server, "memory"].append(peak.stop())
        print(case.name, server, {k[2]: round(v[-1], 2) for k, v in seen.items()
                                  if k[:2] == (case.name, server)}, flush=True)  # fmt: skip


def measure_images(case: Case, bench: Bench, seen: Figures, made_of: dict[str, str]) -> None:
    """Cold and code-only builds and pushes, and sizes."""
    target = Target(bench.python)
    reporter = Counting()
    lines = case.generate["python_packages"]
    assert isinstance(lines, list)
    system = tuple(case.generate.get("system_packages") or ())
    requirements = resolved(parse_pip_arguments(lines, case.folder), target, reporter)
    base = bench.base()
    name = f"bench-{uuid.uuid4().hex[:8]}"

    def spec(change: str) -> BuildSpec:
        code = Path(tempfile.mkdtemp(dir=bench.work)) / "code"
        shutil.copytree(case.folder / "code", code)
        with (code / "sageturner.py").open("a") as file:
            file.write(change)
        module, _ = from_folder(code)
        return BuildSpec(name, module, requirements, resolve(server_arguments(), target, reporter),
                         base_image=base, system_packages=system)  # fmt: skip

    files = FileStore(bench.work / "files")
    served = bench.fresh_registry()
    for what, change in (("cold", ""), ("code", "\n# changed\n")):
        row = f"{case.name}, {what}"
        bench.time(row, DockerBuilder(files), spec(change), bench.destination(served))
        seen[case.name, OURS, what].append(bench.seconds[row]["docker"][-1])
    sizes = [image_size(bench.destination(served), served, tag)
             for tag in served.tags("sageturner-sagemaker")]  # fmt: skip
    seen[case.name, OURS, "image"].append(max(sizes) / 1e6)
    if not system:
        layers = bench.layers()
        for what, change in (("cold", ""), ("code", "\n# changed\n")):
            row = f"{case.name}, {what}"
            to = bench.destination(served)
            bench.time(row, layers, spec(change), to)
            seen[case.name, OURS, f"{what}, layers"].append(bench.seconds[row]["layers"][-1])
        planned = layers.planned(spec("\n# changed\n"), None, reporter)
        largest = sorted(planned, key=lambda layer: -layer.size)[:6]
        rest = sum(layer.size for layer in planned) - sum(layer.size for layer in largest)
        parts = [f"{_short(layer.title)} {layer.size / 1e6:.1f} MB" for layer in largest]
        made_of[case.name] = "; ".join([*parts, f"the rest {rest / 1e6:.1f} MB"])
    else:
        made_of[case.name] = _made_by_docker(served)
    _peers_image(case, requirements, system, files, bench, seen)


def _short(title: str) -> str:
    names = title.split(", ")
    return title if len(names) <= 3 else f"{', '.join(names[:2])} and {len(names) - 2} more"


def _made_by_docker(served: Registry) -> str:
    """The layers of the one image in a registry, by the instructions that made them."""
    repository = "sageturner-sagemaker"
    manifest = served.manifest(repository, served.tags(repository)[0])
    config = json.loads(served.blob(repository, manifest["config"]["digest"]))  # type: ignore[index]
    steps = [step for step in config["history"] if not step.get("empty_layer")]
    # An imported base image was made by no instruction.
    made = [step.get("created_by") or "the base image" for step in steps]
    found = []
    for by, layer in zip(made, manifest["layers"], strict=True):  # type: ignore[call-overload]
        if layer["size"] < SMALL:
            continue
        words = by.removeprefix("/bin/sh -c").replace("#(nop)", "").split("&&")[0].split()
        what = f"COPY to {words[-1]}" if words[0] == "COPY" else " ".join(words)
        found.append(f"{what} {layer['size'] / 1e6:.1f} MB")
    return "; ".join(found)


def measure_deploys(case: Case, bench: Bench, stand: Stand, seen: Figures) -> None:
    """The whole command against SageMaker's stand-in, as a person without Docker waits for it."""
    folder = Path(tempfile.mkdtemp(dir=bench.work)) / "project"
    shutil.copytree(case.folder, folder)
    document = yaml.safe_load((folder / "sageturner.yaml").read_text())
    generate = case.generate | {
        "base_image": bench.base(),
        "python_version": bench.python,
        # Installing system packages takes a Docker engine.
        "builder": "docker" if case.generate.get("system_packages") else "layers",
    }
    document["container"] = {"generate_container": generate}
    (folder / "sageturner.yaml").write_text(yaml.safe_dump(document))
    project = Project(stand, folder, document["name"])
    python = environment_python(EXPORT[case.name][0])

    def command(*words: str) -> float:
        began = time.perf_counter()
        done = subprocess.run(
            [python, "-m", "sageturner_magic", *words],
            cwd=folder, env={**project.environment, "XDG_CACHE_HOME": str(folder / "cache"),
                             "DOCKER_CONFIG": str(bench.work / "docker-config")},
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{case.name}, {words[0]}: {done.stderr[-3000:]}")
        return time.perf_counter() - began

    command("setup")
    for what in ("cold", "code"):
        took = command("deploy", "-e", "serverless")
        seen[case.name, OURS, f"{what}, deployed"].append(took)
        print(f"{case.name}, {what}: deployed in {took:.1f} s", flush=True)
        with (folder / "code" / "sageturner.py").open("a") as file:
            file.write("\n# changed\n")
    command("delete", project.name, "--yes")
    command("teardown", "--yes")


def _peers_image(
    case: Case, requirements: Requirements, system: tuple[str, ...], files: FileStore,
    bench: Bench, seen: Figures,
) -> None:  # fmt: skip
    context = Path(tempfile.mkdtemp(dir=bench.work)) / "app"
    shutil.copytree(case.folder / "code", context)
    (context / "lit.py").write_text(LITSERVE)
    (context / "wheels").mkdir()
    for package in requirements.handed_over:
        _fetch(package, context / "wheels", files, requirements)
    pins = "".join(f"{each.name}=={each.version}\n" for each in requirements.packages)
    (context / "requirements.txt").write_text(pins)
    apt = f"RUN apt-get update && apt-get install -y {' '.join(system)}\n" if system else ""
    text = DOCKERFILE.format(base=bench.base(), system=apt)
    (context / "Dockerfile").write_text(text)
    served = bench.fresh_registry()
    image = f"{served.host}/litserve-{uuid.uuid4().hex[:8]}:latest"
    config = str(bench.work / "docker-config-peer")
    docker("--config", config, "login", "-u", served.user, "--password-stdin", served.host,
           input=served.password)  # fmt: skip
    for what in ("cold", "code"):
        began = time.perf_counter()
        docker("build", "--tag", image, str(context))
        docker("--config", config, "push", image)
        seen[case.name, PEER, what].append(time.perf_counter() - began)
        print(f"{case.name}, {what}: LitServe {seen[case.name, PEER, what][-1]:.1f} s", flush=True)
        with (context / "sageturner.py").open("a") as file:
            file.write("\n# changed\n")
    repository = image.partition("/")[2].partition(":")[0]
    manifest = served.manifest(repository, "latest")
    size = sum(layer["size"] for layer in manifest["layers"])  # type: ignore[attr-defined]
    seen[case.name, PEER, "image"].append(size / 1e6)
    docker("rmi", "--force", image)


def _fetch(package: Package, folder: Path, files: FileStore, requirements: Requirements) -> None:
    found = files.fetch(package, requirements.credentials, Counting())
    shutil.copyfile(found, folder / package.file)


SAME = """\
The same code, artefact, packages and Python on both sides; servers and the load generator share
the processors. Each image was built once. `sageturner deploy` is the whole command, without
Docker (the reader's by Docker), against the tests' stand-in for SageMaker: a trial of the code, the
packages' resolution, the image, a trial of the image, the push, and the endpoint until it answers.
LitServe has no such command, and the Dockerfile of its documentation copies the code before it
installs the packages: written otherwise, a changed line would not install them again."""

ROWS = {
    "cold": "image, nothing there: build + push, s",
    "cold, layers": "the same without Docker, s",
    "code": "image, a line of code changed: build + push, s",
    "code, layers": "the same without Docker, s",
    "cold, deployed": "`sageturner deploy`, nothing there, s",
    "code, deployed": "`sageturner deploy`, a line of code changed, s",
    "image": "image, compressed, MB",
    "start": "start of the server to the first prediction, s",
    "rps 1": "predictions/s, 1 connection",
    "p50 1": "p50, ms",
    "p99 1": "p99, ms",
    "rps 16": "predictions/s, 16 connections",
    "p50 16": "p50, ms, 16",
    "p99 16": "p99, ms, 16",
    "errors 16": "errors, 16",
    "memory": "peak memory of all its processes, MB",
}


def report(seen: Figures, made_of: dict[str, str], rounds: int) -> str:
    """The file's text."""
    found = {key: statistics.median(values) for key, values in seen.items()}
    models = [name for name in EXPORT if any(key[0] == name for key in found)]
    processor = next(
        (line.partition(": ")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
         if line.startswith("model name")), platform.processor(),
    )  # fmt: skip
    machine = (
        f"{date.today()}, {processor}, {len(os.sched_getaffinity(0))} processors, load "
        f"{os.getloadavg()[2]:.1f} over 15 minutes, medians of {rounds} rounds of {SECONDS} s "
        f"or {PREDICTIONS} predictions"
    )
    parts = [
        "# The example notebooks' models beside a peer",
        f"Made by `benchmarks/models.py`: {machine}.",
        SAME,
        "![Predictions a second](models.svg)",
    ]
    for model in models:
        table = [f"| | {OURS} | {PEER} |", "|---|---|---|"]
        for what, title in ROWS.items():
            values = [found.get((model, server, what)) for server in (OURS, PEER)]
            if any(value is not None for value in values):
                cells = ["" if value is None else _figure(value) for value in values]
                table.append(f"| {title} | {' | '.join(cells)} |")
        title = EXPORT[model][0]
        heading = f"## {model}, of [{title}](../../example_notebooks/{title}.ipynb)"
        parts += [heading, "\n".join(table)]
        if model in made_of:
            parts.append(f"What its image is made of: {made_of[model]}.")
    return "\n\n".join(parts) + "\n"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def plot(seen: Figures, place: Path) -> None:
    """Predictions a second at 16 connections, each model's as multiples of the peer's."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "models"
    import matplotlib.pyplot as plt

    models = [name for name in EXPORT if (name, OURS, "rps 16") in seen]
    figure, axes = plt.subplots(
        1, len(models), figsize=(2.4 * len(models) + 0.6, 2.8), squeeze=False
    )
    for axis, model in zip(axes[0], models, strict=True):
        values = [statistics.median(seen[model, server, "rps 16"]) for server in (OURS, PEER)]
        bars = axis.bar([OURS, PEER], values, color=["tab:blue", "lightgrey"])
        axis.bar_label(bars, fmt="%.3g", fontsize=9)
        axis.set_title(model, fontsize=10)
        axis.spines[["top", "right", "left"]].set_visible(False)
        axis.set_yticks([])
        axis.margins(y=0.15)
    axes[0][0].set_ylabel("predictions/s, 16 connections", fontsize=9)
    figure.tight_layout()
    figure.savefig(place, metadata={"Date": None})


def write(seen: Figures, made_of: dict[str, str], rounds: int) -> None:
    """Both files, with what was measured so far: a run may be cut short."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "models.md").write_text(report(seen, made_of, rounds))
    plot(seen, RESULTS / "models.svg")


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--models", default=",".join(EXPORT))
    parser.add_argument("--without-images", action="store_true")
    asked = parser.parse_args()
    version = environment_python(EXPORT["embeddings"][0]).resolve().name.removeprefix("python")
    seen: Figures = defaultdict(list)
    made_of: dict[str, str] = {}
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        cases = [export(name, work) for name in asked.models.split(",")]
        for number in range(asked.rounds):
            for case in cases:
                measure_servers(case, seen)
            write(seen, made_of, number + 1)
        if not asked.without_images:
            source = stack.enter_context(registry(work / "source"))
            bench = Bench(1, version, source, stack, work)
            stand = stack.enter_context(Stand(work / "stand"))
            for case in cases:
                measure_images(case, bench, seen, made_of)
                measure_deploys(case, bench, stand, seen)
                write(seen, made_of, asked.rounds)
    print((RESULTS / "models.md").read_text())


if __name__ == "__main__":
    main()
