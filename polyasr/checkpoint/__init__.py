"""Where a model's files are, and whether they can be loaded; all without importing torch.

``lookup`` finds a model, ``roles`` says what models are for, and ``hub`` gets them; ``files`` looks
whether a directory holds all of a checkpoint, and ``pyannote`` whether it holds a pipeline.
"""

from polyasr.checkpoint.lookup import resolve, verify, weights_present
from polyasr.checkpoint.roles import (
    ALIGNER,
    BUNDLED,
    BUNDLED_ALIGNER,
    DIARIZER,
    RECOGNIZER,
    TRANSLATOR,
    Role,
)

__all__ = [
    "ALIGNER",
    "BUNDLED",
    "BUNDLED_ALIGNER",
    "DIARIZER",
    "RECOGNIZER",
    "TRANSLATOR",
    "Role",
    "resolve",
    "verify",
    "weights_present",
]
