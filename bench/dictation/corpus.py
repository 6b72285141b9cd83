"""Recordings, what is said in them, and when: a folder's, or synthesised ones.

A folder holds ``NAME.wav`` (or another format) and ``NAME.txt``, and may hold ``NAME.json`` with
the times of the words: ``[{"text": "Open", "start": 0.31, "end": 0.62}, …]``, in seconds. What is
synthesised is such a folder, made once.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import multiprocessing
import random
import re
import tempfile
import wave
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.conversations import ROOM_NOISE, SUFFIXES, spoken
from polyasr import audio
from polyasr.samples import SAMPLE_RATE, Samples, to_pcm16
from training.domain import LANGUAGES, Language, sentences
from training.synthesis import Span, random_voice, synthesize

CACHE = Path(__file__).parents[2] / ".cache" / "bench"
VERSION = 1
"""Counts changes of how clips are made."""
LEAD_SEC = 0.3
TAIL_SEC = 0.1
"""Silence before and after: someone presses a key, speaks, and lets go."""
GAP_SEC = (0.2, 0.8)
"""Between two sentences of a longer clip."""
LONGEST_SEC = 4 * 3600


@dataclass(frozen=True, slots=True)
class Word:
    """When a word is said, in seconds from the start of its clip."""

    text: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Clip:
    """A recording, PCM16 at 16 kHz. ``words`` is empty where nobody knows their times.

    ``onset`` and ``end`` are those of the speech, in seconds; ``language`` is Qwen's name of it,
    "" where it is not told.
    """

    name: str
    pcm16: bytes
    text: str
    language: str
    words: tuple[Word, ...]
    onset: float
    end: float

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.pcm16) / 2 / SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Recipe:
    """What to synthesise: so many clips of at least so many seconds; 0: of one sentence each."""

    count: int
    seconds: int = 0
    language: Language = "English"
    seed: int = 0

    @classmethod
    def parse(cls, text: str, language: str = "English", seed: int = 0) -> Recipe:
        """From ``48`` (sentences) or ``8x40`` (clips of 40 s). Raises ValueError."""
        found = re.fullmatch(r"([1-9]\d{0,3})(?:x(\d{1,4}))?", text)
        if not found:
            raise ValueError(f"{text!r} is neither a number of sentences nor like 8x40")
        spoken_here: dict[str, Language] = {name: name for name in LANGUAGES}
        if language not in spoken_here:
            raise ValueError(f"{language!r} is not synthesised: {', '.join(LANGUAGES)} are")
        return cls(int(found[1]), int(found[2] or 0), spoken_here[language], seed)

    @property
    def name(self) -> str:
        """As `parse` reads it."""
        return f"{self.count}x{self.seconds}"

    @property
    def folder(self) -> str:
        """What its folder is called."""
        return f"{self.language}-{self.name}-seed{self.seed}-v{VERSION}"


def synthesized(recipe: Recipe, cache: Path = CACHE) -> tuple[Clip, ...]:
    """The clips of a recipe, made when they are first asked for; equal recipes sound the same.

    Raises SynthesizerMissing.
    """
    folder = cache / recipe.folder
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        # A process of its own, because espeak-ng remembers earlier utterances.
        making = Path(tempfile.mkdtemp(dir=cache))
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(max_workers=1, mp_context=spawn) as process:
            process.submit(_synthesize, recipe, making).result()
        making.rename(folder)
    return read_folder(folder, recipe.language)


def read_folder(folder: Path, language: str = "") -> tuple[Clip, ...]:
    """The recordings of a folder by name. Raises ValueError where there are none, and OSError."""
    files = sorted(file for file in folder.iterdir() if file.suffix in SUFFIXES)
    clips = tuple(_read(file, language) for file in files if file.with_suffix(".txt").exists())
    if not clips:
        raise ValueError(f"{folder} has no recordings with their texts (NAME.wav and NAME.txt)")
    return clips


def digest(clips: Iterable[Clip]) -> str:
    """SHA-256 of the recordings, the texts and the times."""
    whole = hashlib.sha256()
    for clip in clips:
        told = dataclasses.asdict(clip) | {"pcm16": hashlib.sha256(clip.pcm16).hexdigest()}
        whole.update(json.dumps(told, sort_keys=True).encode())
    return whole.hexdigest()


def _read(file: Path, language: str) -> Clip:
    samples = audio.decode(file, max_seconds=LONGEST_SEC)
    text = " ".join(file.with_suffix(".txt").read_text("utf-8").split())
    times = file.with_suffix(".json")
    try:
        told = json.loads(times.read_text("utf-8")) if times.exists() else []
        words = tuple(Word(**entry) for entry in told)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{times} does not hold the times of words: {error}") from error
    if words:
        onset, end = words[0].start, words[-1].end
    else:
        parts = spoken(samples)
        if not parts:
            raise ValueError(f"{file} has no speech in it")
        onset, end = parts[0][0] / SAMPLE_RATE, parts[-1][1] / SAMPLE_RATE
    return Clip(file.stem, to_pcm16(samples), text, language, words, onset, end)


def _synthesize(recipe: Recipe, folder: Path) -> None:
    """Write the files of all clips."""
    rng = random.Random(f"{recipe.seed}/{recipe.seconds}")
    enough = recipe.count * max(1, recipe.seconds)
    drawn = sentences(recipe.seed, enough, recipe.language, test=True)
    for number in range(recipe.count):
        voice = random_voice(rng, recipe.language, engine="espeak")
        pieces, words, texts, at = [_silence(LEAD_SEC)], list[Word](), list[str](), LEAD_SEC
        while True:
            spoken_clip = synthesize(voice, next(drawn))
            pieces.append(spoken_clip.samples)
            words += [_word(span, at) for span in spoken_clip.words]
            texts.append(spoken_clip.sentence.text)
            at += spoken_clip.seconds
            if at >= recipe.seconds:
                break
            pieces.append(_silence(rng.uniform(*GAP_SEC)))
            at += len(pieces[-1]) / SAMPLE_RATE
        pieces.append(_silence(TAIL_SEC))
        joined = (" " if recipe.language == "English" else "").join(texts)
        _write(folder / f"{number:04}.wav", np.concatenate(pieces), joined, words)


def _silence(seconds: float) -> Samples:
    return np.zeros(int(seconds * SAMPLE_RATE), np.float32)


def _word(span: Span, at: float) -> Word:
    return Word(span.text, round(at + span.start, 4), round(at + span.end, 4))


def _write(file: Path, samples: Samples, text: str, words: list[Word]) -> None:
    rng = np.random.default_rng(len(samples))
    quiet = ROOM_NOISE * rng.standard_normal(len(samples))
    with wave.open(str(file), "wb") as recording:
        recording.setnchannels(1)
        recording.setsampwidth(2)
        recording.setframerate(SAMPLE_RATE)
        recording.writeframes(to_pcm16((samples + quiet).astype(np.float32)))
    file.with_suffix(".txt").write_text(text + "\n", "utf-8")
    times = json.dumps([dataclasses.asdict(word) for word in words], ensure_ascii=False)
    file.with_suffix(".json").write_text(times + "\n", "utf-8")
