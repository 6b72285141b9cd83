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
from tests.media import EVERYDAY, media

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
        b"PK\x03\x04\x14\0\0\0\x08\0" + b"a zip" * 1000,
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


@pytest.mark.parametrize("rate", [1, 50, 2**31 - 1])
def test_a_header_that_claims_an_absurd_rate_is_told_so(rate: int) -> None:
    with pytest.raises(UnsupportedAudio, match=f"rate of {rate} Hz"):
        decode(with_rate(encoded(EVERY_VALUE), rate))


def test_a_small_file_that_claims_hours_is_told_so() -> None:
    flac = bytearray(encoded(tone(16000, 0.05), form="FLAC"))
    claimed = 16000 * 36000  # the low 32 bits of the count of samples in STREAMINFO
    flac[22:26] = claimed.to_bytes(4, "big")
    with pytest.raises(UnsupportedAudio, match="claims 36000"):
        decode(bytes(flac))


def test_more_channels_than_a_place_is_known_for_are_mixed_alike() -> None:
    channels = np.stack([tone(16000, 1.0)] + 6 * [np.zeros(16000, np.float32)], 1)
    decoded = decode(encoded(channels, sub="FLOAT"))
    assert np.abs(decoded).max() == pytest.approx(0.5 / 7, rel=0.5)


@pytest.mark.parametrize(("container", "codec", "picture"), EVERYDAY, ids=str)
def test_recordings_of_phones_browsers_and_cameras_become_16_khz(
    container: str, codec: str, picture: bool
) -> None:
    decoded = decode(media(container, codec, picture=picture))
    assert len(decoded) == pytest.approx(32000, abs=1600)  # priming and padding of the codec
    assert int(np.abs(np.fft.rfft(decoded[8000:24000])).argmax()) == 440
    assert np.abs(decoded[8000:24000]).max() == pytest.approx(0.5, abs=0.1)


def test_the_channels_of_a_film_are_mixed_with_its_speech_in_front() -> None:
    everywhere = decode(media("matroska", "flac", layout="5.1"))
    centre = decode(media("matroska", "flac", layout="5.1", silent=("FL", "FR", "BL", "BR")))
    bass = decode(media("matroska", "flac", layout="5.1", silent=("FL", "FR", "FC", "BL", "BR")))
    assert np.abs(everywhere).max() == pytest.approx(0.5, abs=0.01)
    assert np.abs(centre).max() == pytest.approx(0.5 / (2 + 2**0.5), abs=0.01)
    assert not bass.any()


@pytest.mark.parametrize("container", ["matroska", "mp4", "mpegts"])
def test_sound_that_begins_after_the_picture_keeps_its_time(container: str) -> None:
    decoded = decode(media(container, "aac", picture=True, late=12.0, seconds=14))
    loud = np.flatnonzero(np.abs(decoded) > 0.1) / SAMPLE_RATE
    assert loud[0] == pytest.approx(12, abs=0.1)
    assert loud[-1] == pytest.approx(26, abs=0.1)


def test_a_picture_without_sound_is_told_so() -> None:
    with pytest.raises(InvalidRequest, match="no sound track") as refused:
        decode(media("mp4", None, picture=True))
    assert refused.value.status == 400


@pytest.mark.parametrize(("container", "codec"), [("mp4", "aac"), ("webm", "libopus")])
def test_a_recording_that_lost_its_end_is_told_so(container: str, codec: str) -> None:
    whole = media(container, codec, seconds=5)
    with pytest.raises(UnsupportedAudio, match=r"missing|cut off"):
        decode(whole[: len(whole) // 2])


def test_a_few_damaged_packets_are_passed_over_and_many_are_told() -> None:
    mp4 = bytearray(media("adts", "aac", seconds=20))
    middle = len(mp4) // 2
    noise = np.random.default_rng(0).bytes(len(mp4))
    mp4[middle : middle + 200] = noise[:200]
    assert len(decode(bytes(mp4))) == pytest.approx(20 * SAMPLE_RATE, abs=SAMPLE_RATE)
    mp4[2000:] = noise[2000:]
    with pytest.raises(UnsupportedAudio):
        decode(bytes(mp4))


@pytest.mark.parametrize(
    "listing",
    [
        "ffconcat version 1.0\nfile '{}'\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile://{}\n#EXT-X-ENDLIST\n",
    ],
    ids=["concat", "hls"],
)
def test_an_upload_that_names_files_of_the_server_does_not_get_them(
    listing: str, tmp_path: Path
) -> None:
    secret = tmp_path / "secret.ts"
    secret.write_bytes(media("mpegts", "aac"))
    with pytest.raises(UnsupportedAudio, match="not audio"):
        decode(listing.format(secret).encode())


def test_blocks_come_before_the_end_has_been_read() -> None:
    class Watched(io.BytesIO):
        furthest = 0

        def read(self, size: int | None = -1, /) -> bytes:
            data = super().read(size)
            self.furthest = max(self.furthest, self.tell())
            return data

    source = Watched(encoded(np.zeros(3600 * SAMPLE_RATE // 4, np.int16)))
    pieces = audio.blocks(source, max_seconds=3600)
    first = next(pieces)
    assert len(first) <= 10 * SAMPLE_RATE + 4096
    assert source.furthest < len(source.getvalue()) // 4
    assert len(first) + sum(map(len, pieces)) == 3600 * SAMPLE_RATE // 4
