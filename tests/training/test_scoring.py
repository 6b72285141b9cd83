"""Word and character accuracy."""

from __future__ import annotations

import pytest

from training.scoring import errors, units


def test_english_is_compared_by_words_without_case_or_marks() -> None:
    assert units("Half past seven, o'clock?") == ["half", "past", "seven", "o'clock"]


def test_chinese_is_compared_by_characters() -> None:
    assert units("你好，我。") == ["你", "好", "我"]


@pytest.mark.parametrize(
    ("reference", "hypothesis", "count"),
    [
        ("a b c", "a b c", 0),
        ("a b c", "a x c", 1),
        ("a b c", "a c", 1),
        ("", "a b", 2),
        ("a b c", "b c d", 2),
    ],
)
def test_errors_are_the_fewest_edits(reference: str, hypothesis: str, count: int) -> None:
    assert errors(reference.split(), hypothesis.split()) == count
