"""The Python client: dictation over the WebSocket, for trio and for plain synchronous code."""

from polyasr.client.dictation import (
    Dictation,
    DictationFailed,
    Received,
    ServerUnreachable,
    open_dictation,
    transcribe,
)

__all__ = [
    "Dictation",
    "DictationFailed",
    "Received",
    "ServerUnreachable",
    "open_dictation",
    "transcribe",
]
