"""What is counted when the same clips are decoded with other weights."""

import numpy as np
import pytest

from bench.rounding import Spoken, _compared, measure, report
from polyasr.pipeline.types import Hypothesis


def answer(text: str, *tokens: int, logprob: float = -0.1) -> Hypothesis:
    return Hypothesis(text, "English", tokens, (logprob,) * len(tokens))


def test_tokens_and_words_that_changed_are_counted_and_equal_clips_weighed() -> None:
    said = ["Open it.", "Save it now."]
    clips = [Spoken(text, np.zeros(0, np.float32)) for text in said]
    exact = [answer("Open it.", 1, 2), answer("Save it now.", 3, 2, 4)]
    rounded = [answer("Open it.", 1, 2, logprob=-0.3), answer("Save now.", 3, 4)]
    found = _compared("int8", clips, exact, rounded)
    assert (found.equal, found.clips, found.edits, found.tokens) == (1, 2, 1, 5)
    assert found.logprob == pytest.approx(0.2)
    assert found.word_error == pytest.approx(1 / 5)


def test_int8_is_compared_with_float32_and_the_table_says_both() -> None:
    table = report(measure(["int8"], 2, lambda _: None))
    assert "| float32 | 4 of 4 | 0 of" in table
    assert "| int8 |" in table
