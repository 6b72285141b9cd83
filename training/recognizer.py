"""The tiny recognizer as something to train."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch import Tensor

from training.augment import NoiseBank
from training.batches import Batch, make, phone_classes, plans
from training.checkpoint import CheckpointFiles, export
from training.corpus import Corpus
from training.evaluate import quick_accuracy
from training.network import build
from training.objective import Heads, TextLosses, losses
from training.prompts import Prompter
from training.task import Settings, Task
from training.tokenizer import load_tokenizer


class Recognizer(Task):
    """Trained from nothing."""

    named = ("text", "phones", "ctc")
    folder = "."

    heads: Heads

    def __init__(self, settings: Settings, corpus: Corpus) -> None:
        files = CheckpointFiles(settings.cache / self.folder / "files")
        self._settings, self._corpus = settings, corpus
        self._prompter = Prompter(load_tokenizer(files.folder))
        self._config = files.configuration(settings.sizes, self._prompter)
        self._classes = phone_classes(corpus)
        self.model = build(self._config)
        rows = self._config["thinker_config"]["text_config"]["vocab_size"]
        self.heads = Heads(settings.sizes, len(self._classes) + 1, rows)

    @classmethod
    def prepare(cls, settings: Settings) -> None:
        """Train the tokenizer, too."""
        folder = settings.cache / cls.folder / "files"
        CheckpointFiles(folder).write(settings.seed, settings.sizes)

    @classmethod
    def export(cls, weights: dict[str, Tensor], cache: Path, output: Path) -> None:
        """Write the checkpoint; its head is tied to the embeddings."""
        kept = {
            name: weight for name, weight in weights.items() if name != "thinker.lm_head.weight"
        }
        export(kept, CheckpointFiles(cache / cls.folder / "files"), output)

    def blank(self) -> Any:
        """An untrained network."""
        return build(self._config)

    def batches(self, step: int, rank: int) -> Iterator[Batch]:
        """Utterances with prompts."""
        settings = self._settings
        bank = NoiseBank(settings.seed)
        groups = plans(settings.seed + step, self._corpus, self.batch_seconds, settings.processes)
        for group in groups:
            yield make(group[rank], self._corpus, bank, self._prompter, self._classes)

    def losses(self, batch: Batch) -> TextLosses:
        """The text's loss and the auxiliary ones."""
        return losses(self.model, self.heads, batch, self._prompter.audio)

    def measure(self, average: Any) -> str:
        """Accuracies."""
        return quick_accuracy(average, self._prompter)
