"""Which part of a tape a fork takes over: a prefix, and behind it the ends of what had begun in it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tape.core.kernel.errors import Refused, UsageError
from tape.core.kernel.events import (
    Charge,
    ChildEnded,
    ChildStarted,
    Decision,
    EffectBegun,
    EffectEnded,
    Entry,
    Event,
    GateAnswered,
    GateOpened,
    RunEnded,
)

PLACES = ("key", "pays_for", "place")
"""Fields that hold an effect's key, which begins with its run."""


@dataclass(frozen=True, slots=True)
class Prefix:
    """`records` are seq 1 to `upto` of the source; `ends` are what history says about whatever was open there; `note`
    says what was taken otherwise than asked."""

    upto: int
    records: tuple[Entry, ...]
    ends: tuple[Entry, ...]
    note: str = ""


def prefix_of(run_id: str, tape: Sequence[Entry], at: int, loose_ends: Sequence[Entry] = ()) -> Prefix:
    """The part up to `at`. `loose_ends`: ends of effects that nobody awaited, which have no seq. Raises UsageError for
    a seq that the tape does not hold, Refused where something begun by then has no outcome yet."""
    if not 1 <= at <= len(tape):
        raise UsageError(f"{run_id} has no seq {at}: its tape holds seq 1 to {len(tape)}")
    upto, note = at, ""
    if isinstance(tape[at - 1].event, RunEnded):
        upto, note = at - 1, f"seq {at} is the end of {run_id}, which is not taken over"
    elif _charged(tape, at - 1):
        upto, note = at + 1, f"seq {at} and its charge, seq {at + 1}, stay together"
    records = tape[:upto]
    ends: list[Entry] = []
    open_ = _open(records)
    for entry in loose_ends:
        if open_.pop(_ended(entry.event), None) is not None:
            ends.append(entry)
    for place in range(upto, len(tape)):
        if open_.pop(_ended(tape[place].event), None) is not None:
            ends += tape[place : place + 2 if _charged(tape, place) else place + 1]
    if open_:
        raise Refused(_unsettled(run_id, open_))
    return Prefix(upto, tuple(_void(records)), tuple(ends), note)


def _open(records: Sequence[Entry]) -> dict[str, int]:
    """What has begun in these records and has not ended in them, with the seq of its beginning."""
    open_: dict[str, int] = {}
    for entry in records:
        event = entry.event
        if isinstance(event, EffectBegun):
            open_[event.key] = entry.seq or 0
        elif isinstance(event, ChildStarted):
            open_[f"child {event.ordinal}"] = entry.seq or 0
        else:
            open_.pop(_ended(event), None)
    return open_


def _ended(event: Event) -> str:
    if isinstance(event, EffectEnded):
        return event.key
    return f"child {event.ordinal}" if isinstance(event, ChildEnded) else ""


def _charged(tape: Sequence[Entry], place: int) -> bool:
    """Whether the next record is this one's charge; it may as well pay for another call's failed attempt."""
    event, after = tape[place].event, tape[place + 1].event if place + 1 < len(tape) else None
    paid = f"decision {event.index}" if isinstance(event, Decision) else _ended(event)
    return isinstance(after, Charge) and after.pays_for == paid


def _unsettled(run_id: str, open_: dict[str, int]) -> str:
    what, began = min(open_.items(), key=lambda item: item[1])
    return (
        f"{what} of {run_id} began at seq {began} and has no outcome yet: wait for it or settle it "
        f"(`tape status {run_id}` says how), or fork at seq {began - 1}"
    )


def _void(records: Sequence[Entry]) -> Iterator[Entry]:
    """Approvals that were not used up in these records are not taken over."""
    used = {entry.event.approval for entry in records if isinstance(entry.event, EffectBegun)}
    bound = {_gate(entry.event) for entry in records if isinstance(entry.event, GateOpened) and entry.event.approves}
    for entry in records:
        event = entry.event
        if isinstance(event, GateAnswered) and _gate(event) in bound - used:
            entry = replace(entry, event=replace(event, void=True))
        yield entry


def _gate(event: GateOpened | GateAnswered) -> str:
    return f"{event.name} {event.ordinal}"


def renamed(event: Event, source: str, run_id: str) -> Event:
    """The event as one of the new run: keys begin with their run."""
    changes: dict[str, Any] = {}
    for name in PLACES:
        value = getattr(event, name, None)
        if isinstance(value, str) and value.startswith(f"{source}/"):
            changes[name] = run_id + value[len(source) :]
    if getattr(event, "run", None) == source:  # whose purse refused
        changes["run"] = run_id
    return replace(event, **changes) if changes else event
