"""The good run: what an agent does when nothing kills it, and so what must come of it whatever kills it. Pure.

Two good runs are compared with each other first: what differs between them (a clock, a price, an id) is no sign of a
mistake later.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from tape.core.clock import format_us
from tape.core.journal.dump import EffectView, RunDump
from tape.core.kernel.events import (
    ChildEnded,
    ChildStarted,
    Decision,
    EffectBegun,
    EffectEnded,
    Event,
    GateAnswered,
    GateOpened,
    RunEnded,
    RunStarted,
    Sample,
    TimerFired,
    TimerSet,
)
from tape.core.kernel.lifecycle import EffectStatus
from tape.core.kernel.points import Pass
from tape.core.kernel.resolution import Semantics
from tape.lab.family import Family, Kinship, ids_of
from tape.lab.outcome import Outcome
from tape.lab.proof import Place
from tape.lab.upstream_ledger import Act

Json = Any
Acts = Mapping[str, Iterable[Act]]
DRAWN = frozenset({"now", "uuid", "random"})
"""Samples that are another value each time, by their nature."""


@dataclass(frozen=True, slots=True)
class Line:
    """One record of a tape without what may differ: `what` it is, and its `value` as text (None: not compared, but for
    its `shape`, if that is known)."""

    what: str
    value: str | None
    shape: str | None = None


@dataclass(frozen=True, slots=True)
class ToolActs:
    """Where a tool acts, as the good run showed: the stand-in and its collection, how often per effect, and whether
    with the effect's key (`keyed`), with a key made from it (`derived`), or with none of Tape's at all."""

    upstream: str
    collection: str
    times: int
    keyed: bool
    derived: bool


@dataclass(frozen=True, slots=True)
class GoodRun:
    """One run of the family. `lines` is its tape; `fixed` says that it had the same shape in two good runs, so it is
    compared. `tools`: by place (`decision/ordinal/tool`), where it acted."""

    dump: RunDump
    lines: tuple[Line, ...]
    fixed: bool
    tools: Mapping[str, ToolActs]


@dataclass(frozen=True, slots=True)
class Good:
    """`runs`: the run and its descendants. `standing`: acts per stand-in and collection. `timers` counts those of all
    runs."""

    runs: Mapping[Kinship, GoodRun]
    places: tuple[Place, ...]
    standing: Mapping[tuple[str, str], int]
    timers: int
    keeps_contract: bool

    @property
    def dump(self) -> RunDump:
        """Of the first run, as `fixed`."""
        return self.runs[()].dump

    @property
    def fixed(self) -> bool:
        return self.runs[()].fixed

    @property
    def status(self) -> str:
        return self.dump.run.status

    @property
    def family(self) -> Family:
        return {kinship: run.dump for kinship, run in self.runs.items()}

    def where(self, kinship: Kinship, effect: EffectView) -> ToolActs | None:
        """Where an effect of another trial is to act: as the one at its place did, or else as its tool does."""
        twin = self.runs[kinship].tools.get(place_of(effect.key)) if kinship in self.runs else None
        return twin or self.acts_of(effect.tool)

    def acts_of(self, tool: str) -> ToolActs | None:
        """Where a tool acts, in whatever place of whatever run."""
        every = (found for run in self.runs.values() for found in run.tools.items())
        return next((acts for place, acts in every if place.rpartition("/")[2] == tool), None)


def place_of(key: str) -> str:
    """`decision/ordinal/tool`: an effect's key without its run."""
    return key.partition("/")[2]


def good_of(one: Outcome, other: Outcome | None) -> Good:
    """What two good runs have in common. Both have come to an end."""
    family = one.family
    twins = family if other is None else other.family
    acts = one.acts if other is None else other.acts
    tools = _tools(family, one.acts)
    runs: dict[Kinship, GoodRun] = {}
    for kinship, dump in family.items():
        lines, fixed = tape_of(dump, one.acts), kinship in twins
        if fixed and other is not None:
            lines, fixed = _common(lines, tape_of(twins[kinship], acts))
        runs[kinship] = GoodRun(dump, lines, fixed, tools[kinship])
    return Good(
        runs=runs,
        places=places_of(one.passes),
        standing=standing_of(one.acts),
        timers=sum(
            len(dump.timers) + sum(gate.deadline_us is not None for gate in dump.gates) for dump in family.values()
        ),
        keeps_contract=all(line.holds is not False for line in one.contract) and not _reading_acts(family, one.acts),
    )


def places_of(passes: Iterable[Pass]) -> tuple[Place, ...]:
    """Each pass with its number among those of the same point, tool and decision."""
    counts: Counter[Place] = Counter()
    found: list[Place] = []
    for passed in passes:
        first = Place(passed.point, passed.tool, passed.decision_index)
        counts[first] += 1
        found.append(replace(first, nth=counts[first]))
    return tuple(found)


def standing_of(acts: Acts) -> dict[tuple[str, str], int]:
    """Acts not undone, per stand-in and collection."""
    return dict(Counter((name, act.collection) for name, found in acts.items() for act in found if not act.undone))


# --- the tape -----------------------------------------------------------------------------------------------------


def tape_of(dump: RunDump, acts: Acts) -> tuple[Line, ...]:
    """The run's tape in an order that does not depend on who was quicker: a turn's effects by place, begun before
    ended, and its children by number. The names that the stand-ins gave to the acts are left out: they depend on who
    was quicker too."""
    names = [act.id for found in acts.values() for act in found]
    hidden = {dump.run.id: "RUN", **dict.fromkeys(sorted(names, key=len, reverse=True), "ACT")}
    found: list[tuple[tuple[int, int, str], Line]] = []
    turn = 0
    for number, entry in enumerate(entry for entry in dump.entries if entry.seq is not None):
        event = entry.event
        if isinstance(event, EffectBegun | EffectEnded):
            order = (turn, 1, f"{place_of(event.key)} {int(isinstance(event, EffectEnded))}")
        elif isinstance(event, ChildStarted | ChildEnded):
            order = (turn, 2, f"{event.ordinal:06} {int(isinstance(event, ChildEnded))}")
        else:
            turn += 1
            order = (turn, 0, f"{number:06}")
        line = _line(event, hidden)
        if line is not None:
            found.append((order, line))
    return tuple(line for _, line in sorted(found, key=lambda item: item[0]))


def _line(event: Event, hidden: Mapping[str, str]) -> Line | None:
    what, value = _told(event)
    if not what:
        return None
    if value is None:
        return Line(what, None)
    text = json.dumps(value[0], sort_keys=True)
    for name, word in hidden.items():
        text = text.replace(name, word)
    return Line(what, text)


def _told(event: Event) -> tuple[str, tuple[Json] | None]:
    """What the record is, and its value in a tuple (None where there is none to compare)."""
    if isinstance(event, RunStarted):
        return f"run_started {event.agent}", (event.input,)
    if isinstance(event, Decision):
        return f"decision {event.index} {event.name}", ([event.request, event.reply, event.error],)
    if isinstance(event, EffectBegun):
        return f"effect_begun {place_of(event.key)}", (event.args,)
    if isinstance(event, EffectEnded):
        value = None if event.resolution == "redispatched" else ([event.result, event.error],)
        return f"effect_ended {place_of(event.key)} {event.status}", value
    if isinstance(event, Sample):
        return f"sample {event.index} {event.name}", None if event.name in DRAWN else (event.value,)
    if isinstance(event, TimerSet):
        return f"timer_set {event.ordinal}", (event.seconds,)
    if isinstance(event, TimerFired):
        return f"timer_fired {event.ordinal}", None
    if isinstance(event, GateOpened):
        return f"gate_opened {event.name} {event.ordinal}", ([event.options, event.approves],)
    if isinstance(event, GateAnswered):
        return f"gate_answered {event.name} {event.ordinal}", (event.answer,)
    if isinstance(event, ChildStarted):
        return f"child_started {event.ordinal} {event.agent}", (event.input,)
    if isinstance(event, ChildEnded):
        return f"child_ended {event.ordinal} {event.status}", ([event.result, event.error],)
    if isinstance(event, RunEnded):
        return f"run_ended {event.outcome}", ([event.result, event.error],)
    return "", None


def _common(one: tuple[Line, ...], other: tuple[Line, ...]) -> tuple[tuple[Line, ...], bool]:
    """Values that differ between two good runs are not compared with a third; False if not even the shapes agree."""
    if [line.what for line in one] != [line.what for line in other]:
        return one, False
    return tuple(_in_common(line, twin) for line, twin in zip(one, other, strict=True)), True


def _in_common(line: Line, twin: Line) -> Line:
    if line.value == twin.value:
        return line
    shape = shape_of(line.value)
    return Line(line.what, None, shape if shape == shape_of(twin.value) else None)


def shape_of(value: str | None) -> str | None:
    """What a value looks like, whatever it says: the keys of its objects, the kinds of what is in them."""
    return None if value is None else json.dumps(_shape(json.loads(value)), sort_keys=True)


def _shape(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _shape(inner) for key, inner in cast("dict[str, Json]", value).items()}
    if isinstance(value, list):
        return [_shape(inner) for inner in cast("list[Json]", value)]
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


# --- acts ---------------------------------------------------------------------------------------------------------


def acts_of_effect(effect: EffectView, family: Family, acts: Acts) -> list[tuple[str, Act]]:
    """The acts of one effect in the ledgers, undone or not: those with its key or one made from it; if there are none,
    those with a foreign key or none at all that happened while it, and nothing else that acts, was open."""
    everything = [(name, act) for name, found in acts.items() for act in found]
    own = [(name, act) for name, act in everything if _under(effect, act.key)]
    if own:
        return own
    begun, ended = _window(effect)
    ids = ids_of(family)
    foreign = [(name, act) for name, act in everything if begun <= act.at <= ended and not _of_family(act, ids)]
    others = [_window(other) for other in _rivals(effect, family, everything)] if foreign else []
    return [(name, act) for name, act in foreign if not any(first <= act.at <= last for first, last in others)]


def told_apart(effect: EffectView, family: Family, acts: Acts) -> bool:
    """Whether acts without a key can be known as this effect's: no other that sends none was open with it."""
    everything = [(name, act) for name, found in acts.items() for act in found]
    begun, ended = _window(effect)
    rivals = map(_window, _rivals(effect, family, everything))
    return not any(first <= ended and begun <= last for first, last in rivals)


def _under(effect: EffectView, key: str | None) -> bool:
    """Whether it is the effect's key, or one that its tool has made from it. What an undo sends is the undo's own."""
    return key is not None and key.startswith(effect.key) and not key.startswith(f"{effect.key}/undo/")


def _rivals(effect: EffectView, family: Family, everything: list[tuple[str, Act]]) -> list[EffectView]:
    """The other effects that act, and not under their key."""
    keys = [act.key for _, act in everything if act.key is not None]
    return [
        other
        for dump in family.values()
        for other in dump.effects
        if other.key != effect.key and _acts(other) and not any(_under(other, key) for key in keys)
    ]


def _of_family(act: Act, ids: frozenset[str]) -> bool:
    """Whether the act carries a key of one of these runs."""
    return (act.key or "").partition("/")[0] in ids


def nobody_s(act: Act, family: Family) -> bool:
    """Whether the act is of no effect: it carries no key of the family's, and happened while nothing was open."""
    windows = (_window(effect) for dump in family.values() for effect in dump.effects)
    return not _of_family(act, ids_of(family)) and not any(begun <= act.at <= ended for begun, ended in windows)


def _reading_acts(family: Family, acts: Acts) -> bool:
    effects = (effect for dump in family.values() for effect in dump.effects)
    return any(not _acts(effect) and acts_of_effect(effect, family, acts) for effect in effects)


def _acts(effect: EffectView) -> bool:
    return effect.semantics != Semantics.READ_ONLY


def _window(effect: EffectView) -> tuple[str, str]:
    return format_us(effect.begun_us), "9999" if effect.ended_us is None else format_us(effect.ended_us)


def _tools(family: Family, acts: Acts) -> dict[Kinship, dict[str, ToolActs]]:
    found: dict[Kinship, dict[str, ToolActs]] = {kinship: {} for kinship in family}
    unseen: list[tuple[Kinship, EffectView]] = []
    for kinship, effect in ((kinship, effect) for kinship, dump in family.items() for effect in dump.effects):
        if not _acts(effect) or effect.status != EffectStatus.CONFIRMED:
            continue
        mine = acts_of_effect(effect, family, acts)
        if mine:
            name, act = mine[0]
            keys = [act.key or "" for _, act in mine]
            found[kinship][place_of(effect.key)] = ToolActs(
                upstream=name,
                collection=act.collection,
                times=len(mine),
                keyed=effect.key in keys,
                derived=any(_under(effect, key) and key != effect.key for key in keys),
            )
        elif not told_apart(effect, family, acts):
            unseen.append((kinship, effect))
    if (share := _share([effect for _, effect in unseen], family, acts)) is not None:
        for kinship, effect in unseen:
            found[kinship][place_of(effect.key)] = share
    return found


def _share(crowd: list[EffectView], family: Family, acts: Acts) -> ToolActs | None:
    """Effects of one tool that sent no key and were open at the same time: each has its share of what came then."""
    if len({effect.tool for effect in crowd}) != 1:
        return None
    windows = [_window(effect) for effect in crowd]
    ids = ids_of(family)
    came = Counter(
        (name, act.collection)
        for name, found in acts.items()
        for act in found
        if not _of_family(act, ids) and any(first <= act.at <= last for first, last in windows)
    )
    if len(came) != 1:
        return None
    (name, collection), number = next(iter(came.items()))
    return ToolActs(name, collection, times=max(1, number // len(crowd)), keyed=False, derived=False)
