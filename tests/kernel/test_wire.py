"""Frames: whole however they arrive, refused if they are none."""

from __future__ import annotations

import struct
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tape.core import wire
from tape.core.kernel.errors import UsageError
from tape.core.wire import FRAME_LIMIT_BYTES, Decoder, encode

FRAMES = [{"t": "hello"}, {"t": "begin", "args": {"é": [1, 2.5, None, True]}, "n": 1}, {"t": "end", "text": "\x00\n"}]
BYTES = b"".join(encode(frame) for frame in FRAMES)


@pytest.mark.parametrize("cut", range(len(BYTES) + 1))
def test_frames_split_at_every_byte(cut: int) -> None:
    decoder = Decoder()
    assert decoder.feed(BYTES[:cut]) + decoder.feed(BYTES[cut:]) == FRAMES


def test_frames_byte_by_byte() -> None:
    decoder = Decoder()
    assert [frame for at in range(len(BYTES)) for frame in decoder.feed(BYTES[at : at + 1])] == FRAMES


@given(st.lists(st.integers(0, len(BYTES)), max_size=6))
def test_frames_in_any_pieces(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(BYTES)]
    decoder = Decoder()
    pieces = [BYTES[start:end] for start, end in pairwise(edges)]
    assert [frame for piece in pieces for frame in decoder.feed(piece)] == FRAMES


def test_a_frame_that_is_too_large_is_refused_by_its_header_alone() -> None:
    with pytest.raises(UsageError, match="over the limit"):
        Decoder().feed(struct.pack(">I", FRAME_LIMIT_BYTES + 1))


def test_a_frame_that_is_too_large_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "FRAME_LIMIT_BYTES", 100)
    with pytest.raises(UsageError, match="over the limit of 100"):
        encode({"t": "x", "text": "a" * 100})
    assert encode({"t": "x"})


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff\xfe", b"null", b"[]", b'"t"', b"{}", b'{"T":1}', b'{"t":1}', b'{"t":"\\ud800"}', b'{"t":NaN}'],
)
def test_garbage_is_refused(body: bytes) -> None:
    with pytest.raises(UsageError, match="a frame"):
        Decoder().feed(struct.pack(">I", len(body)) + body)


def test_garbage_after_a_frame_is_refused_too() -> None:
    decoder = Decoder()
    with pytest.raises(UsageError):
        decoder.feed(encode({"t": "x"}) + b"GET / HTTP/1.1\r\n\r\n")


@pytest.mark.parametrize("value", [2**64, object(), b"bytes", {1: 2}, "\ud800"])
def test_what_is_not_json_is_not_sent(value: object) -> None:
    with pytest.raises(UsageError, match="not JSON"):
        encode({"t": "x", "value": value})
