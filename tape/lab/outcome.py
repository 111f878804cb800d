"""What came of one trial: what the journal holds, what the stand-ins' ledgers hold, and what was seen besides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tape.core.journal.dump import RunDump
from tape.core.kernel.events import Entry
from tape.core.kernel.points import Pass
from tape.lab.contract_count import ContractLine
from tape.lab.family import Family
from tape.lab.probe import FalseAbsent
from tape.lab.scenario import ScriptedOrder
from tape.lab.upstream_ledger import Act


@dataclass(frozen=True, slots=True)
class Fork:
    """A fork that the story made, or the run that one was promoted to; `family`: it and its descendants."""

    run_id: str
    dump: RunDump
    family: frozenset[str]


@dataclass(frozen=True, slots=True)
class Outcome:
    """`family`: the run and its descendants; empty if not even a run came of it, then `late` says why. `late` is also
    why a run has not come to rest in time; empty if it has.

    `entries` are all of the journal, workers' included. `acts` are the acts of each stand-in's ledger, undone or not.
    `surplus` and `missing` are keys with more or fewer acts than the journal allows. `unreached` are the places in the
    scenario's `kill` that did not come, `unplaced` the same of its `orders`. `as_person` is what was decided in a
    person's place. `forks` go by their names. `absents`: look-ups that did not find what was there. `findings`
    are what is wrong with the journal, `orphans` the processes that lived on. `folder` holds journal and ledgers.
    """

    run_id: str
    family: Family
    entries: tuple[Entry, ...]
    acts: Mapping[str, tuple[Act, ...]]
    contract: tuple[ContractLine, ...]
    surplus: tuple[str, ...]
    missing: tuple[str, ...]
    findings: tuple[str, ...]
    passes: tuple[Pass, ...]
    unreached: tuple[int, ...]
    unplaced: tuple[int, ...]
    as_person: tuple[ScriptedOrder, ...]
    absents: tuple[FalseAbsent, ...]
    late: str
    orphans: tuple[int, ...]
    said: tuple[str, ...]
    seconds: float
    folder: Path
    forks: Mapping[str, Fork] = field(default_factory=dict[str, Fork])

    @property
    def dump(self) -> RunDump | None:
        """The run's own."""
        return self.family.get(())

    @property
    def status(self) -> str:
        return "" if self.dump is None else self.dump.run.status

    @property
    def of_run(self) -> tuple[Entry, ...]:
        return tuple(entry for entry in self.entries if entry.run_id == self.run_id)
