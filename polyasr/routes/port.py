"""One port: WebSockets that are taken are served directly, all else by Hypercorn.

What Hypercorn's own loop over connections does is done here, with a look at each before.
"""

from __future__ import annotations

import socket
from functools import partial
from typing import Any, Protocol

import hypercorn
import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.trio.lifespan import Lifespan
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ASGIFramework, ConnectionState

from polyasr.routes.exchanges import CountedExchanges, Exchanges
from polyasr.routes.websockets import Handshake, look

GRACE_SEC = 5.0
"""What requests and dictations in progress have after a stop; containers are killed after 10 s."""


class Taker(Protocol):
    """Who serves WebSockets directly."""

    def takes(self, handshake: Handshake) -> bool:
        """Whether it serves this one."""
        ...

    async def serve_directly(self, stream: trio.SocketStream, handshake: Handshake) -> None:
        """Serve one that it takes; the stream is its own."""
        ...


async def serve_port(
    app: ASGIFramework,
    config: hypercorn.Config,
    listener: socket.socket,
    taker: Taker,
    stop: trio.Event,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve ``app`` and the WebSockets on a listening socket, which is taken over.

    Started when connections are accepted. Returns after ``stop``, when what is in progress then is
    done or has had its time.
    """
    exchanges, context = Exchanges(), WorkerContext(None)
    wrapped = ASGIWrapper(CountedExchanges(app, exchanges))
    lifespan = Lifespan(wrapped, config, {})

    async def serve(stream: trio.SocketStream) -> None:
        with trio.move_on_after(config.keep_alive_timeout) as idle:
            handshake = await look(stream)
        if idle.cancelled_caught:
            return
        if handshake is not None and taker.takes(handshake):
            with exchanges.counted():
                await taker.serve_directly(stream, handshake)
        else:
            plain: Any = stream  # it is typed for TLS alone
            await TCPServer(wrapped, config, context, ConnectionState({}), plain)

    async with trio.open_nursery() as background:
        await background.start(lifespan.handle_lifespan)
        await lifespan.wait_for_startup()
        async with trio.open_nursery() as connections:
            async with trio.open_nursery() as accepting:
                listeners = [trio.SocketListener(trio.socket.from_stdlib_socket(listener))]
                accept = partial(trio.serve_listeners, handler_nursery=connections)
                accepting.start_soon(accept, serve, listeners)
                task_status.started()
                await stop.wait()
                with trio.move_on_after(GRACE_SEC):
                    await exchanges.wait_for_none()
                accepting.cancel_scope.cancel()
            await context.terminated.set()
            connections.cancel_scope.deadline = trio.current_time() + config.graceful_timeout
        await lifespan.wait_for_shutdown()
        background.cancel_scope.cancel()
