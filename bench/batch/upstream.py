"""``qwen-asr``'s own ``transcribe`` on the same checkpoint, in a process of its own."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from polyasr.samples import SAMPLE_RATE, Samples

AT_ONCE = 32
"""Recordings that it puts into one batch, its own default."""


class Upstream:
    """A process that holds the model, warm."""

    def __init__(self, process: ProcessPoolExecutor) -> None:
        self._process = process

    def transcribe(self, recordings: Sequence[Samples]) -> tuple[float, float, list[str]]:
        """Seconds that it takes for all of them in one call, seconds of all cores together, and
        their texts. Blocks."""
        return self._process.submit(_transcribe, list(recordings)).result()


@contextmanager
def open_upstream(directory: Path, dtype: str, device: str) -> Iterator[Upstream]:
    """The process, for the length of the block."""
    spawn = multiprocessing.get_context("spawn")
    initialized = partial(_load, directory, dtype, device)
    with ProcessPoolExecutor(1, mp_context=spawn, initializer=initialized) as process:
        yield Upstream(process)


_loaded: dict[str, Any] = {}
"""The process's model."""


def _load(directory: Path, dtype: str, device: str) -> None:
    import torch
    from qwen_asr import Qwen3ASRModel

    wrapper = Qwen3ASRModel.from_pretrained(
        str(directory),
        dtype=getattr(torch, dtype),
        device_map=device,
        max_inference_batch_size=AT_ONCE,
        local_files_only=True,
    )
    # Its generate takes the end tokens as an argument, with those of the published checkpoints as
    # the default; one with other tokens would never end.
    ends = wrapper.model.generation_config.eos_token_id
    wrapper.model.generate = partial(wrapper.model.generate, eos_token_id=ends)
    _loaded["model"] = wrapper


def _transcribe(recordings: list[Samples]) -> tuple[float, float, list[str]]:
    began, computed = time.perf_counter(), time.process_time()
    found = _loaded["model"].transcribe([(samples, SAMPLE_RATE) for samples in recordings])
    seconds, cpu = time.perf_counter() - began, time.process_time() - computed
    return seconds, cpu, [each.text for each in found]
