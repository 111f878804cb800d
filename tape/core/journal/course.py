"""Where a run without a lease goes, from inside verbs: on, waiting, to a person, to its end (contract.md section 3)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from tape.core.journal.commands import resolve_commands
from tape.core.journal.duties import decide_obligations, holding
from tape.core.journal.left import drop_undispatched, left_effects
from tape.core.journal.outcomes import recheck
from tape.core.journal.tables import EffectRow, TimerRow
from tape.core.journal.transaction import Row, RunEdit, Tx
from tape.core.kernel import lifecycle
from tape.core.kernel.errors import UsageError
from tape.core.kernel.events import RunEnded
from tape.core.kernel.lifecycle import (
    END_TRIGGER,
    RUN_ENDS,
    EffectStatus,
    ObligationStatus,
    RunStatus,
    RunTrigger,
    TimerStatus,
    TimerTrigger,
)
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
    """Writes `run_ended`, decides what is owed, and moves the run to COMPENSATING or to its end."""
    if ended.outcome not in RUN_ENDS:
        raise UsageError(f"{ended.outcome} is no end of a run: TERMINAL, FAILED or CANCELLED")
    status = RunStatus(ended.outcome)
    run.record(ended)
    tx = run.tx
    if status is RunStatus.FAILED:
        drop_undispatched(run, Writer.AGENT, "the run failed, and it would be undone", undoable_only=True)
    for timer in tx.rows(TimerRow, run_no=run.no, status=str(TimerStatus.SET)):
        dropped = lifecycle.step(lifecycle.TIMER, TimerStatus.SET, TimerTrigger.DROP)
        tx.update(TimerRow, {"status": str(dropped)}, run_no=run.no, ordinal=timer["ordinal"], status=timer["status"])
    owed = decide_obligations(run, status)
    run.set(end_status=str(status), waiting_on="", error=_failure(ended))
    if owed:
        run.move(RunTrigger.OWE, f"{owed} act{'s' if owed > 1 else ''} to undo first")
        end_if_undone(run)  # a duty may be stuck already
    else:
        run.move(END_TRIGGER[status], "")


def _failure(ended: RunEnded) -> str:
    """What a FAILED run shows as its error: `ValueError: no such invoice`."""
    if ended.outcome != RunStatus.FAILED or not ended.error:
        return ""
    error = cast("dict[str, Any]", ended.error)
    return f"{error.get('type', 'Error')}: {error.get('message', '')}"


def end_if_undone(run: RunEdit) -> None:
    """A COMPENSATING run ends when nothing is owed any more; it is STUCK when a duty is."""
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
    left = left_effects(run.tx, run.no) if duties and end is not RunStatus.TERMINAL else []
    run.set(waiting_on=_waiting_on(left) if left else "", error=_failure(ended))
    if not duties:
        run.move(END_TRIGGER[end], "everything owed is undone")
