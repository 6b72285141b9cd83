"""Voice embeddings by Resemblyzer (the GE2E encoder of Wan et al., 2018)."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyasr.engine.inference import inference
from polyasr.engine.thread import ModelThread
from polyasr.pipeline.types import Urgency
from polyasr.samples import SAMPLE_RATE, Samples


def load_resemblyzer() -> Any:
    """The packaged encoder, on the CPU: an embedding takes some 20 ms there."""
    with warnings.catch_warnings():
        # It imports from places that pkg_resources and scipy will give up; constraints.txt holds
        # the versions that still have them.
        warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        from resemblyzer import VoiceEncoder

    return VoiceEncoder("cpu", verbose=False)


class ResemblyzerEncoder:
    """Embeds passages on the model thread; ``encoder`` is loaded at the first use."""

    def __init__(self, thread: ModelThread) -> None:
        self._thread = thread
        self._encoder: Any = None

    async def embed(self, samples: Samples) -> NDArray[np.float32]:
        """One unit vector, shape (256,), for at least 1.0 s of speech at 16 kHz.

        Raises InferenceFailed.
        """
        async with inference(self._thread, "the voice encoder"):
            return await self._thread.run(Urgency.FINAL, lambda: self._embed(samples))

    async def embed_windows(
        self, windows: NDArray[np.float32], urgency: Urgency = Urgency.PARTIAL
    ) -> NDArray[np.float32]:
        """A unit vector for each window of 1.6 s, (n, 25600) to (n, 256), in one pass.

        Raises InferenceFailed.
        """
        async with inference(self._thread, "the voice encoder"):
            return await self._thread.run(urgency, lambda: self._embed_windows(windows))

    def load(self) -> None:
        """Load the encoder; on the model thread.

        Its first embedding takes seconds, in which libraries are imported and tables are made.
        """
        if self._encoder is None:
            self._encoder = load_resemblyzer()
            self._encoder.embed_utterance(np.zeros(2 * SAMPLE_RATE, np.float32))

    def _embed_windows(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        self.load()
        import torch
        from resemblyzer.audio import wav_to_mel_spectrogram
        from resemblyzer.hparams import partials_n_frames

        mels = np.stack([wav_to_mel_spectrogram(window)[:partials_n_frames] for window in windows])
        with torch.inference_mode():
            embeddings: NDArray[np.float32] = self._encoder(torch.from_numpy(mels)).numpy()
        return embeddings

    def _embed(self, samples: Samples) -> NDArray[np.float32]:
        self.load()
        embedding: NDArray[np.float32] = self._encoder.embed_utterance(samples)
        return embedding
