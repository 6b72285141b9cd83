"""Where a result comes from: the machine, the commit, the packages."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.results import Commit, Host

PACKAGES = ("numpy", "qwen-asr", "tokenizers", "torch", "transformers")
"""Those that a step's cost or outcome depends on."""
CORES = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
"""Asked before torch is loaded: with ``OMP_PROC_BIND`` this thread has one of them from then on."""


def origin(commit: Commit | None, gpu: str | None) -> dict[str, Any]:
    """The fields of an `Origin`, as of now; the commit is asked for before the work begins."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "host": host(gpu),
        "commit": commit,
        "packages": packages(),
    }


def host(gpu: str | None) -> Host:
    """This machine, with the GPU that is used, if any."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Host(
        system=f"{platform.system()} {platform.machine()}",
        cpu=_cpu(),
        cores=CORES,
        memory_gib=round(memory / 2**30),
        gpu=gpu,
    )


def commit() -> Commit | None:
    """What is checked out, None if that cannot be told."""
    try:
        return Commit(
            hash=_git("rev-parse", "HEAD"),
            dirty=_git("status", "--porcelain", "--untracked-files=no") != "",
        )
    except (OSError, subprocess.CalledProcessError):
        return None


def weights(directory: Path) -> str:
    """SHA-256 of a checkpoint's weights, "" where there are none."""
    files = sorted(directory.glob("*.safetensors"))
    whole = hashlib.sha256()
    for file in files:
        whole.update(file.read_bytes())
    return whole.hexdigest() if files else ""


def packages() -> dict[str, str]:
    """Versions of Python and of the packages."""
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"python": platform.python_version(), **versions}


def _git(*arguments: str) -> str:
    root = Path(__file__).parents[1]
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _cpu() -> str:
    """The CPU's model; under a hypervisor the name alone can stand for several."""
    if sys.platform == "darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    information = Path("/proc/cpuinfo")
    if not information.exists():
        return platform.processor() or platform.machine()
    first = information.read_text().split("\n\n")[0]
    pairs = (line.partition(":") for line in first.splitlines())
    fields = {name.strip(): value.strip() for name, _, value in pairs}
    if "model name" not in fields:  # ARM
        return platform.machine()
    numbers = "/".join(fields.get(name, "?") for name in ("cpu family", "model", "stepping"))
    return f"{fields['model name']} ({numbers})"
