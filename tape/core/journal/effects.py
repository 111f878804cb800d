"""Verbs of the agent on effects: begin, attempt, end, fail; what a lost lease does to them (contract.md section 4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tape.core.journal import settling
from tape.core.journal.approvals import use_approval
from tape.core.journal.course import open_effects, settle, stick
from tape.core.journal.duties import arm
from tape.core.journal.left import left_effects
from tape.core.journal.outcomes import (
    Ending,
    close_effect,
    doubt,
    live_body,
    never_acted,
    open_effect,
    raised,
    recheck,
    resolution_of,
)
from tape.core.journal.purses import COST_LIMIT, USD_MICRO, Usage, calls_unit, reserve
from tape.core.journal.runs import end_lease
from tape.core.journal.tables import EffectRow
from tape.core.journal.transaction import Row, RunEdit, Tx, edit_leased, edit_run
from tape.core.kernel import identity
from tape.core.kernel.errors import CancelRequested, KeyConflict, Refused, UsageError
from tape.core.kernel.events import AttemptStarted, EffectBegun
from tape.core.kernel.lifecycle import EffectStatus, LeaseTrigger, RunStatus
from tape.core.kernel.policy import RecoveryPolicy
from tape.core.kernel.resolution import Dispatch, OnUnknown, Resolution, Semantics, Step, Writer


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
    needs_approval: bool = False
    timeout_us: int | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One tool call as the agent asks for it. `approval`: the gate, as `name ordinal`, whose answer it uses up;
    `cost_micro` is what it costs, if its tool declares that. Without `awaited` the run does not wait for its end:
    outbox only."""

    decision_index: int | None
    ordinal: int
    tool: str
    args: Any
    policy: ToolPolicy
    business_key: str | None = None
    approval: str | None = None
    cost_micro: int | None = None
    awaited: bool = True
    hidden: Any = None


def _columns(tx: Tx, policy: ToolPolicy) -> dict[str, Any]:
    return settling.fresh(
        tx,
        semantics=policy.semantics,
        look_up=policy.look_up,
        authoritative=policy.authoritative,
        settle_us=policy.settle_us,
        on_unknown=policy.on_unknown,
        key_lifetime_us=policy.key_lifetime_us,
    )


def _undo_columns(tx: Tx, policy: ToolPolicy) -> dict[str, Any]:
    return settling.fresh(
        tx,
        semantics=policy.undo_semantics,
        look_up=policy.undo_look_up,
        authoritative=policy.authoritative,
        settle_us=policy.settle_us,
    )


def begin_effect(
    tx: Tx,
    run_id: str,
    epoch: int,
    call: Call,
    fingerprint: str,
    *,
    capped: bool = True,
    quarantined: bool = False,
) -> int:
    """The intent, and with inline dispatch the first attempt, both durable before the body is entered (I4). If a cap is
    in the way `budget_refused` (or, beside the tape, `budget_awaited`) is recorded instead: there is no such effect.
    Without `capped` none is in the way: the agent has not heard of it yet. In a run in quarantine neither an attempt
    nor a duty: no body is entered (`quarantine.end_in_quarantine`)."""
    run = edit_leased(tx, run_id, epoch)
    if bool(run["quarantine"]) is not quarantined:
        raise Refused(f"{run_id} is {'' if run['quarantine'] else 'not '}in quarantine: {call.tool} is not begun")
    key = identity.effect_key(run_id, call.decision_index, call.ordinal, call.tool)
    args_hash = identity.hash_args(call.args, call.hidden)
    known = tx.one(EffectRow, run_no=run.no, key=key)
    if known is not None:
        if known["args_hash"] != args_hash:
            raise KeyConflict(f"{key} was begun with other arguments: the same key never means another call")
        raise Refused(f"{key} has begun already")
    if run["cancel"]:
        raise CancelRequested(f"{run_id} is being cancelled")
    policy = call.policy
    if policy.on_unknown is OnUnknown.COMPENSATE and not policy.compensable:
        raise UsageError(f'{call.tool}: on_unknown="compensate" needs a compensation: add @{call.tool}.compensate')
    if not call.awaited and policy.dispatch is not Dispatch.OUTBOX:
        raise UsageError(f'{call.tool}: only what the outbox dispatches can be enqueued: declare dispatch="outbox"')
    if call.cost_micro is not None and not 0 <= call.cost_micro < COST_LIMIT:
        raise UsageError(f"{call.tool} cannot cost {call.cost_micro} millionths of a dollar: mend its cost=")
    wants = {calls_unit(call.tool): 1} | ({} if call.cost_micro is None else {USD_MICRO: call.cost_micro})
    if capped and reserve(run, key, wants, fingerprint) is None:
        run.save()
        return run.seq
    use_approval(run, key, call.tool, args_hash, call.approval, needed=policy.needs_approval)
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
            approval=call.approval,
            awaited=call.awaited,
            quarantined=quarantined,
            hidden=call.hidden,
        )
    )
    inline = policy.dispatch is Dispatch.INLINE and not quarantined
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
            "awaited": int(call.awaited),
            "inherited": 0,
            "cost_micro": call.cost_micro,
            "timeout_us": policy.timeout_us,
            **_columns(tx, policy),
            **live,
        },
    )
    if inline:
        settling.begin_attempt(run, key, "body", 1, by="agent", worker_no=run["worker_no"])
    if policy.compensable and not quarantined:
        arm(run, key, 1, run.seq, _undo_columns(tx, policy), auto=int(policy.undo_auto))
    run.set(effects=run["effects"] + 1)
    run.save()
    return run.seq


def start_attempt(tx: Tx, run_id: str, epoch: int, key: str, number: int) -> int:
    """Another entering of an inline body, on re-drive or as a retry; durable before it starts."""
    run = edit_leased(tx, run_id, epoch)
    effect = open_effect(run, key)
    if effect["step"] != Step.AGAIN or effect["dispatch"] != Dispatch.INLINE:
        raise Refused(f"{key} is not to run again now (step: {effect['step'] or 'a body is open'})")
    if settling.outlived(tx, effect):
        raise Refused(f"{key} is not to run again: the upstream has forgotten its key; park, and it is judged anew")
    if number != effect["attempts"] + 1:
        raise Refused(f"{key}: attempt {number} after {effect['attempts']}")
    tx.update(EffectRow, {"attempts": number, "body_over": 0, "step": ""}, run_no=run.no, key=key, attempts=number - 1)
    settling.begin_attempt(run, key, "body", number, by="agent", worker_no=run["worker_no"])
    run.record(AttemptStarted(key=key, what="body", number=number, by="agent", worker=run["worker_no"]))
    run.save()
    return run.seq


def end_effect(tx: Tx, run_id: str, epoch: int, key: str, number: int, ending: Ending, usage: Usage | None) -> int:
    """The agent's outcome of a live attempt. FAILED is refused where an earlier attempt may have acted: a rejection
    speaks for its own attempt only (`reject_attempt`)."""
    run = edit_leased(tx, run_id, epoch)
    effect = _live_attempt(run, key, number)
    if ending.status is EffectStatus.FAILED and not never_acted(effect):
        raise Refused(f"{key}: an earlier attempt may have acted, attempt {number} cannot speak for it")
    close_effect(run, effect, ending, resolution_of(ending, number), Writer.AGENT, "", usage)
    run.save()
    return run.seq


def _live_attempt(run: RunEdit, key: str, number: int) -> Row:
    effect = open_effect(run, key)
    if number != effect["attempts"] or not live_body(effect):
        raise Refused(f"{key}: attempt {number} is not the live one")
    return effect


def fail_attempt(
    tx: Tx,
    run_id: str,
    epoch: int,
    key: str,
    number: int,
    how: str,
    error: Any,
    recovery: RecoveryPolicy,
    usage: Usage | None = None,
) -> tuple[int, Step | None]:
    """A live body raised something ambiguous or timed out (its end is certain). Returns seq and the next step: None
    means that the effect has ended FAILED, AGAIN that the agent may start another attempt now (a retry), anything
    else that it must park."""
    run = edit_leased(tx, run_id, epoch)
    effect = _live_attempt(run, key, number)
    step = raised(run, effect, Writer.AGENT, how, error, recovery, body_over=True, usage=usage)
    run.save()
    return run.seq, _for_agent(effect, step)


def reject_attempt(
    tx: Tx,
    run_id: str,
    epoch: int,
    key: str,
    number: int,
    error: Any,
    recovery: RecoveryPolicy,
    usage: Usage | None = None,
) -> tuple[int, Step | None]:
    """A live body raised `Rejected`: FAILED if every earlier attempt is known not to have acted, otherwise the
    table. Returns the same as `fail_attempt`."""
    run = edit_leased(tx, run_id, epoch)
    effect = _live_attempt(run, key, number)
    step = None
    if never_acted(effect):
        ending = Ending(EffectStatus.FAILED, error=error)
        close_effect(run, effect, ending, Resolution.REJECTED, Writer.AGENT, "", usage)
    else:
        step = raised(run, effect, Writer.AGENT, "rejected", error, recovery, body_over=True, usage=usage)
    run.save()
    return run.seq, _for_agent(effect, step)


def _for_agent(effect: Row, step: Step | None) -> Step | None:
    """AGAIN by the table is for a later drive; by `retries` it is for this one."""
    retry = effect["live_failures"] < effect["retries"]
    return Step.ASK_LATER if step is Step.AGAIN and not retry else step


def lose_lease(run: RunEdit, trigger: LeaseTrigger, why: str, recovery: RecoveryPolicy, *, proven: bool) -> None:
    """The driver is gone: its lease ends, each open effect is judged, the run waits, is runnable, or is stuck.

    `proven`: every process with the worker's nonce is dead, or it is stopped with no body open.
    """
    lease = end_lease(run, trigger, why)
    for effect in open_effects(run.tx, run.no):
        if live_body(effect):
            doubt(run, effect, why, None, body_over=proven)
    crashes: int = run["crashes"]
    ends_now = run["cancel"] and not open_effects(run.tx, run.no)
    if lease["alone"] and crashes >= recovery.stuck_after() and not ends_now:
        poison = f"{crashes} deaths in a row without a new record; the last: {why}"
        stick(run, poison, (f"tape redrive {run.id}", f"tape cancel {run.id}"))
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


def recheck_keys(tx: Tx, run_id: str) -> bool:
    """Judges anew what was to run again because the upstream honours the key, and has waited until the key ran out:
    such a run is granted no lease, such an effect no dispatch. False if there is nothing of the kind."""
    run = edit_run(tx, run_id)
    changed = any([recheck(run, effect) for effect in left_effects(tx, run.no)])
    if run.status is RunStatus.RUNNING or not any(settling.outlived(tx, row) for row in open_effects(tx, run.no)):
        if changed:
            run.save()
        return changed
    if run.status is RunStatus.STUCK:
        for effect in open_effects(tx, run.no):
            recheck(run, effect)
    else:
        settle(run, "a key has run out")
    run.save()
    return True
