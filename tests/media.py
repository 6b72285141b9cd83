"""Recordings in the containers and codecs that people have, made by PyAV."""

from __future__ import annotations

import io
from collections.abc import Collection
from fractions import Fraction

import av
import numpy as np

PICTURES_A_SEC = 5
EVERYDAY = (
    ("mp3", "libmp3lame", False),
    ("ipod", "aac", False),
    ("adts", "aac", False),
    ("ogg", "libopus", False),
    ("webm", "libopus", False),
    ("matroska", "flac", True),
    ("mp4", "aac", True),
    ("mpegts", "aac", True),
    ("avi", "libmp3lame", True),
)
"""Container, codec of the sound, and whether there is a picture: a song, a phone's memo, a radio
stream, messengers, a browser's recorder, films, a television recording, an old camera."""


def media(
    container: str,
    codec: str | None,
    *,
    seconds: float = 2.0,
    rate: int = 48000,
    layout: str = "stereo",
    silent: Collection[str] = (),
    picture: bool = False,
    late: float = 0.0,
) -> bytes:
    """A 440 Hz tone at half of full scale in every channel that is not ``silent``.

    ``codec`` None: no sound at all. ``picture``: with a small grey one, to which the sound comes so
    many seconds ``late``.
    """
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        sound = output.add_stream(codec, rate=rate, layout=layout) if codec else None
        video = output.add_stream("mpeg4", rate=PICTURES_A_SEC) if picture else None
        if isinstance(video, av.VideoStream):
            video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
            for number in range(round(seconds * PICTURES_A_SEC)):
                shot = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 99, np.uint8))
                shot.pts, shot.time_base = number, Fraction(1, PICTURES_A_SEC)
                output.mux(video.encode(shot))
            output.mux(video.encode(None))
        if isinstance(sound, av.AudioStream):
            _write_tone(output, sound, seconds, silent, late)
    return file.getvalue()


def _write_tone(
    output: av.container.OutputContainer,
    sound: av.AudioStream,
    seconds: float,
    silent: Collection[str],
    late: float,
) -> None:
    rate, layout = sound.codec_context.sample_rate, sound.codec_context.layout
    wave = 0.5 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)
    heard = [[channel.name not in silent] for channel in layout.channels]
    frame = av.AudioFrame.from_ndarray(
        (np.array(heard) * wave).astype(np.float32), format="fltp", layout=layout.name
    )
    frame.sample_rate, frame.pts, frame.time_base = rate, round(late * rate), Fraction(1, rate)
    resampler = av.AudioResampler(
        format=sound.codec_context.format,
        layout=layout,
        rate=rate,
        frame_size=sound.codec_context.frame_size or 1024,
    )
    for piece in [*resampler.resample(frame), *resampler.resample(None)]:
        output.mux(sound.encode(piece))
    output.mux(sound.encode(None))
