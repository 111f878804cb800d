"""The story of one run, told from its entries: what the console's panes show of it. Pure.

Telling a prefix of the entries gives the state as of its last entry (time travel): nothing looks ahead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from tape.core.kernel.events import Entry, Json
from tape.core.kernel.lifecycle import RUN_ENDS
from tape.core.render import line
from tape.core.story_facts import Cost, EffectFact, Facts, LeaseFact, Refusal
from tape.core.story_lines import LineKind, Lines, TapeLine
from tape.core.story_passes import Passes

__all__ = ["Cost", "EffectFact", "LeaseFact", "LineKind", "Refusal", "RunStory", "TapeLine", "Teller", "tell"]


@dataclass(frozen=True, slots=True)
class RunStory:
    """One run as of its last entry told. `why` and `commands` are those of its last move (a STUCK run's reason and what
    helps); `ended_us` is when its `run_ended` was written, after which undos may still go on. `passes` counts every
    crash point (story_passes.py)."""

    run_id: str
    agent: str
    input: Json
    status: str
    why: str
    commands: tuple[str, ...]
    decisions: int
    seq: int
    drive: int
    epoch: int
    lines: tuple[TapeLine, ...]
    effects: tuple[EffectFact, ...]
    leases: tuple[LeaseFact, ...]
    refusals: tuple[Refusal, ...]
    passes: Mapping[str, int]
    cost: Cost
    started_us: int | None
    ended_us: int | None

    @property
    def ended(self) -> bool:
        return self.status in RUN_ENDS


class Teller:
    """Takes the entries of one run, batch by batch, in order of id. Those of other runs are left out; entries without
    a run (a worker's death, a server's start) are welcome. `full` keeps every entry as a line of its own.

    `add` costs in proportion to the batch; `story` copies references only.
    """

    def __init__(self, *, full: bool = False) -> None:
        self._run_id: str | None = None
        self._facts = Facts()
        self._passes = Passes()
        self._lines = Lines(full=full)

    def add(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            if self._run_id is None:
                self._run_id = entry.run_id
            if entry.run_id is None or entry.run_id == self._run_id:
                self._take(entry)

    def _take(self, entry: Entry) -> None:
        if self._run_id is None:
            return  # what happened before the run says nothing about it
        shown = line(entry)
        try:
            self._facts.take(entry, shown)
            self._passes.take(entry, self._facts)
            self._lines.take(entry, shown, self._facts)
        except (TypeError, ValueError, AttributeError, KeyError):  # a damaged body
            self._lines.keep(entry, shown)

    def story(self) -> RunStory:
        facts = self._facts
        return RunStory(
            run_id=self._run_id or "",
            agent=facts.agent,
            input=facts.input,
            status=facts.status,
            why=facts.why,
            commands=facts.commands,
            decisions=facts.decisions,
            seq=facts.seq,
            drive=facts.drive,
            epoch=facts.epoch,
            lines=self._lines.told(facts),
            effects=tuple(facts.effects.values()),
            leases=tuple(facts.leases.values()),
            refusals=tuple(facts.refusals),
            passes=MappingProxyType(dict(self._passes.counts)),
            cost=facts.cost,
            started_us=facts.started_us,
            ended_us=facts.ended_us,
        )


def tell(entries: Sequence[Entry], *, full: bool = False) -> RunStory:
    """The story of one run's entries."""
    teller = Teller(full=full)
    teller.add(entries)
    return teller.story()
