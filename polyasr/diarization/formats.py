"""Who spoke when, as JSON's values, as RTTM and as lines to read. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from polyasr.diarization.found import Diarization
from polyasr.samples import SAMPLE_RATE


def document(
    found: Diarization, names: Sequence[str], *, with_embeddings: bool = False
) -> Mapping[str, object]:
    """As `/v1/diarize` answers. ``names``: one for each speaker."""
    body: dict[str, object] = {
        "segments": [
            {
                "start": _seconds(turn.start),
                "end": _seconds(turn.end),
                "speaker": names[turn.speaker],
            }
            for turn in found.turns
        ],
        "speakers": list(names),
        "num_speakers": len(names),
        "model": found.model,
    }
    if with_embeddings:
        body["speaker_embeddings"] = dict(zip(names, found.voices.tolist(), strict=True))
    return body


def rttm(found: Diarization, names: Sequence[str], recording: str) -> str:
    """NIST's Rich Transcription Time Marked: a line for each turn, with spaces between fields."""
    recording = "_".join(recording.split())
    return "".join(
        f"SPEAKER {recording} 1 {_seconds(turn.start):.3f} {_seconds(turn.end - turn.start):.3f} "
        f"<NA> <NA> {'_'.join(names[turn.speaker].split())} <NA> <NA>\n"
        for turn in found.turns
    )


def text(found: Diarization, names: Sequence[str]) -> str:
    """A line for each turn: from, to, who."""
    return "".join(
        f"{_clock(turn.start)}  {_clock(turn.end)}  {names[turn.speaker]}\n" for turn in found.turns
    )


def _seconds(samples: int) -> float:
    """Seconds to the millisecond."""
    return round(samples / SAMPLE_RATE, 3)


def _clock(samples: int) -> str:
    minutes, tenths = divmod(samples * 10 // SAMPLE_RATE, 600)
    return f"{minutes // 60}:{minutes % 60:02d}:{tenths // 10:02d}.{tenths % 10}"
