"""``polyasr dictate``: a recording, or what a microphone hears, streamed to a server."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

import trio

from polyasr.client.dictation import Dictation, open_dictation, speak
from polyasr.commands import load_settings
from polyasr.commands.recordings import read_recording
from polyasr.commands.terminal import LiveLine
from polyasr.protocol.messages import Final, Partial
from polyasr.settings import Settings

STDIN = 0
PIECE_BYTES = 3200
"""100 ms, the most that live audio waits here."""


def run(arguments: argparse.Namespace) -> int:
    """Dictate, and print the final text. Raises PolyasrError."""
    settings = load_settings(arguments)
    pcm16 = None
    if arguments.file != "-":
        from polyasr.samples import to_pcm16

        samples = read_recording(Path(arguments.file), settings.max_audio_seconds)
        pcm16 = to_pcm16(samples)
    print(trio.run(_dictate, arguments, settings, pcm16))
    return 0


async def _dictate(arguments: argparse.Namespace, settings: Settings, pcm16: bytes | None) -> str:
    """The final text of ``pcm16``, or of standard input where that is None."""
    servers = arguments.server or [f"ws://127.0.0.1:{settings.port}/ws/transcribe"]
    line = LiveLine(sys.stderr) if sys.stderr.isatty() else None
    final = ""
    async with (
        open_dictation(
            servers,
            control=2 if line is None else 3,
            language=arguments.language,
            context=arguments.context,
            api_key=settings.api_key or None,
        ) as dictation,
        trio.open_nursery() as nursery,
    ):
        if pcm16 is None:
            nursery.start_soon(_speak_stdin, dictation)
        else:
            nursery.start_soon(speak, dictation, pcm16, not arguments.fast)
        async for message in dictation:
            if isinstance(message, Final):
                final = message.text
            elif isinstance(message, Partial) and line is not None:
                settled = message.settled
                line.show(message.partial, settled.n_tentative(message.partial) if settled else 0)
        nursery.cancel_scope.cancel()
    if line is not None:
        line.clear()
    return final


async def _speak_stdin(dictation: Dictation) -> None:
    """Send raw PCM16 from standard input until its end or Ctrl-C, then stop."""
    half = b""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_cancel_at_interrupt, nursery.cancel_scope)
        while piece := await trio.to_thread.run_sync(_read_stdin, abandon_on_cancel=True):
            piece = half + piece
            whole = len(piece) // 2 * 2
            half = piece[whole:]
            await dictation.send(piece[:whole])
        nursery.cancel_scope.cancel()
    await dictation.stop()


def _read_stdin() -> bytes:
    """From the descriptor: a thread that is left in the buffer's read crashes the exit."""
    return os.read(STDIN, PIECE_BYTES)


async def _cancel_at_interrupt(scope: trio.CancelScope) -> None:
    with trio.open_signal_receiver(signal.SIGINT) as interrupts:
        await anext(interrupts)
        scope.cancel()
