"""The loop: seconds from running the deploy cell to the request that updates the endpoint.

    python -m benchmarks.loop [--rounds 5] [--only 01_quickstart,...] [--label TEXT]

Each example notebook runs in its own kernel as far as its deployment, which goes to a serverless
endpoint on the AWS stand-in, with the layers builder. Then the deploy cell runs repeatedly: after
a changed line in predict(), with nothing changed, and after a changed line in load(). The clock
stops when the stand-in gets CreateEndpoint or UpdateEndpoint; with nothing changed, when the cell
ends. Adds a section to benchmarks/results/loop.md. Needs what tests/aws needs.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.manager import start_new_kernel

from tests.parts.examples import DEPLOY, NOTEBOOKS, ROOT, environment_python
from tests.parts.no_engine import NoEngine, no_engine
from tests.stand import Stand
from tests.stand.project import Project

RESULT = Path(__file__).parent / "results" / "loop.md"
UPDATES = ("CreateEndpoint", "UpdateEndpoint")
EDITED = "def predict(model, request):"
LOADED = "def load(model_dir):"
ROWS = ("first", "predict", "nothing", "load")

STEPS = """
import time as _time
from sageturner_magic.deployment.progress import Progress as _Progress
_steps, _apply = [], _Progress.apply
def _noted(self, event):
    _steps.append((_time.time(), type(event).__name__, getattr(event, "step", "")))
    return _apply(self, event)
_Progress.apply = _noted
"""
"""Run in the kernel: keeps when each step began and ended."""


@dataclass(frozen=True)
class Example:
    """A notebook that is measured, and the name that it deploys."""

    notebook: str
    name: str
    memory: int = 3072

    def cells(self, generate: str) -> Iterator[str]:
        """Its code cells up to its first captured deployment, for serverless."""
        cells = nbformat.read(NOTEBOOKS / f"{self.notebook}.ipynb", as_version=4).cells  # type: ignore[no-untyped-call]
        for cell in cells:
            source = cell.source
            if cell.cell_type != "code" or source.startswith(("%pip", "%sageturner ")):
                continue
            if DEPLOY not in source:
                yield source
                continue
            named = f"name: {self.name}\n"
            head, _, _ = source.partition("compute:")
            yield (
                head.replace("--endpoint-type local", "--endpoint-type serverless").replace(
                    named, f"{named}container: {{generate_container: {{{generate}}}}}\n"
                )
                + f"\ncompute: {{serverless: {{memory: {self.memory}, max_concurrency: 5}}}}\n"
            )
            return


EXAMPLES = (
    Example("01_quickstart", "digits", 2048),
    Example("02_text_embeddings", "embeddings"),
    Example("05_streaming", "writer"),
)


@dataclass
class Calls:
    """What the stand-in was asked: when, and which operation."""

    made: list[tuple[float, str]] = field(default_factory=list)

    def watch(self, stand: Stand) -> None:
        authorise = stand.iam.authorise

        def noted(principal: Any, call: Any) -> None:
            self.made.append((time.time(), call.operation))
            authorise(principal, call)

        stand.iam.authorise = noted  # type: ignore[method-assign]

    def until_update(self, begin: float, end: float) -> tuple[float, Counter[str]]:
        """When the endpoint's update was requested, else `end`; the calls up to then."""
        since = [(at, operation) for at, operation in self.made if begin <= at <= end]
        stop = next((at for at, operation in since if operation in UPDATES), end)
        return stop, Counter(operation for at, operation in since if at < stop)


class Kernel:
    """A kernel that runs cells. Raises RuntimeError where one fails."""

    def __init__(self, python: Path, folder: Path, environment: dict[str, str]) -> None:
        kernels = folder / "jupyter" / "kernels" / "loop"
        kernels.mkdir(parents=True)
        argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        spec = {"argv": argv, "display_name": "loop", "language": "python"}
        (kernels / "kernel.json").write_text(json.dumps(spec))
        os.environ["JUPYTER_PATH"] = str(folder / "jupyter")
        self._manager, self._client = start_new_kernel(
            kernel_name="loop", cwd=str(folder), env={**os.environ, **environment}
        )

    def run(self, source: str) -> str:
        said: list[str] = []

        def hear(message: Any) -> None:
            content = message["content"]
            if message["msg_type"] == "stream":
                said.append(content["text"])
            elif message["msg_type"] == "error":
                said.append("\n".join(content["traceback"]))

        answer = self._client.execute_interactive(source, output_hook=hear, timeout=900)
        if answer["content"]["status"] != "ok":
            raise RuntimeError("".join(said)[-4000:])
        return "".join(said)

    def close(self) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=False)


@dataclass
class Measured:
    """Seconds and calls of AWS for each row, and seconds of each step."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    calls: dict[str, list[int]] = field(default_factory=dict)
    steps: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    last_calls: dict[str, Counter[str]] = field(default_factory=dict)

    def note(self, row: str, took: float, calls: Counter[str], steps: dict[str, float]) -> None:
        self.seconds.setdefault(row, []).append(took)
        self.calls.setdefault(row, []).append(calls.total())
        self.last_calls[row] = calls
        for step, seconds in steps.items():
            self.steps.setdefault(row, {}).setdefault(step, []).append(seconds)
        shown = ", ".join(f"{step} {seconds:.2f}" for step, seconds in steps.items())
        print(f"  {row}: {took:.2f} s, {calls.total()} calls; {shown}", flush=True)


def measure(example: Example, stand: Stand, calls: Calls, away: NoEngine, rounds: int) -> Measured:
    """Run `example` in a kernel, and deploy it again after each kind of change."""
    measured = Measured()
    with tempfile.TemporaryDirectory() as place, ExitStack() as stack:
        folder = Path(place)
        environment = {
            **stand.environment,
            "DOCKER_CONFIG": away.environment["DOCKER_CONFIG"],
            "SAGETURNER_STATE_DIR": str(folder / "state"),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "UV_CACHE_DIR": os.environ.get("UV_CACHE_DIR", str(Path.home() / ".cache" / "uv")),
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
        }
        kernel = Kernel(environment_python(example.notebook), folder, environment)
        stack.callback(kernel.close)
        *cells, deploy = example.cells(f"builder: layers, base_image: '{away.base}'")
        for cell in cells:
            kernel.run(cell)
        kernel.run(STEPS)
        predict = next(cell for cell in cells if EDITED in cell)
        load = next(cell for cell in cells if LOADED in cell)

        def once(row: str) -> None:
            kernel.run("_steps.clear()")
            begin = time.time()
            kernel.run(deploy)
            stop, made = calls.until_update(begin, time.time())
            steps = json.loads(kernel.run("import json as _json; print(_json.dumps(_steps))"))
            measured.note(row, stop - begin, made, _seconds_of(steps, stop))

        once("first")
        for number in range(rounds):
            kernel.run(predict.replace(EDITED, f"{EDITED}\n    changed = {number}"))
            once("predict")
            once("nothing")
        for number in range(rounds):
            kernel.run(load.replace(LOADED, f"{LOADED}\n    changed = {number}"))
            once("load")
        kernel.run(f"%sageturner delete {example.name} --yes")
    return measured


def _seconds_of(events: list[tuple[float, str, str]], stop: float) -> dict[str, float]:
    """Seconds of each step as far as the endpoint's update."""
    begun, took = {}, {}
    for at, kind, step in events:
        if kind == "StepStarted":
            begun[step] = at
        elif kind == "StepEnded" and step in begun and begun[step] < stop:
            took[step] = min(at, stop) - begun[step]
    return took


@contextmanager
def stand_in(folder: Path) -> Iterator[tuple[Stand, Calls]]:
    """The AWS stand-in with an account that is set up, and a record of what it is asked."""
    calls = Calls()
    with Stand(folder) as stand:
        Project(stand, folder, "loop").run("setup")
        calls.watch(stand)
        yield stand, calls


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default=",".join(each.notebook for each in EXAMPLES))
    parser.add_argument("--label", default="now")
    given = parser.parse_args()
    chosen = [each for each in EXAMPLES if each.notebook in given.only.split(",")]
    with tempfile.TemporaryDirectory() as place, ExitStack() as stack:
        stand, calls = stack.enter_context(stand_in(Path(place) / "stand"))
        for each in chosen:
            print(each.notebook, flush=True)
            version = python_version(environment_python(each.notebook))
            folder = Path(tempfile.mkdtemp(dir=place))
            with no_engine(folder, version) as away:
                measured = measure(each, stand, calls, away, given.rounds)
            with RESULT.open("a") as file:
                file.write(section(each, measured, given))


def python_version(python: Path) -> str:
    return python.resolve().name.removeprefix("python")


def section(example: Example, measured: Measured, given: argparse.Namespace) -> str:
    """A notebook's table: medians of each row, and the shares of its steps."""
    median: Callable[[list[float]], float] = statistics.median
    when = f"{date.today()}, {platform.machine()}, {os.cpu_count()} cores"
    load = f"load average {os.getloadavg()[2]:.1f} over 15 minutes"
    lines = [
        f"\n## {example.notebook}: {given.label}\n",
        f"{when}, medians of {given.rounds} (first: 1), {load}.\n",
        "| changed | s | slowest | AWS calls | steps, s |",
        "|---|---|---|---|---|",
    ]
    for row in ROWS:
        took = measured.seconds[row]
        shares = [f"{step} {median(each):.2f}" for step, each in measured.steps[row].items()]
        lines.append(
            f"| {row} | {median(took):.2f} | {max(took):.2f} |"
            f" {median([float(each) for each in measured.calls[row]]):g} | {', '.join(shares)} |"
        )
    for row in ("nothing", "predict"):
        made = ", ".join(f"{call} {count}" for call, count in measured.last_calls[row].items())
        lines.append(f"\nCalls of AWS, {row}: {made}.")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
