"""The law: which state follows which, for run, effect, obligation, lease, gate, timer, worker (contract.md section 3).

One dictionary per machine; a missing key is `IllegalTransition`. Every status in the journal is set through
`step`. The diagrams in docs/reference/states.md are generated from these tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from tape.core.kernel.errors import IllegalTransition


class RunStatus(StrEnum):
    RUNNABLE = "RUNNABLE"
    RUNNING = "RUNNING"
    WAITING = "WAITING"
    STUCK = "STUCK"
    COMPENSATING = "COMPENSATING"
    TERMINAL = "TERMINAL"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class RunTrigger(StrEnum):
    GRANT = "grant"
    RELEASE = "release"
    WAIT = "wait"
    WAKE = "wake"
    STICK = "stick"
    OWE = "owe"
    COMPLETE = "complete"
    FAIL = "fail"
    CANCEL = "cancel"


class EffectStatus(StrEnum):
    PENDING = "PENDING"
    UNKNOWN = "UNKNOWN"
    CONFIRMED = "CONFIRMED"
    FAILED = "FAILED"


class EffectTrigger(StrEnum):
    DOUBT = "doubt"
    CONFIRM = "confirm"
    FAIL = "fail"


class ObligationStatus(StrEnum):
    ARMED = "ARMED"
    DUE = "DUE"
    CLAIMED = "CLAIMED"
    DONE = "DONE"
    STUCK = "STUCK"
    DROPPED = "DROPPED"


class ObligationTrigger(StrEnum):
    OWE = "owe"
    CLAIM = "claim"
    RETURN = "return"
    FULFIL = "fulfil"
    STICK = "stick"
    DROP = "drop"


class LeaseStatus(StrEnum):
    LIVE = "LIVE"
    RELEASED = "RELEASED"
    DIED = "DIED"
    EXPIRED = "EXPIRED"


class LeaseTrigger(StrEnum):
    RELEASE = "release"
    DIE = "die"
    EXPIRE = "expire"


class TimerStatus(StrEnum):
    SET = "SET"
    FIRED = "FIRED"
    DROPPED = "DROPPED"


class TimerTrigger(StrEnum):
    FIRE = "fire"
    DROP = "drop"


class GateStatus(StrEnum):
    EARLY = "EARLY"
    OPEN = "OPEN"
    ANSWERED = "ANSWERED"
    DROPPED = "DROPPED"


class GateTrigger(StrEnum):
    OPEN = "open"
    ANSWER = "answer"
    DROP = "drop"


class WorkerStatus(StrEnum):
    STARTED = "STARTED"
    READY = "READY"
    FROZEN = "FROZEN"
    DEAD = "DEAD"


class WorkerTrigger(StrEnum):
    HELLO = "hello"
    FREEZE = "freeze"
    THAW = "thaw"
    DIE = "die"


RUN: Mapping[tuple[RunStatus, RunTrigger], RunStatus] = {
    (RunStatus.RUNNABLE, RunTrigger.GRANT): RunStatus.RUNNING,
    (RunStatus.RUNNABLE, RunTrigger.WAIT): RunStatus.WAITING,
    (RunStatus.RUNNABLE, RunTrigger.STICK): RunStatus.STUCK,
    (RunStatus.RUNNABLE, RunTrigger.OWE): RunStatus.COMPENSATING,
    (RunStatus.RUNNABLE, RunTrigger.CANCEL): RunStatus.CANCELLED,
    (RunStatus.RUNNING, RunTrigger.RELEASE): RunStatus.RUNNABLE,
    (RunStatus.RUNNING, RunTrigger.WAIT): RunStatus.WAITING,
    (RunStatus.RUNNING, RunTrigger.STICK): RunStatus.STUCK,
    (RunStatus.RUNNING, RunTrigger.OWE): RunStatus.COMPENSATING,
    (RunStatus.RUNNING, RunTrigger.COMPLETE): RunStatus.TERMINAL,
    (RunStatus.RUNNING, RunTrigger.FAIL): RunStatus.FAILED,
    (RunStatus.RUNNING, RunTrigger.CANCEL): RunStatus.CANCELLED,
    (RunStatus.WAITING, RunTrigger.WAKE): RunStatus.RUNNABLE,
    (RunStatus.WAITING, RunTrigger.STICK): RunStatus.STUCK,
    (RunStatus.WAITING, RunTrigger.OWE): RunStatus.COMPENSATING,
    (RunStatus.WAITING, RunTrigger.CANCEL): RunStatus.CANCELLED,
    (RunStatus.STUCK, RunTrigger.WAKE): RunStatus.RUNNABLE,
    (RunStatus.STUCK, RunTrigger.WAIT): RunStatus.WAITING,
    (RunStatus.STUCK, RunTrigger.OWE): RunStatus.COMPENSATING,
    (RunStatus.STUCK, RunTrigger.CANCEL): RunStatus.CANCELLED,
    (RunStatus.COMPENSATING, RunTrigger.STICK): RunStatus.STUCK,
    (RunStatus.COMPENSATING, RunTrigger.COMPLETE): RunStatus.TERMINAL,
    (RunStatus.COMPENSATING, RunTrigger.FAIL): RunStatus.FAILED,
    (RunStatus.COMPENSATING, RunTrigger.CANCEL): RunStatus.CANCELLED,
}

EFFECT: Mapping[tuple[EffectStatus, EffectTrigger], EffectStatus] = {
    (EffectStatus.PENDING, EffectTrigger.DOUBT): EffectStatus.UNKNOWN,
    (EffectStatus.PENDING, EffectTrigger.CONFIRM): EffectStatus.CONFIRMED,
    (EffectStatus.PENDING, EffectTrigger.FAIL): EffectStatus.FAILED,
    (EffectStatus.UNKNOWN, EffectTrigger.CONFIRM): EffectStatus.CONFIRMED,
    (EffectStatus.UNKNOWN, EffectTrigger.FAIL): EffectStatus.FAILED,
}

OBLIGATION: Mapping[tuple[ObligationStatus, ObligationTrigger], ObligationStatus] = {
    (ObligationStatus.ARMED, ObligationTrigger.OWE): ObligationStatus.DUE,
    (ObligationStatus.ARMED, ObligationTrigger.DROP): ObligationStatus.DROPPED,
    (ObligationStatus.DUE, ObligationTrigger.CLAIM): ObligationStatus.CLAIMED,
    (ObligationStatus.DUE, ObligationTrigger.STICK): ObligationStatus.STUCK,
    (ObligationStatus.CLAIMED, ObligationTrigger.FULFIL): ObligationStatus.DONE,
    (ObligationStatus.CLAIMED, ObligationTrigger.RETURN): ObligationStatus.DUE,
    (ObligationStatus.CLAIMED, ObligationTrigger.STICK): ObligationStatus.STUCK,
    (ObligationStatus.STUCK, ObligationTrigger.OWE): ObligationStatus.DUE,
    (ObligationStatus.STUCK, ObligationTrigger.FULFIL): ObligationStatus.DONE,
    (ObligationStatus.STUCK, ObligationTrigger.DROP): ObligationStatus.DROPPED,
}

LEASE: Mapping[tuple[LeaseStatus, LeaseTrigger], LeaseStatus] = {
    (LeaseStatus.LIVE, LeaseTrigger.RELEASE): LeaseStatus.RELEASED,
    (LeaseStatus.LIVE, LeaseTrigger.DIE): LeaseStatus.DIED,
    (LeaseStatus.LIVE, LeaseTrigger.EXPIRE): LeaseStatus.EXPIRED,
}

TIMER: Mapping[tuple[TimerStatus, TimerTrigger], TimerStatus] = {
    (TimerStatus.SET, TimerTrigger.FIRE): TimerStatus.FIRED,
    (TimerStatus.SET, TimerTrigger.DROP): TimerStatus.DROPPED,
}

GATE: Mapping[tuple[GateStatus, GateTrigger], GateStatus] = {
    (GateStatus.EARLY, GateTrigger.OPEN): GateStatus.ANSWERED,
    (GateStatus.EARLY, GateTrigger.DROP): GateStatus.DROPPED,
    (GateStatus.OPEN, GateTrigger.ANSWER): GateStatus.ANSWERED,
    (GateStatus.OPEN, GateTrigger.DROP): GateStatus.DROPPED,
}

WORKER: Mapping[tuple[WorkerStatus, WorkerTrigger], WorkerStatus] = {
    (WorkerStatus.STARTED, WorkerTrigger.HELLO): WorkerStatus.READY,
    (WorkerStatus.STARTED, WorkerTrigger.DIE): WorkerStatus.DEAD,
    (WorkerStatus.READY, WorkerTrigger.FREEZE): WorkerStatus.FROZEN,
    (WorkerStatus.READY, WorkerTrigger.DIE): WorkerStatus.DEAD,
    (WorkerStatus.FROZEN, WorkerTrigger.THAW): WorkerStatus.READY,
    (WorkerStatus.FROZEN, WorkerTrigger.DIE): WorkerStatus.DEAD,
}

RUN_ENDS = frozenset({RunStatus.TERMINAL, RunStatus.FAILED, RunStatus.CANCELLED})
EFFECT_ENDS = frozenset({EffectStatus.CONFIRMED, EffectStatus.FAILED})
OBLIGATION_OPEN = frozenset({ObligationStatus.DUE, ObligationStatus.CLAIMED, ObligationStatus.STUCK})

END_TRIGGER: Mapping[RunStatus, RunTrigger] = {
    RunStatus.TERMINAL: RunTrigger.COMPLETE,
    RunStatus.FAILED: RunTrigger.FAIL,
    RunStatus.CANCELLED: RunTrigger.CANCEL,
}

State = TypeVar("State", bound=StrEnum)
Trigger = TypeVar("Trigger", bound=StrEnum)


def step(table: Mapping[tuple[State, Trigger], State], state: State, trigger: Trigger) -> State:
    """The state after `trigger`; raises IllegalTransition where the table has none."""
    try:
        return table[state, trigger]
    except KeyError:
        noun = type(state).__name__.removesuffix("Status").lower()
        raise IllegalTransition(f"a {noun} that is {state} cannot {trigger}") from None
