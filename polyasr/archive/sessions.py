"""The record of one dictation: ``input.pcm``, later ``input.flac``, and ``events.jsonl``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path

import trio

from polyasr.archive.writer import AppendedFile, Writer

AUDIO_EVERY_SEC = 1.0
"""How often at most it is noted how far the audio and the acknowledgements are."""
ACK = '{"type": "ack"'
"""How an acknowledgement begins on the wire."""
PARTIAL = '{"type": "partial"'
LONG_TEXT = 2000
"""Characters of a partial from which on only what is new of it is noted. The texts of an hour, each
whole, would be larger than its audio."""


class SessionRecord:
    """A `pipeline.record.Record` that is written to files."""

    def __init__(
        self,
        writer: Writer,
        make_folder: Callable[[], Path],
        opened: Mapping[str, object],
        ended: Callable[[Path], None],
    ) -> None:
        """``make_folder`` and ``ended``, which comes when all audio is written, are called on the
        writer's thread; ``opened`` is what the first event says."""
        self._writer, self._make_folder, self._ended = writer, make_folder, ended
        self._pcm = AppendedFile(lambda: self._folder / "input.pcm")
        self._events = AppendedFile(lambda: self._folder / "events.jsonl")
        self._began = trio.current_time()
        self._has_ended = False
        self._n_bytes = 0
        self._lost = 0
        self._through_seq: int | None = None
        self._ack: str | None = None
        self._shown: dict[str, str] = {}
        self._noted_at = self._began
        self._note({"type": "opened", **opened})

    def audio(self, pcm16: bytes, through_seq: int) -> None:
        """Append the audio, and note now and then how far it is."""
        self._writer.append(self._pcm, pcm16)
        self._n_bytes += len(pcm16)
        self._through_seq = through_seq
        self._note_now_and_then()

    def message(self, text: str) -> None:
        """Note a message; of acknowledgements the newest now and then."""
        if text.startswith(ACK):
            self._ack = text
            self._note_now_and_then()
        else:
            self._note_progress()
            is_long = len(text) > LONG_TEXT and text.startswith(PARTIAL)
            self._write(self._shortened(text) if is_long else text)

    def end_audio(self) -> None:
        """All audio is there."""
        if not self._has_ended:
            self._has_ended = True
            self._note_progress()
            self._writer.call(lambda: self._ended(self._folder))

    @cached_property
    def _folder(self) -> Path:
        """On the writer's thread."""
        return self._make_folder()

    def _note_now_and_then(self) -> None:
        if trio.current_time() - self._noted_at >= AUDIO_EVERY_SEC:
            self._note_progress()

    def _note_progress(self) -> None:
        """Note how far the audio and the acknowledgements are, and what was lost."""
        self._noted_at = trio.current_time()
        if self._through_seq is not None:
            samples = self._n_bytes // 2
            self._note({"type": "audio", "samples": samples, "through_seq": self._through_seq})
        if self._ack is not None:
            self._write(self._ack)
        self._through_seq = self._ack = None
        if self._pcm.lost + self._events.lost > self._lost:
            self._lost = self._pcm.lost + self._events.lost
            lost = {"audio_bytes": self._pcm.lost, "event_bytes": self._events.lost}
            self._note({"type": "dropped", **lost})

    def _shortened(self, text: str) -> str:
        """A partial without what its texts have in common with those of the last long one."""
        fields = json.loads(text)
        kept = {}
        for name in fields.keys() & {"partial", "committed"}:
            before, self._shown[name] = self._shown.get(name, ""), fields[name]
            kept[name] = common_length(before, fields[name])
            fields[name] = fields[name][kept[name] :]
        return json.dumps({**fields, "kept": kept}, ensure_ascii=False)

    def _note(self, event: Mapping[str, object]) -> None:
        self._write(json.dumps(event, ensure_ascii=False))

    def _write(self, text: str) -> None:
        t_ms = round(1000 * (trio.current_time() - self._began))
        line = f'{{"t_ms": {t_ms}, {text[1:]}\n'
        self._writer.append(self._events, line.encode("utf-8", "replace"))


def common_length(one: str, other: str) -> int:
    """How long the beginning is that two texts share."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[:middle] == other[:middle]:
            low = middle
        else:
            high = middle - 1
    return low
