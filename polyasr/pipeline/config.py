"""What the server sets for all dictations."""

from __future__ import annotations

from dataclasses import dataclass

from polyasr.pipeline.recognizer import RecognizerOptions
from polyasr.protocol.session import Limits
from polyasr.samples import SAMPLE_RATE
from polyasr.settings import Settings


@dataclass(frozen=True, slots=True)
class DictationOptions:
    """How one dictation is recognized. An append-only one is of control 3, and only such a one."""

    recognizer: RecognizerOptions
    speaker_filter: bool

    @property
    def control(self) -> int:
        """The highest control level that may be granted to a client that resumes."""
        return 3 if self.recognizer.append_only else 2


@dataclass(frozen=True, slots=True)
class DictationConfig:
    """Times in seconds.

    ``max_sessions`` bounds the sessions with a connection and, once more, those without one;
    ``resume_ttl`` is how long a session waits for its client, ``stop_result_ttl`` how long its
    answers are kept, ``idle_timeout`` how long a connection may say nothing.
    """

    recognizer: RecognizerOptions = RecognizerOptions()
    speaker_filter: bool = True
    limits: Limits = Limits()
    max_sessions: int = 32
    resume_ttl: float = 300.0
    stop_result_ttl: float = 300.0
    idle_timeout: float = 300.0

    @classmethod
    def from_settings(cls, settings: Settings) -> DictationConfig:
        """The server's settings, in the pipeline's units."""
        return cls(
            recognizer=RecognizerOptions.from_settings(settings),
            speaker_filter=settings.speaker_filter,
            limits=Limits(max_session_bytes=settings.max_audio_seconds * SAMPLE_RATE * 2),
            max_sessions=settings.max_sessions,
            resume_ttl=settings.resume_ttl_sec,
            stop_result_ttl=settings.stop_result_ttl_sec,
            idle_timeout=settings.idle_timeout_sec,
        )
