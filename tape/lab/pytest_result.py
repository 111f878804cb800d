"""What a test sees of a run that was played: `RunResult`, and the ledgers of its stand-ins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tape.core.journal.dump import EffectView
from tape.core.kernel.errors import UsageError
from tape.core.kernel.events import Entry, LeaseGranted, ModelAsked, RunEnded, WorkerDied
from tape.lab.outcome import Outcome
from tape.lab.upstream_ledger import Act

Json = Any


@dataclass(frozen=True, slots=True)
class UpstreamActs:
    """A stand-in's ledger at the end of one run: the only judge of what happened outside.

    assert result.upstream["bank"].count("wires") == 1
    """

    name: str
    ledger: tuple[Act, ...]

    def all(self, collection: str | None = None) -> tuple[Act, ...]:
        """Every act, undone or not, oldest first; of one collection, or of all of them."""
        return tuple(act for act in self.ledger if collection in (None, act.collection))

    def acts(self, collection: str | None = None) -> tuple[Act, ...]:
        """The acts that stand: those that are not undone."""
        return tuple(act for act in self.all(collection) if not act.undone)

    def count(self, collection: str | None = None) -> int:
        """How many acts stand."""
        return len(self.acts(collection))


@dataclass(frozen=True, slots=True)
class RunResult:
    """One run that was played to its end, or to where it is STUCK. The figures mean what they mean in a scenario.

        result = tape_run("pay invoice 7")
        assert result.status == "TERMINAL"
        assert result.effect("wire_money").resolution == "observed"

    `result` is what the agent returned, `error` why it failed (empty if it did not). `decisions` are those on the
    tape, `asks` how often the model was asked, `leases` how often the run was driven, `deaths` the workers that died.
    `effects` have `tool`, `status`, `resolution`, `attempts`, `args`, `result` and more, in the order of their begin.
    `entries` are the run's part of the journal; `journal` is the file, there until the test is over, and kept if it
    failed. `upstream` are the ledgers, by stand-in.
    """

    run_id: str
    status: str
    result: Json
    error: str
    decisions: int
    asks: int
    leases: int
    deaths: int
    effects: tuple[EffectView, ...] = field(repr=False)
    entries: tuple[Entry, ...] = field(repr=False)
    upstream: Mapping[str, UpstreamActs] = field(repr=False)
    journal: Path
    seconds: float
    _judge: Callable[[], tuple[str, ...]] = field(repr=False, compare=False)

    def effect(self, tool: str) -> EffectView:
        """The one effect of this tool. Fails the test if there is none, or more than one."""
        found = [effect for effect in self.effects if effect.tool == tool]
        if len(found) != 1:
            names = ", ".join(effect.tool for effect in self.effects) or "none"
            pytest.fail(f"the run has {len(found)} effects of {tool!r}, not one; its effects: {names}", pytrace=False)
        return found[0]

    def faults(self) -> tuple[str, ...]:
        """What is wrong with the run by its ledgers and its journal, a sentence each; empty if it holds."""
        return self._judge()

    def assert_contract(self) -> None:
        """Fails the test, with a sentence for each thing that is wrong, unless the run holds: acts within their bounds
        for each key, a journal that holds together, no process that lives on."""
        if faults := self.faults():
            pytest.fail("\n".join(faults), pytrace=False)


def result_of(outcome: Outcome, judge: Callable[[], tuple[str, ...]]) -> RunResult:
    """Raises UsageError if not even a run came of it."""
    dump = outcome.dump
    if dump is None:
        raise UsageError(outcome.late or "no run came of it")
    events = [entry.event for entry in outcome.entries]
    ends = [entry.event for entry in dump.entries if isinstance(entry.event, RunEnded)]
    return RunResult(
        run_id=outcome.run_id,
        status=dump.run.status,
        result=ends[-1].result if ends else None,
        error=dump.run.error,
        decisions=dump.run.decisions,
        asks=sum(isinstance(event, ModelAsked) for event in events),
        leases=sum(isinstance(event, LeaseGranted) for event in events),
        # The end of the server ends whoever is left: that is no death.
        deaths=sum(isinstance(event, WorkerDied) and "the server stops" not in event.how for event in events),
        effects=tuple(dump.effects),
        entries=tuple(dump.entries),
        upstream={name: UpstreamActs(name, acts) for name, acts in outcome.acts.items()},
        journal=outcome.folder / "journal.db",
        seconds=outcome.seconds,
        _judge=judge,
    )
