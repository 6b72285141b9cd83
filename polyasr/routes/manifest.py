"""`POST /v1/align/manifest`: recordings that lie on the server, aligned into one result.

A request that names files makes a server read them for whoever can send it. So they must lie under
roots that the operator has named; where none are, only this machine may ask, which could read them
itself.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio
from quart import Blueprint, Request, Response, request

from polyasr import alignment, audio, languages
from polyasr.alignment import Alignment, Plan
from polyasr.errors import InvalidRequest, ModelUnavailable, PolyasrError
from polyasr.pipeline.text import join
from polyasr.routes import events
from polyasr.routes.align import (
    CHUNK_SECONDS,
    EVENTS,
    chunk_samples,
    models,
    progress_teller,
)
from polyasr.routes.body import answered_by
from polyasr.routes.forms import read_json, refusal
from polyasr.routes.services import Services
from polyasr.routes.uploads import recognition
from polyasr.routes.words import aligner_ready
from polyasr.samples import Samples

MAX_BYTES = 16 * 2**20
"""Of the request: 10,000 entries with the longest paths that systems take."""
MAX_ENTRIES = 10_000
MAX_OFFSET = 1e7
"""Seconds: four months, within which milliseconds survive."""
FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Real-IP")
"""What proxies add: the request comes from this machine, whoever sent it does not."""


class NotThisMachine(PolyasrError):
    """A client of another machine asks for files, and no roots are named."""

    code = "forbidden"
    status = 403


class EntryFailed(PolyasrError):
    """An entry that was there when it was looked at could not be aligned."""

    code = "entry_failed"
    status = 500


@dataclass(frozen=True, slots=True)
class Entry:
    """A recording of a manifest. ``name`` is what messages call it, ``offset`` in seconds."""

    path: Path
    offset: float
    name: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the request asks for. ``longest``: samples that are aligned at once."""

    entries: Sequence[Entry]
    language: str | None
    longest: int


def manifest(services: Services) -> Blueprint:
    """The blueprint."""
    blueprint = Blueprint("manifest", __name__)
    roots = services.settings.manifest_roots

    @blueprint.post("/v1/align/manifest")
    async def align_manifest() -> Response:
        return await answered_by(work)

    async def work(task_status: trio.TaskStatus[Response]) -> None:
        """Hand over the response; one that is streamed goes on being worked for."""
        if not roots and not is_local(request):
            raise NotThisMachine(
                "only clients on this machine may align files in place: POLYASR_MANIFEST_ROOTS "
                "names directories that others may ask for"
            )
        with services.queue.enter():
            asked = await trio.to_thread.run_sync(
                read_manifest, await read_json(request, MAX_BYTES), roots
            )
            await aligner_ready(services)
            await services.engine.ready()
            await events.hand_over(
                task_status, EVENTS, lambda tell: _Work(services, asked, tell).answer()
            )

    return blueprint


def is_local(asking: Request) -> bool:
    """Whether a request comes from this machine, and not only from a proxy on it."""
    if any(name in asking.headers for name in FORWARDED):
        return False
    try:
        address = ipaddress.ip_address((asking.remote_addr or "").partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def read_manifest(body: Any, roots: Sequence[str]) -> Manifest:
    """Check all of a request. Raises InvalidRequest, which names the entry. Blocks."""
    if not isinstance(body, dict):
        raise InvalidRequest("the request's body is not a JSON object")
    given = body.get("manifest")
    if not isinstance(given, list) or not given:
        raise InvalidRequest(
            "`manifest` must be a list of at least one {path, offset}", param="manifest"
        )
    if len(given) > MAX_ENTRIES:
        raise InvalidRequest(
            f"`manifest` has {len(given)} entries; this server takes {MAX_ENTRIES}: send several",
            param="manifest",
        )
    language = body.get("language") or ""
    if not isinstance(language, str):
        raise refusal("language", str(language), "a name or a code")
    seconds = body.get("max_chunk_seconds", CHUNK_SECONDS)
    return Manifest(
        entries=[_entry(number, entry, roots) for number, entry in enumerate(given)],
        language=None if language.lower() in ("", "auto") else languages.parse(language),
        longest=chunk_samples(_seconds(seconds), str(seconds)),
    )


def _entry(number: int, given: Any, roots: Sequence[str]) -> Entry:
    name = f"manifest[{number}]"
    if not isinstance(given, dict):
        raise InvalidRequest(f"{name} is not an object with path and offset", param=name)
    if given.get("id") is not None:
        name += f" ({str(given['id'])[:80]})"
    path, offset = given.get("path"), _seconds(given.get("offset"))
    if not isinstance(path, str) or not path:
        raise InvalidRequest(f"{name}: `path` must be the path of a recording", param="path")
    if not 0 <= offset <= MAX_OFFSET:  # NaN is in no range
        raise InvalidRequest(
            f"{name}: `offset` is {given.get('offset')!r}; "
            f"it takes seconds from 0 to {MAX_OFFSET:.0f}",
            param="offset",
        )
    return Entry(permitted(path, roots, name), offset, name)


def permitted(path: str, roots: Sequence[str], name: str) -> Path:
    """The file that a path stands for, without symbolic links.

    Raises InvalidRequest for what is no file or lies under none of the roots; of what lies outside
    it does not tell whether it is there.
    """
    try:
        if not Path(path).is_absolute():
            raise InvalidRequest(f"{name}: {path!r} must begin at the root (/)", param="path")
        real = Path(path).resolve()
        under = not roots or any(real.is_relative_to(Path(root).resolve()) for root in roots)
        if not under:
            raise InvalidRequest(
                f"{name}: {path!r} lies outside the directories of POLYASR_MANIFEST_ROOTS",
                param="path",
            )
        if not real.exists():
            raise InvalidRequest(f"{name}: {path!r} does not exist", param="path")
        if not real.is_file():
            raise InvalidRequest(f"{name}: {path!r} is not a file", param="path")
        with real.open("rb"):
            return real
    except (OSError, ValueError, RuntimeError) as error:  # no permission, NUL, links in a circle
        reason = getattr(error, "strerror", None) or error
        raise InvalidRequest(f"{name}: {path!r} cannot be read: {reason}", param="path") from error


class _Work:
    """The alignment of a manifest: all entries are transcribed, then all are aligned."""

    def __init__(self, services: Services, asked: Manifest, tell: events.Send) -> None:
        self._services, self._asked, self._tell = services, asked, tell

    async def answer(self) -> Mapping[str, object]:
        """The body of the answer. Raises EntryFailed, or ModelUnavailable, naming the entry."""
        entries = self._asked.entries
        plans = [await self._plan(number) for number in range(len(entries))]
        found = [await self._carry_out(number, planned) for number, planned in enumerate(plans)]
        told = [
            alignment.sentence(sentence, entry.offset)
            for entry, one in zip(entries, found, strict=True)
            for sentence in one.sentences
        ]
        heard = [name for one in found for name in one.language.split(",") if name]
        return alignment.document(
            join(one.text for one in found),
            ",".join(dict.fromkeys(heard)),
            told,
            models(self._services),
        )

    async def _plan(self, number: int) -> Plan:
        with self._named(number):
            async with self._services.batch_turns:
                with self._open(number) as blocks:
                    return await alignment.plan(
                        self._services.engine,
                        blocks,
                        recognition(self._services, self._asked.language, ""),
                        text=None,
                        longest=self._asked.longest,
                        tell=progress_teller(self._tell, entry=number),
                    )

    async def _carry_out(self, number: int, planned: Plan) -> Alignment:
        with self._named(number):
            async with self._services.batch_turns:
                return await alignment.carry_out(
                    self._services.engine.word_aligner,
                    lambda: self._open(number),
                    planned,
                    progress_teller(self._tell, entry=number),
                )

    @contextmanager
    def _open(self, number: int) -> Iterator[Iterator[Samples]]:
        """The recording of an entry, looked at again: it may have been changed meanwhile."""
        entry, settings = self._asked.entries[number], self._services.settings
        path = permitted(str(entry.path), settings.manifest_roots, entry.name)
        with closing(audio.blocks(path, max_seconds=settings.max_audio_seconds)) as blocks:
            yield blocks

    @contextmanager
    def _named(self, number: int) -> Iterator[None]:
        """Name the entry in whatever fails."""
        name = self._asked.entries[number].name
        try:
            yield
        except ModelUnavailable as error:
            raise ModelUnavailable(f"{name}: {error}") from error
        except (PolyasrError, OSError) as error:
            said = str(error).removeprefix(f"{name}: ")
            raise EntryFailed(f"{name}: {said}") from error


def _seconds(value: Any) -> float:
    """A number of JSON, NaN for anything else."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if number and abs(value) < 1e300 else math.nan
