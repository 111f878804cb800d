"""Two tapes side by side: which records mean the same, which differ, which only one has. Pure.

Times, writers, pids, epochs and the run's own id do not count: a run that was killed ten times compares as the same
with one that never was, if it decided and did the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from difflib import SequenceMatcher
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from tape.core.text import count, fit, show
from tape.tui.ink import Ink, Row, Span, clip, ink

if TYPE_CHECKING:
    from tape.core.kernel.events import Entry
    from tape.tui.scene import Selected

_NOT_MEANT = frozenset(
    {
        "actor", "args_hash", "attempt", "business_key", "fingerprint", "fire_at_us", "late_us", "request",
        "resolution", "result", "row", "start_key", "tokens_in", "tokens_out", "usd_micro", "writer",
    }
)  # fmt: skip
"""Fields that say how, when, by whom or for how much, or that only repeat what another record says. A result is the
upstream's word, not the agent's: its ids are new each time, and they come back in what is asked next."""
MOST_ALIGNED = 1_500
"""Above this, what is left between equal ends is paired by place: to align it would hold the screen up."""


class Same(StrEnum):
    SAME = "="
    DIFFERS = "≠"
    LEFT = "<"
    RIGHT = ">"


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a tape. `step` says which place in the run it fills, `meaning` all that counts."""

    seq: int
    glyph: str
    text: str
    style: Ink
    step: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Pair:
    left: Record | None
    right: Record | None
    same: Same


def records(selected: Selected) -> tuple[Record, ...]:
    from tape.core.render import line

    found: list[Record] = []
    for entry in selected.entries:
        if entry.seq is not None:
            shown = line(entry)
            step, meaning = _meaning(entry)
            found.append(Record(entry.seq, shown.glyph, shown.text, ink(shown.style), step, meaning))
    return tuple(found)


def _meaning(entry: Entry) -> tuple[str, str]:
    event = entry.event
    told: dict[str, Any] = {field.name: getattr(event, field.name) for field in fields(event)}
    kept = {name: _without(value, entry.run_id) for name, value in told.items() if name not in _NOT_MEANT}
    place = [kept.get(name) for name in ("index", "decision_index", "ordinal", "key", "pays_for", "tool")]
    return f"{event.kind} {place}", f"{event.kind} {json.dumps(kept, sort_keys=True, default=str)}"


def _without(value: Any, run_id: str | None) -> Any:
    """A key without its run."""
    return value[len(run_id) + 1 :] if isinstance(value, str) and run_id and value.startswith(f"{run_id}/") else value


# --- aligning ---------------------------------------------------------------------------------------------------


def align(left: Sequence[Record], right: Sequence[Record]) -> tuple[Pair, ...]:
    """Both tapes in one order: equal ends first, then the longest common runs of records between them."""
    least = min(len(left), len(right))
    head = 0
    while head < least and left[head].meaning == right[head].meaning:
        head += 1
    tail = 0
    while tail < least - head and left[-1 - tail].meaning == right[-1 - tail].meaning:
        tail += 1
    ends = (len(left) - tail, len(right) - tail)
    pairs = [Pair(left[at], right[at], Same.SAME) for at in range(head)]
    pairs += _middle(left[head : ends[0]], right[head : ends[1]])
    pairs += [Pair(left[ends[0] + at], right[ends[1] + at], Same.SAME) for at in range(tail)]
    return tuple(pairs)


def _middle(left: Sequence[Record], right: Sequence[Record]) -> Iterator[Pair]:
    if max(len(left), len(right)) > MOST_ALIGNED:
        yield from _unlike(left, right)
        return
    one, other = [record.meaning for record in left], [record.meaning for record in right]
    for kind, a, b, c, d in SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
        if kind == "equal":
            yield from (Pair(left[a + at], right[c + at], Same.SAME) for at in range(b - a))
        else:
            yield from _unlike(left[a:b], right[c:d])


def _unlike(left: Sequence[Record], right: Sequence[Record]) -> Iterator[Pair]:
    """Records of the same step face each other; what is left over stands alone."""
    at = 0
    for record in left:
        there = next((n for n in range(at, len(right)) if right[n].step == record.step), None)
        if there is None:
            yield Pair(record, None, Same.LEFT)
            continue
        yield from (Pair(None, right[n], Same.RIGHT) for n in range(at, there))
        same = Same.SAME if right[there].meaning == record.meaning else Same.DIFFERS
        yield Pair(record, right[there], same)
        at = there + 1
    yield from (Pair(None, right[n], Same.RIGHT) for n in range(at, len(right)))


# --- telling ----------------------------------------------------------------------------------------------------


def headline(pairs: Sequence[Pair], left: Selected, right: Selected) -> tuple[str, bool]:
    """One sentence, and whether it says that they are the same."""
    first = next((at for at, pair in enumerate(pairs) if pair.same is not Same.SAME), None)
    if not pairs:
        return "neither has a record yet", True
    if first is None:
        on = ", so far" if not (left.run.ended and right.run.ended) else ""
        return f"same{on}: {count(len(pairs), 'record')}, the same decisions and effects in the same order", True
    differ = count(sum(1 for pair in pairs if pair.same is not Same.SAME), "difference")
    head = f"same to seq {first}, then {differ}" if first else f"{differ} from the start"
    return f"{head}: {_first(pairs[first], left, right)}", False


def _first(pair: Pair, left: Selected, right: Selected) -> str:
    one, other = pair.left, pair.right
    if one is None:
        return f"only {show(right.run.id, 20)} has {fit_words(other)}"
    if other is None:
        return f"only {show(left.run.id, 20)} has {fit_words(one)}"
    return f"{fit_words(one)} against {fit_words(other)}"


def fit_words(record: Record | None) -> str:
    return show(record.text, 60) if record else ""


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
            (f"{record.glyph} ", Ink.DIM if dim else record.style),
            (record.text, Ink.DIM if dim else Ink.PLAIN),
        ),
        width,
    )


def heads(left: Selected, right: Selected, width: int) -> Row:
    """The two runs, above their tapes."""
    half = (width - 3) // 2
    one, other = (f"{show(side.run.id, 20)}  {side_text(side)}" for side in (left, right))
    return ((fit(one, half), Ink.STRONG), ("   ", Ink.PLAIN), (fit(other, width - 3 - half), Ink.STRONG))
