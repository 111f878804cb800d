"""The shape of a scenario: one kill-resume story and what must have come of it. Values only; a file is read and written
by tape/lab/scenario_file.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, StrEnum
from pathlib import Path
from typing import Any, Literal, TypeAlias

from tape.core.config import Config
from tape.core.kernel.events import BY_KIND
from tape.core.kernel.lifecycle import EffectStatus, ObligationStatus, RunStatus
from tape.core.kernel.points import BY_NAME, OWN_PREFIX, Arm, Death, find_point
from tape.core.kernel.policy import SECOND_US, Backoff, LeasePolicy
from tape.core.kernel.resolution import Resolution, Writer

Json: TypeAlias = Any
Loc: TypeAlias = "tuple[str | int, ...]"
"""The way to a value in the file: `("kill", 0, "at")`; lists count from 0."""

DEFAULT_WITHIN_US = 30 * SECOND_US


class Unset(Enum):
    """What stands where nothing was said and `null` would be a value."""

    UNSET = "unset"


UNSET = Unset.UNSET


@dataclass(frozen=True, slots=True)
class Count:
    """A number that must be met: from `min` to `max`, both included; None is no upper bound."""

    min: int = 0
    max: int | None = None

    @classmethod
    def exactly(cls, number: int) -> Count:
        return cls(number, number)

    def holds(self, number: int) -> bool:
        return self.min <= number and (self.max is None or number <= self.max)

    def __str__(self) -> str:
        if self.max is None:
            return f"at least {self.min}"
        return str(self.min) if self.min == self.max else f"{self.min} to {self.max}"


ZERO = Count(0, 0)


@dataclass(frozen=True, slots=True)
class Kill:
    """A death at a crash point. `decision` is the index of the decision that the point must be about. `run`: the fork
    of that name dies, and no other run; None is whoever comes there.
    """

    at: str
    tool: str | None = None
    nth: int = 1
    decision: int | None = None
    signal: Death = Death.KILL
    run: str | None = None

    def arm(self, run_id: str) -> Arm:
        """The arm for one run. Raises UsageError for a point that there is none of."""
        return Arm(
            point=find_point(self.at),
            death=self.signal,
            run_id=run_id,
            tool=self.tool,
            decision_index=self.decision,
            nth=self.nth,
        )


class Timers(StrEnum):
    """SKIPPED: time is put forward to the next timer whenever nothing but that is waited for."""

    REAL = "real"
    SKIPPED = "skipped"


class Moment(StrEnum):
    """What kind of thing an order waits for."""

    STATUS = "status"
    ENTRY = "entry"
    POINT = "point"


class Verb(StrEnum):
    """What a person or the operator can be told to do."""

    RESOLVE = "resolve"
    REDRIVE = "redrive"
    CANCEL = "cancel"
    KILL = "kill"
    FREEZE = "freeze"
    THAW = "thaw"
    ADVANCE = "advance"
    ANSWER = "answer"
    FORK = "fork"
    PROMOTE = "promote"
    BUDGET = "budget"


class How(StrEnum):
    """How a person resolves what is open. UNDO is of an act that stands, CLOSE of the conflicts of a key."""

    CONFIRM = "confirm"
    FAIL = "fail"
    RETRY = "retry"
    UNDO = "undo"
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class ScriptedOrder:
    """An order that is placed once, at the `nth` time that the run comes to `on`: a run's status, an entry's kind, or a
    crash point (then the run is held there until the order is placed).

    `tool` or `key` (`decision/ordinal/tool`, for a duty with `/undo/N` behind it), `how` and `result` belong to
    `resolve`, `by_us` to `advance`, `gate`, `value` and `ordinal` to `answer`, `caps` (by unit, dollars in millionths)
    or `deny` to `budget`, `at` (a seq) and `input` to `fork`. `result` is UNSET unless `how` is `confirm`, and `input`
    where the fork keeps its source's. `run` is the fork whose moment this is, and that the order is about; None is the
    story's own run. `name` is what the fork, or the run that it is promoted to, is called from then on.
    """

    on: str
    do: Verb
    nth: int = 1
    tool: str | None = None
    key: str | None = None
    how: How | None = None
    result: Json | Literal[Unset.UNSET] = UNSET
    by_us: int | None = None
    reason: str = ""
    gate: str | None = None
    value: str | None = None
    ordinal: int | None = None
    run: str | None = None
    at: int | None = None
    input: Json | Literal[Unset.UNSET] = UNSET
    name: str | None = None
    caps: Mapping[str, int] | None = None
    deny: bool = False

    @property
    def moment(self) -> Moment:
        if self.on in BY_NAME or self.on.startswith(OWN_PREFIX):
            return Moment.POINT
        return Moment.ENTRY if self.on in BY_KIND else Moment.STATUS

    def hold(self, run_id: str) -> Arm:
        """Where the run is held for this order. Raises UsageError if `on` is no crash point."""
        return Arm(point=find_point(self.on), death=Death.HOLD, run_id=run_id, nth=self.nth)


@dataclass(frozen=True, slots=True)
class EffectExpect:
    """What holds for one effect, or for each of a tool's; `count` is how many there are. None is not looked at."""

    status: EffectStatus | None = None
    resolution: Resolution | None = None
    attempts: Count | None = None
    count: Count | None = None
    row: str | None = None
    writer: Writer | None = None


@dataclass(frozen=True, slots=True)
class BudgetExpect:
    """What holds for one unit of the run's budget at the end, dollars in millionths; `refused` is how often its cap was
    in the way. None is not looked at."""

    spent: int | None = None
    reserved: int | None = None
    lost: int | None = None
    refused: Count | None = None


@dataclass(frozen=True, slots=True)
class ForkExpect:
    """What must have come of one fork, or of what it was promoted to. `acts` are those in all ledgers under keys of it
    or of its children, undone or not; `inherited` the calls that it took over with their outcomes, `quarantined` its
    own that were not made; `void` the approvals that it took over and that approve nothing there. `asks` and `leases`
    include those of its children."""

    status: RunStatus = RunStatus.TERMINAL
    result: Json | Literal[Unset.UNSET] = UNSET
    error: str | None = None
    acts: Count | None = None
    inherited: Count | None = None
    quarantined: Count | None = None
    void: Count | None = None
    decisions: Count | None = None
    asks: Count | None = None
    leases: Count | None = None
    budget: Mapping[str, BudgetExpect] = field(default_factory=dict[str, BudgetExpect])


@dataclass(frozen=True, slots=True)
class Expect:
    """What must have come of the story; None, UNSET or nothing in a mapping is not looked at.

    `upstream` and `keyed` go by `STANDIN.COLLECTION`; `effects` and `obligations` by tool, or by
    `decision/ordinal/tool`; one of several obligations has `/undo/N` behind it. `resolutions` are those of all effects
    in the order of their begin. `decisions`, `asks`, `asked_twice`, `leases` and `refused` count the run and its
    descendants; `upstream`, `conflicts`, `doubled`, `lost` and `deaths` the whole story, forks included; all others are
    of the run itself. `forks` go by their names.
    """

    status: RunStatus = RunStatus.TERMINAL
    result: Json | Literal[Unset.UNSET] = UNSET
    error: str | None = None
    upstream: Mapping[str, Count] = field(default_factory=dict[str, Count])
    keyed: Mapping[str, Count] = field(default_factory=dict[str, Count])
    decisions: Count | None = None
    asks: Count | None = None
    asked_twice: Count | None = None
    effects: Mapping[str, EffectExpect] = field(default_factory=dict[str, EffectExpect])
    resolutions: tuple[Resolution, ...] | None = None
    obligations: Mapping[str, ObligationStatus] = field(default_factory=dict[str, ObligationStatus])
    conflicts: Count | None = None
    leases: Count | None = None
    deaths: Count | None = None
    refused: Count | None = None
    doubled: Count = ZERO
    lost: Count = ZERO
    budget: Mapping[str, BudgetExpect] = field(default_factory=dict[str, BudgetExpect])
    forks: Mapping[str, ForkExpect] = field(default_factory=dict[str, ForkExpect])


@dataclass(frozen=True, slots=True)
class Settings:
    """What a scenario sets differently from tape.yaml; None is as it stands there."""

    ttl_us: int | None = None
    heartbeat_us: int | None = None
    stall_us: int | None = None
    max_crashes: int | None = None
    backoff: Backoff | None = None
    workers: int | None = None
    concurrency: int | None = None
    asks: int | None = None
    ask_backoff: Backoff | None = None

    def lease(self, lease: LeasePolicy) -> LeasePolicy:
        """A `ttl` without a `heartbeat` shortens tape.yaml's to a third of it where that is needed."""
        ttl = self.ttl_us or lease.ttl_us
        beat = self.heartbeat_us
        if beat is None:
            beat = lease.heartbeat_us if lease.heartbeat_us < ttl else max(1, ttl // 3)
        return LeasePolicy(ttl, beat, self.stall_us or lease.stall_us)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One story. `kill` is in the order of the deaths, `orders` in the order of the orders.

    `shown` is the file's name in messages, `source` its path (None if it never was a file), `lines` the line of each
    value in it; two scenarios that differ only in these are equal.
    """

    name: str
    about: str = ""
    agent: str | None = None
    project: str | None = None
    recorded: str | None = None
    input: Json = None
    upstream: Mapping[str, Mapping[str, Json]] = field(default_factory=dict[str, "Mapping[str, Json]"])
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    settings: Settings = Settings()
    within_us: int = DEFAULT_WITHIN_US
    timers: Timers = Timers.REAL
    kill: tuple[Kill, ...] = ()
    orders: tuple[ScriptedOrder, ...] = ()
    expect: Expect = Expect()
    shown: str = field(default="scenario", compare=False)
    source: Path | None = field(default=None, compare=False)
    lines: Mapping[Loc, int] = field(default_factory=dict[Loc, int], compare=False, repr=False)

    def place(self, *loc: str | int) -> str:
        """`FILE:LINE` of a value, or of the nearest one around it that stands in the file."""
        for length in range(len(loc), -1, -1):
            if line := self.lines.get(loc[:length]):
                return f"{self.shown}:{line}"
        return self.shown

    def folder(self) -> Path:
        """Where the search for tape.yaml starts."""
        beside = self.source.parent if self.source is not None else Path()
        return beside / self.project if self.project is not None else beside

    def rehearsal(self) -> Path | None:
        """The recorded run that plays models and tools, if one does."""
        if self.recorded is None:
            return None
        beside = self.source.parent if self.source is not None else Path()
        return (beside / self.recorded).absolute()

    def over(self, config: Config) -> Config:
        """The project's configuration as this story wants it: stand-ins are merged by name and option."""
        told = self.settings
        asks = config.recovery.asks
        recovery = replace(
            config.recovery,
            max_crashes=told.max_crashes or config.recovery.max_crashes,
            backoff=told.backoff or config.recovery.backoff,
            asks=replace(asks, max_asks=told.asks or asks.max_asks, backoff=told.ask_backoff or asks.backoff),
        )
        upstream = {**config.upstream}
        for name, options in self.upstream.items():
            upstream[name] = {**upstream.get(name, {}), **options}
        return replace(
            config,
            upstream=upstream,
            lease=told.lease(config.lease),
            recovery=recovery,
            workers=told.workers or config.workers,
            concurrency=told.concurrency or config.concurrency,
        )
