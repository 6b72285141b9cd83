"""The load: dictations at the speed of speech, over a WebSocket client that costs next to nothing.

A library's would take more of the machine than the server that is measured. This one sends frames
whose mask is zero (RFC 6455, 5.3 lets a client choose any), and reads what servers send unmasked.
"""

from __future__ import annotations

import random
import struct
import time
from array import array
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field

import trio

from polyasr.protocol.frames import Frame, encode
from polyasr.protocol.messages import Start, Stop

FRAME_SEC = 0.1
FRAME_BYTES = 3200
FINAL_SEC = 30.0
"""How long a final is waited for."""
BINARY, TEXT, CLOSE, PING, PONG = 2, 1, 8, 9, 10
NO_MASK = bytes(4)
CONNECT = (
    b"GET /ws/transcribe HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
    b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@dataclass(slots=True)
class Heard:
    """What all connections measured. Times of ``time.perf_counter``; durations in seconds."""

    acked_at: array[float] = field(default_factory=lambda: array("d"))
    ack_latencies: array[float] = field(default_factory=lambda: array("d"))
    send_delays: array[float] = field(default_factory=lambda: array("d"))
    """How much later than planned a frame was sent: the load's own troubles."""
    final_latencies: array[float] = field(default_factory=lambda: array("d"))
    partials: int = 0
    failures: list[str] = field(default_factory=list)


class Connection:
    """One dictation."""

    def __init__(self, number: int, pcm16: bytes, heard: Heard) -> None:
        self._session_id = f"bench-{number}"
        self._pcm16, self._heard = pcm16, heard
        self._rng = random.Random(number)
        self._sent: deque[tuple[int, float]] = deque()
        self._stopped_at = 0.0
        self._is_done = False
        self._sending = trio.Lock()

    async def run(self, port: int, measure_from: float, until: float) -> None:
        """Dictate until a time of ``trio.current_time``; what is sent before ``measure_from`` is
        not measured."""
        try:
            stream = await trio.open_tcp_stream("127.0.0.1", port)
            async with stream, trio.open_nursery() as nursery:
                await stream.send_all(CONNECT)
                rest = await _shaken_hands(stream)
                nursery.start_soon(self._listen, stream, rest, measure_from)
                await self._speak(stream, until)
                nursery.cancel_scope.deadline = trio.current_time() + FINAL_SEC
            if not self._is_done:
                self._heard.failures.append(f"{self._session_id}: no final")
        except* (OSError, trio.BrokenResourceError, ValueError) as failed:
            self._heard.failures.append(f"{self._session_id}: {failed.exceptions[0]!r}")

    async def _speak(self, stream: trio.SocketStream, until: float) -> None:
        start = Start(self._session_id, control=2)
        await self._send(stream, _framed(TEXT, start.to_json().encode()))
        began = trio.current_time() + self._rng.random() * FRAME_SEC
        offset = self._rng.randrange(len(self._pcm16) // FRAME_BYTES)
        sequence = 0
        while (due := began + sequence * FRAME_SEC) < until:
            await trio.sleep_until(due)
            self._heard.send_delays.append(trio.current_time() - due)
            at = (offset + sequence) * FRAME_BYTES % len(self._pcm16)
            self._sent.append((sequence, time.perf_counter()))
            frame = encode(Frame(sequence, self._pcm16[at : at + FRAME_BYTES]))
            await self._send(stream, _framed(BINARY, frame))
            sequence += 1
        self._stopped_at = time.perf_counter()
        await self._send(stream, _framed(TEXT, Stop("s", sequence).to_json().encode()))

    async def _send(self, stream: trio.SocketStream, message: bytes) -> None:
        async with self._sending:  # a pong may come between frames
            await stream.send_all(message)

    async def _listen(self, stream: trio.SocketStream, rest: bytes, measure_from: float) -> None:
        async with aclosing(_messages(stream, rest)) as messages:
            async for opcode, payload in messages:
                if opcode == PING:
                    await self._send(stream, _framed(PONG, payload))
                elif opcode == CLOSE:
                    return
                else:
                    self._hear(payload, measure_from)

    def _hear(self, payload: bytes, measure_from: float) -> None:
        """Raises ValueError for an error of the server."""
        if payload.startswith(b'{"type": "ack"'):
            self._acknowledged(int(payload.rpartition(b":")[2][:-1]), measure_from)
        elif payload.startswith(b'{"type": "partial"'):
            self._heard.partials += trio.current_time() >= measure_from and not self._stopped_at
        elif payload.startswith(b'{"type": "done"'):
            self._is_done = True
            self._heard.final_latencies.append(time.perf_counter() - self._stopped_at)
        elif payload.startswith(b'{"type": "error"'):
            raise ValueError(payload.decode())

    def _acknowledged(self, sequence: int, measure_from: float) -> None:
        now = time.perf_counter()
        while self._sent and self._sent[0][0] <= sequence:
            _, sent_at = self._sent.popleft()
            if trio.current_time() >= measure_from:
                self._heard.acked_at.append(now)
                self._heard.ack_latencies.append(now - sent_at)


def _framed(opcode: int, payload: bytes) -> bytes:
    if len(payload) < 126:
        return struct.pack(">BB", 0x80 | opcode, 0x80 | len(payload)) + NO_MASK + payload
    return struct.pack(">BBH", 0x80 | opcode, 0xFE, len(payload)) + NO_MASK + payload


async def _shaken_hands(stream: trio.SocketStream) -> bytes:
    """What came behind the answer's head."""
    head = b""
    while b"\r\n\r\n" not in head:
        piece = await stream.receive_some()
        if not piece:
            raise ValueError("the server closed the connection in the handshake")
        head += piece
    head, _, rest = head.partition(b"\r\n\r\n")
    if b" 101 " not in head.split(b"\r\n")[0]:
        raise ValueError(head.decode(errors="replace"))
    return rest


async def _messages(
    stream: trio.SocketStream, rest: bytes
) -> AsyncGenerator[tuple[int, bytes], None]:
    """Unfragmented messages, as these servers send them, until the server closes."""
    held = bytearray(rest)
    while True:
        while len(held) >= 2:
            opcode, length, head = held[0] & 0x0F, held[1], 2
            if length == 126:
                length, head = int.from_bytes(held[2:4], "big"), 4
            elif length == 127:
                length, head = int.from_bytes(held[2:10], "big"), 10
            if len(held) < head + length:
                break
            yield opcode, bytes(held[head : head + length])
            del held[: head + length]
        piece = await stream.receive_some()
        if not piece:
            return
        held += piece
