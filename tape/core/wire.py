"""Frames between agent, operator and server: a length, then JSON. Pure encode and decode.

A frame is a JSON object with `t` (its type). Frames of an agent that stand for a boundary carry `run`, `epoch` and
`n`, the frame number within that lease: a number the server has answered before gets the same reply again and
changes nothing (contract.md section 2).
"""

from __future__ import annotations

import struct
from typing import Any

import orjson

from tape.core.kernel.errors import UsageError

FRAME_LIMIT_BYTES = 16 << 20
AWAITS = "awaits"
NOTHING_BEGUN = frozenset({"refusal", AWAITS})
"""The fields of a reply that say that a cap was in the way; the second one, that a person is asked to raise it."""
_HEADER = struct.Struct(">I")

Frame = dict[str, Any]


def encode(frame: Frame) -> bytes:
    """The frame's bytes. Raises UsageError if it cannot be JSON or is over the limit."""
    try:
        body = orjson.dumps(frame)
    except TypeError as error:
        raise UsageError(f"a frame that is not JSON: {error}") from None
    if len(body) > FRAME_LIMIT_BYTES:
        raise UsageError(f"a frame of {len(body)} bytes is over the limit of {FRAME_LIMIT_BYTES}")
    return _HEADER.pack(len(body)) + body


class Decoder:
    """Collects bytes, hands out whole frames."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that are complete now. Raises UsageError for bytes that are no frames."""
        buffer = self._buffer
        buffer += data
        frames: list[Frame] = []
        start = 0
        while len(buffer) - start >= 4:
            (size,) = _HEADER.unpack_from(buffer, start)
            if size > FRAME_LIMIT_BYTES:
                raise UsageError(f"a frame of {size} bytes is over the limit of {FRAME_LIMIT_BYTES}")
            if len(buffer) - start - 4 < size:
                break
            frames.append(_parse(bytes(buffer[start + 4 : start + 4 + size])))
            start += 4 + size
        if start:
            del buffer[:start]
        return frames


def _parse(body: bytes) -> Frame:
    try:
        frame = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise UsageError(f"a frame that is not JSON: {error}") from None
    if not isinstance(frame, dict) or not isinstance(frame.get("t"), str):  # pyright: ignore[reportUnknownMemberType]
        raise UsageError("a frame without a type")
    return frame  # pyright: ignore[reportUnknownVariableType]
