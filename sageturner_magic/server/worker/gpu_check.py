"""Check that this instance's driver runs the installed frameworks.

A CUDA build on too old a driver fails in ways that leave an empty log. `check` finds that out
before the model loads. It reads the driver's version and the frameworks' installed files, imports
none of them, and starts nothing on the GPU. It is self-contained: the file is copied into images.
"""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

MARKER = "SAGETURNER_GPU_MISFIT"
"""First word of the line that `check` returns; a log that has it is recognised by it."""

SWITCH = "SAGETURNER_GPU_CHECK"
"""Environment variable that switches the check off with the value `off`."""

FLOORS = {11: "450.80.02", 12: "525.60.13", 13: "580.65.06"}
"""CUDA major -> the oldest Linux driver that runs it (NVIDIA, "CUDA Compatibility")."""

NEWEST_AMI = "al2023-ami-sagemaker-inference-gpu-4-1"
"""The value of InferenceAmiVersion with the newest driver."""

PROC_VERSION = Path("/proc/driver/nvidia/version")

_VERSION = re.compile(r"\d+\.\d+(?:\.\d+)?")
_RUNTIME = re.compile(r"(?:nvidia-cuda-runtime(?:-cu\d+)?|cuda-toolkit)\b[^;]*?(\d+)\.(\d+|\*)")
_NVIDIA_SMI = ("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
_NVML_BUFFER = 80  # NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE
_SMI_TIMEOUT_S = 20


@dataclass(frozen=True)
class Need:
    """A framework and the CUDA major version that its build needs."""

    framework: str
    cuda: int


def check(path: Sequence[str] | None = None) -> str | None:
    """One line that says what does not fit, or None.

    Args:
        path: Where the model's packages are installed; None for this process's `sys.path`.

    None is also the answer where there is no driver (a CPU instance) and where no framework was
    built for CUDA. The line begins with `MARKER`.
    """
    if os.environ.get(SWITCH, "").lower() == "off":
        return None
    found = needs(
        metadata.distributions() if path is None else metadata.distributions(path=[*path])
    )
    if not found:
        return None
    driver = driver_version()
    return misfit(found, driver, cuda_of_driver()) if driver else None


def misfit(found: Iterable[Need], driver: str, cuda: int | None) -> str | None:
    """The line for needs that a driver does not meet, or None.

    Args:
        found: What the frameworks need.
        driver: The driver's version, `535.183.01`.
        cuda: The CUDA major that libcuda offers, where it is known. It is newer than the
            driver's own where the image has NVIDIA's forward-compatibility libraries.
    """
    unmet = [
        need
        for need in found
        if _parts(driver) < _parts(_floor(need.cuda)) and (cuda is None or cuda < need.cuda)
    ]
    if not unmet:
        return None
    newest = max(need.cuda for need in unmet)
    frameworks = " and ".join(f"{need.framework} (CUDA {need.cuda})" for need in unmet)
    return (
        f"{MARKER}: {frameworks} cannot run with this instance's NVIDIA driver {driver}: "
        f"CUDA {newest} needs driver {_floor(newest)} or newer. Do: set "
        f"compute.server.inference_ami_version to {NEWEST_AMI}, or install a build for an older "
        f"CUDA ({SWITCH}=off starts the model all the same)."
    )


def needs(distributions: Iterable[metadata.Distribution]) -> list[Need]:
    """What the installed frameworks need, by name; CPU builds need nothing and are left out."""
    found: dict[str, Need] = {}
    for distribution in distributions:
        try:
            given = distribution.metadata["Name"] or ""
        except (KeyError, TypeError):
            # Broken metadata: a missing name is None in some versions of Python only.
            continue
        name = re.sub(r"[-_.]+", "-", given).lower()
        cuda = _cuda(name, distribution)
        if cuda and name not in found:
            found[name] = Need(f"{name} {distribution.version}", cuda)
    return [found[name] for name in sorted(found)]


def _cuda(name: str, distribution: metadata.Distribution) -> int | None:
    """The CUDA major of a framework's build, None for what is not a CUDA build of one."""
    if plugin := re.fullmatch(r"jax-cuda(\d+)-plugin|cupy-cuda(\d\d).*", name):
        return int(plugin[1] or plugin[2])
    if name == "torch":
        return _torch(distribution)
    if name == "tensorflow":
        # Without the wheels of its extra it finds no CUDA, and uses the CPU on purpose.
        cuda = _required(distribution, "and-cuda")
        return cuda if cuda and _has_runtime(distribution, cuda) else None
    if name == "onnxruntime-gpu":
        text = _text(distribution, "onnxruntime/capi/build_and_package_info.py")
        built = re.search(r"cuda_version *= *['\"](\d+)", text or "")
        return (
            (int(built[1]) if built else None)
            or _required(distribution, "cuda")
            or _onnxruntime(distribution.version)
        )
    return None


def _torch(distribution: metadata.Distribution) -> int | None:
    text = _text(distribution, "torch/version.py")
    if text is not None:
        found = re.search(r"^cuda\b[^=\n]*= *'(\d+)", text, re.MULTILINE)
        return int(found[1]) if found else None
    local = distribution.version.partition("+")[2]
    if local:
        cuda = re.match(r"cu(\d\d)", local)
        return int(cuda[1]) if cuda else None
    return _required(distribution, "")


def _text(distribution: metadata.Distribution, name: str) -> str | None:
    try:
        return Path(str(distribution.locate_file(name))).read_text(encoding="utf-8")
    except OSError:
        return None


def _required(distribution: metadata.Distribution, extra: str) -> int | None:
    """The CUDA major of the runtime that a distribution requires, by itself or for an extra."""
    for line in distribution.requires or ():
        requirement, _, marker = line.partition(";")
        asked = re.search(r"extra *== *['\"]([^'\"]+)", marker)
        if (asked[1].replace("_", "-") if asked else "") != extra:
            continue
        if found := _RUNTIME.match(requirement.strip()):
            suffix = re.match(r"nvidia-cuda-runtime-cu(\d+)", requirement)
            return int(suffix[1] if suffix else found[1])
    return None


def _has_runtime(distribution: metadata.Distribution, cuda: int) -> bool:
    """Whether the CUDA runtime's wheel is installed beside a distribution."""
    root = Path(str(distribution.locate_file("")))
    return any(root.glob(f"nvidia_cuda_runtime_cu{cuda}-*.dist-info"))


def _onnxruntime(version: str) -> int:
    """The CUDA major of onnxruntime-gpu's wheel on the package index."""
    minor = _parts(version)[:2]
    return 13 if minor >= (1, 27) else 12 if minor >= (1, 19) else 11


def driver_version() -> str | None:
    """The NVIDIA driver's version, None where there is no driver."""
    return _from_nvml() or _from_nvidia_smi() or _from_proc()


def _from_nvml() -> str | None:
    try:
        nvml = ctypes.CDLL("libnvidia-ml.so.1")
        if nvml.nvmlInit_v2() != 0:
            return None
        try:
            buffer = ctypes.create_string_buffer(_NVML_BUFFER)
            if nvml.nvmlSystemGetDriverVersion(buffer, _NVML_BUFFER) != 0:
                return None
        finally:
            nvml.nvmlShutdown()
    except (OSError, AttributeError):
        return None
    return _version_in(buffer.value.decode("ascii", "replace"))


def _from_nvidia_smi() -> str | None:
    try:
        done = subprocess.run(_NVIDIA_SMI, capture_output=True, text=True, timeout=_SMI_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return _version_in(done.stdout) if done.returncode == 0 else None


def _from_proc() -> str | None:
    try:
        return _version_in(PROC_VERSION.read_text(encoding="utf-8"))
    except OSError:
        return None


def _version_in(text: str) -> str | None:
    found = _VERSION.search(text)
    return found[0] if found else None


def cuda_of_driver() -> int | None:
    """The CUDA major that libcuda offers, None where it does not say."""
    version = ctypes.c_int(0)
    try:
        if ctypes.CDLL("libcuda.so.1").cuDriverGetVersion(ctypes.byref(version)) != 0:
            return None
    except (OSError, AttributeError):
        return None
    return version.value // 1000 or None


def _floor(cuda: int) -> str:
    """The oldest driver of a CUDA major; that of the newest known one for later majors."""
    return FLOORS.get(cuda) or (FLOORS[max(FLOORS)] if cuda > max(FLOORS) else "0")


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("+")[0]))
