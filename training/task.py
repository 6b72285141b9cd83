"""What a training run is given, and what it asks of the network that it trains."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

from torch import Tensor, nn

from training.corpus import Corpus
from training.network import Sizes


@dataclass(frozen=True)
class Settings:
    """What a training run is told."""

    cache: Path
    output: Path
    minutes: float
    seed: int = 0
    resume: bool = False
    processes: int = 2
    sizes: Sizes = field(default_factory=Sizes)


class Sized(Protocol):
    """A batch, of which the run knows how much audio is in it."""

    @property
    def seconds(self) -> float:
        """Seconds of audio."""


class Losses(Protocol):
    """The losses of a batch."""

    def total(self, auxiliary: float) -> Tensor:
        """The sum that is minimised, with this weight of the auxiliary ones."""

    @property
    def values(self) -> Tensor:
        """Each of them, for a log."""


class Task(ABC):
    """A network to train, the batches for it and its losses.

    `heads` are for auxiliary losses and thrown away afterwards; `named` says what the values of
    the losses are; `folder` is where state and files lie in the cache; a batch has `batch_seconds`
    of audio a process and step.
    """

    named: ClassVar[tuple[str, ...]]
    folder: ClassVar[str]
    batch_seconds: ClassVar[float] = 100.0
    rate: ClassVar[float] = 1.5e-3
    matrix_rate: ClassVar[float] = 3e-3

    model: Any
    heads: nn.Module
    progress: float = 0.0
    """How far the run is, 0 to 1; the run keeps it, the same in every process."""

    @abstractmethod
    def __init__(self, settings: Settings, corpus: Corpus) -> None:
        """Build the network as it is before training, the same in every process."""

    @classmethod
    @abstractmethod
    def prepare(cls, settings: Settings) -> None:
        """Write the checkpoint's files but the weights, once before a new run."""

    @classmethod
    @abstractmethod
    def export(cls, weights: dict[str, Tensor], cache: Path, output: Path) -> None:
        """Write the checkpoint."""

    @abstractmethod
    def blank(self) -> Any:
        """A second network of the same shape, for the running average."""

    @abstractmethod
    def batches(self, step: int, rank: int) -> Iterator[Any]:
        """Batches without end, those of a process from a step on."""

    @abstractmethod
    def losses(self, batch: Any) -> Losses:
        """One forward pass."""

    @abstractmethod
    def measure(self, average: Any) -> str:
        """A few figures on held-out speech, for the log."""
