"""What is spoken to servers: synthesised, or a folder's."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

from bench.dictation.corpus import Recipe, digest, read_folder, synthesized
from tests.fakes import silence, tone, wav


def test_a_recipe_gives_the_same_clips_again_with_the_times_of_their_words(tmp_path: Path) -> None:
    made = [synthesized(Recipe(2, 4), tmp_path / name) for name in "ab"]
    assert digest(made[0]) == digest(made[1]) == digest(synthesized(Recipe(2, 4), tmp_path / "a"))
    assert digest(made[0][:1]) != digest(made[0])
    for clip in made[0]:
        assert clip.language == "English"
        assert [word.text for word in clip.words] == clip.text.split()
        assert 0.3 <= clip.onset < clip.end == clip.words[-1].end < clip.seconds - 0.09
        assert clip.end >= 4
        assert all(a.end <= b.start + 0.01 for a, b in pairwise(clip.words))


def test_a_folder_is_read_with_the_times_of_the_speech_by_its_energy(tmp_path: Path) -> None:
    (tmp_path / "b.wav").write_bytes(wav(silence(0.5) + tone(1.0) + silence(0.5)))
    (tmp_path / "b.txt").write_text("One\n two\n")
    (tmp_path / "untold.wav").write_bytes(wav(tone(1.0)))
    (clip,) = read_folder(tmp_path, "English")
    assert (clip.name, clip.text, clip.words, clip.seconds) == ("b", "One two", (), 2.0)
    assert [clip.onset, clip.end] == pytest.approx([0.5, 1.5], abs=0.05)


def test_a_folders_words_may_have_times(tmp_path: Path) -> None:
    (tmp_path / "b.wav").write_bytes(wav(tone(1.0)))
    (tmp_path / "b.txt").write_text("One")
    (tmp_path / "b.json").write_text(json.dumps([{"text": "One", "start": 0.2, "end": 0.7}]))
    (clip,) = read_folder(tmp_path)
    assert (clip.onset, clip.end) == (0.2, 0.7)
    (tmp_path / "b.json").write_text('[{"word": "One"}]')
    with pytest.raises(ValueError, match=r"b\.json does not hold the times of words"):
        read_folder(tmp_path)


def test_a_folder_without_texts_is_refused(tmp_path: Path) -> None:
    (tmp_path / "b.wav").write_bytes(wav(tone(1.0)))
    with pytest.raises(ValueError, match="no recordings with their texts"):
        read_folder(tmp_path)


@pytest.mark.parametrize("text", ["0", "8x", "x40", "-1", "8x40x2"])
def test_a_recipe_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="neither a number of sentences nor like 8x40"):
        Recipe.parse(text)
    assert Recipe.parse("8x40").name == "8x40"
    assert Recipe.parse("48") == Recipe(48)
