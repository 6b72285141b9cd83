"""Any recording, audio or video, to mono samples at 16 kHz, piece by piece."""

from __future__ import annotations

import io
import logging
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain, groupby
from pathlib import Path
from typing import IO, TYPE_CHECKING

import av
import numpy as np
import soxr
from numpy.typing import NDArray

from polyasr.containers import missing_end
from polyasr.errors import InvalidRequest, UnsupportedAudio, UploadTooLarge
from polyasr.samples import SAMPLE_RATE, Samples, from_pcm16

if TYPE_CHECKING:
    from av.container import InputContainer

Blocks = Generator[Samples, None, None]
"""A recording piece by piece; closing it closes the recording."""

log = logging.getLogger(__name__)

BLOCK_SEC = 10
"""How much is decoded at a time …"""
BLOCK_VALUES = 2**20
"""… and how many values at the most, whatever rate and channels the file claims: 4 MB."""
RATES = range(1_000, 1_000_001)
"""Rates in Hz that are believed, from below telephony to above studio; a lower one would make hours
out of a few bytes."""
FORMATS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dts,eac3,flac,flv,matroska,mov,mp3,mpeg,mpegts,ogg,tta,"
    "w64,wav,wv"
)
"""FFmpeg's names of the containers that are read. It knows some that are lists of other files and
addresses (HLS, concat, SDP …), through which an upload would read files of this machine."""
SELF_CONTAINED = {"format_whitelist": FORMATS, "protocol_whitelist": ""}
MEASURED_FORMATS = ("aiff", "flac", "flv", "matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2")
"""Containers whose header tells the length when it tells one. For MP3 and AAC it is an estimate,
and whoever writes WAV into a pipe claims what he likes."""
LENGTH_TOLERANCE_SEC = 1.0
"""How far the claim and the samples may lie apart; priming and padding are below 0.2 s."""
LEAD_TOLERANCE_SEC = 0.1
"""How much later than the picture the sound may begin unheeded: priming, and less than one sees."""
BAD_PACKETS = 5
"""Packets that may be damaged, as the first and last of a stream cut out of another are …"""
BAD_SHARE = 10
"""… and besides them one in so many; what is lost then is less than a syllable at a time."""
SURROUND_WEIGHTS = {
    "FC": 1.0,
    "LFE": 0.0,
    **dict.fromkeys(("FL", "FR"), 0.5**0.5),
    **dict.fromkeys(("BL", "BR", "SL", "SR", "BC"), 0.5),
}
"""How a film's channels are mixed (ITU-R BS.775): its speech is in the centre, the LFE has none."""


SIGNATURES = (
    *((0, magic) for magic in (b"RIFF", b"RF64", b"fLaC", b"OggS", b"ID3", b"FORM", b"caff")),
    *((0, magic) for magic in (b"\x1aE\xdf\xa3", b"FLV", b"#!AMR", b"\x30\x26\xb2\x75", b".snd")),
    (4, b"ftyp"),
)
"""What containers begin with, and where: RIFF and its like, Matroska, ASF, MP4."""


def decode(source: bytes | Path | IO[bytes], *, max_seconds: float) -> Samples:
    """A whole recording at once, shape (n,); otherwise as ``blocks``."""
    return np.concatenate(list(blocks(source, max_seconds=max_seconds)))


def blocks(source: bytes | Path | IO[bytes], *, max_seconds: float) -> Blocks:
    """Decode the sound track of a recording to mono float32 in [-1, 1] at 16 kHz.

    Yields arrays of shape (n,) of some 10 s. Takes what FFmpeg reads (WAV, FLAC, MP3, M4A, Ogg,
    WebM, MP4, MKV …) at any rate, with any channels; the format is told by the content, and neither
    length nor rate that the file claims is believed. Of several tracks it is the one that a player
    would choose. A file must be seekable and is read from its beginning. 16 kHz mono PCM16 comes
    out bit for bit as ``samples.from_pcm16`` gives it; all else is resampled by soxr, whose
    filter, other than FFmpeg's default, leaves nothing above 8 kHz to fold into speech.

    While it is read, raises InvalidRequest when there is no sound in it, UnsupportedAudio when it
    is not audio or damaged, UploadTooLarge past ``max_seconds``, and OSError when a path cannot be
    read. Blocks: iterate on a worker thread.
    """
    length = 0
    with ExitStack() as stack:
        container = _open(source, stack)
        claimed = _claimed_seconds(container)
        for block in _limited(_from_the_picture_on(container), max_seconds):
            length += len(block)
            yield block
    if not length:
        raise InvalidRequest("the recording is empty", param="file")
    if claimed - length / SAMPLE_RATE > LENGTH_TOLERANCE_SEC:
        raise UnsupportedAudio(
            f"the recording is damaged or cut off: it claims {claimed:.1f} s and holds "
            f"{length / SAMPLE_RATE:.1f} s",
            param="file",
        )


def blocks_or_pcm16(file: IO[bytes], *, max_seconds: float) -> Blocks:
    """As ``blocks``; a file without a signature is headerless PCM16, little-endian, 16 kHz, mono.

    The signature decides and not what FFmpeg finds likely: among hours of samples there is always
    something that looks like the frames of some codec.
    """
    head = file.read(max(offset + len(magic) for offset, magic in SIGNATURES))
    file.seek(0)
    if any(head.startswith(magic, offset) for offset, magic in SIGNATURES):
        yield from blocks(file, max_seconds=max_seconds)
    else:
        yield from _limited(_pcm16_blocks(file), max_seconds)


def _pcm16_blocks(file: IO[bytes]) -> Iterator[Samples]:
    """Raises InvalidRequest when there is nothing, UnsupportedAudio for half a sample."""
    if not file.read(1):
        raise InvalidRequest("the file is empty", param="file")
    file.seek(0)
    while piece := file.read(2 * BLOCK_SEC * SAMPLE_RATE):
        if len(piece) % 2:
            raise UnsupportedAudio(
                "the file is neither a recording with a header nor PCM16, of which it has half a "
                "sample too much",
                param="file",
            )
        yield from_pcm16(piece)


def _open(source: bytes | Path | IO[bytes], stack: ExitStack) -> InputContainer:
    """Open the recording; ``stack`` closes it, and the file if it was opened here."""
    if isinstance(source, bytes):
        source = io.BytesIO(source)
    elif isinstance(source, Path):
        source = stack.enter_context(source.open("rb"))
    if not source.read(1):
        raise InvalidRequest("the file is empty", param="file")
    source.seek(0)
    missing = missing_end(source)
    if missing:
        log.warning("a recording has lost its end, %s: what is there is decoded", missing)
    try:
        container = av.open(
            _Nameless(source), "r", options=SELF_CONTAINED, metadata_errors="replace"
        )
    except av.FFmpegError as error:
        raise UnsupportedAudio(
            "the file is not audio or video that can be decoded here, or its beginning or end is "
            "missing; WAV, FLAC, MP3, M4A, Ogg, WebM, MP4 and MKV can be decoded",
            param="file",
        ) from error
    return stack.enter_context(container)


class _Nameless:
    """A file without its name, which FFmpeg would guess the format from."""

    def __init__(self, file: IO[bytes]) -> None:
        self.read, self.seek, self.tell = file.read, file.seek, file.tell


def _claimed_seconds(container: InputContainer) -> float:
    """The length that the header tells, 0 where it does not, or tells that of a picture as well."""
    measured = container.format.name in MEASURED_FORMATS and len(container.streams) == 1
    return (container.duration or 0) / av.time_base if measured else 0.0


def _from_the_picture_on(container: InputContainer) -> Iterator[Samples]:
    """The sound, after silence where a film's picture begins earlier: its subtitles are timed by
    the picture."""
    frames = _frames(container)
    first = next(frames, None)
    if first is None:
        return
    late = 0.0
    if first.time is not None and container.start_time is not None:
        late = first.time - container.start_time / av.time_base
    while late > LEAD_TOLERANCE_SEC:
        yield np.zeros(round(min(late, BLOCK_SEC) * SAMPLE_RATE), np.float32)
        late -= BLOCK_SEC
    yield from _resampled(chain([first], frames))


def _frames(container: InputContainer) -> Iterator[av.AudioFrame]:
    """The frames of the sound track; a few damaged packets are left out, as players do."""
    track = container.streams.best("audio") or next(iter(container.streams.audio), None)
    if not isinstance(track, av.AudioStream):
        raise InvalidRequest("the recording has no sound track", param="file")
    good = bad = 0
    with _damage_told():
        for packet in container.demux(track):
            try:
                yield from packet.decode()
                good += 1
            except av.InvalidDataError as error:
                bad += 1
                if bad > BAD_PACKETS + good // BAD_SHARE:
                    raise UnsupportedAudio(
                        f"the recording is damaged: {bad} of its first {bad + good} packets "
                        "cannot be decoded",
                        param="file",
                    ) from error


@contextmanager
def _damage_told() -> Iterator[None]:
    try:
        yield
    except av.FFmpegError as error:
        raise UnsupportedAudio(
            f"the recording is damaged: {error.strerror}", param="file"
        ) from error


def _resampled(frames: Iterator[av.AudioFrame]) -> Iterator[Samples]:
    """The frames' samples, mixed to mono, at 16 kHz. A rate may change on the way."""
    for rate, run in groupby(frames, key=lambda frame: frame.sample_rate):
        if rate not in RATES:
            raise UnsupportedAudio(f"the recording claims a rate of {rate} Hz", param="file")
        if rate == SAMPLE_RATE:
            yield from _mono_blocks(run)
            continue
        stream = soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32")
        for block in _mono_blocks(run):
            yield stream.resample_chunk(block)
        yield stream.resample_chunk(np.empty(0, np.float32), last=True)


def _mono_blocks(frames: Iterator[av.AudioFrame]) -> Iterator[Samples]:
    """The frames, all of one rate, gathered to blocks, shape (n,)."""
    for _, run in groupby(frames, key=lambda frame: (frame.format.name, frame.layout)):
        held: list[av.AudioFrame] = []
        length = 0
        for frame in run:
            held.append(frame)
            length += frame.samples
            longest = min(BLOCK_SEC * frame.sample_rate, BLOCK_VALUES // frame.layout.nb_channels)
            if length >= longest:
                yield _mono(held)
                held, length = [], 0
        if held:
            yield _mono(held)


def _mono(frames: Sequence[av.AudioFrame]) -> Samples:
    """The samples of frames of one kind, shape (n,), full scale at 1."""
    values = np.concatenate([frame.to_ndarray() for frame in frames], axis=1)
    kind, weights = frames[0], _weights(frames[0])
    if not kind.format.is_planar:
        values = values.reshape(-1, kind.layout.nb_channels).T
    mixed: Samples = _floats(values[weights > 0]).T @ weights[weights > 0]
    return mixed


def _weights(frame: av.AudioFrame) -> NDArray[np.float32]:
    """What each channel contributes, in sum 1; all the same where their places are not known."""
    names = [channel.name for channel in frame.layout.channels]
    weights = np.array([SURROUND_WEIGHTS.get(name, 0.5) for name in names], np.float32)
    if not weights.any():
        weights[:] = 1
    weights /= weights.sum()
    return weights


def _floats(values: NDArray[np.generic]) -> NDArray[np.float32]:
    """PCM values of any kind as float32; unsigned ones have their zero in the middle."""
    floats: NDArray[np.float32] = values.astype(np.float32)
    if values.dtype.kind != "f":
        floats /= 2.0 ** (8 * values.dtype.itemsize - 1)
    if values.dtype.kind == "u":
        floats -= 1
    return floats


def _limited(pieces: Iterator[Samples], max_seconds: float) -> Iterator[Samples]:
    """The pieces that hold something, checked and clipped to [-1, 1]."""
    total = 0
    for piece in pieces:
        total += len(piece)
        if total > max_seconds * SAMPLE_RATE:
            raise UploadTooLarge(
                f"the recording is longer than {max_seconds:g} s, the limit here: "
                "raise POLYASR_MAX_AUDIO_SECONDS, or send it in parts",
                param="file",
            )
        if not np.isfinite(piece).all():
            raise UnsupportedAudio("the recording holds values that are no numbers", param="file")
        if len(piece):
            yield piece.clip(-1, 1)
