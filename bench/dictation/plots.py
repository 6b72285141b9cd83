"""The pictures of a result, as SVG to be put into a page."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from bench.dictation.observed import Event
from bench.dictation.results import Capacity, Run, Timeline
from bench.dictation.scoring import tokens
from bench.dictation.summary import Percentiles, Summary, Values, durations, summarize
from bench.dictation.tables import name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLORS = ("#1f6f5c", "#b5651d", "#6a5d9e", "#2b6ca3", "#a33b4a", "#6b7280", "#8a7d12", "#12808a")
INK, FAINT = "#374151", "#9ca3af"
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "polyasr",
    "svg.fonttype": "none",
    "font.size": 9,
    "font.family": "sans-serif",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.grid": True,
    "grid.alpha": 0.25,
}
LONGEST_LABEL_SEC = 12.0
"""Words are written over the audio of clips up to so long."""


def distributions(runs: Sequence[Run]) -> str:
    """For each delay, which share of it was at most how long: one line a run."""

    def draw(figure: Figure) -> None:
        panels = (
            ("first partial, from speech onset", lambda r: [f.first_partial for f in r.figures]),
            ("interval between partials", lambda r: durations(f.intervals for f in r.figures)),
            ("a word stands, from its end", lambda r: durations(f.settle_lags for f in r.figures)),
            ("final, after the last audio", lambda r: [f.final_after_audio for f in r.figures]),
        )
        axes = figure.subplots(1, len(panels), sharey=True)
        for each, (title, values) in zip(axes, panels, strict=True):
            _draw_shares(each, title, runs, values)
        axes[0].set_ylabel("share of all")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)

    return _svg(draw, (11, 3.2 + 0.18 * math.ceil(len(runs) / 2)))


def _draw_shares(
    axes: Axes, title: str, runs: Sequence[Run], values: Callable[[Run], Values]
) -> None:
    """What never came is what the line lacks of 1."""
    for number, run in enumerate(runs):
        found = values(run)
        came = sorted(value for value in found if value is not None)
        shares = [(place + 1) / len(found) for place in range(len(came))]
        color = COLORS[number % len(COLORS)]
        style = "-" if number < len(COLORS) else "--"
        axes.step(
            [0, *came], [0, *shares], style, where="post", color=color, label=name(run), lw=1.4
        )
    axes.set_title(title, loc="left", fontsize=9, color=INK)
    axes.set_xlabel("s")
    axes.set_xlim(0)
    axes.set_ylim(0, 1.02)


def utterance(timeline: Timeline) -> str:
    """The audio with its words, and how many words were said, shown and promised when."""

    def draw(figure: Figure) -> None:
        audio, text = figure.subplots(2, 1, sharex=True, height_ratios=(1, 2.4))
        _draw_audio(audio, timeline)
        _draw_words(text, timeline)

    return _svg(draw, (11, 4.4))


def _draw_audio(axes: Axes, timeline: Timeline) -> None:
    levels = timeline.levels
    at = [(place + 0.5) * timeline.seconds / len(levels) for place in range(len(levels))]
    axes.fill_between(at, [-level for level in levels], levels, color="#c7d2da", lw=0)
    axes.axvspan(timeline.onset, timeline.end, color="#1f6f5c", alpha=0.06, lw=0)
    if timeline.words and timeline.seconds <= LONGEST_LABEL_SEC:
        for word, start, end in timeline.words:
            axes.text((start + end) / 2, 1.15, word, ha="center", fontsize=8, color=INK)
    axes.set_ylim(-1, 1.6)
    axes.set_yticks([])
    axes.set_ylabel("audio")
    axes.grid(visible=False)


def _draw_words(axes: Axes, timeline: Timeline) -> None:
    from matplotlib.ticker import MaxNLocator

    last = max([timeline.seconds, *(event.at for event in timeline.events)])
    said = [(end, number + 1) for number, (_, _, end) in enumerate(timeline.words)]
    shown = [(event.at, len(tokens(event.heard.text))) for event in timeline.events]
    promised = [(event.at, len(tokens(event.heard.promised or ""))) for event in timeline.events]
    _stairs(axes, said, last, color=FAINT, label="said", ls="--")
    _stairs(axes, shown, last, color=COLORS[0], label="shown")
    if any(event.heard.committed for event in timeline.events):
        _stairs(axes, promised, last, color=COLORS[1], label="committed")
    for event in timeline.events:
        if event.heard.is_final:
            axes.axvline(event.at, color=COLORS[4], lw=1.2, label="final")
    axes.axvline(timeline.end, color=FAINT, lw=1, ls=":", label="speech ends")
    axes.set_xlim(0, last * 1.01)
    axes.set_ylim(0)
    axes.set_xlabel("s")
    axes.set_ylabel("words")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(loc="upper left", frameon=False, fontsize=8)


def _stairs(
    axes: Axes,
    points: Sequence[tuple[float, int]],
    last: float,
    *,
    color: str,
    label: str,
    ls: str = "-",
) -> None:
    """How many there were at each time."""
    if points:
        at, counts = zip(*[(0.0, 0), *points, (last, points[-1][1])], strict=True)
        axes.step(at, counts, where="post", lw=1.4, color=color, label=label, ls=ls)


def capacity(capacities: Sequence[Capacity]) -> str:
    """p95 over the number of streams against the limits, and the partials that came meanwhile."""

    def draw(figure: Figure) -> None:
        limits = capacities[0].objective
        panels: tuple[tuple[str, float, Callable[[Summary], Percentiles | None]], ...] = (
            ("first partial, p95, s", limits.first_partial, lambda s: s.first_partial),
            ("lag of a word, p95, s", limits.commit_lag, lambda s: s.commit_lag or s.settle_lag),
            ("final, p95, s", limits.final, lambda s: s.final_after_audio),
        )
        axes = figure.subplots(1, 4)
        found = [[(run.streams, summarize(run.figures)) for run in c.runs] for c in capacities]
        for each, (title, limit, value) in zip(axes, panels, strict=False):
            each.axhline(limit, color=COLORS[4], lw=1, ls="--")
            for number, (one, steps) in enumerate(zip(capacities, found, strict=True)):
                points = [(n, p.p95) for n, s in steps if (p := value(s)) and p.p95 is not None]
                _line(each, points, number, one.system)
            each.set_title(title, loc="left", fontsize=9, color=INK)
        for number, (one, steps) in enumerate(zip(capacities, found, strict=True)):
            points = [(n, s.partials_per_second) for n, s in steps]
            _line(axes[3], points, number, f"{one.system}: {one.streams}")
        axes[3].set_title("partials a second and stream", loc="left", fontsize=9, color=INK)
        for each in axes:
            each.set_xlabel("streams")
            each.set_xlim(0)
            each.set_ylim(0)
        handles, labels = axes[3].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)

    return _svg(draw, (11, 3.2))


def _line(axes: Axes, points: Sequence[tuple[int, float]], number: int, label: str) -> None:
    at, values = zip(*points, strict=True) if points else ((), ())
    axes.plot(at, values, "o-", ms=3, lw=1.4, color=COLORS[number % len(COLORS)], label=label)


def partials(timeline: Timeline) -> list[Event]:
    """The events at which another text, or another part of it as promised, is shown."""
    found: list[Event] = []
    for event in timeline.events:
        if not event.heard.text and not event.heard.is_final:
            continue
        if found and (found[-1].heard == event.heard or found[-1].heard.is_final):
            continue
        found.append(event)
    return found


def _svg(draw: Callable[[Figure], None], size: tuple[float, float]) -> str:
    """The ``svg`` element; the same result gives the same one."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        written = io.StringIO()
        figure.savefig(written, format="svg", metadata={"Date": None})
    whole = written.getvalue()
    svg = whole[whole.index("<svg") :]
    return re.sub(r' (width|height)="[\d.]+pt"', "", svg, count=2)
