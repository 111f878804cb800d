"""What readers get about runs: frozen dataclasses, never rows, light to import.

Names ending in `_us` are microseconds of wall time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import StrEnum
from typing import Any, cast

from tape.core.clock import format_us
from tape.core.kernel.lifecycle import RUN_ENDS


@dataclass(frozen=True, slots=True)
class WorkerRef:
    """The agent process that holds a lease."""

    no: int
    host: str
    pid: int


@dataclass(frozen=True, slots=True)
class RunView:
    """One run as it stands. `no` pages through runs; `worker` is the holder of its live lease; `conflicts` counts
    the open ones; `cancel` means that a person wants it ended; `parent` is the id of the run that started it, and
    `children` how many it has started itself, of which `children_open` are not at their end. `source_id` and
    `source_seq`: the run that it was forked from; `quarantine`: what it calls is not called."""

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
    parent: str | None = None
    children: int = 0
    children_open: int = 0
    source_id: str | None = None
    source_seq: int = 0
    quarantine: bool = False

    @property
    def origin(self) -> str:
        """What it was forked from, and whether it acts: `fork of r-... at seq 6, in quarantine`; empty for no fork."""
        if self.source_id is None:
            return ""
        return f"fork of {self.source_id} at seq {self.source_seq}{', in quarantine' if self.quarantine else ''}"

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
class EffectRef:
    """One tool call in a list over all runs. `attempts` counts enterings of its body; `step` is what is to be done
    next (empty while a body runs and when the effect has ended)."""

    run_id: str
    key: str
    tool: str
    status: str
    attempts: int
    resolution: str
    writer: str
    step: str
    begun_us: int
    ended_us: int | None


@dataclass(frozen=True, slots=True)
class LeaseRef:
    """A live lease: `worker` drives the run until `lease_until_boot_us`, unless a heartbeat renews it."""

    run_id: str
    worker: int
    pid: int
    host: str
    epoch: int
    drive: int
    granted_us: int
    lease_until_boot_us: int


@dataclass(frozen=True, slots=True)
class Queue:
    """What waits for one reactor: `queued` is due now or later, `claimed` is in hand. `next_us` is when the first is
    due (0 or past: now), in boot time, for timers in wall time; None if nothing is queued."""

    queued: int = 0
    claimed: int = 0
    next_us: int | None = None


@dataclass(frozen=True, slots=True)
class Backlog:
    """The queues of the five reactors. Recovery and timers claim nothing."""

    recovery: Queue
    reconciler: Queue
    outbox: Queue
    timers: Queue
    compensation: Queue


class NeedKind(StrEnum):
    RUN = "run"
    EFFECT = "effect"
    OBLIGATION = "obligation"
    CONFLICT = "conflict"
    GATE = "gate"
    BUDGET = "budget"


@dataclass(frozen=True, slots=True)
class Need:
    """One thing that only a person can settle, or must look at: `why`, and the `commands` that help.

    `key` and `tool` are empty for a run. `args` are those of the tool call, exactly; `evidence` is the attempts with
    how they ended (effect, obligation) or the surplus act (conflict); `row` is the row of the resolution table that
    led here. A run that does not fit its tape has both sides in `recorded` and `asked`. A gate that waits for an answer
    has its name in `gate`, its `prompt` and `options` (the first one approves), one command for each option, and the
    call that the answer is bound to in `tool`, `args` and `args_hash`; `deadline_us` is when it times out. An ask or a
    call (`key`) that waits for a cap: it may take `most` of `unit`, and `budget` is the run whose `cap` is in the way,
    with what is `spent` and `reserved` of it now.
    """

    kind: NeedKind
    run_id: str
    agent: str
    key: str
    tool: str
    args: Any
    evidence: Any
    why: str
    row: str
    commands: tuple[str, ...]
    since_us: int
    recorded: str = ""
    asked: str = ""
    gate: str = ""
    ordinal: int | None = None
    prompt: str = ""
    options: tuple[str, ...] = ()
    args_hash: str = ""
    deadline_us: int | None = None
    on_timeout: str | None = None
    budget: str = ""
    unit: str = ""
    most: int | None = None
    cap: int | None = None
    spent: int | None = None
    reserved: int | None = None


@dataclass(frozen=True, slots=True)
class DutyFacts:
    """A duty to undo: of a surplus act, or of the effect's own."""

    status: str
    surplus: bool
    attempts: int


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """What the journal says about one idempotency key; `status` is empty if the run has no such effect. Duties from
    the oldest to the newest."""

    key: str
    tool: str
    status: str
    resolution: str
    duties: tuple[DutyFacts, ...] = ()


def view_json(value: Any, special: Mapping[type, Callable[[Any], Any]] = {}) -> Any:
    """The JSON value of a view: fields by name, times as RFC 3339 UTC under `..._at`; `special` says how else."""
    if type(value) in special:
        return special[type(value)](value)
    if isinstance(value, list):
        return [view_json(item, special) for item in cast(list[Any], value)]
    if not is_dataclass(value) or isinstance(value, type):
        return value
    body: dict[str, Any] = {}
    for field in fields(value):
        part = getattr(value, field.name)
        if field.name.endswith("_us"):
            body[field.name.removesuffix("_us") + "_at"] = None if part is None else format_us(part)
        else:
            body[field.name] = view_json(part, special)
    return body
