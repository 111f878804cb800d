"""Two tapes side by side: which records mean the same, which differ, which only one has. Pure.

Times, writers, pids, epochs and the run's own id do not count: a run that was killed ten times compares as the same
with one that never was, if it decided and did the same. Nor does it count what a fork was made of.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from difflib import SequenceMatcher
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from tape.core.kernel.events import Entry, RunEnded
from tape.core.marks import Style
from tape.core.render import line
from tape.core.text import count, money, short_json, show

if TYPE_CHECKING:
    from tape.core.journal.dump import RunDump

_NOT_MEANT = frozenset(
    {
        "actor", "args_hash", "asked", "attempt", "business_key", "cap", "child", "code", "deadline_us", "fingerprint",
        "fire_at_us", "late_us", "parent", "quarantined", "reason", "request", "reserved", "resolution", "result",
        "row", "run", "source", "source_seq", "spent", "start_key", "tokens_in", "tokens_out", "tools", "usd_micro",
        "void", "writer",
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
    style: Style
    step: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Pair:
    left: Record | None
    right: Record | None
    same: Same


def records(entries: Iterable[Entry]) -> tuple[Record, ...]:
    """Those that stand on the tape."""
    found: list[Record] = []
    for entry in entries:
        if entry.seq is not None:
            shown = line(entry)
            step, meaning = _meaning(entry)
            found.append(Record(entry.seq, shown.glyph, shown.text, shown.style, step, meaning))
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


def headline(pairs: Sequence[Pair], left: str, right: str, *, ended: bool) -> tuple[str, bool]:
    """One sentence, and whether it says that they are the same. `left` and `right` are the runs' ids; `ended`: both."""
    first = first_difference(pairs)
    if not pairs:
        return "neither has a record yet", True
    if first is None:
        on = "" if ended else ", so far"
        return f"same{on}: {count(len(pairs), 'record')}, the same decisions and effects in the same order", True
    differ = count(sum(1 for pair in pairs if pair.same is not Same.SAME), "difference")
    head = f"same to seq {first}, then {differ}" if first else f"{differ} from the start"
    return f"{head}: {_first(pairs[first], left, right)}", False


def first_difference(pairs: Sequence[Pair]) -> int | None:
    """At which pair; None if all are the same."""
    return next((at for at, pair in enumerate(pairs) if pair.same is not Same.SAME), None)


def _first(pair: Pair, left: str, right: str) -> str:
    one, other = pair.left, pair.right
    if one is None:
        return f"only {show(right, 20)} has {_words(other)}"
    if other is None:
        return f"only {show(left, 20)} has {_words(one)}"
    return f"{_words(one)} against {_words(other)}"


def _words(record: Record | None) -> str:
    return show(record.text, 60) if record else ""


# --- two runs -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Compared:
    """`facts`: name, of the left run, of the right one; how they went, which no record need say. `same`: the tapes mean
    the same, and so do the facts that count."""

    left: str
    right: str
    same: bool
    headline: str
    pairs: tuple[Pair, ...]
    facts: tuple[tuple[str, str, str], ...]

    def as_json(self) -> dict[str, Any]:
        at = first_difference(self.pairs)
        return {
            "left": self.left,
            "right": self.right,
            "same": self.same,
            "headline": self.headline,
            "same_records": len(self.pairs) if at is None else at,
            "facts": {name: {"left": one, "right": other} for name, one, other in self.facts},
            "differences": [
                {"mark": str(pair.same), "left": _record_json(pair.left), "right": _record_json(pair.right)}
                for pair in self.pairs
                if pair.same is not Same.SAME
            ],
        }


def _record_json(record: Record | None) -> dict[str, Any] | None:
    return None if record is None else {"seq": record.seq, "text": record.text}


def compare_runs(left: RunDump, right: RunDump) -> Compared:
    """Spending is told, but two runs that did the same for another price are the same."""
    pairs = align(records(left.entries), records(right.entries))
    text, same = headline(pairs, left.run.id, right.run.id, ended=left.run.ended and right.run.ended)
    sides = (_facts(left), _facts(right))
    untold = () if left.run.source_id or right.run.source_id else _OF_FORKS
    facts = tuple((name, one, sides[1][name]) for name, one in sides[0].items() if name not in untold)
    differing = [name for name, one, other in facts if one != other and name in _COUNTING]
    if same and differing:
        text, same = f"the same records, but not the same {' and '.join(differing)}", False
    return Compared(left.run.id, right.run.id, same, text, pairs, facts)


_COUNTING = frozenset({"status", "result", "effects"})
_OF_FORKS = frozenset({"origin", "calls"})
"""Told where one of the two is a fork."""


def _calls(dump: RunDump) -> str:
    """What was called in fact: `1 made, 2 taken over, 1 not made`."""
    taken = sum(effect.inherited for effect in dump.effects)
    held = sum(effect.quarantined and not effect.inherited for effect in dump.effects)
    parts = ((len(dump.effects) - taken - held, "made"), (taken, "taken over"), (held, "not made (quarantine)"))
    return ", ".join(f"{number} {how}" for number, how in parts if number) or "-"


def _facts(dump: RunDump) -> dict[str, str]:
    ends = [entry.event for entry in dump.entries if isinstance(entry.event, RunEnded)]
    result = "-" if not ends else short_json(ends[-1].result if ends[-1].error is None else ends[-1].error)
    spent = {row.unit: row.spent for row in dump.budget}
    done = Counter(f"{effect.tool} {effect.status}" for effect in dump.effects)
    return {
        "run": dump.run.id,
        "origin": dump.run.origin or "-",
        "status": dump.run.status,
        "result": show(result, 60),
        "decisions": str(dump.run.decisions),
        "effects": ", ".join(f"{number} {name}" for name, number in sorted(done.items())) or "-",
        "calls": _calls(dump),
        "spent": f"{count(spent.get('tokens', 0), 'token')}, {money(spent.get('usd_micro', 0))}",
    }
