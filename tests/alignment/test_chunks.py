"""Which part of a given transcript is said in which part of a recording."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyasr.alignment.chunks import Chunk, given_chunks, recognized_chunks
from polyasr.errors import InvalidRequest
from polyasr.pipeline.types import Segment, Transcript
from polyasr.samples import SAMPLE_RATE

SECOND = SAMPLE_RATE


def transcript(*texts: str, pause: int = 1, lasting: int = 10) -> Transcript:
    """Segments of ten seconds with a pause behind each."""
    step = (lasting + pause) * SECOND
    segments = tuple(
        Segment(text, "English", i * step, i * step + lasting * SECOND)
        for i, text in enumerate(texts)
    )
    return Transcript(" ".join(texts), segments, len(texts) * step)


def cut(text: str, *heard: str, longest: int = 10) -> list[str]:
    return [chunk.text for chunk in given_chunks(text, transcript(*heard), longest * SECOND)]


def test_a_recognized_segment_is_a_chunk() -> None:
    heard = transcript("One.", "Two.")
    assert recognized_chunks(heard) == [
        Chunk("One.", 0, 10 * SECOND, "English"),
        Chunk("Two.", 11 * SECOND, 21 * SECOND, "English"),
    ]


def test_what_fits_is_one_chunk_over_the_whole_recording() -> None:
    heard = transcript("one two", "three")
    assert given_chunks("One, two, three!", heard, 270 * SECOND) == [
        Chunk("One, two, three!", 0, heard.n_samples, "English")
    ]


def test_a_text_is_cut_where_the_words_around_a_pause_were_recognized() -> None:
    assert cut("One, two. Three four!", "one two", "three four") == ["One, two.", " Three four!"]
    assert cut("你好吗？我很好。", "你好吗", "我很好") == ["你好吗？", "我很好。"]


def test_a_word_heard_wrongly_does_not_move_the_cut() -> None:
    assert cut("one two three four five six", "one too three", "for five six") == [
        "one two three",
        " four five six",
    ]


def test_words_that_nobody_recognized_stay_in_the_text_and_have_the_pause_to_be_in() -> None:
    text = "One two. Lost words. Three four."
    heard = transcript("one two", "three four", pause=5)
    first, second = given_chunks(text, heard, 14 * SECOND)
    assert (first.text, second.text) == ("One two.", " Lost words. Three four.")
    assert (first.start, first.end) == (0, 14 * SECOND)
    assert second.end == heard.segments[1].end


def test_of_many_pauses_those_are_cut_at_that_are_sure() -> None:
    heard = ["a b c", "d e f", "g h i", "k l m"]
    assert cut("a b c d e f X X l m", *heard, longest=33) == ["a b c", " d e f X X l m"]


def test_a_recording_is_cut_no_more_often_than_it_must_be() -> None:
    heard = [f"{name}1 {name}2" for name in "abcdef"]
    found = cut(" ".join(heard), *heard, longest=33)
    assert [len(text.split()) for text in found] == [6, 6]


def test_chunks_are_short_where_the_text_is_known_well_and_long_where_it_is_not() -> None:
    heard = [f"{name}1 {name}2 {name}3" for name in "abcdefghijkl"]
    lengths = [len(text.split()) for text in cut(" ".join(heard), *heard, longest=270)]
    assert max(lengths) <= 9
    other = " ".join(f"{name}1 x{name} y" for name in "abcdefghijkl")
    assert cut(other, *heard, longest=270) == [other]


@pytest.mark.parametrize(
    ("text", "heard", "said"),
    [
        ("… — !", ["one two"], "no words"),
        ("One two.", [], "no speech"),
        ("A letter about something else entirely.", ["one two three"], "does not belong"),
        ("one " + "other words that nobody says " * 5, ["one two three"], "1 were"),
    ],
)
@pytest.mark.parametrize("longest", [1, 1000])
def test_a_text_of_something_else_is_refused(
    text: str, heard: list[str], said: str, longest: int
) -> None:
    with pytest.raises(InvalidRequest, match=said) as refused:
        cut(text, *heard, longest=longest)
    assert refused.value.param == "text"


WORDS = st.lists(st.sampled_from(["a", "b,", "c.", "d", "好", "e—"]), max_size=8)


@given(
    texts=st.lists(WORDS, min_size=1, max_size=6), heard=st.lists(WORDS), longest=st.integers(1, 40)
)
def test_the_chunks_texts_are_the_text_whatever_was_heard(
    texts: list[list[str]], heard: list[list[str]], longest: int
) -> None:
    text = "  ".join(" ".join(words) for words in texts)
    recognized = transcript(*(" ".join(words) for words in heard if words))
    try:
        chunks = given_chunks(text, recognized, longest * SECOND)
    except InvalidRequest:
        return
    assert "".join(chunk.text for chunk in chunks) == text
    times = [time for chunk in chunks for time in (chunk.start, chunk.end)]
    assert times == sorted(times)
    assert times[0] >= 0 and times[-1] <= recognized.n_samples
    assert all(chunk.end - chunk.start <= max(longest, 10) * SECOND for chunk in chunks)


@given(texts=st.lists(st.lists(st.integers(0, 99), min_size=4, max_size=8), min_size=2, max_size=6))
def test_a_right_transcript_is_cut_where_the_segments_end(texts: list[list[int]]) -> None:
    segments = [
        " ".join(f"w{place}x{number}" for number in numbers) for place, numbers in enumerate(texts)
    ]
    assert cut(" ".join(segments), *segments) == [
        f"{' ' if place else ''}{segment}" for place, segment in enumerate(segments)
    ]


def test_two_hours_of_speech_take_a_moment() -> None:
    heard = [" ".join(f"w{(7 * i + j) % 991}" for j in range(30)) for i in range(700)]
    found = given_chunks(" ".join(heard), transcript(*heard), 270 * SECOND)
    assert all(chunk.end - chunk.start <= 270 * SECOND for chunk in found)
    heard_in = [chunk.text.strip() for chunk in found]
    assert " ".join(heard_in) == " ".join(heard)
    assert all(any(text.startswith(part) for part in heard) for text in heard_in)
