"""Where the panes stand, for every size of the terminal. Pure: numbers in, rectangles out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Width(StrEnum):
    TINY = "tiny"
    NARROW = "narrow"
    MEDIUM = "medium"
    WIDE = "wide"


LEAST_WIDTH, LEAST_HEIGHT = 70, 18
MEDIUM_FROM, WIDE_FROM = 100, 160
LOWER = ("tape", "effects", "reactors", "processes", "log", "detail")
LEAST_ROWS = 3
Box = tuple[int, int, int, int]
"""x, y, width, height in cells."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user has chosen: `lower` is the pane under the runs where only one has room; `weights` how much of its
    column a pane gets; `left` the share of the left column."""

    zoom: str | None = None
    lower: str = "tape"
    detail: bool = False
    crash_open: bool = False
    crash_lines: int = 4
    weights: Mapping[str, float] = field(default_factory=lambda: {})
    left: float = 0.615


def width_class(width: int, height: int) -> Width:
    if width < LEAST_WIDTH or height < LEAST_HEIGHT:
        return Width.TINY
    return Width.NARROW if width < MEDIUM_FROM else Width.MEDIUM if width < WIDE_FROM else Width.WIDE


def plan(width: int, height: int, wish: Wish) -> dict[str, Box]:
    """The rectangles of all panes on screen; a pane that is not named is hidden."""
    size = width_class(width, height)
    if size is Width.TINY:
        return {"strip": (0, 0, width, 1)}
    boxes: dict[str, Box] = {"strip": (0, 0, width, 1), "keys": (0, height - 1, width, 1)}
    top, room = 1, height - 2
    if wish.zoom is not None:
        return {**boxes, wish.zoom: (0, top, width, room)}
    compact = size is Width.NARROW and not wish.crash_open
    crash = min(3 if compact else wish.crash_lines + 2, room - LEAST_ROWS * _IN_A_COLUMN[size])
    boxes["crash"] = (0, top + room - crash, width, crash)
    room -= crash
    if size is Width.NARROW and wish.crash_open:  # the buttons need the room, and the tape says what they do
        return boxes | _column(0, top, width, room, (wish.lower,), wish, {})
    if size is Width.NARROW:
        return boxes | _column(0, top, width, room, ("runs", wish.lower), wish, {"runs": 0.8, wish.lower: 1.1})
    if size is Width.MEDIUM:
        left = max(60, min(width - 36, round(width * wish.left)))
        rest = ("detail",) if wish.detail else ("reactors", "effects", "processes", "log")
        boxes |= _column(0, top, left, room, ("runs", "tape"), wish, {"runs": 0.72, "tape": 1.28})
        return boxes | _column(left, top, width - left, room, rest, wish, _RIGHT)
    left = max(68, round(width * wish.left * 0.6))
    right = max(44, round(width * 0.235))
    middle = width - left - right
    boxes |= _column(0, top, left, room, ("runs", "effects"), wish, {"runs": 1.5, "effects": 0.7})
    boxes |= _column(left, top, middle, room, ("tape", "reactors", "processes"), wish, _MIDDLE)
    return boxes | _column(left + middle, top, right, room, ("detail", "log"), wish, {"detail": 1.2, "log": 0.8})


_RIGHT = {"reactors": 0.0, "effects": 0.7, "processes": 0.7, "log": 1.0, "detail": 1.0}
_MIDDLE = {"tape": 1.6, "reactors": 0.0, "processes": 0.5}
_FIXED = {"reactors": 7}
_IN_A_COLUMN = {Width.NARROW: 2, Width.MEDIUM: 4, Width.WIDE: 3}
"""The most panes above the crash pane, which gives way to them."""


def _column(
    x: int, y: int, width: int, height: int, names: Sequence[str], wish: Wish, weights: Mapping[str, float]
) -> dict[str, Box]:
    """The panes from top to bottom by weight; the reactors have five rows and need no more."""
    fixed = {name: _FIXED[name] for name in names if name in _FIXED and len(names) > 1 and name not in wish.weights}
    if height - sum(fixed.values()) < LEAST_ROWS * (len(names) - len(fixed)):
        fixed = {}
    shares = {name: weights.get(name, 1.0) * wish.weights.get(name, 1.0) or 0.5 for name in names if name not in fixed}
    left = height - sum(fixed.values())
    total = sum(shares.values())
    heights = {name: max(LEAST_ROWS, int(left * share / total)) for name, share in shares.items()} | fixed
    spare = height - sum(heights[name] for name in names)
    for name in sorted(shares, key=lambda name: -heights[name]):
        if spare == 0:
            break
        given = max(LEAST_ROWS - heights[name], spare)
        heights[name] += given
        spare -= given
    boxes: dict[str, Box] = {}
    for name in names:
        boxes[name] = (x, y, width, heights[name])
        y += heights[name]
    return boxes
