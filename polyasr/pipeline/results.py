"""What the stages tell, as messages: samples become seconds."""

from __future__ import annotations

from polyasr.pipeline.types import (
    Flushed,
    Marked,
    Partial,
    Rejected,
    Segment,
    SpeechChange,
    Word,
)
from polyasr.protocol import messages
from polyasr.samples import SAMPLE_RATE


def partial_message(session_id: str, partial: Partial) -> messages.Partial:
    """The text so far, with what control 3 says of it."""
    settled = messages.Settled(partial.committed, partial.language, _seconds(partial.end_sample))
    return messages.Partial(session_id, partial.text, settled=settled)


def segment_message(session_id: str, number: int, segment: Segment) -> messages.Segment:
    """The segment that is the so-manyth of its session."""
    words = segment.words
    return messages.Segment(
        session_id,
        id=number,
        text=segment.text,
        start=_seconds(segment.start),
        end=_seconds(segment.end),
        language=segment.language,
        words=None if words is None else tuple(map(_word, words)),
    )


def event_message(
    session_id: str, event: Rejected | SpeechChange | Flushed | Marked
) -> messages.Event:
    """What else control 3 tells."""
    match event:
        case Rejected(start_sample=start, end_sample=end, similarity=similarity):
            return messages.Rejected(
                session_id, _seconds(start), _seconds(end), round(similarity, 3)
            )
        case SpeechChange(has_started=has_started, sample=sample):
            state = "started" if has_started else "stopped"
            return messages.SpeechState(session_id, state, _seconds(sample))
        case Flushed(flush_id=flush_id):
            return messages.Flushed(session_id, flush_id)
        case Marked(mark_id=mark_id, through_seq=through_seq):
            return messages.Marked(session_id, mark_id, through_seq)


def _word(word: Word) -> messages.Word:
    return messages.Word(word.text, _seconds(word.start), _seconds(word.end))


def _seconds(sample: int) -> float:
    """To the millisecond."""
    return round(sample / SAMPLE_RATE, 3)
