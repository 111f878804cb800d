"""Verbs on runs and leases: start, grant, renew, lose, park, end, cancel, redrive. Each whole or absent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tape.core.journal.tables import (
    BudgetRow,
    EffectRow,
    LeaseRow,
    ObligationRow,
    RunRow,
    TimerRow,
    WorkerRow,
)
from tape.core.journal.transaction import Row, RunEdit, Tx, edit_leased, edit_run
from tape.core.kernel import identity, lifecycle
from tape.core.kernel.errors import KeyConflict, NotFound, Refused, UsageError
from tape.core.kernel.events import LeaseEnded, LeaseGranted, ObligationMoved, RunEnded, RunStarted
from tape.core.kernel.lifecycle import (
    END_TRIGGER,
    OBLIGATION_OPEN,
    RUN_ENDS,
    EffectStatus,
    LeaseStatus,
    LeaseTrigger,
    ObligationStatus,
    ObligationTrigger,
    RunStatus,
    RunTrigger,
    TimerStatus,
    TimerTrigger,
    WorkerStatus,
)
from tape.core.kernel.policy import RecoveryPolicy
from tape.core.kernel.resolution import Dispatch, Step

OUTSIDE = frozenset({Step.ASK, Step.ASK_LATER, Step.COMPENSATE, Step.PERSON})
"""Steps that section 4 gives to a reactor or a person: a run that owns such an effect is not driven."""


def start_run(
    tx: Tx,
    agent: str,
    input: Any,
    *,
    start_key: str | None = None,
    actor: str = "",
    caps: Mapping[str, int] = {},
) -> str:
    """A new run, RUNNABLE, with its first record; returns its id. The same `start_key` gives the same run."""
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
        },
    )
    for unit in ("tokens", "usd_micro"):
        tx.insert(BudgetRow, {"run_no": number, "unit": unit, "cap": caps.get(unit), "reserved": 0, "spent": 0})
    run = edit_run(tx, run_id)
    run.record(RunStarted(agent=agent, input=input, start_key=start_key, actor=actor))
    run.save()
    return run_id


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
    if any(needs_outside(effect) for effect in open_effects(tx, run.no)):
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


def open_effects(tx: Tx, run_no: int) -> list[Row]:
    return [
        row
        for status in (EffectStatus.PENDING, EffectStatus.UNKNOWN)
        for row in tx.rows(EffectRow, run_no=run_no, status=str(status))
    ]


def needs_outside(effect: Row) -> bool:
    """Whether the open effect is settled by a reactor or a person, so that its run must not be driven."""
    return effect["step"] in OUTSIDE or effect["dispatch"] == Dispatch.OUTBOX


def settle(run: RunEdit, why: str, waits: Iterable[str] = ()) -> None:
    """Where a run without a lease goes: STUCK, WAITING, RUNNABLE, or to its end if it was cancelled."""
    effects = open_effects(run.tx, run.no)
    for_person = [row["key"] for row in effects if row["step"] == Step.PERSON]
    outside = [row for row in effects if needs_outside(row)]
    if for_person:
        stick(run, f"only a person can know whether {for_person[0]} happened", _resolve_commands(for_person[0]))
        return
    if outside:
        run.set(waiting_on=_waiting_on(outside))
        if run.status is not RunStatus.WAITING:
            run.move(RunTrigger.WAIT, why)
        return
    waits = list(waits)
    if waits and not run["cancel"]:
        run.set(waiting_on=", ".join(waits))
        run.move(RunTrigger.WAIT, why)
        return
    again = [row["next_boot_us"] for row in effects]
    if run["cancel"] and not effects:
        finish(run, RunEnded(outcome=str(RunStatus.CANCELLED), writer="operator"))
        return
    run.set(waiting_on="", next_boot_us=max([run["next_boot_us"], *again]))
    if run.status is not RunStatus.RUNNABLE:
        run.move(RunTrigger.RELEASE if run.status is RunStatus.RUNNING else RunTrigger.WAKE, why)


def _waiting_on(outside: list[Row]) -> str:
    first = outside[0]
    who = {Step.COMPENSATE: "undo"}.get(first["step"], "outbox" if first["step"] == Step.AGAIN else "look-up")
    more = f" and {len(outside) - 1} more" if len(outside) > 1 else ""
    return f"{who} of {first['key'].split('/', 1)[1]}{more}"


def _resolve_commands(key: str) -> tuple[str, ...]:
    return tuple(f"tape resolve {key} {how} --reason TEXT" for how in ("--confirm JSON", "--fail", "--retry"))


def stick(run: RunEdit, why: str, commands: tuple[str, ...]) -> None:
    """The run needs a person; the reason and the commands that help stand in the entry and in `status`."""
    run.set(error=why, waiting_on="a person")
    if run.status is not RunStatus.STUCK:
        run.move(RunTrigger.STICK, why, commands)


def park(tx: Tx, run_id: str, epoch: int, waits: list[str], why: str) -> None:
    """An orderly end of a drive: the lease is released, the crash count given back."""
    run = edit_leased(tx, run_id, epoch)
    end_lease(run, LeaseTrigger.RELEASE, why)
    run.set(crashes=max(0, run["crashes"] - 1))
    still = [wait for wait in waits if _still_waits(tx, run, wait)]
    settle(run, why, still)
    run.save()


def _still_waits(tx: Tx, run: RunEdit, wait: str) -> bool:
    what, _, name = wait.partition(" ")
    if what != "timer":
        return False  # open effects are looked at by `settle` itself
    timer = tx.one(TimerRow, run_no=run.no, ordinal=int(name))
    return timer is not None and timer["status"] == TimerStatus.SET


def end_run(tx: Tx, run_id: str, epoch: int, outcome: str, result: Any, error: Any) -> int:
    """The agent's last record. Refused while an effect is open; then obligations, then the end status."""
    run = edit_leased(tx, run_id, epoch)
    if open_effects(tx, run.no):
        raise Refused(f"{run_id} cannot end: an effect is open")
    end_lease(run, LeaseTrigger.RELEASE, "the run ended")
    run.set(crashes=0)
    finish(run, RunEnded(outcome=outcome, result=result, error=error))
    run.save()
    return run.seq


def finish(run: RunEdit, ended: RunEnded) -> None:
    """Writes `run_ended`, decides what is owed, and moves the run to COMPENSATING or to its end."""
    status = RunStatus(ended.outcome)
    if status not in RUN_ENDS:
        raise UsageError(f"{status} is no end of a run")
    run.record(ended)
    tx = run.tx
    for timer in tx.rows(TimerRow, run_no=run.no, status=str(TimerStatus.SET)):
        dropped = lifecycle.step(lifecycle.TIMER, TimerStatus.SET, TimerTrigger.DROP)
        tx.update(TimerRow, {"status": str(dropped)}, run_no=run.no, ordinal=timer["ordinal"], status=timer["status"])
    owed = _decide_obligations(run, status)
    message = (ended.error or {}).get("message", "") if status is RunStatus.FAILED else ""
    run.set(end_status=str(status), waiting_on="", error=message)
    if owed:
        run.move(RunTrigger.OWE, f"{owed} act{'s' if owed > 1 else ''} to undo first")
    else:
        run.move(END_TRIGGER[status], "")


def _decide_obligations(run: RunEdit, status: RunStatus) -> int:
    """ARMED duties become DUE if the run did not end well and the act is in effect, else they are dropped."""
    owed = 0
    for duty in run.tx.rows(ObligationRow, run_no=run.no):
        was = ObligationStatus(duty["status"])
        if was is ObligationStatus.ARMED:
            effect = run.tx.one(EffectRow, run_no=run.no, key=duty["effect_key"])
            happened = effect is not None and effect["status"] == EffectStatus.CONFIRMED
            due = happened and status is not RunStatus.TERMINAL
            trigger = ObligationTrigger.OWE if due else ObligationTrigger.DROP
            move_obligation(run, duty, trigger, f"the run ended {status}")
            owed += due
        elif was is ObligationStatus.STUCK and status is RunStatus.TERMINAL and not duty["act"]:
            move_obligation(run, duty, ObligationTrigger.DROP, "the act stands and the run ended well")
        elif was in OBLIGATION_OPEN:
            owed += 1
    return owed


def move_obligation(run: RunEdit, duty: Row, trigger: ObligationTrigger, why: str, **changes: Any) -> ObligationStatus:
    """The obligation's step, with its entry and with whatever else changes on its row."""
    was = ObligationStatus(duty["status"])
    status = lifecycle.step(lifecycle.OBLIGATION, was, trigger)
    run.tx.update(
        ObligationRow,
        {"status": str(status), "why": why, **changes},
        run_no=run.no,
        key=duty["key"],
        status=str(was),
        claim_epoch=duty["claim_epoch"],
    )
    run.record(ObligationMoved(key=duty["key"], status=status, was=was, why=why))
    return status


def end_if_undone(run: RunEdit) -> None:
    """A COMPENSATING run ends when nothing is owed any more; it is STUCK when a duty is."""
    if run.status not in (RunStatus.COMPENSATING, RunStatus.STUCK):
        return
    duties = run.tx.rows(ObligationRow, run_no=run.no)
    stuck = [duty for duty in duties if duty["status"] == ObligationStatus.STUCK]
    if stuck:
        stick(run, f"{stuck[0]['key']} cannot be undone: {stuck[0]['why']}", _resolve_commands(stuck[0]["key"]))
        return
    if run.status is RunStatus.STUCK:
        run.move(RunTrigger.OWE, "nothing is stuck any more")
    if not any(duty["status"] in OBLIGATION_OPEN for duty in duties):
        run.set(waiting_on="")
        run.move(END_TRIGGER[RunStatus(run["end_status"])], "everything owed is undone")


def cancel(tx: Tx, run_id: str) -> str:
    """A person's wish. No new work begins; what is open is settled first. Returns the run's status after it."""
    run = edit_run(tx, run_id)
    if run.status in RUN_ENDS or run["end_status"] is not None:
        raise Refused(f"{run_id} has ended already ({run['end_status'] or run.status}): nothing to cancel")
    effects = open_effects(tx, run.no)
    run.set(cancel=1, next_boot_us=0)
    if run.status is RunStatus.STUCK and any(row["step"] == Step.PERSON for row in effects):
        raise Refused(f"{run_id} owns an effect that only a person can settle: `tape resolve` it first, then cancel")
    if run.status is not RunStatus.RUNNING:
        settle(run, "cancelled by a person")
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
