"""Which words of a growing hypothesis are shown."""

from __future__ import annotations

import math

from polyasr.pipeline.holdback import HoldBack, sure_words
from polyasr.pipeline.types import Hypothesis


def heard(*tokens: tuple[str, float]) -> Hypothesis:
    """A hypothesis of tokens and their probabilities."""
    return Hypothesis(
        "".join(text for text, _ in tokens).strip(),
        "English",
        tokens=tuple(range(len(tokens))),
        logprobs=tuple(math.log(probability) for _, probability in tokens),
        pieces=tuple(text.encode() for text, _ in tokens),
    )


def test_a_word_that_is_new_at_the_end_waits_however_sure_it_is() -> None:
    assert HoldBack().show(heard(("I", 1.0), (" would", 1.0)), standing=0) == "I"


def test_a_doubtful_word_waits_until_another_hypothesis_has_it() -> None:
    holdback = HoldBack()
    hypothesis = heard(("Chair", 1.0), (" near", 0.6), (" apple", 1.0), (" tree", 1.0))
    assert holdback.show(hypothesis, standing=0) == "Chair"
    assert holdback.show(hypothesis, standing=4) == "Chair near apple tree"


def test_what_is_shown_stays_until_words_that_may_be_shown_say_otherwise() -> None:
    holdback = HoldBack()
    assert holdback.show(heard(("Sunday", 1.0), (" light", 1.0)), standing=2) == "Sunday light"
    doubted = heard(("Sunday", 1.0), (" lights", 0.5), (" six", 0.5))
    assert holdback.show(doubted, standing=1) == "Sunday light"
    assert holdback.show(heard(), standing=0) == "Sunday light"
    assert holdback.show(doubted, standing=3) == "Sunday lights six"


def test_in_silence_everything_is_shown() -> None:
    holdback = HoldBack()
    hypothesis = heard(("Stop", 0.3), (".", 0.3))
    assert holdback.show(hypothesis, standing=0) == ""
    assert holdback.show_all(hypothesis) == "Stop."
    assert holdback.show(hypothesis, standing=0) == "Stop."


def test_a_cut_leaves_what_was_shown_behind_it() -> None:
    holdback = HoldBack()
    holdback.show_all(heard(("One two", 1.0), (" three four", 1.0)))
    assert holdback.split("One two three").shown == ["four"]
    assert holdback.split("One two three four five").shown == []


def test_a_token_counts_for_each_word_of_which_it_writes_a_byte() -> None:
    hypothesis = heard((" a", 1.0), ("b c", 0.5), ("d", 1.0), (" e", 1.0))
    assert hypothesis.text == "ab cd e"
    assert sure_words(hypothesis) == [False, False, True]


def test_characters_of_chinese_are_words() -> None:
    text = "你好"
    halves = text.encode()
    hypothesis = Hypothesis(
        text, "Chinese", (1, 2, 3), (0.0, -1.0, 0.0), (halves[:3], halves[3:4], halves[4:])
    )
    assert sure_words(hypothesis) == [True, False]
    assert HoldBack().show(hypothesis, standing=0) == "你"


def test_a_model_that_tells_no_probabilities_is_never_sure() -> None:
    assert sure_words(Hypothesis("Open the door.", "English")) == [False] * 3
    assert sure_words(Hypothesis("", "")) == []
