"""A driver too old for the model's frameworks ends the server at once, with one clear line."""

import os
from pathlib import Path

from tests.integration.server.conftest import Start

SOURCE = "def load(): return 1\ndef predict(model, request): return model"


def fake_machine(folder: Path, driver: str) -> dict[str, str]:
    """Variables of a machine with that driver and a torch built for CUDA 12."""
    program = folder / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho {driver}\n")
    program.chmod(0o755)
    info = folder / "site" / "torch-2.5.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: torch\nVersion: 2.5.0\n"
        "Requires-Dist: nvidia-cuda-runtime-cu12 (==12.4.127)\n"
    )
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    return {"PATH": path, "PYTHONPATH": str(folder / "site")}


def test_a_driver_that_is_too_old_is_named_before_the_model_loads(
    start: Start, tmp_path: Path
) -> None:
    server = start(SOURCE, **fake_machine(tmp_path, "470.57.02"))
    assert server.wait() == 1
    assert "SAGETURNER_GPU_MISFIT" in server.log()
    assert "470.57.02" in server.log()


def test_a_driver_that_fits_is_no_matter(start: Start, tmp_path: Path) -> None:
    server = start(SOURCE, **fake_machine(tmp_path, "580.65.06"))
    server.ready()


def test_an_example_request_that_raises_does_not_stop_the_server(start: Start) -> None:
    server = start(SOURCE + "\ndef example_request(): raise ValueError('no example')")
    server.ready()
    assert server.invoke({}).status == 200
    assert "example_request failed: no example" in server.log()
