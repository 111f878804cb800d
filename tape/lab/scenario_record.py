"""Writes down what just happened to a run as a scenario: its kills, its orders, and what came of it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from tape.core.config import Config
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
from tape.lab.family import Family, ids_of, read_family
from tape.lab.scenario import UNSET, Count, EffectExpect, Expect, How, Kill, Scenario, ScriptedOrder, Timers, Verb
from tape.lab.scenario_file import write_scenario
from tape.lab.upstream_ledger import read_ledger

STANDS = (RunStatus.TERMINAL, RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.STUCK, RunStatus.WAITING)
BY_PERSONS = (Verb.RESOLVE, Verb.ANSWER, Verb.BUDGET, Verb.CANCEL, Verb.REDRIVE)


def record(config: Config, run_id: str) -> str:
    """The scenario as YAML. Raises UsageError for a run that is under way, NotFound for one that is not there."""
    with open_reader(config.journal) as reader:
        family = read_family(reader, run_id)
        offending = _offending(config, reader, family)
    scenario = scenario_of(config, family)
    return write_scenario(replace(scenario, expect=replace(scenario.expect, **offending)))


def scenario_of(config: Config, family: Family) -> Scenario:
    """Raises UsageError for a run that has not come to rest, or of which no scenario can tell."""
    dump = family[()]
    status = RunStatus(dump.run.status)
    if status not in STANDS:
        raise UsageError(f"{dump.run.id} is {status}: record it when it has come to rest")
    if dump.run.source_id is not None:
        raise UsageError(
            f"{dump.run.id} is a {dump.run.origin}: record {dump.run.source_id}, "
            "and add an order `do: fork` to its scenario"
        )
    script = _Script(dump.run.id)
    entries = sorted((entry for one in family.values() for entry in one.entries), key=lambda entry: entry.id)
    for number, entry in enumerate(entries):
        script.take(entry, entries[number + 1 :])
    started = next(entry.event for entry in dump.entries if isinstance(entry.event, RunStarted))
    several = len(config.agents) > 1
    over = config.lease.ttl_us + 1_000_000
    orders = tuple(script.orders)
    closes = tuple(script.closes)
    if any(kill.signal is Death.STOP for kill in script.kills):
        orders = (ScriptedOrder("point_reached", Verb.ADVANCE, by_us=over), *orders)
        if any(isinstance(entry.event, WriteRefused) for entry in entries):
            orders = (*orders, ScriptedOrder(status, Verb.THAW))
    return Scenario(
        name=f"what happened to {dump.run.id}",
        about=script.about(),
        agent=dump.run.agent if several else None,
        input=started.input,
        timers=Timers.SKIPPED if any(one.timers for one in family.values()) else Timers.REAL,
        kill=tuple(script.kills),
        orders=(*orders, *closes),
        expect=_expect(config, family, status),
    )


@dataclass(slots=True)
class _Course:
    """One run of the family, as far as its entries were read."""

    facts: Facts = field(default_factory=Facts)
    passes: Passes = field(default_factory=Passes)
    armed: bool = False
    last: str = "lease.granted"


@dataclass(slots=True)
class _Script:
    """Reads the family's entries in order. A death that nobody had armed is put at the boundary before it. A kill
    counts the passes of all runs, as it does when it is played."""

    run_id: str
    kills: list[Kill] = field(default_factory=lambda: [])
    orders: list[ScriptedOrder] = field(default_factory=lambda: [])
    closes: list[ScriptedOrder] = field(default_factory=lambda: [])
    """They change nothing else, so they come last: what a thawed agent contradicts is there by then."""
    guessed: int = 0
    _courses: defaultdict[str | None, _Course] = field(default_factory=lambda: defaultdict(_Course))
    _seen: Counter[str] = field(default_factory=lambda: Counter())
    _status: str = RunStatus.RUNNABLE
    _ends: dict[str, int] = field(default_factory=lambda: {})
    """By an effect's key: the pass of `effect.ended` at which the agent ended it."""
    _conflicts: int = 0

    def take(self, entry: Entry, later: list[Entry]) -> None:
        event, course = entry.event, self._courses[entry.run_id]
        course.facts.take(entry, line(entry))
        course.passes.take(entry, course.facts)
        self._seen[event.kind] += 1
        if entry.run_id == self.run_id:
            self._follow(event)
        if isinstance(event, PointReached) and event.death != Death.HOLD:
            course.armed = True
            self._kill(event.point, Death(event.death))
        elif isinstance(event, OrderPlaced):
            mine = entry.run_id == self.run_id
            for order in self._order(event) if mine else self._about_child(entry, event):
                (self.closes if order.how is How.CLOSE else self.orders).append(order)
        elif isinstance(event, EffectEnded) and event.writer == Writer.AGENT:
            self._ends[event.key] = course.passes.counts["effect.ended"]
        elif isinstance(event, ConflictOpened):
            self._conflicts += 1
        elif isinstance(event, LeaseGranted):
            course.armed, course.last = False, "lease.granted"
        elif isinstance(event, LeaseEnded) and event.status == LeaseStatus.DIED and not course.armed:
            self.guessed += 1
            mine = [one for one in later if one.run_id == entry.run_id]
            self._kill(_where(course.last, mine), Death.KILL)
        course.last = _boundary(entry) or course.last

    def about(self) -> str:
        if not self.guessed:
            return ""
        return "The agent died where nobody had armed a point; the nearest boundary stands for it."

    def _follow(self, event: Event) -> None:
        """Where the story's own run is: orders wait for that."""
        if isinstance(event, RunStarted):
            self._move(RunStatus.RUNNABLE)
        elif isinstance(event, RunMoved):
            self._move(event.status)
        elif isinstance(event, LeaseGranted):
            self._move(RunStatus.RUNNING)

    def _move(self, status: str) -> None:
        self._status = status
        self._seen[status] += 1

    def _kill(self, point: str, death: Death) -> None:
        nth = max(1, sum(course.passes.counts[point] for course in self._courses.values()))
        stage = Stage.OWN if point.startswith(OWN_PREFIX) else find_point(point).stage
        self.kills.append(Kill(point, nth=nth, signal=Death.KILL if stage is Stage.HOOK else death))

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

    def _about_child(self, entry: Entry, event: OrderPlaced) -> Iterator[ScriptedOrder]:
        """A scenario names no child. What is to be resolved is known by its tool, once the child has come to rest."""
        args: dict[str, Any] = event.args or {}
        if event.verb == "resolve" and args["how"] not in (How.UNDO, How.CLOSE):
            how = How(args["how"])
            tool = str(args["key"]).partition("/undo/")[0].split("/", 3)[3]
            result = args.get("result") if how is How.CONFIRM else UNSET
            when, nth = RunMoved.kind, self._seen[RunMoved.kind]
            yield ScriptedOrder(when, Verb.RESOLVE, nth, tool=tool, how=how, result=result, reason=event.reason)
        elif event.verb in BY_PERSONS and "parent" not in args:  # a parent that ends cancels its children by itself
            raise UsageError(
                f"{entry.run_id}, a child, was told to {event.verb}: a scenario gives no orders to children"
            )


def _where(last: str, later: list[Entry]) -> str:
    """Whether an open body had acted is known from what was found out about it later."""
    if last != "effect.begun":
        return last
    answers = [entry.event.answer for entry in later if isinstance(entry.event, Observed)]
    return "effect.acted" if answers[:1] in ([Answer.PRESENT], [Answer.DUPLICATE]) else "effect.begun"


_BOUNDARIES: dict[type[Event], str] = {
    ModelAsked: "decision.asking",
    Decision: "decision.recorded",
    EffectBegun: "effect.begun",
    EffectEnded: "effect.ended",
}


def _boundary(entry: Entry) -> str:
    return _BOUNDARIES.get(type(entry.event), "")


def _expect(config: Config, family: Family, status: RunStatus) -> Expect:
    dump = family[()]
    effects = {
        effect.key.partition("/")[2]: EffectExpect(
            status=EffectStatus(effect.status),
            resolution=Resolution(effect.resolution) if effect.resolution else None,
        )
        for effect in dump.effects
    }
    duties = {duty.key.partition("/")[2]: ObligationStatus(duty.status) for duty in dump.obligations}
    events = [entry.event for one in family.values() for entry in one.entries]
    return Expect(
        status=status,
        keyed=_keyed(config, dump.run.id),
        decisions=Count.exactly(sum(one.run.decisions for one in family.values())),
        asks=Count.exactly(sum(isinstance(event, ModelAsked) for event in events)),
        effects=effects,
        obligations=duties,
        leases=Count.exactly(sum(len(one.leases) for one in family.values())),
        refused=Count(min=1) if any(isinstance(event, WriteRefused) for event in events) else None,
    )


def _offending(config: Config, reader: Reader, family: Family) -> dict[str, Count]:
    """How many of the family's keys have more, or fewer, acts than the journal allows."""
    doubled = lost = 0
    ids = ids_of(family)
    for name in config.upstream:
        counted = ContractCount(name, config.journal.parent / f"{name}.jsonl")
        line = counted.refresh(reader)
        while line.holds is None and counted.readable:
            line = counted.refresh(reader)
        mine = [key for key in line.offenders if key.partition("/")[0] in ids]
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
