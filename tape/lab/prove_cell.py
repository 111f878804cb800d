"""One trial of a proof: played on this process's bench, judged, and kept if something is wrong."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tape.core.config import Config
from tape.core.kernel.errors import TapeError, UsageError, machine_line
from tape.core.kernel.events import BudgetAwaited, BudgetDenied, BudgetRaised, EffectEnded, PointReached
from tape.core.kernel.policy import AskPolicy, Backoff, RecoveryPolicy
from tape.lab.convict import causes
from tape.lab.crew import bench_of
from tape.lab.good import Good, places_of, standing_of
from tape.lab.outcome import Outcome
from tape.lab.person import Person
from tape.lab.proof import Cause, Cell, Mark, Mistake, Place, Result
from tape.lab.prove_plan import recovery_of
from tape.lab.scenario import Scenario, ScriptedOrder, Verb
from tape.lab.scenario_file import write_scenario
from tape.lab.scratch import keep
from tape.lab.trial import Trial

QUICK = RecoveryPolicy(
    max_crashes=5,
    backoff=Backoff(10_000, 100_000),
    asks=AskPolicy(backoff=Backoff(20_000, 200_000), max_asks=5),
)
"""In a drill nobody needs to be spared: deaths and look-ups are followed up at once."""


NOT_PASSED = Cause(Mistake.NOT_PASSED, "this time the run did not come there: it takes another way than the good run")


@dataclass(frozen=True, slots=True)
class Task:
    """One trial: of a cell, or (None) a good run. `keep` is where a journal stays that is worth it."""

    cell: Cell | None
    scenario: Scenario
    config: Config
    environment: Mapping[str, str]
    folder: Path
    keep: Path
    good: Good | None
    keep_all: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """`outcome` of a good run, `result` of a cell; `after`: the places passed after the death, for the pairs.
    `error`: why it could not be played, whose kind is the command's exit code.
    `unkept`: why its journal, or the scenario beside it, could not be kept."""

    outcome: Outcome | None = None
    result: Result | None = None
    after: tuple[Place, ...] = ()
    error: TapeError | None = None
    unkept: str = ""


def play(task: Task) -> Answer:
    """Plays one trial on this process's bench and judges it."""
    try:
        bench = bench_of(task.config, task.environment)
        trial = Trial(task.scenario, task.config, bench, task.folder, prover=Person(task.good), strict=False)
        outcome = trial.run()
    except TapeError as error:
        shutil.rmtree(task.folder, ignore_errors=True)
        return Answer(error=error)
    if task.cell is None or task.good is None:
        shutil.rmtree(task.folder, ignore_errors=True)
        return Answer(outcome=outcome)
    result = judged(task.cell, outcome, task.good)
    result, unkept = _keep(task, result)
    return Answer(result=result, after=recovery_of(task.cell, places_of(outcome.passes)), unkept=unkept)


def judged(cell: Cell, outcome: Outcome, good: Good) -> Result:
    """The verdict on one cell."""
    found = causes(outcome, good)
    mark = Mark.WRONG if found else Mark.PERSON if outcome.as_person else Mark.HOLDS
    if not found and outcome.unreached:
        mark, found = Mark.MISSED, (NOT_PASSED,)
    dump = outcome.dump
    return Result(
        cell=cell,
        mark=mark,
        causes=found,
        status=outcome.status,
        resolutions=tuple(_resolutions(outcome)),
        acts=sum(standing_of(outcome.acts).values()),
        kills=sum(isinstance(entry.event, PointReached) for entry in outcome.entries),
        seconds=outcome.seconds,
        run_id=outcome.run_id if dump is not None else "",
    )


def _resolutions(outcome: Outcome) -> Iterator[str]:
    for entry in outcome.entries:
        if isinstance(entry.event, EffectEnded) and entry.event.resolution != "returned":
            yield entry.event.resolution


def _keep(task: Task, result: Result) -> tuple[Result, str]:
    """What is wrong stays, with a scenario that plays it again; or why it could not."""
    if result.mark is not Mark.WRONG and not task.keep_all:
        shutil.rmtree(task.folder, ignore_errors=True)
        return result, ""
    if unkept := keep(task.folder, task.keep):
        return result, unkept
    result = replace(result, journal=task.keep / "journal.db")
    if result.mark is not Mark.WRONG:
        return result, ""
    file = task.keep.with_suffix(".yaml") if not task.keep.suffix else task.keep.parent / f"{task.keep.name}.yaml"
    why = "; ".join(cause.sentence for cause in result.causes)
    orders = (*task.scenario.orders, *answers_of(task.good))
    try:
        file.write_text(write_scenario(replace(task.scenario, about=why, orders=orders)))
    except UsageError:  # an input that no file can hold
        return result, ""
    except OSError as error:
        return result, f"the scenario could not be written: {machine_line(error)}"
    return replace(result, scenario=file), ""


def answers_of(good: Good | None) -> tuple[ScriptedOrder, ...]:
    """The answers that a proof gives to the gates of a good run, and the caps that it raises there, as orders of a
    scenario that is played without one."""
    gates = [] if good is None else sorted(good.dump.gates, key=lambda gate: gate.opened_us or 0)
    answers = tuple(
        ScriptedOrder("gate_opened", Verb.ANSWER, nth, gate=gate.name, ordinal=gate.ordinal, value=gate.options[0])
        for nth, gate in enumerate(gates, 1)
        if gate.opened_us is not None
    )
    return (*answers, *_raises(good)) if good is not None else answers


def _raises(good: Good) -> Iterator[ScriptedOrder]:
    awaited = 0
    for entry in good.dump.entries:
        if isinstance(entry.event, BudgetAwaited):
            awaited += 1
        elif isinstance(entry.event, BudgetRaised) and entry.event.cap is not None and awaited:
            caps = {entry.event.unit: entry.event.cap}
            yield ScriptedOrder("budget_awaited", Verb.BUDGET, awaited, caps=caps)
        elif isinstance(entry.event, BudgetDenied):
            yield ScriptedOrder("budget_awaited", Verb.BUDGET, awaited, deny=True)
