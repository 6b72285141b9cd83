"""Which server is asked next, and when to give up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import trio

FIRST_RETRY_SEC = 0.1
LAST_RETRY_SEC = 3.0
"""Between two attempts to reach a server: doubled each time, from the first to the last."""
LOYAL_SEC = 5.0
"""How long the server that holds the session is looked for before the others have their turns:
elsewhere all the audio has to be sent again."""


class Socket(Protocol):
    """A WebSocket to a server. Its methods raise ConnectionClosed."""

    async def send_message(self, message: bytes | str) -> None:
        """Send a message."""
        ...

    async def get_message(self) -> bytes | str:
        """The next message."""
        ...

    async def ping(self) -> None:
        """Send a ping and wait for its pong."""
        ...


Connect = Callable[[], AbstractAsyncContextManager[Socket]]
"""Opens a connection. Raises ServerUnreachable."""


class Servers:
    """The servers that may be asked, at least one, in the order of preference.

    They are looked for ``patience`` seconds since the dictation last got on, and each of them once
    in any case. Until one is reached each is asked once.
    """

    def __init__(self, connects: Sequence[Connect], patience: float) -> None:
        self._left = list(connects)
        self._patience = patience
        self._turn = 0
        self._moves_on = False
        self.was_reached = False
        self._got_on = True
        self._since, self._delay, self._visits = 0.0, FIRST_RETRY_SEC, 0

    def __len__(self) -> int:
        return len(self._left)

    @property
    def current(self) -> Connect:
        """Whose turn it is."""
        return self._left[self._turn]

    def got_on(self) -> None:
        """The dictation got on: whoever is lost now is looked for anew."""
        self._got_on = True

    def move_on(self) -> None:
        """The next connection goes to the next server."""
        self._moves_on = True

    def drop(self) -> None:
        """The current one is asked no more."""
        del self._left[self._turn]
        self._turn -= 1
        self._moves_on = True

    def pause(self) -> float | None:
        """Seconds until the next attempt, at whoever's turn it is then; None: give up."""
        if self._got_on:
            self._since, self._delay, self._visits = trio.current_time(), FIRST_RETRY_SEC, 0
            self._got_on = False
        lost_for = trio.current_time() - self._since
        self._visits += 1
        patience = self._patience if self.was_reached else 0.0
        if not self._left or (lost_for >= patience and self._visits >= len(self._left)):
            return None
        if self._moves_on or lost_for >= min(LOYAL_SEC, patience):
            self._turn = (self._turn + 1) % len(self._left)
            self._moves_on = False
        delay = self._delay
        self._delay = min(2 * delay, LAST_RETRY_SEC)
        return delay if self.was_reached else 0.0
