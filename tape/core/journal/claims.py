"""Verbs of reactors and persons on effects: claims, look-ups, outbox dispatch, resolve (contract.md section 4).

A claim is the right of one reactor to settle one effect; observations and dispatches run under it, and what comes
back after it was voided is fenced.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tape.core.journal import settling
from tape.core.journal.course import carry_on, settle
from tape.core.journal.duties import owe_surplus
from tape.core.journal.left import ahead_of
from tape.core.journal.outcomes import (
    RETRY,
    Ending,
    close_effect,
    doubt,
    never_acted,
    open_effect,
    raised,
    resolution_of,
    unknown_of,
)
from tape.core.journal.purses import Usage
from tape.core.journal.tables import ConflictRow, EffectRow
from tape.core.journal.transaction import Row, RunEdit, Tx, dump, edit_run
from tape.core.kernel import identity
from tape.core.kernel.errors import Fenced, Refused, UsageError
from tape.core.kernel.events import (
    AttemptEnded,
    AttemptStarted,
    Claimed,
    ClaimEnded,
    ConflictOpened,
    EffectDoubted,
    Observed,
    WriteRefused,
)
from tape.core.kernel.lifecycle import EFFECT_ENDS, EffectStatus, RunStatus
from tape.core.kernel.policy import RecoveryPolicy
from tape.core.kernel.resolution import Answer, Dispatch, Resolution, Step, Writer, resolve

LOOK_UP_STEPS = frozenset({Step.ASK, Step.ASK_LATER})
BODY_STEPS = frozenset({Step.AGAIN})


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
    """Claims an effect that is due for one of `steps` and records the attempt before it starts; `what` is look-up, or
    body for the outbox."""
    run = edit_run(tx, run_id)
    effect = open_effect(run, key)
    outbox = effect["dispatch"] == Dispatch.OUTBOX
    if run.status is RunStatus.RUNNING and not outbox:
        raise Refused(f"{run_id} is being driven")
    if effect["claim_by"]:
        raise Refused(f"{key} is claimed by {effect['claim_by']}: when that runs out it is voided first")
    fitting = LOOK_UP_STEPS if what == "look-up" else BODY_STEPS if outbox else frozenset[Step]()
    if effect["step"] not in steps & fitting or effect["next_boot_us"] > tx.boot_us:
        raise Refused(f"{key} is not due")
    if settling.outlived(tx, effect):
        raise Refused(f"{key} is not to run again: the upstream has forgotten its key, it must be judged anew")
    ahead = ahead_of(tx, run.no, effect) if what == "body" else None
    if ahead is not None:
        raise Refused(f"{key} is dispatched after {ahead['key']}, which is not through")
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
        if number == 1:
            changes["first_us"] = tx.wall_us
    else:
        number = settling.count_attempts(run, key, what) + 1
        changes["asked_boot_us"] = tx.boot_us
    tx.update(EffectRow, changes, run_no=run.no, key=key, claim_epoch=effect["claim_epoch"])
    run.record(Claimed(key=key, by=by, claim_epoch=claim_epoch))
    settling.begin_attempt(run, key, what, number, by=by, worker_no=worker_no)
    run.record(AttemptStarted(key=key, what=what, number=number, by=by, worker=worker_no))
    run.save()
    return Claim(run_id, key, by, claim_epoch, number)


def _claimed_effect(tx: Tx, claim: Claim, what: str) -> tuple[RunEdit, Row]:
    run = edit_run(tx, claim.run_id)
    effect = open_effect(run, claim.key)
    if not _is_live(tx, effect, claim):
        raise Fenced(f"{claim.key}: the claim of {claim.by} under epoch {claim.epoch} is not live")
    if _claimed_for(effect) != what:
        raise Refused(f"{claim.key} is claimed for its {_claimed_for(effect)}, not for its {what}")
    return run, effect


def _is_live(tx: Tx, effect: Row, claim: Claim) -> bool:
    return effect["claim_epoch"] == claim.epoch and effect["claim_until_boot_us"] > tx.boot_us


def _claimed_for(effect: Row) -> str:
    return "body" if effect["step"] == Step.AGAIN else "look-up"


def record_observation(tx: Tx, claim: Claim, answer: Answer, acts: list[Any], detail: str) -> str:
    """A look-up's answer. `acts` holds what the body would have returned: one for present, all for duplicate.
    Returns the row of the table that applied."""
    check_answer(answer, acts)
    run, effect = _claimed_effect(tx, claim, "look-up")
    rule, changes = settling.after_answer(tx, effect, answer)
    settling.close_attempt(run, claim.key, "look-up", claim.number, str(answer), detail or None)
    evidence = {"acts": acts} if acts else ({"why": detail} if detail else None)
    run.record(
        Observed(key=claim.key, number=claim.number, answer=answer, row=rule.row, step=rule.step, detail=evidence)
    )
    if rule.step in (Step.CONFIRM, Step.CONFIRM_FIRST):
        ending = Ending(EffectStatus.CONFIRMED, result=acts[0])
        close_effect(run, effect, ending, Resolution.OBSERVED, Writer.RECONCILER, rule.row)
        for act in acts[1:]:
            if effect["compensable"]:
                owe_surplus(run, claim.key, act, "a surplus act was found")
            else:
                open_conflict(run, claim.key, "the upstream holds a surplus act that cannot be undone", act)
    else:
        if rule.row == "N-absent":
            changes["clean"] = 1
        if rule.step is Step.AGAIN:
            changes["next_boot_us"] = tx.boot_us + tx.asks.backoff.delay_us(effect["live_failures"])
        elif rule.step is Step.PERSON:
            changes["status"] = str(unknown_of(EffectStatus(effect["status"])))
        tx.update(EffectRow, changes, run_no=run.no, key=claim.key, claim_epoch=claim.epoch)
    carry_on(run, effect, f"{claim.key} is settled: {rule.row}")
    run.save()
    return rule.row


def check_answer(answer: Answer, acts: list[Any]) -> None:
    """Raises UsageError for an answer that does not fit its acts."""
    if answer is Answer.NONE:
        raise UsageError("a look-up answers present, absent, duplicate or unclear")
    least, most = {Answer.PRESENT: (1, 1), Answer.DUPLICATE: (2, 1000)}.get(answer, (0, 0))
    if not least <= len(acts) <= most:
        raise UsageError(f"a look-up that answers {answer} does not show {len(acts)} acts")


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


def note_fenced_end(tx: Tx, run_id: str, worker_no: int | None, epoch: int, key: str, ending: Ending) -> None:
    """An `effect_ended` that came too late: never applied, kept as evidence. It is a conflict only if the effect has
    ended FAILED and the body says that it has acted."""
    run = edit_run(tx, run_id)
    effect = tx.one(EffectRow, run_no=run.no, key=key)
    why = f"the lease of epoch {epoch} is over"
    _keep_late_end(run, effect, key, ending, worker=worker_no, epoch=epoch, live_epoch=run.epoch, why=why)
    run.save()


def note_late_dispatch(tx: Tx, claim: Claim, ending: Ending) -> None:
    """The same for the outcome of a dispatch whose claim is over. Raises Refused for a claim that is live."""
    run = edit_run(tx, claim.run_id)
    effect = tx.one(EffectRow, run_no=run.no, key=claim.key)
    if effect is not None and effect["status"] not in EFFECT_ENDS and _is_live(tx, effect, claim):
        raise Refused(f"the claim of {claim.by} under epoch {claim.epoch} is live: the outcome of {claim.key} counts")
    live_epoch = 0 if effect is None else effect["claim_epoch"]
    why = f"the claim of {claim.by} under epoch {claim.epoch} is over"
    _keep_late_end(run, effect, claim.key, ending, worker=None, epoch=claim.epoch, live_epoch=live_epoch, why=why)
    run.save()


def _keep_late_end(run: RunEdit, effect: Row | None, key: str, ending: Ending, **refused: Any) -> None:
    says = {"key": key, "status": ending.status, "result": ending.result, "error": ending.error}
    run.record(WriteRefused(write="effect_ended", evidence=says, **refused))
    contradicts = effect is not None and effect["status"] == EffectStatus.FAILED
    if contradicts and ending.status is EffectStatus.CONFIRMED:
        open_conflict(run, key, "it ended FAILED, and its body says too late that it has acted", says)


def end_dispatch(tx: Tx, claim: Claim, ending: Ending, usage: Usage | None = None) -> None:
    """The outbox's certain outcome of a dispatch, and what its body reported that it cost. FAILED is refused where an
    earlier attempt may have acted (`reject_dispatch`)."""
    run, effect = _claimed_effect(tx, claim, "body")
    if ending.status is EffectStatus.FAILED and not never_acted(effect):
        raise Refused(f"{claim.key}: an earlier attempt may have acted, attempt {claim.number} cannot speak for it")
    close_effect(run, effect, ending, resolution_of(ending, claim.number), Writer.OUTBOX, "", usage)
    carry_on(run, effect, f"{claim.key} was dispatched")
    run.save()


def reject_dispatch(
    tx: Tx, claim: Claim, error: Any, recovery: RecoveryPolicy, usage: Usage | None = None
) -> Step | None:
    """A dispatched body raised `Rejected`: FAILED (None) if every earlier attempt is known not to have acted,
    otherwise the table, whose step is returned."""
    run, effect = _claimed_effect(tx, claim, "body")
    step = None
    if never_acted(effect):
        ending = Ending(EffectStatus.FAILED, error=error)
        close_effect(run, effect, ending, Resolution.REJECTED, Writer.OUTBOX, "", usage)
    else:
        step = raised(run, effect, Writer.OUTBOX, "rejected", error, recovery, body_over=True, usage=usage)
    carry_on(run, effect, f"{claim.key} was rejected")
    run.save()
    return step


def lose_dispatch(
    tx: Tx,
    claim: Claim,
    how: str,
    error: Any,
    recovery: RecoveryPolicy,
    *,
    body_over: bool,
    died: bool,
    usage: Usage | None = None,
) -> Step | None:
    """A dispatch whose outcome is not known: the table applies. Deaths of the hook worker count as poison. Returns
    the next step, or None if the effect has ended FAILED by it (it only reads)."""
    run, effect = _claimed_effect(tx, claim, "body")
    if died:
        step = _body_died(run, effect, how, error, recovery, body_over=body_over)
    else:
        step = raised(run, effect, Writer.OUTBOX, how, error, recovery, body_over=body_over, usage=usage)
    carry_on(run, effect, how)
    run.save()
    return step


def _body_died(run: RunEdit, effect: Row, how: str, error: Any, recovery: RecoveryPolicy, *, body_over: bool) -> Step:
    crashes: int = effect["hook_crashes"]
    poison = Step.PERSON if crashes >= recovery.stuck_after() else None
    delay_us = recovery.delay_us(crashes)
    return doubt(run, effect, how, error, body_over=body_over, instead=poison, again_us=delay_us)


def lose_look_up(tx: Tx, claim: Claim, how: str, recovery: RecoveryPolicy) -> None:
    """The hook worker died while it asked: asked again after a back-off; after too many deaths a person must look."""
    run, effect = _claimed_effect(tx, claim, "look-up")
    _look_up_died(run, effect, claim.number, how, recovery)
    run.save()


def _look_up_died(run: RunEdit, effect: Row, number: int, how: str, recovery: RecoveryPolicy) -> None:
    key = effect["key"]
    settling.close_attempt(run, key, "look-up", number, how)
    run.record(AttemptEnded(key=key, what="look-up", number=number, how=how))
    crashes: int = effect["hook_crashes"]
    changes: dict[str, Any] = {**settling.FREE, "next_boot_us": run.tx.boot_us + recovery.delay_us(crashes)}
    if crashes >= recovery.stuck_after():
        status = unknown_of(EffectStatus(effect["status"]))
        changes |= {"step": str(Step.PERSON), "status": str(status)}
        row = resolve(settling.case_of(run.tx, effect)).row
        run.record(EffectDoubted(key=key, status=status, row=row, step=Step.PERSON, why=f"{crashes} times: {how}"))
    run.tx.update(EffectRow, changes, run_no=run.no, key=key, claim_epoch=effect["claim_epoch"])
    carry_on(run, effect, how)


def resolve_effect(tx: Tx, run_id: str, key: str, how: str, result: Any, reason: str) -> str:
    """A person's decision on an effect that only a person can settle, or that would run again in a run which is
    STUCK: confirm, fail or retry. Returns the run's status after it."""
    if how not in ("confirm", "fail", "retry"):
        raise UsageError(f"{how}: an effect is resolved by confirm, fail or retry")
    check_result(key, result)
    run = edit_run(tx, run_id)
    effect = open_effect(run, key)
    idle = run.status is RunStatus.STUCK and effect["step"] == Step.AGAIN and not effect["claim_by"]
    if effect["step"] != Step.PERSON and not (idle and effect["awaited"]):  # what is left to itself goes on by itself
        raise Refused(
            f"{key} is not for a person: {effect['step'] or 'its body is running'}; see `tape status {run_id}`"
        )
    if how == "retry":
        changes = {"step": str(Step.AGAIN), "answer": str(Answer.NONE), "asks": 0, "next_boot_us": 0}
        # The order stands for a first attempt: the key's life counts from now on, and so do deaths and failures.
        changes |= {"hook_crashes": 0, "live_failures": 0, "body_over": 1, "first_us": tx.wall_us}
        tx.update(EffectRow, changes, run_no=run.no, key=key, step=effect["step"])
        run.record(
            EffectDoubted(key=key, status=effect["status"], row=RETRY, step=Step.AGAIN, why=f"retry ordered: {reason}")
        )
    else:
        status = EffectStatus.CONFIRMED if how == "confirm" else EffectStatus.FAILED
        error = None if how == "confirm" else {"type": "EffectFailed", "message": reason}
        close_effect(run, effect, Ending(status, result=result, error=error), Resolution.DECIDED, Writer.OPERATOR, "")
    if not effect["awaited"]:
        carry_on(run, effect, f"{key} was decided by a person: {how}")
    elif run.status in (RunStatus.WAITING, RunStatus.STUCK):
        run.set(error="")
        settle(run, f"{key} was decided by a person: {how}")
    run.save()
    return run.status


def check_result(key: str, result: Any) -> None:
    """Raises UsageError for a decided result that no body could have returned: no JSON, or over the limit."""
    identity.check_json(result)
    size = len(identity.canonical_json(result).encode())
    if size > identity.RECORD_LIMIT_BYTES:
        limit = identity.RECORD_LIMIT_BYTES
        raise UsageError(f"{key}: a result of {size} bytes cannot be recorded, {limit} is the limit (1 MiB)")


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
    if _claimed_for(effect) == "body":
        _body_died(run, effect, why, None, recovery, body_over=proven)
        carry_on(run, effect, why)
    else:
        _look_up_died(run, effect, settling.count_attempts(run, key, "look-up"), why, recovery)
    run.save()
