"""Writes down what just happened to a run as a scenario: its kills, its orders, and what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from tape.core.config import Config
from tape.core.journal.dump import RunDump
from tape.core.journal.views import Reader, open_reader
from tape.core.kernel.errors import UsageError
from tape.core.kernel.events import (
    ConflictOpened,
    Decision,
    EffectBegun,
    EffectEnded,
    Entry,
    Event,
    LeaseEnded,
    LeaseGranted,
    ModelAsked,
    Observed,
    OrderPlaced,
    PointReached,
    RunMoved,
    RunStarted,
    WriteRefused,
)
from tape.core.kernel.lifecycle import EffectStatus, LeaseStatus, ObligationStatus, RunStatus
from tape.core.kernel.points import OWN_PREFIX, Death, Stage, find_point
from tape.core.kernel.resolution import Answer, Resolution, Writer
from tape.core.render import line
from tape.core.story_facts import Facts
from tape.core.story_passes import Passes
from tape.lab.contract_count import ContractCount
from tape.lab.scenario import UNSET, Count, EffectExpect, Expect, How, Kill, Scenario, ScriptedOrder, Timers, Verb
from tape.lab.scenario_file import write_scenario
from tape.lab.upstream_ledger import read_ledger

STANDS = (RunStatus.TERMINAL, RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.STUCK, RunStatus.WAITING)


def record(config: Config, run_id: str) -> str:
    """The scenario as YAML. Raises UsageError for a run that is under way, NotFound for one that is not there."""
    with open_reader(config.journal) as reader:
        dump = reader.dump(run_id)
        offending = _offending(config, reader, run_id)
    scenario = scenario_of(config, dump)
    return write_scenario(replace(scenario, expect=replace(scenario.expect, **offending)))


def scenario_of(config: Config, dump: RunDump) -> Scenario:
    """Raises UsageError for a run that has not come to rest."""
    status = RunStatus(dump.run.status)
    if status not in STANDS:
        raise UsageError(f"{dump.run.id} is {status}: record it when it has come to rest")
    if dump.run.source_id is not None:
        raise UsageError(
            f"{dump.run.id} is a {dump.run.origin}: record {dump.run.source_id}, "
            "and add an order `do: fork` to its scenario"
        )
    script = _Script()
    for number, entry in enumerate(dump.entries):
        script.take(entry, dump.entries[number + 1 :])
    started = next(entry.event for entry in dump.entries if isinstance(entry.event, RunStarted))
    several = len(config.agents) > 1
    over = config.lease.ttl_us + 1_000_000
    orders = tuple(script.orders)
    closes = tuple(script.closes)
    if any(kill.signal is Death.STOP for kill in script.kills):
        orders = (ScriptedOrder("point_reached", Verb.ADVANCE, by_us=over), *orders)
        if any(isinstance(entry.event, WriteRefused) for entry in dump.entries):
            orders = (*orders, ScriptedOrder(status, Verb.THAW))
    return Scenario(
        name=f"what happened to {dump.run.id}",
        about=script.about(),
        agent=dump.run.agent if several else None,
        input=started.input,
        timers=Timers.SKIPPED if dump.timers else Timers.REAL,
        kill=tuple(script.kills),
        orders=(*orders, *closes),
        expect=_expect(config, dump, status),
    )


@dataclass(slots=True)
class _Script:
    """Reads the run's entries in order. A death that nobody had armed is put at the boundary before it."""

    kills: list[Kill] = field(default_factory=lambda: [])
    orders: list[ScriptedOrder] = field(default_factory=lambda: [])
    closes: list[ScriptedOrder] = field(default_factory=lambda: [])
    """They change nothing else, so they come last: what a thawed agent contradicts is there by then."""
    guessed: int = 0
    _facts: Facts = field(default_factory=Facts)
    _passes: Passes = field(default_factory=Passes)
    _seen: Counter[str] = field(default_factory=lambda: Counter())
    _status: str = RunStatus.RUNNABLE
    _armed: bool = False
    _last: str = "lease.granted"
    _ends: dict[str, int] = field(default_factory=lambda: {})
    """By an effect's key: the pass of `effect.ended` at which the agent ended it."""
    _conflicts: int = 0

    def take(self, entry: Entry, later: list[Entry]) -> None:
        event = entry.event
        self._facts.take(entry, line(entry))
        self._passes.take(entry, self._facts)
        if isinstance(event, RunStarted):
            self._move(RunStatus.RUNNABLE)
        elif isinstance(event, RunMoved):
            self._move(event.status)
        elif isinstance(event, PointReached) and event.death != Death.HOLD:
            self._armed = True
            self._kill(event.point, Death(event.death))
        elif isinstance(event, OrderPlaced):
            for order in self._order(event):
                (self.closes if order.how is How.CLOSE else self.orders).append(order)
        elif isinstance(event, EffectEnded) and event.writer == Writer.AGENT:
            self._ends[event.key] = self._passes.counts["effect.ended"]
        elif isinstance(event, ConflictOpened):
            self._conflicts += 1
        elif isinstance(event, LeaseGranted):
            self._move(RunStatus.RUNNING)
            self._armed, self._last = False, "lease.granted"
        elif isinstance(event, LeaseEnded) and event.status == LeaseStatus.DIED and not self._armed:
            self.guessed += 1
            self._kill(self._where(later), Death.KILL)
        self._last = _boundary(entry) or self._last

    def about(self) -> str:
        if not self.guessed:
            return ""
        return "The agent died where nobody had armed a point; the nearest boundary stands for it."

    def _move(self, status: str) -> None:
        self._status = status
        self._seen[status] += 1

    def _kill(self, point: str, death: Death) -> None:
        nth = max(1, self._passes.counts[point])
        stage = Stage.OWN if point.startswith(OWN_PREFIX) else find_point(point).stage
        self.kills.append(Kill(point, nth=nth, signal=Death.KILL if stage is Stage.HOOK else death))

    def _where(self, later: list[Entry]) -> str:
        """Whether an open body had acted is known from what was found out about it later."""
        if self._last != "effect.begun":
            return self._last
        answers = [entry.event.answer for entry in later if isinstance(entry.event, Observed)]
        return "effect.acted" if answers[:1] in ([Answer.PRESENT], [Answer.DUPLICATE]) else "effect.begun"

    def _order(self, event: OrderPlaced) -> Iterator[ScriptedOrder]:
        when, nth = self._status, max(1, self._seen[self._status])
        args: dict[str, Any] = event.args or {}
        if event.verb == "resolve":
            how = How(args["how"])
            if how is How.CLOSE:
                when, nth = "conflict_opened", max(1, self._conflicts)
            elif how is How.UNDO and when == RunStatus.RUNNING and args["key"] in self._ends:
                when, nth = "effect.ended", self._ends[args["key"]]  # held there: else the run may have ended by then
            key = str(args["key"]).partition("/")[2]
            result = args.get("result") if how is How.CONFIRM else UNSET
            yield ScriptedOrder(when, Verb.RESOLVE, nth, key=key, how=how, result=result, reason=event.reason)
        elif event.verb == Verb.ANSWER:
            gate, value, ordinal = str(args["gate"]), str(args["value"]), args.get("ordinal")
            named: dict[str, Any] = {"gate": gate, "value": value, "ordinal": ordinal}
            yield ScriptedOrder(when, Verb.ANSWER, nth, reason=event.reason, **named)
        elif event.verb == Verb.BUDGET:
            yield ScriptedOrder(
                when, Verb.BUDGET, nth, caps=args.get("caps"), deny=bool(args.get("deny")), reason=event.reason
            )
        elif event.verb in (Verb.CANCEL, Verb.REDRIVE):
            yield ScriptedOrder(when, Verb(event.verb), nth, reason=event.reason)


_BOUNDARIES: dict[type[Event], str] = {
    ModelAsked: "decision.asking",
    Decision: "decision.recorded",
    EffectBegun: "effect.begun",
    EffectEnded: "effect.ended",
}


def _boundary(entry: Entry) -> str:
    return _BOUNDARIES.get(type(entry.event), "")


def _expect(config: Config, dump: RunDump, status: RunStatus) -> Expect:
    effects = {
        effect.key.partition("/")[2]: EffectExpect(
            status=EffectStatus(effect.status),
            resolution=Resolution(effect.resolution) if effect.resolution else None,
        )
        for effect in dump.effects
    }
    duties = {duty.key.partition("/")[2]: ObligationStatus(duty.status) for duty in dump.obligations}
    events = [entry.event for entry in dump.entries]
    return Expect(
        status=status,
        keyed=_keyed(config, dump.run.id),
        decisions=Count.exactly(dump.run.decisions),
        asks=Count.exactly(sum(isinstance(event, ModelAsked) for event in events)),
        effects=effects,
        obligations=duties,
        leases=Count.exactly(len(dump.leases)),
        refused=Count(min=1) if any(isinstance(event, WriteRefused) for event in events) else None,
    )


def _offending(config: Config, reader: Reader, run_id: str) -> dict[str, Count]:
    """How many of the run's keys have more, or fewer, acts than the journal allows."""
    doubled = lost = 0
    for name in config.upstream:
        counted = ContractCount(name, config.journal.parent / f"{name}.jsonl")
        line = counted.refresh(reader)
        while line.holds is None and counted.readable:
            line = counted.refresh(reader)
        mine = [key for key in line.offenders if key.startswith(f"{run_id}/")]
        acts = counted.acts_of(mine)
        doubled += len(acts)
        lost += len(mine) - len(acts)
    return {"doubled": Count.exactly(doubled), "lost": Count.exactly(lost)}


def _keyed(config: Config, run_id: str) -> dict[str, Count]:
    """The run's acts that stand, per stand-in and collection, by the ledgers beside the journal."""
    found: Counter[str] = Counter()
    for name in config.upstream:
        ledger = config.journal.parent / f"{name}.jsonl"
        if ledger.exists():
            found.update(
                f"{name}.{act.collection}"
                for act in read_ledger(ledger)
                if not act.undone and (act.key or "").startswith(f"{run_id}/")
            )
    return {place: Count.exactly(number) for place, number in sorted(found.items())}
