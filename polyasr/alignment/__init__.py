"""When each word of a recording is said: chunks, the aligner, sentences."""

from polyasr.alignment.align import (
    Alignment,
    OnProgress,
    Plan,
    Reopened,
    Stage,
    align,
    carry_out,
    nobody,
    plan,
    with_words,
)
from polyasr.alignment.formats import document, sentence, textgrid
from polyasr.alignment.sentences import Sentence

__all__ = [
    "Alignment",
    "OnProgress",
    "Plan",
    "Reopened",
    "Sentence",
    "Stage",
    "align",
    "carry_out",
    "document",
    "nobody",
    "plan",
    "sentence",
    "textgrid",
    "with_words",
]
