"""Whether there is a CUDA device, asked without importing torch, which takes seconds."""

from __future__ import annotations

import ctypes
import importlib.metadata
import sys


def cuda_present() -> bool:
    """Whether the installed torch is one for CUDA and the driver has a device for it."""
    return _torch_may_use_cuda() and _device_count() > 0


def _torch_may_use_cuda() -> bool:
    try:
        return "+cpu" not in importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return False


def _device_count() -> int:
    """Devices that the CUDA driver shows this process; it heeds CUDA_VISIBLE_DEVICES."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value
