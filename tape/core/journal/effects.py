"""Verbs on effects: begin, attempt, end, doubt, look-up, dispatch, resolve (contract.md sections 3 and 4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tape.core.journal import settling
from tape.core.journal.records import Usage, charge
from tape.core.journal.runs import end_lease, open_effects, settle
from tape.core.journal.tables import EffectRow, ObligationRow
from tape.core.journal.transaction import Row, RunEdit, Tx, dump, edit_leased, edit_run
from tape.core.kernel import identity, lifecycle
from tape.core.kernel.errors import CancelRequested, KeyConflict, NotFound, Refused
from tape.core.kernel.events import (
    AttemptEnded,
    AttemptStarted,
    EffectBegun,
    EffectDoubted,
    EffectEnded,
    ObligationMoved,
)
from tape.core.kernel.lifecycle import (
    EFFECT_ENDS,
    EffectStatus,
    EffectTrigger,
    LeaseTrigger,
    ObligationStatus,
    ObligationTrigger,
    RunStatus,
)
from tape.core.kernel.policy import AskPolicy, RecoveryPolicy
from tape.core.kernel.resolution import Answer, Dispatch, OnUnknown, Resolution, Semantics, Step, Writer

ASKS = AskPolicy()


@dataclass(frozen=True, slots=True)
class ToolPolicy:
    """What a tool declares (api.md section 1); times in microseconds. `undo` is the policy of its compensation."""

    semantics: Semantics = Semantics.NON_IDEMPOTENT
    look_up: bool = False
    authoritative: bool = False
    settle_us: int = 0
    on_unknown: OnUnknown = OnUnknown.ASK
    key_lifetime_us: int | None = None
    retries: int = 0
    dispatch: Dispatch = Dispatch.INLINE
    compensable: bool = False
    undo_auto: bool = True
    undo_semantics: Semantics = Semantics.IDEMPOTENT
    undo_look_up: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """One tool call as the agent asks for it."""

    decision_index: int | None
    ordinal: int
    tool: str
    args: Any
    policy: ToolPolicy
    business_key: str | None = None


def _settling_columns(tx: Tx, policy: ToolPolicy, *, undo: bool) -> dict[str, Any]:
    return {
        "semantics": str(policy.undo_semantics if undo else policy.semantics),
        "look_up": int(policy.undo_look_up if undo else policy.look_up),
        "authoritative": int(policy.authoritative),
        "settle_us": policy.settle_us,
        "on_unknown": str(OnUnknown.ASK if undo else policy.on_unknown),
        "key_lifetime_us": None if undo else policy.key_lifetime_us,
        "attempts": 0,
        "first_us": tx.wall_us,
        "body_over": 1,
        "quiet_boot_us": 0,
        "answer": str(Answer.NONE),
        "asks": 0,
        "step": "",
        "next_boot_us": 0,
        "claim_epoch": 0,
        "claim_by": "",
        "claim_until_boot_us": 0,
        "hook_crashes": 0,
    }


def begin_effect(tx: Tx, run_id: str, epoch: int, call: Call, fingerprint: str) -> int:
    """The intent, and with inline dispatch the first attempt, both durable before the body is entered (I4)."""
    run = edit_leased(tx, run_id, epoch)
    key = identity.effect_key(run_id, call.decision_index, call.ordinal, call.tool)
    args_hash = identity.hash_json(call.args)
    known = tx.one(EffectRow, run_no=run.no, key=key)
    if known is not None:
        if known["args_hash"] != args_hash:
            raise KeyConflict(f"{key} was begun with other arguments: the same key never means another call")
        raise Refused(f"{key} has begun already")
    if run["cancel"]:
        raise CancelRequested(f"{run_id} is being cancelled")
    policy = call.policy
    begun_id = run.record(
        EffectBegun(
            key=key,
            decision_index=call.decision_index,
            ordinal=call.ordinal,
            tool=call.tool,
            args=call.args,
            args_hash=args_hash,
            fingerprint=fingerprint,
            semantics=policy.semantics,
            dispatch=policy.dispatch,
            look_up=policy.look_up,
            compensable=policy.compensable,
            business_key=call.business_key,
        )
    )
    inline = policy.dispatch is Dispatch.INLINE
    live = {"attempts": 1, "body_over": 0} if inline else {"step": str(Step.AGAIN)}
    tx.insert(
        EffectRow,
        {
            "run_no": run.no,
            "key": key,
            "tool": call.tool,
            "decision_index": -1 if call.decision_index is None else call.decision_index,
            "ordinal": call.ordinal,
            "args_hash": args_hash,
            "status": str(EffectStatus.PENDING),
            "dispatch": str(policy.dispatch),
            "compensable": int(policy.compensable),
            "business_key": call.business_key,
            "retries": policy.retries,
            "clean": 1,
            "live_failures": 0,
            "resolution": "",
            "writer": "",
            "begun_id": begun_id,
            "ended_id": None,
            **_settling_columns(tx, policy, undo=False),
            **live,
        },
    )
    if inline:
        settling.begin_attempt(run, key, "body", 1, by="agent", worker_no=run["worker_no"])
    if policy.compensable and policy.undo_auto:
        arm(run, key, 1, policy, ObligationStatus.ARMED)
    run.set(effects=run["effects"] + 1, crashes=0)
    run.save()
    return run.seq


def arm(run: RunEdit, key: str, number: int, policy: ToolPolicy, status: ObligationStatus, act: Any = None) -> None:
    run.tx.insert(
        ObligationRow,
        {
            "run_no": run.no,
            "key": identity.undo_key(key, number),
            "effect_key": key,
            "position": run.seq,
            "status": str(status),
            "why": "",
            "act": "" if act is None else dump(act),
            **_settling_columns(run.tx, policy, undo=True),
            "step": str(Step.AGAIN),
        },
    )


def open_effect(run: RunEdit, key: str) -> Row:
    effect = run.tx.one(EffectRow, run_no=run.no, key=key)
    if effect is None:
        raise NotFound(f"no effect {key} in this journal: `tape doctor --dump-run {run.id}` lists them")
    if effect["status"] in EFFECT_ENDS:
        raise Refused(f"{key} has ended already: {effect['status']} by {effect['writer']}")
    return effect


def start_attempt(tx: Tx, run_id: str, epoch: int, key: str, number: int) -> int:
    """Another entering of an inline body, on re-drive or as a retry; durable before it starts."""
    run = edit_leased(tx, run_id, epoch)
    effect = open_effect(run, key)
    if effect["step"] != Step.AGAIN or effect["dispatch"] != Dispatch.INLINE or not effect["body_over"]:
        raise Refused(f"{key} is not to run again now (step: {effect['step'] or 'a body is open'})")
    if number != effect["attempts"] + 1:
        raise Refused(f"{key}: attempt {number} after {effect['attempts']}")
    tx.update(EffectRow, {"attempts": number, "body_over": 0, "step": ""}, run_no=run.no, key=key, attempts=number - 1)
    settling.begin_attempt(run, key, "body", number, by="agent", worker_no=run["worker_no"])
    run.record(AttemptStarted(key=key, what="body", number=number, by="agent", worker=run["worker_no"]))
    run.save()
    return run.seq


@dataclass(frozen=True, slots=True)
class Ending:
    """An attempt's certain outcome: the body returned (`result`), or it is certain that it did not act (`error`)."""

    status: EffectStatus
    result: Any = None
    error: Any = None
    result_error: str | None = None


def end_effect(tx: Tx, run_id: str, epoch: int, key: str, number: int, ending: Ending, usage: Usage | None) -> int:
    """The agent's outcome of a live attempt."""
    run = edit_leased(tx, run_id, epoch)
    effect = open_effect(run, key)
    if number != effect["attempts"] or effect["step"]:
        raise Refused(f"{key}: attempt {number} is not the live one")
    close_effect(run, effect, ending, resolution_of(ending, number), Writer.AGENT, "")
    if usage is not None:
        charge(run, key, usage)
    run.set(crashes=0)
    run.save()
    return run.seq


def resolution_of(ending: Ending, attempt: int) -> Resolution:
    if ending.status is EffectStatus.FAILED:
        return Resolution.REJECTED
    return Resolution.RETURNED if attempt == 1 else Resolution.REDISPATCHED


def close_effect(run: RunEdit, effect: Row, ending: Ending, resolution: Resolution, writer: Writer, row: str) -> None:
    """`effect_ended`, once; what the act owed is dropped if it is certainly not in effect."""
    trigger = EffectTrigger.CONFIRM if ending.status is EffectStatus.CONFIRMED else EffectTrigger.FAIL
    was = EffectStatus(effect["status"])
    status = lifecycle.step(lifecycle.EFFECT, was, trigger)
    if effect["attempts"]:
        settling.close_attempt(run, effect["key"], "body", effect["attempts"], str(resolution), ending.error)
    ended_id = run.record(
        EffectEnded(
            key=effect["key"],
            tool=effect["tool"],
            status=status,
            resolution=resolution,
            writer=writer,
            row=row,
            attempt=effect["attempts"],
            result=ending.result,
            error=ending.error,
            result_error=ending.result_error,
        )
    )
    changes = {
        "status": str(status),
        "resolution": str(resolution),
        "writer": str(writer),
        "ended_id": ended_id,
        "step": "",
        "body_over": 1,
        "claim_by": "",
        "claim_until_boot_us": 0,
    }
    run.tx.update(EffectRow, changes, run_no=run.no, key=effect["key"], status=str(was))
    if status is EffectStatus.FAILED:
        _drop_armed(run, effect["key"])


def _drop_armed(run: RunEdit, key: str) -> None:
    for duty in run.tx.rows(ObligationRow, run_no=run.no, effect_key=key, status=str(ObligationStatus.ARMED)):
        status = lifecycle.step(lifecycle.OBLIGATION, ObligationStatus.ARMED, ObligationTrigger.DROP)
        changes = {"status": str(status), "why": "the act is certainly not in effect"}
        run.tx.update(ObligationRow, changes, run_no=run.no, key=duty["key"], status=str(ObligationStatus.ARMED))
        run.record(ObligationMoved(key=duty["key"], status=status, was=duty["status"], why=changes["why"]))


def doubt(run: RunEdit, effect: Row, how: str, error: Any, *, body_over: bool) -> Step:
    """An attempt is over (or its body may be) and nobody knows whether it acted: the table says what is next."""
    rule, changes = settling.after_attempt(run.tx, effect, ASKS, body_over=body_over)
    number = effect["attempts"]
    if number and settling.close_attempt(run, effect["key"], "body", number, how, error):
        run.record(AttemptEnded(key=effect["key"], what="body", number=number, how=how, error=error))
    was = EffectStatus(effect["status"])
    status = was
    if rule.step is not Step.AGAIN and was is EffectStatus.PENDING:
        status = lifecycle.step(lifecycle.EFFECT, was, EffectTrigger.DOUBT)
    changes |= {"status": str(status), "clean": 0}
    run.record(EffectDoubted(key=effect["key"], status=status, row=rule.row, step=rule.step, why=how))
    run.tx.update(EffectRow, changes, run_no=run.no, key=effect["key"], status=str(was))
    if rule.step is Step.COMPENSATE:
        _owe_undo(run, effect["key"], "nobody can be asked whether it happened")
    return rule.step


def _owe_undo(run: RunEdit, key: str, why: str) -> None:
    """N-undo: the armed duty of the effect itself becomes DUE (written now if the tool is not undone by itself)."""
    duty_key = identity.undo_key(key, 1)
    duty = run.tx.one(ObligationRow, run_no=run.no, key=duty_key)
    if duty is None:
        arm(run, key, 1, ToolPolicy(), ObligationStatus.ARMED)
    status = lifecycle.step(lifecycle.OBLIGATION, ObligationStatus.ARMED, ObligationTrigger.OWE)
    run.tx.update(
        ObligationRow,
        {"status": str(status), "why": why},
        run_no=run.no,
        key=duty_key,
        status=str(ObligationStatus.ARMED),
    )
    run.record(ObligationMoved(key=duty_key, status=status, was=ObligationStatus.ARMED, why=why))


def fail_attempt(
    tx: Tx, run_id: str, epoch: int, key: str, number: int, how: str, error: Any, recovery: RecoveryPolicy
) -> tuple[int, Step]:
    """A live body raised something ambiguous or timed out (its end is certain). Returns seq and the next step:
    AGAIN means that the agent may start another attempt now (a retry), anything else that it must park."""
    run = edit_leased(tx, run_id, epoch)
    effect = open_effect(run, key)
    if number != effect["attempts"] or effect["step"]:
        raise Refused(f"{key}: attempt {number} is not the live one")
    step = doubt(run, effect, how, error, body_over=True)
    failures = effect["live_failures"] + 1
    changes: dict[str, Any] = {"live_failures": failures}
    if step is Step.AGAIN and failures > effect["retries"]:
        if failures - effect["retries"] > recovery.max_crashes:
            step = Step.PERSON
            changes |= {"step": str(step), "status": str(EffectStatus.UNKNOWN)}
        else:
            changes["next_boot_us"] = tx.boot_us + recovery.backoff.delay_us(failures - effect["retries"])
            step = Step.ASK_LATER
    tx.update(EffectRow, changes, run_no=run.no, key=key)
    run.save()
    return run.seq, step


def lose_lease(run: RunEdit, trigger: LeaseTrigger, why: str, recovery: RecoveryPolicy, *, proven: bool) -> None:
    """The driver is gone: its lease ends, each open effect is judged, the run waits, is runnable, or is stuck.

    `proven`: every process with the worker's nonce is dead, or it is stopped with no body open.
    """
    lease = end_lease(run, trigger, why)
    for effect in open_effects(run.tx, run.no):
        if effect["dispatch"] == Dispatch.INLINE and not effect["step"]:
            doubt(run, effect, why, None, body_over=proven)
    crashes: int = run["crashes"]
    if lease["alone"] and crashes >= recovery.stuck_after():
        from_seq = f"{crashes} deaths in a row without a new record"
        run.set(error=from_seq, waiting_on="a person")
        run.move(lifecycle.RunTrigger.STICK, from_seq, (f"tape redrive {run.id}", f"tape cancel {run.id}"))
        return
    run.set(next_boot_us=run.tx.boot_us + recovery.delay_us(crashes) if crashes >= 2 else 0)
    settle(run, why)


def lose_lease_of(
    tx: Tx, run_id: str, epoch: int, trigger: LeaseTrigger, why: str, recovery: RecoveryPolicy, *, proven: bool
) -> bool:
    """The same as a verb; False if that lease has ended already (any number of observers of one death)."""
    run = edit_run(tx, run_id)
    if run.status is not RunStatus.RUNNING or run.epoch != epoch:
        return False
    lose_lease(run, trigger, why, recovery, proven=proven)
    run.save()
    return True
