"""What differs between two texts, word by word."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

HAN_AND_KANA = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
WORD = re.compile(rf"(\s*)([{HAN_AND_KANA}]|[^\s{HAN_AND_KANA}]+)")
"""A word and the space before it; a character where a language has no spaces."""

Words = Sequence[tuple[str, str]]


def difference(before: str, after: str) -> str:
    """Both texts in one, as git shows words: what is gone in [-…-], what is new in {+…+}."""
    old, new = WORD.findall(before), WORD.findall(after)
    matcher = SequenceMatcher(None, [w for _, w in old], [w for _, w in new], autojunk=False)
    pieces = []
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind == "equal":
            both = zip(old[a:b], new[c:d], strict=True)
            pieces += [max(space, other) + word for (space, word), (other, _) in both]
        else:
            pieces.append((old[a:b] or new[c:d])[0][0])
            pieces.append(_marked("[-", old[a:b], "-]") + _marked("{+", new[c:d], "+}"))
    return "".join(pieces).strip()


def _marked(opening: str, words: Words, closing: str) -> str:
    said = "".join(space + word for space, word in words).strip()
    return opening + said + closing if said else ""
