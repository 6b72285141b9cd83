"""Files that have lost their end."""

from __future__ import annotations

import io
import logging

import pytest

from polyasr import audio
from polyasr.containers import missing_end
from tests.fakes import tone, wav
from tests.media import media

WHOLE = {
    "wav": wav(tone(5)),
    "mp3": media("mp3", "libmp3lame", seconds=5),
    "ogg": media("ogg", "libopus", seconds=5),
}


@pytest.mark.parametrize("form", WHOLE)
def test_a_whole_file_misses_nothing_and_one_cut_anywhere_does(form: str) -> None:
    whole = WHOLE[form]
    assert missing_end(io.BytesIO(whole)) == ""
    for length in (len(whole) // 4, len(whole) // 2, len(whole) - 300):
        assert missing_end(io.BytesIO(whole[:length])) != ""


@pytest.mark.parametrize("size", [b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", bytes(4)])
def test_who_writes_into_a_pipe_claims_no_length(size: bytes) -> None:
    whole = WHOLE["wav"]
    at = whole.index(b"data") + 4
    assert missing_end(io.BytesIO(whole[:at] + size + whole[at + 4 :])) == ""


def test_a_tag_before_the_sound_does_not_count() -> None:
    tagged = b"ID3\x04\x00\x00\x00\x00\x0f\x00" + bytes(15 * 128) + WHOLE["mp3"][10:]
    assert WHOLE["mp3"].startswith(b"ID3")
    assert missing_end(io.BytesIO(WHOLE["mp3"])) == ""
    assert missing_end(io.BytesIO(tagged[:-5000])) != ""


@pytest.mark.parametrize(
    "content", [b"", b"RIFF", b"RIFFxxxxWAVE", b"OggS", b"ID3", b"ID3\x04" + 6 * b"\xff", b"Xing"]
)
def test_scraps_are_looked_at_without_harm(content: bytes) -> None:
    file = io.BytesIO(content)
    missing_end(file)
    assert file.tell() == 0


@pytest.mark.parametrize("form", WHOLE)
def test_what_is_there_is_decoded_and_the_log_says_so(
    form: str, caplog: pytest.LogCaptureFixture
) -> None:
    whole = WHOLE[form]
    with caplog.at_level(logging.WARNING, "polyasr"):
        decoded = audio.decode(whole[: len(whole) // 2], max_seconds=60)
    assert 1.5 < len(decoded) / 16000 < 3.5
    assert "has lost its end" in caplog.text
