"""One dictation as a client sees it."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection

from polyasr.client.socket import open_socket
from polyasr.errors import PolyasrError, ProtocolError, ungrouped
from polyasr.protocol.frames import Frame, encode
from polyasr.protocol.messages import (
    SAMPLE_RATE,
    Done,
    Error,
    Final,
    Partial,
    ServerMessage,
    Start,
    Stop,
    StopExpired,
    parse_server,
)

BYTES_PER_SECOND = SAMPLE_RATE * 2
"""PCM16."""
FRAME_BYTES = BYTES_PER_SECOND // 10
"""100 ms: what the contract expects of clients."""


class DictationFailed(PolyasrError):
    """The server ended the dictation; ``code`` is the protocol's word for why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Received:
    """A message of the server and when it came, by ``trio.current_time()`` in seconds."""

    message: ServerMessage
    at: float


class Dictation:
    """A dictation under way. Iterate over it to receive; send and stop from another task.

    The iterator gives partials and the final, and ends when the server is done. It raises
    DictationFailed when the server reports an error, or goes before it is done. Every message is
    also kept in ``received``, with the time it came.
    """

    def __init__(self, socket: WebSocketConnection, session_id: str) -> None:
        self._socket = socket
        self._unsent = bytearray()
        self._next_seq = 0
        self._done = False
        self.session_id = session_id
        self.received: list[Received] = []

    @property
    def captured_frames(self) -> int:
        """Frames sent so far: ``finalCapturedSeq`` when the dictation stops here."""
        return self._next_seq

    async def start(self, control: int, language: str, context: str) -> None:
        """Begin the session."""
        start = Start(self.session_id, control=control, language=language, context=context)
        await self._send(start.to_json())

    async def send(self, pcm16: bytes) -> None:
        """Send audio, PCM16 at 16 kHz mono, in pieces of any size; it goes out in 100 ms frames.

        When the server has gone this does nothing: why it went is raised to who iterates.
        """
        self._unsent += pcm16
        while len(self._unsent) >= FRAME_BYTES:
            await self._send_frame(FRAME_BYTES)

    async def stop(self, stop_id: str | None = None) -> None:
        """Send what is left of the audio, but for half a sample, and end the utterance."""
        await self.send(b"")  # whole frames that a cancelled send has left
        if rest := len(self._unsent) // 2 * 2:
            await self._send_frame(rest)
        stop = Stop(uuid.uuid4().hex if stop_id is None else stop_id, self._next_seq)
        await self._send(stop.to_json())

    def __aiter__(self) -> Dictation:
        return self

    async def __anext__(self) -> Partial | Final:
        while not self._done:
            match await self._receive():
                case Partial() | Final() as event:
                    return event
                case Done():
                    self._done = True
                case Error(error=error, code=code):
                    raise DictationFailed(code, error)
                case StopExpired(reason=reason):
                    raise DictationFailed(reason, f"the server cannot answer the stop: {reason}")
                case _:
                    pass  # started, acknowledged, or something newer than this client
        raise StopAsyncIteration

    async def _receive(self) -> ServerMessage | None:
        try:
            text = await self._socket.get_message()
        except ConnectionClosed as closed:
            raise _gone(closed) from closed
        if isinstance(text, bytes):
            raise DictationFailed("unsupported_message", "the server sent a binary message")
        try:
            message = parse_server(text)
        except ProtocolError as error:
            what = f"the server sent what this client cannot read: {error}"
            raise DictationFailed(error.code, what) from error
        if message is not None:
            self.received.append(Received(message, trio.current_time()))
        return message

    async def _send_frame(self, size: int) -> None:
        """Audio leaves ``_unsent`` when it is sent, so that cancelling loses none."""
        await self._send(encode(Frame(self._next_seq, bytes(self._unsent[:size]))))
        del self._unsent[:size]
        self._next_seq += 1

    async def _send(self, message: bytes | str) -> None:
        """A server that has closed says why in what it sent before; that is for the reader."""
        try:
            await self._socket.send_message(message)
        except ConnectionClosed:
            await trio.lowlevel.checkpoint()


@asynccontextmanager
async def open_dictation(
    url: str,
    *,
    control: int = 2,
    language: str | None = None,
    context: str = "",
    session_id: str | None = None,
    api_key: str | None = None,
) -> AsyncIterator[Dictation]:
    """Connect to ``ws://host:port/ws/transcribe`` and start a session.

    Raises, in one line that says what to do, ServerUnreachable when nobody answers there, and
    ConfigurationError when the address or the key cannot be one.
    """
    async with open_socket(url, api_key) as socket:
        dictation = Dictation(socket, session_id or uuid.uuid4().hex)
        await dictation.start(control, language or "", context)
        yield dictation


def transcribe(
    url: str,
    pcm16: bytes,
    *,
    paced: bool = False,
    on_partial: Callable[[str], None] | None = None,
    language: str | None = None,
    context: str = "",
    api_key: str | None = None,
) -> Final:
    """Dictate a whole recording and return the final; ``paced`` sends it at the speed of speech."""

    async def run() -> Final:
        final: Final | None = None
        with ungrouped():
            async with (
                open_dictation(
                    url, language=language, context=context, api_key=api_key
                ) as dictation,
                trio.open_nursery() as nursery,
            ):
                nursery.start_soon(speak, dictation, pcm16, paced)
                async for event in dictation:
                    if isinstance(event, Final):
                        final = event
                    elif on_partial is not None:
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


def _gone(closed: ConnectionClosed) -> DictationFailed:
    reason = closed.reason
    told = f"code {reason.code}" if reason is not None else "without a word"
    return DictationFailed("connection_closed", f"the server closed the connection, {told}")
