"""One run in full: its rows and entries put together into a `RunDump`. Names ending in `_us` are wall time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from tape.core.journal.entries import entry_json
from tape.core.journal.shapes import RunView, view_json
from tape.core.kernel.events import (
    Charge,
    Decision,
    EffectBegun,
    EffectDoubted,
    EffectEnded,
    Entry,
    Json,
    Observed,
)


@dataclass(frozen=True, slots=True)
class DecisionView:
    """One recorded reply (or error) of the model, and its charge."""

    index: int
    seq: int | None
    name: str
    request: Json
    reply: Json
    error: Json
    tokens_in: int
    tokens_out: int
    usd_micro: int
    at_us: int


@dataclass(frozen=True, slots=True)
class EffectView:
    """One tool call. `row` is the last row of the resolution table that applied, `step` what is to be done next
    (empty while a body runs and when the effect has ended); `attempts` counts enterings of the body."""

    key: str
    tool: str
    decision_index: int | None
    ordinal: int
    status: str
    resolution: str
    writer: str
    row: str
    step: str
    attempts: int
    semantics: str
    dispatch: str
    business_key: str | None
    args: Json
    result: Json
    error: Json
    result_error: str | None
    begun_us: int
    ended_us: int | None


@dataclass(frozen=True, slots=True)
class AttemptView:
    """One entering of a body, one look-up, or one undo, with the evidence of how it ended."""

    key: str
    what: str
    number: int
    by: str
    worker: int | None
    pid: int | None
    epoch: int
    started_us: int
    ended_us: int | None
    how: str
    evidence: Json


@dataclass(frozen=True, slots=True)
class BudgetView:
    """`unit`: tokens, usd_micro, or `calls:<tool>`. `lost` is the part of `spent` for replies that nobody saw; `left`
    is what may still be asked for (None: no cap; below zero after a bill that passed it)."""

    unit: str
    cap: int | None
    reserved: int
    spent: int
    lost: int = 0
    left: int | None = None


@dataclass(frozen=True, slots=True)
class LeaseView:
    """One drive of the run."""

    epoch: int
    drive: int
    worker: int
    pid: int | None
    host: str | None
    status: str
    alone: bool
    first_seq: int
    granted_us: int
    ended_us: int | None
    why: str


@dataclass(frozen=True, slots=True)
class ObligationView:
    """A duty to undo one act."""

    key: str
    effect_key: str
    position: int
    status: str
    why: str
    step: str
    attempts: int
    claim_by: str
    act: Json


@dataclass(frozen=True, slots=True)
class TimerView:
    ordinal: int
    fire_us: int
    status: str


@dataclass(frozen=True, slots=True)
class GateView:
    """One instance of a gate. EARLY: answered before the run came to it. `used_by` is the effect that used its approval
    up; `approves` the call that it is bound to, `{"tool", "args", "args_hash"}`."""

    name: str
    ordinal: int
    status: str
    prompt: str
    answer: str | None
    actor: str
    reason: str
    on_timeout: str | None
    opened_us: int | None
    deadline_us: int | None
    answered_us: int | None
    used_by: str
    options: Json
    approves: Json


@dataclass(frozen=True, slots=True)
class ChildView:
    """A run that this one started; `waiting_on` and `error` as in `tape status`."""

    ordinal: int
    run: str
    agent: str
    status: str
    waiting_on: str
    error: str


@dataclass(frozen=True, slots=True)
class ConflictView:
    no: int
    key: str
    why: str
    evidence: Json
    opened_us: int
    closed_us: int | None


@dataclass(frozen=True, slots=True)
class OrderView:
    no: int
    verb: str
    args: Json
    actor: str
    reason: str
    placed_us: int


@dataclass(frozen=True, slots=True)
class RunDump:
    """Everything that the journal holds about one run, read in one snapshot; `entries` in the order of writing."""

    run: RunView
    entries: list[Entry]
    decisions: list[DecisionView]
    effects: list[EffectView]
    attempts: list[AttemptView]
    budget: list[BudgetView]
    leases: list[LeaseView]
    obligations: list[ObligationView]
    timers: list[TimerView]
    conflicts: list[ConflictView]
    orders: list[OrderView]
    children: list[ChildView]
    gates: list[GateView] = field(default_factory=lambda: [])


def dump_json(dump: RunDump) -> Json:
    """The dump as one JSON object."""
    return view_json(dump, {Entry: entry_json})


Rows = Sequence[tuple[Any, ...]]

SQL: Mapping[str, str] = {
    "effects": "SELECT key, tool, decision_index, ordinal, status, resolution, writer, step, attempts, semantics, "
    "dispatch, business_key, first_us FROM effect WHERE run_no = :run_no ORDER BY begun_id",
    "attempts": "SELECT attempt.key, attempt.what, attempt.number, attempt.by, attempt.worker_no, worker.pid, "
    "attempt.epoch, attempt.started_us, attempt.ended_us, attempt.how, attempt.evidence "
    "FROM attempt LEFT JOIN worker ON worker.no = attempt.worker_no WHERE attempt.run_no = :run_no "
    "ORDER BY attempt.started_us, attempt.key, attempt.what, attempt.number",
    "budget": "SELECT * FROM budget WHERE run_no = :run_no ORDER BY unit",
    "leases": "SELECT lease.epoch, lease.drive, lease.worker_no, worker.pid, worker.host, lease.status, lease.alone, "
    "lease.first_seq, lease.granted_us, lease.ended_us, lease.why "
    "FROM lease LEFT JOIN worker ON worker.no = lease.worker_no WHERE lease.run_no = :run_no ORDER BY lease.epoch",
    "obligations": "SELECT key, effect_key, position, status, why, step, attempts, claim_by, act "
    "FROM obligation WHERE run_no = :run_no ORDER BY position DESC, key DESC",
    "timers": "SELECT ordinal, fire_us, status FROM timer WHERE run_no = :run_no ORDER BY ordinal",
    "gates": "SELECT name, ordinal, status, prompt, answer, actor, reason, on_timeout, opened_us, deadline_us, "
    "answered_us, used_by, options, approves FROM gate WHERE run_no = :run_no ORDER BY name, ordinal",
    "children": "SELECT parent_ordinal, id, agent, status, waiting_on, error FROM run WHERE parent_no = :run_no "
    "ORDER BY parent_ordinal",
    "conflicts": "SELECT no, key, why, evidence, opened_us, closed_us FROM conflict WHERE run_no = :run_no ORDER BY no",
    "orders": 'SELECT no, verb, args, actor, reason, placed_us FROM "order" WHERE run_no = :run_no ORDER BY no',
}


def assemble(run: RunView, entries: list[Entry], rows: Mapping[str, Rows]) -> RunDump:
    """`rows` are those of the texts in SQL, by name; `entries` in the order of writing."""
    return RunDump(
        run=run,
        entries=entries,
        decisions=_decisions(entries),
        effects=_effects(entries, rows["effects"]),
        attempts=[AttemptView(*row[:10], evidence=_json(row[10])) for row in rows["attempts"]],
        budget=[budget_of(row) for row in rows["budget"]],
        leases=[_lease(row) for row in rows["leases"]],
        obligations=[ObligationView(*row[:8], act=_json(row[8])) for row in rows["obligations"]],
        timers=[TimerView(*row) for row in rows["timers"]],
        conflicts=[
            ConflictView(*row[:3], evidence=_json(row[3]), opened_us=row[4], closed_us=row[5])
            for row in rows["conflicts"]
        ],
        orders=[
            OrderView(*row[:2], args=_json(row[2]), actor=row[3], reason=row[4], placed_us=row[5])
            for row in rows["orders"]
        ],
        gates=[GateView(*row[:12], options=_json(row[12]), approves=_json(row[13])) for row in rows["gates"]],
        children=[ChildView(*row) for row in rows["children"]],
    )


def budget_of(row: tuple[Any, ...]) -> BudgetView:
    _, unit, cap, reserved, spent, *newer = row
    left = None if cap is None else cap - spent - reserved
    return BudgetView(unit, cap, reserved, spent, *newer[:1], left=left)


def _lease(row: tuple[Any, ...]) -> LeaseView:
    *first, alone, first_seq, granted_us, ended_us, why = row
    return LeaseView(*first, alone=bool(alone), first_seq=first_seq, granted_us=granted_us, ended_us=ended_us, why=why)


def _json(text: str) -> Json:
    """The value of a JSON column; empty means none, damaged text is shown as it is."""
    try:
        return orjson.loads(text) if text else None
    except orjson.JSONDecodeError:
        return text


def _decisions(entries: list[Entry]) -> list[DecisionView]:
    charges = {entry.event.pays_for: entry.event for entry in entries if isinstance(entry.event, Charge)}
    nothing = Charge(pays_for="")
    found: list[DecisionView] = []
    for entry in entries:
        event = entry.event
        if isinstance(event, Decision):
            charge = charges.get(f"decision {event.index}", nothing)
            found.append(
                DecisionView(
                    index=event.index,
                    seq=entry.seq,
                    name=event.name,
                    request=event.request,
                    reply=event.reply,
                    error=event.error,
                    tokens_in=charge.tokens_in,
                    tokens_out=charge.tokens_out,
                    usd_micro=charge.usd_micro,
                    at_us=entry.at_us,
                )
            )
    return found


def _effects(entries: list[Entry], rows: Rows) -> list[EffectView]:
    begun: dict[str, tuple[int, EffectBegun]] = {}
    ended: dict[str, tuple[int, EffectEnded]] = {}
    ruled: dict[str, str] = {}
    for entry in entries:
        match entry.event:
            case EffectBegun() as event:
                begun.setdefault(event.key, (entry.at_us, event))
            case EffectEnded() as event:
                ended.setdefault(event.key, (entry.at_us, event))
            case EffectDoubted() | Observed() as event if event.row:
                ruled[event.key] = event.row
            case _:
                pass
    return [_effect(row, begun.get(row[0]), ended.get(row[0]), ruled.get(row[0], "")) for row in rows]


def _effect(
    row: tuple[Any, ...], begun: tuple[int, EffectBegun] | None, ended: tuple[int, EffectEnded] | None, ruled: str
) -> EffectView:
    (
        key,
        tool,
        decision_index,
        ordinal,
        status,
        resolution,
        writer,
        step,
        attempts,
        semantics,
        dispatch,
        business,
        first,
    ) = row
    end = ended[1] if ended else None
    return EffectView(
        key=key,
        tool=tool,
        decision_index=None if decision_index < 0 else decision_index,
        ordinal=ordinal,
        status=status,
        resolution=resolution,
        writer=writer,
        row=(end.row if end else "") or ruled,
        step=step,
        attempts=attempts,
        semantics=semantics,
        dispatch=dispatch,
        business_key=business,
        args=begun[1].args if begun else None,
        result=end.result if end else None,
        error=end.error if end else None,
        result_error=end.result_error if end else None,
        begun_us=begun[0] if begun else first,
        ended_us=ended[0] if ended else None,
    )
