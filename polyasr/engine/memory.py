"""The memory of the process: how much it is, giving back what is free, and its lack as an error."""

from __future__ import annotations

import ctypes
import gc
import resource
import sys
import traceback
from pathlib import Path

LACK = ("out of memory", "can't allocate memory", "alloc_failed")
"""What the errors of frameworks say that have no type of their own: Apple's GPU, torch's allocator
on the CPU, cuBLAS."""


def release() -> None:
    """Give back what nothing refers to: cycles, the framework's cache, the free pages of the heap.

    On the model thread, because the framework's cache belongs to who uses it. It takes some 0.1 s.
    """
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    if torch is not None and torch.backends.mps.is_available():
        torch.mps.empty_cache()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it, musl does not
        if trim is not None:
            trim(0)


def is_exhausted(error: BaseException) -> bool:
    """Whether the error says that there was not enough memory, of the machine or of the GPU."""
    said = str(error).lower()
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(words in said for words in LACK)
    )


def forget_frames(error: BaseException) -> None:
    """Let go of what the functions that failed held; an error keeps it alive for its traceback."""
    cause: BaseException | None = error
    while cause is not None:
        traceback.clear_frames(cause.__traceback__)
        cause = cause.__cause__ or cause.__context__


def accelerator_bytes() -> int:
    """What torch holds of a GPU's memory, 0 without one; never loads torch nor wakes a GPU.

    While another thread is importing torch, its parts are not there yet.
    """
    cuda = getattr(sys.modules.get("torch"), "cuda", None)
    return int(cuda.memory_allocated()) if cuda is not None and cuda.is_initialized() else 0


def resident_mb() -> float | None:
    """Resident memory of the process in MB where the system tells it (Linux)."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return None
    return pages * resource.getpagesize() / 1e6
