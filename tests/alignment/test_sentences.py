"""Texts with timed words to sentences."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyasr.alignment.sentences import sentences
from polyasr.pipeline.text import pieces, places
from polyasr.pipeline.text import words as split
from polyasr.pipeline.types import Word

STEP = 1000


def timed(text: str) -> list[Word]:
    """A word each 1000 samples, as an aligner splits the text."""
    bare = [word.strip(" .,!?…—\"'“”()。！？，「」\n") for word in split(text)]
    return [Word(word, i * STEP, (i + 1) * STEP) for i, word in enumerate(filter(None, bare))]


def texts(text: str) -> list[str]:
    words = timed(text)
    return [one.text for one in sentences(text, words, len(words) * STEP)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One two. Three four! Five?", ["One two.", "Three four!", "Five?"]),
        ("one two. three four.", ["one two.", "three four."]),
        ("大家好。今天好吗？好！", ["大家好。", "今天好吗？", "好！"]),
        ("我用 Python 3.11 写。Nice. 好", ["我用 Python 3.11 写。", "Nice.", "好"]),
        ("Pi is 3.14 or so. Next.", ["Pi is 3.14 or so.", "Next."]),
        ("It costs 5. Then it rose.", ["It costs 5.", "Then it rose."]),
        ("Dr. Smith met Mrs. Jones. They left.", ["Dr. Smith met Mrs. Jones.", "They left."]),
        ("J. R. Smith came. He sat.", ["J. R. Smith came.", "He sat."]),
        ("We use e.g. Python, i.e. a snake. Good.", ["We use e.g. Python, i.e. a snake.", "Good."]),
        ("At 9 a.m. we left. Yes.", ["At 9 a.m. we left.", "Yes."]),
        ("It was 9 a.m. We left.", ["It was 9 a.m.", "We left."]),
        ("No. 5 is alive. No. Go on.", ["No. 5 is alive.", "No.", "Go on."]),
        (
            "Cats, dogs etc. are here. End etc. Right.",
            ["Cats, dogs etc. are here.", "End etc.", "Right."],
        ),
        ("See example.com or v2.0 now. Bye.", ["See example.com or v2.0 now.", "Bye."]),
        ("Well... I know. So?", ["Well...", "I know.", "So?"]),
        ("“Stop.” he said. (Now!) Go.", ["“Stop.”", "he said.", "(Now!)", "Go."]),
        ("Really?! Yes.", ["Really?!", "Yes."]),
        ("他说「走吧。」然后走了。", ["他说「走吧。」", "然后走了。"]),
        ("no end at all", ["no end at all"]),
        ("... Hello. ... World.", ["... Hello. ...", "World."]),
        ("", []),
        ("  ", []),
        ("?!", ["?!"]),
    ],
)
def test_where_sentences_end(text: str, expected: list[str]) -> None:
    assert texts(text) == expected


def test_a_sentence_lasts_from_its_first_word_to_its_last() -> None:
    text = "One two. Three."
    first, second = sentences(text, timed(text), 5000)
    assert (first.start, first.end, len(first.words)) == (0, 2000, 2)
    assert (second.start, second.end, second.words[0].text) == (2000, 3000, "Three")


def test_a_text_without_words_lasts_as_long_as_the_audio() -> None:
    (only,) = sentences("…!", [], 700)
    assert (only.text, only.start, only.end, only.words) == ("…!", 0, 700, ())


ANY_TEXT = st.text(
    st.one_of(st.sampled_from("abzDr.J .,!?…。！？「」“”'()\n34好我 "), st.characters()),
    max_size=60,
)


@given(text=ANY_TEXT, data=st.data())
def test_no_character_is_lost_and_time_never_runs_backwards(text: str, data: st.DataObject) -> None:
    given_words = [word.strip() for word in split(text)]
    times = sorted(
        data.draw(st.lists(st.integers(0, 9000), min_size=(n := 2 * len(given_words)), max_size=n))
    )
    words = [
        Word(word, start, end)
        for word, start, end in zip(given_words, times[::2], times[1::2], strict=True)
    ]
    found = sentences(text, words, 9000)
    assert "".join("".join(one.text for one in found).split()) == "".join(text.split())
    assert [word for one in found for word in one.words] == words
    told = [time for one in found for time in (one.start, one.end)]
    assert told == sorted(told)
    assert all(
        one.start <= word.start <= word.end <= one.end for one in found for word in one.words
    )


@given(text=ANY_TEXT)
def test_pieces_are_the_text_and_each_holds_its_word(text: str) -> None:
    words = [word.strip() for word in split(text)]
    found = pieces(text, words)
    assert "".join(found) == (text if words else "")
    assert all(word in piece for word, piece in zip(words, found, strict=True))


def test_marks_stay_with_the_word_they_touch() -> None:
    text = "Well, (he said) — “go”… 好，走。"
    words = ["Well", "he", "said", "go", "好", "走"]
    assert pieces(text, words) == ["Well,", " (he", " said) —", " “go”…", " 好，", "走。"]


def test_a_word_that_is_not_in_the_text_has_an_empty_place() -> None:
    assert places("a b", ["a", "x", "b"]) == [(0, 1), (1, 1), (2, 3)]
