"""One tree of errors; each knows how it is told to a WebSocket peer and to an HTTP client.

``code`` is the stable word a program reads, the message is for a person and says what was wrong
and what to do. ``status`` is the HTTP status, ``close_code`` the WebSocket close code (RFC 6455:
1008 when the peer is at fault, 1011 when we are).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class PolyasrError(Exception):
    """Base of every error that is told to a client or printed as one line by the command line."""

    code: str = "internal_error"
    status: int = 500
    close_code: int = 1011


class ProtocolError(PolyasrError):
    """The peer broke the dictation protocol; ``code`` is one of the words of the contract."""

    status = 400
    close_code = 1008

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class InvalidRequest(PolyasrError):
    """An HTTP request holds a value that cannot be used; ``param`` names the field."""

    code = "invalid_value"
    status = 400
    close_code = 1008

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class MissingField(InvalidRequest):
    """A field that a request must have is not there."""

    code = "missing_field"


class UnsupportedAudio(InvalidRequest):
    """The bytes are not audio that can be decoded."""

    code = "unsupported_audio"
    status = 415


class UploadTooLarge(InvalidRequest):
    """The upload, or the audio in it, is over a limit of this server."""

    code = "upload_too_large"
    status = 413


class NotAvailable(InvalidRequest):
    """The request is sound, and asks for what this server cannot do as it is set up."""

    code = "not_available"
    status = 501


class Unauthorized(PolyasrError):
    """The key is missing or wrong."""

    code = "unauthorized"
    status = 401
    close_code = 1008


class TooManySessions(PolyasrError):
    """The server holds as many dictations as it is allowed to."""

    code = "too_many_sessions"
    status = 503
    close_code = 1008


class QueueFull(PolyasrError):
    """The server has more batch work queued than it is allowed to."""

    code = "queue_full"
    status = 503


class ModelUnavailable(PolyasrError):
    """The model is not there: it cannot be found, loaded, or loaded in time."""

    code = "model_unavailable"
    status = 503


class InferenceFailed(PolyasrError):
    """The model was there and failed; never to be mistaken for silence."""

    code = "inference_failed"
    status = 500


class ConfigurationError(PolyasrError):
    """A setting, an option or a file given on the command line cannot be used."""

    code = "configuration_error"


def leaves(failure: BaseException) -> Iterator[BaseException]:
    """The errors inside what a nursery raises: groups are opened, all else is yielded as it is."""
    if isinstance(failure, BaseExceptionGroup):
        for inner in failure.exceptions:
            yield from leaves(inner)
    else:
        yield failure


@contextmanager
def ungrouped() -> Iterator[None]:
    """Around a nursery: raise the PolyasrError that ended it instead of the group around it."""
    try:
        yield
    except ExceptionGroup as group:
        for cause in leaves(group):
            if isinstance(cause, PolyasrError):
                raise cause from group
        raise


def first_line(error: Exception) -> str:
    """What a library's error says, in its first line, or what it is called."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
