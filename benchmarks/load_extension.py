"""What `%load_ext` costs in a bare shell: this extension beside jupysql's, in turn, medians.

Usage: python benchmarks/load_extension.py [RUNS]

The peer is installed into an environment of its own below `build/`. Each measurement is a new
process; the time is that of `%load_ext` alone, with IPython already imported.
"""

import os
import platform
import statistics
import subprocess
import sys
import venv
from datetime import date
from pathlib import Path

ROOT = Path(__file__).parents[1]
PEER = ROOT / "build" / "benchmark-jupysql"
RESULT = Path(__file__).parent / "results" / "load_extension.md"

PROBE = """
import sys, time
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
begin = time.perf_counter()
shell.run_line_magic("load_ext", sys.argv[1])
print((time.perf_counter() - begin) * 1000)
"""


def peer_python() -> Path:
    """The interpreter of an environment that has jupysql."""
    python = PEER / "bin" / "python"
    if not python.exists():
        venv.create(PEER, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-qq", "jupysql", "ipython"], check=True)
    return python


def milliseconds(python: Path | str, extension: str) -> float:
    """One `%load_ext` in a new process."""
    result = subprocess.run(
        [python, "-c", PROBE, extension], capture_output=True, text=True, check=True
    )
    return float(result.stdout.strip().splitlines()[-1])


def main(runs: int) -> None:
    """Measure in turn and write the table."""
    pair = {"sageturner_magic": sys.executable, "sql": peer_python()}
    for extension, python in pair.items():
        milliseconds(python, extension)
    times: dict[str, list[float]] = {extension: [] for extension in pair}
    for _ in range(runs):
        for extension, python in pair.items():
            times[extension].append(milliseconds(python, extension))
    ours, theirs = (statistics.median(times[extension]) for extension in pair)
    RESULT.write_text(
        f"""# The cost of `%load_ext`

{date.today()}, {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, \
{runs} runs in turn, each in a new process. Target: 25 ms over a bare shell.

| extension | median | fastest | slowest |
|---|---|---|---|
| sageturner_magic | {ours:.1f} ms | {min(times["sageturner_magic"]):.1f} ms \
| {max(times["sageturner_magic"]):.1f} ms |
| jupysql | {theirs:.0f} ms | {min(times["sql"]):.0f} ms | {max(times["sql"]):.0f} ms |

jupysql takes {theirs / ours:.0f} times as long.
"""
    )
    print(RESULT.read_text())


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 15)
