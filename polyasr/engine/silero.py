"""Voice activity detection by Silero VAD 6, with the recurrent state of each stream kept apart."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from polyasr.engine.thread import ModelThread
from polyasr.pipeline.types import Urgency

FRAME = 512
"""Samples the network judges at a time at 16 kHz …"""
CONTEXT = 64
"""… with these many of the samples before them."""
STATE = (2, 1, 128)
WARM_UP = 4
"""TorchScript compiles in its first runs, which take a hundred times as long as the others."""


def load_silero() -> Any:
    """The network for 16 kHz inside the packaged TorchScript model.

    It maps (1, CONTEXT + FRAME) samples and a state (2, 1, 128) to a probability (1, 1) and the
    next state. Read from the package's file, because importing ``silero_vad`` sets torch to one
    thread for the whole process.
    """
    spec = find_spec("silero_vad")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("silero-vad is not installed: pip install silero-vad")
    file = Path(spec.submodule_search_locations[0]) / "data" / "silero_vad.jit"
    with warnings.catch_warnings():
        # torch deprecates TorchScript, in which Silero comes.
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        network: Any = torch.jit.load(str(file), map_location="cpu")  # type: ignore[no-untyped-call]
    network = network.eval()._model
    state = torch.zeros(STATE)
    with torch.inference_mode():
        for _ in range(WARM_UP):
            _, state = network(torch.zeros(1, CONTEXT + FRAME), state)
    return network


class SileroDetector:
    """The detector of one stream."""

    def __init__(self, thread: ModelThread, network: Any) -> None:
        self._thread, self._network = thread, network
        self._state = torch.zeros(STATE)
        self._context = torch.zeros(1, CONTEXT)

    def fork(self) -> SileroDetector:
        """A detector that goes on from here; state is replaced, never written to."""
        return copy.copy(self)

    async def probabilities(self, windows: NDArray[np.float32]) -> Sequence[float]:
        """Speech probability of each window, the highest of its frames; windows: (n, k * FRAME)."""
        return await self._thread.run(Urgency.DETECT, lambda: self._judge(windows))

    @torch.inference_mode()
    def _judge(self, windows: NDArray[np.float32]) -> list[float]:
        return [
            max(self._frame(frame) for frame in torch.from_numpy(window).view(-1, FRAME))
            for window in windows
        ]

    def _frame(self, frame: torch.Tensor) -> float:
        heard = torch.cat([self._context, frame[None]], dim=1)
        probability, self._state = self._network(heard, self._state)
        self._context = heard[:, -CONTEXT:]
        return float(probability)
