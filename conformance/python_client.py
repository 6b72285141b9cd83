"""`polyasr.client` as the kit wants a client: servers as arguments, PCM16 on stdin, JSON out."""

from __future__ import annotations

import json
import sys

import trio

from polyasr.client import Dictation, open_dictation
from polyasr.client.dictation import speak
from polyasr.errors import PolyasrError, leaves
from polyasr.protocol.messages import Final


async def _dictate(urls: list[str], pcm16: bytes) -> dict[str, object]:
    async with open_dictation(urls) as dictation, trio.open_nursery() as nursery:
        nursery.start_soon(speak, dictation, pcm16, False)
        return _told(dictation, [event async for event in dictation][-1])


def _told(dictation: Dictation, event: object) -> dict[str, object]:
    assert isinstance(event, Final)
    covered = (event.recognized_through_seq or 0) >= dictation.captured_frames
    return {"type": "final", "text": event.text, "covered": covered}


def main() -> int:
    """Returns 0 when there was a final."""
    try:
        told = trio.run(_dictate, sys.argv[1:], sys.stdin.buffer.read())
    except BaseException as failure:
        (error, *_) = leaves(failure)
        if not isinstance(error, PolyasrError):
            raise
        told = {"type": "failed", "code": error.code, "error": str(error)}
    print(json.dumps(told))
    return int(told["type"] == "failed")


if __name__ == "__main__":
    sys.exit(main())
