"""What becomes of an open effect, from inside verbs: ended, doubted, judged again (contract.md section 4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tape.core.journal import settling
from tape.core.journal.duties import decide_late, drop_unowed, owe_undo
from tape.core.journal.purses import Usage, charge, settle_effect
from tape.core.journal.tables import EffectRow
from tape.core.journal.transaction import Row, RunEdit
from tape.core.kernel import lifecycle
from tape.core.kernel.errors import NotFound, Refused
from tape.core.kernel.events import AttemptEnded, EffectDoubted, EffectEnded
from tape.core.kernel.lifecycle import EFFECT_ENDS, EffectStatus, EffectTrigger
from tape.core.kernel.policy import RecoveryPolicy
from tape.core.kernel.resolution import Dispatch, Resolution, Semantics, Step, Writer, resolve

RETRY = "retry"
"""The row's label where a live attempt is repeated before the table is asked (`retries`), or a person orders it."""


@dataclass(frozen=True, slots=True)
class Ending:
    """An attempt's certain outcome: the body returned (`result`), or it is certain that it did not act (`error`)."""

    status: EffectStatus
    result: Any = None
    error: Any = None
    result_error: str | None = None


def resolution_of(ending: Ending, attempt: int) -> Resolution:
    if ending.status is EffectStatus.FAILED:
        return Resolution.REJECTED
    return Resolution.RETURNED if attempt == 1 else Resolution.REDISPATCHED


def open_effect(run: RunEdit, key: str) -> Row:
    effect = run.tx.one(EffectRow, run_no=run.no, key=key)
    if effect is None:
        raise NotFound(f"no effect {key} in this journal: `tape doctor --dump-run {run.id}` lists them")
    if effect["status"] in EFFECT_ENDS:
        raise Refused(f"{key} has ended already: {effect['status']} by {effect['writer']}")
    return effect


def live_body(effect: Row) -> bool:
    """Whether an agent is (or was, before it died) in the effect's body, and nothing has been judged since."""
    return effect["dispatch"] == Dispatch.INLINE and not effect["step"]


def never_acted(effect: Row) -> bool:
    """Every earlier attempt is known not to have acted: a rejection of this one is certain for the effect."""
    return bool(effect["clean"]) or effect["semantics"] == Semantics.READ_ONLY


def close_effect(
    run: RunEdit,
    effect: Row,
    ending: Ending,
    resolution: Resolution,
    writer: Writer,
    row: str,
    usage: Usage | None = None,
) -> None:
    """`effect_ended`, once, and its charge; what the act owed is dropped if it is certainly not in effect. The end of
    an effect that the run does not wait for stands beside the tape, its charge too: both may come after the run's own
    end."""
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
        ),
        beside=not effect["awaited"],
    )
    changes = {
        "status": str(status),
        "resolution": str(resolution),
        "writer": str(writer),
        "ended_id": ended_id,
        "step": "",
        "body_over": 1,
        **settling.FREE,
    }
    run.tx.update(EffectRow, changes, run_no=run.no, key=effect["key"], status=str(was))
    if status is EffectStatus.FAILED and effect["compensable"]:
        drop_unowed(run, effect["key"])
    elif run["end_status"] is not None:
        decide_late(run, effect["key"])
    settle_effect(run, effect, confirmed=status is EffectStatus.CONFIRMED, usage=usage)


def doubt(
    run: RunEdit,
    effect: Row,
    how: str,
    error: Any,
    *,
    body_over: bool,
    instead: Step | None = None,
    unknown: bool = False,
    again_us: int = 0,
    changes: Mapping[str, Any] = {},
) -> Step:
    """An attempt is over (or its body may be) and nobody knows whether it acted: the table says what is next.

    `instead` overrules the table (a retry, a person); `unknown` makes the effect UNKNOWN whatever is next; `again_us`
    is the back-off before the body runs again; `changes` are further columns.
    """
    rule, judged = settling.after_attempt(run.tx, effect, body_over=body_over)
    step = rule.step if instead is None else instead
    row = RETRY if instead is Step.AGAIN else rule.row
    number = effect["attempts"]
    if number and settling.close_attempt(run, effect["key"], "body", number, how, error):
        run.record(AttemptEnded(key=effect["key"], what="body", number=number, how=how, error=error))
    judged["step"] = str(step)
    if step is Step.AGAIN and again_us:
        judged["next_boot_us"] = run.tx.boot_us + again_us
    if effect["semantics"] != Semantics.READ_ONLY:
        judged["clean"] = 0
    _judge(run, effect, row, step, how, {**judged, **changes}, unknown=unknown)
    return step


def _judge(
    run: RunEdit, effect: Row, row: str, step: Step, why: str, changes: dict[str, Any], *, unknown: bool = False
) -> None:
    was = EffectStatus(effect["status"])
    status = unknown_of(was) if unknown or step is not Step.AGAIN else was
    run.record(EffectDoubted(key=effect["key"], status=status, row=row, step=step, why=why))
    run.tx.update(EffectRow, {**changes, "status": str(status)}, run_no=run.no, key=effect["key"], status=str(was))
    if step is Step.COMPENSATE:
        owe_undo(run, effect["key"], "nobody can be asked whether it happened")


def unknown_of(was: EffectStatus) -> EffectStatus:
    """UNKNOWN, which an effect that is it already stays."""
    if was is EffectStatus.UNKNOWN:
        return was
    return lifecycle.step(lifecycle.EFFECT, was, EffectTrigger.DOUBT)


def raised(
    run: RunEdit,
    effect: Row,
    writer: Writer,
    how: str,
    error: Any,
    recovery: RecoveryPolicy,
    *,
    body_over: bool,
    usage: Usage | None = None,
) -> Step | None:
    """A live body raised something ambiguous or timed out; what it reported is charged all the same. Returns None if
    the effect has ended FAILED by that (it only reads), AGAIN for a retry, else what the table says; a body that never
    stops raising is for a person."""
    semantics = settling.semantics_of(run.tx, effect)
    failures: int = effect["live_failures"] + 1
    beyond = failures - (0 if semantics is Semantics.NON_IDEMPOTENT else effect["retries"])
    if semantics is Semantics.READ_ONLY and beyond > 0:
        close_effect(run, effect, Ending(EffectStatus.FAILED, error=error), Resolution.REJECTED, writer, "", usage)
        return None
    if usage is not None:  # of a dispatch beside the tape: its run, which waits for the end, has no part in attempts
        beside = writer is Writer.OUTBOX or not effect["awaited"]
        charge(run, effect["key"], usage, goes_on=True, beside=beside)
    changes = {"live_failures": failures, "hook_crashes": max(0, effect["hook_crashes"] - 1)}
    if semantics is not Semantics.NON_IDEMPOTENT and beyond <= 0:
        pause_us = 0 if writer is Writer.AGENT else recovery.backoff.delay_us(failures)
        return doubt(
            run, effect, how, error, body_over=body_over, instead=Step.AGAIN, again_us=pause_us, changes=changes
        )
    return doubt(
        run,
        effect,
        how,
        error,
        body_over=body_over,
        instead=Step.PERSON if beyond > recovery.max_crashes else None,
        unknown=True,
        again_us=recovery.backoff.delay_us(beyond),
        changes=changes,
    )


def recheck(run: RunEdit, effect: Row) -> bool:
    """Judges an effect anew whose key has run out since its body was to run again. False: nothing has changed."""
    if not settling.outlived(run.tx, effect):
        return False
    rule = resolve(settling.case_of(run.tx, effect))
    _judge(run, effect, rule.row, rule.step, "the key has run out", {"step": str(rule.step), "next_boot_us": 0})
    return True
