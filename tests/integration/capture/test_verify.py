"""A module is imported in a clean process, and its failures are told in the user's lines."""

import os
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from sageturner_magic.capture import check_module, from_folder, user_frames
from sageturner_magic.errors import CaptureError, DeploymentCancelled
from sageturner_magic.values import CapturedModule, CellLine, SourceFile

FUNCTIONS = "\ndef load(): ...\ndef predict(model, request): ...\n"


def module_of(cell: str) -> CapturedModule:
    source = cell + FUNCTIONS
    lines = {n: CellLine(2, n + 1) for n in range(1, source.count("\n") + 1)}
    return CapturedModule("In[2]", (SourceFile("sageturner.py", source.encode()),), lines=lines)


def failure(module: CapturedModule, **options) -> CaptureError:
    with pytest.raises(CaptureError) as raised:
        check_module(module, sys.executable, **options)
    return raised.value


def test_a_module_that_imports_passes():
    check_module(module_of("X = 1"), sys.executable)


def test_the_failing_line_is_that_of_the_cell():
    error = failure(module_of("X = 1\nY = int('x')"))
    assert error.findings[0].where == "In[2], line 3"
    assert "ValueError: invalid literal" in str(error)
    assert "In[2], line 3, in <module>\n    Y = int('x')" in error.report()


def test_a_module_that_is_not_installed_is_named_with_the_remedy():
    error = failure(module_of("import not_there_at_all\nX = not_there_at_all"))
    assert "No module named 'not_there_at_all'" in str(error)
    assert "`python_packages`" in str(error)


def test_the_memory_of_this_process_is_not_there():
    sys.modules["only_here"] = sys
    try:
        assert "only_here" in str(failure(module_of("import only_here\nX = only_here")))
    finally:
        del sys.modules["only_here"]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import os\nos._exit(7)", "exit code 7"),
        ("import os\nos.kill(os.getpid(), 9)", "killed by SIGKILL"),
        ("import sys\nsys.exit(3)", "SystemExit: 3"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    ],
)
def test_an_import_that_ends_python_is_an_error(code, expected):
    assert expected in str(failure(module_of(code)))


def test_an_import_that_hangs_ends_with_all_that_it_started(tmp_path):
    note = tmp_path / "pids"
    code = (
        "import os, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(note)!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
        "time.sleep(600)"
    )
    error = failure(module_of(code), limit_s=3)
    assert "takes longer than 3 s" in str(error)
    gone = [int(pid) for pid in note.read_text().split()]
    deadline = time.monotonic() + 10
    while any(map(_alive, gone)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(_alive, gone))


def _alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_a_user_who_stops_does_not_wait_for_the_import():
    class Stopping:
        lines: list[str]

        def log(self, line: str) -> None: ...
        def progress(self, done, total, unit, part=""): ...
        def checkpoint(self) -> None:
            raise DeploymentCancelled("stopped")

    began = time.monotonic()
    with pytest.raises(DeploymentCancelled):
        check_module(module_of("import time\ntime.sleep(600)"), sys.executable, Stopping())
    assert time.monotonic() - began < 60
    assert threading.active_count() < 20


def test_a_folder_runs_beside_its_files_and_not_as_main(tmp_path: Path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "helper.py").write_text("import json\nX = json.load(open('config.json'))")
    (tmp_path / "sageturner.py").write_text(
        "import helper" + FUNCTIONS + "if __name__ == '__main__':\n    raise SystemExit(1)\n"
    )
    module, _ = from_folder(tmp_path)
    check_module(module, sys.executable)
    assert not list(tmp_path.rglob("*.pyc"))
    (tmp_path / "helper.py").write_text("\n1 / 0")
    error = failure(from_folder(tmp_path)[0])
    assert error.findings[0].where == "helper.py:2"


def test_what_an_import_prints_reaches_the_log():
    class Keeping:
        def __init__(self) -> None:
            self.lines: list[str] = []

        def log(self, line: str) -> None:
            self.lines.append(line)

        def progress(self, done, total, unit, part=""): ...
        def checkpoint(self) -> None: ...

    kept = Keeping()
    check_module(module_of("print('hello from the import')"), sys.executable, kept)
    assert kept.lines == ["hello from the import"]


def test_tracebacks_and_log_lines_are_told_in_cells():
    source = "def predict(m, r):\n    return 1 / 0\n"
    lines = {1: CellLine(4, 2), 2: CellLine(4, 3)}
    module = CapturedModule("In[4]", (SourceFile("sageturner.py", source.encode()),), lines=lines)
    text = (
        "Traceback (most recent call last):\n"
        '  File "/opt/program/sageturner.py", line 2, in predict'
        f'\n  File "{os.sep}lib{os.sep}other.py", line 2, in f\nsageturner.py:2: slow\n'
        "mysageturner.py:2 and sageturner.py:9"
    )
    assert user_frames(text, module) == (
        "Traceback (most recent call last):\n  In[4], line 3, in predict"
        f'\n  File "{os.sep}lib{os.sep}other.py", line 2, in f\nIn[4], line 3: slow\n'
        "mysageturner.py:2 and sageturner.py:9"
    )
    assert user_frames(text.splitlines(), module) == user_frames(text, module)
