"""Qwen3-ForcedAligner on torch: where in the audio each word of a text is.

The model reads the audio and then the words, each followed by two timestamp tokens; what it makes
of these are the classes of times, multiples of ``timestamp_segment_time``, at which the word begins
and ends. Nothing is generated, so one pass does it, which is cut into slices here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from polyasr.engine.aligner_text import Splitter, TextWord, words
from polyasr.engine.backend import Window
from polyasr.engine.linear import layout
from polyasr.engine.mel import RANGE, LogMel, MelFrontend, normalized
from polyasr.engine.monotonic import mended
from polyasr.engine.torch_decoder import KeyValueCache, TorchDecoder
from polyasr.engine.torch_encoder import TorchEncoder
from polyasr.engine.weights import load_pretrained
from polyasr.errors import InvalidRequest
from polyasr.pipeline.types import Word
from polyasr.samples import SAMPLE_RATE, Samples

TIMESTAMP = "<timestamp>"
SLICE = 128
"""Positions that the decoder runs at a time: what a dictation may have to wait for."""
SHORTEST = SAMPLE_RATE // 10
"""Samples that shorter audio is filled up to with silence: one step of the encoder and a bit."""
LONGEST = 300 * SAMPLE_RATE
"""Samples that the model takes at the most, by its makers."""
WORDS_PER_SECOND, WORDS_BASE = 25, 50
"""How many words audio can hold: several times what anybody says, but no more than memory has."""


@dataclass(eq=False, slots=True)
class AlignerJob:
    """An alignment under way. It holds nothing of the model, which may go between two slices.

    ``samples`` may be longer than the audio, which has ``n_samples``; ``words`` is None until it is
    done.
    """

    samples: Samples
    n_samples: int
    given: Sequence[TextWord]
    prompt: Sequence[int]
    cache: KeyValueCache
    log_mel: list[LogMel] = field(default_factory=list)
    encoded: list[torch.Tensor] = field(default_factory=list)
    classes: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    words: tuple[Word, ...] | None = None


class QwenAligner:
    """A loaded checkpoint. It lives on the model thread."""

    def __init__(self, wrapper: Any, dtype: str) -> None:
        """``wrapper`` is a ``Qwen3ForcedAligner``, of which nothing else may be asked afterwards.

        ``dtype`` is the number format of its weights, or ``int8`` with weights in bfloat16.
        """
        thinker, processor = wrapper.model.thinker, wrapper.processor
        features = processor.feature_extractor
        linear = layout(thinker.model.embed_tokens.weight.device, dtype)
        self._encoder = TorchEncoder(thinker.audio_tower, linear)
        self._decoder = TorchDecoder(thinker.model, thinker.lm_head, linear)
        self._tokenizer = processor.tokenizer
        self._audio_marks = processor.audio_bos_token, processor.audio_eos_token
        self._frontend = MelFrontend(features.mel_filters, features.n_fft, features.hop_length)
        self._timestamp_id: int = wrapper.timestamp_token_id
        self._step_ms: float = wrapper.timestamp_segment_time
        told = round(thinker.config.classify_num * self._step_ms * SAMPLE_RATE / 1000)
        self.longest = min(LONGEST, told)
        """Samples that are aligned at once: later times it cannot tell."""
        self._splitters = _splitters(wrapper.aligner_processor)

    @classmethod
    def load(cls, directory: Path, device: str, dtype: str) -> QwenAligner:
        """Load a verified checkpoint directory. Raises ModelUnavailable."""
        from qwen_asr import Qwen3ForcedAligner

        return cls(load_pretrained(Qwen3ForcedAligner, directory, device, dtype), dtype)

    def begin(self, samples: Samples, text: str, language: str | None) -> AlignerJob:
        """A job, of which nothing is done yet but for a text without words.

        Raises InvalidRequest where no audio of that length can hold that text.
        """
        if len(samples) > self.longest:
            raise InvalidRequest(
                f"{len(samples) / SAMPLE_RATE:.0f} s of audio are too long to be aligned at once; "
                f"the aligner takes {self.longest // SAMPLE_RATE} s"
            )
        given = words(text, language, self._splitters)
        if len(given) > WORDS_BASE + WORDS_PER_SECOND * len(samples) // SAMPLE_RATE:
            raise InvalidRequest(
                f"the text does not belong to this audio: it has {len(given)} words, which nobody "
                f"says in {len(samples) / SAMPLE_RATE:.1f} s",
                param="text",
            )
        stamps = 2 * TIMESTAMP
        prompt = self._ids("".join(word.given + stamps for word in given))
        padded = np.pad(samples, (0, max(0, SHORTEST - len(samples))))
        job = AlignerJob(padded, len(samples), given, prompt, self._decoder.new_cache())
        if not given:
            job.words = ()
        return job

    @torch.inference_mode()
    def advance(self, job: AlignerJob) -> None:
        """Do the next slice of a job that is not done."""
        frames = self._frontend.frame_count(len(job.samples))
        size = self._encoder.window_frames
        n_windows = -(-frames // size)
        if (done := len(job.log_mel)) < n_windows:
            first = done * size
            last = min(first + size, frames)
            job.log_mel.append(self._frontend.log_mel(job.samples, first, last))
        elif (done := len(job.encoded)) < n_windows:
            floor = max(float(mel.max()) for mel in job.log_mel) - RANGE
            window = Window(normalized(job.log_mel[done], floor), n_windows > 1)
            job.encoded += self._encoder.encode([window])
        else:
            self._read(job)

    def _read(self, job: AlignerJob) -> None:
        """Run the next positions of the decoder, the audio before the words."""
        begin, end = (self._ids(mark) for mark in self._audio_marks)
        n_audio = sum(map(len, job.encoded))
        audio_end = len(begin) + n_audio
        total = audio_end + len(end) + len(job.prompt)
        first = job.cache.length
        last = min(first + SLICE, total)
        job.cache.reserve(total - first)
        ids = [*begin, *[0] * n_audio, *end, *job.prompt]
        rows = self._decoder.embed(ids[first:last])
        if first < audio_end and last > len(begin):
            audio = torch.cat(job.encoded)
            heard = audio[max(0, first - len(begin)) : last - len(begin)]
            at = max(first, len(begin)) - first
            rows[at : at + len(heard)] = heard
        (hidden,) = self._decoder.extend([(job.cache, rows, len(rows))])
        stamps = [at for at in range(max(first, audio_end), last) if ids[at] == self._timestamp_id]
        if stamps:
            asked = hidden[torch.tensor(stamps, device=hidden.device) - first]
            classes, logprobs = self._decoder.likeliest(asked)
            job.classes += classes
            job.logprobs += logprobs
        if last == total:
            job.words = self._words(job)

    def _words(self, job: AlignerJob) -> tuple[Word, ...]:
        """The times, mended where they run backwards, and how likely those are that were not."""
        told = [each * self._step_ms for each in job.classes]
        times = mended(told)
        found = []
        for at, word in enumerate(job.given):
            both = slice(2 * at, 2 * at + 2)
            start, end = (min(ms * SAMPLE_RATE // 1000, job.n_samples) for ms in times[both])
            kept = [int(ms) for ms in told[both]] == times[both]
            score = float(np.exp(np.mean(job.logprobs[both]))) if kept else None
            found.append(Word(word.text, start, end, score))
        return tuple(found)

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False)
        return ids


def _splitters(processor: Any) -> dict[str, Splitter]:
    """The splitters of ``qwen-asr`` for languages whose words spaces do not tell."""

    def of(language: str) -> Splitter:
        def split(text: str) -> Sequence[str]:
            found: Sequence[str] = processor.encode_timestamp(text, language)[0]
            return found

        return split

    return {language: of(language) for language in ("Japanese", "Korean")}
