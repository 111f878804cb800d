"""Verbs on duties to undo: claim, fulfil, return, ask, resolve (contract.md sections 3 and 4, invariant I11)."""

from __future__ import annotations

from typing import Any

from tape.core.journal import settling
from tape.core.journal.claims import Claim
from tape.core.journal.effects import ASKS, Ending, close_effect
from tape.core.journal.runs import end_if_undone, move_obligation, open_effects, settle
from tape.core.journal.tables import EffectRow, ObligationRow
from tape.core.journal.transaction import Row, RunEdit, Tx, edit_run
from tape.core.kernel.errors import Fenced, NotFound, Refused
from tape.core.kernel.events import AttemptEnded, AttemptStarted, ClaimEnded, Claimed, Observed
from tape.core.kernel.lifecycle import EFFECT_ENDS, EffectStatus, ObligationStatus, ObligationTrigger, RunStatus
from tape.core.kernel.policy import RecoveryPolicy
from tape.core.kernel.resolution import Answer, Resolution, Step, Writer

_DUTY_FREE = {"claim_by": "", "claim_until_boot_us": 0}


def _duty(run: RunEdit, key: str) -> Row:
    duty = run.tx.one(ObligationRow, run_no=run.no, key=key)
    if duty is None:
        raise NotFound(f"no obligation {key} in this journal: `tape doctor --dump-run {run.id}` lists them")
    return duty


def next_duty(tx: Tx, run_no: int) -> Row | None:
    """The one duty of a run that may be worked on: the newest that is owed, if none is claimed and no effect is
    open but those that wait for their own undo."""
    if any(row["step"] != Step.COMPENSATE for row in open_effects(tx, run_no)):
        return None
    owed = [row for row in tx.rows(ObligationRow, run_no=run_no) if row["status"] in ("DUE", "CLAIMED", "STUCK")]
    owed.sort(key=lambda row: (row["position"], row["key"]))
    if not owed or owed[-1]["status"] != ObligationStatus.DUE:
        return None
    return owed[-1]


def claim_duty(tx: Tx, run_id: str, key: str, by: str, *, claim_us: int, worker_no: int | None) -> tuple[Claim, str]:
    """Claims the newest duty and records its attempt before it starts; returns the claim and what to do: `undo`
    or `look-up`."""
    run = edit_run(tx, run_id)
    duty = _duty(run, key)
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
    move_obligation(run, duty, ObligationTrigger.CLAIM, f"{what} {number}", **changes)
    run.record(Claimed(key=key, by=by, claim_epoch=claim_epoch))
    settling.begin_attempt(run, key, what, number, by=by, worker_no=worker_no)
    run.record(AttemptStarted(key=key, what=what, number=number, by=by, worker=worker_no))
    run.save()
    return Claim(run_id, key, by, claim_epoch, number), what


def _claimed(tx: Tx, claim: Claim) -> tuple[RunEdit, Row]:
    run = edit_run(tx, claim.run_id)
    duty = _duty(run, claim.key)
    live = duty["status"] == ObligationStatus.CLAIMED and duty["claim_until_boot_us"] > tx.boot_us
    if duty["claim_epoch"] != claim.epoch or not live:
        raise Fenced(f"{claim.key}: the claim of {claim.by} under epoch {claim.epoch} is not live")
    return run, duty


def fulfil_duty(tx: Tx, claim: Claim) -> None:
    """The undo returned: nothing is owed for this act any more."""
    run, duty = _claimed(tx, claim)
    settling.close_attempt(run, claim.key, "undo", claim.number, "returned")
    _done(run, duty, "undone")
    run.save()


def _done(run: RunEdit, duty: Row, why: str) -> None:
    move_obligation(run, duty, ObligationTrigger.FULFIL, why, step="", body_over=1, **_DUTY_FREE)
    effect = run.tx.one(EffectRow, run_no=run.no, key=duty["effect_key"])
    if effect is not None and effect["status"] not in EFFECT_ENDS:
        error = {"type": "EffectFailed", "message": "nobody could know whether it happened, so it was undone"}
        close_effect(
            run, effect, Ending(EffectStatus.FAILED, error=error), Resolution.COMPENSATED, Writer.COMPENSATION, "N-undo"
        )
    _go_on(run, f"{duty['key']} is done")


def _go_on(run: RunEdit, why: str) -> None:
    if run["end_status"] is not None:
        end_if_undone(run)
    elif run.status in (RunStatus.WAITING, RunStatus.STUCK):
        settle(run, why)


def fail_duty(tx: Tx, claim: Claim, how: str, error: Any, recovery: RecoveryPolicy, *, body_over: bool) -> None:
    """The undo raised, timed out, or its worker died: its own semantics and look-up decide, as for an effect."""
    run, duty = _claimed(tx, claim)
    _lose_undo(run, duty, how, error, recovery, body_over=body_over)
    run.save()


def lose_duty_look_up(tx: Tx, claim: Claim, how: str, recovery: RecoveryPolicy) -> None:
    """The hook worker died while it asked whether the act is undone: asked again after a back-off."""
    run, duty = _claimed(tx, claim)
    settling.close_attempt(run, claim.key, "look-up", claim.number, how)
    changes = {**_DUTY_FREE, "next_boot_us": tx.boot_us + recovery.backoff.delay_us(duty["hook_crashes"])}
    if duty["hook_crashes"] >= recovery.stuck_after():
        _stick_duty(run, duty, how, changes)
        _go_on(run, how)
    else:
        move_obligation(run, duty, ObligationTrigger.RETURN, how, **changes)
    run.save()


def _lose_undo(run: RunEdit, duty: Row, how: str, error: Any, recovery: RecoveryPolicy, *, body_over: bool) -> None:
    number = duty["attempts"]
    settling.close_attempt(run, duty["key"], "undo", number, how, error)
    run.record(AttemptEnded(key=duty["key"], what="undo", number=number, how=how, error=error))
    rule, changes = settling.after_attempt(run.tx, duty, ASKS, body_over=body_over)
    changes["next_boot_us"] = run.tx.boot_us + recovery.backoff.delay_us(duty["hook_crashes"])
    if rule.step is Step.PERSON or duty["hook_crashes"] >= recovery.stuck_after():
        _stick_duty(run, duty, f"{how}: {(error or {}).get('message', '')}".rstrip(": "), changes)
    else:
        move_obligation(run, duty, ObligationTrigger.RETURN, how, **changes)
    _go_on(run, how)


def _stick_duty(run: RunEdit, duty: Row, why: str, changes: dict[str, Any]) -> None:
    move_obligation(run, duty, ObligationTrigger.STICK, why, **{**changes, "step": str(Step.PERSON)})
    effect = run.tx.one(EffectRow, run_no=run.no, key=duty["effect_key"])
    if effect is not None and effect["status"] not in EFFECT_ENDS:
        run.tx.update(EffectRow, {"step": str(Step.PERSON)}, run_no=run.no, key=effect["key"], step=effect["step"])


def record_duty_observation(tx: Tx, claim: Claim, answer: Answer, detail: str) -> str:
    """What the undo's own look-up says: present means that the act is undone."""
    run, duty = _claimed(tx, claim)
    rule, changes = settling.after_answer(tx, duty, ASKS, answer)
    settling.close_attempt(run, claim.key, "look-up", claim.number, str(answer), detail or None)
    evidence = {"why": detail} if detail else None
    run.record(
        Observed(key=claim.key, number=claim.number, answer=answer, row=rule.row, step=rule.step, detail=evidence)
    )
    if rule.step in (Step.CONFIRM, Step.CONFIRM_FIRST):
        _done(run, duty, f"found undone: {rule.row}")
    elif rule.step is Step.PERSON:
        _stick_duty(run, duty, "no answer that can be trusted whether it was undone", changes)
        _go_on(run, rule.row)
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
    run = edit_run(tx, run_id)
    duty = _duty(run, key)
    if duty["status"] != ObligationStatus.STUCK:
        raise Refused(f"{key} is {duty['status']}, not STUCK: there is nothing to resolve")
    if how == "retry":
        move_obligation(
            run, duty, ObligationTrigger.OWE, reason, step=str(Step.AGAIN), hook_crashes=0, next_boot_us=0, asks=0
        )
        effect = tx.one(EffectRow, run_no=run.no, key=duty["effect_key"])
        if effect is not None and effect["status"] not in EFFECT_ENDS:
            tx.update(EffectRow, {"step": str(Step.COMPENSATE)}, run_no=run.no, key=effect["key"])
        _go_on(run, reason)
    elif how == "confirm":
        _done(run, duty, f"a person says that it is undone: {reason}")
    else:
        move_obligation(run, duty, ObligationTrigger.DROP, f"a person lets it stand: {reason}", step="")
        _go_on(run, reason)
    run.set(error="")
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
    if duty["step"] == Step.AGAIN:
        _lose_undo(run, duty, why, None, recovery, body_over=proven)
    else:
        settling.close_attempt(run, key, "look-up", settling.count_attempts(run, key, "look-up"), why)
        move_obligation(run, duty, ObligationTrigger.RETURN, why, **_DUTY_FREE)
    run.save()
