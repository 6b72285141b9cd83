"""What flows between the stages, and the ports through which the stages reach the models.

Inside, the sample index at 16 kHz is the only clock; ranges are half-open. ``samples`` are
float32 in [-1, 1], shape (n,). A sequence bound ``through_seq`` is exclusive: every frame below it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from polyasr.samples import SAMPLE_RATE, Samples


class Urgency(IntEnum):
    """Who goes first on the model thread; the smaller the sooner."""

    DETECT = 0
    """Voice activity, and what takes a millisecond: everything else waits for it."""
    FINAL = 1
    PARTIAL = 2
    BATCH = 3


RequestId = str | int
"""What a client calls a flush or a mark."""
LONGEST_CHUNK = SAMPLE_RATE
"""Samples an AudioChunk holds at most, so that channels counted in chunks are bounded in audio."""


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """Consecutive audio of one utterance: [start_sample, start_sample + len(samples))."""

    samples: Samples
    start_sample: int


@dataclass(frozen=True, slots=True)
class EndOfAudio:
    """The utterance ends here. ``complete``: all that the client says it captured has come."""

    stop_id: str
    through_seq: int
    complete: bool


@dataclass(frozen=True, slots=True)
class Speech:
    """Audio to recognize, a piece of a passage, at its place on the client's clock.

    ``is_voiced``: there is a voice in it, it is no pause within a passage. ``is_doubtful``: the
    speaker filter has yet to say whether it stays.
    """

    samples: Samples
    start_sample: int
    is_voiced: bool = True
    is_doubtful: bool = False

    @property
    def end_sample(self) -> int:
        return self.start_sample + len(self.samples)


@dataclass(frozen=True, slots=True)
class Silence:
    """Audio up to ``end_sample`` was heard and holds nothing to recognize."""

    end_sample: int


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A pause ended a passage at ``end_sample``."""

    end_sample: int


@dataclass(frozen=True, slots=True)
class Flush:
    """The client wants what came before this to be sealed; it is known by its id."""

    flush_id: RequestId


@dataclass(frozen=True, slots=True)
class Mark:
    """The client wants to know when what came before this has been decoded.

    ``tail``: speech that has come already, and that is going to come again with more behind it.
    """

    mark_id: RequestId
    through_seq: int
    tail: tuple[Speech, ...] = ()


Audio = AudioChunk | Flush | Mark | EndOfAudio
"""What the detector hears, in order."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The doubtful speech before ``end_sample`` stays."""

    end_sample: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """The doubtful speech in [start_sample, end_sample) is another voice and is taken back."""

    start_sample: int
    end_sample: int
    similarity: float


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What a greedy decode makes of one segment's audio.

    ``tokens`` are the text's token ids, without the language header and the end token; ``logprobs``
    their natural-log probabilities; ``language`` a Qwen name ("English"), or "" when unknown or
    nothing was said. ``finish_reason``: ``stop`` (the model ended), ``length`` (the cap on tokens
    for this much audio) or ``repetition`` (a loop was cut). ``commit_regret``: it keeps committed
    text that greedy decoding would now write otherwise. ``pieces`` are the bytes (UTF-8, together)
    that each token stands for; ``language_logprob`` is the natural-log probability of the language,
    None where it was given or the model told none.
    """

    text: str
    language: str
    tokens: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()
    pieces: tuple[bytes, ...] = ()
    language_logprob: float | None = None
    finish_reason: str = "stop"
    commit_regret: bool = False


@dataclass(frozen=True, slots=True)
class Segment:
    """A sealed part of the utterance; ``start`` and ``end`` on the client's clock, in samples.

    ``commit_regret``: what was committed of it and what greedy decoding makes of the whole differ.
    ``words``, where they were asked for, are on that clock too.
    """

    text: str
    language: str
    start: int
    end: int
    tokens: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()
    pieces: tuple[bytes, ...] = ()
    language_logprob: float | None = None
    finish_reason: str = "stop"
    commit_regret: bool = False
    words: tuple[Word, ...] | None = None


@dataclass(frozen=True, slots=True)
class Transcript:
    """The whole: the segments, and their texts joined by the protocol's rule."""

    text: str
    segments: tuple[Segment, ...]
    n_samples: int

    @property
    def language(self) -> str:
        """The languages heard, in order, without repeats next to each other ("" for none)."""
        heard: list[str] = []
        for segment in self.segments:
            if segment.language and heard[-1:] != [segment.language]:
                heard.append(segment.language)
        return ",".join(heard)


@dataclass(frozen=True, slots=True)
class Partial:
    """The whole text so far: what agreement has settled, and what may still change."""

    committed: str
    tentative: str
    language: str
    end_sample: int

    @property
    def text(self) -> str:
        return self.committed + self.tentative


@dataclass(frozen=True, slots=True)
class Final:
    """The answer to a stop; ``recognized_through_seq`` is None when coverage was not earned."""

    text: str
    stop_id: str
    recognized_through_seq: int | None
    segments: tuple[Segment, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Word:
    """A word, or a character of Chinese, and where it is heard: [start, end) in samples.

    ``text`` is without punctuation. ``score`` is the model's probability in (0, 1] for the two
    boundaries, their geometric mean; None when it is not known.
    """

    text: str
    start: int
    end: int
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """``speaker``, a number from 0 on, has [start, end), in samples."""

    start: int
    end: int
    speaker: int


@dataclass(frozen=True, slots=True)
class SpeechChange:
    """A voice started or stopped at that sample."""

    has_started: bool
    sample: int


@dataclass(frozen=True, slots=True)
class Flushed:
    """What came before the flush with this id is sealed."""

    flush_id: RequestId


@dataclass(frozen=True, slots=True)
class Marked:
    """Every frame below ``through_seq`` has been decoded, for the mark with this id."""

    mark_id: RequestId
    through_seq: int


Result = Partial | Segment | Rejected | SpeechChange | Flushed | Marked | Final
"""What a dictation tells, in the order in which it comes."""


class SpeechDetector(Protocol):
    """Voice activity detection with recurrent state of its own: one instance a stream."""

    def fork(self) -> SpeechDetector:
        """A detector that goes on from here and leaves this one where it is."""
        ...

    async def probabilities(self, windows: NDArray[np.float32]) -> Sequence[float]:
        """Speech probability in [0, 1] of each 160 ms window; windows: (n, 2560), in order."""
        ...


class SpeakerEncoder(Protocol):
    """Voice embeddings."""

    async def embed_windows(
        self, windows: NDArray[np.float32], urgency: Urgency = Urgency.PARTIAL
    ) -> NDArray[np.float32]:
        """A unit vector for each window of 1.6 s, (n, 25600) to (n, 256).

        Raises InferenceFailed.
        """
        ...

    async def embed(self, samples: Samples) -> NDArray[np.float32]:
        """One unit vector, shape (256,), for at least 1.0 s of speech."""
        ...


class WordAligner(Protocol):
    """The model that tells where in the audio each word of a text is."""

    @property
    def present(self) -> bool:
        """Whether its files are on this machine, so that using it downloads nothing; cheap."""
        ...

    async def ready(self) -> None:
        """Wait until it is loaded. Raises ModelUnavailable, saying why it is not there."""
        ...

    async def ready_beside_recognizer(self) -> None:
        """As ``ready``, for a dictation, which keeps the recognizer in memory.

        Raises ModelUnavailable at once where there may be one model at a time.
        """
        ...

    @property
    def longest(self) -> int:
        """Samples that it is good at when it gets them at once; it may take more."""
        ...

    async def align(self, samples: Samples, text: str, language: str | None) -> tuple[Word, ...]:
        """The words of ``text`` in their order, on the clock of ``samples``: 0 is their start.

        Times never run backwards and lie inside the audio; a text without a letter
        or digit has no words. ``language``: a Qwen name, which tells how Japanese and Korean are
        split into words. Raises InferenceFailed or ModelUnavailable.
        """
        ...


class Diarizer(Protocol):
    """A model that tells by itself who speaks when."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    async def ready(self) -> None:
        """Wait until it is loaded. Raises ModelUnavailable, saying why it is not there."""
        ...

    async def turns(
        self,
        recording: Samples,
        least: int,
        most: int,
        tell: Callable[[float], Awaitable[object]],
    ) -> Sequence[Turn]:
        """The turns of a whole recording, of so many speakers if they can be found, as the model
        has them: in order of their starts, short ones among them.

        ``tell`` hears, again and again, which share of the work, in [0, 1], is done. Raises
        InferenceFailed, ModelUnavailable, and what ``tell`` does.
        """
        ...


class VoiceEngine(Protocol):
    """The models that tell who speaks when, which works without a recognizer."""

    @property
    def diarizer(self) -> Diarizer | None:
        """What tells it by itself, None where it is to be told with the rest of this."""
        ...

    def open_listener(self) -> SpeechDetector:
        """A detector for one stream that nobody recognizes."""
        ...

    async def embed_windows(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """A unit vector for each window of 1.6 s, (n, 25600) to (n, 256). Raises InferenceFailed.

        One job of the lowest urgency, so that ``n`` bounds what a dictation waits for it.
        """
        ...


class Recognition(Protocol):
    """One segment of one stream under recognition.

    Audio is appended as it comes, cropped from the end, or split in two; ``hypothesis`` decodes
    what is held. How much of that work is done anew is the engine's business; the text is that of
    a greedy decode of exactly the held audio.
    """

    def append(self, samples: Samples) -> None:
        """Add audio at the end."""
        ...

    def crop(self, length: int) -> None:
        """Keep the first ``length`` samples."""
        ...

    def split(self, length: int) -> Recognition:
        """Keep the first ``length`` samples; what came after them begins the returned segment."""
        ...

    @property
    def audio(self) -> Samples:
        """The audio held."""
        ...

    async def hypothesis(self, urgency: Urgency, committed: str = "") -> Hypothesis:
        """Decode all audio held. Raises InferenceFailed or ModelUnavailable.

        ``committed``, a beginning of the last answer's text, is kept, and its language with it.
        """
        ...

    def close(self) -> None:
        """Free what the engine holds for this segment; nothing may be asked of it afterwards."""
        ...


class Recognizer(Protocol):
    """What makes text of speech, as batch sees it: a model that recognizes or translates."""

    def pinned(self) -> AbstractContextManager[None]:
        """Keep the model in memory for the length of the block, from its first use in it."""
        ...

    def open_detector(self) -> SpeechDetector:
        """A detector for one stream."""
        ...

    def open_recognition(self, *, language: str | None, context: str) -> Recognition:
        """An empty segment. ``language``: a name of `polyasr.languages` to force, or None to let
        the model decide."""
        ...


class Engine(Recognizer, Protocol):
    """The models, as the pipeline sees them."""

    @property
    def speaker_encoder(self) -> SpeakerEncoder:
        """The encoder of voices, shared by all streams."""
        ...

    @property
    def word_aligner(self) -> WordAligner:
        """What tells where the words of a text are; loaded at its first use."""
        ...
