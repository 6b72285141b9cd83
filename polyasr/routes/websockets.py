"""WebSockets with nothing done for each message that is done for nobody.

Quart accepts a connection anew before each message it sends or receives, and offers each to the
listeners of a signal. For frames that come ten times a second on hundreds of connections that is a
tenth of the work.
"""

from __future__ import annotations

import trio
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable
from quart_trio.asgi import TrioASGIWebsocketConnection
from quart_trio.wrappers.websocket import TrioWebsocket


class AcceptedWebsocket(TrioWebsocket):
    """A WebSocket that its route accepts, once, before anything else."""

    async def receive(self) -> bytes | str:
        """The next message."""
        message: bytes | str = await self._receive()
        return message

    async def send(self, data: bytes | str) -> None:
        """Send a message."""
        await self._send(data)


class PlainWebsocketConnection(TrioASGIWebsocketConnection):
    """Passes messages on, and nothing else."""

    async def handle_messages(  # type: ignore[override]  # as in the base class, against its own
        self, nursery: trio.Nursery, receive: ASGIReceiveCallable
    ) -> None:
        """Receive until the peer is gone, which ends the task that serves it."""
        while (event := await receive())["type"] != "websocket.disconnect":
            if event["type"] == "websocket.receive":
                text = event.get("text")
                await self.send_channel.send(event.get("bytes") or b"" if text is None else text)
        nursery.cancel_scope.cancel()

    async def send_data(self, send: ASGISendCallable, data: bytes | str) -> None:
        """Send a message."""
        if isinstance(data, str):
            await send({"type": "websocket.send", "bytes": None, "text": data})
        else:
            await send({"type": "websocket.send", "bytes": data, "text": None})
