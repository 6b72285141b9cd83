"""What speakers are called."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from polyasr.pipeline.voices import threshold


def label(speaker: int) -> str:
    """The name of a speaker who has none: ``SPEAKER_00`` and so on."""
    return f"SPEAKER_{speaker:02d}"


def letter(speaker: int) -> str:
    """The name of a speaker as OpenAI's API gives it: ``A`` and so on, after ``Z`` ``AA``."""
    first, last = divmod(speaker, 26)
    return (chr(ord("A") + first - 1) if first else "") + chr(ord("A") + last)


def name_voices(
    voices: NDArray[np.float32],
    samples: Sequence[int],
    references: Mapping[str, tuple[NDArray[np.float32], int]],
    nameless: Callable[[int], str] = label,
) -> tuple[str, ...]:
    """A name for each voice, shape (k, dimensions), with so many samples of speech behind it.

    ``references``: unit vectors of people by name, and the samples of speech behind each. A name is
    given once, to the voice that resembles the person enough; who is nobody's is called
    as ``nameless`` says. The
    assignment is the one with the greatest similarity in all.
    """
    from scipy.optimize import linear_sum_assignment

    names = [nameless(speaker) for speaker in range(len(voices))]
    if not references or not names:
        return tuple(names)
    people = list(references)
    least = [[threshold(n, references[one][1]) for one in people] for n in samples]
    margin = voices @ np.stack([references[one][0] for one in people]).T - np.array(least)
    for voice, person in zip(*linear_sum_assignment(np.maximum(margin, 0), True), strict=True):
        if margin[voice, person] >= 0:
            names[voice] = people[person]
    return tuple(names)
