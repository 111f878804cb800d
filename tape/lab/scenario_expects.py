"""What a scenario file may expect of a run, as pydantic models, and the values that come of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from pydantic import Field, model_validator

from tape.core.kernel.lifecycle import EFFECT_ENDS, EffectStatus, RunStatus
from tape.core.kernel.resolution import Resolution, Writer
from tape.lab import scenario as values
from tape.lab import scenario_words as words
from tape.lab.scenario import UNSET, ZERO, Count
from tape.lab.scenario_shape import Shape, parts_of, wrong_amount

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
            if amount is not None and (wrong := wrong_amount(unit, amount)):
                yield name, wrong

    def value(self, unit: str) -> values.BudgetExpect:
        told = {name: getattr(self, name) for name in ("spent", "reserved", "lost")}
        parts = {name: None if amount is None else round(amount * parts_of(unit)) for name, amount in told.items()}
        return values.BudgetExpect(**parts, refused=self.refused)


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
    budget: dict[words.Unit, BudgetShape] = Field(default={})

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
    upstream: dict[words.Collection, words.Tally] = Field(default={})
    keyed: dict[words.Collection, words.Tally] = Field(default={})
    decisions: words.Tally = None
    asks: words.Tally = None
    asked_twice: words.Tally = None
    effects: dict[words.ToolOrPlace, EffectShape] = Field(default={})
    resolutions: list[words.Resolved] | None = None
    obligations: dict[words.Duty, words.OfDuty] = Field(default={})
    conflicts: words.Tally = None
    leases: words.Tally = None
    deaths: words.Tally = None
    refused: words.Tally = None
    doubled: words.Tally = ZERO
    lost: words.Tally = ZERO
    budget: dict[words.Unit, BudgetShape] = Field(default={})
    forks: dict[words.ForkName, ForkShape] = Field(default={})

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
