"""Two results side by side: what changed, and what may be noise."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Iterator, Mapping

from bench.noise import CONTROLS, Interval, Pair, chance, drift, ratio, spread, verdict
from bench.report import commit_name, table
from bench.results import Host, Measurement, Result


class Incomparable(ValueError):
    """The results were taken under different conditions, so their times cannot be compared."""


def compare(a: Result, b: Result) -> str:
    """Tables of ratios, b to a, in Markdown.

    Raises Incomparable unless host and settings are the same and something was measured in both.
    """
    require_same_conditions((a.host, b.host), (a.settings, b.settings))
    pairs = list(_pairs(a, b))
    # With other packages the controls may have changed as well, and tell nothing of the machine.
    drifted = drift(pairs if a.packages == b.packages else [])
    parts = [
        f"A: {a.date}, {commit_name(a.commit)}\nB: {b.date}, {commit_name(b.commit)}",
        *_package_changes(a, b),
        table(
            ["", "at", "strategy", "A, s", "B, s", "B ÷ A", "spread", ""],
            [_row(pair, drifted, a.packages == b.packages) for pair in pairs],
        ),
        _explanation(pairs, drifted),
        *_token_changes(pairs),
        *_memory(a, b),
        *_output_changes(a, b),
    ]
    return "\n\n".join(parts)


def require_same_conditions(
    hosts: tuple[Host, Host], *others: tuple[Mapping[str, object], Mapping[str, object]]
) -> None:
    """Raises Incomparable, which says what differs."""
    a, b = (dataclasses.asdict(host) for host in hosts)
    differences = [
        f"{name} is {ours.get(name)} in A and {theirs.get(name)} in B"
        for ours, theirs in ((a, b), *others)
        for name in [*ours, *(each for each in theirs if each not in ours)]
        if ours.get(name) != theirs.get(name)
    ]
    if differences:
        raise Incomparable("these results cannot be compared: " + "; ".join(differences))


def _pairs(a: Result, b: Result) -> Iterator[Pair]:
    """What both measured. Raises Incomparable if that is nothing."""
    theirs = {(each.what, each.strategy, each.at): each for each in b.measurements}
    found = [
        (ours, theirs[key])
        for ours in a.measurements
        if (key := (ours.what, ours.strategy, ours.at)) in theirs
    ]
    if not found:
        raise Incomparable("these results cannot be compared: they have no measurement in common")
    yield from found


def _row(pair: Pair, drifted: Interval, same_packages: bool) -> list[str]:
    a, b = pair
    is_control = same_packages and a.strategy in CONTROLS
    return [
        *_name(a),
        f"{statistics.median(a.seconds):.3f}",
        f"{statistics.median(b.seconds):.3f}",
        f"{ratio(a, b):.2f}",
        str(spread(a, b)),
        "control" if is_control else verdict(a, b, drifted),
    ]


def _explanation(pairs: list[Pair], drifted: Interval) -> str:
    n_a, n_b = (min(len(each.seconds) for each in side) for side in zip(*pairs, strict=True))
    if min(n_a, n_b) < 2:
        return "With a single run nothing tells noise: take more, with --repeats."
    return (
        "Noise: the spread, widened by the drift, holds 1. The drift is how much the controls "
        f"changed, whose code is the same in A and B: {drifted}. With {n_a} and {n_b} repeats "
        f"{chance(n_a, n_b):.0%} of all differences between equals would not be called noise."
    )


def _token_changes(pairs: list[Pair]) -> list[str]:
    rows = [[*_name(a), _tokens(a), _tokens(b)] for a, b in pairs if _tokens(a) != _tokens(b)]
    head = ["tokens through encoder + decoder", "at", "strategy", "A", "B"]
    return [table(head, rows) if rows else "Tokens through encoder and decoder: the same."]


def _name(measurement: Measurement) -> list[str]:
    return [measurement.what, f"{measurement.at}", measurement.strategy]


def _tokens(measurement: Measurement) -> str:
    return f"{measurement.encoder_tokens} + {measurement.decoder_tokens}"


def _memory(a: Result, b: Result) -> list[str]:
    rows = [
        [name, f"{a.memory[name].peak / 1e6:.0f}", f"{b.memory[name].peak / 1e6:.0f}"]
        for name in a.memory
        if name in b.memory
    ]
    return [table(["peak memory, MB", "A", "B"], rows)] if rows else []


def _package_changes(a: Result, b: Result) -> list[str]:
    rows = [
        [name, a.packages.get(name, ""), b.packages.get(name, "")]
        for name in a.packages | b.packages
        if a.packages.get(name) != b.packages.get(name)
    ]
    return [table(["package", "A", "B"], rows)] if rows else []


def _output_changes(a: Result, b: Result) -> list[str]:
    """Whether the models wrote the same tokens."""
    return [
        f"Outputs, {name}: {'the same' if a.outputs[name] == b.outputs[name] else 'different'}."
        for name in a.outputs
        if name in b.outputs
    ]
