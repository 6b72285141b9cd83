"""What was heard of a server while a clip was spoken to it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Heard:
    """What a server shows at one moment.

    ``text`` is all of it; ``committed`` the part of it that the server promises not to change,
    None when it promises nothing. ``covered`` comes with a final: seconds of the audio that the
    server says are in it, None when it says nothing.
    """

    text: str
    committed: str | None = None
    is_final: bool = False
    covered: float | None = None

    @property
    def promised(self) -> str | None:
        """What will not change: of a final, all."""
        return self.text if self.is_final else self.committed


@dataclass(frozen=True, slots=True)
class Event:
    """When something was heard, on the clip's clock: what it says at t was captured at t."""

    at: float
    heard: Heard


@dataclass(frozen=True, slots=True)
class Observed:
    """One clip, spoken to a server. Times in seconds on the clip's clock.

    ``failure`` says why there is no final, None when there is one. ``sent`` counts seconds of
    audio; ``last_byte`` is when the last of it was handed over, None if that never happened;
    ``late`` how much later than it was captured the latest frame was, which is our own delay or
    the server's back pressure; ``connect`` how long the connection took.
    """

    events: tuple[Event, ...]
    sent: float
    last_byte: float | None
    late: float
    connect: float
    failure: str | None = None

    @property
    def final(self) -> Event | None:
        """The final, None where it never came."""
        if self.failure is not None:
            return None
        return next((event for event in self.events if event.heard.is_final), None)

    @property
    def shown(self) -> tuple[Event, ...]:
        """All that came, but nothing after the final."""
        final = self.final
        return self.events if final is None else self.events[: self.events.index(final) + 1]
