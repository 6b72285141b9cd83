"""Right and wrong words."""

from __future__ import annotations

import pytest

from bench.dictation.scoring import Errors, alignment, character_errors, difference, rate, tokens
from bench.dictation.scoring import word_errors as word_errors_of


def test_case_and_marks_do_not_count_and_chinese_characters_are_words() -> None:
    assert tokens("Don't STOP, at 5:30!") == ["don't", "stop", "at", "5", "30"]
    assert tokens("打开文件。OK") == ["打", "开", "文", "件", "ok"]


@pytest.mark.parametrize(
    ("hypothesis", "errors"),
    [("The cat sat", 0), ("a cat sat", 1), ("cat", 2), ("the cat sat on it", 2), ("", 3)],
)
def test_word_errors_are_insertions_deletions_and_substitutions(
    hypothesis: str, errors: int
) -> None:
    assert word_errors_of("the cat sat.", hypothesis) == Errors(errors, 3)


def test_character_errors_leave_spaces_out() -> None:
    assert character_errors("ice cream", "I scream") == Errors(2, 8)


def test_an_alignment_pairs_equal_and_substituted_words() -> None:
    said = ["the", "cat", "sat", "with", "us", "today"]
    heard = ["a", "cat", "with", "us", "all", "today"]
    assert alignment(said, heard) == [0, 1, None, 2, 3, 5]


def test_a_rate_has_an_interval_that_holds_it_and_comes_out_the_same_again() -> None:
    counts = [Errors(wrong, 10) for wrong in (0, 0, 1, 2, 0, 5, 0, 1, 0, 1)]
    found = rate(counts)
    assert found == rate(counts)
    assert found is not None
    assert found.value == pytest.approx(0.1)
    assert 0 < found.low < 0.1 < found.high < 0.3


def test_a_difference_is_taken_clip_by_clip() -> None:
    ours = [Errors(wrong + 1, 10) for wrong in (0, 4, 2, 8)]
    theirs = [Errors(wrong, 10) for wrong in (0, 4, 2, 8)]
    found = difference(ours, theirs)
    assert found is not None
    assert [found.value, found.low, found.high] == pytest.approx([0.1, 0.1, 0.1])


def test_no_words_no_rate() -> None:
    assert rate([]) is None
    assert rate([Errors(0, 0)]) is None
