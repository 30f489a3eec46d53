"""The model server beside its peers: speed, latency, start, memory, health, batching.

Usage: python -m benchmarks.server [ROUNDS]

Needs `wrk` (Debian package wrk) and Linux. Each peer is installed into an environment of its own
below `build/`. Servers and the load generator share the machine's processors, unpinned. In each
round every server is started anew, in turn; the table shows medians over the rounds.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import platform
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import psutil

from benchmarks.model_servers import (
    FOREST,
    HOLDS_THE_GIL,
    MINILM,
    OURS,
    PEERS,
    PLAIN_ROUTE,
    TORCH,
    TRIVIAL,
    Server,
)

BATCHED: dict[str, tuple[str, object]] = {
    "forest": (FOREST, [float(number % 16) for number in range(64)]),
    "torch MLP": (TORCH, [float(number % 16) for number in range(64)]),
    "MiniLM": (MINILM, "Remove a folder and everything that is in it."),
}
"""Model -> its program, and what a request carries."""
RESULT = Path(__file__).parent / "results" / "server.md"
NOTES = "\n## Notes\n"
SECONDS = 4
START_LIMIT = 120.0
SCRIPT = """
wrk.method = "POST"
wrk.body = os.getenv("BODY")
wrk.headers["Content-Type"] = "application/json"
done = function(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format("RESULT %f %f %f %d\\n", summary.requests / summary.duration * 1e6,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
"""


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def status(port: int, path: str) -> int:
    """The status of a GET; 0 when nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    with contextlib.closing(connection):
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0


def wrk(url: str, body: str, connections: int, seconds: int) -> list[float]:
    """wrk's requests a second, median and 99th percentile in ms, and errors."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(SCRIPT)
        script.flush()
        result = subprocess.run(
            ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "--timeout", "30", "--script",
             script.name, url],
            env={**os.environ, "BODY": body}, capture_output=True, text=True, check=True,
        )  # fmt: skip
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("RESULT")]
    return [float(part) for part in line.split()[1:]]


def memory_of(pid: int) -> float:
    """MB that a process and its descendants hold, shared pages counted once."""
    root = psutil.Process(pid)
    total = 0
    for each in [root, *root.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            total += each.memory_full_info().pss
    return total / 1e6


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process that leads a session of its own, and its descendants."""
    with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
        descendants = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
        for each in descendants:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


class Running:
    """A server that was started, with the seconds to its first answer and its first 200."""

    def __init__(self, server: Server, program: str, folder: Path) -> None:
        self.server = server
        self.program = program
        self.port = free_port()
        server.write(folder, program)
        python = server.python(program)
        if server.prepare:
            command = [python, *server.prepare]
            subprocess.run(command, cwd=folder, capture_output=True, check=True)
        environment = {
            **os.environ,
            "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}",
            "SAGETURNER_PROGRAM_DIR": str(folder),
            "SAGETURNER_HOST": "127.0.0.1",
            "SAGETURNER_PORT": str(self.port),
            "BENTOML_DO_NOT_TRACK": "true",
        }
        began = time.perf_counter()
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [python, *server.command(self.port)],
                cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self.first_answer = self.first_good = 0.0
        while not self.first_good:
            seconds = time.perf_counter() - began
            said = status(self.port, server.ping)
            if said and not self.first_answer:
                self.first_answer = time.perf_counter() - began
            if said == 200:
                self.first_good = time.perf_counter() - began
            elif seconds > START_LIMIT or self.process.poll() is not None:
                raise RuntimeError(f"{server.name} did not start: {(folder / 'log').read_text()}")
            else:
                time.sleep(0.005)

    def load(self, connections: int, x: object, seconds: int = SECONDS) -> list[float]:
        """See `wrk`. Raises RuntimeError when a request fails."""
        body = json.dumps(self.server.body(self.program, x))
        url = f"http://127.0.0.1:{self.port}{self.server.invocations}"
        found = wrk(url, body, connections, seconds)
        if found[3] or not found[0]:
            failed = f"{found[3]:.0f} requests failed" if found[0] else "no request was answered"
            raise RuntimeError(f"{self.server.name}, {connections} connections: {failed}")
        return found

    def memory(self) -> float:
        """See `memory_of`."""
        return memory_of(self.process.pid)

    def ping_p99(self, seconds: float = 4.0) -> float:
        """ms of the 99th percentile of pings while requests run."""
        end = time.perf_counter() + seconds
        times = []
        while time.perf_counter() < end:
            began = time.perf_counter()
            status(self.port, self.server.ping)
            times.append((time.perf_counter() - began) * 1000)
            time.sleep(0.01)
        return statistics.quantiles(times, n=100)[98] if len(times) > 1 else max(times)

    def stop(self) -> None:
        end(self.process)


@contextlib.contextmanager
def running(server: Server, program: str) -> Iterator[Running]:
    """The server with the program, stopped at the end."""
    with tempfile.TemporaryDirectory() as folder:
        started = Running(server, program, Path(folder))
        try:
            yield started
        finally:
            started.stop()


def processor_seconds(process: psutil.Process) -> float:
    """What the process and its children have used so far."""
    everyone = [process, *process.children(recursive=True)]
    return sum(sum(each.cpu_times()[:2]) for each in everyone)


def own_cost(server: Server, program: str) -> tuple[float, float]:
    """Seconds and MB of the user's imports and load alone, in the server's environment."""
    probe = (
        "import sageturner; model = sageturner.load(); rollup = open('/proc/self/smaps_rollup');"
        "print(sum(int(line.split()[1]) for line in rollup if line.startswith('Pss:')))"
    )
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "sageturner.py").write_text(program)
        began = time.perf_counter()
        result = subprocess.run(
            [server.python(program), "-c", probe],
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
        )
        return time.perf_counter() - began, int(result.stdout) / 1000


def measure(rounds: int) -> Iterator[dict[tuple[str, str], float]]:
    """After each round, (server, what) -> median so far."""
    seen: dict[tuple[str, str], list[float]] = defaultdict(list)
    x4 = [1.0, 2.0, 3.0, 4.0]
    everyone = (OURS, *PEERS)
    for server in everyone:
        own_cost(server, TRIVIAL)
        if server.batches:
            server.python(TORCH)
    for _ in range(rounds):
        for server in everyone:
            own_seconds, own_mb = own_cost(server, TRIVIAL)
            try:
                with running(server, TRIVIAL) as it:
                    seen[server.name, "first answer"].append(it.first_answer * 1000)
                    beyond = max(0.0, it.first_good - own_seconds)
                    seen[server.name, "beyond own"].append(beyond * 1000)
                    it.load(16, x4, 2)
                    root = psutil.Process(it.process.pid)
                    for connections in (1, 16, 64):
                        before = processor_seconds(root)
                        rate, median, high, _ = it.load(connections, x4)
                        used = (processor_seconds(root) - before) / (rate * SECONDS) * 1e6
                        seen[server.name, f"processor {connections}"].append(used)
                        seen[server.name, f"rps {connections}"].append(rate)
                        seen[server.name, f"p50 {connections}"].append(median)
                        seen[server.name, f"p99 {connections}"].append(high)
                    seen[server.name, "memory"].append(it.memory() - own_mb)
                with running(server, HOLDS_THE_GIL) as it:
                    busy = threading.Thread(target=it.load, args=(4, x4, 5))
                    busy.start()
                    time.sleep(0.5)
                    seen[server.name, "ping p99"].append(it.ping_p99())
                    busy.join()
            except RuntimeError as error:
                print(error, file=sys.stderr)
            for model, (program, x) in BATCHED.items() if server.batches else ():
                try:
                    with running(server, program) as it:
                        it.load(64, x, 2)
                        for connections in (1, 64):
                            rate, median, high, _ = it.load(connections, x)
                            seen[server.name, f"{model} rps {connections}"].append(rate)
                            seen[server.name, f"{model} p50 {connections}"].append(median)
                            seen[server.name, f"{model} p99 {connections}"].append(high)
                except RuntimeError as error:
                    print(error, file=sys.stderr)
        yield {key: statistics.median(values) for key, values in seen.items()}


COLUMNS = {
    "rps 16": "requests/s, 16 connections",
    "p50 16": "p50 ms",
    "p99 16": "p99 ms",
    "rps 64": "requests/s, 64",
    "p99 64": "p99 ms, 64",
    "rps 1": "requests/s, 1",
    "processor 16": "processor time per request, µs, 16 connections",
    "first answer": "start to first answer of /ping, ms",
    "beyond own": "start to first 200 beyond the user's own, ms",
    "memory": "memory beyond the user's own, MB",
    "ping p99": "/ping p99 ms while predict holds the GIL",
    **{
        f"{model} {what}": f"{model}, batched: {title}" if what == "rps 64" else title
        for model in BATCHED
        for what, title in (
            ("rps 64", "requests/s, 64"),
            ("p99 64", "p99 ms"),
            ("rps 1", "requests/s, 1"),
            ("p50 1", "p50 ms, 1"),
        )
    },
}


def verdicts(found: dict[tuple[str, str], float]) -> Iterator[str]:
    """Each target, whether it is met, and by how much."""

    def get(server: str, what: str) -> float:
        return found.get((server, what), float("nan"))

    ours = OURS.name
    plain = PLAIN_ROUTE.name
    peers = [peer.name for peer in PEERS]
    rate = get(ours, "rps 16")
    targets = [
        (">= 2.5x the plain route, 16 connections", rate / get(plain, "rps 16"), 2.5, True),
        ("processor time: plain route's / ours, 16 connections",
         get(plain, "processor 16") / get(ours, "processor 16"), 2.5, True),
        (">= 18x LitServe", rate / get("LitServe", "rps 16"), 18, True),
        (">= 18x BentoML", rate / get("BentoML", "rps 16"), 18, True),
        ("p99 / plain route's, at most", get(ours, "p99 16") / get(plain, "p99 16"), 1, False),
        ("first answer of /ping, ms, below", get(ours, "first answer"), 250, False),
        ("first 200 beyond the user's own, ms, below", get(ours, "beyond own"), 350, False),
        ("the same / the plain route's, below",
         get(ours, "beyond own") / get(plain, "beyond own"), 1 / 3, False),
        ("memory beyond the user's own, MB, below", get(ours, "memory"), 60, False),
        ("/ping p99 ms while predict holds the GIL, below", get(ours, "ping p99"), 20, False),
    ]  # fmt: skip
    for model, least in (("forest", 2), ("torch MLP", 2), ("MiniLM", 1)):
        rates = {
            peer: get(peer, f"{model} rps 64")
            for peer in peers
            if (peer, f"{model} rps 64") in found
        }
        if not rates:
            continue
        best = max(rates, key=lambda peer: rates[peer])
        waits = [get(peer, f"{model} p50 1") for peer in rates]
        targets += [
            (f"{model}, 64 connections: requests/s / {best}'s, the best peer",
             get(ours, f"{model} rps 64") / rates[best], least, True),
            (f"{model}, 64 connections: p99 / {best}'s, at most",
             get(ours, f"{model} p99 64") / get(best, f"{model} p99 64"), 1, False),
            (f"{model}, 1 connection: p50 / the best peer's, at most",
             get(ours, f"{model} p50 1") / min(waits), 1, False),
        ]  # fmt: skip
    for text, value, limit, at_least in targets:
        met = value >= limit if at_least else value <= limit
        yield f"| {text} | {value:.3g} | {limit:.3g} | {'met' if met else 'not met'} |"


def report(found: dict[tuple[str, str], float], rounds: int) -> str:
    """The file's text."""
    names = [server.name for server in (OURS, *PEERS)]
    table = [f"| | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for what, title in COLUMNS.items():
        cells = [f"{found[n, what]:,.4g}" if (n, what) in found else "" for n in names]
        table.append(f"| {title} | {' | '.join(cells)} |")
    targets = ["| target | measured | limit | |", "|---|---|---|---|", *verdicts(found)]
    cpu = next(
        (line.partition(": ")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
         if line.startswith("model name")), platform.processor(),
    )  # fmt: skip
    machine = (
        f"{date.today()}, {cpu}, {len(os.sched_getaffinity(0))} processors, load "
        f"{os.getloadavg()[2]:.1f} over 15 minutes, Python {platform.python_version()}, "
        f"medians of {rounds} rounds of {SECONDS} s"
    )
    return "\n".join(
        ["# The model server beside its peers", "", f"Made by `benchmarks/server.py`: {machine}.",
         "", *table, "", "## Targets", "", *targets, ""]
    )  # fmt: skip


def main(rounds: int) -> None:
    """Measure, print and write the table, after each round; what a person noted below it stays."""
    RESULT.parent.mkdir(exist_ok=True)
    _, heading, notes = RESULT.read_text().partition(NOTES) if RESULT.exists() else ("", "", "")
    for count, found in enumerate(measure(rounds), 1):
        text = report(found, count)
        RESULT.write_text(text + heading + notes)
        print(text, flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
