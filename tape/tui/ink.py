"""Rows as the panes draw them: pieces of safe text, each with a named ink. Pure; the theme says how one looks."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum

from tape.core.marks import Style
from tape.core.text import CUT, cells


class Ink(StrEnum):
    """Every way a piece of a row can look. The first nine are the renderer's own styles."""

    PLAIN = "plain"
    DIM = "dim"
    MUTED = "muted"
    PRIMARY = "primary"
    ACCENT = "accent"
    SUCCESS = "success"
    WARNING = "warning"
    ERROR = "error"
    ALARM = "alarm"
    STRONG = "strong"
    HEAD = "head"
    FRAME = "frame"
    TITLE = "title"
    FOCUS = "focus"
    KEY = "key"
    CURSOR = "cursor"
    STRING = "string"
    NUMBER = "number"
    NAME = "name"


Span = tuple[str, Ink]
Row = tuple[Span, ...]

ASCII_GLYPHS = str.maketrans(
    {
        "○": "o", "●": "*", "↻": "@", "◇": "<", "▣": "#", "◆": "#", "↶": "u", "✓": "+", "✗": "x", "⊘": "0", "◐": "~",
        "≡": "=", "·": ".", "→": ">", "←": "<", "≠": "#", "…": "~", "▮": "#", "▯": ".", "▸": ">", "▾": "v", "▴": "^",
        "╭": "+", "╮": "+", "╰": "+", "╯": "+", "─": "-", "│": "|", "┃": "#", "├": "+", "┤": "+", "–": "-", "×": "x",
        "▁": "_", "▂": "_", "▃": ".", "▄": ".", "▅": ":", "▆": ":", "▇": "|", "█": "|", "≤": "<", "⇥": ">", "µ": "u",
        "↱": "Y", "†": "!", "⌫": "<", "⊞": "+", "⊟": "-", "└": "`", "↳": ">", "↑": "^", "↓": "v", "⏎": "<", "≥": ">",
    }
)  # fmt: skip
"""One ASCII character for each glyph that the console draws itself."""

BARS = "▁▂▃▄▅▆▇█"
_WORDS = re.compile(r"\s*\S+\s?|\s+")


def ink(style: Style) -> Ink:
    return Ink(style.value)


def width_of(row: Row) -> int:
    return sum(cells(text) for text, _ in row)


def clip(row: Iterable[Span], width: int) -> Row:
    """`row` in exactly `width` columns: padded, or cut with a visible `…`."""
    out: list[Span] = []
    left = width
    for text, style in row:
        size = cells(text)
        if size <= left:
            out.append((text, style))
            left -= size
            continue
        out.append((_cut(text, left), style))
        if not left and out:  # the piece before filled the row to its end: its last cell makes room for the mark
            _mark_last(out)
        left = 0
        break
    if left:
        out.append((" " * left, Ink.PLAIN))
    return tuple(piece for piece in out if piece[0])


def _cut(text: str, width: int) -> str:
    if width <= 0:
        return ""
    kept: list[str] = []
    room = width - 1
    for sign in text:
        room -= cells(sign)
        if room < 0:
            break
        kept.append(sign)
    done = "".join(kept)
    return done + CUT + " " * (width - 1 - cells(done))


def _mark_last(out: list[Span]) -> None:
    while out and not out[-1][0]:
        out.pop()
    if out:
        text, style = out[-1]
        out[-1] = (_cut(text + " ", cells(text)), style)


def spread(left: Row, right: Row, width: int) -> Row:
    """`left` and `right` at the two ends of `width` columns; the left one gives way."""
    room = width - width_of(right)
    if room < 8 and width_of(left) > room:
        return clip(left, width)
    return (*clip(left, room), *right)


def bar(share: float, width: int) -> str:
    """`▮▮▮▯▯` for 0.6 of 5."""
    full = max(0, min(width, round(share * width)))
    return "▮" * full + "▯" * (width - full)


def spark(values: Iterable[int], width: int) -> str:
    """The last `width` values as block heights; nothing is the lowest."""
    shown = list(values)[-width:]
    top = max([*shown, 1])
    return "".join(BARS[min(7, -(-value * 7 // top))] for value in shown).rjust(width, BARS[0])


HANG = 9


def hang(row: Row, width: int, most: int = 2) -> list[Row]:
    """A sentence in at most so many lines, broken at words; all but the first stand under its text."""
    words: list[Span] = [(piece, ink) for text, ink in row for piece in _WORDS.findall(text)]
    lines: list[list[Span]] = [[]]
    used = 0
    for at, (piece, ink) in enumerate(words):
        size = cells(piece.rstrip())
        if used + size > width and lines[-1] and len(lines) < most:
            last, how = lines[-1][-1]
            lines[-1][-1] = (last.rstrip(), how)  # the space at the break would be one column too many
            lines.append([(" " * HANG, Ink.PLAIN)])
            used = HANG
        if used + size > width and len(lines) == most:
            rest = "".join(text for text, _ in words[at:])
            lines[-1].append((rest, ink))
            break
        lines[-1].append((piece, ink))
        used += cells(piece)
    return [tuple(line) for line in lines]
