"""Verbs of the agent that are not effects: decisions and their charges, samples, timers, attachment, divergence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tape.core.journal.caps import caps_by_grant, declare_caps
from tape.core.journal.children import lineage
from tape.core.journal.course import open_effects, resettle, stick
from tape.core.journal.purses import COST_LIMIT, MONEY, NO_LIMITS, Limits, charge, is_capped, lose_ask, reserve
from tape.core.journal.purses import Usage as Usage
from tape.core.journal.runs import end_lease, refuse_open_body
from tape.core.journal.tables import BudgetRow, EntryRow, RunRow, TimerRow
from tape.core.journal.transaction import RunEdit, Tx, edit_leased, edit_run, edit_run_no, load
from tape.core.kernel import lifecycle
from tape.core.kernel.errors import CancelRequested, Refused, UsageError
from tape.core.kernel.events import Attached, Decision, ModelAsked, Sample, TimerFired, TimerSet
from tape.core.kernel.lifecycle import LeaseTrigger, TimerStatus, TimerTrigger

TIMER_LIMIT_SECONDS = 100 * 366 * 86_400


def ask_model(
    tx: Tx,
    run_id: str,
    epoch: int,
    index: int,
    name: str,
    limits: Limits = NO_LIMITS,
    *,
    capped: bool = True,
    fingerprint: str = "",
) -> int:
    """Says that the model is about to be asked for this decision, and holds back what that may cost; a second time
    means that the first reply was lost. If a cap is in the way `budget_refused` is recorded instead (or, beside the
    tape, `budget_awaited`), and the model is not to be asked. Without `capped` none is in the way: the agent does not
    wait for the answer."""
    run = edit_leased(tx, run_id, epoch)
    if run["cancel"]:
        raise CancelRequested(f"{run_id} is being cancelled")
    if index != run["decisions"]:
        raise Refused(f"{run_id}: decision {index} is recorded already")
    place = f"decision {index}"
    for unit in MONEY:
        limit = limits.of(unit)
        if limit is not None and not 0 <= limit < COST_LIMIT:
            raise UsageError(f"{name} cannot cost {limit} {unit} at most: mend its mark @tape.model")
    if run["asks"]:
        lose_ask(run, place, limits)
    held = reserve(run, place, {unit: limits.of(unit) for unit in MONEY}, fingerprint) if capped else {}
    if held is None:
        run.set(asks=0)
    else:
        run.record(ModelAsked(index=index, name=name, asks=run["asks"] + 1, reserved=held or None))
        run.set(asks=run["asks"] + 1)
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
    if not fire_set_timer(run, ordinal):
        raise Refused(f"{run.id}: timer {ordinal} is not due")
    run.save()


def fire_set_timer(run: RunEdit, ordinal: int) -> bool:
    """The same from inside a verb that saves the run; False if the timer is not due. Raises IllegalTransition for one
    that has fired."""
    tx = run.tx
    timer = tx.one(TimerRow, run_no=run.no, ordinal=ordinal)
    if timer is None or timer["fire_us"] > tx.wall_us:
        return False
    status = lifecycle.step(lifecycle.TIMER, TimerStatus(timer["status"]), TimerTrigger.FIRE)
    tx.update(TimerRow, {"status": str(status)}, run_no=run.no, ordinal=ordinal, status=timer["status"])
    run.record(TimerFired(ordinal=ordinal, late_us=tx.wall_us - timer["fire_us"]))
    resettle(run, f"timer {ordinal} fired")
    return True


def attach(
    tx: Tx, run_id: str, epoch: int, replayed: list[str], caps: Mapping[str, int] = {}, *, gated: bool = False
) -> int:
    """The agent has replayed its tape and goes on from the first seq without a record. `caps` are those of its own
    budget, and `gated` what is done where they are in the way: they hold from the run's first attachment on."""
    run = edit_leased(tx, run_id, epoch)
    declare_caps(run, caps, gated=gated)
    run.record(Attached(decision_index=run["decisions"], next_seq=run.seq + 1, drive=run["drive"], replayed=replayed))
    run.save()
    return run.seq


def diverge(tx: Tx, run_id: str, epoch: int, why: str, fits_to: int | None = None) -> None:
    """The agent's code does not fit its tape any more: STUCK, with both sides in the reason, and three ways out.
    `fits_to`: the last seq before the first record that does not fit, if that is known."""
    run = edit_leased(tx, run_id, epoch)
    refuse_open_body(run)
    end_lease(run, LeaseTrigger.RELEASE, "diverged")
    run.set(crashes=0)
    redrive, cancel = f"tape redrive {run_id}  (after the code is mended)", f"tape cancel {run_id}"
    fork = (f"tape fork {run_id} --at {fits_to}",) if fits_to else ()
    stick(run, why, (redrive, *fork, cancel))
    run.save()


def sources_of(tx: Tx, source_id: str | None) -> list[str]:
    """The runs that a run was forked from, nearest first."""
    found: list[str] = []
    while source_id is not None:
        found.append(source_id)
        source = tx.one(RunRow, id=source_id)
        source_id = None if source is None else source["source_id"]
    return found


def drive_of(tx: Tx, run_id: str) -> dict[str, Any]:
    """What an agent needs to take a run up: its tape, the attempts of its open effects, whether it is cancelled, and
    its caps: by unit, from which seq on, whether any may be in the way, whether the agent's own have been set. Of a
    long request it gets a preview: replay compares fingerprints."""
    run = edit_run(tx, run_id)
    entries = tx.rows(EntryRow, run_no=run.no)
    rows = [row for row in entries if row["seq"] is not None]
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
        "lineage": lineage(tx, run.no),
        "quarantine": bool(run["quarantine"]),
        "sources": sources_of(tx, run["source_id"]),
        "budget": {
            "caps": caps_by_grant(entries, tx.rows(BudgetRow, run_no=run.no)),
            "capped": is_capped(run),
            "known": bool(run["caps_known"]),
        },
    }
