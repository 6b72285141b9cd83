"""The Python client: dictation over the WebSocket, for trio and for plain synchronous code."""

from polyasr.client.dictation import Dictation, open_dictation, transcribe
from polyasr.client.link import DictationFailed, Received, Restarted
from polyasr.client.socket import ServerUnreachable

__all__ = [
    "Dictation",
    "DictationFailed",
    "Received",
    "Restarted",
    "ServerUnreachable",
    "open_dictation",
    "transcribe",
]
