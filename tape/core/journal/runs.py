"""Verbs on runs and leases: start, grant, renew, lose, park, end, cancel, redrive. Each whole or absent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tape.core.journal import settling
from tape.core.journal.capgates import WAIT, keep_waits, still_awaits
from tape.core.journal.caps import first_rows
from tape.core.journal.course import children_wait, finish, needs_outside, open_effects, settle, take_back
from tape.core.journal.outcomes import live_body
from tape.core.journal.tables import BudgetRow, GateRow, LeaseRow, RunRow, TimerRow, WorkerRow
from tape.core.journal.transaction import Row, RunEdit, Tx, edit_leased, edit_run
from tape.core.kernel import identity, lifecycle
from tape.core.kernel.errors import KeyConflict, NotFound, Refused
from tape.core.kernel.events import LeaseEnded, LeaseGranted, RunEnded, RunStarted
from tape.core.kernel.lifecycle import (
    RUN_ENDS,
    GateStatus,
    LeaseStatus,
    LeaseTrigger,
    RunStatus,
    RunTrigger,
    TimerStatus,
    WorkerStatus,
)
from tape.core.kernel.policy import RecoveryPolicy


@dataclass(frozen=True, slots=True)
class Parent:
    """The run that starts another one, which is its child number `ordinal`."""

    no: int
    id: str
    ordinal: int
    depth: int
    quarantine: int


def start_run(
    tx: Tx,
    agent: str,
    input: Any,
    *,
    start_key: str | None = None,
    actor: str = "",
    caps: Mapping[str, int] = {},
    parent: Parent | None = None,
    source: tuple[str, int] | None = None,
    quarantine: bool = False,
) -> str:
    """A new run, RUNNABLE, with its first record; returns its id. The same `start_key` gives the same run. `parent`:
    `start_child` only. `source`: the run that it is forked from, and up to which seq."""
    identity.check_json(input)
    if start_key is not None:
        known = tx.one(RunRow, start_key=start_key)
        if known is not None:
            return _same_start(tx, known, agent, input)
    run_id = identity.run_id(tx.wall_us // 1000, tx.clock.bits(20))
    while tx.one(RunRow, id=run_id) is not None:
        run_id = identity.run_id(tx.wall_us // 1000, tx.clock.bits(20))
    number = tx.insert(
        RunRow,
        {
            "id": run_id,
            "agent": agent,
            "status": str(RunStatus.RUNNABLE),
            "epoch": 0,
            "seq": 0,
            "decisions": 0,
            "effects": 0,
            "head": b"",
            "drive": 0,
            "crashes": 0,
            "asks": 0,
            "worker_no": None,
            "lease_until_boot_us": 0,
            "next_boot_us": 0,
            "waiting_on": "",
            "end_status": None,
            "error": "",
            "cancel": 0,
            "start_key": start_key,
            "created_us": tx.wall_us,
            "updated_us": tx.wall_us,
            "parent_no": parent.no if parent else None,
            "parent_ordinal": parent.ordinal if parent else 0,
            "depth": parent.depth + 1 if parent else _depth_of(tx, source),
            "source_id": source[0] if source else None,
            "source_seq": source[1] if source else 0,
            "quarantine": parent.quarantine if parent else int(quarantine),
            "caps_known": 0,
            "children": 0,
            "children_open": 0,
            "gated": 0,
        },
    )
    for row in first_rows(caps):
        tx.insert(BudgetRow, {**row, "run_no": number})
    run = edit_run(tx, run_id)
    whence, upto = source or (None, 0)
    run.record(
        RunStarted(
            agent=agent,
            input=input,
            start_key=start_key,
            actor=actor,
            parent=parent.id if parent else None,
            source=whence,
            source_seq=upto,
        )
    )
    run.save()
    return run_id


def _depth_of(tx: Tx, source: tuple[str, int] | None) -> int:
    """A fork stands where its source does: nothing starts a deeper child in it than in that."""
    row = tx.one(RunRow, id=source[0]) if source else None
    return row["depth"] if row is not None else 0


def _same_start(tx: Tx, known: Row, agent: str, input: Any) -> str:
    started = tx.event(run_no=known["no"], seq=1)
    assert isinstance(started, RunStarted)
    if identity.hash_json([started.agent, started.input]) != identity.hash_json([agent, input]):
        raise KeyConflict(
            f"the start key {known['start_key']} was used for {known['id']} with another agent or input: "
            "use another --key for another run"
        )
    return known["id"]


def grant(
    tx: Tx, run_id: str, worker_no: int, *, ttl_us: int, concurrency: int, recovery: RecoveryPolicy
) -> LeaseGranted:
    """A lease on a RUNNABLE run for a READY worker. The crash counter grows here, before anything is driven."""
    run = edit_run(tx, run_id)
    worker = tx.one(WorkerRow, no=worker_no)
    if worker is None or worker["status"] != WorkerStatus.READY:
        raise Refused(f"worker {worker_no} is not ready")
    if run["next_boot_us"] > tx.boot_us:
        raise Refused(f"{run_id} is backing off")
    if any(needs_outside(effect) or settling.outlived(tx, effect) for effect in open_effects(tx, run.no)):
        raise Refused(f"{run_id} owns an effect that must be settled first")
    alone = recovery.alone(run["crashes"])
    held = tx.rows(LeaseRow, worker_no=worker_no, status=str(LeaseStatus.LIVE))
    if len(held) >= concurrency or (held and (alone or any(lease["alone"] for lease in held))):
        raise Refused(f"worker {worker_no} has no room")
    run.move(RunTrigger.GRANT, "")
    run.epoch += 1
    run.set(
        drive=run["drive"] + 1,
        crashes=run["crashes"] + 1,
        worker_no=worker_no,
        lease_until_boot_us=tx.boot_us + ttl_us,
        waiting_on="",
    )
    granted = LeaseGranted(
        worker=worker_no,
        pid=worker["pid"],
        epoch=run.epoch,
        drive=run["drive"],
        decision_index=run["decisions"],
        next_seq=run.seq + 1,
        crashes=run["crashes"] - 1,
        alone=alone,
    )
    tx.insert(
        LeaseRow,
        {
            "run_no": run.no,
            "epoch": run.epoch,
            "worker_no": worker_no,
            "drive": run["drive"],
            "status": str(LeaseStatus.LIVE),
            "alone": int(alone),
            "first_seq": run.seq + 1,
            "granted_us": tx.wall_us,
            "ended_us": None,
            "why": "",
        },
    )
    run.record(granted)
    run.save()
    return granted


def renew_leases(tx: Tx, worker_no: int, ttl_us: int) -> int:
    """A heartbeat: every lease of the worker that has not run out lives `ttl_us` from now. Returns how many."""
    renewed = 0
    for lease in tx.rows(LeaseRow, worker_no=worker_no, status=str(LeaseStatus.LIVE)):
        run = tx.one(RunRow, no=lease["run_no"])
        if run is not None and run["lease_until_boot_us"] > tx.boot_us:
            renewed += tx.update_all(
                RunRow, {"lease_until_boot_us": tx.boot_us + ttl_us}, no=run["no"], epoch=lease["epoch"]
            )
    return renewed


def end_lease(run: RunEdit, trigger: LeaseTrigger, why: str) -> Row:
    """Closes the run's live lease; by death or expiry the epoch grows, so that whatever comes late is fenced."""
    tx = run.tx
    lease = tx.one(LeaseRow, run_no=run.no, epoch=run.epoch)
    if lease is None:
        raise Refused(f"{run.id} has no lease under epoch {run.epoch}")
    status = lifecycle.step(lifecycle.LEASE, LeaseStatus(lease["status"]), trigger)
    tx.update(
        LeaseRow,
        {"status": str(status), "ended_us": tx.wall_us, "why": why},
        run_no=run.no,
        epoch=run.epoch,
        status=str(LeaseStatus.LIVE),
    )
    worker = tx.one(WorkerRow, no=lease["worker_no"])
    run.record(
        LeaseEnded(
            worker=lease["worker_no"], pid=worker["pid"] if worker else 0, epoch=run.epoch, status=status, why=why
        )
    )
    if trigger is not LeaseTrigger.RELEASE:
        run.epoch += 1
    run.set(worker_no=None, lease_until_boot_us=0)
    return lease


def park(tx: Tx, run_id: str, epoch: int, waits: list[str], why: str) -> None:
    """An orderly end of a drive: the lease is released, the crash count given back."""
    run = edit_leased(tx, run_id, epoch)
    refuse_open_body(run)
    end_lease(run, LeaseTrigger.RELEASE, why)
    run.set(crashes=max(0, run["crashes"] - 1))
    keep_waits(run, waits)
    found = {wait: _still_waits(tx, run, wait) for wait in waits}
    still = [_shown(run, wait) for wait, waiting in found.items() if waiting]
    children = children_wait(run, waits)
    over = children is None or False in found.values()  # one has come since the agent last heard of it: on it goes
    settle(run, why, () if over else [*still, *(children or ())])
    run.save()


def refuse_open_body(run: RunEdit) -> None:
    """A lease is not given back while a body runs under it: nobody would ever judge that attempt."""
    for effect in open_effects(run.tx, run.no):
        if live_body(effect):
            raise Refused(f"the body of {effect['key']} is still open: record its end first, or end the worker")


def _shown(run: RunEdit, wait: str) -> str:
    """`budget for 2/0/wire_money`, `budget for decision 3`; other waits as they are."""
    what, _, name = wait.partition(" ")
    return f"{WAIT} for {name.removeprefix(f'{run.id}/')}" if what == WAIT else wait


def _still_waits(tx: Tx, run: RunEdit, wait: str) -> bool | None:
    """None for what this run has not got; open effects and children are looked at elsewhere."""
    what, _, name = wait.partition(" ")
    if what == WAIT:
        return still_awaits(run, name)
    if what == "gate":
        gate, _, ordinal = name.rpartition(" ")
        row = tx.one(GateRow, run_no=run.no, name=gate, ordinal=int(ordinal)) if ordinal.isdecimal() else None
        return None if row is None else row["status"] == GateStatus.OPEN
    if what != "timer" or not name.isdecimal():
        return None
    timer = tx.one(TimerRow, run_no=run.no, ordinal=int(name))
    return None if timer is None else timer["status"] == TimerStatus.SET


def end_run(tx: Tx, run_id: str, epoch: int, outcome: str, result: Any, error: Any) -> int:
    """The agent's last record. Refused while an effect is open; then obligations, then the end status."""
    run = edit_leased(tx, run_id, epoch)
    if open_effects(tx, run.no):
        raise Refused(f"{run_id} cannot end: an effect is open")
    if outcome == RunStatus.TERMINAL and run["children_open"]:
        raise Refused(f"{run_id} cannot end well: a child of it is open")
    end_lease(run, LeaseTrigger.RELEASE, "the run ended")
    finish(run, RunEnded(outcome=outcome, result=result, error=error))
    run.save()
    return run.seq


def cancel(tx: Tx, run_id: str) -> str:
    """A person's wish. No new work begins; what is open is settled first, by a person too: a STUCK run stays so until
    then. Returns the run's status after it."""
    run = edit_run(tx, run_id)
    if run.status in RUN_ENDS or run["end_status"] is not None:
        raise Refused(f"{run_id} has ended already ({run['end_status'] or run.status}): nothing to cancel")
    take_back(run, "cancelled by a person")
    run.save()
    return run.status


def redrive(tx: Tx, run_id: str) -> str:
    """Takes a STUCK run up again with a clear crash count. Refused while an effect is unsettled."""
    run = edit_run(tx, run_id)
    if run.status is not RunStatus.STUCK:
        raise Refused(f"{run_id} is {run.status}, not STUCK: there is nothing to redrive")
    if run["end_status"] is not None:
        raise Refused(f"{run_id} has ended and owes an undo: `tape resolve` the obligation instead")
    unsettled = [row["key"] for row in open_effects(tx, run.no) if needs_outside(row)]
    if unsettled:
        raise Refused(f"{unsettled[0]} is not settled: `tape resolve {unsettled[0]}` first, then redrive")
    run.set(crashes=0, next_boot_us=0, error="")
    settle(run, "taken up again by a person")
    run.save()
    return run.status


def run_status(tx: Tx, run_id: str) -> str:
    row = tx.one(RunRow, id=run_id)
    if row is None:
        raise NotFound(f"no run {run_id} in this journal: `tape status` lists them")
    return row["status"]
