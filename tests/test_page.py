"""The dictation page in a real browser, with the bundled model; the microphone plays a file."""

from __future__ import annotations

import os
import re
from base64 import b64encode

import trio

from polyasr import settings
from polyasr.commands.demo import RECORDING, words
from polyasr.engine import open_engine
from tests.browser import Tab, browser, needs_chromium
from tests.fakes import ScriptedEngine, tone, wav
from tests.routes.conftest import serving

EXPECTED = RECORDING.with_suffix(".txt").read_text("utf-8")
GRANTED = "--use-fake-ui-for-media-stream"
PICTURES = os.environ.get("POLYASR_TEST_PICTURES")
"""A directory for pictures of the page, for a person to look at."""
CTRL = 2

pytestmark = needs_chromium


async def look(tab: Tab, name: str) -> None:
    if PICTURES:
        await trio.Path(PICTURES, f"{name}.png").write_bytes(await tab.picture())


async def open_page(tab: Tab, url: str) -> None:
    await tab.go(url)
    await tab.until("!document.getElementById('record').disabled")


async def text_of(tab: Tab, identifier: str) -> str:
    text = await tab.run(f"document.getElementById('{identifier}').innerText")
    assert isinstance(text, str)
    return text


async def drop(tab: Tab, file: bytes, name: str) -> None:
    """Let a file fall on the page."""
    await tab.run(
        f"""{{
          const bytes = Uint8Array.from(atob('{b64encode(file).decode()}'), c => c.charCodeAt(0));
          const dataTransfer = new DataTransfer();
          dataTransfer.items.add(new File([bytes], '{name}'));
          document.body.dispatchEvent(
            new DragEvent('drop', {{ dataTransfer, bubbles: true, cancelable: true }}));
        }}"""
    )


async def test_the_words_that_a_microphone_hears_are_written_while_they_are_spoken() -> None:
    chosen = settings.load({}, {"model": "tiny"})
    async with (
        open_engine(chosen) as engine,
        serving(engine) as server,
        browser(GRANTED, f"--use-file-for-fake-audio-capture={RECORDING}%noloop") as tab,
    ):
        await engine.ready()
        await open_page(tab, server.url)
        await look(tab, "empty")
        await tab.press("Enter", CTRL)
        await tab.until("document.getElementById('live').innerText.includes('meeting')")
        await tab.until("document.getElementById('live').innerText.includes('remind')")
        assert (await text_of(tab, "status")).startswith("Listening")
        await look(tab, "speaking")
        await tab.until("document.getElementById('live').innerText.includes('bedroom')")
        await tab.run("document.getElementById('record').focus()")
        await tab.press(" ")
        await tab.until("document.querySelector('#texts p') !== null")
        heard = await text_of(tab, "texts")
        await tab.until("!document.getElementById('record').disabled")
        await look(tab, "done")
        assert await tab.run("document.getElementById('problem').hidden")
        assert tab.complaints == []
    assert words(heard) == words(EXPECTED)


async def test_a_recording_that_is_dropped_is_transcribed_without_waiting() -> None:
    chosen = settings.load({}, {"model": "tiny"})
    async with open_engine(chosen) as engine, serving(engine) as server, browser() as tab:
        await engine.ready()
        await open_page(tab, server.url)
        await drop(tab, RECORDING.read_bytes(), "talk.wav")
        await tab.until("document.querySelector('#texts p') !== null")
        assert words(await text_of(tab, "texts")) == words(EXPECTED)
        await drop(tab, b"no recording", "notes.txt")
        await tab.until("!document.getElementById('problem').hidden")
        assert "cannot read" in await text_of(tab, "problem-text")
        assert tab.complaints == []


async def test_the_key_is_asked_for_and_may_come_with_the_address() -> None:
    async with serving(ScriptedEngine(), api_key="sesame") as server, browser() as tab:
        await open_page(tab, server.url)
        await drop(tab, wav(tone(1.0)), "talk.wav")
        await tab.until("!document.getElementById('unlock').hidden")
        await look(tab, "key")
        await tab.run("document.getElementById('key').value = 'sesame'")
        await tab.run("document.querySelector('#unlock button').click()")
        await drop(tab, wav(tone(1.0)), "talk.wav")
        await tab.until("document.getElementById('texts').innerText === 'Hello.'")
        await tab.run("sessionStorage.clear()")
        await open_page(tab, f"{server.url}/?token=sesame")
        assert "sesame" not in await tab.run("location.href")
        await drop(tab, wav(tone(1.0)), "talk.wav")
        await tab.until("document.getElementById('texts').innerText === 'Hello.'")


async def test_a_microphone_that_is_refused_is_told_in_plain_words() -> None:
    async with serving(ScriptedEngine()) as server, browser("--deny-permission-prompts") as tab:
        await open_page(tab, server.url)
        await tab.run("document.getElementById('record').click()")
        await tab.until("!document.getElementById('problem').hidden")
        await look(tab, "refused")
        assert "microphone" in await text_of(tab, "problem-text")
        await tab.until("!document.getElementById('record').disabled")


async def test_a_server_that_goes_away_is_told_and_the_recording_can_be_saved() -> None:
    async with browser(GRANTED) as tab:
        async with serving(ScriptedEngine()) as server:
            await open_page(tab, server.url)
            await tab.run("document.getElementById('record').click()")
            await tab.until("document.getElementById('status').innerText.startsWith('Listening')")
            await tab.until("document.getElementById('live').innerText.includes('Hello.')")
        await tab.until("document.getElementById('problem-text').innerText.includes('lost')")
        await look(tab, "trouble")


async def test_it_is_fit_for_the_dark_and_for_a_phone() -> None:
    async with serving(ScriptedEngine()) as server, browser() as tab:
        await tab.ask(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": "dark"}],
        )
        await open_page(tab, server.url)
        await drop(tab, wav(tone(1.0)), "talk.wav")
        await tab.until("document.getElementById('texts').innerText === 'Hello.'")
        await look(tab, "dark")
        ground = await tab.run("getComputedStyle(document.body).backgroundColor")
        assert sum(int(number) for number in re.findall(r"\d+", ground)) < 150
        await tab.ask(
            "Emulation.setDeviceMetricsOverride",
            width=390,
            height=844,
            deviceScaleFactor=1,
            mobile=True,
        )
        await look(tab, "phone")
        assert await tab.run("document.documentElement.scrollWidth <= innerWidth")
