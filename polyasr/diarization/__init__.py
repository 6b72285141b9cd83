"""Who spoke when: regions of speech, voices told apart, turns. Needs neither model nor token but
the speech detector and the voice encoder that are there anyway, and can do with a model of its own.
"""

from polyasr.diarization.clustering import MOST_ASKED_FOR, SpeakerCount, speaker_count
from polyasr.diarization.diarize import diarize
from polyasr.diarization.formats import document, rttm, text
from polyasr.diarization.found import Diarization, OnHeard
from polyasr.diarization.labels import Labels
from polyasr.diarization.names import label, letter, name_voices
from polyasr.pipeline.types import Turn

__all__ = [
    "MOST_ASKED_FOR",
    "Diarization",
    "Labels",
    "OnHeard",
    "SpeakerCount",
    "Turn",
    "diarize",
    "document",
    "label",
    "letter",
    "name_voices",
    "rttm",
    "speaker_count",
    "text",
]
