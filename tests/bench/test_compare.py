"""Comparing two results: what may be compared, and what is noise."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bench.__main__ import main
from bench.compare import Incomparable, compare
from bench.documents import BadResult
from bench.noise import chance
from bench.results import Commit, Host, Measurement, Memory, Result, read, write

HOST = Host("Linux x86_64", "A CPU", 2, 16, None)


def measured(strategy: str, *seconds: float, at: int = 5, what: str = "partial") -> Measurement:
    return Measurement(what, strategy, at, seconds, encoder_tokens=65, decoder_tokens=90)


def taken(*measurements: Measurement) -> Result:
    return Result(
        date="2026-11-21T12:00:00+00:00",
        host=HOST,
        commit=Commit("0123456789abcdef", dirty=False),
        packages={"python": "3.11.7", "torch": "2.13.0"},
        settings={"size": "0.6b", "dtype": "float32", "seconds": 30},
        measurements=measurements,
        memory={"incremental": Memory(rest=1_500_000_000, peak=1_600_000_000)},
        outputs={"incremental": ("ab",)},
    )


def verdicts(a: Result, b: Result) -> list[str]:
    """The last cell of each measurement's row."""
    lines = compare(a, b).splitlines()
    rows = [line for line in lines if line.startswith(("| partial |", "| final |"))]
    return [row.split("|")[-2].strip() for row in rows]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ((1.0, 1.1, 1.2), (0.7, 0.8, 0.9), "faster"),
        ((0.7, 0.8, 0.9), (1.0, 1.1, 1.2), "slower"),
        ((1.0, 1.1, 1.2), (0.7, 0.8, 1.05), "noise"),
        ((1.0, 1.1, 1.2), (1.0, 1.1, 1.2), "noise"),
        ((1.0,), (0.1, 0.1, 0.1), "unknown"),
    ],
)
def test_a_difference_within_the_spread_of_the_repeats_is_noise(
    before: Sequence[float], after: Sequence[float], expected: str
) -> None:
    a, b = taken(measured("incremental", *before)), taken(measured("incremental", *after))
    assert verdicts(a, b) == [expected]


@pytest.mark.parametrize(("controls", "expected"), [((2.0, 2.0), "slower"), ((3.0, 3.0), "noise")])
def test_a_difference_as_large_as_that_of_unchanged_code_is_noise(
    controls: tuple[float, float], expected: str
) -> None:
    a = taken(measured("window", 2.0, 2.0), measured("incremental", 1.0, 1.0))
    b = taken(measured("window", *controls), measured("incremental", 1.4, 1.4))
    assert verdicts(a, b) == ["control", expected]


def test_with_other_packages_nothing_is_a_control() -> None:
    a = taken(measured("window", 2.0, 2.0), measured("incremental", 1.0, 1.0))
    b = taken(measured("window", 3.0, 3.0), measured("incremental", 1.4, 1.4))
    newer = replace(b, packages={**b.packages, "torch": "2.14.0"})
    assert verdicts(a, newer) == ["slower", "slower"]
    assert "| torch | 2.13.0 | 2.14.0 |" in compare(a, newer)


def test_ratios_are_of_medians_with_the_spread_of_any_two_repeats() -> None:
    a = taken(measured("incremental", 1.0, 4.0, 2.0))
    b = taken(measured("incremental", 3.0, 4.0, 8.0))
    assert "| partial | 5 | incremental | 2.000 | 4.000 | 2.00 | 0.75–8.00 | noise |" in compare(
        a, b
    )


def test_a_single_run_asks_for_more() -> None:
    result = taken(measured("incremental", 1.0))
    assert "--repeats" in compare(result, result)


@pytest.mark.parametrize(("n_a", "n_b", "expected"), [(2, 2, 1 / 3), (3, 3, 1 / 10), (2, 1, 2 / 3)])
def test_the_chance_of_ranges_apart_counts_the_orders(n_a: int, n_b: int, expected: float) -> None:
    assert chance(n_a, n_b) == pytest.approx(expected)


def test_other_hosts_are_refused() -> None:
    a = taken(measured("incremental", 1.0, 1.0))
    with pytest.raises(Incomparable, match="cpu is A CPU in A and Another in B"):
        compare(a, replace(a, host=replace(HOST, cpu="Another")))


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"size": "1.7b", "dtype": "float32", "seconds": 30}, "size is 0.6b in A and 1.7b in B"),
        ({"size": "0.6b", "dtype": "float32"}, "seconds is 30 in A and None in B"),
    ],
)
def test_other_settings_are_refused(settings: dict[str, str | int], complaint: str) -> None:
    a = taken(measured("incremental", 1.0, 1.0))
    with pytest.raises(Incomparable, match=complaint):
        compare(a, replace(a, settings=settings))


def test_results_without_a_measurement_in_common_are_refused() -> None:
    a, b = taken(measured("window", 1.0)), taken(measured("window", 1.0, at=10))
    with pytest.raises(Incomparable, match="no measurement in common"):
        compare(a, b)


def test_what_else_changed_is_told() -> None:
    a = taken(measured("incremental", 1.0, 1.0))
    b = replace(
        taken(replace(measured("incremental", 1.0, 1.0), decoder_tokens=70)),
        commit=Commit("fedcba9876543210", dirty=True),
        memory={"incremental": Memory(rest=1_500_000_000, peak=1_700_000_000)},
        outputs={"incremental": ("cd",)},
    )
    told = compare(a, b)
    assert "commit fedcba987654 and changes" in told
    assert "| partial | 5 | incremental | 65 + 90 | 65 + 70 |" in told
    assert "| incremental | 1600 | 1700 |" in told
    assert "Outputs, incremental: different." in told


def test_a_result_is_read_as_it_was_written(tmp_path: Path) -> None:
    result = taken(measured("window", 1.0, 2.0), measured("incremental", 0.5, 0.25, what="final"))
    write(result, tmp_path / "a.json")
    assert read(tmp_path / "a.json") == result
    write(replace(result, commit=None), tmp_path / "b.json")
    assert read(tmp_path / "b.json") == replace(result, commit=None)


def test_another_schema_and_other_files_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    write(taken(measured("window", 1.0)), file)
    document = json.loads(file.read_text())
    for changed, complaint in (
        (document | {"schema": 1}, "has schema 1; this version reads 2"),
        ({**document, "host": {}}, "not a whole result"),
        ({key: document[key] for key in document if key != "memory"}, "not a whole result"),
        ([1, 2], "not a result"),
    ):
        file.write_text(json.dumps(changed))
        with pytest.raises(BadResult, match=complaint):
            read(file)
    file.write_bytes(b"\x89PNG")
    with pytest.raises(BadResult, match="not a result"):
        read(file)


def test_the_command_ends_with_2_and_one_line_for_what_cannot_be_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    result = taken(measured("window", 1.0))
    a, b = tmp_path / "a.json", tmp_path / "b.json"
    write(result, a)
    write(replace(result, host=replace(HOST, cores=64)), b)
    for other in (b, tmp_path / "missing.json"):
        monkeypatch.setattr(sys, "argv", ["bench", "compare", str(a), str(other)])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 2
        written = capsys.readouterr()
        assert written.out == ""
        assert written.err.startswith("bench: ") and written.err.count("\n") == 1


def test_comparing_loads_no_model_library() -> None:
    code = "import sys, bench.__main__; print(*sys.modules)"
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", code]
    loaded = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert {"torch", "transformers", "matplotlib"}.isdisjoint(loaded.stdout.split())
