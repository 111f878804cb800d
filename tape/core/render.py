"""Entries as readable lines: every kind has one, shared by the command line, the console and exports. Pure.

Glyphs are one cell wide and stand beside the word, never instead of it. All text passes through `show`, which lives
in `tape.core.text` and is the one place that makes foreign text safe.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, cast

from tape.core.kernel import events
from tape.core.kernel.events import Entry, Event, Json
from tape.core.kernel.hidden import visible
from tape.core.kernel.lifecycle import EffectStatus, LeaseStatus, WorkerStatus
from tape.core.kernel.resolution import Answer
from tape.core.marks import (
    EFFECT_MARKS,
    LEASE_MARKS,
    OBLIGATION_MARKS,
    QUIET,
    RUN_MARKS,
    UNKNOWN_MARK,
    WORKER_MARKS,
    Mark,
    Style,
    run_mark,
)
from tape.core.text import age, call, cells, count, duration, fault, fit, money, short_json, short_key, show

__all__ = [
    "ANSWER_MARKS",
    "EFFECT_MARKS",
    "LEASE_MARKS",
    "OBLIGATION_MARKS",
    "QUIET",
    "RUN_MARKS",
    "UNKNOWN_MARK",
    "WORKER_MARKS",
    "Line",
    "Mark",
    "Style",
    "age",
    "amount",
    "call",
    "cells",
    "count",
    "duration",
    "fault",
    "fit",
    "given",
    "line",
    "money",
    "run_mark",
    "short_json",
    "short_key",
    "show",
]

LINE_LIMIT = 400


@dataclass(frozen=True, slots=True)
class Line:
    """One entry for people. `text` is safe to print."""

    glyph: str
    text: str
    style: Style


ANSWER_MARKS: Mapping[str, Mark] = {
    Answer.PRESENT: Mark("✓", Style.SUCCESS),
    Answer.ABSENT: Mark("○", Style.WARNING),
    Answer.DUPLICATE: Mark("!", Style.ALARM),
    Answer.UNCLEAR: Mark("?", Style.WARNING),
}


# --- one line per kind ------------------------------------------------------------------------------------------

Shown = tuple[Mark, str]


def line(entry: Entry) -> Line:
    """The entry as one safe line. A kind or a shape that this release does not know is shown raw, never refused."""
    event = entry.event
    teller = _TELLERS.get(type(event), _raw)
    try:
        mark, text = teller(event)
    except (TypeError, ValueError, AttributeError, KeyError):  # a damaged body: fields of other types
        mark, text = _raw(event)
    return Line(mark.glyph, show(text, LINE_LIMIT), mark.style)


def _raw(event: Event) -> Shown:
    body = {field.name: getattr(event, field.name) for field in fields(event)}
    only = body["body"] if set(body) == {"body"} else body
    return UNKNOWN_MARK, f"{event.kind}  {short_json(only, 200)}"


def _run_started(event: events.RunStarted) -> Shown:
    by = f"  by {event.actor}" if event.actor else f"  child of {event.parent}" if event.parent else ""
    source = f"  forked from {event.source} at seq {event.source_seq}" if event.source else ""
    return Mark("→", Style.PRIMARY), f"run_started  {event.agent}  {short_json(event.input)}{by}{source}"


def _decision(event: events.Decision) -> Shown:
    head = f"decision {event.index}  {event.name}"
    if event.error is not None:
        return Mark("✗", Style.ERROR), f"{head}  raised {fault(event.error)}"
    return Mark("✓", Style.SUCCESS), f"{head}  {short_json(event.reply)}"


def _charge(event: events.Charge) -> Shown:
    tokens = event.tokens_in + event.tokens_out
    paid = event.pays_for if event.pays_for.startswith("decision ") else short_key(event.pays_for)
    return QUIET, f"charge  {count(tokens, 'token')}  {money(event.usd_micro)}  for {paid}"


def _effect_begun(event: events.EffectBegun) -> Shown:
    where = "  to the outbox" if event.dispatch == "outbox" else ""
    held = "  in quarantine: not called" if event.quarantined else ""
    asked = call(event.tool, visible(event.args, event.hidden))
    text = f"effect_begun  {asked}  {short_key(event.key)}  {event.semantics}{where}{held}"
    return EFFECT_MARKS[EffectStatus.PENDING], text


def _effect_ended(event: events.EffectEnded) -> Shown:
    what = f"effect_ended  {event.tool}  {event.status} {event.resolution} by {event.writer}"
    row = f" ({event.row})" if event.row else ""
    if event.error is not None:
        tail = f"  {fault(event.error)}"
    elif event.result_error:
        tail = f"  the result cannot be recorded: {event.result_error}"
    else:
        tail = f"  {short_json(event.result)}" if event.status == EffectStatus.CONFIRMED else ""
    return EFFECT_MARKS[event.status], f"{what}{row}{tail}"


def _sample(event: events.Sample) -> Shown:
    if event.error is not None:
        return Mark("✗", Style.ERROR), f"sample {event.index}  {event.name}  raised {fault(event.error)}"
    return QUIET, f"sample {event.index}  {event.name}  {short_json(event.value)}"


def _timer_set(event: events.TimerSet) -> Shown:
    return Mark("◇", Style.WARNING), f"timer_set {event.ordinal}  in {duration(int(event.seconds * 1_000_000))}"


def _timer_fired(event: events.TimerFired) -> Shown:
    late = f"  {duration(event.late_us)} late" if event.late_us else ""
    return Mark("●", Style.PRIMARY), f"timer_fired {event.ordinal}{late}"


def _gate_opened(event: events.GateOpened) -> Shown:
    approved = event.approves
    args = visible(approved["args"], approved.get("hidden")) if approved else None
    bound = f"  for {call(approved['tool'], args)}" if approved else ""
    return Mark("◇", Style.WARNING), f"gate_opened  {event.name} {event.ordinal}  {' | '.join(event.options)}{bound}"


def _gate_answered(event: events.GateAnswered) -> Shown:
    head = f"gate_answered  {event.name} {event.ordinal}"
    if event.timed_out:
        return Mark("◇", Style.WARNING), f"{head}  timed out{f': {event.answer}' if event.answer else ''}"
    reason = f": {event.reason}" if event.reason else ""
    void = "  (approves nothing here)" if event.void else ""
    return Mark("●", Style.PRIMARY), f"{head}  {event.answer} by {event.actor}{reason}{void}"


def _child_started(event: events.ChildStarted) -> Shown:
    return Mark("→", Style.PRIMARY), (
        f"child_started {event.ordinal}  {event.child}  {event.agent}  {short_json(event.input)}"
    )


def _child_ended(event: events.ChildEnded) -> Shown:
    tail = fault(event.error) if event.error is not None else short_json(event.result)
    return RUN_MARKS[event.status], f"child_ended {event.ordinal}  {event.child}  {event.status}  {tail}"


def _budget_refused(event: events.BudgetRefused) -> Shown:
    place = event.place if event.place.startswith("decision ") else short_key(event.place)
    held = f"{amount(event.unit, event.spent)} spent, {amount(event.unit, event.reserved)} reserved"
    text = f"{amount(event.unit, event.asked)} for {place}, with {held} of {amount(event.unit, event.cap)}"
    by = f", by {event.actor}{f': {event.reason}' if event.reason else ''}" if event.actor else ""
    return Mark("⊘", Style.WARNING), f"budget_refused  {text}{by}"


def _run_ended(event: events.RunEnded) -> Shown:
    tail = fault(event.error) if event.error is not None else short_json(event.result)
    by = "" if event.writer == "agent" else f"  by {event.writer}"
    return RUN_MARKS[event.outcome], f"run_ended  {event.outcome}  {tail}{by}"


def _server_started(event: events.ServerStarted) -> Shown:
    text = f"server_started  pid {event.pid} on {event.host}  release {event.release}, SQLite {event.sqlite}"
    return Mark("✓", Style.SUCCESS), text


def _worker_started(event: events.WorkerStarted) -> Shown:
    return WORKER_MARKS[WorkerStatus.STARTED], f"worker_started  w{event.worker}  pid {event.pid} on {event.host}"


def _worker_moved(event: events.WorkerMoved) -> Shown:
    return WORKER_MARKS[event.status], f"worker_moved  w{event.worker}  pid {event.pid}  {event.status}"


def _worker_died(event: events.WorkerDied) -> Shown:
    sure = "" if event.proven else "  (its end is not proven)"
    return WORKER_MARKS[WorkerStatus.DEAD], f"worker_died  w{event.worker}  pid {event.pid}: {event.how}{sure}"


def _lease_granted(event: events.LeaseGranted) -> Shown:
    mark = LEASE_MARKS[LeaseStatus.LIVE] if event.drive == 1 else Mark("↻", Style.PRIMARY)
    crashes = f"  after {count(event.crashes, 'crash', 'crashes')}" if event.crashes else ""
    alone = "  alone in its worker" if event.alone else ""
    where = f"decision_index={event.decision_index}, seq={event.next_seq}"
    text = (
        f"lease_granted  w{event.worker}#{event.epoch}  pid {event.pid}  drive {event.drive} at {where}{crashes}{alone}"
    )
    return mark, text


def _lease_ended(event: events.LeaseEnded) -> Shown:
    what = f"lease_ended  w{event.worker}#{event.epoch}  pid {event.pid}  {event.status}"
    return LEASE_MARKS[event.status], f"{what}: {event.why}"


def _attached(event: events.Attached) -> Shown:
    again = "re-attached" if event.drive > 1 else "attached"
    done = f"  ≡ replayed {', '.join(short_key(key) for key in event.replayed)}" if event.replayed else ""
    mark = Mark("↻" if event.drive > 1 else "●", Style.PRIMARY)
    return mark, f"{again} at decision_index={event.decision_index}, seq={event.next_seq}{done}"


def _model_asked(event: events.ModelAsked) -> Shown:
    if event.asks > 1:
        text = f"model_asked  decision {event.index}  {event.name}  again: ask {event.asks}, the reply before was lost"
        return Mark("↻", Style.WARNING), text
    return QUIET, f"model_asked  decision {event.index}  {event.name}"


def _attempt_started(event: events.AttemptStarted) -> Shown:
    where = "" if event.worker is None else f" in w{event.worker}"
    text = f"attempt_started  {event.what} {event.number} of {short_key(event.key)}  by {event.by}{where}"
    return Mark("◐", Style.WARNING if event.number > 1 else Style.PRIMARY), text


def _attempt_ended(event: events.AttemptEnded) -> Shown:
    error = f"  {fault(event.error)}" if event.error is not None else ""
    text = f"attempt_ended  {event.what} {event.number} of {short_key(event.key)}: {event.how}{error}"
    return Mark("✗", Style.WARNING), text


def _observed(event: events.Observed) -> Shown:
    detail = f"  {short_json(event.detail)}" if event.detail is not None else ""
    text = f"observed  {short_key(event.key)}: {event.answer}, {event.row}: {event.step}{detail}"
    return ANSWER_MARKS[event.answer], text


def _effect_doubted(event: events.EffectDoubted) -> Shown:
    row = f"{event.row}: {event.step}" if event.row else event.step
    text = f"effect_doubted  {short_key(event.key)}  {event.status}: {event.why}; {row}"
    return EFFECT_MARKS[event.status], text


def _claimed(event: events.Claimed) -> Shown:
    return QUIET, f"claimed  {short_key(event.key)} by {event.by}#{event.claim_epoch}"


def _claim_ended(event: events.ClaimEnded) -> Shown:
    return Mark(
        "✗", Style.WARNING
    ), f"claim_ended  {short_key(event.key)} of {event.by}#{event.claim_epoch}: {event.why}"


def _run_moved(event: events.RunMoved) -> Shown:
    why = f": {event.why}" if event.why else ""
    helps = f"; {' | '.join(event.commands)}" if event.commands else ""
    return RUN_MARKS[event.status], f"run_moved  {event.was} to {event.status}{why}{helps}"


def _obligation_moved(event: events.ObligationMoved) -> Shown:
    why = f": {event.why}" if event.why else ""
    return OBLIGATION_MARKS[
        event.status
    ], f"obligation_moved  {short_key(event.key)}  {event.was} to {event.status}{why}"


def _write_refused(event: events.WriteRefused) -> Shown:
    if event.worker is None:  # a reactor's: its claim has epochs of its own
        return Mark("⊘", Style.WARNING), f"write_refused  {event.write}: {event.why}"
    who = f"w{event.worker}#{event.epoch}"
    text = f"write_refused  {event.write} of {who}, the live epoch is {event.live_epoch}: {event.why}"
    return Mark("⊘", Style.WARNING), text


def _conflict_opened(event: events.ConflictOpened) -> Shown:
    return Mark("!", Style.ALARM), f"conflict_opened  {short_key(event.key)}: {event.why}  {short_json(event.evidence)}"


def _conflict_closed(event: events.ConflictClosed) -> Shown:
    reason = f": {event.reason}" if event.reason else ""
    return Mark("✓", Style.SUCCESS), f"conflict_closed  {short_key(event.key)} by {event.actor}{reason}"


def _early_answer(event: events.EarlyAnswer) -> Shown:
    reason = f": {event.reason}" if event.reason else ""
    text = f"early_answer  {event.name} {event.ordinal}  {event.answer} by {event.actor}{reason}"
    return Mark("●", Style.PRIMARY), text


def _answer_refused(event: events.AnswerRefused) -> Shown:
    text = f"answer_refused  {event.name} {event.ordinal}  {event.answer} by {event.actor}: {event.why}"
    return Mark("⊘", Style.WARNING), text


def _approval_refused(event: events.ApprovalRefused) -> Shown:
    return Mark("⊘", Style.WARNING), f"approval_refused  {event.tool} #{event.args_hash[:8]}: {event.why}"


def _budget_lost(event: events.BudgetLost) -> Shown:
    place = event.place if event.place.startswith("decision ") else short_key(event.place)
    text = f"budget_lost  {count(event.tokens, 'token')}  {money(event.usd_micro)}  for a reply of {place} nobody saw"
    return Mark("!", Style.WARNING), text


def _budget_overrun(event: events.BudgetOverrun) -> Shown:
    place = event.place if event.place.startswith("decision ") else short_key(event.place)
    return Mark("!", Style.ALARM), f"budget_overrun  {amount(event.unit, event.by)} above the cap, by {place}"


def _budget_raised(event: events.BudgetRaised) -> Shown:
    now = "no cap" if event.cap is None else amount(event.unit, event.cap)
    was = "no cap" if event.was is None else amount(event.unit, event.was)
    reason = f": {event.reason}" if event.reason else ""
    return Mark("→", Style.ACCENT), f"budget_raised  {now}, was {was}, by {event.actor}{reason}"


def _budget_awaited(event: events.BudgetAwaited) -> Shown:
    place = event.place if event.place.startswith("decision ") else short_key(event.place)
    left = amount(event.unit, max(0, event.cap - event.spent - event.reserved))
    text = f"{amount(event.unit, event.asked)} for {place}, and {left} left of {amount(event.unit, event.cap)}"
    return Mark("◇", Style.WARNING), f"budget_awaited  {text} in the budget of {event.run}"


def _budget_denied(event: events.BudgetDenied) -> Shown:
    place = event.place if event.place.startswith("decision ") else short_key(event.place)
    reason = f": {event.reason}" if event.reason else ""
    return Mark("⊘", Style.ACCENT), f"budget_denied  no more for {place}, by {event.actor}{reason}"


def _fork_promoted(event: events.ForkPromoted) -> Shown:
    reason = f": {event.reason}" if event.reason else ""
    return Mark("→", Style.ACCENT), f"fork_promoted  {event.run} from seq {event.source_seq} by {event.actor}{reason}"


def amount(unit: str, number: int) -> str:
    """So much of a budget's unit, for people."""
    if unit == "usd_micro":
        return money(number)
    if unit == "tokens":
        return count(number, "token")
    return count(number, f"call of {unit.removeprefix('calls:')}", f"calls of {unit.removeprefix('calls:')}")


def _order_placed(event: events.OrderPlaced) -> Shown:
    args = f"  {short_json(given(event.args))}" if event.args else ""
    reason = f": {event.reason}" if event.reason else ""
    return Mark("→", Style.ACCENT), f"order_placed {event.order}  {event.verb}{args} by {event.actor}{reason}"


def given(args: Json) -> Json:
    """The arguments of an order without those that were left out."""
    if not isinstance(args, dict):
        return args
    return {name: value for name, value in cast(dict[str, Json], args).items() if value is not None}


def _point_reached(event: events.PointReached) -> Shown:
    text = f"point_reached  {event.point}  {event.death} of w{event.worker}, pid {event.pid}"
    return Mark("◆", Style.ACCENT), text


_TELLERS: Mapping[type[Event], Callable[[Any], Shown]] = {
    events.RunStarted: _run_started,
    events.Decision: _decision,
    events.Charge: _charge,
    events.EffectBegun: _effect_begun,
    events.EffectEnded: _effect_ended,
    events.Sample: _sample,
    events.TimerSet: _timer_set,
    events.TimerFired: _timer_fired,
    events.GateOpened: _gate_opened,
    events.GateAnswered: _gate_answered,
    events.ChildStarted: _child_started,
    events.ChildEnded: _child_ended,
    events.BudgetRefused: _budget_refused,
    events.RunEnded: _run_ended,
    events.ServerStarted: _server_started,
    events.WorkerStarted: _worker_started,
    events.WorkerMoved: _worker_moved,
    events.WorkerDied: _worker_died,
    events.LeaseGranted: _lease_granted,
    events.LeaseEnded: _lease_ended,
    events.Attached: _attached,
    events.ModelAsked: _model_asked,
    events.AttemptStarted: _attempt_started,
    events.AttemptEnded: _attempt_ended,
    events.Observed: _observed,
    events.EffectDoubted: _effect_doubted,
    events.Claimed: _claimed,
    events.ClaimEnded: _claim_ended,
    events.RunMoved: _run_moved,
    events.ObligationMoved: _obligation_moved,
    events.WriteRefused: _write_refused,
    events.ConflictOpened: _conflict_opened,
    events.ConflictClosed: _conflict_closed,
    events.EarlyAnswer: _early_answer,
    events.AnswerRefused: _answer_refused,
    events.ApprovalRefused: _approval_refused,
    events.BudgetLost: _budget_lost,
    events.BudgetOverrun: _budget_overrun,
    events.BudgetRaised: _budget_raised,
    events.BudgetAwaited: _budget_awaited,
    events.BudgetDenied: _budget_denied,
    events.ForkPromoted: _fork_promoted,
    events.OrderPlaced: _order_placed,
    events.PointReached: _point_reached,
}
