"""Synthesised speech with word and phoneme times: espeak-ng through its library, flite through
its command line.

espeak-ng keeps state between utterances, so the same calls give the same samples only when they
are made in the same order in a fresh process.
"""

from __future__ import annotations

import ctypes
import functools
import random
import shutil
import subprocess
import tempfile
import wave
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import soxr
from numpy.typing import NDArray

from training.domain import PUNCTUATION, Language, Sentence

SAMPLE_RATE = 16_000
Engine = Literal["espeak", "flite"]
Samples = NDArray[np.float32]

ESPEAK_ACCENTS = (
    "en-us",
    "en",
    "en-gb-scotland",
    "en-gb-x-rp",
    "en-029",
    "en-gb-x-gbclan",
    "en-gb-x-gbcwmd",
    "en-us-nyc",
)
ESPEAK_MANDARIN = "cmn-latn-pinyin"
ESPEAK_VARIANTS = (
    "",
    "m1",
    "m2",
    "m3",
    "m4",
    "m6",
    "m7",
    "m8",
    "f1",
    "f2",
    "f3",
    "f5",
    "Alex",
    "Alicia",
    "Andrea",
    "Annie",
    "Denis",
    "Diogo",
    "Gene",
    "Henrique",
    "Hugo",
    "Jacky",
    "Lee",
    "Marco",
    "Mario",
    "Michael",
    "Mike",
    "adam",
    "anika",
    "antonio",
    "aunty",
    "belinda",
    "benjamin",
    "boris",
    "caleb",
    "ed",
    "edward",
    "grandma",
    "gustave",
    "iven",
    "iven2",
    "john",
    "klatt",
    "klatt2",
    "klatt3",
    "klatt4",
    "linda",
    "marcelo",
    "miguel",
    "pablo",
    "paul",
    "pedro",
    "quincy",
    "rob",
    "sandro",
    "shelby",
    "steph",
    "steph2",
    "travis",
    "victor",
    "zac",
)
ESPEAK_TEST_VARIANTS = ("m5", "f4", "Andy", "david", "max", "norbert", "robert", "steph3")
FLITE_VOICES = ("slt", "rms", "kal", "kal16")
FLITE_TEST_VOICES = ("awb",)

_LETTER_A = "[[eI]]"
_FLITE_PAUSE = "pau"
_ESPEAK_WORD, _ESPEAK_PHONEME, _ESPEAK_END_OF_LIST = 1, 7, 0
_ESPEAK_SYNCHRONOUS, _ESPEAK_PHONEME_EVENTS = 2, 1
_ESPEAK_UTF8, _ESPEAK_PHONEME_INPUT = 1, 0x100
_ESPEAK_RATE, _ESPEAK_PITCH, _ESPEAK_RANGE = 1, 3, 4
_EDGE = 0.03  # seconds kept around the speech, where the last sound dies away


class SynthesizerMissing(RuntimeError):
    """A speech synthesiser is not installed; the message names its Debian package."""


@dataclass(frozen=True)
class Voice:
    """A voice and how it speaks.

    `rate` is words a minute (flite is set to the same relative speed); `pitch` and `range` are
    espeak-ng's, 0 to 99; `warp` resamples the speech: 1.1 is ten percent higher and faster.
    """

    engine: Engine
    name: str
    rate: int = 160
    pitch: int = 50
    range: int = 50
    warp: float = 1.0


class Span(NamedTuple):
    """A word or a phoneme and its times in seconds from the start of the clip."""

    text: str
    start: float
    end: float


@dataclass(frozen=True)
class Clip:
    """Speech from the first sound to the last: float32 samples at 16 kHz, full scale ±1."""

    samples: Samples
    words: tuple[Span, ...]
    phones: tuple[Span, ...]
    sentence: Sentence

    @property
    def seconds(self) -> float:
        """Length of the clip."""
        return len(self.samples) / SAMPLE_RATE


def silence(seconds: float) -> Samples:
    """So much of nothing."""
    return np.zeros(int(seconds * SAMPLE_RATE), np.float32)


def random_voice(
    rng: random.Random, language: Language, *, engine: Engine | None = None, test: bool = False
) -> Voice:
    """Draw a voice for training, or with `test` one that is never trained on."""
    if engine is None:
        engine = "flite" if language == "English" and rng.random() < 0.2 else "espeak"
    warp = rng.uniform(0.87, 1.15) if rng.random() < 0.6 else 1.0
    rate = rng.randint(120, 200)
    if engine == "flite":
        name = rng.choice(FLITE_TEST_VOICES if test else FLITE_VOICES)
        return Voice(engine, name, rate=rate, warp=warp)
    base = rng.choice(ESPEAK_ACCENTS) if language == "English" else ESPEAK_MANDARIN
    variant = rng.choice(ESPEAK_TEST_VARIANTS if test else ESPEAK_VARIANTS)
    name = f"{base}+{variant}" if variant else base
    return Voice(engine, name, rate, rng.randint(20, 80), rng.randint(25, 75), warp)


def synthesize(voice: Voice, sentence: Sentence) -> Clip:
    """Speak a sentence.

    Raises SynthesizerMissing when the engine is not installed, RuntimeError when it fails.
    """
    speak = _speak_espeak if voice.engine == "espeak" else _speak_flite
    samples, rate, words, phones = speak(voice, sentence)
    scale = 1.0 / voice.warp
    samples = soxr.resample(samples, rate * voice.warp, SAMPLE_RATE, quality="MQ")
    samples = np.asarray(samples, np.float32)
    start = max(0.0, phones[0].start * scale - _EDGE)
    end = min(len(samples) / SAMPLE_RATE, phones[-1].end * scale + _EDGE)

    def moved(spans: list[Span]) -> tuple[Span, ...]:
        return tuple(
            Span(text, max(0.0, a * scale - start), max(0.0, b * scale - start))
            for text, a, b in spans
        )

    cut = samples[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)].copy()
    return Clip(cut, moved(words), moved(phones), sentence)


_Spoken = tuple[Samples, int, list[Span], list[Span]]


class _EventId(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    ]


class _Espeak:
    """The library, initialised once a process (it is a global by its nature)."""

    def __init__(self) -> None:
        try:
            self._library = ctypes.CDLL("libespeak-ng.so.1")
        except OSError as error:
            raise SynthesizerMissing(
                "libespeak-ng is not installed: install the Debian packages espeak-ng and "
                "libespeak-ng1"
            ) from error
        self.rate: int = self._library.espeak_Initialize(
            _ESPEAK_SYNCHRONOUS, 0, None, _ESPEAK_PHONEME_EVENTS
        )
        if self.rate <= 0:
            raise SynthesizerMissing(
                "espeak-ng finds no voice data: install the Debian package espeak-ng-data"
            )
        kind = ctypes.CFUNCTYPE(
            ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
        )
        self._callback = kind(self._receive)
        self._library.espeak_SetSynthCallback(self._callback)
        self._pieces: list[NDArray[np.int16]] = []
        self._words: list[tuple[int, int]] = []
        self._phones: list[tuple[str, int]] = []

    def _receive(self, wav: Any, count: int, events: Any) -> int:
        if count:
            self._pieces.append(np.ctypeslib.as_array(wav, (count,)).copy())
        index = 0
        while events[index].type != _ESPEAK_END_OF_LIST:
            event = events[index]
            if event.type == _ESPEAK_WORD and event.text_position > 0:
                self._words.append((event.text_position - 1, event.sample))
            elif event.type == _ESPEAK_PHONEME:
                self._phones.append((event.id.string.decode(errors="replace"), event.sample))
            index += 1
        return 0

    def speak(
        self, voice: Voice, text: str
    ) -> tuple[NDArray[np.int16], list[tuple[int, int]], list[tuple[str, int]]]:
        """Samples, (character, sample) of each word begun, (mnemonic, sample) of each phoneme."""
        self._pieces, self._words, self._phones = [], [], []
        library = self._library
        if library.espeak_SetVoiceByName(voice.name.encode()) != 0:
            raise RuntimeError(f"espeak-ng has no voice {voice.name}")
        library.espeak_SetParameter(_ESPEAK_RATE, voice.rate, 0)
        library.espeak_SetParameter(_ESPEAK_PITCH, voice.pitch, 0)
        library.espeak_SetParameter(_ESPEAK_RANGE, voice.range, 0)
        encoded = text.encode()
        flags = _ESPEAK_UTF8 | _ESPEAK_PHONEME_INPUT
        failed = library.espeak_Synth(encoded, len(encoded) + 1, 0, 1, 0, flags, None, None)
        if failed or not self._pieces:
            raise RuntimeError(f"espeak-ng could not speak {text!r} as {voice.name}")
        return np.concatenate(self._pieces), self._words, self._phones


@functools.cache
def _espeak() -> _Espeak:
    return _Espeak()


def _speak_espeak(voice: Voice, sentence: Sentence) -> _Spoken:
    engine = _espeak()
    spoken = [
        _LETTER_A + word[1:] if word.strip(PUNCTUATION) == "A" else word for word in sentence.spoken
    ]
    pcm, word_events, phone_events = engine.speak(voice, " ".join(spoken))
    rate = engine.rate
    ends = [sample for _, sample in phone_events[1:]] + [len(pcm)]
    phones = [
        Span(name, start / rate, end / rate)
        for (name, start), end in zip(phone_events, ends, strict=True)
        if not name.startswith("_") and end > start
    ]
    starts = _word_starts(spoken, word_events)
    samples = pcm.astype(np.float32) / np.float32(32768)
    return samples, rate, _words_of(sentence, starts, phones, rate), phones


def _word_starts(spoken: list[str], events: list[tuple[int, int]]) -> list[int | None]:
    """The first sample of each word, where the engine reported one."""
    starts: list[int | None] = [None] * len(spoken)
    bounds = [0]
    for word in spoken:
        bounds.append(bounds[-1] + len(word) + 1)
    for position, sample in events:
        for index, (first, last) in enumerate(pairwise(bounds)):
            if first <= position < last and starts[index] is None:
                starts[index] = sample
    return starts


def _words_of(
    sentence: Sentence, starts: list[int | None], phones: list[Span], rate: int
) -> list[Span]:
    """Words from their starts; those the engine ran together share their time by length.

    A word ends where its last sound does, which is before a pause that follows it.
    """
    count = len(starts)
    known = [index for index in range(count) if starts[index] is not None]
    times = [0.0] * (count + 1)
    times[count] = phones[-1].end
    for index in known:
        times[index] = (starts[index] or 0) / rate
    if 0 not in known:
        known.insert(0, 0)
        times[0] = phones[0].start
    for first, last in pairwise([*known, count]):
        lengths = np.cumsum([len(word) for word in sentence.spoken[first:last]])
        width = times[last] - times[first]
        for offset in range(1, last - first):
            times[first + offset] = times[first] + width * lengths[offset - 1] / lengths[-1]
    return _trimmed(sentence, times, phones)


def _trimmed(sentence: Sentence, times: list[float], phones: list[Span]) -> list[Span]:
    words = []
    for word, (start, end) in zip(sentence.words, pairwise(times), strict=True):
        sounding = [p.end for p in phones if start - 1e-4 <= p.start < end - 1e-4]
        words.append(Span(word, start, min(end, max(sounding)) if sounding else end))
    return words


def _speak_flite(voice: Voice, sentence: Sentence) -> _Spoken:
    stretch = 160 / voice.rate
    samples, rate, phones = _run_flite(voice.name, " ".join(sentence.spoken), stretch)
    sounding = [phone for phone in phones if phone.text != _FLITE_PAUSE]
    spelt = [_flite_pronunciation(word.strip(PUNCTUATION)) for word in sentence.spoken]
    expected = [(sound, index) for index, word in enumerate(spelt) for sound in word]
    owners = _owners([phone.text for phone in sounding], expected)
    times: list[float] = []
    for index in range(len(spelt)):
        mine = [p.start for p, owner in zip(sounding, owners, strict=True) if owner == index]
        times.append(mine[0] if mine else (times[-1] if times else sounding[0].start))
    times.append(sounding[-1].end)
    named = [Span(f"f:{p.text}", p.start, p.end) for p in sounding]
    return samples, rate, _trimmed(sentence, times, sounding), named


def _run_flite(name: str, text: str, stretch: float) -> tuple[Samples, int, list[Span]]:
    """One call of the command: samples, their rate, and all segments, pauses among them."""
    program = shutil.which("flite")
    if program is None:
        raise SynthesizerMissing("flite is not installed: install the Debian package flite")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        done = subprocess.run(
            [
                program,
                "-voice",
                name,
                "-psdur",
                "--setf",
                f"duration_stretch={stretch:.3f}",
                "-o",
                str(path),
                "-t",
                text,
            ],
            capture_output=True,
            text=True,
            check=True,
        )
        with wave.open(str(path)) as sound:
            rate = sound.getframerate()
            pcm = np.frombuffer(sound.readframes(sound.getnframes()), np.int16)
    phones, start = [], 0.0
    for entry in done.stdout.split():
        label, _, end = entry.rpartition(":")
        phones.append(Span(label, start, float(end)))
        start = float(end)
    return pcm.astype(np.float32) / np.float32(32768), rate, phones


@functools.lru_cache(maxsize=2048)
def _flite_pronunciation(word: str) -> tuple[str, ...]:
    """How flite says a word by itself."""
    _, _, phones = _run_flite("kal", word + ".", 1.0)
    return tuple(phone.text for phone in phones if phone.text != _FLITE_PAUSE)


def _owners(spoken: list[str], expected: list[tuple[str, int]]) -> list[int]:
    """Give each spoken segment to a word, by the cheapest alignment with what was expected."""
    rows, columns = len(spoken) + 1, len(expected) + 1
    cost = np.zeros((rows, columns))
    cost[:, 0], cost[0] = np.arange(rows), np.arange(columns)
    for i in range(1, rows):
        for j in range(1, columns):
            differs = spoken[i - 1] != expected[j - 1][0]
            cost[i, j] = min(cost[i - 1, j - 1] + differs, cost[i - 1, j] + 1, cost[i, j - 1] + 1)
    owners = [0] * len(spoken)
    i, j = rows - 1, columns - 1
    while i > 0:
        if j > 0:
            owners[i - 1] = expected[j - 1][1]
            differs = spoken[i - 1] != expected[j - 1][0]
            if cost[i, j] == cost[i - 1, j - 1] + differs:
                i, j = i - 1, j - 1
                continue
            if cost[i, j] == cost[i, j - 1] + 1:
                j -= 1
                continue
        i -= 1
    return owners
