"""What an agent process says on stdout and stderr, cleaned of the hidden values that it knows in plain."""

from __future__ import annotations

import io
import sys
from typing import TextIO, cast

from tape.core.sdk.hiding import KNOWN


class _Cleaned(io.TextIOWrapper):
    """Looks at what is written in one call. What goes past Python's text streams (other processes, C code, `os.write`)
    is not seen."""

    def write(self, text: str, /) -> int:
        super().write(KNOWN.scrub(text))
        return len(text)


def clean_output() -> None:
    """Before the project is loaded: whoever takes `sys.stderr` then (a logging handler) has the cleaned one."""
    sys.stdout = sys.__stdout__ = _cleaned(sys.stdout)
    sys.stderr = sys.__stderr__ = _cleaned(sys.stderr)


def _cleaned(stream: TextIO) -> TextIO:
    if not isinstance(stream, io.TextIOWrapper) or isinstance(stream, _Cleaned):
        return stream  # nobody listens, or a test does
    stream.flush()
    how = {"encoding": stream.encoding, "errors": stream.errors}
    line_buffering, write_through = stream.line_buffering, stream.write_through
    buffer = cast(io.BufferedWriter, stream.detach())
    return _Cleaned(buffer, **how, line_buffering=line_buffering, write_through=write_through)
