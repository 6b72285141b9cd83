"""The servers that can be measured, one file each; see `port` for what an adapter is."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from types import MappingProxyType

from bench.adapters.deepgram import Deepgram
from bench.adapters.http_batch import HttpBatch
from bench.adapters.openai_realtime import OpenAiRealtime
from bench.adapters.polyasr import Polyasr
from bench.adapters.port import Adapter
from bench.adapters.vllm_realtime import VllmRealtime
from bench.adapters.whisperlivekit import WhisperLiveKit

ADAPTERS: Mapping[str, Callable[[str, str | None], Adapter]] = MappingProxyType(
    {
        "polyasr": Polyasr,
        "polyasr1": functools.partial(Polyasr, control=1),
        "polyasr2": functools.partial(Polyasr, control=2),
        "whisperlivekit": WhisperLiveKit,
        "vllm": VllmRealtime,
        "openai": OpenAiRealtime,
        "deepgram": Deepgram,
        "http": HttpBatch,
    }
)
"""By the name that the command line has for them; made from an address and a key."""
