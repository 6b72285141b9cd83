import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyasr.errors import ProtocolError
from polyasr.protocol.frames import Frame, decode, encode


def test_a_frame_has_the_bytes_of_the_contract() -> None:
    assert encode(Frame(258, b"\x01\x02")) == (
        b"BASR\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x01\x02\x01\x02"
    )


@given(st.integers(0, 2**64 - 1), st.binary(max_size=100).map(lambda b: b[: len(b) // 2 * 2]))
def test_what_was_encoded_is_decoded(sequence: int, payload: bytes) -> None:
    assert decode(encode(Frame(sequence, payload))) == Frame(sequence, payload)


def test_reserved_bytes_are_ignored() -> None:
    message = bytearray(encode(Frame(3, b"ab")))
    message[6:8] = b"\xff\xff"
    assert decode(bytes(message)) == Frame(3, b"ab")


HEAD = encode(Frame(0, b""))


@given(st.binary(max_size=40) | st.binary(max_size=30).map(lambda rest: HEAD[:6] + rest))
def test_any_bytes_are_a_frame_or_a_protocol_error(message: bytes) -> None:
    framed = len(message) >= len(HEAD) and message.startswith(HEAD[:6])
    if framed and len(message) % 2 == 0:
        assert encode(decode(message))[8:] == message[8:]
        return
    with pytest.raises(ProtocolError) as caught:
        decode(message)
    assert caught.value.code == ("odd_payload" if framed else "unframed_audio")


@pytest.mark.parametrize(
    ("at", "byte", "what"), [(0, b"b", "begins"), (4, b"\x02", "version"), (5, b"\x00", "type")]
)
def test_a_header_that_is_not_ours_is_unframed(at: int, byte: bytes, what: str) -> None:
    with pytest.raises(ProtocolError, match=what) as caught:
        decode(HEAD[:at] + byte + HEAD[at + 1 :])
    assert caught.value.code == "unframed_audio"


def test_half_a_sample_is_odd() -> None:
    with pytest.raises(ProtocolError, match="frame 7") as caught:
        decode(encode(Frame(7, b"abc")))
    assert caught.value.code == "odd_payload"


@pytest.mark.parametrize("cut", range(16))
def test_a_header_cut_short_is_unframed(cut: int) -> None:
    with pytest.raises(ProtocolError, match="header") as caught:
        decode(encode(Frame(0, b""))[:cut])
    assert caught.value.code == "unframed_audio"
