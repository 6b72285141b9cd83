"""When each word of a recording is said: chunks, the aligner, sentences."""

from polyasr.alignment.align import Alignment, OnProgress, Reopened, Stage, align, words_of
from polyasr.alignment.formats import document, sentence, textgrid
from polyasr.alignment.sentences import Sentence

__all__ = [
    "Alignment",
    "OnProgress",
    "Reopened",
    "Sentence",
    "Stage",
    "align",
    "document",
    "sentence",
    "textgrid",
    "words_of",
]
