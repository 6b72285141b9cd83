"""The measurement of word times, on one sentence of each language."""

from __future__ import annotations

from bench.alignment import Row, measure, report


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
        assert row.seconds / row.took > 0


def test_a_kind_that_the_model_cannot_take_at_once_has_no_row_among_those_compared() -> None:
    short = Row(
        "short", clips=1, seconds=2, served=[0.04, 0.3], alone=[0.04, 0.3], theirs=[0.1] * 2
    )
    short.same, short.same_masked, short.took, short.they_took = [True, False], [True] * 2, 0.1, 0.2
    long = Row("long", clips=2, refused=1, served=[0.06])
    served, compared = report([short, long]).split("\n\n")
    assert served.splitlines()[2:] == [
        "| short | 1 | 2 | 170 ms | 50.0 % | 0 |",
        "| long | 2 | 1 | 60 ms | 100.0 % | 1 |",
    ]
    assert compared.splitlines()[2:] == [
        "| short | 170 ms | 50.0 % | 100 ms | 100.0 % | 50.0 % | 100.0 % | 20 | 10 |"
    ]
