"""The peak of memory of each strategy, in a process of its own.

Of its own, because a process keeps some of what it once needed, kernels and their scratch memory,
and would count it against the next.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch

from bench.engine import costs, recording
from bench.models import Models
from bench.results import Memory
from bench.strategies import strategies
from polyasr.engine import memory

FORGET_PEAK = "5"
"""Sets the peak of resident memory to what is resident now: see proc_pid_clear_refs(5)."""


def peaks(
    names: Iterable[str],
    size: str,
    dtype: str,
    device: str,
    n_seconds: int,
    progress: Callable[[str], object],
) -> dict[str, Memory]:
    """Each strategy once through a recording; only those of which the system tells."""
    found = {}
    spawn = multiprocessing.get_context("spawn")
    for name in names:
        progress(f"memory: {name}")
        with ProcessPoolExecutor(max_workers=1, mp_context=spawn) as process:
            peak = process.submit(peak_of, name, size, dtype, device, n_seconds).result()
        if peak is not None:
            found[name] = peak
    return found


def peak_of(name: str, size: str, dtype: str, device: str, n_seconds: int) -> Memory | None:
    """Memory of this process, or on its CUDA device, while a strategy goes through a recording.

    None where that cannot be told: it takes CUDA, or Linux and the right to forget earlier peaks.
    """
    begin = strategies(Models(size, dtype, device))[name]
    samples = recording(n_seconds)
    begin(samples).partial(1, 0)
    rest = _forget_peak(torch.device(device))
    if rest is None:
        return None
    for _ in costs(begin(samples), n_seconds):
        pass
    return Memory(rest, _peak(torch.device(device)))


def _forget_peak(device: torch.device) -> int | None:
    """Let go of what is free and forget earlier peaks; bytes in use, None if they are not told."""
    memory.release()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device)
    if device.type != "cpu":
        return None
    try:
        Path("/proc/self/clear_refs").write_text(FORGET_PEAK)
    except OSError:  # another system, or a container that forbids it
        return None
    return _peak(device)


def _peak(device: torch.device) -> int:
    """In bytes."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    lines = Path("/proc/self/status").read_text().splitlines()
    (found,) = (line for line in lines if line.startswith("VmHWM:"))
    return int(found.split()[1]) * 1024
