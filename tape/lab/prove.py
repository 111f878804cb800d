"""`tape prove`: kills a real process at every boundary of the agent's own run, lets it recover, and judges by the
upstreams' ledgers and contract.md.

One good run gives the boundaries (a second one what may differ between two of them). Then each boundary x each kind of
death is a trial of its own; with `pairs` a second death strikes on the way back.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any, Protocol

from tape.core.clock import Clock, SystemClock
from tape.core.config import Config
from tape.core.kernel.errors import one_line
from tape.core.kernel.lifecycle import RunStatus
from tape.core.kernel.points import Death
from tape.core.text import show
from tape.lab.convict import about_good
from tape.lab.crew import crew, usual_jobs
from tape.lab.good import Good, good_of
from tape.lab.outcome import Outcome
from tape.lab.proof import Cause, Cell, Mark, Mistake, Place, Proof, Result
from tape.lab.prove_cell import QUICK, Answer, Task, play
from tape.lab.prove_plan import agent_of, cells_of, kills_of, pairs_of
from tape.lab.recorded import STAND_IN, Recorded
from tape.lab.scenario import Count, Expect, Scenario, ScriptedOrder, Timers, Verb
from tape.lab.scratch import scratch

KEPT = ".tape/prove"
RECORDED = "recorded.json"
GOOD_RUNS = 2
GOOD_WITHIN_US = 60_000_000
LEAST_WITHIN_US = 15_000_000
ENDLESS_LIMIT = 6
"""After so many trials that did not end nothing more is to be learned."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be proven. `keep_all`: every cell's journal stays, not only those that are wrong. `environment` is
    the agents'. `recorded`: a run that plays the models and tools; then `keys_honoured` says what the stand-in in the
    place of all upstreams does with keys. `within_us`: how long a good run may take."""

    agent: str | None = None
    input: Any = None
    pairs: bool = False
    jobs: int = 0
    keep_all: bool = False
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    recorded: Recorded | None = None
    keys_honoured: bool = True
    within_us: int = GOOD_WITHIN_US


class Audience(Protocol):
    """Who is told how it goes."""

    def good(self, good: Good, seconds: float) -> None: ...
    def plan(self, agent: str, places: tuple[Place, ...], cells: tuple[Cell, ...], jobs: int) -> None: ...
    def result(self, result: Result) -> None: ...


class Nobody:
    def good(self, good: Good, seconds: float) -> None: ...
    def plan(self, agent: str, places: tuple[Place, ...], cells: tuple[Cell, ...], jobs: int) -> None: ...
    def result(self, result: Result) -> None: ...


class Prover:
    """One proof of one agent of a project."""

    def __init__(self, config: Config, wanted: Wanted, audience: Audience | None = None, clock: Clock | None = None):
        """Raises UsageError for an agent that the project does not have."""
        upstream = config.upstream if wanted.recorded is None else {STAND_IN: {"honours_key": wanted.keys_honoured}}
        self._config = replace(config, recovery=QUICK, workers=1, concurrency=1, upstream=upstream)
        self._wanted = wanted
        self._audience = audience or Nobody()
        self._clock = clock or SystemClock()
        self._agent = agent_of(config, wanted.agent)
        self._jobs = wanted.jobs or usual_jobs()
        self._numbers = count(1)
        self._kept = config.root / KEPT
        self._endless = 0
        self._unkept: dict[str, None] = {}

    def prove(self) -> Proof:
        """Raises UsageError if the project cannot be loaded, EnvironmentTrouble if the machine does not let it."""
        started = self._clock.boot_us()
        shutil.rmtree(self._kept, ignore_errors=True)
        if self._wanted.recorded is not None:
            self._wanted.recorded.write(self._kept / RECORDED)
        with scratch("tape-prove-") as place, crew(play, self._jobs) as hands:
            folder = Path(place)
            outcomes = [self._outcome_of(answer) for _, answer in hands.answers(self._good_tasks(folder))]
            about = about_good(outcomes[0])
            if any(cause.mistake is Mistake.NO_GOOD_RUN for cause in about):
                return self._proof(started, outcomes[0].status, (), about, (), ())
            good = good_of(*outcomes)
            self._audience.good(good, outcomes[0].seconds)
            limit = max(LEAST_WITHIN_US, int(outcomes[0].seconds * 10 * 1_000_000))
            cells = tuple(cells_of(good.places, self._numbers))
            self._audience.plan(self._agent, good.places, cells, self._jobs)
            results: list[Result] = []
            afters: list[tuple[Cell, tuple[Place, ...]]] = []
            for cell, answer in self._play(hands.answers, cells, good, limit, folder):
                results.append(answer)
                afters.append((answer.cell, cell))
            if self._wanted.pairs:
                pairs = tuple(pairs_of(afters, self._numbers))
                self._audience.plan(self._agent, good.places, (*cells, *pairs), self._jobs)
                results += [result for _, result in self._play(hands.answers, pairs, good, limit, folder)]
        results.sort(key=lambda result: result.cell.number)
        return self._proof(started, good.status, good.places, about, self._notes(good), tuple(results))

    def _proof(
        self,
        started_us: int,
        status: str,
        places: tuple[Place, ...],
        about: tuple[Cause, ...],
        notes: tuple[str, ...],
        results: tuple[Result, ...],
    ) -> Proof:
        seconds = (self._clock.boot_us() - started_us) / 1_000_000
        return Proof(self._agent, status, places, about, notes, results, seconds)

    # --- tasks ------------------------------------------------------------------------------------------------

    def _good_tasks(self, folder: Path) -> Iterator[Task]:
        for number in range(GOOD_RUNS):
            scenario = Scenario(
                "the good run",
                agent=self._agent,
                input=self._wanted.input,
                within_us=self._wanted.within_us,
                timers=Timers.SKIPPED,
            )
            yield self._task(None, self._told(scenario), folder / f"good-{number}", None)

    def _task(self, cell: Cell | None, scenario: Scenario, folder: Path, good: Good | None) -> Task:
        keep = self._kept / (cell.slug if cell is not None else "good")
        wanted = self._wanted
        return Task(cell, scenario, self._config, wanted.environment, folder, keep, good, wanted.keep_all)

    def _outcome_of(self, answer: Answer) -> Outcome:
        if answer.error is not None:
            raise answer.error
        assert answer.outcome is not None
        return answer.outcome

    def _play(
        self, answers: Any, cells: Iterable[Cell], good: Good, limit_us: int, folder: Path
    ) -> Iterator[tuple[tuple[Place, ...], Result]]:
        tasks = (
            self._task(cell, self._scenario(cell, good, limit_us), folder / f"cell-{cell.number}", good)
            for cell in cells
            if self._endless < ENDLESS_LIMIT
        )
        for task, answer in answers(tasks):
            result: Result = answer.result or _not_played(task.cell, answer)
            self._unkept |= {answer.unkept: None} if answer.unkept else {}
            self._endless += any(cause.mistake is Mistake.NEVER_ENDS for cause in result.causes)
            self._audience.result(result)
            yield answer.after, result

    # --- cells ------------------------------------------------------------------------------------------------

    def _scenario(self, cell: Cell, good: Good, limit_us: int) -> Scenario:
        orders: list[ScriptedOrder] = []
        if cell.death is Death.STOP:
            over = self._config.lease.ttl_us + 1_000_000
            orders = [
                ScriptedOrder("point_reached", Verb.ADVANCE, by_us=over),
                ScriptedOrder(good.status, Verb.THAW),
            ]
        scenario = Scenario(
            name=f"{self._agent}: {cell.label}",
            agent=self._agent,
            input=self._wanted.input,
            environment=self._wanted.environment,
            within_us=limit_us,
            timers=Timers.SKIPPED if good.timers else Timers.REAL,
            kill=kills_of(cell),
            orders=tuple(orders),
            expect=self._expect(good),
        )
        return self._told(scenario)

    def _told(self, scenario: Scenario) -> Scenario:
        """With the recorded run, as seen from where a scenario would be kept."""
        if self._wanted.recorded is None:
            return scenario
        source = self._kept / "scenario.yaml"
        return replace(scenario, recorded=RECORDED, upstream=self._config.upstream, source=source)

    def _expect(self, good: Good) -> Expect:
        upstream = {f"{name}.{kind}": Count.exactly(number) for (name, kind), number in sorted(good.standing.items())}
        made = sum(dump.run.decisions for dump in good.family.values())
        decisions = Count.exactly(made) if all(run.fixed for run in good.runs.values()) else None
        return Expect(status=RunStatus(good.status), upstream=upstream, decisions=decisions)

    def _notes(self, good: Good) -> tuple[str, ...]:
        notes: list[str] = []
        every = [effect for dump in good.family.values() for effect in dump.effects]
        acting = [effect for effect in every if effect.semantics != "read_only"]
        unseen = sorted({effect.tool for effect in acting if good.acts_of(effect.tool) is None})
        if unseen:
            names = ", ".join(unseen)
            notes.append(
                f"no stand-in saw an act of {names}: nothing outside the journal judges it; name its upstream in "
                "tape.yaml, or prove a recorded run with --from RUN"
            )
        if good.status != RunStatus.TERMINAL:
            error = f" ({show(good.dump.run.error, 120)})" if good.dump.run.error else ""
            notes.append(f"the good run itself ends {good.status}{error}: proven is that it always does")
        if not good.fixed:
            notes.append("two good runs were not alike, so tapes were not compared: only ledgers and journals judge")
        if self._endless >= ENDLESS_LIMIT:
            notes.append(f"stopped after {ENDLESS_LIMIT} trials that did not end")
        notes += self._unkept
        return tuple(notes)


def _not_played(cell: Cell, answer: Answer) -> Result:
    why = "" if answer.error is None else one_line(answer.error)
    return Result(cell, Mark.WRONG, (Cause(Mistake.NOT_PLAYED, f"could not be played: {why}"),))
