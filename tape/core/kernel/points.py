"""Crash points and deaths: the registry (api.md section 5). A place before, between or after durable writes."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum

from tape.core.kernel.errors import UsageError


class Stage(StrEnum):
    RECEIVED = "received"  # the request has arrived, nothing of it is committed
    COMMITTED = "committed"  # it is durable, the reply is withheld
    HOOK = "hook"  # on the recovery's own path: the hook worker dies
    OWN = "own"  # the author's `tape.crash_point`


class Death(StrEnum):
    """What is done at a point. HOLD is no death: the run stops there until it is let go on, and nothing is harmed."""

    KILL = "KILL"
    TERM = "TERM"
    STOP = "STOP"
    LOST = "LOST"
    HOLD = "HOLD"


@dataclass(frozen=True, slots=True)
class Point:
    """`frame` is the boundary at which the server can stop; `says` is what is durable when the process dies there."""

    name: str
    frame: str
    stage: Stage
    says: str


POINTS: tuple[Point, ...] = (
    Point("decision.asking", "ask", Stage.RECEIVED, "nothing of this turn; the model has not been called"),
    Point("decision.replied", "decision", Stage.RECEIVED, "nothing of this turn; the model has answered and billed"),
    Point("decision.recorded", "decision", Stage.COMMITTED, "the decision; no effect begun"),
    Point("effect.begun", "begin", Stage.COMMITTED, "the intent; the body has not been entered"),
    Point("effect.acted", "end", Stage.RECEIVED, "the intent; the body has returned, so the upstream has acted"),
    Point("effect.ended", "end", Stage.COMMITTED, "the outcome; the next model call has not started"),
    Point("timer.set", "timer", Stage.COMMITTED, "the timer; the run has not parked"),
    Point("gate.opened", "gate", Stage.COMMITTED, "the gate; the run has not parked"),
    Point("budget.awaited", "awaits", Stage.COMMITTED, "that a person is asked to raise a cap; the run has not parked"),
    Point("child.started", "child", Stage.COMMITTED, "the child, a run of its own; its parent has not heard of it"),
    Point("run.ending", "finish", Stage.RECEIVED, "all but the end; the agent function has returned"),
    Point("run.ended", "finish", Stage.COMMITTED, "the end of the run"),
    Point("lease.granted", "grant", Stage.COMMITTED, "the lease; the agent has not seen it"),
    Point("observe.answered", "look-up", Stage.HOOK, "the look-up's start; its answer has arrived and is lost"),
    Point("dispatch.started", "dispatch", Stage.HOOK, "the dispatch's start; the body has not been entered"),
    Point("dispatch.acted", "body", Stage.HOOK, "the dispatch's start; the body has returned"),
    Point("compensate.acted", "undo", Stage.HOOK, "the undo's start; the undo has returned"),
)
BY_NAME = {point.name: point for point in POINTS}
BY_PLACE = {(point.frame, point.stage): point for point in POINTS}
OWN_PREFIX = "at:"


def find_point(name: str) -> Point:
    """The point of this name; `at:NAME` is an author's own. Raises UsageError with the nearest right name."""
    if name.startswith(OWN_PREFIX) and len(name) > len(OWN_PREFIX):
        return Point(name, "point", Stage.OWN, "what stood before the author's own point")
    found = BY_NAME.get(name)
    if found is None:
        near = get_close_matches(name, BY_NAME, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(BY_NAME)}, at:NAME"
        raise UsageError(f"no crash point is called {name!r}; {hint}")
    return found


@dataclass(frozen=True, slots=True)
class Arm:
    """An armed point: where, how to die, and what narrows it. `nth` counts matching passes from 1. It is used up when
    it strikes; with `each_run` it stays, counts within each run, and strikes at most once in each."""

    point: Point
    death: Death = Death.KILL
    run_id: str | None = None
    tool: str | None = None
    decision_index: int | None = None
    nth: int = 1
    order: int | None = None
    each_run: bool = False

    def matches(self, run_id: str | None, tool: str | None, decision_index: int | None) -> bool:
        return (
            (self.run_id is None or self.run_id == run_id)
            and (self.tool is None or self.tool == tool)
            and (self.decision_index is None or self.decision_index == decision_index)
        )


@dataclass(frozen=True, slots=True)
class Pass:
    """A run has come to a point: what an arm is compared with."""

    run_id: str
    point: str
    tool: str | None = None
    decision_index: int | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    """A run that is stopped: its worker and process, the point's name, and the effect or decision it is about."""

    run_id: str
    worker: int
    pid: int
    point: str
    tool: str | None
    decision_index: int | None
