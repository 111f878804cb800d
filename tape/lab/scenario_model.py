"""What may stand where in a scenario file, as pydantic models, and the values that come of it.

A problem that lies between two fields is raised for the whole model and names the field it is about (`BETWEEN`).
Imported only while a file is read, see tape/lab/scenario_words.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError

from tape.core.kernel.lifecycle import EFFECT_ENDS, EffectStatus, RunStatus
from tape.core.kernel.points import Death, Stage, find_point
from tape.core.kernel.resolution import Resolution, Writer
from tape.core.strict_yaml import quoted, suggest
from tape.lab import scenario as values
from tape.lab import scenario_words as words
from tape.lab.scenario import DEFAULT_WITHIN_US, UNSET, ZERO, Count, How, Verb

BETWEEN = "tape_between"
NULL_MEANS_NULL = ("result", "input")

_RUN_ENDS = (RunStatus.TERMINAL, RunStatus.FAILED, RunStatus.CANCELLED)
_ABOUT_TOOL = ("begin", "end")
_ABOUT_DECISION = ("ask", "decision", "begin", "end")
_NEEDS = {
    Verb.RESOLVE: ("tool", "key", "how", "result"),
    Verb.ADVANCE: ("by",),
    Verb.ANSWER: ("gate", "value", "ordinal"),
    Verb.FORK: ("at", "input"),
    Verb.BUDGET: ("caps", "deny"),
}
_MAKES_A_RUN = (Verb.FORK, Verb.PROMOTE)
_AGENT_OR_OUTBOX = (Writer.AGENT, Writer.OUTBOX)
_ENDINGS: dict[Resolution, tuple[tuple[EffectStatus, ...], tuple[Writer, ...]]] = {
    Resolution.RETURNED: ((EffectStatus.CONFIRMED,), _AGENT_OR_OUTBOX),
    Resolution.REJECTED: ((EffectStatus.FAILED,), _AGENT_OR_OUTBOX),
    Resolution.OBSERVED: ((EffectStatus.CONFIRMED,), (Writer.RECONCILER,)),
    Resolution.REDISPATCHED: ((EffectStatus.CONFIRMED,), _AGENT_OR_OUTBOX),
    Resolution.COMPENSATED: ((EffectStatus.FAILED,), (Writer.COMPENSATION, Writer.OPERATOR)),
    Resolution.DECIDED: ((EffectStatus.CONFIRMED, EffectStatus.FAILED), (Writer.OPERATOR,)),
    Resolution.DROPPED: ((EffectStatus.FAILED,), (Writer.AGENT, Writer.OPERATOR)),
}
"""How an effect can have ended: what it is then, and who wrote it (contract.md section 4)."""


class Shape(BaseModel):
    """A mapping of the file. What is left empty has its default."""

    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def drop_empty(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        named = cast("dict[str, Any]", given)
        kept = {key for key in named if key in NULL_MEANS_NULL or key not in cls.model_fields}
        return {key: value for key, value in named.items() if value is not None or key in kept}

    def refuse(self, problems: Iterable[tuple[str | values.Loc, str]]) -> None:
        found = list(problems)
        if found:
            raise PydanticCustomError(BETWEEN, "between fields", {"problems": found})


class KillShape(Shape):
    at: words.Point
    tool: words.Tool | None = None
    nth: words.Nth = 1
    decision: words.Index | None = None
    signal: words.Signal = Death.KILL
    run: words.ForkName | None = None

    @model_validator(mode="after")
    def possible(self) -> KillShape:
        self.refuse(self._problems())
        return self

    def _problems(self) -> Iterator[tuple[str, str]]:
        point = find_point(self.at)
        hook, own = point.stage is Stage.HOOK, point.stage is Stage.OWN
        if hook and self.signal != Death.KILL:
            yield "signal", f"at {self.at} only the hook worker dies, by KILL; leave signal out"
        if own and self.signal in (Death.STOP, Death.LOST):
            yield "signal", "an author's own point knows only KILL and TERM; write one of them"
        if self.tool is not None and not hook and point.frame not in _ABOUT_TOOL:
            yield "tool", f"{self.at} is not about a tool, so this would never strike; leave tool out"
        if self.decision is not None and not hook and point.frame not in _ABOUT_DECISION:
            yield "decision", f"{self.at} is not about a decision, so this would never strike; leave decision out"

    def value(self) -> values.Kill:
        return values.Kill(self.at, self.tool, self.nth, self.decision, Death(self.signal), self.run)


class OrderShape(Shape):
    on: words.On
    do: words.Do
    nth: words.Nth = 1
    tool: words.Tool | None = None
    key: words.Key | None = None
    how: words.HowTo | None = None
    result: words.Value = UNSET
    by: words.Duration = None
    gate: words.Gate | None = None
    value: words.Gate | None = None
    ordinal: words.Index | None = None
    caps: dict[words.Unit, words.Amount] | None = None
    deny: bool = False
    reason: words.Line = ""
    run: words.ForkName | None = None
    at: words.Seq | None = None
    input: words.Value = UNSET
    name: words.ForkName | None = None

    @model_validator(mode="after")
    def possible(self) -> OrderShape:
        self.refuse(self._problems())
        return self

    def _problems(self) -> Iterator[tuple[str, str]]:
        for verb, fields in _NEEDS.items():
            if verb != self.do:
                for name in fields:
                    if name in self.model_fields_set:
                        yield name, f"belongs to {verb}, not to {self.do}; leave it out"
        if self.do == Verb.ADVANCE and self.by is None:
            yield "", "advance needs by, how far the clock moves; write by: 1h"
        if self.do == Verb.RESOLVE:
            yield from self._resolving()
        if self.do == Verb.ANSWER and (self.gate is None or self.value is None):
            yield "", "answer needs a gate and one of its options; write gate: NAME, value: approve"
        if self.do == Verb.BUDGET:
            yield from self._budgeting()
        yield from self._forking()
        if self.on in _RUN_ENDS and self.nth > 1:
            yield "nth", f"a run comes to {self.on} once; leave nth out"

    def _budgeting(self) -> Iterator[tuple[str, str]]:
        if bool(self.caps) is self.deny:
            yield "", "budget needs caps, or deny and no caps; write caps: {usd: 0.10}, or deny: true"
        for unit, amount in (self.caps or {}).items():
            if wrong := _wrong_amount(unit, amount):
                yield "caps", f"{unit}: {wrong}"

    def _forking(self) -> Iterator[tuple[str, str]]:
        if self.do not in _MAKES_A_RUN:
            if "name" in self.model_fields_set:
                yield "name", f"belongs to fork and promote, not to {self.do}; leave it out"
            return
        if self.name is None:
            yield "", f"{self.do} makes a run, which needs a name; write name: trial"
        if self.do == Verb.FORK and self.at is None:
            yield "", "fork needs at, the last record that is taken over; write at: 3"
        if self.do == Verb.PROMOTE and self.run is None:
            yield "", "promote needs run, the fork that is promoted; write run: trial"

    def _resolving(self) -> Iterator[tuple[str, str]]:
        if self.how is None:
            yield "", "resolve needs how; write how: confirm, fail or retry"
        if self.how == How.CONFIRM and self.result is UNSET:
            yield "", "confirm needs the result that the agent gets; write result: {...}, or result: null"
        if self.how not in (None, How.CONFIRM) and self.result is not UNSET:
            yield "result", f"belongs to confirm, not to {self.how}; leave it out"
        if self.tool is None and self.key is None:
            yield "", "resolve needs what is resolved; write tool: NAME, or key: decision/ordinal/tool"
        if self.tool is not None and self.key is not None:
            yield "tool", "key names the tool already; keep one of them"

    def scripted(self) -> values.ScriptedOrder:
        how = None if self.how is None else How(self.how)
        return values.ScriptedOrder(
            self.on, Verb(self.do), self.nth, self.tool, self.key, how, self.result, self.by, self.reason,
            gate=self.gate, value=self.value, ordinal=self.ordinal,
            run=self.run, at=self.at, input=self.input, name=self.name, caps=self._caps(), deny=self.deny,
        )  # fmt: skip

    def _caps(self) -> dict[str, int] | None:
        if self.caps is None:
            return None
        named = {"usd": "usd_micro"}
        return {named.get(unit, unit): round(amount * _parts(unit)) for unit, amount in self.caps.items()}


class EffectShape(Shape):
    status: words.OfEffect | None = None
    resolution: words.Resolved | None = None
    attempts: words.Tally = None
    count: words.Tally = None
    row: words.Row | None = None
    writer: words.By | None = None

    @model_validator(mode="after")
    def possible(self) -> EffectShape:
        self.refuse(self._problems())
        return self

    def _problems(self) -> Iterator[tuple[str, str]]:
        if not self.model_fields_set:
            yield "", "nothing is expected of it; write {status: CONFIRMED}, or take it out"
        if self.count == ZERO and len(self.model_fields_set) > 1:
            yield "count", "where there is none, nothing else can be expected; leave the rest out"
        if self.status is not None and self.status not in EFFECT_ENDS:
            for name in ("resolution", "writer"):
                if name in self.model_fields_set:
                    yield name, f"an effect that is {self.status} has not ended, so it has no {name}; leave it out"
        elif self.resolution is not None:
            yield from self._ended(Resolution(self.resolution))

    def _ended(self, resolution: Resolution) -> Iterator[tuple[str, str]]:
        statuses, writers = _ENDINGS[resolution]
        if self.status is not None and self.status not in statuses:
            yield "resolution", f"{resolution} ends {' or '.join(statuses)}, never {self.status}; change one of them"
        if self.writer is not None and self.writer not in writers:
            yield (
                "writer",
                f"{resolution} is written by {' or '.join(writers)}, never {self.writer}; change one of them",
            )
        attempts = cast("Count | None", self.attempts)
        if attempts is None:
            return
        if resolution is Resolution.REDISPATCHED and attempts.max is not None and attempts.max < 2:
            yield "attempts", "redispatched means a second attempt at least; write 2 or more"
        if resolution is Resolution.RETURNED and not attempts.holds(1):
            yield "attempts", "returned means the first attempt; write 1, or resolution: redispatched"

    def value(self) -> values.EffectExpect:
        status = None if self.status is None else EffectStatus(self.status)
        resolution = None if self.resolution is None else Resolution(self.resolution)
        writer = None if self.writer is None else Writer(self.writer)
        return values.EffectExpect(status, resolution, self.attempts, self.count, self.row, writer)


class BudgetShape(Shape):
    spent: words.Amount | None = None
    reserved: words.Amount | None = None
    lost: words.Amount | None = None
    refused: words.Tally = None

    def problems(self, unit: str) -> Iterator[tuple[str, str]]:
        """Each as the key that is wrong, and what is."""
        if not self.model_fields_set:
            yield "", "nothing is expected of it; write {spent: 0.05}, or take it out"
        for name in ("spent", "reserved", "lost"):
            amount = getattr(self, name)
            if amount is not None and (wrong := _wrong_amount(unit, amount)):
                yield name, wrong

    def value(self, unit: str) -> values.BudgetExpect:
        told = {name: getattr(self, name) for name in ("spent", "reserved", "lost")}
        parts = {name: None if amount is None else round(amount * _parts(unit)) for name, amount in told.items()}
        return values.BudgetExpect(**parts, refused=self.refused)


def _wrong_amount(unit: str, amount: Any) -> str:
    """What is wrong with so much of a unit; empty if nothing is."""
    if abs(amount * _parts(unit) - round(amount * _parts(unit))) <= 0.001:
        return ""
    least = "0.000001 dollars is the smallest amount" if unit == "usd" else f"{unit} are whole numbers"
    return f"{amount} is no amount; {least}"


def _parts(unit: str) -> int:
    return 1_000_000 if unit == "usd" else 1


class ForkShape(Shape):
    status: words.Ending = RunStatus.TERMINAL
    result: words.Value = UNSET
    error: str | None = None
    acts: words.Tally = None
    inherited: words.Tally = None
    quarantined: words.Tally = None
    void: words.Tally = None
    decisions: words.Tally = None
    asks: words.Tally = None
    leases: words.Tally = None
    budget: dict[words.Unit, BudgetShape] = {}

    @model_validator(mode="after")
    def possible(self) -> ForkShape:
        self.refuse([*_ending(self.status, self.result, self.error, self.leases), *_purse(self.budget)])
        return self

    def value(self) -> values.ForkExpect:
        given: dict[str, Any] = {name: getattr(self, name) for name in type(self).model_fields}
        given["budget"] = {unit: amounts.value(unit) for unit, amounts in self.budget.items()}
        return values.ForkExpect(**given)


def _ending(status: str, result: Any, error: str | None, leases: Count | None) -> Iterator[tuple[str, str]]:
    if status != RunStatus.TERMINAL and result is not UNSET:
        yield "result", f"a run that is {status} has no result; leave it out"
    if status == RunStatus.TERMINAL and error is not None:
        yield "error", "a run that is TERMINAL has no error; leave it out, or write status: FAILED"
    if status == RunStatus.TERMINAL and leases is not None and leases.max == 0:
        yield "leases", "a run that is TERMINAL had one lease at least; write 1 or more"


def _purse(budget: dict[str, BudgetShape]) -> Iterator[tuple[str, str]]:
    for unit, amounts in budget.items():
        yield from (("budget", f"{unit}: {what}") for _, what in amounts.problems(unit))


class ExpectShape(Shape):
    status: words.Ending = RunStatus.TERMINAL
    result: words.Value = UNSET
    error: str | None = None
    upstream: dict[words.Collection, words.Tally] = {}
    keyed: dict[words.Collection, words.Tally] = {}
    decisions: words.Tally = None
    asks: words.Tally = None
    asked_twice: words.Tally = None
    effects: dict[words.ToolOrPlace, EffectShape] = {}
    resolutions: list[words.Resolved] | None = None
    obligations: dict[words.Duty, words.OfDuty] = {}
    conflicts: words.Tally = None
    leases: words.Tally = None
    deaths: words.Tally = None
    refused: words.Tally = None
    doubled: words.Tally = ZERO
    lost: words.Tally = ZERO
    budget: dict[words.Unit, BudgetShape] = {}
    forks: dict[words.ForkName, ForkShape] = {}

    @model_validator(mode="after")
    def possible(self) -> ExpectShape:
        self.refuse(self._problems())
        return self

    def _problems(self) -> Iterator[tuple[str, str]]:
        yield from _ending(self.status, self.result, self.error, self.leases)
        yield from _purse(self.budget)
        for name, keyed in self.keyed.items():
            acts = self.upstream.get(name)
            if acts is not None and acts.max is not None and keyed.min > acts.max:
                yield "keyed", f"{name}: {keyed} with a key is more than {acts} in all; change one of them"
        if self.asks is not None and self.asks.max is not None:
            yield from self._asked(self.asks.max)

    def _asked(self, most: int) -> Iterator[tuple[str, str]]:
        twice = self.asked_twice.min if self.asked_twice is not None else 0
        decided = self.decisions.min if self.decisions is not None else 0
        if twice and twice >= most:
            yield "asked_twice", f"of at most {most} asks, {twice} cannot come after the first; change one of them"
        elif decided + twice > most:
            yield "asks", f"{decided} decisions and {twice} asks beyond the first make more than {most}; change one"

    def value(self) -> values.Expect:
        given: dict[str, Any] = {name: getattr(self, name) for name in type(self).model_fields}
        given["effects"] = {place: effect.value() for place, effect in self.effects.items()}
        given["budget"] = {unit: amounts.value(unit) for unit, amounts in self.budget.items()}
        given["forks"] = {name: fork.value() for name, fork in self.forks.items()}
        given["resolutions"] = None if self.resolutions is None else tuple(self.resolutions)
        return values.Expect(**given)


class LeaseShape(Shape):
    ttl: words.Duration = None
    heartbeat: words.Duration = None
    stall: words.Duration = None

    @model_validator(mode="after")
    def possible(self) -> LeaseShape:
        if self.ttl is not None and self.heartbeat is not None and self.heartbeat >= self.ttl:
            self.refuse([("heartbeat", "must be shorter than ttl; a third of it is usual")])
        return self


class RecoveryShape(Shape):
    max_crashes: words.Crashes | None = None
    backoff: words.Pause | None = None
    asks: words.Crashes | None = None
    ask_backoff: words.Pause | None = None


class SettingsShape(Shape):
    lease: LeaseShape = LeaseShape()
    recovery: RecoveryShape = RecoveryShape()
    workers: words.Workers | None = None
    concurrency: words.Concurrency | None = None

    def value(self) -> values.Settings:
        lease, recovery = self.lease, self.recovery
        return values.Settings(
            lease.ttl,
            lease.heartbeat,
            lease.stall,
            recovery.max_crashes,
            cast(Any, recovery.backoff),
            self.workers,
            self.concurrency,
            recovery.asks,
            cast(Any, recovery.ask_backoff),
        )


class ScenarioShape(Shape):
    name: words.Line
    about: words.Prose = ""
    agent: words.Agent | None = None
    project: words.Folder | None = None
    recorded: words.Folder | None = None
    input: words.Value = None
    upstream: dict[words.StandIn, words.Options] = {}
    environment: dict[words.Variable, words.Setting] = {}
    settings: SettingsShape = SettingsShape()
    within: words.Duration = DEFAULT_WITHIN_US
    timers: words.Pace = values.Timers.REAL
    kill: list[KillShape] = []
    orders: list[OrderShape] = []
    expect: ExpectShape = ExpectShape()

    @model_validator(mode="after")
    def possible(self) -> ScenarioShape:
        self.refuse(self._problems())
        return self

    def _problems(self) -> Iterator[tuple[values.Loc, str]]:
        """A fork is made before anything is said to it."""
        known: dict[str, None] = {}
        for number, order in enumerate(self.orders):
            if order.run is not None and order.run not in known:
                yield ("orders", number, "run"), _no_fork(order.run, known)
            if order.name is not None and order.name in known:
                yield ("orders", number, "name"), f"there is a fork {order.name} already; choose another name"
            if order.name is not None:
                known[order.name] = None
        for number, kill in enumerate(self.kill):
            if kill.run is not None and kill.run not in known:
                yield ("kill", number, "run"), _no_fork(kill.run, known)
        for name in self.expect.forks:
            if name not in known:
                yield ("expect", "forks", name), _no_fork(name, known)

    def value(self) -> values.Scenario:
        return values.Scenario(
            name=self.name,
            about=self.about,
            agent=self.agent,
            project=self.project,
            recorded=self.recorded,
            input=self.input,
            upstream=self.upstream,
            environment=self.environment,
            settings=self.settings.value(),
            within_us=self.within,
            timers=values.Timers(self.timers),
            kill=tuple(kill.value() for kill in self.kill),
            orders=tuple(order.scripted() for order in self.orders),
            expect=self.expect.value(),
        )


def _no_fork(name: str, known: Iterable[str]) -> str:
    near = suggest(name, known)
    made = ", ".join(known)
    hint = f"did you mean {near}?" if near else f"there are by then: {made or 'none'}; an order `do: fork` makes one"
    return f"no fork is called {quoted(name)}; {hint}"


SHAPES: dict[tuple[str, ...], type[Shape]] = {
    (): ScenarioShape,
    ("kill", "*"): KillShape,
    ("orders", "*"): OrderShape,
    ("settings",): SettingsShape,
    ("settings", "lease"): LeaseShape,
    ("settings", "recovery"): RecoveryShape,
    ("expect",): ExpectShape,
    ("expect", "effects", "*"): EffectShape,
    ("expect", "budget", "*"): BudgetShape,
    ("expect", "forks", "*"): ForkShape,
    ("expect", "forks", "*", "budget", "*"): BudgetShape,
}


def keys_at(loc: values.Loc) -> tuple[str, ...]:
    """The keys that the mapping at this place can have."""
    for path, shape in SHAPES.items():
        if len(path) == len(loc) and all(part in ("*", here) for part, here in zip(path, loc, strict=True)):
            return tuple(shape.model_fields)
    return ()
