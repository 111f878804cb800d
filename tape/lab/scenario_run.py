"""Plays scenario files, several at a time, each in a journal of its own."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tape.core.config import Config, load_config
from tape.core.kernel.errors import TapeError, UsageError, one_line
from tape.core.kernel.events import PointReached
from tape.core.kernel.points import Death
from tape.lab.crew import bench_of, crew, usual_jobs
from tape.lab.expectations import misses
from tape.lab.outcome import Outcome
from tape.lab.scenario import Scenario
from tape.lab.scenario_file import check, read_scenario
from tape.lab.scenario_result import ScenarioResult
from tape.lab.scratch import keep
from tape.lab.trial import Trial

KEPT = ".tape/scenarios"


@dataclass(frozen=True, slots=True)
class Task:
    """One scenario, read and checked. `keep` is where its journal stays if something is wrong, or `keep_all`."""

    number: int
    scenario: Scenario
    config: Config
    folder: Path
    keep: Path
    keep_all: bool = False


def load(path: Path) -> tuple[Scenario, Config]:
    """A scenario and the project it is about. Raises UsageError for whatever is wrong with either."""
    scenario = read_scenario(path)
    config = load_config(scenario.folder(), {})
    check(scenario, config)
    return scenario, config


def run_scenarios(
    files: Sequence[Path],
    jobs: int,
    tick: Callable[[int, ScenarioResult], None] = lambda number, result: None,
    *,
    keep_all: bool = False,
) -> list[ScenarioResult]:
    """In the order of the files; `tick` is told each as it ends, with its place in this order. Raises UsageError,
    before anything is played, if a file cannot be read."""
    loaded = _load_all(files)
    with tempfile.TemporaryDirectory(prefix="tape-scenario-") as scratch:
        tasks = [
            Task(number, scenario, config, Path(scratch, str(number)), config.root / KEPT / name, keep_all)
            for number, ((scenario, config), name) in enumerate(zip(loaded, _names(files), strict=True))
        ]
        results: dict[int, ScenarioResult] = {}
        with crew(play, min(jobs or usual_jobs(), len(tasks))) as hands:
            for task, result in hands.answers(tasks):
                results[task.number] = result
                tick(task.number, result)
    return [results[number] for number in sorted(results)]


def _load_all(files: Sequence[Path]) -> list[tuple[Scenario, Config]]:
    """All mistakes of all files are told at once."""
    loaded: list[tuple[Scenario, Config]] = []
    mistakes: dict[str, None] = {}
    for file in files:
        try:
            loaded.append(load(file))
        except UsageError as error:
            mistakes.update(dict.fromkeys(str(error).splitlines()))
    if mistakes:
        raise UsageError("\n".join(mistakes))
    return loaded


def _names(files: Sequence[Path]) -> list[str]:
    """A name for each: the file's, with as many folders before it as make it the only one."""
    names = {file: file.stem for file in files}
    for file in files:
        folders = [folder for folder in reversed(file.absolute().parent.parts) if folder != os.sep]
        while sum(name == names[file] for name in names.values()) > 1 and folders:
            names[file] = f"{folders.pop(0)}-{names[file]}"
    return [names[file] for file in files]


def play(task: Task) -> ScenarioResult:
    """Plays one scenario on this process's bench and judges it."""
    scenario = task.scenario
    try:
        bench = bench_of(scenario.over(task.config), scenario.environment)
        outcome = Trial(scenario, task.config, bench, task.folder).run()
    except TapeError as error:
        shutil.rmtree(task.folder, ignore_errors=True)
        return ScenarioResult(scenario.name, scenario.shown, ok=False, trouble=one_line(error))
    result = judged(scenario, outcome)
    if result.ok and not task.keep_all:
        shutil.rmtree(task.keep, ignore_errors=True)
        shutil.rmtree(task.folder, ignore_errors=True)
        return result
    unkept = keep(task.folder, task.keep)
    return replace(result, unkept=unkept, journal=None if unkept else task.keep / "journal.db")


def judged(scenario: Scenario, outcome: Outcome) -> ScenarioResult:
    """The verdict on one scenario."""
    missed = misses(scenario, outcome)
    deaths = [entry.event for entry in outcome.entries if isinstance(entry.event, PointReached)]
    return ScenarioResult(
        name=scenario.name,
        shown=scenario.shown,
        ok=not missed and not outcome.late,
        misses=missed,
        trouble=outcome.late,
        seconds=outcome.seconds,
        kills=sum(event.death != Death.HOLD for event in deaths),
        run_id=outcome.run_id,
    )
