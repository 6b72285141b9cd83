"""A real browser without a window, driven over the DevTools protocol."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, open_websocket_url

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--mute-audio",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
    "--use-fake-device-for-media-stream",
    "--window-size=1100,800",
)
LIMIT_SEC = 120.0
"""Against hanging."""
POLL_SEC = 0.05
MESSAGE_BYTES = 64 * 2**20


class Tab:
    """A page in the browser."""

    def __init__(self, socket: WebSocketConnection) -> None:
        self._socket, self._session = socket, ""
        self._n_asked = 0
        self.complaints: list[str] = []
        """What the page's console and the browser say is wrong."""

    async def ask(self, method: str, **params: Any) -> Any:
        """Call a method of the DevTools protocol."""
        self._n_asked += 1
        message = {"id": self._n_asked, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        await self._socket.send_message(json.dumps(message))
        while (answer := json.loads(await self._socket.get_message())).get("id") != self._n_asked:
            self._note(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def _note(self, event: dict[str, Any]) -> None:
        params = event.get("params", {})
        if event.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(str(params["exceptionDetails"]))
        if event.get("method") == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.complaints.append(f"{params['entry']['text']} {params['entry'].get('url')}")

    async def attach(self) -> None:
        """Take the browser's first page."""
        targets = (await self.ask("Target.getTargets"))["targetInfos"]
        page = next(target["targetId"] for target in targets if target["type"] == "page")
        attached = await self.ask("Target.attachToTarget", targetId=page, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            await self.ask(f"{domain}.enable")

    async def go(self, url: str) -> None:
        """Open an address and wait for the page."""
        await self.ask("Page.navigate", url=url)
        await self.until("document.readyState === 'complete' && location.protocol === 'http:'")

    async def run(self, script: str) -> Any:
        """The value of a script, which may be a promise."""
        result = await self.ask(
            "Runtime.evaluate",
            expression=script,
            awaitPromise=True,
            returnByValue=True,
            userGesture=True,
        )
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    async def until(self, condition: str) -> None:
        """Wait for a script to be true."""
        with trio.move_on_after(LIMIT_SEC):
            while not await self.run(condition):  # noqa: ASYNC110 -- the page tells nobody
                await trio.sleep(POLL_SEC)
            return
        text = await self.run("document.body.innerText")
        raise AssertionError(f"never: {condition}\n{text}\n{self.complaints}")

    async def press(self, key: str, modifiers: int = 0) -> None:
        """Press a key, as the keyboard does; ``modifiers``: 2 is Ctrl."""
        code = {"Enter": 13, " ": 32, "Tab": 9}[key]
        text = {"Enter": "\r", " ": " "}.get(key, "") if not modifiers else ""
        for kind in ("keyDown", "keyUp"):
            await self.ask(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code={" ": "Space"}.get(key, key),
                windowsVirtualKeyCode=code,
                modifiers=modifiers,
                **({"text": text} if text and kind == "keyDown" else {}),
            )

    async def picture(self) -> bytes:
        """What the page looks like, as PNG."""
        return b64decode((await self.ask("Page.captureScreenshot", format="png"))["data"])


@asynccontextmanager
async def browser(*flags: str) -> AsyncIterator[Tab]:
    """A browser of its own, with these flags as well."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [str(CHROMIUM), *FLAGS, *flags, f"--user-data-dir={profile}", "about:blank"]
        async with trio.open_nursery() as nursery:
            run = partial(
                trio.run_process,
                command,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                check=False,
            )
            process = await nursery.start(run)
            url = await _address(process)
            nursery.start_soon(_drain, process)
            try:
                async with open_websocket_url(url, max_message_size=MESSAGE_BYTES) as socket:
                    tab = Tab(socket)
                    await tab.attach()
                    yield tab
            except* ConnectionClosed:
                raise AssertionError("the browser is gone") from None
            finally:
                nursery.cancel_scope.cancel()


async def _address(process: trio.Process) -> str:
    """The browser's address out of what it prints."""
    printed = b""
    assert process.stderr is not None
    with trio.fail_after(LIMIT_SEC):
        while not (found := re.search(rb"DevTools listening on (ws://\S+)\n", printed)):
            piece = await process.stderr.receive_some()
            assert piece, printed.decode(errors="replace")
            printed += piece
    return found[1].decode()


async def _drain(process: trio.Process) -> None:
    assert process.stderr is not None
    async for _ in process.stderr:
        pass
