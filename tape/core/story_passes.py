"""How often a run has passed each crash point, derived from its entries. Pure.

| point | one pass is |
| --- | --- |
| decision.asking | a `model_asked` |
| decision.replied, decision.recorded | a `decision` |
| effect.begun | an `effect_begun` |
| effect.acted, effect.ended | the agent's `effect_ended`, or the `attempt_ended` of an inline body that answered |
| timer.set | a `timer_set` |
| gate.opened | a `gate_opened` |
| child.started | a `child_started` |
| run.ending, run.ended | the agent's `run_ended` |
| lease.granted | a `lease_granted` |
| observe.answered | an `observed` |
| dispatch.started | an `attempt_started` of a body by the outbox |
| dispatch.acted | the outbox's `effect_ended`, or the `attempt_ended` of a dispatched body that answered |
| compensate.acted | an obligation DONE because it is `undone`, or the `attempt_ended` of an undo that answered |
| at:NAME | a `point_reached`: passes of an unarmed own point leave no entry |

What is killed at a point before its commit leaves no such entry: there the `point_reached` is the pass. If the
boundary is committed after all (a drain, a lost reply, a thaw in time), the two are one pass.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from tape.core.kernel import events
from tape.core.kernel.events import Entry, Event
from tape.core.kernel.lifecycle import ObligationStatus
from tape.core.kernel.points import BY_NAME, OWN_PREFIX, POINTS, Stage
from tape.core.kernel.resolution import Dispatch, Writer
from tape.core.story_facts import Facts

ANSWERED = frozenset({"raised", "timed out", "rejected", "failed", "missing"})
"""How a body or an undo ended whose process lived to say so."""

_SIMPLE: Mapping[type[Event], tuple[str, ...]] = {
    events.ModelAsked: ("decision.asking",),
    events.Decision: ("decision.replied", "decision.recorded"),
    events.EffectBegun: ("effect.begun",),
    events.TimerSet: ("timer.set",),
    events.GateOpened: ("gate.opened",),
    events.ChildStarted: ("child.started",),
    events.LeaseGranted: ("lease.granted",),
    events.Observed: ("observe.answered",),
}
_ENDED = ("effect.acted", "effect.ended")


@dataclass(slots=True)
class Passes:
    """The count, entry by entry."""

    counts: Counter[str] = field(default_factory=lambda: Counter({point.name: 0 for point in POINTS}))
    _reached: set[tuple[str, int]] = field(default_factory=lambda: set())

    def take(self, entry: Entry, facts: Facts) -> None:
        """`facts` have taken the entry already."""
        event = entry.event
        if isinstance(event, events.PointReached):
            self._reach(event.point, entry.epoch)
            return
        for point in _SIMPLE.get(type(event)) or _passed(event, facts):
            if (point, entry.epoch) in self._reached:
                self._reached.discard((point, entry.epoch))
            else:
                self.counts[point] += 1

    def _reach(self, name: str, epoch: int) -> None:
        point = BY_NAME.get(name)
        if point is None:
            self.counts[name] += name.startswith(OWN_PREFIX)
        elif point.stage is Stage.RECEIVED:
            self.counts[name] += (name, epoch) not in self._reached  # held there, and then killed there: one pass
            self._reached.add((name, epoch))
        elif point.stage is Stage.HOOK and name != "dispatch.started":
            self.counts[name] += 1


def _passed(event: Event, facts: Facts) -> tuple[str, ...]:
    if isinstance(event, events.EffectEnded):
        return {Writer.AGENT: _ENDED, Writer.OUTBOX: ("dispatch.acted",)}.get(Writer(event.writer), ())
    if isinstance(event, events.BudgetAwaited):
        asking = ("decision.asking",) if event.place.startswith("decision ") else ()
        return (*asking, "budget.awaited")
    if isinstance(event, events.RunEnded):
        return ("run.ending", "run.ended") if event.writer == Writer.AGENT else ()
    if isinstance(event, events.AttemptStarted):
        return ("dispatch.started",) if event.what == "body" and _dispatched(event.key, facts) else ()
    if isinstance(event, events.AttemptEnded) and event.how in ANSWERED:
        if event.what == "undo":
            return ("compensate.acted",)
        if event.what == "body":
            return ("dispatch.acted",) if _dispatched(event.key, facts) else _ENDED
    if isinstance(event, events.ObligationMoved) and event.status == ObligationStatus.DONE:
        return ("compensate.acted",) if event.why == "undone" else ()
    return ()


def _dispatched(key: str, facts: Facts) -> bool:
    effect = facts.effects.get(key)
    return effect is not None and effect.dispatch == Dispatch.OUTBOX
