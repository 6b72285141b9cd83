"""Control 3 on the bundled model: whatever happens, what is committed stays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from polyasr.engine.incremental import IncrementalSegment
from polyasr.engine.qwen_torch import QwenTorch
from polyasr.engine.recognition import SegmentRecognition, SegmentState
from polyasr.pipeline.recognizer import Heard, RecognizerOptions, Utterance
from polyasr.pipeline.text import join
from polyasr.pipeline.types import (
    Accepted,
    EndOfAudio,
    Endpoint,
    Final,
    Flush,
    Flushed,
    Hypothesis,
    Mark,
    Marked,
    Partial,
    Rejected,
    Result,
    Segment,
    Speech,
    Urgency,
)
from polyasr.pipeline.vad import WINDOW
from polyasr.samples import Samples
from tests.fakes import ScriptedEngine
from training.scoring import errors, units

Spoken = list[tuple[str, Samples]]
END = EndOfAudio("s", 9, complete=True)


class TinyEngine(ScriptedEngine):
    """The bundled model without a thread of its own."""

    def __init__(self, tiny: QwenTorch) -> None:
        super().__init__()
        self._tiny = tiny

    def open_recognition(self, *, language: str | None, context: str) -> SegmentRecognition:
        async def decode(
            state: SegmentState, samples: Samples, unchanged: int, committed: str, urgency: Urgency
        ) -> Hypothesis:
            if state.segment is None:
                state.segment = IncrementalSegment(self._tiny, state.language, state.context)
            return state.segment.decode(samples, unchanged, committed)

        return SegmentRecognition(decode, language, context)


def pieces(samples: Samples, at: int, *, doubtful: bool = False) -> list[Speech]:
    """Windows of a passage that begins there."""
    whole = np.pad(samples, (0, -len(samples) % WINDOW))
    return [
        Speech(window, at + number * WINDOW, is_doubtful=doubtful)
        for number, window in enumerate(whole.reshape(-1, WINDOW))
    ]


async def hear(
    tiny: QwenTorch, events: Sequence[Heard], append_only: bool = True, partial_every: int = 4
) -> list[Result]:
    """What an utterance tells of these events."""
    options = RecognizerOptions(append_only=append_only)
    utterance, told = Utterance(TinyEngine(tiny), options), list[Result]()
    for number, event in enumerate(events):
        assert not isinstance(event, EndOfAudio)
        told += await utterance.hear(event)
        if number % partial_every == 0 or isinstance(event, Endpoint | Rejected):
            told.append(await utterance.partial(0.0))
    told += await utterance.finish(END)
    return told


def heard(
    tiny: QwenTorch, events: Sequence[Heard], append_only: bool = True, partial_every: int = 4
) -> list[Result]:
    """As ``hear``, in a loop of its own."""
    return trio.run(hear, tiny, events, append_only, partial_every)


def assert_contract(told: list[Result]) -> Final:
    """Nothing committed is taken back, and the final is the join of the segments."""
    committed = ""
    for result in told:
        if isinstance(result, Partial):
            assert result.committed.startswith(committed), (committed, result.committed)
            committed = result.committed
    final = told[-1]
    assert isinstance(final, Final)
    assert final.text.startswith(committed)
    assert final.text == join(result.text for result in told if isinstance(result, Segment))
    return final


steps = st.lists(
    st.tuples(
        st.integers(0, 7),
        st.floats(0.3, 1.0),
        st.sampled_from(["keep", "keep", "pause", "reject", "flush", "mark"]),
    ),
    min_size=2,
    max_size=5,
)


@settings(max_examples=5)
@given(steps, st.integers(3, 9))
def test_whatever_is_cut_paused_rejected_or_flushed_what_is_committed_stays(
    tiny: QwenTorch, spoken: Spoken, said: list[tuple[int, float, str]], every: int
) -> None:
    events: list[Heard] = []
    at, asked = 0, 0
    for number, share, ending in said:
        samples = spoken[number][1]
        passage = pieces(samples[: int(share * len(samples))], at, doubtful=True)
        end = passage[-1].end_sample
        events += passage
        verdict = Rejected(at, end, 0.3) if ending == "reject" else Accepted(end)
        match ending:
            case "flush":
                events += [verdict, Flush(asked)]
            case "mark":
                events += [Mark(asked, 0, tuple(pieces(samples[:1000], end))), verdict]
            case _:
                events.append(verdict)
        asked += ending in ("flush", "mark")
        at = end
        if ending == "pause":
            events.append(Endpoint(end))
            at += 10 * WINDOW
    told = heard(tiny, events, True, every)
    assert_contract(told)
    answers = [
        result.flush_id if isinstance(result, Flushed) else result.mark_id
        for result in told
        if isinstance(result, Flushed | Marked)
    ]
    assert answers == list(range(asked))


def test_feeding_and_rejecting_is_as_never_having_fed(tiny: QwenTorch, spoken: Spoken) -> None:
    mine, theirs = spoken[0][1], spoken[1][1]
    first = pieces(mine, 0)
    middle = pieces(theirs, first[-1].end_sample, doubtful=True)
    last = pieces(mine, middle[-1].end_sample, doubtful=True)
    rejected = Rejected(middle[0].start_sample, middle[-1].end_sample, 0.3)
    cut_in: list[Heard] = [
        *first,
        *middle,
        *last[:5],
        rejected,
        *last[5:],
        Accepted(last[-1].end_sample),
    ]
    for append_only in (False, True):
        with_other = assert_contract(heard(tiny, cut_in, append_only, 10**9))
        without = assert_contract(heard(tiny, [*first, *last], append_only, 10**9))
        assert with_other.text == without.text


def test_streamed_sentences_have_the_word_error_of_offline_ones(
    tiny: QwenTorch, spoken: Spoken
) -> None:
    wrong, offline, total = 0, 0, 0
    for text, samples in spoken:
        final = assert_contract(heard(tiny, [*pieces(samples, 0)]))
        alone = IncrementalSegment(tiny, None, "").decode(np.pad(samples, (0, 2 * WINDOW)), 0)
        wrong += errors(units(text), units(final.text))
        offline += errors(units(text), units(alone.text))
        total += len(units(text))
    assert wrong <= offline + 0.02 * total


@pytest.mark.parametrize("language", ["English"])
def test_a_pause_commits_all_that_was_said(tiny: QwenTorch, spoken: Spoken, language: str) -> None:
    passage = pieces(spoken[0][1], 0)
    told = heard(tiny, [*passage, Endpoint(passage[-1].end_sample)])
    last = [result for result in told if isinstance(result, Partial)][-1]
    assert last.committed == last.text.rstrip(".?!")
    assert last.language == language
