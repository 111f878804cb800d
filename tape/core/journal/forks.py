"""Forks: a new run whose tape begins as a copy of another's. What it does from there on touches nothing outside, until
it is promoted to a run that acts for real."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tape.core.journal import settling
from tape.core.journal.blobs import Values
from tape.core.journal.prefix import Prefix, prefix_of, renamed
from tape.core.journal.runs import start_run
from tape.core.journal.tables import EffectRow, EntryRow, GateRow, RunRow, TimerRow
from tape.core.journal.transaction import Row, RunEdit, Tx, edit_run, load
from tape.core.kernel.errors import Refused
from tape.core.kernel.events import (
    ChildStarted,
    Decision,
    EffectBegun,
    EffectEnded,
    Entry,
    ForkPromoted,
    GateAnswered,
    GateOpened,
    RunEnded,
    RunStarted,
    TimerFired,
    TimerSet,
    from_json,
)
from tape.core.kernel.lifecycle import GateStatus, RunStatus, TimerStatus

SAME_INPUT: Any = object()


@dataclass(frozen=True, slots=True)
class Forked:
    """The new run, and up to which seq of `source` its tape is a copy."""

    run: str
    source: str
    seq: int
    note: str = ""


def fork_run(
    tx: Tx,
    source_id: str,
    at: int,
    *,
    input: Any = SAME_INPUT,
    actor: str = "",
    caps: Mapping[str, int] = {},
) -> Forked:
    """A run in quarantine that goes on behind seq `at` of the source. Raises UsageError, Refused (`prefix_of`)."""
    source = edit_run(tx, source_id)
    prefix = prefix_of(source_id, _tape(source), at, _loose_ends(source))
    run_id = _copy(source, prefix, input=input, actor=actor, caps=caps, quarantine=True)
    return Forked(run_id, source_id, prefix.upto, prefix.note)


def promote_fork(tx: Tx, run_id: str, *, actor: str = "", reason: str = "", caps: Mapping[str, int] = {}) -> Forked:
    """A run that takes the fork's tape up to its first act in quarantine, and acts for real from there on."""
    fork = edit_run(tx, run_id)
    if fork["source_id"] is None:
        raise Refused(f"{run_id} is no fork: `tape fork {run_id} --at SEQ` makes one")
    if not fork["quarantine"]:
        raise Refused(f"{run_id} is not in quarantine: it acts for real already")
    before = tx.one(EntryRow, run_no=fork.no, kind=ForkPromoted.kind)
    if before is not None:
        promoted = tx.event(id=before["id"])
        assert isinstance(promoted, ForkPromoted)
        raise Refused(f"{run_id} was promoted already: {promoted.run} acts for it")
    if fork.status is RunStatus.RUNNING:
        raise Refused(f"{run_id} is being driven: promote it when it has ended or waits, or `tape cancel {run_id}`")
    tape = _tape(fork)
    prefix = prefix_of(run_id, tape, _before_quarantine(fork, tape), _loose_ends(fork))
    made = _copy(fork, prefix, input=SAME_INPUT, actor=actor, caps=caps, quarantine=False)
    fork.record(ForkPromoted(run=made, source_seq=prefix.upto, actor=actor, reason=reason))
    fork.save()
    return Forked(made, run_id, prefix.upto)


def _before_quarantine(fork: RunEdit, tape: list[Entry]) -> int:
    """The last seq before the first act that was only tried, by this fork or by one that it was forked from: a call in
    quarantine, or a child run (in quarantine as well)."""
    for place, entry in enumerate(tape):
        event = entry.event
        if isinstance(event, ChildStarted):
            child = fork.tx.one(RunRow, id=event.child)
            if child is not None and child["quarantine"]:
                return place
        elif isinstance(event, RunEnded) or (isinstance(event, EffectBegun) and event.quarantined):
            return place
    return len(tape)


# --- reading the source -----------------------------------------------------------------------------------------


def _tape(run: RunEdit) -> list[Entry]:
    rows = [row for row in run.tx.rows(EntryRow, run_no=run.no) if row["seq"] is not None]
    values = run.tx.values()
    return [_entry(run, row, values) for row in sorted(rows, key=lambda row: row["seq"])]


def _loose_ends(run: RunEdit) -> list[Entry]:
    """The ends of effects that nobody awaited, which stand on no tape."""
    found: list[Entry] = []
    for effect in run.tx.rows(EffectRow, run_no=run.no, awaited=0):
        row = None if effect["ended_id"] is None else run.tx.one(EntryRow, id=effect["ended_id"])
        if row is not None and row["seq"] is None:
            found.append(_entry(run, row, run.tx.values()))
    return found


def _entry(run: RunEdit, row: Row, values: Values) -> Entry:
    event = from_json(row["kind"], values.fill(load(row["body"])))
    return Entry(row["id"], run.id, row["seq"], row["epoch"], row["at_us"], event)


# --- writing the copy -------------------------------------------------------------------------------------------


def _copy(source: RunEdit, prefix: Prefix, *, input: Any, actor: str, caps: Mapping[str, int], quarantine: bool) -> str:
    tx = source.tx
    started = prefix.records[0].event
    assert isinstance(started, RunStarted)
    run_id = start_run(
        tx,
        source["agent"],
        started.input if input is SAME_INPUT else input,
        actor=actor,
        caps=caps,
        source=(source.id, prefix.upto),
        quarantine=quarantine,
    )
    run = edit_run(tx, run_id)
    begun: dict[str, int] = {}
    ended: dict[str, int] = {}
    decisions = 0
    for entry in (*prefix.records[1:], *prefix.ends):
        event = renamed(_reopened(tx, entry), source.id, run_id)
        entry_id = run.record(event, beside=entry.seq is None)
        if isinstance(event, EffectBegun):
            begun[event.key] = entry_id
        elif isinstance(event, EffectEnded):
            ended[event.key] = entry_id
        elif isinstance(event, Decision):
            decisions += 1
    _copy_effects(source, run, begun, ended)
    _copy_timers(run, prefix)
    _copy_gates(source, run, prefix)
    children = sum(isinstance(entry.event, ChildStarted) for entry in prefix.records)  # ended, and the source's
    run.set(decisions=decisions, effects=len(begun), children=children)
    run.save()
    return run_id


def _reopened(tx: Tx, entry: Entry) -> Any:
    """A gate gets as much time as it had. (One that was answered in the copied part has its answer right behind.)"""
    event = entry.event
    if isinstance(event, GateOpened) and event.deadline_us is not None:
        return replace(event, deadline_us=tx.wall_us + event.deadline_us - entry.at_us)
    return event


def _copy_effects(source: RunEdit, run: RunEdit, begun: Mapping[str, int], ended: Mapping[str, int]) -> None:
    """Their rows, ended: no attempt was this run's, and none of its duties."""
    for row in source.tx.rows(EffectRow, run_no=source.no):
        key = run.id + row["key"][len(source.id) :]
        if key not in begun:
            continue
        changes: dict[str, Any] = {
            "run_no": run.no,
            "key": key,
            "begun_id": begun[key],
            "ended_id": ended[key],
            "inherited": 1,
            "attempts": 0,
            "step": "",
            "body_over": 1,
            **settling.FREE,
        }
        run.tx.insert(EffectRow, {**_columns(row), **changes})


def _copy_timers(run: RunEdit, prefix: Prefix) -> None:
    fired = {entry.event.ordinal for entry in prefix.records if isinstance(entry.event, TimerFired)}
    for entry in prefix.records:
        event = entry.event
        if isinstance(event, TimerSet):
            status = TimerStatus.FIRED if event.ordinal in fired else TimerStatus.SET
            run.tx.insert(
                TimerRow,
                {"run_no": run.no, "ordinal": event.ordinal, "fire_us": event.fire_at_us, "status": str(status)},
            )


def _copy_gates(source: RunEdit, run: RunEdit, prefix: Prefix) -> None:
    """Answered ones as they are (that an approval is void, its record says); others open anew."""
    tx = run.tx
    answers = {
        (event.name, event.ordinal): event
        for event in (entry.event for entry in prefix.records)
        if isinstance(event, GateAnswered)
    }
    users = {entry.event.approval for entry in prefix.records if isinstance(entry.event, EffectBegun)}
    for entry in prefix.records:
        event = entry.event
        if not isinstance(event, GateOpened):
            continue
        row = tx.one(GateRow, run_no=source.no, name=event.name, ordinal=event.ordinal)
        if row is None:
            raise Refused(f"{source.id} has no gate {event.name} {event.ordinal}: `tape doctor` says what is wrong")
        answer = answers.get((event.name, event.ordinal))
        changes: dict[str, Any] = {"run_no": run.no, "opened_us": tx.wall_us}
        changes["deadline_us"] = getattr(_reopened(tx, entry), "deadline_us", None)
        if answer is None:
            blank = {"answer": None, "actor": "", "reason": "", "answered_us": None, "used_by": ""}
            changes |= {"status": str(GateStatus.OPEN), **blank}
        else:
            used = f"{event.name} {event.ordinal}" in users and row["used_by"]
            changes["used_by"] = run.id + row["used_by"][len(source.id) :] if used else ""
        tx.insert(GateRow, {**_columns(row), **changes})


def _columns(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in row.keys()}  # noqa: SIM118 - a row's iterator gives its values
