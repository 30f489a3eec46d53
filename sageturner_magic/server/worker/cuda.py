"""Ask the CUDA driver whether the GPU still works for this process.

Some errors leave a process unable to use its GPU until it ends: a failed assertion on the device
(an index out of range), an illegal access. Every call reports the same error from then on (CUDA
Driver API, "CUresult": 'the process must be terminated and relaunched').
"""

from __future__ import annotations

import ctypes
import os

_SUCCESS = 0
_NOT_INITIALIZED = 3


def in_use() -> bool:
    """Whether this process has initialised CUDA, so that a fork of it could not use the GPU."""
    driver = _driver()
    return driver is not None and _devices(driver) is not None


def broken() -> str:
    """The error that has ended this process's use of a GPU, as the driver names it; else empty."""
    driver = _driver()
    if driver is None:
        return ""
    for device in range(_devices(driver) or 0):
        flags, active = ctypes.c_uint(), ctypes.c_int()
        context = ctypes.c_void_p()
        driver.cuDevicePrimaryCtxGetState(device, ctypes.byref(flags), ctypes.byref(active))
        if not active.value:
            continue
        # The thread that asks need not be the one that computed.
        if status := driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), device):
            return _name(driver, status)
        driver.cuCtxPushCurrent_v2(context)
        status = driver.cuCtxSynchronize()
        driver.cuCtxPopCurrent_v2(ctypes.byref(context))
        driver.cuDevicePrimaryCtxRelease_v2(device)
        if status != _SUCCESS:
            return _name(driver, status)
    return ""


def _driver() -> ctypes.CDLL | None:
    """The driver's library, where something has loaded it into this process."""
    try:
        return ctypes.CDLL("libcuda.so.1", mode=os.RTLD_NOLOAD)
    except OSError:
        return None


def _devices(driver: ctypes.CDLL) -> int | None:
    """The number of GPUs; None before CUDA is initialised."""
    count = ctypes.c_int()
    status = driver.cuDeviceGetCount(ctypes.byref(count))
    return None if status == _NOT_INITIALIZED else count.value


def _name(driver: ctypes.CDLL, status: int) -> str:
    name = ctypes.c_char_p()
    driver.cuGetErrorName(status, ctypes.byref(name))
    return name.value.decode() if name.value else f"CUDA error {status}"
