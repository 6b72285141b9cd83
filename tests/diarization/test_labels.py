"""Whose a piece of text is."""

from __future__ import annotations

import numpy as np

from polyasr.diarization import Diarization, Labels, Turn, letter

TURNS = (Turn(0, 1000, 0), Turn(1500, 2000, 1), Turn(2000, 3000, 0), Turn(3500, 4000, 0))
LABELS = Labels(Diarization(TURNS, np.eye(2, 256, dtype=np.float32), 5000), ("Ann", "Ben"))


def test_changes_are_between_speakers_in_the_middle_of_the_pause() -> None:
    assert LABELS.changes() == (1250, 2000)


def test_a_piece_is_whose_most_of_it_is() -> None:
    assert LABELS.of(0, 900) == "Ann"
    assert LABELS.of(500, 1900) == "Ann"
    assert LABELS.of(800, 1900) == "Ben"
    assert LABELS.of(1600, 3900) == "Ann", "turns of one speaker count together"


def test_where_nobody_speaks_there_is_no_name() -> None:
    assert LABELS.of(1100, 1400) == LABELS.of(4500, 5000) == ""
    nobody = Labels(Diarization((), np.empty((0, 256), np.float32), 5000), ())
    assert (nobody.of(0, 5000), nobody.changes(), nobody.embeddings()) == ("", (), {})


def test_voices_have_their_names() -> None:
    assert LABELS.embeddings()["Ben"][:3] == [0.0, 1.0, 0.0]


def test_letters_go_on_after_z() -> None:
    assert [letter(number) for number in (0, 1, 25, 26, 31)] == ["A", "B", "Z", "AA", "AF"]
