"""PCM16 and files of all kinds to the samples that are recognized."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from tempfile import SpooledTemporaryFile

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from polyasr import audio
from polyasr.errors import InvalidRequest, UnsupportedAudio, UploadTooLarge
from polyasr.samples import SAMPLE_RATE, Samples, from_pcm16, to_pcm16

EVERY_VALUE = np.arange(-32768, 32768, dtype=np.int16)


def tone(rate: int, seconds: float) -> Samples:
    """440 Hz at half of full scale."""
    time = np.arange(round(rate * seconds)) / rate
    return (0.5 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)


def encoded(samples: object, rate: int = 16000, form: str = "WAV", sub: str | None = None) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=form, subtype=sub)
    return file.getvalue()


def with_rate(wav: bytes, rate: int) -> bytes:
    """The WAV file, its header claiming another rate (bytes 24 to 27)."""
    return wav[:24] + struct.pack("<I", rate) + wav[28:]


def decode(source: bytes) -> Samples:
    return audio.decode(source, max_seconds=60)


@given(st.binary(max_size=200).map(lambda data: data[: len(data) // 2 * 2]))
def test_pcm16_survives_the_way_to_float_and_back(pcm16: bytes) -> None:
    assert to_pcm16(from_pcm16(pcm16)) == pcm16


def test_float_beyond_full_scale_is_clipped_not_wrapped() -> None:
    loud = np.array([1.5, -1.5, 1.0], np.float32)
    assert np.frombuffer(to_pcm16(loud), "<i2").tolist() == [32767, -32768, 32767]


def test_a_wav_of_16_khz_mono_pcm16_decodes_bit_for_bit_as_the_stream_does() -> None:
    decoded = decode(encoded(EVERY_VALUE, sub="PCM_16"))
    assert decoded.dtype == np.float32
    assert np.array_equal(decoded, from_pcm16(EVERY_VALUE.tobytes()))


def test_more_than_one_block_is_decoded_without_a_seam() -> None:
    pcm16 = np.resize(EVERY_VALUE, 25 * SAMPLE_RATE)
    assert np.array_equal(decode(encoded(pcm16)), from_pcm16(pcm16.tobytes()))


@pytest.mark.parametrize("form", ["WAV", "FLAC", "OGG", "MP3", "AIFF"])
@pytest.mark.parametrize("rate", [8000, 44100, 48000])
def test_formats_and_rates_become_16_khz(form: str, rate: int) -> None:
    decoded = decode(encoded(tone(rate, 2.0), rate, form))
    assert len(decoded) == pytest.approx(32000, abs=1600)  # MP3 pads by up to two frames
    middle = decoded[8000:24000]
    loudest = int(np.abs(np.fft.rfft(middle)).argmax())
    assert loudest == 440  # cycles in one second
    assert np.abs(middle).max() == pytest.approx(0.5, abs=0.05)


def test_resampling_in_blocks_is_resampling_of_the_whole() -> None:
    import soxr

    samples = tone(44100, 25)
    whole = soxr.resample(samples, 44100, SAMPLE_RATE)
    decoded = decode(encoded(samples, 44100, sub="FLOAT"))
    assert len(decoded) == len(whole)
    assert np.abs(decoded - whole).max() < 1e-5


def test_channels_are_mixed() -> None:
    left, right = tone(16000, 1.0), np.zeros(16000, np.float32)
    decoded = decode(encoded(np.stack([left, right], 1), sub="FLOAT"))
    assert np.allclose(decoded, left / 2)


def test_floats_beyond_full_scale_are_clipped() -> None:
    decoded = decode(encoded(np.array([2.0, -2.0, 0.5]), sub="FLOAT"))
    assert decoded.tolist() == [1.0, -1.0, 0.5]


def test_paths_and_spooled_files_are_read_and_names_are_not_believed(tmp_path: Path) -> None:
    wav = encoded(EVERY_VALUE)
    path = tmp_path / "speech.raw"
    path.write_bytes(wav)
    with SpooledTemporaryFile() as spooled:
        spooled.write(wav)
        spooled.seek(0)
        from_file = audio.decode(spooled, max_seconds=60)
    assert np.array_equal(from_file, audio.decode(path, max_seconds=60))


@pytest.mark.parametrize("nothing", [b"", encoded(np.zeros(0, np.int16))])
def test_no_audio_is_a_request_that_cannot_be_used(nothing: bytes) -> None:
    with pytest.raises(InvalidRequest, match="empty") as refused:
        decode(nothing)
    assert refused.value.status == 400


@pytest.mark.parametrize(
    "junk",
    [
        b"RIFF",
        b"a letter, not a recording" * 100,
        b"<html></html>",
        bytes(10_000),
        encoded(EVERY_VALUE)[:30],
    ],
)
def test_what_is_not_audio_is_told_so(junk: bytes) -> None:
    with pytest.raises(UnsupportedAudio, match="not audio"):
        decode(junk)


def test_a_damaged_recording_is_told_so_and_not_cut_short() -> None:
    flac = encoded(tone(16000, 30), form="FLAC")
    with pytest.raises(UnsupportedAudio, match="damaged"):
        decode(flac[: len(flac) // 2])


def test_values_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(UnsupportedAudio, match="no numbers"):
        decode(encoded(np.array([0.0, np.nan]), sub="FLOAT"))


def test_a_recording_may_be_as_long_as_the_limit_and_no_longer() -> None:
    second = encoded(np.zeros(16000, np.int16))
    assert len(audio.decode(second, max_seconds=1)) == 16000
    longer = encoded(np.zeros(16001, np.int16))
    with pytest.raises(UploadTooLarge, match="POLYASR_MAX_AUDIO_SECONDS"):
        audio.decode(longer, max_seconds=1)


def test_a_header_that_claims_more_than_is_there_costs_nothing() -> None:
    wav = encoded(EVERY_VALUE)
    where = wav.index(b"data") + 4
    boasting = wav[:where] + b"\xff\xff\xff\xff" + wav[where + 4 :]
    assert len(decode(boasting)) == len(EVERY_VALUE)


@pytest.mark.parametrize("rate", [1, 50])
def test_a_header_that_claims_a_tiny_rate_meets_the_limit_on_length(rate: int) -> None:
    with pytest.raises(UploadTooLarge):
        decode(with_rate(encoded(EVERY_VALUE), rate))


def test_a_header_that_claims_a_huge_rate_leaves_no_audio() -> None:
    with pytest.raises(InvalidRequest, match="empty"):
        decode(with_rate(encoded(EVERY_VALUE), 2**31 - 1))
