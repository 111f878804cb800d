"""Verbs on agent processes and on the service itself; orders and refusals as entries."""

from __future__ import annotations

from typing import Any

from tape.core.journal.effects import lose_lease
from tape.core.journal.tables import LeaseRow, OrderRow, WorkerRow
from tape.core.journal.transaction import Row, Tx, dump, edit_run, edit_run_no
from tape.core.kernel import lifecycle
from tape.core.kernel.errors import NotFound
from tape.core.kernel.events import (
    OrderPlaced,
    PointReached,
    ServerStarted,
    WorkerDied,
    WorkerMoved,
    WorkerStarted,
    WriteRefused,
)
from tape.core.kernel.lifecycle import LeaseStatus, LeaseTrigger, RunStatus, WorkerStatus, WorkerTrigger
from tape.core.kernel.policy import RecoveryPolicy


def start_service(tx: Tx, started: ServerStarted) -> None:
    """A server took the journal. After a reboot every monotonic time is from another clock: all of them are due."""
    last = [row["boot_id"] for row in tx.rows(WorkerRow)[-1:]]
    tx.tell(started)
    if last and last[0] != started.boot_id:
        for column, tables in (
            ("next_boot_us", ("run", "effect", "obligation")),
            ("lease_until_boot_us", ("run",)),
            ("claim_until_boot_us", ("effect", "obligation")),
            ("quiet_boot_us", ("effect", "obligation")),
            ("asked_boot_us", ("effect", "obligation")),
        ):
            for table in tables:
                tx.connection.execute(f"UPDATE {table} SET {column} = 0 WHERE {column} <> 0")


def start_worker(tx: Tx, nonce: str, pid: int, start_ticks: int, boot_id: str, host: str) -> int:
    """An agent process was started; returns its number."""
    number = tx.insert(
        WorkerRow,
        {
            "nonce": nonce,
            "pid": pid,
            "start_ticks": start_ticks,
            "boot_id": boot_id,
            "host": host,
            "status": str(WorkerStatus.STARTED),
            "started_us": tx.wall_us,
            "died_us": None,
            "how": "",
            "proven": 0,
        },
    )
    tx.tell(WorkerStarted(worker=number, pid=pid, start_ticks=start_ticks, nonce=nonce, host=host))
    return number


def _worker(tx: Tx, number: int) -> Row:
    worker = tx.one(WorkerRow, no=number)
    if worker is None:
        raise NotFound(f"no worker {number} in this journal")
    return worker


def move_worker(tx: Tx, number: int, trigger: WorkerTrigger) -> None:
    """Ready, frozen, thawed."""
    worker = _worker(tx, number)
    status = lifecycle.step(lifecycle.WORKER, WorkerStatus(worker["status"]), trigger)
    tx.update(WorkerRow, {"status": str(status)}, no=number, status=worker["status"])
    tx.tell(WorkerMoved(worker=number, pid=worker["pid"], status=status))


def worker_died(tx: Tx, number: int, how: str, recovery: RecoveryPolicy, *, proven: bool) -> int:
    """A death, told by any number of observers: the first one ends the worker's leases. Returns how many ended."""
    worker = _worker(tx, number)
    if worker["status"] == WorkerStatus.DEAD:
        return 0
    status = lifecycle.step(lifecycle.WORKER, WorkerStatus(worker["status"]), WorkerTrigger.DIE)
    changes = {"status": str(status), "died_us": tx.wall_us, "how": how, "proven": int(proven)}
    tx.update(WorkerRow, changes, no=number, status=worker["status"])
    tx.tell(WorkerDied(worker=number, pid=worker["pid"], how=how, proven=proven))
    ended = 0
    for lease in tx.rows(LeaseRow, worker_no=number, status=str(LeaseStatus.LIVE)):
        run = edit_run_no(tx, lease["run_no"])
        lose_lease(run, LeaseTrigger.DIE, how, recovery, proven=proven)
        run.save()
        ended += 1
    return ended


def expire_leases(tx: Tx, worker_no: int, recovery: RecoveryPolicy) -> int:
    """Ends the run-out leases of a frozen worker (it has no body open and can only read Fenced). Returns how many."""
    ended = 0
    for lease in tx.rows(LeaseRow, worker_no=worker_no, status=str(LeaseStatus.LIVE)):
        run = edit_run_no(tx, lease["run_no"])
        if run.status is RunStatus.RUNNING and run["lease_until_boot_us"] <= tx.boot_us:
            lose_lease(run, LeaseTrigger.EXPIRE, "the lease ran out", recovery, proven=True)
            run.save()
            ended += 1
    return ended


def refuse_write(tx: Tx, run_id: str, worker_no: int | None, epoch: int, write: str, why: str, evidence: Any) -> None:
    """Keeps a fenced write as evidence; nothing of it is applied (invariant I6)."""
    run = edit_run(tx, run_id)
    refused = WriteRefused(worker=worker_no, epoch=epoch, live_epoch=run.epoch, write=write, why=why, evidence=evidence)
    run.record(refused)
    run.save()


def place_order(tx: Tx, run_id: str | None, verb: str, args: Any, actor: str, reason: str) -> int:
    """An operator's wish, recorded with who and why; returns its number."""
    run = edit_run(tx, run_id) if run_id else None
    number = tx.insert(
        OrderRow,
        {
            "run_no": run.no if run else None,
            "verb": verb,
            "args": dump(args),
            "actor": actor,
            "reason": reason,
            "placed_us": tx.wall_us,
        },
    )
    event = OrderPlaced(order=number, verb=verb, args=args, actor=actor, reason=reason)
    if run is None:
        tx.tell(event)
    else:
        run.record(event)
        run.save()
    return number


def reach_point(tx: Tx, run_id: str | None, reached: PointReached) -> None:
    """An armed crash point was reached."""
    if run_id is None:
        tx.tell(reached)
        return
    run = edit_run(tx, run_id)
    run.record(reached)
    run.save()
