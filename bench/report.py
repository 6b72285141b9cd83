"""A result as tables in Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping

from bench.results import WHAT, Commit, Host, Measurement, Origin, Result


def report(result: Result) -> str:
    """Seconds, ratios to the last strategy, tokens and memory, with what they depend on."""
    parts = [heading(result)]
    for what in WHAT:
        found = [each for each in result.measurements if each.what == what]
        parts += [_seconds(what, found)] if found else []
    parts += [_tokens(result), *_memory(result), *_real_time_factors(result)]
    return "\n\n".join(parts)


def heading(result: Result) -> str:
    """What was measured, where, and how often."""
    repeats = max(len(each.seconds) for each in result.measurements)
    return f"{random_model(result.settings)}; median of {repeats}\n{origin(result)}"


def random_model(settings: Mapping[str, str | int]) -> str:
    """The model of a measurement at true sizes, and where it ran."""
    return (
        f"Qwen3-ASR {settings['size']}, random weights, {settings['dtype']} on "
        f"{settings['device']} (threads: {settings['threads']})"
    )


def origin(result: Origin) -> str:
    """Two lines: the machine, and when and with what it was measured there."""
    versions = (f"{name} {version}" for name, version in result.packages.items())
    return (
        f"{machine(result.host)}\n"
        f"{result.date}, {commit_name(result.commit)}; {', '.join(versions)}"
    )


def machine(host: Host) -> str:
    """What it is, with the GPU if one was used."""
    parts = [host.system, host.cpu, f"{host.cores} cores", f"{host.memory_gib} GiB"]
    return ", ".join([*parts, *([host.gpu] if host.gpu else [])])


def commit_name(commit: Commit | None) -> str:
    """The commit, shortened."""
    if commit is None:
        return "no commit"
    return f"commit {commit.hash[:12]}" + (" and changes" if commit.dirty else "")


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table in Markdown."""
    names = list(head)
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _strategies(found: Iterable[Measurement]) -> list[str]:
    return list(dict.fromkeys(each.strategy for each in found))


def _shared(found: list[Measurement]) -> dict[int, dict[str, Measurement]]:
    """By number and strategy, where all strategies were measured."""
    names = _strategies(found)
    by_number: dict[int, dict[str, Measurement]] = {}
    for each in found:
        by_number.setdefault(each.at, {})[each.strategy] = each
    return {at: row for at, row in sorted(by_number.items()) if len(row) == len(names)}


def _seconds(what: str, found: list[Measurement]) -> str:
    names = _strategies(found)
    last = names[-1]
    rows = []
    for at, row in _shared(found).items():
        medians = {name: statistics.median(row[name].seconds) for name in names}
        ratios = [f"{medians[name] / medians[last]:.1f}" for name in names[:-1]]
        rows.append([f"{at}", *(f"{medians[name]:.3f}" for name in names), *ratios])
    heads = [*(f"{name}, s" for name in names), *(f"{name} ÷ {last}" for name in names[:-1])]
    return table([WHAT[what], *heads], rows)


def _tokens(result: Result) -> str:
    found = [each for each in result.measurements if each.what == "partial"]
    names = _strategies(found)
    rows = [
        [f"{at}", *(f"{row[name].encoder_tokens} + {row[name].decoder_tokens}" for name in names)]
        for at, row in _shared(found).items()
    ]
    return "Tokens through encoder + decoder:\n\n" + table([WHAT["partial"], *names], rows)


def _memory(result: Result) -> list[str]:
    if not result.memory:
        return []
    rows = [
        [name, f"{each.peak / 1e6:.0f}", f"{(each.peak - each.rest) / 1e6:.0f}"]
        for name, each in result.memory.items()
    ]
    return [table(["strategy", "peak memory, MB", "of that not at rest, MB"], rows)]


def _real_time_factors(result: Result) -> list[str]:
    return [
        f"Real-time factor, {each.strategy}, a partial each second: "
        f"{statistics.median(each.seconds) / each.at:.2f}"
        for each in result.measurements
        if each.what == "recording"
    ]
