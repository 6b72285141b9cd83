"""The picture of a result: what a partial costs over the length of the utterance."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import TYPE_CHECKING

from bench.report import heading
from bench.results import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FORMATS = (".svg", ".png")
COLORS = {"window": "#b5651d", "prefix": "#6a5d9e", "incremental": "#1f6f5c"}


def draw(result: Result, file: Path) -> None:
    """Draw to an SVG or PNG file; the same result gives the same bytes. Needs matplotlib.

    Raises OSError, and ValueError for another kind of file.
    """
    if file.suffix not in FORMATS:
        raise ValueError(f"{file}: a picture is one of {', '.join(FORMATS)}")
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.hashsalt": "polyasr", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(7, 4.2), layout="constrained")
        axes = figure.add_subplot()
        for name in dict.fromkeys(each.strategy for each in result.measurements):
            _draw_strategy(axes, result, name)
        axes.set_xlabel("audio so far, s")
        axes.set_ylabel("compute per partial, s")
        axes.set_xlim(0)
        axes.set_ylim(0)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_title(heading(result).split("\n")[0], loc="left", fontsize=9)
        figure.savefig(file, dpi=150, metadata={"Date": None} if file.suffix == ".svg" else None)


def _draw_strategy(axes: Axes, result: Result, name: str) -> None:
    """A line through the medians, in a band from the fastest to the slowest repeat."""
    found = [
        each for each in result.measurements if (each.what, each.strategy) == ("partial", name)
    ]
    if not found:
        return
    at = [each.at for each in found]
    medians = [statistics.median(each.seconds) for each in found]
    lows, highs = [min(each.seconds) for each in found], [max(each.seconds) for each in found]
    color = COLORS.get(name)
    (line,) = axes.plot(at, medians, marker="o", markersize=3, linewidth=1.5, color=color)
    axes.fill_between(at, lows, highs, color=line.get_color(), alpha=0.2, linewidth=0)
    axes.annotate(
        name,
        (at[-1], medians[-1]),
        xytext=(5, 0),
        textcoords="offset points",
        va="center",
        color=line.get_color(),
    )
