"""One dictation as a client sees it."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

import trio
from trio_websocket import (
    ConnectionClosed,
    ConnectionRejected,
    ConnectionTimeout,
    DisconnectionTimeout,
    HandshakeError,
    WebSocketConnection,
    open_websocket_url,
)

from polyasr.errors import PolyasrError, ungrouped
from polyasr.protocol.frames import Frame, encode
from polyasr.protocol.messages import (
    PROTOCOL,
    Ack,
    Done,
    Error,
    Final,
    Partial,
    Resumed,
    ServerMessage,
    Started,
    StopExpired,
    parse_server,
)

FRAME_BYTES = 3200
"""100 ms of PCM16 at 16 kHz: what the contract expects of clients."""
BYTES_PER_SECOND = 32_000
TIMEOUT = 10.0
"""Seconds to connect, and to close."""


class ServerUnreachable(PolyasrError):
    """No dictation server answers at the address."""

    code = "server_unreachable"


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

    Every message is also kept in ``received``, with the time it came.
    """

    def __init__(self, socket: WebSocketConnection, session_id: str) -> None:
        self._socket = socket
        self._unsent = b""
        self._next_seq = 0
        self.session_id = session_id
        self.received: list[Received] = []

    @property
    def captured_frames(self) -> int:
        """Frames sent so far: ``finalCapturedSeq`` when the dictation stops here."""
        return self._next_seq

    async def send(self, pcm16: bytes) -> None:
        """Send audio, PCM16 at 16 kHz mono, in pieces of any size; it goes out in 100 ms frames."""
        self._unsent += pcm16
        while len(self._unsent) >= FRAME_BYTES:
            await self._send_frame(FRAME_BYTES)

    async def stop(self, stop_id: str | None = None) -> None:
        """Send what is left of the audio and end the utterance."""
        if self._unsent:
            await self._send_frame(len(self._unsent))
        await self._send_json(
            type="stop",
            protocol=PROTOCOL,
            sessionId=self.session_id,
            stopId=stop_id or uuid.uuid4().hex,
            finalCapturedSeq=self._next_seq,
        )

    async def __aiter__(self) -> AsyncIterator[Partial | Final]:
        """Partials and the final, until the server is done.

        Raises DictationFailed when the server reports an error, or goes before it is done.
        """
        while True:
            match await self._receive():
                case Partial() | Final() as event:
                    yield event
                case Done():
                    return
                case Error(error=error, code=code):
                    raise DictationFailed(code, error)
                case StopExpired(reason=reason):
                    raise DictationFailed(reason, f"the server cannot answer the stop: {reason}")
                case Started() | Resumed() | Ack() | None:
                    pass

    async def start(self, control: int, language: str | None, context: str) -> None:
        """Begin the session."""
        optional = {"language": language, "context": context}
        await self._send_json(
            type="start",
            protocol=PROTOCOL,
            sessionId=self.session_id,
            control=control,
            sampleRate=16_000,
            channels=1,
            encoding="pcm16",
            **{name: value for name, value in optional.items() if value},
        )

    async def _receive(self) -> ServerMessage | None:
        try:
            text = await self._socket.get_message()
        except ConnectionClosed as closed:
            raise _gone(closed) from closed
        if isinstance(text, bytes):
            raise DictationFailed("unsupported_message", "the server sent a binary message")
        message = parse_server(text)
        if message is not None:
            self.received.append(Received(message, trio.current_time()))
        return message

    async def _send_frame(self, size: int) -> None:
        payload, self._unsent = self._unsent[:size], self._unsent[size:]
        await self._send(encode(Frame(self._next_seq, payload)))
        self._next_seq += 1

    async def _send_json(self, **fields: object) -> None:
        await self._send(json.dumps(fields, ensure_ascii=False))

    async def _send(self, message: bytes | str) -> None:
        """A server that has closed says why in what it sent before; that is for the reader."""
        try:
            await self._socket.send_message(message)
        except ConnectionClosed:
            await trio.sleep_forever()


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

    Raises ServerUnreachable, in one line that says what to do, when nobody answers there.
    """
    headers = [(b"Authorization", f"Bearer {api_key}".encode())] if api_key else []
    try:
        async with open_websocket_url(
            url,
            extra_headers=headers,
            connect_timeout=TIMEOUT,
            disconnect_timeout=TIMEOUT,
        ) as socket:
            dictation = Dictation(socket, session_id or uuid.uuid4().hex)
            await dictation.start(control, language, context)
            yield dictation
    except HandshakeError as error:
        raise ServerUnreachable(_why_unreachable(url, error)) from error


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


def _why_unreachable(url: str, error: HandshakeError) -> str:
    if isinstance(error, ConnectionRejected):
        return f"{url} answers with HTTP status {error.status_code} and not as a dictation server"
    if isinstance(error, (ConnectionTimeout, DisconnectionTimeout)):
        return f"{url} does not answer within {TIMEOUT:g} s"
    reason = error.__cause__ or error
    return f"no dictation server answers at {url} ({reason}): start one with 'polyasr serve'"


def _gone(closed: ConnectionClosed) -> DictationFailed:
    reason = closed.reason
    told = f"code {reason.code}" if reason is not None else "without a word"
    return DictationFailed("connection_closed", f"the server closed the connection, {told}")
