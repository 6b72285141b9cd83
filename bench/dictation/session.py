"""The runs of one call of the command: systems take turns on the same clips."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import trio

from bench import provenance
from bench.adapters import ADAPTERS
from bench.adapters.port import Adapter
from bench.dictation.corpus import Clip
from bench.dictation.drive import Pace, observe, observe_all
from bench.dictation.metrics import Figures, measure
from bench.dictation.network import NETWORKS, impaired
from bench.dictation.observed import Observed
from bench.dictation.processes import metered, server_of
from bench.dictation.ramp import ramp
from bench.dictation.results import Capacity, Objective, Run, Timeline
from polyasr.checkpoint import BUNDLED
from polyasr.errors import PolyasrError
from polyasr.samples import SAMPLE_RATE, from_pcm16
from polyasr.settings import TINY

LEVELS = 400
"""Pieces of a timeline's audio."""
READABLE_SEC = 10.0
"""Of an utterance that is drawn, where there is such a one."""
DRAWN_SEC = 60.0
"""Of a longer one only so much is: each text holds all before it, those of half an hour 150 MB."""

Told = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class System:
    """A server to be measured: what it is called, how it is spoken to, and where it is."""

    name: str
    adapter: str
    url: str

    @classmethod
    def parse(cls, text: str) -> System:
        """From ``[NAME=][ADAPTER@]URL``; without an adapter it is this project's.

        Raises ValueError.
        """
        before, at, url = text.rpartition("@")
        if not at or "://" in before:  # a name and a password in the address
            before, url = "", text
        name, equals, adapter = before.rpartition("=")
        adapter = adapter or "polyasr"
        if adapter not in ADAPTERS:
            raise ValueError(f"{adapter!r} is no adapter: there are {', '.join(ADAPTERS)}")
        if "://" not in url:
            raise ValueError(f"{url!r} is no address: NAME=ADAPTER@ws://host:port/path")
        return cls(name if equals else adapter, adapter, url)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure. ``rounds``: clips by the name of their corpus, and how many streams."""

    systems: Sequence[System]
    corpora: Mapping[str, Sequence[Clip]]
    rounds: Sequence[tuple[str, int]]
    networks: Sequence[str]
    pace: Pace
    seed: int
    key: str | None
    cold: Clip | None
    """Spoken alone before the others, it tells of a server that has just started."""
    batch: bool
    """The server's own text of each whole recording is asked for as well."""


class Session:
    """Runs a plan. ``told`` hears what is being done, ``warned`` what went wrong beside it."""

    def __init__(self, plan: Plan, told: Told, warned: Told) -> None:
        self._plan, self._told, self._warned = plan, told, warned
        self._described: dict[str, dict[str, str]] = {}
        self._batch: dict[tuple[str, str], str | None] = {}
        self._reasons: set[str] = set()

    async def rounds(self) -> tuple[Run, ...]:
        """All runs of the plan."""
        plan = self._plan
        runs = []
        cold = {system.name: await self._cold(system) for system in plan.systems}
        for (clips, n_streams), network in itertools.product(plan.rounds, plan.networks):
            for system in plan.systems:
                first = cold.pop(system.name, None)
                runs.append(await self.run(system, clips, n_streams, network, first))
        return tuple(runs)

    async def capacities(
        self, clips: str, objective: Objective, limit: int
    ) -> tuple[Capacity, ...]:
        """How many streams each system holds; every stream speaks one clip."""
        found = []
        for system in self._plan.systems:

            async def at(n_streams: int, system: System = system) -> Run:
                return await self.run(system, clips, n_streams, "none", n_clips=n_streams)

            found.append(await ramp(at, system.name, objective, limit))
        return tuple(found)

    async def run(
        self,
        system: System,
        corpus: str,
        n_streams: int,
        network: str,
        cold: Figures | None = None,
        n_clips: int | None = None,
    ) -> Run:
        """One system on a corpus, or on so many clips of it, again and again where they are few."""
        plan = self._plan
        clips = list(plan.corpora[corpus])
        if n_clips is not None:
            clips = list(itertools.islice(itertools.cycle(clips), n_clips))
        name = f"{system.name}, {corpus}, {n_streams} streams"
        async with (
            impaired(system.url, NETWORKS[network], plan.seed) as url,
            metered(server_of(system.url)) as meter,
        ):
            began = trio.current_time()
            heard = await observe_all(
                _adapter(system, url, plan.key),
                clips,
                n_streams,
                plan.pace,
                seed=plan.seed,
                told=lambda text: self._told(f"{name}: {text}"),
            )
            seconds = trio.current_time() - began
        batch = [await self._batch_text(system, clip) for clip in clips]
        return Run(
            system=system.name,
            adapter=system.adapter,
            described=await self._describe(system),
            clips=corpus,
            streams=n_streams,
            network=network,
            seconds=seconds,
            cold=cold,
            figures=tuple(measure(*each) for each in zip(clips, heard, batch, strict=True)),
            usage=meter.usage,
            timeline=timeline(*_to_be_drawn(clips, heard)),
        )

    async def _cold(self, system: System) -> Figures | None:
        plan = self._plan
        if plan.cold is None:
            return None
        self._told(f"{system.name}, cold")
        heard = await observe(self._adapter(system), plan.cold, plan.pace)
        return measure(plan.cold, heard)

    async def _batch_text(self, system: System, clip: Clip) -> str | None:
        """The server's own text of a recording, asked for once."""
        key = (system.name, f"{clip.name}/{clip.seconds}")
        if self._plan.batch and key not in self._batch:
            self._told(f"{system.name}, batch: {clip.name}")
            try:
                text = await self._adapter(system).batch(clip.pcm16, clip.language)
            except PolyasrError as error:
                self._no_batch(system, clip, error)
                text = None
            self._batch[key] = text
        return self._batch.get(key)

    def _no_batch(self, system: System, clip: Clip, error: PolyasrError) -> None:
        """Say so, once for each reason: a server may have nothing that takes a recording."""
        reason = f"{system.name}: {error}"
        if reason not in self._reasons:
            self._reasons.add(reason)
            self._warned(f"{system.name} has no text of {clip.name} as a whole: {error}")

    async def _describe(self, system: System) -> dict[str, str]:
        if system.name not in self._described:
            try:
                told = dict(await self._adapter(system).describe())
            except PolyasrError as error:
                self._warned(f"{system.name} does not say what it is: {error}")
                told = {}
            if model := _weights(system, told):
                told["weights"] = model
            self._described[system.name] = told
        return self._described[system.name]

    def _adapter(self, system: System) -> Adapter:
        return _adapter(system, system.url, self._plan.key)


def _to_be_drawn(clips: Sequence[Clip], heard: Sequence[Observed]) -> tuple[Clip, Observed]:
    """The longest that can still be read, or the first."""
    short = [pair for pair in zip(clips, heard, strict=True) if pair[0].seconds <= READABLE_SEC]
    return max(short, key=lambda pair: pair[0].seconds) if short else (clips[0], heard[0])


def timeline(clip: Clip, observed: Observed) -> Timeline:
    """What there is to be drawn of a clip, or of its first minute."""
    seconds = min(clip.seconds, DRAWN_SEC)
    is_whole = seconds == clip.seconds
    samples = from_pcm16(clip.pcm16)[: math.ceil(seconds * SAMPLE_RATE)]
    pieces = np.array_split(samples, min(LEVELS, max(1, len(samples))))
    levels = np.array([float(np.sqrt(np.mean(piece**2))) for piece in pieces])
    return Timeline(
        clip=clip.name,
        text=clip.text,
        seconds=seconds,
        onset=clip.onset,
        end=clip.end,
        levels=tuple(np.round(levels / (levels.max() or 1.0), 3).tolist()),
        words=tuple(
            (word.text, word.start, word.end) for word in clip.words if word.end <= seconds
        ),
        events=tuple(event for event in observed.events if is_whole or event.at <= seconds),
    )


def _weights(system: System, told: Mapping[str, str]) -> str:
    """The hash of the model's weights, where they lie on this machine and the server says where."""
    model = told.get("model", "")
    if server_of(system.url) is None or not model:
        return ""
    return provenance.weights(BUNDLED if model == TINY else Path(model))


def _adapter(system: System, url: str, key: str | None) -> Adapter:
    return ADAPTERS[system.adapter](url, key)
