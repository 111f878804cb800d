"""The vocabulary: one frozen dataclass per kind of entry (contract.md section 2).

Kinds in `TAPE_KINDS` stand on the tape of a run (they have a `seq`, replay needs them); all others tell the story
of the crash and never shift the tape. The run, the epoch and the time are columns of the entry, not fields here.
Names ending in `_us` are integer microseconds of wall time; `usd_micro` is a millionth of a dollar.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar

Json = Any
"""What JSON can hold: the edge of the type system (house.md section 2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of all entries' bodies."""

    kind: ClassVar[str] = ""


# --- on the tape ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(Event):
    """`parent`: the run that started this one; `source`: the run that it was forked from, up to `source_seq`."""

    kind: ClassVar[str] = "run_started"
    agent: str
    input: Json
    start_key: str | None = None
    actor: str = ""
    parent: str | None = None
    source: str | None = None
    source_seq: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision(Event):
    """One recorded reply of the model, or the error it raised (`{"type", "message"}`). `code` and `tools` are hashes
    of the project's code and of its tools' declarations when it was recorded."""

    kind: ClassVar[str] = "decision"
    index: int
    name: str
    fingerprint: str
    request: Json
    reply: Json = None
    error: Json = None
    code: str = ""
    tools: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge(Event):
    """What one reply or act cost; `pays_for` is `decision 0` or an effect's key."""

    kind: ClassVar[str] = "charge"
    pays_for: str
    tokens_in: int = 0
    tokens_out: int = 0
    usd_micro: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectBegun(Event):
    """The intent. `awaited`: the run waits for its end (an outbox effect may be left to itself); `approval`: the gate,
    as `name ordinal`, whose answer it uses up; `quarantined`: nothing outside is touched, its body is not entered;
    `hidden`: what stands in the arguments and is not recorded (kernel/hidden.py)."""

    kind: ClassVar[str] = "effect_begun"
    key: str
    decision_index: int | None
    ordinal: int
    tool: str
    args: Json
    args_hash: str
    fingerprint: str
    semantics: str
    dispatch: str = "inline"
    look_up: bool = False
    compensable: bool = False
    business_key: str | None = None
    awaited: bool = True
    approval: str | None = None
    quarantined: bool = False
    hidden: Json = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectEnded(Event):
    """The outcome, once it is certain. `result_error` says why a result could not be recorded."""

    kind: ClassVar[str] = "effect_ended"
    key: str
    tool: str
    status: str
    resolution: str
    writer: str
    row: str = ""
    attempt: int = 1
    result: Json = None
    error: Json = None
    result_error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample(Event):
    kind: ClassVar[str] = "sample"
    index: int
    name: str
    fingerprint: str
    value: Json = None
    error: Json = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerSet(Event):
    kind: ClassVar[str] = "timer_set"
    ordinal: int
    seconds: float
    fire_at_us: int
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerFired(Event):
    kind: ClassVar[str] = "timer_fired"
    ordinal: int
    late_us: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class GateOpened(Event):
    """A named pause. `approves` is the call that the answer is bound to: `{"tool", "args", "args_hash"}`, and `hidden`
    if anything in its arguments is."""

    kind: ClassVar[str] = "gate_opened"
    name: str
    ordinal: int
    prompt: str
    options: list[str]
    fingerprint: str
    deadline_us: int | None = None
    on_timeout: str | None = None
    approves: Json = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GateAnswered(Event):
    """The answer that counts: a person's, a program's, or what the time-out gives (`timed_out`). `void`: it was taken
    over from another run, and approves nothing."""

    kind: ClassVar[str] = "gate_answered"
    name: str
    ordinal: int
    answer: str | None
    actor: str = ""
    reason: str = ""
    timed_out: bool = False
    void: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildStarted(Event):
    kind: ClassVar[str] = "child_started"
    ordinal: int
    child: str
    agent: str
    input: Json
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildEnded(Event):
    kind: ClassVar[str] = "child_ended"
    ordinal: int
    child: str
    status: str
    result: Json = None
    error: Json = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetRefused(Event):
    """A cap was in the way. `place` is `decision 3` or an effect's key; `ordinal` counts refusals at that place; `run`
    is whose purse it was: this run's, or an ancestor's. `actor`: who would not raise it, if a person was asked."""

    kind: ClassVar[str] = "budget_refused"
    place: str
    ordinal: int
    unit: str
    asked: int
    cap: int
    spent: int
    reserved: int
    run: str
    fingerprint: str = ""
    actor: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnded(Event):
    kind: ClassVar[str] = "run_ended"
    outcome: str
    result: Json = None
    error: Json = None
    writer: str = "agent"


# --- the story --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStarted(Event):
    kind: ClassVar[str] = "server_started"
    pid: int
    host: str
    boot_id: str
    release: str
    sqlite: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStarted(Event):
    kind: ClassVar[str] = "worker_started"
    worker: int
    pid: int
    start_ticks: int
    nonce: str
    host: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerMoved(Event):
    """Ready, frozen, thawed."""

    kind: ClassVar[str] = "worker_moved"
    worker: int
    pid: int
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerDied(Event):
    """`proven`: no living process of this host carries the worker's nonce."""

    kind: ClassVar[str] = "worker_died"
    worker: int
    pid: int
    how: str
    proven: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseGranted(Event):
    """`decision_index` and `next_seq` are the next ones to be written."""

    kind: ClassVar[str] = "lease_granted"
    worker: int
    pid: int
    epoch: int
    drive: int
    decision_index: int
    next_seq: int
    crashes: int = 0
    alone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseEnded(Event):
    kind: ClassVar[str] = "lease_ended"
    worker: int
    pid: int
    epoch: int
    status: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached(Event):
    """The agent has replayed its tape; `replayed` are the keys of effects that were answered from the record."""

    kind: ClassVar[str] = "attached"
    decision_index: int
    next_seq: int
    drive: int
    replayed: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelAsked(Event):
    kind: ClassVar[str] = "model_asked"
    index: int
    name: str
    asks: int = 1
    reserved: Json = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptStarted(Event):
    """`what`: body, look-up or undo; `number` counts from 1 within the key."""

    kind: ClassVar[str] = "attempt_started"
    key: str
    what: str
    number: int
    by: str
    worker: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptEnded(Event):
    """How an attempt ended that gave no final outcome: it died, timed out, or raised something ambiguous."""

    kind: ClassVar[str] = "attempt_ended"
    key: str
    what: str
    number: int
    how: str
    error: Json = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed(Event):
    """A look-up's answer, and the row of the resolution table that it led to."""

    kind: ClassVar[str] = "observed"
    key: str
    number: int
    answer: str
    row: str
    step: str
    detail: Json = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectDoubted(Event):
    """The effect is UNKNOWN, or open with nobody in its body: the row says what is done about it."""

    kind: ClassVar[str] = "effect_doubted"
    key: str
    status: str
    row: str
    step: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed(Event):
    kind: ClassVar[str] = "claimed"
    key: str
    by: str
    claim_epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimEnded(Event):
    kind: ClassVar[str] = "claim_ended"
    key: str
    by: str
    claim_epoch: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunMoved(Event):
    kind: ClassVar[str] = "run_moved"
    status: str
    was: str
    why: str
    commands: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ObligationMoved(Event):
    kind: ClassVar[str] = "obligation_moved"
    key: str
    status: str
    was: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteRefused(Event):
    """A write that was not applied, kept as evidence (invariant I6). Without a `worker` it is a reactor's, and the
    epochs are its claim's."""

    kind: ClassVar[str] = "write_refused"
    worker: int | None
    epoch: int
    live_epoch: int
    write: str
    why: str
    evidence: Json = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConflictOpened(Event):
    kind: ClassVar[str] = "conflict_opened"
    key: str
    why: str
    evidence: Json = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConflictClosed(Event):
    kind: ClassVar[str] = "conflict_closed"
    key: str
    actor: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyAnswer(Event):
    """A gate was answered before the run came to it."""

    kind: ClassVar[str] = "early_answer"
    name: str
    ordinal: int
    answer: str
    actor: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerRefused(Event):
    """A further answer to a gate: it changes nothing."""

    kind: ClassVar[str] = "answer_refused"
    name: str
    ordinal: int
    answer: str
    actor: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRefused(Event):
    """A call that needs an approval has none that fits: its body was not entered."""

    kind: ClassVar[str] = "approval_refused"
    tool: str
    args_hash: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetLost(Event):
    """An ask or an act whose bill nobody has seen, taken as its reserved maximum: the reply was lost in a crash."""

    kind: ClassVar[str] = "budget_lost"
    place: str
    tokens: int = 0
    usd_micro: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetOverrun(Event):
    """A bill was higher than what was reserved for it, and passed the cap by so much; `run` is whose cap."""

    kind: ClassVar[str] = "budget_overrun"
    place: str
    unit: str
    by: int
    run: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetRaised(Event):
    kind: ClassVar[str] = "budget_raised"
    unit: str
    was: int | None
    cap: int | None
    actor: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetAwaited(Event):
    """A cap is in the way of an ask or a call, and a person is asked to raise it: `run` is whose. Nothing of it has
    begun; the run asks again when the cap is raised or refused."""

    kind: ClassVar[str] = "budget_awaited"
    place: str
    unit: str
    asked: int
    cap: int
    spent: int
    reserved: int
    run: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetDenied(Event):
    """A person will not raise the cap: the ask or the call gets its refusal when it is asked for again."""

    kind: ClassVar[str] = "budget_denied"
    place: str
    actor: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkPromoted(Event):
    """What a fork did in quarantine is done for good by `run`, which goes on from `source_seq`."""

    kind: ClassVar[str] = "fork_promoted"
    run: str
    source_seq: int
    actor: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPlaced(Event):
    kind: ClassVar[str] = "order_placed"
    order: int
    verb: str
    args: Json
    actor: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PointReached(Event):
    """An armed crash point was reached; `death` is what was done there."""

    kind: ClassVar[str] = "point_reached"
    point: str
    death: str
    worker: int
    pid: int
    order: int | None = None


TAPE_EVENTS: tuple[type[Event], ...] = (
    RunStarted,
    Decision,
    Charge,
    EffectBegun,
    EffectEnded,
    Sample,
    TimerSet,
    TimerFired,
    GateOpened,
    GateAnswered,
    ChildStarted,
    ChildEnded,
    BudgetRefused,
    RunEnded,
)
STORY_EVENTS: tuple[type[Event], ...] = (
    ServerStarted,
    WorkerStarted,
    WorkerMoved,
    WorkerDied,
    LeaseGranted,
    LeaseEnded,
    Attached,
    ModelAsked,
    AttemptStarted,
    AttemptEnded,
    Observed,
    EffectDoubted,
    Claimed,
    ClaimEnded,
    RunMoved,
    ObligationMoved,
    WriteRefused,
    ConflictOpened,
    ConflictClosed,
    EarlyAnswer,
    AnswerRefused,
    ApprovalRefused,
    BudgetLost,
    BudgetOverrun,
    BudgetRaised,
    BudgetAwaited,
    BudgetDenied,
    ForkPromoted,
    OrderPlaced,
    PointReached,
)
BY_KIND: dict[str, type[Event]] = {event.kind: event for event in (*TAPE_EVENTS, *STORY_EVENTS)}
TAPE_KINDS: frozenset[str] = frozenset(event.kind for event in TAPE_EVENTS)


def from_json(kind: str, body: dict[str, Json]) -> Event:
    """The event of an entry's body. Fields that a later release added are dropped; missing ones take defaults."""
    cls = BY_KIND[kind]
    names = {field.name for field in fields(cls)}
    return cls(**{name: value for name, value in body.items() if name in names})


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the journal as everybody outside the journal's folder sees it."""

    id: int
    run_id: str | None
    seq: int | None
    epoch: int
    at_us: int
    event: Event
