"""Verbs of the agent that are not effects: decisions and their charges, samples, timers, attachment, divergence."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from tape.core.journal.course import open_effects, resettle, stick
from tape.core.journal.runs import end_lease, refuse_open_body
from tape.core.journal.tables import BudgetRow, EntryRow, TimerRow
from tape.core.journal.transaction import RunEdit, Tx, edit_leased, edit_run, edit_run_no, load
from tape.core.kernel import lifecycle
from tape.core.kernel.errors import CancelRequested, Refused, UsageError
from tape.core.kernel.events import Attached, Charge, Decision, ModelAsked, Sample, TimerFired, TimerSet
from tape.core.kernel.lifecycle import LeaseTrigger, TimerStatus, TimerTrigger

COST_LIMIT = 1 << 40
TIMER_LIMIT_SECONDS = 100 * 366 * 86_400


@dataclass(frozen=True, slots=True)
class Usage:
    """What one reply or act cost."""

    tokens_in: int = 0
    tokens_out: int = 0
    usd_micro: int = 0


def charge(run: RunEdit, pays_for: str, usage: Usage) -> None:
    """The charge's record and the budget's rows, in the transaction of what it pays for."""
    amounts = (usage.tokens_in, usage.tokens_out, usage.usd_micro)
    if not all(0 <= amount < COST_LIMIT for amount in amounts):
        raise UsageError(f"{run.id}: {pays_for} cannot have cost {amounts}: report what the model's reply says")
    run.record(
        Charge(pays_for=pays_for, tokens_in=usage.tokens_in, tokens_out=usage.tokens_out, usd_micro=usage.usd_micro)
    )
    for unit, amount in (("tokens", usage.tokens_in + usage.tokens_out), ("usd_micro", usage.usd_micro)):
        if amount and run.tx.spend(run.no, unit, amount) != 1:
            raise Refused(f"{run.id} has no budget row {unit}")


def ask_model(tx: Tx, run_id: str, epoch: int, index: int, name: str) -> int:
    """Says that the model is about to be asked for this decision; a second time means the first reply was lost."""
    run = edit_leased(tx, run_id, epoch)
    if run["cancel"]:
        raise CancelRequested(f"{run_id} is being cancelled")
    if index != run["decisions"]:
        raise Refused(f"{run_id}: decision {index} is recorded already")
    asks = run["asks"] + 1
    run.record(ModelAsked(index=index, name=name, asks=asks))
    run.set(asks=asks)
    run.save()
    return run.seq


def record_decision(tx: Tx, run_id: str, epoch: int, decision: Decision, usage: Usage) -> int:
    """One reply of the model and its charge. The same index is never written twice (invariant I5)."""
    run = edit_leased(tx, run_id, epoch)
    if decision.index != run["decisions"]:
        raise Refused(f"{run_id}: decision {decision.index} where {run['decisions']} is next")
    run.record(decision)
    charge(run, f"decision {decision.index}", usage)
    run.set(decisions=decision.index + 1, asks=0)
    run.save()
    return run.seq


def record_sample(tx: Tx, run_id: str, epoch: int, sample: Sample) -> int:
    run = edit_leased(tx, run_id, epoch)
    run.record(sample)
    run.save()
    return run.seq


def set_timer(tx: Tx, run_id: str, epoch: int, ordinal: int, seconds: float, fingerprint: str) -> int:
    """A durable wake-up at a wall-clock time."""
    run = edit_leased(tx, run_id, epoch)
    if run["cancel"]:
        raise CancelRequested(f"{run_id} is being cancelled")
    if not math.isfinite(seconds) or abs(seconds) > TIMER_LIMIT_SECONDS:
        raise UsageError(f"{run_id}: cannot sleep for {seconds} seconds: a hundred years is the limit")
    if tx.one(TimerRow, run_no=run.no, ordinal=ordinal) is not None:
        raise Refused(f"{run_id}: timer {ordinal} is set already")
    fire_us = tx.wall_us + int(seconds * 1_000_000)
    tx.insert(TimerRow, {"run_no": run.no, "ordinal": ordinal, "fire_us": fire_us, "status": str(TimerStatus.SET)})
    run.record(TimerSet(ordinal=ordinal, seconds=seconds, fire_at_us=fire_us, fingerprint=fingerprint))
    run.save()
    return run.seq


def fire_timer(tx: Tx, run_no: int, ordinal: int) -> None:
    """Fires a timer that is due, once; late if need be, never early."""
    run = edit_run_no(tx, run_no)
    timer = tx.one(TimerRow, run_no=run_no, ordinal=ordinal)
    if timer is None or timer["fire_us"] > tx.wall_us:
        raise Refused(f"{run.id}: timer {ordinal} is not due")
    status = lifecycle.step(lifecycle.TIMER, TimerStatus(timer["status"]), TimerTrigger.FIRE)
    tx.update(TimerRow, {"status": str(status)}, run_no=run_no, ordinal=ordinal, status=timer["status"])
    run.record(TimerFired(ordinal=ordinal, late_us=tx.wall_us - timer["fire_us"]))
    resettle(run, f"timer {ordinal} fired")
    run.save()


def attach(tx: Tx, run_id: str, epoch: int, replayed: list[str]) -> int:
    """The agent has replayed its tape and goes on from the first seq without a record."""
    run = edit_leased(tx, run_id, epoch)
    run.record(Attached(decision_index=run["decisions"], next_seq=run.seq + 1, drive=run["drive"], replayed=replayed))
    run.save()
    return run.seq


def diverge(tx: Tx, run_id: str, epoch: int, why: str) -> None:
    """The agent's code does not fit its tape any more: STUCK, with both sides in the reason."""
    run = edit_leased(tx, run_id, epoch)
    refuse_open_body(run)
    end_lease(run, LeaseTrigger.RELEASE, "diverged")
    run.set(crashes=0)
    stick(run, why, (f"tape redrive {run_id}  (after the code is mended)", f"tape cancel {run_id}"))
    run.save()


def drive_of(tx: Tx, run_id: str) -> dict[str, Any]:
    """What an agent needs to take a run up: its tape, the attempts of its open effects, whether it is cancelled. Of a
    long request it gets a preview: replay compares fingerprints."""
    run = edit_run(tx, run_id)
    rows = [row for row in tx.rows(EntryRow, run_no=run.no) if row["seq"] is not None]
    rows.sort(key=lambda row: row["seq"])
    values = tx.values()
    bodies = [values.fill(load(row["body"]), requests=False) for row in rows]
    return {
        "agent": run["agent"],
        "drive": run["drive"],
        "input": bodies[0]["input"],
        "records": [[row["seq"], row["kind"], body] for row, body in zip(rows, bodies, strict=True)],
        "attempts": {row["key"]: row["attempts"] for row in open_effects(tx, run.no)},
        "cancelled": bool(run["cancel"]),
        "budget": {
            row["unit"]: {"cap": row["cap"], "spent": row["spent"]} for row in tx.rows(BudgetRow, run_no=run.no)
        },
    }
