"""The measurement of word times, on one sentence of each language."""

from __future__ import annotations

from bench.alignment import Row, measure, memory, report
from bench.spending import Spending


def test_the_aligner_is_qwen_asrs_own_and_both_are_measured() -> None:
    told: list[str] = []
    rows = measure([0], 1, 1, told.append)
    assert [row.kind for row in rows] == ["English, a sentence", "Chinese, a sentence"]
    assert told == [f"{row.kind}, 1 of 1" for row in rows]
    for row in rows:
        assert (row.clips, row.refused) == (1, 0)
        assert len(row.served) == len(row.alone) == len(row.theirs) > 4
        assert row.served == row.alone
        assert all(row.same) and all(row.same_masked)
        for spent in (row.serving, row.aligning, row.their_aligning):
            assert spent.audio / spent.took > 0 and spent.computed > 0


def test_a_kind_that_the_model_cannot_take_at_once_has_no_row_among_those_compared() -> None:
    short = Row("short", clips=1, served=[0.04, 0.3], alone=[0.04, 0.3], theirs=[0.1] * 2)
    short.same, short.same_masked, short.serving = [True, False], [True] * 2, Spending(2, 0.2, 0.4)
    short.aligning, short.their_aligning = Spending(2, 0.1, 0.2), Spending(2, 0.2, 0.4)
    long = Row("long", clips=2, refused=1, served=[0.06])
    served, compared = report([short, long]).split("\n\n")
    assert served.splitlines()[2:] == [
        "| short | 1 | 2 | 170 ms | 50.0 % | 0 | 10 | 5 |",
        "| long | 2 | 1 | 60 ms | 100.0 % | 1 |  |  |",
    ]
    assert compared.splitlines()[2:] == [
        "| short | 170 ms | 50.0 % | 100 ms | 100.0 % | 50.0 % | 100.0 % | 20 | 10 | 10 | 5 |"
    ]


def test_the_memory_of_a_long_recording_is_told_for_both_passes_over_it() -> None:
    told: list[str] = []
    table = memory(1, told.append)
    assert told[0].startswith("transcribe: ") and told[-1] == "align: 1 min of 1"
    assert table.splitlines()[-3].split(" | ")[0].endswith(" words told")
    assert "times real time" in table
