"""What may stand where in a scenario file, as pydantic models, and the values that come of it.

Imported only while a file is read, see tape/lab/scenario_words.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, cast

from pydantic import Field, model_validator

from tape.core.kernel.lifecycle import RunStatus
from tape.core.kernel.points import Death, Stage, find_point
from tape.core.strict_yaml import quoted, suggest
from tape.lab import scenario as values
from tape.lab import scenario_words as words
from tape.lab.scenario import DEFAULT_WITHIN_US, UNSET, How, Verb
from tape.lab.scenario_expects import BudgetShape, EffectShape, ExpectShape, ForkShape
from tape.lab.scenario_shape import Shape, parts_of, wrong_amount

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
            if wrong := wrong_amount(unit, amount):
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
            yield "", "resolve needs how; write how: confirm, fail, retry, undo or close"
        if self.how == How.CONFIRM and self.result is UNSET:
            yield "", "confirm needs the result that the agent gets; write result: {...}, or result: null"
        if self.how not in (None, How.CONFIRM) and self.result is not UNSET:
            yield "result", f"belongs to confirm, not to {self.how}; leave it out"
        if self.tool is not None and self.how in (How.UNDO, How.CLOSE):
            yield "tool", f"{self.how} is of one key; write key: decision/ordinal/tool in its place"
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
        return {named.get(unit, unit): round(amount * parts_of(unit)) for unit, amount in self.caps.items()}


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
    upstream: dict[words.StandIn, words.Options] = Field(default={})
    environment: dict[words.Variable, words.Setting] = Field(default={})
    settings: SettingsShape = SettingsShape()
    within: words.Duration = DEFAULT_WITHIN_US
    timers: words.Pace = values.Timers.REAL
    kill: list[KillShape] = Field(default=[])
    orders: list[OrderShape] = Field(default=[])
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
