"""Verbs of reactors and persons on effects: claims, look-ups, outbox dispatch, resolve (contract.md section 4).

A claim is the right of one reactor to settle one effect; observations and dispatches run under it, and what comes
back after it was voided is fenced.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tape.core.journal import settling
from tape.core.journal.effects import ASKS, Ending, ToolPolicy, arm, close_effect, doubt, open_effect, resolution_of
from tape.core.journal.runs import settle
from tape.core.journal.tables import ConflictRow, EffectRow, ObligationRow
from tape.core.journal.transaction import Row, RunEdit, Tx, dump, edit_run
from tape.core.kernel import identity, lifecycle
from tape.core.kernel.errors import Fenced, Refused
from tape.core.kernel.events import (
    AttemptEnded,
    AttemptStarted,
    ClaimEnded,
    Claimed,
    ConflictOpened,
    EffectDoubted,
    ObligationMoved,
    Observed,
)
from tape.core.kernel.lifecycle import EffectStatus, EffectTrigger, ObligationStatus, ObligationTrigger, RunStatus
from tape.core.kernel.policy import RecoveryPolicy
from tape.core.kernel.resolution import Answer, Dispatch, Resolution, Semantics, Step, Writer


@dataclass(frozen=True, slots=True)
class Claim:
    """The right of one reactor to settle one effect or obligation; `epoch` fences it, `number` is its attempt."""

    run_id: str
    key: str
    by: str
    epoch: int
    number: int


def claim_effect(
    tx: Tx, run_id: str, key: str, steps: frozenset[Step], by: str, *, what: str, claim_us: int, worker_no: int | None
) -> Claim:
    """Claims an effect that is due for one of `steps` and records the attempt before it starts."""
    run = edit_run(tx, run_id)
    effect = open_effect(run, key)
    if run.status is RunStatus.RUNNING and effect["dispatch"] != Dispatch.OUTBOX:
        raise Refused(f"{run_id} is being driven")
    if effect["step"] not in steps or effect["next_boot_us"] > tx.boot_us:
        raise Refused(f"{key} is not due")
    if effect["claim_until_boot_us"] > tx.boot_us:
        raise Refused(f"{key} is claimed by {effect['claim_by']}")
    claim_epoch = effect["claim_epoch"] + 1
    changes: dict[str, Any] = {
        "claim_epoch": claim_epoch,
        "claim_by": by,
        "claim_until_boot_us": tx.boot_us + claim_us,
        "hook_crashes": effect["hook_crashes"] + 1,
    }
    if what == "body":
        number = effect["attempts"] + 1
        changes |= {"attempts": number, "body_over": 0}
    else:
        number = settling.count_attempts(run, key, what) + 1
    tx.update(EffectRow, changes, run_no=run.no, key=key, claim_epoch=effect["claim_epoch"])
    run.record(Claimed(key=key, by=by, claim_epoch=claim_epoch))
    settling.begin_attempt(run, key, what, number, by=by, worker_no=worker_no)
    run.record(AttemptStarted(key=key, what=what, number=number, by=by, worker=worker_no))
    run.save()
    return Claim(run_id, key, by, claim_epoch, number)


def _claimed_effect(tx: Tx, claim: Claim) -> tuple[RunEdit, Row]:
    run = edit_run(tx, claim.run_id)
    effect = open_effect(run, claim.key)
    if effect["claim_epoch"] != claim.epoch or effect["claim_until_boot_us"] <= tx.boot_us:
        raise Fenced(f"{claim.key}: the claim of {claim.by} under epoch {claim.epoch} is not live")
    return run, effect


def record_observation(tx: Tx, claim: Claim, answer: Answer, acts: list[Any], detail: str) -> str:
    """A look-up's answer. `acts` holds what the body would have returned: one for present, all for duplicate.
    Returns the row of the table that applied."""
    run, effect = _claimed_effect(tx, claim)
    rule, changes = settling.after_answer(tx, effect, ASKS, answer)
    settling.close_attempt(run, claim.key, "look-up", claim.number, str(answer), detail or None)
    evidence = {"acts": acts} if acts else ({"why": detail} if detail else None)
    run.record(
        Observed(key=claim.key, number=claim.number, answer=answer, row=rule.row, step=rule.step, detail=evidence)
    )
    if rule.step in (Step.CONFIRM, Step.CONFIRM_FIRST):
        ending = Ending(EffectStatus.CONFIRMED, result=acts[0])
        close_effect(run, effect, ending, Resolution.OBSERVED, Writer.RECONCILER, rule.row)
        for number, act in enumerate(acts[1:], start=1):
            _surplus(run, effect, number, act)
    else:
        if rule.row == "N-absent":
            changes["clean"] = 1
        if rule.step is Step.PERSON and effect["status"] == EffectStatus.PENDING:
            changes["status"] = str(lifecycle.step(lifecycle.EFFECT, EffectStatus.PENDING, EffectTrigger.DOUBT))
        tx.update(EffectRow, changes, run_no=run.no, key=claim.key, claim_epoch=claim.epoch)
    _resettle(run, f"{claim.key} is settled: {rule.row}")
    run.save()
    return rule.row


def _surplus(run: RunEdit, effect: Row, number: int, act: Any) -> None:
    """X-duplicate: a further act is undone, or shown to a person if it cannot be."""
    key = effect["key"]
    if effect["compensable"]:
        policy_row = run.tx.one(ObligationRow, run_no=run.no, key=identity.undo_key(key, 1))
        policy = ToolPolicy()
        if policy_row is not None:
            policy = ToolPolicy(
                undo_semantics=Semantics(policy_row["semantics"]), undo_look_up=bool(policy_row["look_up"])
            )
        arm(run, key, number + 1, policy, ObligationStatus.ARMED, act)
        duty_key = identity.undo_key(key, number + 1)
        status = lifecycle.step(lifecycle.OBLIGATION, ObligationStatus.ARMED, ObligationTrigger.OWE)
        why = "a surplus act was found"
        run.tx.update(ObligationRow, {"status": str(status), "why": why}, run_no=run.no, key=duty_key)
        run.record(ObligationMoved(key=duty_key, status=status, was=ObligationStatus.ARMED, why=why))
    else:
        open_conflict(run, key, "the upstream holds a surplus act that cannot be undone", act)


def open_conflict(run: RunEdit, key: str, why: str, evidence: Any) -> None:
    """What a person must look at; it stays open in `status` and `doctor`."""
    run.tx.insert(
        ConflictRow,
        {
            "run_no": run.no,
            "key": key,
            "why": why,
            "evidence": dump(evidence),
            "opened_us": run.tx.wall_us,
            "closed_us": None,
        },
    )
    run.record(ConflictOpened(key=key, why=why, evidence=evidence))


def _resettle(run: RunEdit, why: str) -> None:
    """After an effect of a waiting or stuck run was settled: on it goes, if nothing else holds it."""
    if run.status in (RunStatus.WAITING, RunStatus.STUCK):
        settle(run, why)


def end_dispatch(tx: Tx, claim: Claim, ending: Ending) -> None:
    """The outbox's certain outcome of a dispatch."""
    run, effect = _claimed_effect(tx, claim)
    close_effect(run, effect, ending, resolution_of(ending, claim.number), Writer.OUTBOX, "")
    _resettle(run, f"{claim.key} was dispatched")
    run.save()


def lose_dispatch(
    tx: Tx, claim: Claim, how: str, error: Any, recovery: RecoveryPolicy, *, body_over: bool, died: bool
) -> Step:
    """A dispatch whose outcome is not known: the table applies. Deaths of the hook worker count as poison."""
    run, effect = _claimed_effect(tx, claim)
    step = _lose_body(run, effect, how, error, recovery, body_over=body_over, died=died)
    run.save()
    return step


def _lose_body(
    run: RunEdit, effect: Row, how: str, error: Any, recovery: RecoveryPolicy, *, body_over: bool, died: bool
) -> Step:
    step = doubt(run, effect, how, error, body_over=body_over)
    failures = effect["live_failures"] + (0 if died else 1)
    crashes: int = effect["hook_crashes"] if died else 0
    changes: dict[str, Any] = {"live_failures": failures, "hook_crashes": crashes}
    if step is Step.AGAIN:
        if max(failures, crashes) >= recovery.stuck_after():
            step = Step.PERSON
            changes |= {"step": str(step), "status": str(EffectStatus.UNKNOWN)}
        else:
            changes["next_boot_us"] = run.tx.boot_us + recovery.delay_us(max(failures + 1, crashes))
    run.tx.update(EffectRow, changes, run_no=run.no, key=effect["key"])
    _resettle(run, how)
    return step


def lose_look_up(tx: Tx, claim: Claim, how: str, recovery: RecoveryPolicy) -> None:
    """The hook worker died while it asked: asked again after a back-off; after too many deaths a person must look."""
    run, effect = _claimed_effect(tx, claim)
    settling.close_attempt(run, claim.key, "look-up", claim.number, how)
    run.record(AttemptEnded(key=claim.key, what="look-up", number=claim.number, how=how))
    crashes: int = effect["hook_crashes"]
    changes: dict[str, Any] = {
        "claim_by": "",
        "claim_until_boot_us": 0,
        "next_boot_us": tx.boot_us + recovery.delay_us(crashes),
    }
    if crashes >= recovery.stuck_after():
        changes["step"] = str(Step.PERSON)
        if effect["status"] == EffectStatus.PENDING:
            changes["status"] = str(lifecycle.step(lifecycle.EFFECT, EffectStatus.PENDING, EffectTrigger.DOUBT))
    tx.update(EffectRow, changes, run_no=run.no, key=claim.key, claim_epoch=claim.epoch)
    _resettle(run, how)
    run.save()


def resolve_effect(tx: Tx, run_id: str, key: str, how: str, result: Any, reason: str) -> str:
    """A person's decision on an effect that only a person can settle: confirm, fail or retry. Returns the run's
    status after it."""
    run = edit_run(tx, run_id)
    effect = open_effect(run, key)
    if effect["step"] != Step.PERSON:
        raise Refused(
            f"{key} is not for a person: {effect['step'] or 'its body is running'}; see `tape status {run_id}`"
        )
    if how == "retry":
        changes = {"step": str(Step.AGAIN), "answer": str(Answer.NONE), "asks": 0, "next_boot_us": 0}
        changes |= {"hook_crashes": 0, "live_failures": 0, "body_over": 1}
        tx.update(EffectRow, changes, run_no=run.no, key=key, step=str(Step.PERSON))
        run.record(
            EffectDoubted(key=key, status=effect["status"], row="", step=Step.AGAIN, why=f"retry ordered: {reason}")
        )
    else:
        status = EffectStatus.CONFIRMED if how == "confirm" else EffectStatus.FAILED
        error = None if how == "confirm" else {"type": "EffectFailed", "message": reason}
        close_effect(run, effect, Ending(status, result=result, error=error), Resolution.DECIDED, Writer.OPERATOR, "")
    run.set(error="")
    settle(run, f"{key} was decided by a person: {how}")
    run.save()
    return run.status


def void_claim(
    tx: Tx, run_id: str, key: str, claim_epoch: int, why: str, recovery: RecoveryPolicy, *, proven: bool
) -> None:
    """Ends a claim whose claimant is gone or late. A dispatch under it is judged by the table; a look-up is due
    again. `proven`: the process that ran the hook is certainly dead."""
    run = edit_run(tx, run_id)
    effect = open_effect(run, key)
    if effect["claim_epoch"] != claim_epoch or not effect["claim_by"]:
        raise Refused(f"{key} is not claimed under epoch {claim_epoch}")
    run.record(ClaimEnded(key=key, by=effect["claim_by"], claim_epoch=claim_epoch, why=why))
    if effect["dispatch"] == Dispatch.OUTBOX and effect["step"] == Step.AGAIN and not effect["body_over"]:
        _lose_body(run, effect, why, None, recovery, body_over=proven, died=True)
    else:
        settling.close_attempt(run, key, "look-up", settling.count_attempts(run, key, "look-up"), why)
        free = {"claim_by": "", "claim_until_boot_us": 0}
        tx.update(EffectRow, free, run_no=run.no, key=key, claim_epoch=claim_epoch)
    run.save()
