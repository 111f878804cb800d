"""Duties to undo, from inside other verbs: armed, owed, dropped, decided when the run ends (contract.md section 3)."""

from __future__ import annotations

from typing import Any

from tape.core.journal import settling
from tape.core.journal.tables import EffectRow, ObligationRow
from tape.core.journal.transaction import Row, RunEdit, dump
from tape.core.kernel import identity, lifecycle
from tape.core.kernel.events import ObligationMoved
from tape.core.kernel.lifecycle import (
    EFFECT_ENDS,
    OBLIGATION_OPEN,
    EffectStatus,
    ObligationStatus,
    ObligationTrigger,
    RunStatus,
)
from tape.core.kernel.resolution import Step


def arm(
    run: RunEdit, effect_key: str, number: int, position: int, columns: dict[str, Any], *, auto: int, act: Any = None
) -> str:
    """Writes the n-th duty of an effect, ARMED; `columns` say how its undo is settled. Returns its key."""
    key = identity.undo_key(effect_key, number)
    run.tx.insert(
        ObligationRow,
        {
            **columns,
            "run_no": run.no,
            "key": key,
            "effect_key": effect_key,
            "position": position,
            "auto": auto,
            "status": str(ObligationStatus.ARMED),
            "why": "",
            "act": "" if act is None else dump(act),
            "ordered": 0,
            "step": str(Step.AGAIN),
        },
    )
    return key


def duties_of(run: RunEdit, effect_key: str) -> list[Row]:
    """All duties of one effect, oldest first."""
    return sorted(run.tx.rows(ObligationRow, run_no=run.no, effect_key=effect_key), key=age)


def age(duty: Row) -> tuple[int, int]:
    """Sorts duties from the oldest act to the newest."""
    return duty["position"], int(duty["key"].rpartition("/")[2])


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


def _another(run: RunEdit, like: Row, act: Any = None) -> Row:
    """One more duty of the same effect, settled in the same way."""
    number = len(duties_of(run, like["effect_key"])) + 1
    columns = settling.fresh(
        run.tx,
        semantics=like["semantics"],
        look_up=like["look_up"],
        authoritative=like["authoritative"],
        settle_us=like["settle_us"],
    )
    key = arm(run, like["effect_key"], number, like["position"], columns, auto=like["auto"], act=act)
    found = run.tx.one(ObligationRow, run_no=run.no, key=key)
    assert found is not None
    return found


def owe_undo(run: RunEdit, effect_key: str, why: str) -> None:
    """N-undo: the duty of the effect itself becomes DUE; after a person let an earlier one go, another is written."""
    duty = duties_of(run, effect_key)[-1]
    if duty["status"] in (ObligationStatus.DROPPED, ObligationStatus.DONE):
        duty = _another(run, duty)
    if duty["status"] in (ObligationStatus.ARMED, ObligationStatus.STUCK):
        renewed = {"step": str(Step.AGAIN), "hook_crashes": 0, "next_boot_us": 0, "asks": 0}
        move_obligation(run, duty, ObligationTrigger.OWE, why, **renewed)


def owe_surplus(run: RunEdit, effect_key: str, act: Any, why: str) -> None:
    """X-duplicate: a further act of a CONFIRMED effect is undone, even in a healthy run."""
    duty = _another(run, duties_of(run, effect_key)[0], act)
    move_obligation(run, duty, ObligationTrigger.OWE, why)


def drop_unowed(run: RunEdit, effect_key: str) -> None:
    """The act is certainly not in effect: whatever was armed, or stuck for a person, is owed no more."""
    for duty in duties_of(run, effect_key):
        if duty["status"] in (ObligationStatus.ARMED, ObligationStatus.STUCK) and not duty["act"]:
            move_obligation(run, duty, ObligationTrigger.DROP, "the act is certainly not in effect", step="")


def decide_obligations(run: RunEdit, status: RunStatus) -> int:
    """ARMED duties become DUE if the run did not end well and the act is in effect, else they are dropped. Returns
    how many the end of the run waits for."""
    for duty in run.tx.rows(ObligationRow, run_no=run.no):
        _decide(run, duty, status)
    return len(holding(run, status))


def decide_late(run: RunEdit, effect_key: str) -> None:
    """The same for an effect that was left to itself, and is CONFIRMED after the end of its run."""
    for duty in duties_of(run, effect_key):
        _decide(run, duty, RunStatus(run["end_status"]))


def _decide(run: RunEdit, duty: Row, status: RunStatus) -> None:
    """While nobody knows how an effect ends, nothing is decided about its duty."""
    effect = run.tx.one(EffectRow, run_no=run.no, key=duty["effect_key"])
    if effect is None or effect["status"] not in EFFECT_ENDS:
        return
    was = ObligationStatus(duty["status"])
    if was is ObligationStatus.ARMED:
        happened = effect["status"] == EffectStatus.CONFIRMED
        due = happened and bool(duty["auto"]) and status is not RunStatus.TERMINAL
        trigger = ObligationTrigger.OWE if due else ObligationTrigger.DROP
        move_obligation(run, duty, trigger, f"the run ended {status}")
    elif was is ObligationStatus.STUCK and status is RunStatus.TERMINAL and not duty["act"] and not duty["ordered"]:
        move_obligation(run, duty, ObligationTrigger.DROP, "the act stands and the run ended well")


def holding(run: RunEdit, status: RunStatus) -> list[Row]:
    """The duties that a run which ended `status` waits for. An effect that is left to itself holds up no run that ended
    well, unless a person ordered it undone; one that failed waits until it is known whether there is anything to undo
    (then the duty is still ARMED)."""
    well = status is RunStatus.TERMINAL
    held: list[Row] = []
    for duty in run.tx.rows(ObligationRow, run_no=run.no):
        undecided = duty["status"] == ObligationStatus.ARMED and duty["auto"] and not well
        if duty["status"] in OBLIGATION_OPEN or undecided:
            effect = run.tx.one(EffectRow, run_no=run.no, key=duty["effect_key"])
            if not well or duty["ordered"] or effect is None or effect["awaited"]:
                held.append(duty)
    return held
