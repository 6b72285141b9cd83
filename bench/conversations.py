"""Conversations put together from recordings of one speaker each: who speaks when is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from polyasr import audio
from polyasr.samples import SAMPLE_RATE, Samples

SUFFIXES = (".flac", ".wav", ".mp3", ".ogg", ".m4a")
TURN_SEC = (2.0, 8.0)
PAUSE_SEC = (0.2, 1.2)
ROOM_NOISE = 1e-4
"""Of what pauses are made; digital silence would be too easy."""
FRAME = SAMPLE_RATE // 100
SPEECH_DB = 25
"""Frames that are no more than this below the loud ones (95th percentile) are speech …"""
BRIDGED_SEC = 0.5
"""… and so are shorter gaps between them."""
SHORTEST_SEC = 0.1
LONGEST_SEC = 60.0

Part = tuple[int, int, str]
"""[start, end) in samples, and who speaks."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """``reference``: who really speaks when, as the recordings' energy tells, in order."""

    samples: Samples
    reference: tuple[Part, ...]

    @property
    def speakers(self) -> int:
        return len({who for _, _, who in self.reference})


def read_speakers(directory: Path) -> Mapping[str, Sequence[Samples]]:
    """The recordings of each speaker, from files that are called SPEAKER-anything.

    Silence at their ends is cut off. Raises ValueError where there are not two speakers.
    """
    recordings: dict[str, list[Samples]] = {}
    for file in sorted(each for each in directory.iterdir() if each.suffix in SUFFIXES):
        samples = audio.decode(file, max_seconds=LONGEST_SEC)
        parts = spoken(samples)
        speaker = file.stem.split("-")[0]
        recordings.setdefault(speaker, []).append(samples[parts[0][0] : parts[-1][1]])
    if len(recordings) < 2:
        raise ValueError(f"{directory} has no recordings of two speakers (SPEAKER-anything.flac)")
    return recordings


def converse(
    recordings: Mapping[str, Sequence[Samples]],
    speakers: int,
    seconds: float,
    *,
    pauses: bool,
    seed: int,
) -> Conversation:
    """A conversation of about so many seconds, in which each of the speakers has a turn.

    Turns last 2 to 8 s and follow each other at once, or after 0.2 to 1.2 s with ``pauses``. The
    same seed gives the same conversation.
    """
    rng = np.random.default_rng(seed)
    who = [str(name) for name in rng.permutation(sorted(recordings))[:speakers]]
    pieces: list[Samples] = []
    reference: list[Part] = []
    length = turns = 0
    while length < seconds * SAMPLE_RATE or turns < len(who):
        others = [name for name in who if not reference or name != reference[-1][2]]
        name = who[turns] if turns < len(who) else str(rng.choice(others or who))
        turn = _turn(recordings[name], rng)
        reference += [(length + start, length + end, name) for start, end in spoken(turn)]
        pause = rng.standard_normal(int(pauses * rng.uniform(*PAUSE_SEC) * SAMPLE_RATE))
        pieces += [turn, (ROOM_NOISE * pause).astype(np.float32)]
        length += len(turn) + len(pause)
        turns += 1
    return Conversation(np.concatenate(pieces), tuple(reference))


def spoken(samples: Samples) -> list[tuple[int, int]]:
    """Where there is speech in a clean recording, by its energy and by no detector's opinion."""
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)
    energy = np.convolve((frames**2).mean(axis=1), np.ones(5) / 5, "same")
    level = 10 * np.log10(energy + 1e-10)
    loud = np.concatenate([[False], level > np.percentile(level, 95) - SPEECH_DB, [False]])
    parts: list[tuple[int, int]] = []
    for start, end in FRAME * np.flatnonzero(np.diff(loud)).reshape(-1, 2):
        if parts and start - parts[-1][1] < BRIDGED_SEC * SAMPLE_RATE:
            start = parts.pop()[0]
        parts.append((int(start), int(end)))
    return [part for part in parts if part[1] - part[0] >= SHORTEST_SEC * SAMPLE_RATE]


def _turn(recordings: Sequence[Samples], rng: np.random.Generator) -> Samples:
    """A turn: the end of one recording and, as far as that is too short, more of them."""
    missing = int(rng.uniform(*TURN_SEC) * SAMPLE_RATE)
    pieces: list[Samples] = []
    while missing > 0:
        recording = recordings[int(rng.integers(len(recordings)))]
        latest = max(1, len(recording) - int(TURN_SEC[0] * SAMPLE_RATE))
        start = 0 if pieces else int(rng.integers(latest))
        pieces.append(recording[start : start + missing])
        missing -= len(pieces[-1])
    return np.concatenate(pieces)
