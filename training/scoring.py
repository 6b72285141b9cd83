"""Word and character accuracy."""

from __future__ import annotations

from collections.abc import Sequence

from training.domain import PUNCTUATION


def units(text: str) -> list[str]:
    """Lower-case words without marks; Chinese characters each by itself."""
    spaced = "".join(f" {c} " if "\u4e00" <= c <= "\u9fff" else c for c in text)
    stripped = "".join(" " if c in PUNCTUATION else c for c in spaced.lower())
    return stripped.split()


def errors(reference: Sequence[str], hypothesis: Sequence[str]) -> int:
    """Insertions, deletions and substitutions between two sequences (Levenshtein)."""
    row = list(range(len(hypothesis) + 1))
    for i, wanted in enumerate(reference, 1):
        diagonal, row[0] = row[0], i
        for j, got in enumerate(hypothesis, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (wanted != got))
    return row[-1]
