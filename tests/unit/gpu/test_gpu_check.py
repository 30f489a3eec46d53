"""In the container: the driver that is found against what the frameworks need."""

from __future__ import annotations

import ctypes
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sageturner_magic.aws import symptoms
from sageturner_magic.gpu import facts
from sageturner_magic.server.worker import gpu_check
from tests.unit.gpu.wheels import wheel

DRIVERS = {
    470: "470.256.02",
    535: "535.183.01",
    550: "550.163.01",
    580: "580.95.05",
}
"""A release of each driver branch that SageMaker's AMIs have."""

TORCH = {11: ("2.0.1", "11.7"), 12: ("2.9.1", "12.8"), 13: ("2.15.0", "13.2")}

FITS = {11: (470, 535, 550, 580), 12: (535, 550, 580), 13: (580,)}
"""CUDA major -> the driver branches that run it."""

ROWS = [(driver, cuda) for driver in DRIVERS for cuda in TORCH]


@pytest.fixture(autouse=True)
def no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without NVIDIA's driver, whatever this one has."""
    monkeypatch.setattr(gpu_check, "PROC_VERSION", tmp_path / "no-such-file")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(ctypes, "CDLL", missing)
    monkeypatch.delenv(gpu_check.SWITCH, raising=False)


def missing(name: str) -> Any:
    raise OSError(f"{name}: cannot open shared object file")


class FakeLibraries:
    """NVML and libcuda as they answer: 0 for success, values through pointers."""

    def __init__(self, driver: str = "", cuda: int = 0, nvml_error: int = 0) -> None:
        self.driver, self.cuda, self.nvml_error = driver, cuda, nvml_error
        self.shut_down = False

    def __call__(self, name: str) -> FakeLibraries:
        known = {"libnvidia-ml.so.1": self.driver, "libcuda.so.1": self.cuda}
        return self if known[name] else missing(name)

    def nvmlInit_v2(self) -> int:
        return self.nvml_error

    def nvmlSystemGetDriverVersion(self, buffer: Any, size: int) -> int:
        assert len(buffer) == size
        buffer.value = self.driver.encode()
        return 0

    def nvmlShutdown(self) -> int:
        self.shut_down = True
        return 0

    def cuDriverGetVersion(self, version: Any) -> int:
        ctypes.cast(version, ctypes.POINTER(ctypes.c_int))[0] = self.cuda
        return 0


def by_nvml(driver: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", FakeLibraries(driver))


def by_nvidia_smi(driver: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, f'test "$*" = "{" ".join(gpu_check._NVIDIA_SMI[1:])}" && echo {driver}')


def by_proc(driver: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "version"
    path.write_text(
        f"NVRM version: NVIDIA UNIX x86_64 Kernel Module  {driver}  Wed May  8 06:49:14 UTC 2024\n"
        "GCC version:  gcc version 7.3.1 20180712 (Red Hat 7.3.1-17) (GCC)\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(gpu_check, "PROC_VERSION", path)


def program(tmp_path: Path, text: str) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    path = folder / "nvidia-smi"
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


Source = Callable[[str, Path, pytest.MonkeyPatch], None]
SOURCES = (by_nvml, by_nvidia_smi, by_proc)


def install(
    folder: Path, name: str, version: str, requires: tuple[str, ...] = (), **files: str
) -> list[str]:
    """A distribution in `folder` as an installer leaves it; the path to search."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    lines = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {r}" for r in requires)]
    (info / "METADATA").write_text("Metadata-Version: 2.1\n" + "\n".join(lines), encoding="utf-8")
    for path, text in files.items():
        file = folder / path.replace("__", "/").replace("_py", ".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return [str(folder)]


def torch(folder: Path, cuda: int) -> list[str]:
    version, built = TORCH[cuda]
    text = f"__version__ = '{version}'\ncuda: Optional[str] = '{built}'\nhip = None\n"
    return install(
        folder, "torch", version, wheel("torch", version).requires, torch__version_py=text
    )


@pytest.mark.parametrize(("driver", "cuda"), ROWS)
@pytest.mark.parametrize("source", SOURCES)
def test_every_driver_is_judged_right_from_every_source(
    driver: int, cuda: int, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    source(DRIVERS[driver], tmp_path, monkeypatch)
    line = gpu_check.check(torch(tmp_path / "site", cuda))
    if driver in FITS[cuda]:
        assert line is None
    else:
        assert line is not None
        assert "\n" not in line
        assert line.startswith(f"{gpu_check.MARKER}: torch {TORCH[cuda][0]} (CUDA {cuda}) cannot")
        assert f"driver {DRIVERS[driver]}: CUDA {cuda} needs driver {facts.FLOORS[cuda]}" in line
        assert gpu_check.NEWEST_AMI in line


def test_the_drivers_tried_are_those_of_the_tables():
    known = {ami.driver for ami in facts.AMIS.values()}
    known |= {family.default_driver for family in facts.FAMILIES.values()} - {None}
    assert known == set(DRIVERS)


def test_the_line_of_a_driver_that_is_too_old_is_one_that_a_diagnosis_knows():
    assert any(gpu_check.MARKER in row.pattern.pattern for row in symptoms.ENDPOINT_LOG)


def test_floors_and_newest_ami_are_those_of_the_tables():
    assert dict(facts.FLOORS) == gpu_check.FLOORS
    assert max(facts.AMIS, key=lambda name: facts.AMIS[name].driver) == gpu_check.NEWEST_AMI


def test_nvml_is_shut_down_again(monkeypatch: pytest.MonkeyPatch):
    nvml = FakeLibraries("535.183.01")
    monkeypatch.setattr(ctypes, "CDLL", nvml)
    assert gpu_check.driver_version() == "535.183.01"
    assert nvml.shut_down


def test_nvidia_smi_is_asked_when_nvml_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ctypes, "CDLL", FakeLibraries("1.2", nvml_error=18))
    by_nvidia_smi("535.183.01", tmp_path, monkeypatch)
    assert gpu_check.driver_version() == "535.183.01"


def test_the_kernels_word_is_taken_when_nvidia_smi_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    program(tmp_path, "echo 'Failed to initialize NVML: Driver/library version mismatch'; exit 18")
    by_proc("470.256.02", tmp_path, monkeypatch)
    assert gpu_check.driver_version() == "470.256.02"


def test_without_a_driver_nothing_is_said(tmp_path: Path):
    assert gpu_check.driver_version() is None
    assert gpu_check.check(torch(tmp_path / "site", 13)) is None


def test_forward_compatibility_libraries_make_an_old_driver_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = torch(tmp_path / "site", 12)
    monkeypatch.setattr(ctypes, "CDLL", FakeLibraries("470.256.02", cuda=12040))
    assert gpu_check.check(path) is None
    monkeypatch.setattr(ctypes, "CDLL", FakeLibraries("470.256.02", cuda=11040))
    assert gpu_check.check(path) is not None


def test_the_check_can_be_switched_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    by_proc("470.256.02", tmp_path, monkeypatch)
    monkeypatch.setenv(gpu_check.SWITCH, "off")
    assert gpu_check.check(torch(tmp_path / "site", 13)) is None


def test_the_running_environment_is_looked_at_when_no_path_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    by_proc("470.256.02", tmp_path, monkeypatch)
    monkeypatch.syspath_prepend(torch(tmp_path / "site", 13)[0])
    assert "torch 2.15.0 (CUDA 13)" in (gpu_check.check() or "")


def needs(path: list[str]) -> list[tuple[str, int]]:
    found = gpu_check.needs(gpu_check.metadata.distributions(path=path))
    return [(need.framework, need.cuda) for need in found]


@pytest.mark.parametrize(
    ("version", "files", "expected"),
    [
        ("2.7.1+cu118", {}, 11),
        ("2.7.1+cu126", {}, 12),
        ("2.7.1+cpu", {}, None),
        ("2.7.1", {}, 12),
        ("2.7.1", {"torch__version_py": "cuda: str | None = '12.6'"}, 12),
        ("2.7.1", {"torch__version_py": "cuda: Optional[str] = None"}, None),
        ("2.7.1", {"torch__version_py": "cuda = '11.8'"}, 11),
    ],
)
def test_torch_tells_its_cuda(
    version: str, files: dict[str, str], expected: int | None, tmp_path: Path
):
    path = install(tmp_path, "torch", version, wheel("torch", "2.7.1").requires, **files)
    assert needs(path) == ([(f"torch {version}", expected)] if expected else [])


def test_tensorflow_needs_cuda_only_where_its_wheels_are_installed(tmp_path: Path):
    path = install(tmp_path, "tensorflow", "2.16.2", wheel("tensorflow", "2.16.2").requires)
    assert needs(path) == []
    install(tmp_path, "nvidia-cuda-runtime-cu12", "12.3.101")
    assert needs(path) == [("tensorflow 2.16.2", 12)]


@pytest.mark.parametrize(
    ("name", "version", "expected"),
    [
        ("onnxruntime-gpu", "1.18.1", 11),
        ("onnxruntime-gpu", "1.20.2", 12),
        ("onnxruntime-gpu", "1.22.0", 12),
        ("onnxruntime-gpu", "1.27.0", 13),
        ("onnxruntime-gpu", "1.31.1", 13),
        ("cupy-cuda11x", "13.6.0", 11),
        ("cupy-cuda12x", "14.2.0", 12),
        ("cupy-cuda13x", "14.2.0", 13),
        ("jax-cuda12-plugin", "0.10.2", 12),
        ("jax-cuda13-plugin", "0.10.2", 13),
        ("onnxruntime", "1.31.1", None),
        ("jax", "0.10.2", None),
    ],
)
def test_real_wheels_tell_their_cuda(name: str, version: str, expected: int | None, tmp_path: Path):
    path = install(tmp_path, name, version, wheel(name, version).requires)
    assert needs(path) == ([(f"{name} {version}", expected)] if expected else [])


def test_onnxruntimes_own_build_information_is_preferred(tmp_path: Path):
    info = {"onnxruntime__capi__build_and_package_info_py": "cuda_version = '11.8'\n"}
    path = install(tmp_path, "onnxruntime-gpu", "1.19.2", (), **info)
    assert needs(path) == [("onnxruntime-gpu 1.19.2", 11)]


def test_several_frameworks_make_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    by_proc("470.256.02", tmp_path, monkeypatch)
    path = torch(tmp_path / "site", 12)
    install(tmp_path / "site", "cupy-cuda13x", "14.2.0")
    install(tmp_path / "site", "cupy-cuda11x", "13.6.0")
    line = gpu_check.check(path) or ""
    assert "cupy-cuda13x 14.2.0 (CUDA 13) and torch 2.9.1 (CUDA 12) cannot run" in line
    assert "CUDA 13 needs driver 580.65.06" in line
    assert "cupy-cuda11x" not in line
    assert "\n" not in line


def test_broken_metadata_is_passed_over(tmp_path: Path):
    (tmp_path / "broken-1.dist-info").mkdir()
    assert needs([str(tmp_path)]) == []


def test_the_module_stands_alone():
    source = Path(gpu_check.__file__).read_text(encoding="utf-8")
    assert "sageturner_magic" not in source
