"""The corpus on disk: synthesised sentences in one file of samples and an index beside it.

Sentences come in sessions of one voice, so that longer clips can be put together from them.
"""

from __future__ import annotations

import itertools
import multiprocessing
import pickle
import random
from collections import deque
from dataclasses import dataclass
from multiprocessing.pool import AsyncResult
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.domain import Language, Sentence, sentences
from training.synthesis import SAMPLE_RATE, Span, Voice, random_voice, synthesize

SESSION_SENTENCES = 12
SESSIONS_A_JOB = 25
MANDARIN_SHARE = 0.25


@dataclass(frozen=True)
class Entry:
    """One sentence of the corpus: where its samples lie and when its words and sounds are."""

    offset: int
    length: int
    sentence: Sentence
    words: tuple[Span, ...]
    phones: tuple[Span, ...]


@dataclass(frozen=True)
class Session:
    """Sentences of one voice."""

    language: Language
    voice: Voice
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Corpus:
    """All sessions and the samples they point into (int16, 16 kHz)."""

    sessions: list[Session]
    pcm: NDArray[np.int16]

    def samples(self, entry: Entry) -> NDArray[np.float32]:
        """The speech of an entry, float32 at full scale ±1."""
        piece = self.pcm[entry.offset : entry.offset + entry.length]
        return np.asarray(piece, np.float32) / 32768.0

    @property
    def hours(self) -> float:
        """Hours of speech."""
        return len(self.pcm) / SAMPLE_RATE / 3600


_Made = tuple[list[Session], NDArray[np.int16]]


def _job(argument: tuple[int, int]) -> _Made:
    """Synthesise one job's sessions; offsets count from the start of the job."""
    seed, number = argument
    rng = random.Random(f"{seed}/{number}")
    sessions, pieces, offset = [], [], 0
    for index in range(SESSIONS_A_JOB):
        language: Language = "Chinese" if rng.random() < MANDARIN_SHARE else "English"
        voice = random_voice(rng, language)
        entries = []
        unique = (seed * 1_000_003 + number) * SESSIONS_A_JOB + index
        for sentence in sentences(unique, SESSION_SENTENCES, language, test=False):
            clip = synthesize(voice, sentence)
            pcm = np.clip(clip.samples * 32767, -32768, 32767).astype(np.int16)
            entries.append(Entry(offset, len(pcm), sentence, clip.words, clip.phones))
            pieces.append(pcm)
            offset += len(pcm)
        sessions.append(Session(language, voice, tuple(entries)))
    return sessions, np.concatenate(pieces)


def build(folder: Path, seed: int, hours: float, processes: int = 2) -> None:
    """Synthesise `hours` of speech into `folder`; equal arguments give equal files.

    Each job runs in a process of its own, because espeak-ng remembers earlier utterances.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sessions: list[Session] = []
    written = 0
    wanted = int(hours * 3600 * SAMPLE_RATE)
    context = multiprocessing.get_context("spawn")
    with (
        (folder / "speech.pcm").open("wb") as file,
        context.Pool(processes, maxtasksperchild=1) as pool,
    ):
        ahead: deque[AsyncResult[_Made]] = deque()
        for number in itertools.count():
            ahead.append(pool.apply_async(_job, ((seed, number),)))
            if len(ahead) <= 2 * processes:
                continue
            made, pcm = ahead.popleft().get()
            for session in made:
                moved = tuple(
                    Entry(e.offset + written, e.length, e.sentence, e.words, e.phones)
                    for e in session.entries
                )
                sessions.append(Session(session.language, session.voice, moved))
            file.write(pcm.tobytes())
            written += len(pcm)
            if written >= wanted:
                break
    with (folder / "index.pickle").open("wb") as index_file:
        pickle.dump(sessions, index_file)


def load(folder: Path) -> Corpus:
    """Open a corpus that `build` made."""
    with (folder / "index.pickle").open("rb") as file:
        sessions: list[Session] = pickle.load(file)
    return Corpus(sessions, np.memmap(folder / "speech.pcm", np.int16, mode="r"))
