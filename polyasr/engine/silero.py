"""Voice activity detection by Silero VAD 6, with the recurrent state of each stream kept apart."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from polyasr.engine.thread import ModelThread
from polyasr.pipeline.types import Urgency
from polyasr.samples import Samples

FRAME = 512
"""Samples the network judges at a time at 16 kHz …"""
CONTEXT = 64
"""… with these many of the samples before them."""
STATE = (1, 1, 128)
"""Of the LSTM's hidden state, and of its cell."""
MODEL_FILE = "silero_vad_16k_sequence.onnx"


class Silero:
    """The network for 16 kHz, over frames that follow each other.

    Of the forms in which the package brings it, this one takes a sequence of frames at a time: a
    window of five costs a fifth of what five calls of the TorchScript form do. What it says does
    not depend on how many it is given at a time, and is within 1e-5 of that form's.
    """

    def __init__(self) -> None:
        """Reads it from the package's file: importing ``silero_vad`` sets torch to one thread for
        the whole process."""
        spec = find_spec("silero_vad")
        if spec is None or not spec.submodule_search_locations:
            raise ModuleNotFoundError("silero-vad is not installed: pip install silero-vad")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            Path(spec.submodule_search_locations[0]) / "data" / MODEL_FILE,
            options,
            providers=["CPUExecutionProvider"],
        )

    def judge(
        self, frames: NDArray[np.float32], state: Sequence[NDArray[np.float32]]
    ) -> tuple[NDArray[np.float32], Sequence[NDArray[np.float32]]]:
        """Frames (n, CONTEXT + FRAME) and both states to probabilities (n,) and the next states."""
        hidden, cell = state
        found = self._session.run(None, {"input": frames, "h": hidden, "c": cell})
        return found[0], found[1:]


class SileroDetector:
    """The detector of one stream."""

    def __init__(self, thread: ModelThread, network: Silero) -> None:
        self._thread, self._network = thread, network
        self._state: Sequence[NDArray[np.float32]] = (np.zeros(STATE, np.float32),) * 2
        self._context: Samples = np.zeros(CONTEXT, np.float32)

    def fork(self) -> SileroDetector:
        """A detector that goes on from here; state is replaced, never written to."""
        return copy.copy(self)

    async def probabilities(self, windows: NDArray[np.float32]) -> Sequence[float]:
        """Speech probability of each window, the highest of its frames; windows: (n, k * FRAME)."""
        return await self._thread.run(Urgency.DETECT, lambda: self._judge(windows))

    def _judge(self, windows: NDArray[np.float32]) -> list[float]:
        if not len(windows):
            return []
        new = windows.reshape(-1, FRAME)
        frames = np.empty((len(new), CONTEXT + FRAME), np.float32)
        frames[:, CONTEXT:] = new
        frames[0, :CONTEXT] = self._context
        frames[1:, :CONTEXT] = new[:-1, -CONTEXT:]
        found, self._state = self._network.judge(frames, self._state)
        self._context = new[-1, -CONTEXT:].copy()
        highest: list[float] = found.reshape(len(windows), -1).max(axis=1).tolist()
        return highest
