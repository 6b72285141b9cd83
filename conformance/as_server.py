"""Serves a client as a transcript says, and looks whether it sends what it must."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_server_stream

from conformance.matching import Message, Mismatch, Remembered, check, filled
from conformance.transcripts import FRAME_BYTES, Case, audio, frame

WITHIN_SEC = 30.0
"""How long a client may take for a step: it may rest before it comes back."""
LIMIT_SEC = 150.0
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: close with a reset, as when a plug is pulled."""
HEADER_BYTES = 16
AUDIO = "speech"


async def run(case: Case, command: Sequence[str]) -> None:
    """Run the client; raises Mismatch when it does something else or ends with another outcome."""
    recording = audio(AUDIO)[: case.body["audioBytes"]]
    table, printed = Table(recording), None
    async with AsyncExitStack() as stack:
        urls = [
            await stack.enter_async_context(_serving(Server(body, table)))
            for body in case.body["servers"]
        ]
        with trio.move_on_after(LIMIT_SEC):
            done = await trio.run_process(
                [*command, *urls], stdin=recording, capture_stdout=True, check=False
            )
            printed = done.stdout.decode().strip()
    table.conclude()
    if printed is None:
        raise Mismatch("the client does not come to an end")
    try:
        outcome = json.loads(printed.splitlines()[-1])
    except (ValueError, IndexError) as error:
        raise Mismatch(f"the client's last line is no JSON: {printed[-200:]!r}") from error
    check(case.body["outcome"], outcome, table.remembered)


class Table:
    """What the servers of one transcript know together."""

    def __init__(self, recording: bytes) -> None:
        self.recording = recording
        self.remembered: Remembered = {}
        self.mismatches: list[str] = []
        self.servers: list[Server] = []

    def conclude(self) -> None:
        """Raises Mismatch when something went wrong, or did not come to pass."""
        left = [step for server in self.servers for step in server.left]
        if self.mismatches:
            raise Mismatch("; ".join(self.mismatches))
        if left:
            raise Mismatch(f"the client never came to {json.dumps(left[0])[:200]}")


class Server:
    """One server: what it does on each of its connections, and with recordings."""

    def __init__(self, body: Message, table: Table) -> None:
        self._connections = list(body.get("connections", []))
        self._recordings = list(body.get("recordings", []))
        self._table = table
        table.servers.append(self)

    @property
    def left(self) -> list[object]:
        """What nobody has asked for yet."""
        return [*self._connections, *self._recordings]

    async def handle(self, stream: trio.SocketStream) -> None:
        """A connection of any kind."""
        async with stream:
            head = await _head(stream)
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError, ConnectionClosed):
                if head.startswith(b"POST"):
                    await self._take_recording(stream, head)
                elif head:
                    await self._talk(stream, head)

    async def _talk(self, stream: trio.SocketStream, head: bytes) -> None:
        if not self._connections:
            self._table.mismatches.append("the client connects once more than it should")
            return
        steps = self._connections.pop(0)
        async with trio.open_nursery() as nursery:
            replayed = Replayed(head, stream)
            request = await wrap_server_stream(nursery, replayed)
            connection = await request.accept()
            for number, step in enumerate(steps, start=1):
                try:
                    await self._do(step, connection, replayed)
                except (Mismatch, trio.TooSlowError) as error:
                    self._table.mismatches.append(
                        f"step {number}, {json.dumps(step)[:200]}: {error or 'nothing came'}"
                    )
                    break
            with suppress(ConnectionClosed):
                while True:
                    await connection.get_message()
            nursery.cancel_scope.cancel()

    async def _do(self, step: Message, connection: WebSocketConnection, stream: Replayed) -> None:
        with trio.fail_after(step.get("within", WITHIN_SEC)):
            match step:
                case {"expect": expected}:
                    check(expected, await _text(connection), self._table.remembered)
                case {"frames": [first, after]}:
                    for sequence in range(first, after):
                        await self._expect_frame(sequence, connection)
                case {"send": message}:
                    said = json.dumps(filled(message, self._table.remembered))
                    with suppress(ConnectionClosed):  # a client may leave once it has its text
                        await connection.send_message(said)
                case {"text": text}:
                    await connection.send_message(text)
                case {"cut": True}:
                    await stream.cut()
                case {"silent": True}:
                    stream.is_silent = True
                case {"close": code}:
                    await connection.aclose(code)
                case _:
                    raise ValueError(f"no such step: {step}")

    async def _expect_frame(self, sequence: int, connection: WebSocketConnection) -> None:
        message = await _message(connection)
        expected = frame(sequence, AUDIO)
        payload = self._table.recording[sequence * FRAME_BYTES : (sequence + 1) * FRAME_BYTES]
        if message != expected[:HEADER_BYTES] + payload:
            shown = message[:HEADER_BYTES].hex() if isinstance(message, bytes) else message
            raise Mismatch(f"expected frame {sequence} of {len(payload)} bytes, got {shown}")

    async def _take_recording(self, stream: trio.SocketStream, head: bytes) -> None:
        text, _, body = head.partition(b"\r\n\r\n")
        lines = text.decode().split("\r\n")
        fields = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in lines)
        }
        while len(body) < int(fields["content-length"]):
            body += await stream.receive_some()
        if not self._recordings:
            self._table.mismatches.append("the client posts a recording that nobody asked for")
            return
        answer = self._recordings.pop(0)
        if " /v1/audio/transcriptions " not in lines[0] or self._table.recording not in body:
            self._table.mismatches.append("what the client posts is not the recording")
        content = json.dumps(answer["answer"]).encode()
        await stream.send_all(
            f"HTTP/1.1 {answer['status']} As told\r\nContent-Type: application/json\r\n"
            f"Connection: close\r\nContent-Length: {len(content)}\r\n\r\n".encode()
            + content
        )


class Replayed(trio.abc.Stream):
    """A stream of which the beginning was read already."""

    def __init__(self, head: bytes, stream: trio.SocketStream) -> None:
        self._head, self._stream = head, stream
        self.is_silent = False
        """Whether nothing is read any more, so that even pings go unanswered."""

    async def cut(self) -> None:
        """Reset the connection."""
        self._stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        await trio.aclose_forcefully(self._stream)

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """The beginning, then the rest."""
        if self._head:
            head, self._head = self._head, b""
            await trio.lowlevel.checkpoint()
            return head
        data = await self._stream.receive_some(max_bytes)
        if self.is_silent:
            await trio.sleep_forever()
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """As the stream does."""
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """As the stream does."""
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """As the stream does."""
        await self._stream.aclose()


@asynccontextmanager
async def _serving(server: Server) -> AsyncIterator[str]:
    async with trio.open_nursery() as nursery:
        serve = partial(trio.serve_tcp, server.handle, 0, host="127.0.0.1")
        (listener,) = await nursery.start(serve)
        yield f"ws://127.0.0.1:{listener.socket.getsockname()[1]}/ws/transcribe"
        nursery.cancel_scope.cancel()


async def _head(stream: trio.SocketStream) -> bytes:
    """What comes up to the end of the request's head, and perhaps more; b"" when it never does."""
    head = b""
    with suppress(trio.BrokenResourceError):
        while b"\r\n\r\n" not in head:
            piece = await stream.receive_some()
            if not piece:
                return b""
            head += piece
    return head


async def _message(connection: WebSocketConnection) -> bytes | str:
    try:
        return await connection.get_message()
    except ConnectionClosed as closed:
        raise Mismatch("the client has left") from closed


async def _text(connection: WebSocketConnection) -> Message:
    text = await _message(connection)
    if isinstance(text, bytes):
        raise Mismatch(f"got a binary message, {text[:HEADER_BYTES].hex()} …")
    message: Message = json.loads(text)
    return message
