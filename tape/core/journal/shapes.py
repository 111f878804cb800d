"""What readers get: frozen dataclasses, never rows. Names ending in `_us` are microseconds of wall time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from functools import lru_cache
from typing import Any, ClassVar, cast

from tape.core.clock import format_us
from tape.core.kernel.events import Entry, Event, Json
from tape.core.kernel.lifecycle import RUN_ENDS


@dataclass(frozen=True, slots=True, kw_only=True)
class LaterEvent(Event):
    """An entry that this release cannot read: a kind of a later one, or a damaged body. Shown raw.

    Each kind gets a subclass, so that `event.kind` says what stands in the journal.
    """

    kind: ClassVar[str] = "?"
    body: Json


@lru_cache(maxsize=256)
def _later_class(kind: str) -> type[LaterEvent]:
    return type("LaterEvent", (LaterEvent,), {"kind": kind, "__slots__": ()})


def later_event(kind: str, body: Json) -> LaterEvent:
    return _later_class(kind)(body=body)


@dataclass(frozen=True, slots=True)
class WorkerRef:
    """The agent process that holds a lease."""

    no: int
    host: str
    pid: int


@dataclass(frozen=True, slots=True)
class RunView:
    """One run as it stands. `no` pages through runs; `worker` is the holder of its live lease; `conflicts` counts
    the open ones; `cancel` means that a person wants it ended."""

    no: int
    id: str
    agent: str
    status: str
    decisions: int
    effects: int
    epoch: int
    seq: int
    drive: int
    crashes: int
    waiting_on: str
    end_status: str | None
    error: str
    cancel: bool
    created_us: int
    updated_us: int
    worker: WorkerRef | None
    conflicts: int

    @property
    def created_at(self) -> str:
        return format_us(self.created_us)

    @property
    def updated_at(self) -> str:
        return format_us(self.updated_us)

    @property
    def ended(self) -> bool:
        return self.status in RUN_ENDS


@dataclass(frozen=True, slots=True)
class RunCounts:
    """How many runs there are, and how many of each status that is no end."""

    total: int
    open: dict[str, int]

    @property
    def ended(self) -> int:
        return self.total - sum(self.open.values())


@dataclass(frozen=True, slots=True)
class DecisionView:
    """One recorded reply (or error) of the model, and its charge."""

    index: int
    seq: int | None
    name: str
    request: Json
    reply: Json
    error: Json
    tokens_in: int
    tokens_out: int
    usd_micro: int
    at_us: int


@dataclass(frozen=True, slots=True)
class EffectView:
    """One tool call. `row` is the last row of the resolution table that applied, `step` what is to be done next
    (empty while a body runs and when the effect has ended); `attempts` counts enterings of the body."""

    key: str
    tool: str
    decision_index: int | None
    ordinal: int
    status: str
    resolution: str
    writer: str
    row: str
    step: str
    attempts: int
    semantics: str
    dispatch: str
    business_key: str | None
    args: Json
    result: Json
    error: Json
    result_error: str | None
    begun_us: int
    ended_us: int | None


@dataclass(frozen=True, slots=True)
class AttemptView:
    """One entering of a body, one look-up, or one undo, with the evidence of how it ended."""

    key: str
    what: str
    number: int
    by: str
    worker: int | None
    pid: int | None
    epoch: int
    started_us: int
    ended_us: int | None
    how: str
    evidence: Json


@dataclass(frozen=True, slots=True)
class BudgetView:
    """`unit`: tokens, usd_micro, or `calls:<tool>`."""

    unit: str
    cap: int | None
    reserved: int
    spent: int


@dataclass(frozen=True, slots=True)
class LeaseView:
    """One drive of the run."""

    epoch: int
    drive: int
    worker: int
    pid: int | None
    host: str | None
    status: str
    alone: bool
    first_seq: int
    granted_us: int
    ended_us: int | None
    why: str


@dataclass(frozen=True, slots=True)
class ObligationView:
    """A duty to undo one act."""

    key: str
    effect_key: str
    position: int
    status: str
    why: str
    step: str
    attempts: int
    claim_by: str
    act: Json


@dataclass(frozen=True, slots=True)
class TimerView:
    ordinal: int
    fire_us: int
    status: str


@dataclass(frozen=True, slots=True)
class ConflictView:
    no: int
    key: str
    why: str
    evidence: Json
    opened_us: int
    closed_us: int | None


@dataclass(frozen=True, slots=True)
class OrderView:
    no: int
    verb: str
    args: Json
    actor: str
    reason: str
    placed_us: int


@dataclass(frozen=True, slots=True)
class RunDump:
    """Everything that the journal holds about one run, read in one snapshot; `entries` in the order of writing."""

    run: RunView
    entries: list[Entry]
    decisions: list[DecisionView]
    effects: list[EffectView]
    attempts: list[AttemptView]
    budget: list[BudgetView]
    leases: list[LeaseView]
    obligations: list[ObligationView]
    timers: list[TimerView]
    conflicts: list[ConflictView]
    orders: list[OrderView]


def _entry_json(entry: Entry) -> dict[str, Json]:
    body = entry.event.body if isinstance(entry.event, LaterEvent) else _event_json(entry.event)
    return {
        "id": entry.id,
        "run": entry.run_id,
        "seq": entry.seq,
        "epoch": entry.epoch,
        "at": format_us(entry.at_us),
        "kind": entry.event.kind,
        "body": body,
    }


def _event_json(event: Event) -> dict[str, Json]:
    return {field.name: getattr(event, field.name) for field in fields(event)}


def _view_json(view: Any) -> dict[str, Json]:
    body: dict[str, Json] = {}
    for field in fields(view):
        value = getattr(view, field.name)
        if field.name.endswith("_us"):
            body[field.name.removesuffix("_us") + "_at"] = None if value is None else format_us(value)
        else:
            body[field.name] = to_json(value)
    return body


_SPECIAL: dict[type, Callable[[Any], dict[str, Json]]] = {Entry: _entry_json}


def to_json(value: Any) -> Json:
    """The JSON value of a view: fields by name, times as RFC 3339 UTC under `..._at`, entries with kind and body."""
    if isinstance(value, list):
        return [to_json(item) for item in cast(list[Any], value)]
    if is_dataclass(value) and not isinstance(value, type):
        return _SPECIAL.get(type(value), _view_json)(value)
    return value
