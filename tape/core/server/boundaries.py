"""An agent's frame -> the journal's verb, and the verb's result -> the reply. The whole protocol of boundaries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from tape.core.journal import children, effects, gates, purses, quarantine, records, runs
from tape.core.journal.effects import Call, Ending, ToolPolicy
from tape.core.journal.purses import Limits, Usage
from tape.core.journal.transaction import Tx, edit_run
from tape.core.kernel import identity
from tape.core.kernel.errors import CancelRequested, Fenced, KeyConflict, TapeError, UsageError
from tape.core.kernel.events import Decision, Sample
from tape.core.kernel.lifecycle import EffectStatus
from tape.core.kernel.policy import RecoveryPolicy
from tape.core.kernel.resolution import Dispatch, OnUnknown, Semantics
from tape.core.wire import AWAITS, Frame

Verb = Callable[[Tx], Frame]
Body = dict[str, Any]


def verb_of(frame: Frame, recovery: RecoveryPolicy) -> Verb:
    """The verb for a boundary's frame; it returns the fields of the `ok` reply. Raises UsageError for no boundary."""
    make = _VERBS.get(frame["t"])
    if make is None:
        raise UsageError(f"no boundary is called {frame['t']!r}")
    return make(frame, frame["run"], frame["epoch"], recovery)


def _ask(frame: Frame, run: str, epoch: int, recovery: RecoveryPolicy) -> Verb:
    limits = Limits(**frame.get("limits", {}))
    capped, fingerprint = bool(frame.get("capped")), frame.get("fingerprint", "")

    def ask(tx: Tx) -> Frame:
        seq = records.ask_model(
            tx, run, epoch, frame["index"], frame["name"], limits, capped=capped, fingerprint=fingerprint
        )
        return {"seq": seq, **_news(tx, run, capped)}

    return ask


def _news(tx: Tx, run: str, capped: bool) -> Body:
    """A cap that came while the run was driven, for an agent that has not heard of it."""
    return {"capped": True} if not capped and purses.is_capped(edit_run(tx, run)) else {}


def _decision(frame: Frame, run: str, epoch: int, recovery: RecoveryPolicy) -> Verb:
    decision, usage = Decision(**frame["decision"]), Usage(**frame["usage"])
    return lambda tx: {"seq": records.record_decision(tx, run, epoch, decision, usage)}


def _sample(frame: Frame, run: str, epoch: int, recovery: RecoveryPolicy) -> Verb:
    sample = Sample(**frame["sample"])
    return lambda tx: {"seq": records.record_sample(tx, run, epoch, sample)}


def _timer(frame: Frame, run: str, epoch: int, recovery: RecoveryPolicy) -> Verb:
    return lambda tx: {
        "seq": records.set_timer(tx, run, epoch, frame["ordinal"], frame["seconds"], frame["fingerprint"])
    }


def _gate(frame: Frame, run: str, epoch: int, recovery: RecoveryPolicy) -> Verb:
    gate = gates.Gate(**frame["gate"])

    def open_gate(tx: Tx) -> Frame:
        seq, answered = gates.open_gate(tx, run, epoch, gate)
        return {"seq": seq} if answered is None else {"seq": seq, "ended": asdict(answered)}

    return open_gate


def _unapproved(frame: Frame, run: str, epoch: int, recovery: RecoveryPolicy) -> Verb:
    refused = frame["tool"], frame["args_hash"], frame["why"]
    return lambda tx: {"seq": gates.tell_unapproved(tx, run, epoch, *refused)}


def _child(frame: Frame, run: str, epoch: int, recovery: RecoveryPolicy) -> Verb:
    ordinal, agent, given, fingerprint = frame["ordinal"], frame["agent"], frame["input"], frame["fingerprint"]

    def start(tx: Tx) -> Frame:
        seq, child = children.start_child(tx, run, epoch, ordinal, agent, given, fingerprint)
        return {"seq": seq, "ended": {"child": child}}

    return start


def _attach(frame: Frame, run: str, epoch: int, recovery: RecoveryPolicy) -> Verb:
    gated = frame.get("on_exceeded") == "gate"
    return lambda tx: {"seq": records.attach(tx, run, epoch, frame["replayed"], frame.get("caps", {}), gated=gated)}


def _begin(frame: Frame, run: str, epoch: int, recovery: RecoveryPolicy) -> Verb:
    asked = frame["call"]
    call = Call(
        decision_index=asked["decision_index"],
        ordinal=asked["ordinal"],
        tool=asked["tool"],
        args=asked["args"],
        policy=policy_of(asked["policy"]),
        business_key=asked["business_key"],
        approval=asked.get("approval"),
        cost_micro=asked.get("cost_micro"),
        awaited=asked.get("awaited", True),
        hidden=asked.get("hidden"),
    )
    capped = bool(frame.get("capped"))

    def begin(tx: Tx) -> Frame:
        if "stand_in" in frame:
            return {**_begin_in_quarantine(tx, frame, run, epoch, call), **_news(tx, run, capped)}
        seq = effects.begin_effect(tx, run, epoch, call, frame["fingerprint"], capped=capped)
        return {"seq": seq, **_news(tx, run, capped)}

    return begin


def _begin_in_quarantine(tx: Tx, frame: Frame, run: str, epoch: int, call: Call) -> Frame:
    """A call of a fork: it has its outcome at once."""
    capped = bool(frame.get("capped"))
    seq = effects.begin_effect(tx, run, epoch, call, frame["fingerprint"], capped=capped, quarantined=True)
    key = identity.effect_key(run, call.decision_index, call.ordinal, call.tool)
    ended = quarantine.end_in_quarantine(tx, run, epoch, key, frame["stand_in"])
    return {"seq": seq} if ended is None else {"seq": ended[0], "ended": _outcome(ended[1])}


def policy_of(declared: Body) -> ToolPolicy:
    """The tool's policy from the wire's words."""
    return ToolPolicy(
        semantics=Semantics(declared["semantics"]),
        look_up=bool(declared["look_up"]),
        authoritative=bool(declared["authoritative"]),
        settle_us=int(declared["settle_us"]),
        on_unknown=OnUnknown(declared["on_unknown"]),
        key_lifetime_us=declared["key_lifetime_us"],
        retries=int(declared["retries"]),
        dispatch=Dispatch(declared["dispatch"]),
        compensable=bool(declared["compensable"]),
        undo_auto=bool(declared["undo_auto"]),
        undo_semantics=Semantics(declared["undo_semantics"]),
        undo_look_up=bool(declared["undo_look_up"]),
        needs_approval=bool(declared.get("needs_approval")),
        timeout_us=declared.get("timeout_us"),
    )


def _attempt(frame: Frame, run: str, epoch: int, recovery: RecoveryPolicy) -> Verb:
    return lambda tx: {"seq": effects.start_attempt(tx, run, epoch, frame["key"], frame["number"])}


def ending_of(ending: Body) -> Ending:
    """A certain outcome: the body returned, or it only reads and failed."""
    status = EffectStatus.CONFIRMED if ending["how"] == "returned" else EffectStatus.FAILED
    return Ending(status, ending.get("result"), ending.get("error"), ending.get("result_error"))


def _outcome(ending: Ending) -> Body:
    return {
        "status": str(ending.status),
        "result": ending.result,
        "error": ending.error,
        "result_error": ending.result_error,
    }


def _end(frame: Frame, run: str, epoch: int, recovery: RecoveryPolicy) -> Verb:
    key, number, ending = frame["key"], frame["number"], frame["ending"]
    how, error = ending["how"], ending.get("error")
    usage = None if frame["usage"] is None else Usage(**frame["usage"])
    if how in ("returned", "failed"):
        certain = ending_of(ending)
        return lambda tx: {
            "seq": effects.end_effect(tx, run, epoch, key, number, certain, usage),
            "ended": _outcome(certain),
        }

    def uncertain(tx: Tx) -> Frame:
        if how == "rejected":
            seq, step = effects.reject_attempt(tx, run, epoch, key, number, error, recovery, usage)
        else:
            seq, step = effects.fail_attempt(tx, run, epoch, key, number, how, error, recovery, usage)
        if step is None:
            return {"seq": seq, "ended": _outcome(Ending(EffectStatus.FAILED, error=error))}
        return {"seq": seq, "step": str(step)}

    return uncertain


def _park(frame: Frame, run: str, epoch: int, recovery: RecoveryPolicy) -> Verb:
    def park(tx: Tx) -> Frame:
        runs.park(tx, run, epoch, frame["waits"], frame["why"])
        return {}

    return park


def _diverge(frame: Frame, run: str, epoch: int, recovery: RecoveryPolicy) -> Verb:
    def diverge(tx: Tx) -> Frame:
        records.diverge(tx, run, epoch, frame["why"], frame.get("fits_to"))
        return {}

    return diverge


def _finish(frame: Frame, run: str, epoch: int, recovery: RecoveryPolicy) -> Verb:
    ended = frame["ended"]
    return lambda tx: {"seq": runs.end_run(tx, run, epoch, ended["outcome"], ended.get("result"), ended.get("error"))}


_VERBS: dict[str, Callable[[Frame, str, int, RecoveryPolicy], Verb]] = {
    "ask": _ask,
    "decision": _decision,
    "sample": _sample,
    "timer": _timer,
    "gate": _gate,
    "unapproved": _unapproved,
    "child": _child,
    "attach": _attach,
    "begin": _begin,
    "attempt": _attempt,
    "end": _end,
    "park": _park,
    "diverge": _diverge,
    "finish": _finish,
}
BOUNDARIES = frozenset(_VERBS)


def refusal(error: TapeError) -> Body:
    """The fields of a `refused` reply."""
    if isinstance(error, Fenced):
        why = "fenced"
    elif isinstance(error, CancelRequested):
        why = "cancelled"
    elif isinstance(error, KeyConflict):
        why = "conflict"
    else:
        why = "refused"
    return {"why": why, "message": str(error)}


def answer_to(frame: Frame, kind: str, fields: Body) -> Frame:
    """A reply to a boundary, with its run, epoch and number."""
    return {**fields, "t": kind, "run": frame["run"], "epoch": frame["epoch"], "n": frame["n"]}


def body_key(frame: Frame) -> tuple[str, str] | None:
    """The run and the effect whose body is entered once this boundary is answered; None if none is."""
    if frame["t"] == "attempt":
        return frame["run"], frame["key"]
    if frame["t"] != "begin" or frame["call"]["policy"]["dispatch"] != Dispatch.INLINE or "stand_in" in frame:
        return None
    call = frame["call"]
    return frame["run"], identity.effect_key(frame["run"], call["decision_index"], call["ordinal"], call["tool"])


def subject_of(frame: Frame) -> tuple[str | None, int | None]:
    """The tool (of a child's start its agent) and the decision index that a frame is about: what narrows a crash
    point."""
    kind = frame["t"]
    if "call" in frame:
        return frame["call"]["tool"], frame["call"]["decision_index"]
    if kind == "end":
        _, index, _, tool = frame["key"].split("/", 3)
        return tool, None if index == "-" else int(index)
    if kind == "child":
        return frame["agent"], None
    if kind in ("ask", AWAITS):
        return None, frame["index"]
    if kind == "decision":
        return None, frame["decision"]["index"]
    return None, None
