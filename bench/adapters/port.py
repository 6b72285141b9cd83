"""What an adapter is: it speaks one server's protocol, and tells what the server shows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from bench.dictation.observed import Heard
from polyasr.errors import PolyasrError


class StreamFailed(PolyasrError):
    """The server ended a stream without a final, or said what the adapter cannot read."""

    code = "stream_failed"


class Stream(Protocol):
    """One utterance under way. Its methods raise PolyasrError."""

    async def send(self, pcm16: bytes) -> None:
        """Send audio, PCM16 at 16 kHz."""
        ...

    async def stop(self) -> None:
        """There is no more audio."""
        ...

    def __aiter__(self) -> AsyncIterator[Heard]:
        """What the server shows, at once when it comes; ends with the server's last word."""
        ...


class Adapter(Protocol):
    """A server, and how to speak to it."""

    def open(self, language: str) -> AbstractAsyncContextManager[Stream]:
        """Begin an utterance; "" is a language that is not told. Raises PolyasrError."""
        ...

    async def batch(self, pcm16: bytes, language: str) -> str | None:
        """The server's text of a whole recording, None where it has no such thing.

        Raises PolyasrError.
        """
        ...

    async def describe(self) -> Mapping[str, str]:
        """What the server says of itself, the model above all; empty when it says nothing."""
        ...
