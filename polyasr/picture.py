"""A picture of a recording: its loudness over time, and below it who or what is when."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from polyasr.errors import ConfigurationError
from polyasr.samples import SAMPLE_RATE, Samples

FORMATS = (".png", ".svg")
STEP = SAMPLE_RATE // 100
"""Samples of which the loudest is drawn: 10 ms, so that hours take a few MB."""
FONTS = (
    *("DejaVu Sans", "Noto Sans CJK SC", "Noto Sans CJK JP", "Source Han Sans SC", "PingFang SC"),
    *("Hiragino Sans", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Droid Sans Fallback"),
    *("Arial Unicode MS", "Microsoft YaHei", "SimHei"),
)
"""Fonts of labels, of those that are installed: matplotlib's own, and such as have Chinese."""
LABELLED = 4
"""How many times higher a line with labels is, for they stand upright."""
READABLE = 120
"""Labels that a line has room for."""
SHADES = (0.95, 0.6)
"""Labelled parts touch each other; every other one is paler."""
LABEL_WIDTH = 0.012
"""How much of the picture's width a label takes; where there is no room for it, it is left out."""
QUIETEST = 0.02
"""Quieter recordings than this are not drawn as if they were loud."""
COLUMNS = 2000
"""Values drawn at most: about one for each pixel."""


@dataclass(frozen=True, slots=True)
class Track:
    """A line of the picture: what it is called, and its parts [start, end), in samples.

    ``labels`` stand in the parts, one in each, as long as they are few enough to be read.
    """

    name: str
    parts: Sequence[tuple[int, int]]
    labels: Sequence[str] = ()


class Outline:
    """The peaks of a recording that is listened to piece by piece."""

    def __init__(self) -> None:
        self._peaks: list[NDArray[np.float32]] = []
        self.n_samples = 0

    def listening(self, blocks: Iterator[Samples]) -> Iterator[Samples]:
        """The blocks, unchanged."""
        for block in blocks:
            starts = np.arange(0, len(block), STEP)
            self._peaks.append(np.maximum.reduceat(np.abs(block), starts))
            self.n_samples += len(block)
            yield block

    def peaks(self) -> NDArray[np.float32]:
        """The loudest value in each of at most COLUMNS equal parts of the recording."""
        peaks = np.concatenate(self._peaks)
        starts = np.linspace(0, len(peaks), min(COLUMNS, len(peaks)), endpoint=False)
        loudest: NDArray[np.float32] = np.maximum.reduceat(peaks, starts.astype(np.int64))
        return loudest


def check(file: Path) -> None:
    """Find out before the work is done whether a picture can be drawn there.

    Raises ConfigurationError.
    """
    if file.suffix not in FORMATS:
        raise ConfigurationError(f"{file}: a picture's name ends in {' or '.join(FORMATS)}")
    if not file.parent.is_dir():
        raise ConfigurationError(f"there is no directory {file.parent}")
    if importlib.util.find_spec("matplotlib") is None:
        raise ConfigurationError(
            "a picture needs matplotlib, which is not installed: pip install 'polyasr[plot]'"
        )


def draw(file: Path, outline: Outline, tracks: Sequence[Track]) -> None:
    """Draw to a PNG or SVG file that was checked. Raises ConfigurationError where it fails.

    A label's characters that no font here has are drawn as boxes.
    """
    from matplotlib import font_manager
    from matplotlib.figure import Figure

    fonts = [name for name in FONTS if name in set(font_manager.get_font_names())]

    rows = sum(LABELLED if track.labels else 1 for track in tracks)
    figure = Figure(figsize=(10, 2 + 0.3 * rows), layout="constrained")
    heights = (4, max(1, rows))
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=heights)
    peaks = outline.peaks()
    length = outline.n_samples / SAMPLE_RATE
    above.fill_between(np.linspace(0, length, len(peaks)), -peaks, peaks, color="#888", linewidth=0)
    loudest = max(QUIETEST, float(peaks.max(initial=0)))
    above.set(ylim=(-loudest, loudest), yticks=[])
    for row, track in enumerate(tracks):
        bars = [(a / SAMPLE_RATE, (b - a) / SAMPLE_RATE) for a, b in track.parts]
        shades = SHADES if track.labels else SHADES[:1]
        for first, shade in enumerate(shades):
            below.broken_barh(
                bars[first :: len(shades)], (row - 0.35, 0.7), color=f"C{row % 10}", alpha=shade
            )
        if len(track.labels) <= READABLE:
            written = -length
            for (begin, long), label in zip(bars, track.labels, strict=False):
                middle = begin + long / 2
                if middle - written >= LABEL_WIDTH * length:
                    written = middle
                    where = {"ha": "center", "va": "center", "rotation": 90}
                    below.text(middle, row, label, fontfamily=fonts, **where)
    below.set(xlim=(0, length), ylim=(max(1, len(tracks)) - 0.5, -0.5), xlabel="s")
    below.set_yticks(range(len(tracks)), [track.name for track in tracks])
    for axes in (above, below):
        axes.spines[["top", "right", "left"]].set_visible(False)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing from font")
            figure.savefig(file, dpi=150)
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be written: {error.strerror}") from error
