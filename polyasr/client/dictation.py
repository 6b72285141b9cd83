"""One dictation as a client sees it."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Protocol

import trio

from polyasr.client.batch import rescuer
from polyasr.client.capture import BYTES_PER_SECOND, FRAME_BYTES, Capture
from polyasr.client.link import DictationFailed, Link, Received, Rescue, Told
from polyasr.client.servers import Connect, Servers
from polyasr.client.socket import bearer, open_socket, parse_address
from polyasr.errors import PolyasrError, ungrouped
from polyasr.protocol.fields import RequestId
from polyasr.protocol.messages import Final, Flush, Mark, Partial, Start, Stop

PATIENCE_SEC = 60.0
"""How long a lost server is looked for: a lift, a tunnel, a restart."""
LEAVE_SEC = 3.0
"""For the goodbye when the caller leaves."""


class Dictation:
    """A dictation under way. Iterate over it to receive; send and stop from another task.

    The iterator gives partials and the final, and at control 3 what else is told, and ends when a
    server is done. A connection that is lost is opened again and the session resumed; a server that
    reports an error or stays away is given up for the next. Where that one hears everything again,
    or the same one has lost the session, ``Restarted`` says so. When none is left, the recording is
    posted to their batch endpoints once the dictation is stopped. The iterator raises
    DictationFailed or ServerUnreachable when all of that was in vain, and at once when no session
    was ever begun. A final that does not cover all the audio comes only after all of it was sent
    twice.

    Every message is also kept in ``received``, with the time it came.
    """

    def __init__(self, link: Link) -> None:
        self._link = link

    @property
    def session_id(self) -> str:
        """The session's id."""
        return self._link.start.session_id

    @property
    def received(self) -> list[Received]:
        """All messages of the server so far."""
        return self._link.received

    @property
    def trouble(self) -> PolyasrError | None:
        """Why no server listens just now; None while one does. Audio is taken and kept."""
        return self._link.trouble

    @property
    def captured_frames(self) -> int:
        """Frames so far: ``finalCapturedSeq`` when the dictation stops here."""
        return self._link.capture.n_frames

    async def send(self, pcm16: bytes) -> None:
        """Send audio, PCM16 at 16 kHz mono, in pieces of any size; it goes out in 100 ms frames.

        The audio is taken at once, also when this is cancelled. It waits only while more of it than
        is kept has not been acknowledged. When the dictation is over this does nothing: why it is
        over is raised to who iterates.
        """
        link = self._link
        if not link.is_over:
            link.capture.add(pcm16)
            link.tell()
        while link.capture.is_full and not link.is_over:
            await link.changed()
        await trio.lowlevel.checkpoint()

    async def stop(self, stop_id: str | None = None) -> None:
        """Send what is left of the audio, but for half a sample, and end the utterance."""
        link = self._link
        link.capture.finish()
        link.stop = Stop(uuid.uuid4().hex if stop_id is None else stop_id, link.capture.n_frames)
        link.tell()
        await trio.lowlevel.checkpoint()

    async def flush(self, flush_id: RequestId | None = None) -> RequestId:
        """Have sealed what was said so far; answered by ``Flushed`` with the id that is returned.

        Takes control 3, as ``mark`` does. Raises ValueError without it.
        """
        return await self._request(Flush, flush_id)

    async def mark(self, mark_id: RequestId | None = None) -> RequestId:
        """Ask when all audio so far has been decoded; answered by ``Marked`` with that id."""
        return await self._request(Mark, mark_id)

    async def _request(self, kind: type[Flush], asked_id: RequestId | None) -> RequestId:
        if self._link.start.control < 3:
            raise ValueError(f"a {kind.TYPE} takes a dictation that was opened with control=3")
        request = kind(uuid.uuid4().hex if asked_id is None else asked_id)
        self._link.request(request)
        await trio.lowlevel.checkpoint()
        return request.id

    def __aiter__(self) -> Dictation:
        return self

    async def __anext__(self) -> Told:
        try:
            return await self._link.events.receive()
        except trio.EndOfChannel:
            if self._link.failure is not None:
                raise self._link.failure from None
            raise StopAsyncIteration from None


@asynccontextmanager
async def open_dictation(
    url: str | Sequence[str],
    *,
    control: int = 2,
    language: str | None = None,
    context: str = "",
    session_id: str | None = None,
    api_key: str | None = None,
    patience: float = PATIENCE_SEC,
    word_times: bool = False,
    speaker_filter: bool | None = None,
    endpointing: bool = True,
) -> AsyncIterator[Dictation]:
    """Connect to ``ws://host:port/ws/transcribe``, or the first of several that answers, and start.

    ``patience`` is how many seconds a lost server is looked for, 0 for not at all; the last three
    are for control 3 and as `Start` has them. Raises, in one
    line that says what to do, ServerUnreachable when nobody answers there, and ConfigurationError
    when the address or the key cannot be one.
    """
    urls = [url] if isinstance(url, str) else list(url)
    for each in urls:
        parse_address(each)
    if api_key:
        bearer(api_key)
    start = Start(
        session_id or uuid.uuid4().hex,
        control=control,
        language=language or "",
        context=context,
        word_times=word_times,
        speaker_filter=speaker_filter,
        endpointing=endpointing,
    )
    connects = [partial(open_socket, each, api_key) for each in urls]
    rescue = rescuer(urls, api_key, patience)
    async with dictate_over(connects, start, patience, rescue=rescue) as dictation:
        yield dictation


@asynccontextmanager
async def dictate_over(
    connect: Connect | Sequence[Connect],
    start: Start,
    patience: float = PATIENCE_SEC,
    capture: Capture | None = None,
    rescue: Rescue | None = None,
) -> AsyncIterator[Dictation]:
    """A dictation over connections of any kind, to servers in the order of preference.

    Raises what the last ``connect`` raises when no server is reached at first.
    """
    servers = Servers(connect if isinstance(connect, Sequence) else [connect], patience)
    link = Link(start, capture or Capture(), servers)
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        try:
            await nursery.start(link.run, rescue)
            yield Dictation(link)
        except Exception as error:
            failure = error
        link.leave()
        nursery.cancel_scope.deadline = trio.current_time() + LEAVE_SEC
    if failure is not None:
        raise failure


def transcribe(
    url: str | Sequence[str],
    pcm16: bytes,
    *,
    paced: bool = False,
    on_partial: Callable[[str], None] | None = None,
    language: str | None = None,
    context: str = "",
    api_key: str | None = None,
    patience: float = PATIENCE_SEC,
) -> Final:
    """Dictate a whole recording and return the final; ``paced`` sends it at the speed of speech."""
    opening = open_dictation(
        url, language=language, context=context, api_key=api_key, patience=patience
    )

    async def run() -> Final:
        final: Final | None = None
        with ungrouped():
            async with opening as dictation, trio.open_nursery() as nursery:
                nursery.start_soon(speak, dictation, pcm16, paced)
                async for event in dictation:
                    if isinstance(event, Final):
                        final = event
                    elif isinstance(event, Partial) and on_partial is not None:
                        on_partial(event.partial)
                nursery.cancel_scope.cancel()
        if final is None:
            raise DictationFailed("no_final", "the server was done without a final text")
        return final

    return trio.run(run)


class Speaker(Protocol):
    """What audio is sent through."""

    async def send(self, pcm16: bytes) -> None:
        """Send audio."""
        ...

    async def stop(self) -> None:
        """End the utterance."""
        ...


async def speak(dictation: Speaker, pcm16: bytes, paced: bool = True) -> None:
    """Send a recording and stop; ``paced``: each frame when it would have been captured."""
    began = trio.current_time()
    for start in range(0, len(pcm16), FRAME_BYTES):
        frame = pcm16[start : start + FRAME_BYTES]
        if paced:
            await trio.sleep_until(began + (start + len(frame)) / BYTES_PER_SECOND)
        await dictation.send(frame)
    await dictation.stop()
