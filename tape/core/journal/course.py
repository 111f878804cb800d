"""Where a run without a lease goes, from inside verbs: on, waiting, to a person, to its end (contract.md section 3)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, cast

from tape.core.journal.capwaits import forget_waits
from tape.core.journal.commands import resolve_commands
from tape.core.journal.duties import decide_obligations, holding
from tape.core.journal.left import drop_undispatched, left_effects
from tape.core.journal.outcomes import recheck
from tape.core.journal.purses import lose_open_asks
from tape.core.journal.tables import EffectRow, GateRow, ObligationRow, OrderRow, RunRow, TimerRow
from tape.core.journal.transaction import Row, RunEdit, Tx, dump, edit_run_no
from tape.core.kernel import lifecycle
from tape.core.kernel.errors import UsageError
from tape.core.kernel.events import ChildEnded, OrderPlaced, RunEnded
from tape.core.kernel.lifecycle import (
    END_TRIGGER,
    RUN_ENDS,
    EffectStatus,
    GateStatus,
    GateTrigger,
    ObligationStatus,
    RunStatus,
    RunTrigger,
    TimerStatus,
    TimerTrigger,
)
from tape.core.kernel.policy import wake_parent_after_us
from tape.core.kernel.resolution import Dispatch, Step, Writer

OUTSIDE = frozenset({Step.ASK, Step.ASK_LATER, Step.COMPENSATE, Step.PERSON})
"""Steps that section 4 gives to a reactor or a person: a run that owns such an effect is not driven."""


def open_effects(tx: Tx, run_no: int) -> list[Row]:
    """Those that the run waits for; what is left to itself (`left_effects`) is none of its business."""
    return [
        row
        for status in (EffectStatus.PENDING, EffectStatus.UNKNOWN)
        for row in tx.rows(EffectRow, run_no=run_no, status=str(status), awaited=1)
    ]


def needs_outside(effect: Row) -> bool:
    """Whether the open effect is settled by a reactor or a person, so that its run must not be driven."""
    return effect["step"] in OUTSIDE or effect["dispatch"] == Dispatch.OUTBOX


def settle(run: RunEdit, why: str, waits: Iterable[str] = ()) -> None:
    """Where a run without a lease goes: STUCK, WAITING, RUNNABLE, or to its end if it was cancelled."""
    effects = open_effects(run.tx, run.no)
    if any([recheck(run, effect) for effect in effects]):
        effects = open_effects(run.tx, run.no)
    for_person = [row["key"] for row in effects if row["step"] == Step.PERSON]
    outside = [row for row in effects if needs_outside(row)]
    waiting_on = ", ".join(waits) if not effects and not run["cancel"] else ""
    if for_person:
        stick(run, f"only a person can know whether {for_person[0]} happened", resolve_commands(for_person[0]))
    elif outside or waiting_on:
        run.set(waiting_on=_waiting_on(outside) if outside else waiting_on)
        if run.status is not RunStatus.WAITING:
            run.move(RunTrigger.WAIT, why)
    elif run["cancel"] and not effects:
        finish(run, RunEnded(outcome=str(RunStatus.CANCELLED), writer="operator"))
    else:
        run.set(waiting_on="", next_boot_us=max([run["next_boot_us"], *(row["next_boot_us"] for row in effects)]))
        if run.status is not RunStatus.RUNNABLE:
            run.move(RunTrigger.RELEASE if run.status is RunStatus.RUNNING else RunTrigger.WAKE, why)


def resettle(run: RunEdit, why: str) -> None:
    """After a reactor settled something of a WAITING run: on it goes, if nothing else holds it. What made a run
    STUCK is for a person, not for a reactor."""
    if run.status is RunStatus.WAITING:
        settle(run, why)


def carry_on(run: RunEdit, effect: Row, why: str) -> None:
    """After something became of an effect: on goes a run that waits for it. One that is left to itself wakes nobody;
    only the end of a run that undoes its acts may depend on it."""
    if effect["awaited"]:
        resettle(run, why)
    elif run["end_status"] is not None:
        end_if_undone(run)


def _waiting_on(outside: list[Row]) -> str:
    first = outside[0]
    whose = {Step.COMPENSATE: "undo of", Step.PERSON: "a person for", Step.AGAIN: "outbox of"}
    who = whose.get(first["step"], "look-up of")
    more = f" and {len(outside) - 1} more" if len(outside) > 1 else ""
    return f"{who} {first['key'].split('/', 1)[1]}{more}"


def stick(run: RunEdit, why: str, commands: tuple[str, ...]) -> None:
    """The run needs a person; the reason and the commands that help stand in the entry and in `status`."""
    run.set(error=why, waiting_on="a person")
    if run.status is not RunStatus.STUCK:
        run.move(RunTrigger.STICK, why, commands)


def finish(run: RunEdit, ended: RunEnded) -> None:
    """Writes `run_ended`, decides what is owed, and moves the run to COMPENSATING or to its end. A run that does not
    end well takes its open children back: it is COMPENSATING until the last of them is at its end, and only then undoes
    what it owes itself."""
    if ended.outcome not in RUN_ENDS:
        raise UsageError(f"{ended.outcome} is no end of a run: TERMINAL, FAILED or CANCELLED")
    status = RunStatus(ended.outcome)
    lose_open_asks(run)
    forget_waits(run)
    run.record(ended)
    tx = run.tx
    if status is RunStatus.FAILED:
        drop_undispatched(run, Writer.AGENT, "the run failed, and it would be undone", undoable_only=True)
    for timer in tx.rows(TimerRow, run_no=run.no, status=str(TimerStatus.SET)):
        dropped = lifecycle.step(lifecycle.TIMER, TimerStatus.SET, TimerTrigger.DROP)
        tx.update(TimerRow, {"status": str(dropped)}, run_no=run.no, ordinal=timer["ordinal"], status=timer["status"])
    _drop_gates(run)
    owed = decide_obligations(run, status)
    run.set(end_status=str(status), waiting_on="", error=_failure(ended))
    cancel_children(run)
    children: int = run["children_open"]
    if owed or children:
        first = [f"{children} child{'ren' if children > 1 else ''} to end"] if children else []
        first += [f"{owed} act{'s' if owed > 1 else ''} to undo"] if owed else []
        run.move(RunTrigger.OWE, f"{' and '.join(first)} first")
        end_if_undone(run)  # a duty may be stuck already
    else:
        _end(run, ended, "")


def _drop_gates(run: RunEdit) -> None:
    """What nobody has answered, or the run has not come to, is dead with the run."""
    for was in (GateStatus.OPEN, GateStatus.EARLY):
        dropped = {"status": str(lifecycle.step(lifecycle.GATE, was, GateTrigger.DROP))}
        for gate in run.tx.rows(GateRow, run_no=run.no, status=str(was)):
            where = {"run_no": run.no, "name": gate["name"], "ordinal": gate["ordinal"]}
            run.tx.update(GateRow, dropped, **where, status=str(was))


def _failure(ended: RunEnded) -> str:
    """What a FAILED run shows as its error: `ValueError: no such invoice`."""
    if ended.outcome != RunStatus.FAILED or not ended.error:
        return ""
    error = cast("dict[str, Any]", ended.error)
    return f"{error.get('type', 'Error')}: {error.get('message', '')}"


def end_if_undone(run: RunEdit) -> None:
    """A COMPENSATING run ends when nothing is owed any more and no child is open; it is STUCK when a duty is."""
    if run.status not in (RunStatus.COMPENSATING, RunStatus.STUCK):
        return
    end = RunStatus(run["end_status"])
    duties = holding(run, end)
    stuck = [duty for duty in duties if duty["status"] == ObligationStatus.STUCK]
    if stuck:
        stick(run, f"{stuck[0]['key']} cannot be undone: {stuck[0]['why']}", resolve_commands(stuck[0]["key"]))
        return
    if run.status is RunStatus.STUCK:
        run.move(RunTrigger.OWE, "nothing is stuck any more")
    ended = run.tx.event(run_no=run.no, seq=run.seq)  # the last record of a run that has ended
    assert isinstance(ended, RunEnded)
    children: int = run["children_open"]
    left = left_effects(run.tx, run.no) if duties and end is not RunStatus.TERMINAL else []
    waiting_on = f"{children} child{'ren' if children > 1 else ''}" if children else _waiting_on(left) if left else ""
    run.set(waiting_on=waiting_on, error=_failure(ended))
    if not children and not duties:
        owed = run.tx.rows(ObligationRow, run_no=run.no)
        _end(run, ended, "everything owed is undone" if owed else "every child has ended")


def _end(run: RunEdit, ended: RunEnded, why: str) -> None:
    run.move(END_TRIGGER[RunStatus(ended.outcome)], why)
    if run["parent_no"] is not None:
        _tell_parent(run, ended)


# --- parents and children ---------------------------------------------------------------------------------------

_OPEN_CHILDREN = (
    "SELECT parent_ordinal FROM run WHERE parent_no = :run_no AND status NOT IN ('TERMINAL', 'FAILED', 'CANCELLED')"
)


def children_wait(run: RunEdit, waits: Collection[str]) -> list[str] | None:
    """What a run that parks shows of the children that it waits for, in few words (`child 0 and 999 more`); None if one
    of them has ended since the agent last heard of them: then the run waits for nothing."""
    asked = [int(name) for what, _, name in (wait.partition(" ") for wait in waits) if what == "child"]
    if not asked:
        return []
    rows = run.tx.connection.execute(_OPEN_CHILDREN, {"run_no": run.no})
    if not {row["parent_ordinal"] for row in rows}.issuperset(asked):
        return None
    return [f"child {min(asked)}" + (f" and {len(asked) - 1} more" if len(asked) > 1 else "")]


def _tell_parent(child: RunEdit, ended: RunEnded) -> None:
    """The child is at its end: its parent's tape says so, and a parent that waits goes on; one that has ended itself
    counts only.

    One with many open children is not woken for each of them: it goes on a little later (a millisecond per child that
    is open, at most a second), and is then told of all that have ended by then.
    """
    held = child.parent
    parent = held or edit_run_no(child.tx, child["parent_no"])
    children: int = parent["children_open"] - 1
    parent.set(children_open=children)
    over = parent["end_status"] is not None
    patient = parent["crashes"] == 0
    if not over:
        told = ChildEnded(
            ordinal=child["parent_ordinal"],
            child=child.id,
            status=ended.outcome,
            result=ended.result,
            error=ended.error,
        )
        parent.record(told)
    if held is not None:  # whoever holds it decides where it goes, and saves it
        return
    now = child.tx.boot_us
    if over:
        end_if_undone(parent)
    elif parent.status is RunStatus.WAITING:
        parent.set(next_boot_us=max(parent["next_boot_us"], now + wake_parent_after_us(children)))
        resettle(parent, f"child {child['parent_ordinal']} ended")
    elif parent.status is RunStatus.RUNNABLE and not children and patient:
        parent.set(next_boot_us=min(parent["next_boot_us"], now))
    parent.save()


def cancel_children(run: RunEdit) -> None:
    """Cancels every open child that is not being cancelled, newest first, by an order of its parent."""
    if not run["children_open"]:
        return
    rows = [row for row in run.tx.rows(RunRow, parent_no=run.no, cancel=0) if row["end_status"] is None]
    for row in sorted(rows, key=lambda row: row["parent_ordinal"], reverse=True):
        child = RunEdit(run.tx, row)
        child.parent = run
        args, reason = {"parent": run.id}, "its parent ends" if run["end_status"] else "its parent is cancelled"
        order = {"verb": "cancel", "actor": run.id, "reason": reason}
        number = run.tx.insert(OrderRow, {**order, "run_no": child.no, "args": dump(args), "placed_us": run.tx.wall_us})
        child.record(OrderPlaced(**order, order=number, args=args))
        take_back(child, reason)
        child.save()


def take_back(run: RunEdit, why: str) -> None:
    """Cancels a run that has not ended, and its children: no new work begins, what is open is settled first."""
    run.set(cancel=1, next_boot_us=0)
    drop_undispatched(run, Writer.OPERATOR, why, undoable_only=False)
    cancel_children(run)
    if run.status is not RunStatus.RUNNING:
        settle(run, why)
