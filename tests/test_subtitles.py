"""Cues that a subtitle editor would accept, read back by parsers that are not ours."""

from __future__ import annotations

import io
from itertools import pairwise

import pytest
import srt
import webvtt
from hypothesis import given
from hypothesis import strategies as st

from polyasr import subtitles
from polyasr.pipeline.types import Segment
from polyasr.samples import SAMPLE_RATE
from polyasr.subtitles import LINE_WIDTH, LONGEST_SEC, SHORTEST_SEC, Cue, Word, cues, width

ENGLISH = (
    "The quick brown fox jumps over the lazy dog, and then it runs away into the forest. "
    "Nobody has seen it since. Really? Yes, of course; the forest is large, and it is quick."
)
CHINESE = (
    "今天天气很好，我们去公园散步吧。公园里有很多花，还有一个很大的湖。"
    "湖上有几只白色的天鹅在慢慢地游来游去，孩子们在湖边高兴地跑着、笑着。你想去吗？"
)


def segment(text: str, start: float, end: float) -> Segment:
    return Segment(text, "", round(start * SAMPLE_RATE), round(end * SAMPLE_RATE))


def cut(*segments: Segment) -> list[Cue]:
    return cues(subtitles.spoken_words(segments))


def spoken(cue: Cue) -> float:
    return cue.end - cue.start


def squeezed(text: str) -> str:
    return "".join(text.split())


def assert_readable(found: list[Cue]) -> None:
    for cue in found:
        assert 1 <= len(cue.lines) <= 2
        assert all(0 < width(line) <= LINE_WIDTH for line in cue.lines)
        assert spoken(cue) <= LONGEST_SEC + 1e-9
    for cue, following in pairwise(found):
        assert cue.end <= following.start


@pytest.mark.parametrize(("text", "seconds"), [(ENGLISH, 15), (CHINESE, 18)])
def test_speech_at_a_usual_pace_is_cut_at_sentences_and_clauses(text: str, seconds: float) -> None:
    found = cut(segment(text, 3, 3 + seconds))
    assert_readable(found)
    assert all(spoken(cue) >= SHORTEST_SEC for cue in found)
    assert all(cue.lines[-1][-1] in ".,;?，。？" for cue in found)
    assert squeezed("".join("".join(cue.lines) for cue in found)) == squeezed(text)
    assert found[0].start == 3
    assert found[-1].end == pytest.approx(3 + seconds)


def test_wide_characters_count_as_two() -> None:
    found = cut(segment("湖" * 100, 0, 10))
    assert max(len(line) for cue in found for line in cue.lines) == LINE_WIDTH // 2


def test_no_line_begins_with_a_mark_that_ends_something_or_ends_with_one_that_opens() -> None:
    text = "他说：「我们今天去公园散步吧，好不好？」她说（很小声）：「好，我们走吧！」" * 4
    for cue in cut(segment(text, 0, 40)):
        assert all(line[0] not in "，。？！」）：" and line[-1] not in "「（" for line in cue.lines)


def test_a_short_word_stands_long_enough_to_be_read() -> None:
    assert cues([Word("Yes.", 2.0, 2.2)]) == [Cue(("Yes.",), 2.0, 3.0)]


def test_a_word_that_is_held_does_not_stand_for_ever() -> None:
    assert cut(segment("Hello.", 0, 20)) == [Cue(("Hello.",), 0, LONGEST_SEC)]


def test_short_sentences_share_a_cue_and_segments_a_space() -> None:
    found = cut(segment("Yes.", 0, 0.5), segment("No.", 0.6, 1.0))
    assert found == [Cue(("Yes. No.",), 0, 1.0)]


def test_no_cue_stands_over_a_long_pause() -> None:
    found = cut(segment("I think", 0, 1), segment("so.", 4, 5))
    assert [cue.lines for cue in found] == [("I think",), ("so.",)]


def test_the_times_of_aligned_words_are_kept() -> None:
    words = [
        Word("One", 0.5, 0.9),
        Word(" two.", 1.0, 1.4),
        Word(" Three", 3.5, 3.9),
        Word(" four.", 4.0, 4.75),
    ]
    assert cues(words) == [Cue(("One two.",), 0.5, 1.5), Cue(("Three four.",), 3.5, 4.75)]


def test_a_word_wider_than_a_line_is_broken() -> None:
    address = "https://example.com/" + "x" * 60
    found = cut(segment(address, 0, 5))
    assert_readable(found)
    assert squeezed("".join("".join(cue.lines) for cue in found)) == address


def test_nothing_said_is_no_cue_and_still_a_file() -> None:
    assert cues([]) == []
    assert subtitles.srt([]) == ""
    assert webvtt.from_buffer(io.StringIO(subtitles.vtt([]))).captions == []


SEGMENTS = st.lists(
    st.tuples(
        st.text("ab ,.?-><&'\"’“”你好，。「」한글 é\n", min_size=1, max_size=120),
        st.floats(0.05, 30),
        st.floats(0, 4),
    ),
    max_size=6,
)


@given(SEGMENTS)
def test_whatever_is_said_however_fast_the_cues_are_readable_and_the_files_valid(
    parts: list[tuple[str, float, float]],
) -> None:
    at, segments = 0.0, []
    for text, seconds, pause in parts:
        segments.append(segment(text, at, at + seconds))
        at += seconds + pause
    found = cut(*segments)
    assert_readable(found)
    shown = squeezed("".join("".join(cue.lines) for cue in found))
    assert shown == squeezed("".join(text for text, _, _ in parts))
    assert_same_in_srt(found)
    assert_same_in_vtt(found)
    assert subtitles.tsv(found).count("\n") == len(found) + 1


@given(SEGMENTS)
def test_with_labels_every_cue_tells_its_speaker_and_is_as_readable(
    parts: list[tuple[str, float, float]],
) -> None:
    at, turns = 0.0, []
    for number, (text, seconds, pause) in enumerate(parts):
        words = subtitles.spoken_words([segment(text, at, at + seconds)])
        turns.append((f"[SPEAKER_{number % 2:02}]", words))
        at += seconds + pause
    found = subtitles.labelled_cues(turns)
    assert_readable(found)
    assert all(cue.lines[0].startswith(("[SPEAKER_00]", "[SPEAKER_01]")) for cue in found)
    assert_same_in_srt(found)


def test_a_label_takes_its_place_in_the_line() -> None:
    words = subtitles.spoken_words([segment(ENGLISH, 0, 12)])
    first, *_ = subtitles.labelled_cues([("[SPEAKER_00]", words)])
    assert first.lines[0].startswith("[SPEAKER_00] The quick")
    assert all(width(line) <= LINE_WIDTH for line in first.lines)


def assert_same_in_srt(found: list[Cue]) -> None:
    parsed = list(srt.parse(subtitles.srt(found)))
    assert [one.index for one in parsed] == list(range(1, len(found) + 1))
    for one, cue in zip(parsed, found, strict=True):
        assert one.content == "\n".join(cue.lines).replace("-->", "->")
        assert one.start.total_seconds() == pytest.approx(cue.start, abs=0.001)
        assert one.end.total_seconds() == pytest.approx(cue.end, abs=0.001)


def assert_same_in_vtt(found: list[Cue]) -> None:
    escapes = {"&lt;": "<", "&gt;": ">", "&amp;": "&"}
    parsed = webvtt.from_buffer(io.StringIO(subtitles.vtt(found))).captions
    for one, cue in zip(parsed, found, strict=True):
        text = one.raw_text
        for escaped, character in escapes.items():
            text = text.replace(escaped, character)
        assert text == "\n".join(cue.lines)
        assert one.start_in_seconds == pytest.approx(cue.start, abs=1.0)


def test_tsv_is_in_milliseconds_and_one_line_a_cue() -> None:
    found = [Cue(("One line", "and another."), 1.0, 2.5), Cue(("一行", "两行"), 3600.25, 3601.5)]
    assert subtitles.tsv(found) == (
        "start\tend\ttext\n1000\t2500\tOne line and another.\n3600250\t3601500\t一行两行\n"
    )


def test_times_are_written_as_the_formats_have_them() -> None:
    found = [Cue(("Late.",), 3661.5, 3662.0625)]
    assert subtitles.srt(found) == "1\n01:01:01,500 --> 01:01:02,062\nLate.\n"
    assert subtitles.vtt(found) == "WEBVTT\n\n01:01:01.500 --> 01:01:02.062\nLate.\n"
