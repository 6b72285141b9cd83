"""The port through which dictations are counted and timed."""

from __future__ import annotations

from typing import Protocol

from polyasr.pipeline.types import Segment


class Observer(Protocol):
    """Whoever counts. Nothing here waits, and nothing here fails."""

    def began(self) -> None:
        """A dictation has begun."""
        ...

    def heard(self, n_samples: int) -> None:
        """So much audio of a dictation came in."""
        ...

    def showed(self, behind: float) -> None:
        """A partial was made, of audio that is so many seconds older than the newest."""
        ...

    def sealed(self, segment: Segment) -> None:
        """A segment of a dictation is over."""
        ...

    def answered(self, seconds: float) -> None:
        """The final was there so long after the end of audio was known."""
        ...

    def failed(self, code: str) -> None:
        """A dictation ended by the error with this code."""
        ...


class Unobserved:
    """Nobody counts."""

    def began(self) -> None:
        pass

    def heard(self, n_samples: int) -> None:
        pass

    def showed(self, behind: float) -> None:
        pass

    def sealed(self, segment: Segment) -> None:
        pass

    def answered(self, seconds: float) -> None:
        pass

    def failed(self, code: str) -> None:
        pass


UNOBSERVED = Unobserved()
