"""Every test has a state folder of its own, and may leave no server behind."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.parts.ports import kernel_ports

STATE = "SAGETURNER_STATE_DIR"


def servers_of(state: Path) -> list[psutil.Process]:
    """The model servers whose records lie in `state`."""
    found = []
    for process in psutil.process_iter():
        try:
            environment = process.environ()
            if environment.get(STATE) == str(state) and "SAGETURNER_CONTROL" in environment:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def wait_until(condition, seconds: float = 30.0, what: str = "the condition") -> None:
    """Wait for something that happens in another process."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come true within {seconds} s"
        time.sleep(0.05)


@pytest.fixture(scope="session", autouse=True)
def ports_of_kernels() -> Iterator[None]:
    """Kernels get ports that nothing else is given between their choice and their use."""
    with kernel_ports():
        yield


@pytest.fixture
def state(monkeypatch) -> Iterator[Path]:
    """A state folder; servers that a test leaves behind are ended, and fail the test.

    Its path is short, as that of a home is: a control socket's path is limited.
    """
    folder = Path(tempfile.mkdtemp(prefix="state-"))
    monkeypatch.setenv(STATE, str(folder))
    # No AWS account: neither this machine's nor that of the instance it may run on.
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(folder / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "no-credentials"))
    yield folder
    left = servers_of(folder)
    for process in left:
        process.kill()
    shutil.rmtree(folder, ignore_errors=True)
    assert not left, f"servers were left behind: {left}"
