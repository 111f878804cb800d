"""Verbs on duties to undo: claim, fulfil, return, ask, resolve (contract.md sections 3 and 4, invariant I11)."""

from __future__ import annotations

from typing import Any

from tape.core.journal import settling
from tape.core.journal.claims import Claim, check_answer, open_conflict
from tape.core.journal.course import end_if_undone, open_effects, resettle, settle
from tape.core.journal.duties import age, move_obligation
from tape.core.journal.left import left_effects
from tape.core.journal.outcomes import Ending, close_effect
from tape.core.journal.tables import EffectRow, ObligationRow, RunRow
from tape.core.journal.transaction import Row, RunEdit, Tx, edit_run
from tape.core.kernel.errors import Fenced, NotFound, Refused, UsageError
from tape.core.kernel.events import AttemptEnded, AttemptStarted, Claimed, ClaimEnded, Observed, WriteRefused
from tape.core.kernel.lifecycle import EFFECT_ENDS, EffectStatus, ObligationStatus, ObligationTrigger, RunStatus
from tape.core.kernel.policy import RecoveryPolicy
from tape.core.kernel.resolution import Answer, Dispatch, Resolution, Step, Writer


def _duty(run: RunEdit, key: str) -> Row:
    duty = run.tx.one(ObligationRow, run_no=run.no, key=key)
    if duty is None:
        raise NotFound(f"no obligation {key} in this journal: `tape doctor --dump-run {run.id}` lists them")
    return duty


def next_duty(tx: Tx, run_no: int) -> Row | None:
    """The one duty of a run that may be worked on: the newest that is owed, if none is claimed and no effect is
    open but those that wait for their own undo (those only when the run is not being driven), and those whose body
    runs again on the next drive: it cannot come before that undo. A run that has ended waits for its children first:
    what they did came after what it did before them."""
    run = tx.one(RunRow, no=run_no)
    if run is not None and run["end_status"] is not None and run["children_open"]:
        return None
    siblings = open_effects(tx, run_no)
    if run is not None and run["end_status"] in (RunStatus.FAILED, RunStatus.CANCELLED):
        siblings += left_effects(tx, run_no)  # they may have to be undone, too, and before what is older
    steps = [(row["step"], row["dispatch"]) for row in siblings]
    waits_for_undo = any(step == Step.COMPENSATE for step, _ in steps)
    passed = (Step.AGAIN, Dispatch.INLINE) if waits_for_undo else ()
    if any(step != Step.COMPENSATE and (step, dispatch) != passed for step, dispatch in steps):
        return None
    owed = [row for row in tx.rows(ObligationRow, run_no=run_no) if row["status"] in ("DUE", "CLAIMED", "STUCK")]
    owed.sort(key=age)
    if not owed or owed[-1]["status"] != ObligationStatus.DUE:
        return None
    if any(row["status"] == ObligationStatus.CLAIMED for row in owed):
        return None  # an older one that a person ordered undone, before the newest was owed: one at a time
    return owed[-1]


def claim_duty(tx: Tx, run_id: str, key: str, by: str, *, claim_us: int, worker_no: int | None) -> tuple[Claim, str]:
    """Claims the newest duty and records its attempt before it starts; returns the claim and what to do: `undo`
    or `look-up`."""
    run = edit_run(tx, run_id)
    duty = _duty(run, key)
    if run.status is RunStatus.RUNNING and open_effects(tx, run.no):
        raise Refused(f"{run_id} is being driven, and an effect of it is open")
    newest = next_duty(tx, run.no)
    if newest is None or newest["key"] != key:
        raise Refused(f"{key} is not next to be undone")
    if duty["next_boot_us"] > tx.boot_us:
        raise Refused(f"{key} is not due")
    what = "undo" if duty["step"] == Step.AGAIN else "look-up"
    claim_epoch = duty["claim_epoch"] + 1
    number = settling.count_attempts(run, key, what) + 1
    changes = {
        "claim_epoch": claim_epoch,
        "claim_by": by,
        "claim_until_boot_us": tx.boot_us + claim_us,
        "hook_crashes": duty["hook_crashes"] + 1,
    }
    if what == "undo":
        changes |= {"attempts": number, "body_over": 0}
        if number == 1:
            changes["first_us"] = tx.wall_us
    else:
        changes["asked_boot_us"] = tx.boot_us
    move_obligation(run, duty, ObligationTrigger.CLAIM, f"{what} {number}", **changes)
    run.record(Claimed(key=key, by=by, claim_epoch=claim_epoch))
    settling.begin_attempt(run, key, what, number, by=by, worker_no=worker_no)
    run.record(AttemptStarted(key=key, what=what, number=number, by=by, worker=worker_no))
    run.save()
    return Claim(run_id, key, by, claim_epoch, number), what


def _claimed(tx: Tx, claim: Claim, what: str) -> tuple[RunEdit, Row]:
    run = edit_run(tx, claim.run_id)
    duty = _duty(run, claim.key)
    if not _is_live(tx, duty, claim):
        raise Fenced(f"{claim.key}: the claim of {claim.by} under epoch {claim.epoch} is not live")
    if _claimed_for(duty) != what:
        raise Refused(f"{claim.key} is claimed for its {_claimed_for(duty)}, not for its {what}")
    return run, duty


def _is_live(tx: Tx, duty: Row, claim: Claim) -> bool:
    held = duty["status"] == ObligationStatus.CLAIMED and duty["claim_until_boot_us"] > tx.boot_us
    return held and duty["claim_epoch"] == claim.epoch


def _claimed_for(duty: Row) -> str:
    return "undo" if duty["step"] == Step.AGAIN else "look-up"


def fulfil_duty(tx: Tx, claim: Claim) -> None:
    """The undo returned: nothing is owed for this act any more."""
    run, duty = _claimed(tx, claim, "undo")
    settling.close_attempt(run, claim.key, "undo", claim.number, "returned")
    _done(run, duty, "undone", Writer.COMPENSATION)
    run.save()


def note_late_undo(tx: Tx, claim: Claim) -> None:
    """An undo returned when its claim was over: never applied, kept as evidence. It is a conflict only if a person has
    let the act stand. Raises Refused for a claim that is live."""
    run = edit_run(tx, claim.run_id)
    duty = _duty(run, claim.key)
    if _is_live(tx, duty, claim):
        raise Refused(f"the claim of {claim.by} under epoch {claim.epoch} is live: the outcome of {claim.key} counts")
    says = {"key": claim.key, "undone": True}
    run.record(
        WriteRefused(
            worker=None,
            epoch=claim.epoch,
            live_epoch=duty["claim_epoch"],
            write="undo",
            why=f"the claim of {claim.by} under epoch {claim.epoch} is over",
            evidence=says,
        )
    )
    effect = tx.one(EffectRow, run_no=run.no, key=duty["effect_key"])
    stands = effect is not None and effect["status"] == EffectStatus.CONFIRMED
    if stands and duty["status"] == ObligationStatus.DROPPED:
        open_conflict(run, duty["effect_key"], "it was let stand, and its undo says too late that it is undone", says)
    run.save()


def _done(run: RunEdit, duty: Row, why: str, writer: Writer) -> None:
    move_obligation(run, duty, ObligationTrigger.FULFIL, why, step="", body_over=1, **settling.FREE)
    effect = run.tx.one(EffectRow, run_no=run.no, key=duty["effect_key"])
    if effect is not None and effect["status"] not in EFFECT_ENDS:
        error = {"type": "EffectFailed", "message": "nobody could know whether it happened, so it was undone"}
        ending = Ending(EffectStatus.FAILED, error=error)
        close_effect(run, effect, ending, Resolution.COMPENSATED, writer, "N-undo")
    _go_on(run, f"{duty['key']} is done", by_person=writer is Writer.OPERATOR)


def _go_on(run: RunEdit, why: str, *, by_person: bool = False) -> None:
    if run["end_status"] is not None:
        end_if_undone(run)
    elif by_person and run.status is RunStatus.STUCK:
        run.set(error="")
        settle(run, why)
    else:
        resettle(run, why)


def fail_duty(tx: Tx, claim: Claim, how: str, error: Any, recovery: RecoveryPolicy, *, body_over: bool) -> None:
    """The undo raised, timed out, or its worker died: its own semantics and look-up decide, as for an effect."""
    run, duty = _claimed(tx, claim, "undo")
    _lose_undo(run, duty, how, error, recovery, body_over=body_over)
    run.save()


def _lose_undo(run: RunEdit, duty: Row, how: str, error: Any, recovery: RecoveryPolicy, *, body_over: bool) -> None:
    number = duty["attempts"]
    settling.close_attempt(run, duty["key"], "undo", number, how, error)
    run.record(AttemptEnded(key=duty["key"], what="undo", number=number, how=how, error=error))
    rule, changes = settling.after_attempt(run.tx, duty, body_over=body_over)
    changes["next_boot_us"] = run.tx.boot_us + recovery.backoff.delay_us(duty["hook_crashes"])
    if rule.step is Step.PERSON or duty["hook_crashes"] >= recovery.stuck_after():
        message = error.get("message", "") if isinstance(error, dict) else ""  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        _stick_duty(run, duty, f"{how}: {message}".rstrip(": "), changes)
    else:
        move_obligation(run, duty, ObligationTrigger.RETURN, how, **changes)


def lose_duty_look_up(tx: Tx, claim: Claim, how: str, recovery: RecoveryPolicy) -> None:
    """The hook worker died while it asked whether the act is undone: asked again after a back-off."""
    run, duty = _claimed(tx, claim, "look-up")
    _look_up_died(run, duty, claim.number, how, recovery)
    run.save()


def _look_up_died(run: RunEdit, duty: Row, number: int, how: str, recovery: RecoveryPolicy) -> None:
    settling.close_attempt(run, duty["key"], "look-up", number, how)
    run.record(AttemptEnded(key=duty["key"], what="look-up", number=number, how=how))
    delay_us = recovery.backoff.delay_us(duty["hook_crashes"])
    changes = {**settling.FREE, "next_boot_us": run.tx.boot_us + delay_us}
    if duty["hook_crashes"] >= recovery.stuck_after():
        _stick_duty(run, duty, how, changes)
    else:
        move_obligation(run, duty, ObligationTrigger.RETURN, how, **changes)


def _stick_duty(run: RunEdit, duty: Row, why: str, changes: dict[str, Any]) -> None:
    move_obligation(run, duty, ObligationTrigger.STICK, why, **{**changes, "step": str(Step.PERSON)})
    effect = run.tx.one(EffectRow, run_no=run.no, key=duty["effect_key"])
    if effect is not None and effect["status"] not in EFFECT_ENDS:
        run.tx.update(EffectRow, {"step": str(Step.PERSON)}, run_no=run.no, key=effect["key"], step=effect["step"])
    _go_on(run, why)


def record_duty_observation(tx: Tx, claim: Claim, answer: Answer, detail: str) -> str:
    """What the undo's own look-up says: present means that the act is undone."""
    if answer is not Answer.PRESENT and answer is not Answer.DUPLICATE:
        check_answer(answer, [])
    run, duty = _claimed(tx, claim, "look-up")
    rule, changes = settling.after_answer(tx, duty, answer)
    settling.close_attempt(run, claim.key, "look-up", claim.number, str(answer), detail or None)
    evidence = {"why": detail} if detail else None
    run.record(
        Observed(key=claim.key, number=claim.number, answer=answer, row=rule.row, step=rule.step, detail=evidence)
    )
    if rule.step in (Step.CONFIRM, Step.CONFIRM_FIRST):
        _done(run, duty, f"found undone: {rule.row}", Writer.COMPENSATION)
    elif rule.step is Step.PERSON:
        _stick_duty(run, duty, "no answer that can be trusted whether it was undone", changes)
    else:
        move_obligation(run, duty, ObligationTrigger.RETURN, rule.row, **changes)
    run.save()
    return rule.row


def review(tx: Tx, run_id: str) -> None:
    """Ends a COMPENSATING run whose duties are all settled, or shows the one that is stuck."""
    run = edit_run(tx, run_id)
    if run.status is not RunStatus.COMPENSATING:
        raise Refused(f"{run_id} is not compensating")
    end_if_undone(run)
    run.save()


def resolve_duty(tx: Tx, run_id: str, key: str, how: str, reason: str) -> str:
    """A person's decision on a STUCK duty: confirm (it is undone), fail (it stays as it is) or retry."""
    if how not in ("confirm", "fail", "retry"):
        raise UsageError(f"{how}: a duty to undo is resolved by confirm, fail or retry")
    run = edit_run(tx, run_id)
    duty = _duty(run, key)
    if duty["status"] != ObligationStatus.STUCK:
        raise Refused(f"{key} is {duty['status']}, not STUCK: there is nothing to resolve")
    effect = tx.one(EffectRow, run_no=run.no, key=duty["effect_key"])
    unsettled = effect is not None and effect["status"] not in EFFECT_ENDS
    if effect is not None and unsettled and effect["step"] != Step.PERSON:
        raise Refused(f"{effect['key']} is being tried again: its outcome says what becomes of {key}")
    if how == "confirm":
        _done(run, duty, f"a person says that it is undone: {reason}", Writer.OPERATOR)
    elif how == "fail":
        move_obligation(run, duty, ObligationTrigger.DROP, f"a person lets it stand: {reason}", step="")
        _go_on(run, reason, by_person=True)
    else:
        renewed = {"step": str(Step.AGAIN), "hook_crashes": 0, "next_boot_us": 0, "asks": 0, "body_over": 1}
        move_obligation(run, duty, ObligationTrigger.OWE, reason, **renewed)
        if effect is not None and unsettled:
            tx.update(EffectRow, {"step": str(Step.COMPENSATE)}, run_no=run.no, key=effect["key"])
        _go_on(run, reason, by_person=True)
    run.save()
    return run.status


def void_duty_claim(
    tx: Tx, run_id: str, key: str, claim_epoch: int, why: str, recovery: RecoveryPolicy, *, proven: bool
) -> None:
    """Ends a claim whose claimant is gone: an undo under it is judged by the table, a look-up is due again."""
    run = edit_run(tx, run_id)
    duty = _duty(run, key)
    if duty["status"] != ObligationStatus.CLAIMED or duty["claim_epoch"] != claim_epoch:
        raise Refused(f"{key} is not claimed under epoch {claim_epoch}")
    run.record(ClaimEnded(key=key, by=duty["claim_by"], claim_epoch=claim_epoch, why=why))
    if _claimed_for(duty) == "undo":
        _lose_undo(run, duty, why, None, recovery, body_over=proven)
    else:
        _look_up_died(run, duty, settling.count_attempts(run, key, "look-up"), why, recovery)
    run.save()
