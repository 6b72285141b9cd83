"""pyannote's pipelines for speaker diarization, in two: their networks, and all the rest.

A pipeline goes through a recording for minutes. So it runs on a thread of its own, and what its
networks are asked for are passes over ten seconds each, which a dictation waits for one of. What is
taken apart for that are the members ``_segmentation`` and ``_embedding`` of ``SpeakerDiarization``
in pyannote.audio 4.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import torch

from polyasr.errors import ModelUnavailable
from polyasr.pipeline.types import Turn
from polyasr.samples import SAMPLE_RATE, Samples

T = TypeVar("T")

Ask = Callable[[Callable[["PyannoteNetworks"], T]], T]
"""Has something done with the networks, where they are, and waits for it."""
STEPS = ("segmentation", "embeddings")
"""What takes its time, and counts for half of it each, which is roughly so."""


def import_pyannote() -> None:
    """Take seconds to import it, with its reports on its use turned off.

    Raises ModelUnavailable where it is not installed or does not work.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a decoder of files, which it needs none of here
            import pyannote.audio
            from pyannote.audio.telemetry import set_telemetry_metrics
    except ImportError as error:
        raise ModelUnavailable(
            f"POLYASR_DIARIZE_MODEL needs pyannote.audio, which cannot be imported ({error}): "
            "pip install 'polyasr[pyannote]', or unset it, and speakers are told apart without"
        ) from error
    except OSError as error:  # torchaudio's, where it is built for CUDA and torch is not
        raise ModelUnavailable(
            f"POLYASR_DIARIZE_MODEL needs pyannote.audio, which cannot be loaded ({error}): "
            "install the torchaudio that is built as torch here is, for the CPU or for CUDA, "
            "or unset it, and speakers are told apart without"
        ) from error
    if not pyannote.audio.__version__.startswith("4."):
        raise ModelUnavailable(
            "POLYASR_DIARIZE_MODEL needs pyannote.audio 4; "
            f"here is {pyannote.audio.__version__}: pip install 'polyasr[pyannote]'"
        )
    set_telemetry_metrics(False)


class PyannoteNetworks:
    """The networks of a pipeline. They live on the model thread; ``rest`` is all but them."""

    def __init__(self, pipeline: Any) -> None:
        """``pipeline`` is a ``SpeakerDiarization``, of which nothing else may be asked."""
        self._segmentation, self._embedding = pipeline._segmentation, pipeline._embedding
        self.rest = PyannotePipeline(pipeline)

    @classmethod
    def load(cls, directory: Path, device: str) -> PyannoteNetworks:
        """Load a verified directory; `import_pyannote` has been called. Raises ModelUnavailable."""
        from pyannote.audio import Pipeline

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what its checkpoints lack is for training
            pipeline: Any = Pipeline.from_pretrained(directory)
            pipeline.to(torch.device(device))
        if device == "cpu":
            pipeline.segmentation_batch_size = pipeline.embedding_batch_size = 1
        return cls(pipeline)

    def segment(self, chunks: torch.Tensor) -> Any:
        """Who of a chunk's own speakers is heard when: (n, 1, samples) to (n, frames, speakers)."""
        return self._segmentation.infer(chunks)

    def embed(self, waveforms: torch.Tensor, masks: torch.Tensor | None) -> Any:
        """A vector each, from what is masked: (n, 1, samples), (n, frames) to (n, dimensions)."""
        return self._embedding(waveforms, masks=masks)


class PyannotePipeline:
    """Windows, clustering and turns: what may stay when the networks go."""

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = copy.copy(pipeline)
        self._pipeline.legacy = False
        self._segmentation = copy.copy(pipeline._segmentation)
        model, embedding = self._segmentation.model, pipeline._embedding
        self._segmentation.conversion = None
        self._segmentation.device = torch.device("cpu")  # for another it sets torch's modes for all
        self._segmentation.model = SimpleNamespace(
            specifications=model.specifications,
            receptive_field=model.receptive_field,
            audio=model.audio,
        )
        self._embedding = _Embedding(
            sample_rate=embedding.sample_rate,
            dimension=embedding.dimension,
            metric=embedding.metric,
            min_num_samples=embedding.min_num_samples,
        )
        self._pipeline._inferences = {}

    def apply(
        self,
        recording: Samples,
        least: int,
        most: int,
        ask: Ask[Any],
        tell: Callable[[float], object],
    ) -> list[Turn]:
        """The turns, in order of their starts; nobody talks in another's.

        ``tell`` hears, again and again, which share of the work is done. Raises what ``ask`` and
        ``tell`` do.
        """
        pipeline, segmentation = copy.copy(self._pipeline), copy.copy(self._segmentation)
        segmentation.infer = lambda chunks: ask(lambda networks: networks.segment(chunks))
        pipeline._inferences = {"_segmentation": segmentation}
        pipeline._embedding = self._embedding.asking(ask)

        def hook(step: str, *_: object, total: int = 0, completed: int = 0, **__: object) -> None:
            if step in STEPS and total:
                share = min(completed / total, 1.0)
                tell((STEPS.index(step) + share) / len(STEPS))

        found = pipeline.apply(
            {
                "waveform": torch.from_numpy(recording)[None],
                "sample_rate": SAMPLE_RATE,
                "uri": "recording",
            },
            min_speakers=least,
            max_speakers=most,
            hook=hook,
        ).exclusive_speaker_diarization
        labels = found.labels()
        return [
            Turn(round(part.start * SAMPLE_RATE), round(part.end * SAMPLE_RATE), labels.index(who))
            for part, _, who in found.itertracks(yield_label=True)
        ]


class _Embedding(SimpleNamespace):
    """What the pipeline sees of its embedding network, which is elsewhere."""

    def asking(self, ask: Ask[Any]) -> _Embedding:
        return _Embedding(**{**vars(self), "ask": ask})

    def __call__(self, waveforms: torch.Tensor, masks: torch.Tensor | None = None) -> Any:
        return self.ask(lambda networks: networks.embed(waveforms, masks))
