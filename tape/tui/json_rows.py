"""A value as coloured, safe lines of pretty JSON, wrapped to a width. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from tape.core.text import cells, show
from tape.tui.ink import Ink, Row, Span

SHOWN_CHARACTERS = 60_000
SHOWN_IN_LINE = 4_000
_TOKEN = re.compile(r'("(?:[^"\\]|\\.)*")(\s*:)?|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|(true|false|null)')


def json_text(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def json_rows(value: Any, width: int) -> list[Row]:
    """At most some thousand lines; a larger value ends with a line that says how to get all of it."""
    try:
        text = json_text(value)
    except (RecursionError, ValueError):
        return [(("nested too deeply to show; e exports it", Ink.WARNING),)]
    rows: list[Row] = []
    for line in text[:SHOWN_CHARACTERS].split("\n"):
        more = len(line) - SHOWN_IN_LINE
        cut: tuple[Span, ...] = ((f"… {more:,} more characters", Ink.WARNING),) if more > 0 else ()
        rows += wrap((*_inks(line[:SHOWN_IN_LINE]), *cut), width)
    if len(text) > SHOWN_CHARACTERS:
        rows.append(((f"… {len(text) - SHOWN_CHARACTERS:,} more characters; e exports all", Ink.WARNING),))
    return rows


def text_rows(text: str, width: int, ink: Ink = Ink.PLAIN) -> list[Row]:
    """Plain text by words."""
    rows: list[Row] = []
    for paragraph in show(text, SHOWN_CHARACTERS, keep_lines=True).expandtabs(4).split("\n"):
        line = ""
        for word in paragraph.split(" "):
            if line and cells(line) + 1 + cells(word) > width:
                rows += wrap(((line, ink),), width)
                line = word
            else:
                line = f"{line} {word}" if line else word
        rows += wrap(((line, ink),), width)
    return rows


def _inks(line: str) -> Iterator[Span]:
    at = 0
    for found in _TOKEN.finditer(line):
        if found.start() > at:
            yield show(line[at : found.start()]), Ink.MUTED
        text, colon, number, word = found.groups()
        if text is not None:
            yield show(text), Ink.NAME if colon else Ink.STRING
            if colon:
                yield colon, Ink.MUTED
        else:
            yield number or word, Ink.NUMBER
        at = found.end()
    if at < len(line):
        yield show(line[at:]), Ink.MUTED


def wrap(row: Row, width: int) -> list[Row]:
    """A row in as many lines as it takes."""
    width = max(8, width)
    lines: list[Row] = []
    line: list[Span] = []
    room = width
    for text, ink in row:
        while cells(text) > room:
            cut = _fitting(text, room)
            if cut:
                line.append((text[:cut], ink))
            lines.append(tuple(line))
            line, room, text = [], width, text[cut:]
        if text:
            line.append((text, ink))
            room -= cells(text)
    lines.append(tuple(line))
    return lines


def _fitting(text: str, room: int) -> int:
    """How many characters of `text` fit into so many columns."""
    if text.isascii():
        return room
    used = 0
    for at, sign in enumerate(text):
        used += cells(sign)
        if used > room:
            return at
    return len(text)
