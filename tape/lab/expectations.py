"""A scenario's expectations against what came of it. Pure: an `Outcome` in, what was missed out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tape.core.journal.dump import EffectView, RunDump
from tape.core.kernel.events import (
    BudgetRefused,
    ConflictOpened,
    Entry,
    GateAnswered,
    LeaseGranted,
    ModelAsked,
    RunEnded,
    WorkerDied,
    WriteRefused,
)
from tape.core.render import amount
from tape.lab.outcome import Fork, Outcome
from tape.lab.scenario import UNSET, BudgetExpect, Count, EffectExpect, Expect, ForkExpect, Scenario
from tape.lab.scenario_result import Miss
from tape.lab.upstream_ledger import Act

SHOWN = 200


def misses(scenario: Scenario, outcome: Outcome) -> tuple[Miss, ...]:
    """Everything that is not as expected, in the order of the file. What is wrong with any run (a journal that does not
    hold together, a process that lives on, a kill or an order that never came) is missed whatever was expected."""
    if outcome.dump is None:
        return ()
    return tuple(_Judge(scenario, outcome, outcome.dump).misses())


class _Judge:
    def __init__(self, scenario: Scenario, outcome: Outcome, dump: RunDump) -> None:
        self._scenario = scenario
        self._expect = scenario.expect
        self._outcome = outcome
        self._dump = dump

    def misses(self) -> Iterator[Miss]:
        yield from self._script()
        yield from self._end(self._expect, self._dump, "expect")
        yield from self._upstreams()
        yield from self._counts()
        yield from self._effects()
        yield from self._obligations()
        yield from self._budget(self._expect.budget, self._dump, "expect")
        yield from self._forks()
        yield from self._always()

    def _miss(self, expected: object, found: object, *loc: str | int) -> Miss:
        name = ".".join(str(part) for part in loc[1:]) if loc[:1] == ("expect",) else ".".join(map(str, loc))
        return Miss(f"{self._scenario.place(*loc)}: {name}", _cut(expected), _cut(found))

    # --- what was to happen -----------------------------------------------------------------------------------

    def _script(self) -> Iterator[Miss]:
        for number in self._outcome.unreached:
            kill = self._scenario.kill[number]
            yield self._miss(f"{kill.signal} at {kill.at}", "the run never came there", "kill", number)
        for number in self._outcome.unplaced:
            order = self._scenario.orders[number]
            first = number == self._outcome.unplaced[0]
            why = "its moment never came" if first else "the order before it was not placed"
            yield self._miss(f"{order.do} on {order.on}", why, "orders", number)

    def _end(self, expect: Expect | ForkExpect, dump: RunDump, *loc: str) -> Iterator[Miss]:
        run = dump.run
        if run.status != expect.status:
            why = run.error or run.waiting_on
            yield self._miss(expect.status, f"{run.status}: {why}" if why else run.status, *loc, "status")
        ends = [entry.event for entry in dump.entries if isinstance(entry.event, RunEnded)]
        result = ends[-1].result if ends else None
        if expect.result is not UNSET and result != expect.result:
            yield self._miss(json.dumps(expect.result), json.dumps(result), *loc, "result")
        if expect.error is not None and expect.error not in run.error:
            yield self._miss(f"an error with {expect.error!r}", run.error or "no error", *loc, "error")

    # --- the ledgers ------------------------------------------------------------------------------------------

    def _upstreams(self) -> Iterator[Miss]:
        run = f"{self._outcome.run_id}/"
        yield from self._ledgers("upstream", self._expect.upstream, lambda act: True)
        yield from self._ledgers("keyed", self._expect.keyed, lambda act: (act.key or "").startswith(run))
        outcome, expect = self._outcome, self._expect
        for name, count, keys in (
            ("doubled", expect.doubled, outcome.surplus),
            ("lost", expect.lost, outcome.missing),
        ):
            if not count.holds(len(keys)):
                which = f" ({', '.join(keys)})" if keys else ""
                yield self._miss(count, f"{len(keys)}{which}", "expect", name)

    def _ledgers(self, name: str, wanted: Mapping[str, Count], counts: Callable[[Act], bool]) -> Iterator[Miss]:
        for place, count in wanted.items():
            upstream, _, collection = place.partition(".")
            acts = self._outcome.acts.get(upstream, ())
            found = sum(act.collection == collection and not act.undone and counts(act) for act in acts)
            if not count.holds(found):
                yield self._miss(count, found, "expect", name, place)

    # --- the journal ------------------------------------------------------------------------------------------

    def _counts(self) -> Iterator[Miss]:
        expect = self._expect
        forked = {run_id for fork in self._outcome.forks.values() for run_id in fork.family}
        entries = [entry for entry in self._outcome.entries if entry.run_id not in forked]
        events = [entry.event for entry in entries]
        everything = [entry.event for entry in self._outcome.entries]
        asked = _asked(entries)
        found: dict[str, tuple[Count | None, int]] = {
            "decisions": (expect.decisions, sum(dump.run.decisions for dump in self._outcome.family.values())),
            "asks": (expect.asks, asked.total()),
            "asked_twice": (expect.asked_twice, asked.total() - len(asked)),
            "conflicts": (expect.conflicts, sum(isinstance(event, ConflictOpened) for event in everything)),
            "leases": (expect.leases, sum(isinstance(event, LeaseGranted) for event in events)),
            "deaths": (expect.deaths, self._deaths(everything)),
            "refused": (expect.refused, sum(isinstance(event, WriteRefused) for event in events)),
        }
        for name, (count, number) in found.items():
            if count is not None and not count.holds(number):
                yield self._miss(count, number, "expect", name)

    @staticmethod
    def _deaths(events: Sequence[Any]) -> int:
        """Workers that died; the end of the server ends those that are left, and is none."""
        return sum(isinstance(event, WorkerDied) and "the server stops" not in event.how for event in events)

    def _effects(self) -> Iterator[Miss]:
        for place, wanted in self._expect.effects.items():
            mine = [effect for effect in self._dump.effects if _is(place, effect.key)]
            if wanted.count is not None and not wanted.count.holds(len(mine)):
                yield self._miss(wanted.count, len(mine), "expect", "effects", place, "count")
            if not mine and wanted.count is None:
                yield self._miss("an effect", "none of this name", "expect", "effects", place)
            for effect in mine:
                yield from self._effect(place, wanted, effect)
        wanted_all = self._expect.resolutions
        found = tuple(effect.resolution for effect in self._dump.effects if effect.resolution)
        if wanted_all is not None and found != tuple(map(str, wanted_all)):
            yield self._miss(", ".join(wanted_all) or "none", ", ".join(found) or "none", "expect", "resolutions")

    def _effect(self, place: str, wanted: EffectExpect, effect: EffectView) -> Iterator[Miss]:
        for name in ("status", "resolution", "row", "writer"):
            value, found = getattr(wanted, name), getattr(effect, name)
            if value is not None and str(value) != found:
                yield self._miss(value, found or "nothing", "expect", "effects", place, name)
        if wanted.attempts is not None and not wanted.attempts.holds(effect.attempts):
            yield self._miss(wanted.attempts, effect.attempts, "expect", "effects", place, "attempts")

    def _obligations(self) -> Iterator[Miss]:
        for place, status in self._expect.obligations.items():
            whole = "/undo/" in place
            mine = [duty for duty in self._dump.obligations if _is(place, duty.key if whole else duty.effect_key)]
            if not mine:
                yield self._miss(status, "no obligation", "expect", "obligations", place)
            for duty in mine:
                if duty.status != status:
                    yield self._miss(status, duty.status, "expect", "obligations", place)

    def _budget(self, budget: Mapping[str, BudgetExpect], dump: RunDump, *loc: str) -> Iterator[Miss]:
        rows = {row.unit: row for row in dump.budget}
        refusals = Counter(entry.event.unit for entry in dump.entries if isinstance(entry.event, BudgetRefused))
        for name, wanted in budget.items():
            unit = "usd_micro" if name == "usd" else name
            row = rows.get(unit)
            for part in ("spent", "reserved", "lost"):
                number, found = getattr(wanted, part), 0 if row is None else getattr(row, part)
                if number is not None and number != found:
                    shown = (amount(unit, number), amount(unit, found))
                    yield self._miss(*shown, *loc, "budget", name, part)
            if wanted.refused is not None and not wanted.refused.holds(refusals[unit]):
                yield self._miss(wanted.refused, refusals[unit], *loc, "budget", name, "refused")

    # --- forks --------------------------------------------------------------------------------------------------

    def _forks(self) -> Iterator[Miss]:
        for name, wanted in self._expect.forks.items():
            loc = ("expect", "forks", name)
            fork = self._outcome.forks.get(name)
            if fork is None:
                yield self._miss("a fork", "it was never made", *loc)
                continue
            yield from self._end(wanted, fork.dump, *loc)
            for key, number in self._fork_counts(fork).items():
                count = getattr(wanted, key)
                if count is not None and not count.holds(number):
                    yield self._miss(count, number, *loc, key)
            yield from self._budget(wanted.budget, fork.dump, *loc)

    def _fork_counts(self, fork: Fork) -> dict[str, int]:
        acts = [act for found in self._outcome.acts.values() for act in found]
        entries = [entry for entry in self._outcome.entries if entry.run_id in fork.family]
        effects = fork.dump.effects
        return {
            "acts": sum((act.key or "").partition("/")[0] in fork.family for act in acts),
            "inherited": sum(effect.inherited for effect in effects),
            "quarantined": sum(effect.quarantined and not effect.inherited for effect in effects),
            "void": sum(isinstance(entry.event, GateAnswered) and entry.event.void for entry in fork.dump.entries),
            "decisions": fork.dump.run.decisions,
            "asks": _asked(entries).total(),
            "leases": sum(isinstance(entry.event, LeaseGranted) for entry in entries),
        }

    def _always(self) -> Iterator[Miss]:
        for finding in self._outcome.findings:
            yield self._miss("a journal that holds together", finding, "journal")
        if self._outcome.orphans:
            pids = ", ".join(map(str, self._outcome.orphans))
            yield self._miss("no process that lives on", f"pid {pids}", "processes")


def _asked(entries: Sequence[Entry]) -> Counter[tuple[str | None, int]]:
    """How often for each decision."""
    return Counter((entry.run_id, entry.event.index) for entry in entries if isinstance(entry.event, ModelAsked))


def _is(place: str, key: str) -> bool:
    """Whether an effect's key is of this tool, or at this place."""
    return key.partition("/")[2] == place if "/" in place else key.split("/", 3)[3] == place


def _cut(value: object) -> str:
    text = str(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
