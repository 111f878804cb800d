"""What waits for the reactors, counted under the conditions of their own look-outs (`work`), and who drives what."""

from __future__ import annotations

from collections.abc import Mapping

from tape.core.journal.lists import OPEN, OPEN_EFFECT, Fetch
from tape.core.journal.shapes import Backlog, LeaseRef, Queue

_LOOK_UP = "run.status IN ('WAITING', 'STUCK') AND effect.step IN ('ask', 'ask_later')"
_DISPATCH = (
    "run.status IN ('RUNNABLE', 'RUNNING', 'WAITING', 'STUCK') AND effect.dispatch = 'outbox' AND effect.step = 'again'"
)

SQL: Mapping[str, str] = {
    "queued_runs": f"SELECT count(*), min(next_boot_us) FROM run INDEXED BY run_open WHERE {OPEN} "
    "AND status = 'RUNNABLE'",
    "queued_effects": f"SELECT {_LOOK_UP}, effect.claim_by <> '', count(*), "
    f"min(effect.next_boot_us) FROM run INDEXED BY run_open CROSS JOIN effect ON effect.run_no = run.no "
    f"WHERE {OPEN} AND {OPEN_EFFECT} AND (({_LOOK_UP}) OR ({_DISPATCH})) GROUP BY 1, 2",
    "queued_duties": "SELECT obligation.status, count(*), min(obligation.next_boot_us) "
    "FROM run INDEXED BY run_open CROSS JOIN obligation ON obligation.run_no = run.no "
    f"WHERE {OPEN} AND obligation.status IN ('DUE', 'CLAIMED') GROUP BY obligation.status",
    "queued_timers": "SELECT count(*), min(fire_us) FROM timer INDEXED BY timer_due WHERE status = 'SET'",
    "queued_gates": "SELECT count(*), min(deadline_us) FROM gate INDEXED BY gate_due "
    "WHERE status = 'OPEN' AND deadline_us IS NOT NULL",
    "live_leases": "SELECT run.id, lease.worker_no, coalesce(worker.pid, 0), coalesce(worker.host, ''), lease.epoch, "
    "lease.drive, lease.granted_us, run.lease_until_boot_us FROM lease INDEXED BY lease_live "
    "CROSS JOIN run ON run.no = lease.run_no LEFT JOIN worker ON worker.no = lease.worker_no "
    "WHERE lease.status = 'LIVE' ORDER BY lease.granted_us, run.no",
}


def backlog(fetch: Fetch) -> Backlog:
    effects = {(asks, claimed): (count, due) for asks, claimed, count, due in fetch(SQL["queued_effects"], {})}
    duties = {status: (count, due) for status, count, due in fetch(SQL["queued_duties"], {})}
    runs, drive_us = fetch(SQL["queued_runs"], {})[0]
    timers, fire_us = fetch(SQL["queued_timers"], {})[0]
    gates, deadline_us = fetch(SQL["queued_gates"], {})[0]
    next_us = min((due for due in (fire_us, deadline_us) if due is not None), default=None)
    none = (0, None)

    def of_effects(asks: int) -> Queue:
        queued, due = effects.get((asks, 0), none)
        return Queue(queued, effects.get((asks, 1), none)[0], due)

    owed, undo_us = duties.get("DUE", none)
    return Backlog(
        recovery=Queue(runs, next_us=drive_us),
        reconciler=of_effects(1),
        outbox=of_effects(0),
        timers=Queue(timers + gates, next_us=next_us),
        compensation=Queue(owed, duties.get("CLAIMED", none)[0], undo_us),
    )


def live_leases(fetch: Fetch) -> list[LeaseRef]:
    return [LeaseRef(*row) for row in fetch(SQL["live_leases"], {})]
