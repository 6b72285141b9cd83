"""Talks to a server as a transcript says, and looks whether it answers as it must."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import trio
from trio_websocket import (
    ConnectionClosed,
    WebSocketConnection,
    connect_websocket_url,
)

from conformance.matching import Message, Mismatch, Remembered, check, filled
from conformance.transcripts import Case, frame

WITHIN_SEC = 10.0
"""How long an answer may take, unless the transcript says otherwise."""
CHATTER = frozenset({"ack", "partial", "speech", "segment", "rejected"})
"""What may come at any time, and is passed over where it is not expected."""
CUT_SEC = 0.05
WAITING_MESSAGES = 10_000


async def run(case: Case, url: str) -> None:
    """Raises Mismatch at the first step that the server does not do right."""
    failure: Mismatch | None = None
    async with trio.open_nursery() as nursery:
        client = Client(url, nursery)
        for number, step in enumerate(case.body["steps"], start=1):
            try:
                await client.do(step)
            except Mismatch as error:
                failure = Mismatch(f"step {number}, {json.dumps(step)[:200]}: {error}")
                break
        await client.leave()
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


class Client:
    """The connections of one transcript, by name."""

    def __init__(self, url: str, nursery: trio.Nursery) -> None:
        self._url, self._nursery = url, nursery
        self._connections: dict[str, WebSocketConnection] = {}
        self._remembered: Remembered = {"session": uuid.uuid4().hex}

    async def do(self, step: Message) -> None:
        """One step. Raises Mismatch."""
        actions: dict[str, Callable[[Message], Any]] = {
            "open": self._open,
            "send": self._send,
            "text": self._send_raw,
            "binary": self._send_raw,
            "audio": self._send_audio,
            "frames": self._send_audio,
            "expect": self._expect,
            "acked": self._acked,
            "never": self._never,
            "closed": self._closed,
            "cut": self._cut,
            "wait": self._wait,
        }
        (action,) = actions.keys() & step.keys()
        await actions[action](step)

    async def leave(self) -> None:
        """Close what is open; the library leaves it so when the server closes first."""
        for connection in self._connections.values():
            await trio.aclose_forcefully(connection._stream)

    def _socket(self, step: Message) -> WebSocketConnection:
        return self._connections[step.get("on", "a")]

    async def _open(self, step: Message) -> None:
        url = self._url + step.get("query", "")
        with trio.fail_after(WITHIN_SEC):
            self._connections[step["open"]] = await connect_websocket_url(
                self._nursery, url, message_queue_size=WAITING_MESSAGES
            )

    async def _send(self, step: Message) -> None:
        await self._say(step, json.dumps(filled(step["send"], self._remembered)))

    async def _send_raw(self, step: Message) -> None:
        if "text" in step:
            await self._say(step, step["text"])
        else:
            await self._say(step, bytes.fromhex(step["binary"]) + bytes(step.get("zeros", 0)))

    async def _send_audio(self, step: Message) -> None:
        sequences = range(*step["audio"]) if "audio" in step else step["frames"]
        for sequence in sequences:
            await self._say(step, frame(sequence, step.get("of", "tone")))

    async def _say(self, step: Message, message: bytes | str) -> None:
        try:
            await self._socket(step).send_message(message)
        except ConnectionClosed:
            await trio.lowlevel.checkpoint()  # why, is in what the server said before

    async def _expect(self, step: Message) -> None:
        expected = step["expect"]
        passing = CHATTER.union(step.get("passing", ())) - {expected["type"]}
        began = trio.current_time()
        with trio.move_on_after(step.get("within", WITHIN_SEC)):
            while (message := await self._next(step))["type"] in passing:
                pass
            check(expected, message, self._remembered)
            if trio.current_time() - began < step.get("after", 0):
                raise Mismatch(f"{json.dumps(message)} came too soon")
            return
        raise Mismatch("nothing came")

    async def _acked(self, step: Message) -> None:
        """Acknowledgements are cumulative, may be coalesced and never promise too much."""
        reached = -1
        with trio.move_on_after(step.get("within", WITHIN_SEC)):
            while reached != step["acked"]:
                message = await self._next(step)
                if message["type"] not in CHATTER:
                    raise Mismatch(f"got {json.dumps(message)}")
                if message["type"] == "ack":
                    if not reached <= message["ackSeq"] <= step["acked"]:
                        raise Mismatch(f"got {json.dumps(message)}")
                    reached = message["ackSeq"]
            return
        raise Mismatch(f"acknowledged is {reached}")

    async def _never(self, step: Message) -> None:
        with trio.move_on_after(step["for"]):
            while True:
                message = await self._next(step)
                if message["type"] in step["never"]:
                    raise Mismatch(f"got {json.dumps(message)}")

    async def _closed(self, step: Message) -> None:
        with trio.move_on_after(step.get("within", WITHIN_SEC)):
            try:
                while message := json.loads(await self._socket(step).get_message()):
                    if message["type"] not in CHATTER:
                        raise Mismatch(f"got {json.dumps(message)}")
            except ConnectionClosed as closed:
                code = closed.reason.code if closed.reason else None
                if code != step["closed"]:
                    raise Mismatch(f"it was closed with {code}") from closed
            return
        raise Mismatch("it stays open")

    async def _next(self, step: Message) -> Message:
        try:
            message: Message = json.loads(await self._socket(step).get_message())
        except ConnectionClosed as closed:
            raise Mismatch(f"the server closed: {closed.reason}") from closed
        return message

    async def _cut(self, step: Message) -> None:
        """Lose the connection without a goodbye."""
        await trio.aclose_forcefully(self._socket(step)._stream)
        await trio.sleep(CUT_SEC)

    async def _wait(self, step: Message) -> None:
        await trio.sleep(step["wait"])
