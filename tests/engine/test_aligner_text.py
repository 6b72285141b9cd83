"""Splitting text as the forced aligner takes it, and mending times, against ``qwen-asr``."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyasr.engine.aligner_text import words
from polyasr.engine.monotonic import mended


@pytest.fixture(scope="module")
def upstream() -> Any:
    from qwen_asr.inference.qwen3_forced_aligner import Qwen3ForceAlignProcessor

    return Qwen3ForceAlignProcessor()


TEXTS = st.text(alphabet=st.one_of(st.sampled_from("aé'-., 我們㐀1½\u0301 \n"), st.characters()))


@given(text=TEXTS)
def test_words_are_those_of_qwen_asr(upstream: Any, text: str) -> None:
    assert [word.given for word in words(text, None, {})] == upstream.tokenize_space_lang(text)


@given(text=TEXTS)
def test_words_stand_in_the_text_one_behind_the_other(text: str) -> None:
    end = 0
    for word in words(text, None, {}):
        place = text.find(word.text, end)
        assert place >= end
        assert not any(c.isalnum() for c in text[end:place])
        end = place + len(word.text)
    assert not any(c.isalnum() for c in text[end:])


def test_words_that_a_splitter_has_normalized_are_found_in_the_text(upstream: Any) -> None:
    text = "今日は、ﾊﾝｶｸ 3.5 ABCです。"
    found = words(text, "Japanese", {"Japanese": upstream.tokenize_japanese})
    assert [word.text for word in found][-5:] != [word.given for word in found][-5:]
    assert "ﾊﾝｶｸ" in [word.text for word in found]
    end = 0
    for word in found:
        place = text.find(word.text, end)
        assert place >= 0
        end = place + len(word.text)


def test_accents_and_vowel_signs_stay_with_their_letter() -> None:
    assert [word.text for word in words("cafe\u0301. हिन्दी।", None, {})] == ["cafe\u0301", "हिन्दी"]


@given(times=st.lists(st.integers(0, 30), min_size=1, max_size=40))
def test_times_are_mended_as_qwen_asr_mends_them(upstream: Any, times: list[int]) -> None:
    told = [80.0 * time for time in times]
    ours = mended(told)
    assert ours == upstream.fix_timestamp(np.array(told))
    assert ours == sorted(ours)


def test_no_times_are_mended_to_none() -> None:
    assert mended([]) == []
