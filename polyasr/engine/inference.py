"""What a model's failure becomes: an error of the stream that asked, and of no other."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from polyasr.engine import memory
from polyasr.engine.thread import ModelThread
from polyasr.engine.units import NotLoaded
from polyasr.errors import InferenceFailed, PolyasrError
from polyasr.pipeline.types import Urgency

log = logging.getLogger(__name__)


@asynccontextmanager
async def inference(thread: ModelThread, model: str) -> AsyncIterator[None]:
    """Around work of a model: raises InferenceFailed from whatever fails in it.

    Where memory has run out, what the failed work held is let go of, and what is cached given back.
    """
    try:
        yield
    except (PolyasrError, NotLoaded):
        raise
    except Exception as error:
        log.exception("%s failed", model)
        if memory.is_exhausted(error):
            memory.forget_frames(error)
            await thread.run(Urgency.DETECT, memory.release)
        raise InferenceFailed(
            f"{model} failed on this audio ({described(error)}); "
            "the server's log says more, and /health whether it recovered"
        ) from error


def described(error: BaseException | None) -> str:
    """The kind of an error and what it says."""
    return f"{type(error).__name__}: {error}"
