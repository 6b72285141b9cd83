"""What a strategy takes of the model: tokens, counted."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np


@dataclass(slots=True)
class Tally:
    """Counts what a strategy runs through the model, and keeps what the model wrote."""

    encoder: int = 0
    """Audio tokens."""
    decoder: int = 0
    """Positions."""
    written: list[int] = field(default_factory=list)
    """The model's own likeliest tokens, not those of a script."""

    def digest(self) -> str:
        """SHA-256 of what was written, as little-endian 64-bit numbers."""
        return hashlib.sha256(np.array(self.written, "<i8").tobytes()).hexdigest()
