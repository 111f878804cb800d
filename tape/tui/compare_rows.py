"""Two tapes side by side as rows of the screen; what is the same and what is not says `core/compare.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tape.core import compare
from tape.core.compare import Pair, Record, Same
from tape.core.text import count, fit, show
from tape.tui.ink import Ink, Row, Span, clip, ink

if TYPE_CHECKING:
    from tape.tui.scene import Selected


def pairs_of(left: Selected, right: Selected) -> tuple[Pair, ...]:
    return compare.align(compare.records(left.entries), compare.records(right.entries))


def headline(pairs: Sequence[Pair], left: Selected, right: Selected) -> tuple[str, bool]:
    """One sentence, and whether it says that they are the same."""
    return compare.headline(pairs, left.run.id, right.run.id, ended=left.run.ended and right.run.ended)


def side_text(selected: Selected) -> str:
    """What a run's side says of it on top: what it went through to get there."""
    story = selected.live
    parts = [
        selected.run.status,
        count(len(selected.verdicts), "death"),
        count(len(story.leases), "lease"),
        count(story.decisions, "decision"),
        count(len(story.effects), "effect"),
    ]
    return ", ".join(parts)


_MARKS = {Same.SAME: Ink.DIM, Same.DIFFERS: Ink.WARNING, Same.LEFT: Ink.ACCENT, Same.RIGHT: Ink.ACCENT}


def pair_row(pair: Pair, width: int) -> Row:
    """`  6 ◐ effect_begun ... = 6 ◐ effect_begun ...`."""
    half = (width - 3) // 2
    dim = pair.same is Same.SAME
    mark: Span = (f" {pair.same} ", _MARKS[pair.same])
    return (*_side(pair.left, half, dim=dim), mark, *_side(pair.right, width - 3 - half, dim=dim))


def _side(record: Record | None, width: int, *, dim: bool) -> Row:
    if record is None:
        return ((" " * width, Ink.PLAIN),)
    return clip(
        (
            (f"{record.seq:>4} ", Ink.DIM if dim else Ink.MUTED),
            (f"{record.glyph} ", Ink.DIM if dim else ink(record.style)),
            (record.text, Ink.DIM if dim else Ink.PLAIN),
        ),
        width,
    )


def heads(left: Selected, right: Selected, width: int) -> Row:
    """The two runs, above their tapes."""
    half = (width - 3) // 2
    one, other = (f"{show(side.run.id, 20)}  {side_text(side)}" for side in (left, right))
    return ((fit(one, half), Ink.STRONG), ("   ", Ink.PLAIN), (fit(other, width - 3 - half), Ink.STRONG))
