"""What the entries of one run add up to: its effects, leases, refusals, cost and status. Pure.

Facts are as of the last entry taken: nothing looks ahead. Names and reasons are safe to print; `key`, `args`,
`result` and `error` are the journal's own values and go through `show` wherever they are printed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from tape.core.kernel import events
from tape.core.kernel.events import TAPE_KINDS, Entry, Event, Json
from tape.core.kernel.hidden import visible
from tape.core.kernel.lifecycle import (
    EFFECT_ENDS,
    OBLIGATION_OPEN,
    EffectStatus,
    LeaseStatus,
    ObligationStatus,
    RunStatus,
)
from tape.core.kernel.points import BY_NAME, OWN_PREFIX, Death, Stage
from tape.core.kernel.resolution import Dispatch, Resolution, Semantics, Writer
from tape.core.render import Line
from tape.core.text import short_key, show

UNDO = "/undo/"
DEATHS = frozenset({Death.KILL, Death.TERM, Death.STOP, Death.LOST})
"""All that ends or harms somebody. Whatever else is done at a point (step mode holds the agent there) is no death."""

REASON_LIMIT = 200


@dataclass(frozen=True, slots=True)
class EffectFact:
    """One effect. `attempts`: bodies entered, or about to be (an attempt is durable before it starts). `evidence`: the
    line of the entry that says most about the outcome. `undo`: the status of its duty, empty if it has none. `called`:
    by this run, and not in quarantine; `quarantined`: by this run, but its body was not entered."""

    key: str
    short: str
    tool: str
    args: Json
    semantics: str
    dispatch: str
    look_up: bool
    compensable: bool
    status: str
    begun_id: int
    attempts: int = 1
    resolution: str = ""
    writer: str = ""
    row: str = ""
    step: str = ""
    answer: str = ""
    answer_detail: Json = None
    evidence: str = ""
    replayed: int = 0
    ended_id: int | None = None
    result: Json = None
    error: Json = None
    undo: str = ""
    called: bool = True
    quarantined: bool = False

    @property
    def open(self) -> bool:
        return self.status not in EFFECT_ENDS

    @property
    def acts(self) -> bool:
        """Whether it changes anything outside."""
        return self.called and self.semantics != Semantics.READ_ONLY


@dataclass(frozen=True, slots=True)
class LeaseFact:
    worker: int
    pid: int
    epoch: int
    drive: int
    status: str
    why: str
    granted_us: int
    ended_us: int | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A write that was not applied: a zombie's."""

    worker: int | None
    epoch: int
    live_epoch: int
    write: str
    why: str
    at_us: int
    entry_id: int


@dataclass(frozen=True, slots=True)
class Cost:
    tokens: int = 0
    usd_micro: int = 0


def by_agent(event: Event) -> bool:
    """Whether this record was written by the agent that drives the run, not by a reactor or a person."""
    if event.kind not in TAPE_KINDS or isinstance(event, events.TimerFired | events.ChildEnded):
        return False
    if isinstance(event, events.EffectEnded | events.RunEnded):
        return event.writer == Writer.AGENT
    return not isinstance(event, events.RunStarted)


def blow(point: str, death: str) -> str:
    """What is really done at a point: on the recovery's own path the hook worker is killed whatever was chosen, and
    an author's own point knows only kill and drain. What is no death stays as it is."""
    if death not in DEATHS:
        return death
    stage = BY_NAME[point].stage if point in BY_NAME else Stage.OWN if point.startswith(OWN_PREFIX) else None
    if stage is Stage.HOOK or (stage is Stage.OWN and death != Death.TERM):
        return Death.KILL
    return death


def at_hook(point: str) -> bool:
    return point in BY_NAME and BY_NAME[point].stage is Stage.HOOK


def struck(event: events.OrderPlaced, lease: LeaseFact | None) -> str:
    """The death by an order that strikes at once, if it is meant for whoever holds the lease; else empty."""
    given = event.args
    args: dict[str, Json] = cast("dict[str, Json]", given) if isinstance(given, dict) else {}
    if event.verb != "kill" or args.get("at") or lease is None or args.get("pid") not in (None, lease.pid):
        return ""
    return str(args.get("signal") or Death.KILL).upper()


@dataclass(slots=True)
class Facts:
    """The fold. `take` expects one run's entries in order of id."""

    run_id: str = ""
    agent: str = ""
    input: Json = None
    status: str = ""
    why: str = ""
    commands: tuple[str, ...] = ()
    decisions: int = 0
    seq: int = 0
    drive: int = 0
    epoch: int = 0
    cost: Cost = Cost()
    started_us: int | None = None
    ended_us: int | None = None
    live: LeaseFact | None = None
    effects: dict[str, EffectFact] = field(default_factory=lambda: {})
    leases: dict[int, LeaseFact] = field(default_factory=lambda: {})
    refusals: list[Refusal] = field(default_factory=lambda: [])
    _duties: dict[str, dict[str, str]] = field(default_factory=lambda: {})

    def take(self, entry: Entry, shown: Line) -> None:
        """Raises TypeError, ValueError, KeyError or AttributeError for a damaged body."""
        self.seq = max(self.seq, entry.seq or 0)
        if entry.run_id is not None:
            self.epoch = max(self.epoch, entry.epoch)
        taker = _TAKERS.get(type(entry.event))
        if taker is not None:
            taker(self, entry, entry.event, shown)

    def open_effects(self) -> list[EffectFact]:
        return [effect for effect in self.effects.values() if effect.open]

    def change(self, key: str, **changes: Any) -> None:
        known = self.effects.get(key)
        if known is not None:
            self.effects[key] = replace(known, **changes)

    def duty_moved(self, key: str, status: str) -> None:
        """An effect shows its open duty; with none open, the one that moved last."""
        effect_key = key.partition(UNDO)[0]
        duties = self._duties.setdefault(effect_key, {})
        duties[key] = status
        owed = [each for each in duties.values() if each in OBLIGATION_OPEN]
        self.change(effect_key, undo=owed[-1] if owed else status)


def _run_started(facts: Facts, entry: Entry, event: events.RunStarted, shown: Line) -> None:
    facts.run_id = entry.run_id or ""
    facts.agent = show(str(event.agent), REASON_LIMIT)
    facts.input = event.input
    facts.status = RunStatus.RUNNABLE
    facts.started_us = entry.at_us


def _decision(facts: Facts, entry: Entry, event: events.Decision, shown: Line) -> None:
    facts.decisions = event.index + 1


def _inherited(entry: Entry) -> bool:
    """Taken over with the tape that this run was forked from: nothing else stands on a tape before the first lease."""
    return entry.epoch == 0


def _charge(facts: Facts, entry: Entry, event: events.Charge, shown: Line) -> None:
    if _inherited(entry):
        return
    tokens = facts.cost.tokens + event.tokens_in + event.tokens_out
    facts.cost = Cost(tokens, facts.cost.usd_micro + event.usd_micro)


def _effect_begun(facts: Facts, entry: Entry, event: events.EffectBegun, shown: Line) -> None:
    not_called = event.quarantined or _inherited(entry)
    facts.effects[event.key] = EffectFact(
        key=event.key,
        short=show(short_key(event.key), REASON_LIMIT),
        tool=show(str(event.tool), 60),
        args=visible(event.args, event.hidden),
        semantics=show(event.semantics, 20),
        dispatch=show(event.dispatch, 20),
        look_up=event.look_up,
        compensable=event.compensable,
        status=EffectStatus.PENDING,
        begun_id=entry.id,
        attempts=0 if event.dispatch == Dispatch.OUTBOX or not_called else 1,
        evidence=shown.text,
        undo=ObligationStatus.ARMED if event.compensable and not not_called else "",
        called=not not_called,
        quarantined=event.quarantined and not _inherited(entry),
    )


def _effect_ended(facts: Facts, entry: Entry, event: events.EffectEnded, shown: Line) -> None:
    known = facts.effects.get(event.key)
    facts.change(
        event.key,
        status=event.status,
        resolution=event.resolution,
        writer=event.writer,
        row=event.row or (known.row if known else ""),
        step="",
        attempts=event.attempt,
        ended_id=entry.id,
        result=event.result,
        error=event.error,
        evidence=known.evidence if known and event.resolution == Resolution.OBSERVED else shown.text,
    )


def _attempt_started(facts: Facts, entry: Entry, event: events.AttemptStarted, shown: Line) -> None:
    if event.what == "body":
        facts.change(event.key, attempts=event.number, step="")


def _attempt_ended(facts: Facts, entry: Entry, event: events.AttemptEnded, shown: Line) -> None:
    if event.what == "body":
        facts.change(event.key, evidence=shown.text)


def _observed(facts: Facts, entry: Entry, event: events.Observed, shown: Line) -> None:
    changes = {"answer": event.answer, "answer_detail": event.detail, "row": event.row, "step": event.step}
    facts.change(event.key, evidence=shown.text, **changes)


def _doubted(facts: Facts, entry: Entry, event: events.EffectDoubted, shown: Line) -> None:
    facts.change(event.key, status=event.status, row=event.row, step=event.step)


def _obligation_moved(facts: Facts, entry: Entry, event: events.ObligationMoved, shown: Line) -> None:
    facts.duty_moved(event.key, event.status)


def _lease_granted(facts: Facts, entry: Entry, event: events.LeaseGranted, shown: Line) -> None:
    facts.status = RunStatus.RUNNING
    facts.why, facts.commands = "", ()
    facts.drive = event.drive
    lease = LeaseFact(event.worker, event.pid, event.epoch, event.drive, LeaseStatus.LIVE, "", entry.at_us)
    facts.leases[event.epoch] = facts.live = lease


def _lease_ended(facts: Facts, entry: Entry, event: events.LeaseEnded, shown: Line) -> None:
    facts.live = None
    lease = facts.leases.get(event.epoch)
    if lease is not None:
        why = show(event.why, REASON_LIMIT)
        facts.leases[event.epoch] = replace(lease, status=event.status, why=why, ended_us=entry.at_us)


def _attached(facts: Facts, entry: Entry, event: events.Attached, shown: Line) -> None:
    for key in event.replayed:
        known = facts.effects.get(key)
        if known is not None:
            facts.change(key, replayed=known.replayed + 1)


def _run_moved(facts: Facts, entry: Entry, event: events.RunMoved, shown: Line) -> None:
    facts.status = event.status
    facts.why = show(event.why, REASON_LIMIT)
    facts.commands = tuple(show(str(command), 400) for command in event.commands)


def _run_ended(facts: Facts, entry: Entry, event: events.RunEnded, shown: Line) -> None:
    facts.ended_us = entry.at_us


def _write_refused(facts: Facts, entry: Entry, event: events.WriteRefused, shown: Line) -> None:
    why = show(event.why, REASON_LIMIT)
    write = show(event.write, 40)
    facts.refusals.append(Refusal(event.worker, event.epoch, event.live_epoch, write, why, entry.at_us, entry.id))


_TAKERS: Mapping[type[Event], Callable[[Facts, Entry, Any, Line], None]] = {
    events.RunStarted: _run_started,
    events.Decision: _decision,
    events.Charge: _charge,
    events.EffectBegun: _effect_begun,
    events.EffectEnded: _effect_ended,
    events.AttemptStarted: _attempt_started,
    events.AttemptEnded: _attempt_ended,
    events.Observed: _observed,
    events.EffectDoubted: _doubted,
    events.ObligationMoved: _obligation_moved,
    events.LeaseGranted: _lease_granted,
    events.LeaseEnded: _lease_ended,
    events.Attached: _attached,
    events.RunMoved: _run_moved,
    events.RunEnded: _run_ended,
    events.WriteRefused: _write_refused,
}
