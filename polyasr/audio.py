"""Any audio file to mono samples at 16 kHz."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import numpy as np
import soundfile
import soxr

from polyasr.errors import InvalidRequest, UnsupportedAudio, UploadTooLarge
from polyasr.samples import SAMPLE_RATE, Samples

BLOCK_SEC = 10
"""How much of a file is decoded at a time …"""
BLOCK_VALUES = 4 * 2**20
"""… and how many values at the most, whatever rate and channels the header claims: 16 MB."""


def decode(source: bytes | Path | IO[bytes], *, max_seconds: float) -> Samples:
    """Decode a recording to mono samples at 16 kHz, float32 in [-1, 1], shape (n,).

    Takes what libsndfile reads (WAV, FLAC, Ogg, MP3, AIFF …) at any rate and with any number of
    channels; the format is told by the content. A file must be seekable and is read from where it
    stands. 16 kHz mono PCM16 comes out bit for bit as ``samples.from_pcm16`` gives it.

    Raises InvalidRequest when there is no audio in it, UnsupportedAudio when it is not audio or
    damaged, UploadTooLarge past ``max_seconds``, and OSError when a path cannot be read.
    """
    with ExitStack() as stack:
        file = _open(source, stack)
        pieces = list(_limited(_resampled(file), max_seconds))
    if not pieces:
        raise InvalidRequest("the recording is empty", param="file")
    return np.concatenate(pieces)


def _open(source: bytes | Path | IO[bytes], stack: ExitStack) -> soundfile.SoundFile:
    """Open the recording; ``stack`` closes it, and the file if it was opened here."""
    if isinstance(source, bytes):
        source = io.BytesIO(source)
    elif isinstance(source, Path):
        source = stack.enter_context(source.open("rb"))
    if not source.read(1):
        raise InvalidRequest("the file is empty", param="file")
    source.seek(-1, io.SEEK_CUR)
    try:
        return stack.enter_context(soundfile.SoundFile(_Nameless(source)))
    except soundfile.LibsndfileError as error:
        raise UnsupportedAudio(
            "the file is not audio that can be decoded here; WAV, FLAC, Ogg and MP3 can",
            param="file",
        ) from error


class _Nameless:
    """A file without its name, which soundfile would take the format from."""

    def __init__(self, file: IO[bytes]) -> None:
        self.read, self.seek, self.tell = file.read, file.seek, file.tell


def _resampled(file: soundfile.SoundFile) -> Iterator[Samples]:
    """The file's samples, mixed to mono, at 16 kHz."""
    if file.samplerate == SAMPLE_RATE:
        yield from _mono_blocks(file)
        return
    stream = soxr.ResampleStream(file.samplerate, SAMPLE_RATE, 1, dtype="float32")
    for block in _mono_blocks(file):
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.empty(0, np.float32), last=True)


def _mono_blocks(file: soundfile.SoundFile) -> Iterator[Samples]:
    """The file piece by piece, shape (n,). The header's count of samples is not believed."""
    frames = max(1, min(BLOCK_SEC * file.samplerate, BLOCK_VALUES // file.channels))
    while True:
        try:
            block: Samples = file.read(frames, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            reason = error.error_string.removeprefix("Error : ")
            raise UnsupportedAudio(f"the recording is damaged: {reason}", param="file") from error
        if not len(block):
            return
        yield block[:, 0] if file.channels == 1 else block.mean(axis=1)


def _limited(blocks: Iterator[Samples], max_seconds: float) -> Iterator[Samples]:
    """The blocks that hold something, checked and clipped to [-1, 1]."""
    total = 0
    for block in blocks:
        total += len(block)
        if total > max_seconds * SAMPLE_RATE:
            raise UploadTooLarge(
                f"the recording is longer than {max_seconds:g} s, the limit here: "
                "raise POLYASR_MAX_AUDIO_SECONDS, or send it in parts",
                param="file",
            )
        if not np.isfinite(block).all():
            raise UnsupportedAudio("the recording holds values that are no numbers", param="file")
        if len(block):
            yield block.clip(-1, 1)
