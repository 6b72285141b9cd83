"""Recordings at once, one long one, and dictations beside it."""

from __future__ import annotations

import tempfile
import wave
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import httpx
import trio

from bench.adapters import http
from bench.adapters.polyasr import Polyasr
from bench.batch.results import Film, Latency, Throughput
from bench.batch.upstream import Upstream
from bench.dictation.corpus import Clip
from bench.dictation.drive import Pace, observe_all
from bench.dictation.metrics import measure
from bench.dictation.processes import metered, server_of
from bench.dictation.scoring import word_errors
from polyasr.samples import SAMPLE_RATE, from_pcm16, to_pcm16

Progress = Callable[[str], object]

FIRST_EVENT = "data: "
"""What begins an event; comments that keep the connection alive begin with a colon."""
FILM_TIMEOUT_SEC = 3600.0
SOFTER = 0.995
"""What is said again is so much softer, each time."""
BESIDE_MIN = 239
"""Of the film beside dictations: as long as a server takes, so that they end before it does."""


Round = tuple[float, float | None, list[str]]
"""Seconds, seconds of all cores together, and the texts."""


async def throughput(
    url: str,
    upstream: Upstream | None,
    clips: Sequence[Clip],
    counts: Sequence[int],
    repeats: int,
    told: Progress,
) -> tuple[Throughput, ...]:
    """So many of the clips at once, by our HTTP and by qwen-asr, in turn. Both are warm by then,
    and none has heard the same samples before."""
    rounds: dict[tuple[str, int], list[Round]] = {}
    for repeat in range(repeats + 1):
        for place, count in enumerate(counts):
            some = [softer(clip, repeat * len(counts) + place) for clip in clips[:count]]
            at = f"{count} at once, {f'{repeat} of {repeats}' if repeat else 'warming up'}"
            told(f"{at}: polyasr")
            async with metered(server_of(url)) as meter:
                seconds, texts = await at_once(url, some)
            cpu = None if meter.usage is None else meter.usage.cpu
            rounds.setdefault(("polyasr", count), []).append((seconds, cpu, texts))
            if upstream is not None:
                told(f"{at}: qwen-asr")
                samples = [from_pcm16(clip.pcm16) for clip in some]
                theirs = await trio.to_thread.run_sync(upstream.transcribe, samples)
                rounds.setdefault(("qwen-asr", count), []).append(theirs)
    return tuple(
        Throughput(
            system=system,
            files=count,
            audio=sum(clip.seconds for clip in clips[:count]),
            seconds=tuple(seconds for seconds, _, _ in done[1:]),
            cpu=tuple(cpu for _, cpu, _ in done[1:]),
            errors=errors(clips[:count], done[-1][2]),
        )
        for (system, count), done in rounds.items()
    )


def softer(clip: Clip, times: int) -> Clip:
    """The same said a little softer, so that nothing that is kept of what was heard helps."""
    return replace(clip, pcm16=to_pcm16(from_pcm16(clip.pcm16) * SOFTER**times))


async def at_once(url: str, clips: Sequence[Clip]) -> tuple[float, list[str]]:
    """Seconds until the texts of all clips are there, and the texts. Raises StreamFailed."""
    texts = [""] * len(clips)

    async def ask(number: int) -> None:
        texts[number] = await http.transcribe(
            http.beside(url, http.TRANSCRIPTIONS), clips[number].pcm16, key=None
        )

    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        for number in range(len(clips)):
            nursery.start_soon(ask, number)
    return trio.current_time() - began, texts


def errors(clips: Sequence[Clip], texts: Sequence[str]) -> float:
    """The share of words that are wrong."""
    found = [word_errors(clip.text, text) for clip, text in zip(clips, texts, strict=True)]
    return sum(each.wrong for each in found) / sum(each.total for each in found)


async def film(url: str, clips: Sequence[Clip], seconds: float, told: Progress) -> Film:
    """One recording of so many seconds, made of the clips, streamed to its end."""
    with _written(clips, seconds) as file:
        async with metered(server_of(url)) as meter:
            began = trio.current_time()
            first = None
            async with _streamed(url, file) as lines:
                async for line in lines:
                    if line.startswith(FIRST_EVENT) and first is None:
                        first = trio.current_time() - began
                    told(f"a film of {seconds / 60:.0f} minutes")
            done = trio.current_time() - began
        size = _seconds_in(file)
    assert first is not None, "there is speech in the film"
    usage = meter.usage
    return Film(
        audio=size,
        first_event=first,
        done=done,
        rest=None if usage is None else usage.rest,
        peak=None if usage is None else usage.peak,
    )


async def latencies(
    url: str,
    clips: Sequence[Clip],
    film_clips: Sequence[Clip],
    told: Progress,
    minutes: float = BESIDE_MIN,
) -> tuple[Latency, ...]:
    """Dictations at the speed of speech, alone and then beside a film of so many minutes."""
    alone = await _dictated(url, clips, "nothing", told)
    with _written(film_clips, 60 * minutes) as file:
        async with trio.open_nursery() as nursery:
            begun = trio.Event()

            async def watch() -> None:
                async with _streamed(url, file) as lines:
                    async for _ in lines:
                        begun.set()

            nursery.start_soon(watch)
            await begun.wait()
            beside = await _dictated(url, clips, "a film", told)
            nursery.cancel_scope.cancel()
    return alone, beside


async def _dictated(url: str, clips: Sequence[Clip], beside: str, told: Progress) -> Latency:
    told(f"dictations beside {beside}")
    adapter = Polyasr(url.replace("http", "ws", 1) + "/ws/transcribe", None)
    observed = await observe_all(adapter, clips, 1, Pace(timeout=30))
    figures = [measure(clip, each) for clip, each in zip(clips, observed, strict=True)]
    return Latency(
        beside,
        tuple(each.first_partial for each in figures),
        tuple(each.final_after_audio for each in figures),
    )


@asynccontextmanager
async def _streamed(url: str, file: Path) -> AsyncIterator[AsyncIterator[str]]:
    """The lines of a recording's event stream."""
    async with httpx.AsyncClient(timeout=FILM_TIMEOUT_SEC) as client:
        with file.open("rb") as content:
            async with client.stream(
                "POST",
                http.beside(url, http.TRANSCRIPTIONS),
                files={"file": ("film.wav", content)},
                data={"stream": "true"},
            ) as response:
                response.raise_for_status()
                yield response.aiter_lines()


@contextmanager
def _written(clips: Sequence[Clip], seconds: float) -> Iterator[Path]:
    """A WAV file of so many seconds, the clips again and again, for the length of the block."""
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        left = round(seconds * SAMPLE_RATE)
        with wave.open(file, "wb") as recording:
            recording.setnchannels(1)
            recording.setsampwidth(2)
            recording.setframerate(SAMPLE_RATE)
            for number, clip in enumerate(cycle(clips)):
                again = softer(clip, number // len(clips))
                recording.writeframes(again.pcm16[: 2 * left])
                left -= len(clip.pcm16) // 2
                if left <= 0:
                    break
        file.flush()
        yield Path(file.name)


def _seconds_in(file: Path) -> float:
    with wave.open(str(file), "rb") as recording:
        return recording.getnframes() / recording.getframerate()
