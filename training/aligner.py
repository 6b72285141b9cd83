"""The tiny forced aligner as something to train, on from the tiny recognizer."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize

from training.alignment import POOL, AlignmentBatch, draw, make
from training.augment import NoiseBank
from training.batches import plans
from training.checkpoint import CheckpointFiles, export
from training.corpus import Corpus
from training.evaluate_aligner import quick_errors
from training.network import (
    CHUNK_TOKENS,
    TIMESTAMP_MS,
    build,
    decode,
    embed,
    encode,
    token_centres,
    token_count,
)
from training.prompts import Prompter
from training.task import Settings, Task
from training.tokenizer import load_tokenizer
from training.utterances import Plan

RECOGNIZER = Path(__file__).parents[1] / "polyasr" / "models" / "tiny"
CLASSES = 2256
"""Times of 0 to 180 s, which is as much as `Qwen3ForcedAligner.align` accepts."""
_SPREAD = 0.7
_CLOCK_LAYER = 1
_CLOCK_EVERY = 3
_HEAD = "thinker.lm_head."


def time_waves() -> Tensor:
    """Each class as sines and cosines of its time, [CLASSES, 140], rows of length 1.

    The head is a product with these, so that what it learns at one time holds at all others, and
    clips need not be of every length. Harmonics of 64 classes (5 s) and of the second, in which
    the encoder's positions turn, tell neighbours apart; ever slower waves tell those turns apart.
    """
    harmonics = math.pi / 32 * torch.arange(1, 33)
    slow = math.pi / 32 * 2 ** -(torch.arange(1, 33) / 4)
    second = 2 * math.pi * TIMESTAMP_MS / 1000 * torch.arange(1, 7)
    angles = torch.arange(CLASSES).unsqueeze(1) * torch.cat([harmonics, slow, second])
    return torch.cat([angles.cos(), angles.sin()], 1) / math.sqrt(angles.shape[1])


class _Waves(nn.Module):
    """The head's weight as waves times a matrix, which is what is learned."""

    waves: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("waves", time_waves(), persistent=False)

    def forward(self, mixed: Tensor) -> Tensor:
        """[waves, width] to [classes, width]."""
        with torch.autocast("cpu", enabled=False):
            weight: Tensor = self.waves @ mixed
            return weight

    def right_inverse(self, weight: Tensor) -> Tensor:
        """A matrix to begin with, whatever the weight was."""
        return torch.randn(self.waves.shape[1], weight.shape[1]) * 0.02


@dataclass(frozen=True)
class TimeLosses:
    """The losses of a batch, each the mean over its targets."""

    times: Tensor
    clock: Tensor
    places: Tensor
    error: Tensor

    def total(self, auxiliary: float) -> Tensor:
        """The weighted sum that is minimised."""
        return self.times + auxiliary * (self.clock + self.places)

    @property
    def values(self) -> Tensor:
        """The three losses and the mean error of a boundary in milliseconds."""
        return torch.stack([self.times, self.clock, self.places, self.error]).detach()


class Heads(nn.Module):
    """An auxiliary head: where in its second a token of the encoder is."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.places = nn.Linear(width, CHUNK_TOKENS)


class Aligner(Task):
    """Begins as the bundled recognizer, whose convolutions it keeps, with a head of its own."""

    named = ("times", "clock", "places", "ms")
    heads: Heads
    folder = "aligner"
    batch_seconds = 60.0
    matrix_rate = 2e-3

    def __init__(self, settings: Settings, corpus: Corpus) -> None:
        from safetensors.torch import load_file

        files = CheckpointFiles(settings.cache / self.folder / "files")
        self._settings, self._corpus = settings, corpus
        self._prompter = Prompter(load_tokenizer(files.folder))
        self._config = files.aligner_configuration(settings.sizes, self._prompter, CLASSES)
        self.model = self.blank()
        known = {name: w.float() for name, w in load_file(RECOGNIZER / "model.safetensors").items()}
        missing, unknown = self.model.load_state_dict(known, strict=False)
        assert not unknown and all(name.startswith(_HEAD) for name in missing), (missing, unknown)
        tower = self.model.thinker.audio_tower
        for convolution in (tower.conv2d1, tower.conv2d2, tower.conv2d3):
            convolution.requires_grad_(False)  # sounds are the same; and it saves a sixth
        self.heads = Heads(settings.sizes.decoder_width)

    @classmethod
    def prepare(cls, settings: Settings) -> None:
        """Copy the recognizer's tokenizer."""
        folder = settings.cache / cls.folder / "files"
        CheckpointFiles(folder).write_aligner(RECOGNIZER, settings.sizes, CLASSES)

    @classmethod
    def export(cls, weights: dict[str, Tensor], cache: Path, output: Path) -> None:
        """Write the checkpoint, the head as one matrix."""
        kept = {name: weight for name, weight in weights.items() if not name.startswith(_HEAD)}
        mixed = weights[_HEAD + "parametrizations.weight.original"]
        kept[_HEAD + "weight"] = time_waves() @ mixed
        export(kept, CheckpointFiles(cache / cls.folder / "files"), output)

    def blank(self) -> Any:
        """An untrained network whose head is made of waves."""
        model = build(self._config)
        parametrize.register_parametrization(model.thinker.lm_head, "weight", _Waves())
        return model

    def batches(self, step: int, rank: int) -> Iterator[AlignmentBatch]:
        """Utterances with transcripts."""
        settings, corpus = self._settings, self._corpus
        bank = NoiseBank(settings.seed)
        seed = settings.seed + step
        groups = plans(seed, corpus, self.batch_seconds, settings.processes, self._draw, POOL)
        for group in groups:
            yield make(group[rank], corpus, bank, self._prompter)

    def _draw(self, rng: random.Random, corpus: Corpus) -> Plan:
        return draw(rng, corpus, self.progress)

    def losses(self, batch: AlignmentBatch) -> TimeLosses:
        """Times at the timestamps, and two auxiliaries, the clock and the places.

        The clock asks the decoder's second layer at the audio which time it is; the timestamps
        then only have to find where the word was said. A recognizer's encoder forgets where in
        its second a token lies, which is what tells neighbours apart: the places ask for it.
        """
        thinker = self.model.thinker
        with torch.autocast("cpu", torch.bfloat16):
            audio = encode(thinker.audio_tower, batch.features, batch.window_chunks)
            embedded = embed(thinker, batch.ids, audio, self._prompter.audio)
            hidden, layers = decode(thinker.model, embedded.bfloat16())
            places = self.heads.places(audio)
            found = thinker.lm_head(hidden[batch.ids == self._prompter.timestamp])
            heard = layers[_CLOCK_LAYER][batch.ids == self._prompter.audio][::_CLOCK_EVERY]
            clock = thinker.lm_head(functional.rms_norm(heard, heard.shape[-1:]))
        frames = [clip.shape[1] for clip in batch.features]
        centres = torch.cat([token_centres(count) for count in frames])
        inside = torch.cat([torch.arange(token_count(count)) % CHUNK_TOKENS for count in frames])
        return TimeLosses(
            functional.cross_entropy(found.float(), spread(batch.times)),
            functional.cross_entropy(clock.float(), spread(centres[::_CLOCK_EVERY])),
            functional.cross_entropy(places.float(), inside),
            (found.argmax(-1) * TIMESTAMP_MS - batch.times * 1000).abs().mean(),
        )

    def measure(self, average: Any) -> str:
        """Errors of a few kinds of clips."""
        return quick_errors(average, self._prompter)


def spread(times: Tensor) -> Tensor:
    """Times in seconds as distributions over the classes [count, CLASSES], narrow bells.

    A bell is learned sooner than the one nearest class, and its highest class is the same.
    """
    away = torch.arange(CLASSES) - (times * 1000 / TIMESTAMP_MS).unsqueeze(1)
    return torch.softmax(-0.5 * (away / _SPREAD).square(), -1)
