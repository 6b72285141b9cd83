"""The transcripts: read from the JSON files beside this one."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

HERE = Path(__file__).parent
SPEECH = HERE.parent / "polyasr" / "models" / "demo" / "demo-en.wav"
"""What is said in ``speech``: 8.4 s of English. A recording of any length will do."""
WAV_HEADER_BYTES = 44
FRAME_BYTES = 3200
"""100 ms of PCM16 at 16 kHz."""
SAMPLE_RATE = 16_000


@dataclass(frozen=True)
class Case:
    """One transcript. ``body`` is the JSON object; ``needs`` is how a server must be set up."""

    name: str
    about: str
    body: Mapping[str, Any]
    needs: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_slow(self) -> bool:
        """Whether it takes half a minute or more."""
        return bool(self.body.get("slow", False))


def cases(side: Literal["server", "client"]) -> Iterator[Case]:
    """All transcripts for servers, or for clients."""
    for file in sorted((HERE / side).glob("*.json")):
        for body in json.loads(file.read_text("utf-8"))["cases"]:
            name = f"{file.stem}/{body['name']}"
            yield Case(name, body["about"], body, body.get("needs", {}))


@cache
def audio(kind: str) -> bytes:
    """Some seconds of PCM16: ``silence``, ``tone`` (440 Hz) or ``speech``."""
    if kind == "speech":
        return SPEECH.read_bytes()[WAV_HEADER_BYTES:]
    level = {"silence": 0, "tone": 9000}[kind]
    wave = (level * math.sin(2 * math.pi * 440 * n / SAMPLE_RATE) for n in range(SAMPLE_RATE))
    return b"".join(struct.pack("<h", round(sample)) for sample in wave) * 10


def frame(sequence: int, kind: str) -> bytes:
    """A whole frame as it goes over the wire; behind the end of the audio it is silent."""
    payload = audio(kind)[sequence * FRAME_BYTES : (sequence + 1) * FRAME_BYTES]
    return struct.pack(">4sBBHQ", b"BASR", 1, 1, 0, sequence) + payload.ljust(FRAME_BYTES, b"\0")
