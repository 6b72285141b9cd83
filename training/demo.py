"""The recordings of the demo: held-out sentences by voices the checkpoint knows."""

from __future__ import annotations

import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.domain import Sentence, join_words
from training.english import from_text as english
from training.evaluate import padded
from training.mandarin import from_text as mandarin
from training.synthesis import SAMPLE_RATE, Voice, synthesize


@dataclass(frozen=True)
class Recording:
    """A file of the demo: who says what."""

    name: str
    voice: Voice
    sentences: tuple[Sentence, ...]

    @property
    def text(self) -> str:
        """All sentences as written."""
        texts = [sentence.text for sentence in self.sentences]
        return join_words(texts, self.sentences[0].language)


RECORDINGS = (
    Recording(
        "demo-en",
        Voice("espeak", "en-us+f3", rate=150),
        (
            english("The meeting with Laura is at two fifteen."),
            english("Please remind me to bring water tomorrow."),
            english("Turn on the lights in the bedroom."),
        ),
    ),
    Recording(
        "demo-zh",
        Voice("espeak", "cmn-latn-pinyin+f2", rate=150),
        (mandarin("李华在公司学习中文。"),),
    ),
)


def write(folder: Path) -> None:
    """Write each recording as 16 kHz mono PCM16 with its text beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    for recording in RECORDINGS:
        speech = [
            padded(synthesize(recording.voice, sentence).samples, lead=0.2, tail=0.5)
            for sentence in recording.sentences
        ]
        pcm = (np.concatenate(speech) * 32767).clip(-32768, 32767).astype("<i2")
        with wave.open(str(folder / f"{recording.name}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(SAMPLE_RATE)
            file.writeframes(pcm.tobytes())
        (folder / f"{recording.name}.txt").write_text(recording.text + "\n")
