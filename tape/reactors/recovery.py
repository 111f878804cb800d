"""Recovery: ends run-out leases, voids run-out claims, and drives every RUNNABLE run (contract.md section 3).

A run is granted only when it owns nothing that must be settled from outside: the verb itself refuses otherwise.
"""

from __future__ import annotations

from tape.core.journal import capgates, claims, effects, obligations, runs, workers
from tape.core.journal.work import DueRun, StaleClaim
from tape.core.kernel.policy import ALONE_FROM
from tape.reactors.reactor import Desk


class Recovery:
    name = "recovery"

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def tick(self) -> int:
        settled = self._end_late_leases() + self._void_stale_claims() + self._recheck_keys() + self._recheck_caps()
        return settled + self._drive()

    def _end_late_leases(self) -> int:
        """A lease has run out: its worker is silent. A frozen one keeps its process and loses its lease; any other is
        ended, group and all, and its death ends the lease."""
        desk, moved = self._desk, 0
        for late in desk.work.late_leases(desk.clock.boot_us()):
            if desk.pool.end_silent(late.worker_no):
                continue
            worker = late.worker_no
            moved += desk.try_call(lambda tx, worker=worker: workers.expire_leases(tx, worker, desk.recovery)) or 0
        return moved

    def _void_stale_claims(self) -> int:
        desk = self._desk
        stale = desk.work.stale_claims(desk.clock.boot_us())
        for claim in stale:
            void(desk, claim, "the claim ran out")
        return len(stale)

    def _recheck_keys(self) -> int:
        """A body was to run again with the same key, but the upstream has forgotten the key meanwhile: judged anew."""
        desk, moved = self._desk, 0
        for run_id in desk.work.outlived(desk.clock.wall_us()):
            moved += bool(desk.try_call(lambda tx, run_id=run_id: effects.recheck_keys(tx, run_id)))
        return moved

    def _recheck_caps(self) -> int:
        """A run waits for a cap, and what others gave back since may be enough."""
        desk, moved = self._desk, 0
        for run_id in desk.work.to_recheck():
            moved += bool(desk.try_call(lambda tx, run_id=run_id: capgates.recheck_waits(tx, run_id)))
        return moved

    def _drive(self) -> int:
        """Oldest first. Runs that must go alone are passed over while no worker is empty: however many there are, they
        take no other run's turn."""
        desk, moved, after = self._desk, 0, 0
        room = desk.slots - desk.pool.driving()
        while room > 0 and desk.pool.driver_for(alone=False) is not None:
            below = None if desk.pool.driver_for(alone=True) is not None else ALONE_FROM
            most = room
            due = desk.work.runnable(desk.clock.boot_us(), most, after, below)
            for run in due:
                worker = desk.pool.driver_for(alone=desk.recovery.alone(run.crashes))
                if worker is not None:
                    moved += self._grant(run, worker)
                    room -= 1
            if len(due) < most:
                break
            after = due[-1].no
        return moved

    def _grant(self, due: DueRun, worker: int) -> int:
        desk = self._desk
        granted = desk.try_call(
            lambda tx: runs.grant(
                tx,
                due.id,
                worker,
                ttl_us=desk.lease.ttl_us,
                concurrency=desk.concurrency,
                recovery=desk.recovery,
            )
        )
        return 0 if granted is None else 1


def void(desk: Desk, stale: StaleClaim, why: str) -> None:
    """Voids a claim; somebody else may have done it already."""
    verb = obligations.void_duty_claim if stale.duty else claims.void_claim
    desk.try_call(
        lambda tx: verb(tx, stale.run_id, stale.key, stale.claim_epoch, why, desk.recovery, proven=stale.proven)
    )
