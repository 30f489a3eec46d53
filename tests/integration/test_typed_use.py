"""Programs that use the public functions pass `mypy --strict`."""

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def checked(path: Path, cache: Path) -> subprocess.CompletedProcess[str]:
    # Without this project's configuration: the types come as a user of the package gets them.
    command = ["mypy", "--strict", "--config-file=", f"--cache-dir={cache}", str(path)]
    return subprocess.run(
        [sys.executable, "-m", *command], capture_output=True, text=True, cwd=path.parent
    )


def test_a_program_with_the_public_functions_is_typed(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    program = tmp_path / "program.py"
    program.write_text((HERE / "typed_use.py").read_text("utf-8"), "utf-8")
    shown = checked(program, tmp_path / "cache")
    assert shown.returncode == 0, shown.stdout + shown.stderr
    wrong = "import sageturner_magic\nsageturner_magic.deploy(3).invoke(1, acept='text/plain')\n"
    program.write_text(wrong, "utf-8")
    found = checked(program, tmp_path / "cache").stdout
    assert "[arg-type]" in found and "[call-arg]" in found, found
