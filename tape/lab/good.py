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
class Good:
    """`lines` is the tape; `fixed` says that two good runs had the same shape, so it is compared. `standing`: acts per
    stand-in and collection. `tools`: by place (`decision/ordinal/tool`), where it acted."""

    dump: RunDump
    places: tuple[Place, ...]
    lines: tuple[Line, ...]
    fixed: bool
    result: str | None
    standing: Mapping[tuple[str, str], int]
    tools: Mapping[str, ToolActs]
    timers: int
    keeps_contract: bool

    @property
    def status(self) -> str:
        return self.dump.run.status

    def acts_of(self, tool: str) -> ToolActs | None:
        """Where a tool acts, in whatever place."""
        return next((acts for place, acts in self.tools.items() if place.rpartition("/")[2] == tool), None)


def place_of(key: str) -> str:
    """`decision/ordinal/tool`: an effect's key without its run."""
    return key.partition("/")[2]


def good_of(one: Outcome, other: Outcome | None) -> Good:
    """What two good runs have in common. Both have come to an end."""
    dump = one.dump
    assert dump is not None
    lines, fixed = tape_of(dump, one.acts), True
    if other is not None and other.dump is not None:
        lines, fixed = _common(lines, tape_of(other.dump, other.acts))
    result = lines[-1].value if fixed and lines else None
    return Good(
        dump=dump,
        places=places_of(one.passes),
        lines=lines,
        fixed=fixed,
        result=result,
        standing=standing_of(one.acts),
        tools=_tools(dump, one.acts),
        timers=len(dump.timers) + sum(gate.deadline_us is not None for gate in dump.gates),
        keeps_contract=all(line.holds is not False for line in one.contract) and not _reading_acts(dump, one.acts),
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


def acts_of_effect(effect: EffectView, dump: RunDump, acts: Acts) -> list[tuple[str, Act]]:
    """The acts of one effect in the ledgers, undone or not: those with its key or one made from it; if there are none,
    those with a foreign key or none at all that happened while it, and nothing else that acts, was open."""
    everything = [(name, act) for name, found in acts.items() for act in found]
    own = [(name, act) for name, act in everything if act.key is not None and act.key.startswith(effect.key)]
    if own:
        return own
    others = [_window(other) for other in _rivals(effect, dump, everything)]
    begun, ended = _window(effect)
    return [
        (name, act)
        for name, act in everything
        if begun <= act.at <= ended
        and not _of_family(act, dump)
        and not any(first <= act.at <= last for first, last in others)
    ]


def told_apart(effect: EffectView, dump: RunDump, acts: Acts) -> bool:
    """Whether acts without a key can be known as this effect's: no other that sends none was open with it."""
    everything = [(name, act) for name, found in acts.items() for act in found]
    begun, ended = _window(effect)
    rivals = map(_window, _rivals(effect, dump, everything))
    return not any(first <= ended and begun <= last for first, last in rivals)


def _rivals(effect: EffectView, dump: RunDump, everything: list[tuple[str, Act]]) -> list[EffectView]:
    """The other effects that act, and not under their key."""
    keys = [act.key for _, act in everything if act.key is not None]
    return [
        other
        for other in dump.effects
        if other.key != effect.key and _acts(other) and not any(key.startswith(other.key) for key in keys)
    ]


def _of_family(act: Act, dump: RunDump) -> bool:
    """Whether the act carries a key of the run, or of a child of it."""
    run_id = (act.key or "").partition("/")[0]
    return run_id == dump.run.id or any(child.run == run_id for child in dump.children)


def nobody_s(act: Act, dump: RunDump) -> bool:
    """Whether the act is of no effect: it carries no key of the run, and happened while nothing was open. Where there
    are child runs, one of them may have made it."""
    if _of_family(act, dump) or dump.children:
        return False
    return not any(begun <= act.at <= ended for begun, ended in map(_window, dump.effects))


def _reading_acts(dump: RunDump, acts: Acts) -> bool:
    return any(not _acts(effect) and acts_of_effect(effect, dump, acts) for effect in dump.effects)


def _acts(effect: EffectView) -> bool:
    return effect.semantics != Semantics.READ_ONLY


def _window(effect: EffectView) -> tuple[str, str]:
    return format_us(effect.begun_us), "9999" if effect.ended_us is None else format_us(effect.ended_us)


def _tools(dump: RunDump, acts: Acts) -> dict[str, ToolActs]:
    found: dict[str, ToolActs] = {}
    unseen: list[EffectView] = []
    for effect in dump.effects:
        if not _acts(effect) or effect.status != EffectStatus.CONFIRMED:
            continue
        mine = acts_of_effect(effect, dump, acts)
        if mine:
            name, act = mine[0]
            keys = [act.key or "" for _, act in mine]
            found[place_of(effect.key)] = ToolActs(
                upstream=name,
                collection=act.collection,
                times=len(mine),
                keyed=effect.key in keys,
                derived=any(key.startswith(effect.key) and key != effect.key for key in keys),
            )
        elif not told_apart(effect, dump, acts):
            unseen.append(effect)
    return found | _crowd(unseen, dump, acts)


def _crowd(crowd: list[EffectView], dump: RunDump, acts: Acts) -> dict[str, ToolActs]:
    """Effects of one tool that sent no key and were open at the same time: each has its share of what came then."""
    if len({effect.tool for effect in crowd}) != 1:
        return {}
    windows = [_window(effect) for effect in crowd]
    came = Counter(
        (name, act.collection)
        for name, found in acts.items()
        for act in found
        if not (act.key or "").startswith(f"{dump.run.id}/") and any(first <= act.at <= last for first, last in windows)
    )
    if len(came) != 1:
        return {}
    (name, collection), number = next(iter(came.items()))
    share = ToolActs(name, collection, times=max(1, number // len(crowd)), keyed=False, derived=False)
    return {place_of(effect.key): share for effect in crowd}
