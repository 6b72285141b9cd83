"""The script that answers in place of random weights, while they do the work."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.models import Models
from bench.scripted import ScriptedBackend
from bench.strategies import Incremental, Prefix, Window, strategies
from bench.tally import Tally
from polyasr.engine.backend import Decoding, Encode
from polyasr.engine.incremental import IncrementalSegment
from polyasr.pipeline.types import Hypothesis
from polyasr.samples import SAMPLE_RATE, Samples


@pytest.fixture(scope="module")
def models() -> Models:
    return Models("tiny", "float32", "cpu")


@pytest.fixture(scope="module")
def samples() -> Samples:
    noise = np.random.default_rng(1).standard_normal(18 * SAMPLE_RATE) * 0.05
    return noise.astype(np.float32)


def test_its_words_are_one_token_each_also_in_a_sentence(models: Models) -> None:
    answer = models.script.answer(0, 30)
    assert len(answer) == len(set(answer)) == 90
    tokenizer: Any = models.backend._tokenizer
    assert tokenizer.encode(models.script.text(answer)) == answer


def test_an_answer_goes_on_where_the_last_was_sure(models: Models) -> None:
    four, five = models.script.answer(0, 4), models.script.answer(0, 5)
    assert five[: len(four) - 1] == four[:-1]
    assert five[len(four) - 1] != four[-1]
    assert models.script.answer(3, 5) == five[9:]


def test_the_engine_hears_the_script(models: Models, samples: Samples) -> None:
    script, tally = models.script, Tally()
    backend = ScriptedBackend(models.backend, tally)
    segment = IncrementalSegment(backend, "English", "")
    for second in (1, 2, 4, 18):
        backend.hear(script.answer(0, second))
        heard = segment.decode(samples[: second * SAMPLE_RATE], 0)
        assert heard.text == script.text(script.answer(0, second)).strip()
    assert tally.encoder == 13 * (1 + 2 + 4 + 18)


def test_a_draft_costs_one_pass_and_a_step_for_each_new_token(
    models: Models, samples: Samples
) -> None:
    strategy = Incremental(models.backend, models.script, samples)
    strategy.partial(3, 0)
    first = len(strategy.tally.written)
    assert first == 1 + 9  # nine tokens and the end
    strategy.partial(4, 3)
    # One pass over nine drafted tokens; the last of them was another, so four are new, and the end.
    assert len(strategy.tally.written) == first + 10 + 4


def test_streams_in_one_pass_follow_the_script_each_for_itself(
    models: Models, samples: Samples
) -> None:
    script, tally = models.script, Tally()
    backend = ScriptedBackend(models.backend, tally)
    fresh = IncrementalSegment(backend, "English", "")
    drafted = IncrementalSegment(backend, "English", "", draft=script.answer(0, 3))
    backend.hear(script.answer(0, 4))
    heard = packed(backend, [stream.decoding(samples, 0) for stream in (fresh, drafted)])
    assert [each.text for each in heard] == [script.text(script.answer(0, 4)).strip()] * 2


def packed(backend: ScriptedBackend, decodings: list[Decoding]) -> list[Hypothesis]:
    """Drive decodings together: whatever they ask for goes into one call."""
    done: dict[int, Hypothesis] = {}
    answers: dict[int, Any] = dict.fromkeys(range(len(decodings)))
    while answers:
        encodes, extends = {}, {}
        for number, answer in answers.items():
            try:
                asked = decodings[number].send(answer)
            except StopIteration as ended:
                done[number] = ended.value
                continue
            if isinstance(asked, Encode):
                encodes[number] = backend.encode(asked.windows)
            else:
                extends[number] = asked
        greedy = backend.extend(list(extends.values())) if extends else []
        answers = encodes | dict(zip(extends, greedy, strict=True))
    return [done[number] for number in range(len(decodings))]


def test_upstream_writes_as_many_tokens_as_the_script(models: Models, samples: Samples) -> None:
    window = Window(models.upstream, models.script, samples)
    window.partial(4, 3)
    assert len(window.tally.written) == 12 + 1
    assert window.tally.encoder == 4 * 13


def test_the_prefix_is_the_last_answer_less_five_tokens(models: Models, samples: Samples) -> None:
    prefix = Prefix(models.upstream, models.script, samples)
    prefix.partial(4, 3)
    assert len(prefix.tally.written) == 12 - (9 - 5) + 1
    fresh = Window(models.upstream, models.script, samples)
    fresh.partial(4, 3)
    # What is not written is read: every position goes through the decoder once all the same.
    assert prefix.tally.decoder == fresh.tally.decoder


def test_the_first_partials_have_no_prefix(models: Models, samples: Samples) -> None:
    prefix = Prefix(models.upstream, models.script, samples)
    prefix.partial(2, 1)
    assert len(prefix.tally.written) == 6 + 1


def test_upstream_and_engine_hold_the_same_weights(models: Models, samples: Samples) -> None:
    """On the same audio the first token they write is the same."""
    begun = strategies(models)
    tallies = []
    for name in ("window", "incremental"):
        strategy = begun[name](samples)
        strategy.partial(4, 0)
        tallies.append(strategy.tally.written[0])
    assert tallies[0] == tallies[1]
