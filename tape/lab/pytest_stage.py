"""What one test has ordered, and the runs that it has played: behind all fixtures of tape/lab/pytest_plugin.py."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tape.core.config import Config
from tape.core.kernel.errors import TapeError, UsageError, one_line
from tape.core.kernel.lifecycle import TimerStatus
from tape.core.kernel.points import Pass
from tape.core.text import show
from tape.lab.good import Good
from tape.lab.outcome import Outcome
from tape.lab.proof import Cell, Place
from tape.lab.prove_plan import SAY_AGENT, agent_of, kills_of
from tape.lab.pytest_judge import faults_of
from tape.lab.pytest_play import Setup, good_run, play, project_at
from tape.lab.pytest_result import RunResult, result_of
from tape.lab.scenario import Kill, Timers

Json = Any
GOOD_RUNS = 2
PASSES_SHOWN = 12


def refuse(text: str) -> NoReturn:
    """Fails the test with this line and nothing else."""
    raise pytest.fail.Exception(text, pytrace=False) from None


@contextlib.contextmanager
def plainly() -> Generator[None]:
    """An error of Tape's is a line."""
    try:
        yield
    except TapeError as error:
        refuse(one_line(error))


@dataclass(frozen=True, slots=True)
class Crash:
    """A death that is ordered. `required`: the run must come there; `sure`: it does so each time, or this is a mistake.
    `shown` is how it was ordered."""

    kill: Kill
    required: bool
    shown: str
    sure: bool = True


@dataclass(frozen=True, slots=True)
class Planned:
    """One id of a test that is played at every crash point."""

    cell: Cell
    agent: str
    input: Json


@dataclass(slots=True)
class Played:
    outcome: Outcome
    setup: Setup
    crashes: tuple[Crash, ...]
    judged: bool
    planned: Planned | None
    result: RunResult | None = None
    found: tuple[str, ...] | None = None

    def faults(self) -> tuple[str, ...]:
        """What is wrong with it, looked for once. Fails the test if it cannot be judged."""
        if self.found is None:
            with plainly():
                self.found = faults_of(self.outcome, self.setup, self.good())
        return self.found

    def good(self) -> Good | None:
        """The run that this one must be like, if there is to be one."""
        return None if self.planned is None else _good_of(self.setup)


class Stage:
    """For one test. `start` are folders from which the project is looked for, `folder` holds the journals."""

    def __init__(self, starts: tuple[Path, ...], folder: Path, planned: Planned | None) -> None:
        self._starts = starts
        self._folder = folder
        self._planned = planned
        self._config: Config | None = None
        self.crashes: list[Crash] = []
        self.timers = Timers.REAL
        self.advances: list[int] = []
        self.upstream: dict[str, dict[str, Json]] = {}
        self.played: list[Played] = []
        self.failed = False
        """Then the journals stay."""
        if planned is not None:
            self.timers = Timers.SKIPPED
            self._plan(planned.cell)

    def _plan(self, cell: Cell) -> None:
        for place, kill in zip((cell.place, cell.second), kills_of(cell), strict=False):
            assert place is not None
            shown = f"the crash at {place.label} ({kill.signal})"
            sure = place is cell.place  # a recovery is not alike each time
            self.crashes.append(Crash(kill, required=True, shown=shown, sure=sure))

    @property
    def config(self) -> Config:
        """Raises UsageError."""
        if self._config is None:
            self._config = project_at(*self._starts)
        return self._config

    def not_too_late(self, what: str) -> None:
        """Fails the test if a run was played already."""
        if self.played:
            refuse(f"{what} comes after tape_run; order it before the run that it is about")

    # --- playing ----------------------------------------------------------------------------------------------

    def run(self, given: tuple[Json] | None, agent: str | None, within_us: int, judged: bool) -> RunResult:
        """The first run takes the deaths; each has a journal and ledgers of its own. Fails the test on any trouble."""
        with plainly():
            setup = self._setup(given, agent, within_us)
            planned = self._planned if not self.played else None
            crashes = tuple(self.crashes) if not self.played else ()
            good = _good_of(setup) if planned is not None else None
            folder = self._folder / f"run-{len(self.played) + 1}"
            outcome = play(setup, folder, [crash.kill for crash in crashes], good)
        played = Played(outcome, setup, crashes, judged, planned)
        self.played.append(played)
        if outcome.late:
            refuse(_lateness(outcome))
        with plainly():
            played.result = result_of(outcome, played.faults)
        if outcome.unplaced and setup.advances and not crashes:
            refuse("tape_clock.advance: the run set no timer for it")
        return played.result

    def _setup(self, given: tuple[Json] | None, agent: str | None, within_us: int) -> Setup:
        planned = self._planned
        if planned is not None:
            given = (planned.input,) if given is None else given
            agent = planned.agent if agent is None else agent
        value = None if given is None else given[0]
        try:
            json.dumps(value)
        except (TypeError, ValueError) as error:
            raise UsageError(f"tape_run: the input is not JSON: {error}") from None
        return Setup(
            config=self.config,
            agent=agent_of(self.config, agent, SAY_AGENT),
            input=value,
            upstream={name: dict(options) for name, options in self.upstream.items()},
            within_us=within_us,
            timers=self.timers,
            advances=tuple(self.advances),
        )

    # --- after the test ---------------------------------------------------------------------------------------

    def judge(self) -> None:
        """Fails the test if a run is wrong, or if what was ordered did not happen."""
        if not self.played:
            if self._planned is not None:
                refuse("the test never called tape_run(): nothing was killed")
            if self.crashes:
                refuse("crash_at was ordered, but the test never called tape_run()")
            return
        wrong = [line for played in self.played if played.judged for line in played.faults()]
        wrong += [line for played in self.played for line in _unreached(played)]
        if wrong:
            refuse("\n".join(wrong))
        if any(_unreached(played, sure=False) for played in self.played):
            pytest.skip("not passed this time, so not proven")

    def report(self) -> str:
        """What to show beside a failure: whatever is wrong with the runs, and where their journals are."""
        lines: list[str] = []
        for played in self.played:
            outcome = played.outcome
            with contextlib.suppress(pytest.fail.Exception):
                lines += [] if outcome.late else played.faults()
            lines.append(f"{outcome.run_id or 'no run'} {outcome.status}: journal {outcome.folder / 'journal.db'}")
            lines += [f"  the agent said: {show(line, 160)}" for line in outcome.said[-3:]]
        return "\n".join(lines)

    def clear(self) -> None:
        """Nothing is kept of a test that passed."""
        shutil.rmtree(self._folder, ignore_errors=True)


def _good_of(setup: Setup) -> Good:
    good = good_run(setup, GOOD_RUNS)
    if isinstance(good, str):
        raise UsageError(good)
    return good


def _lateness(outcome: Outcome) -> str:
    dump = outcome.dump
    waits = dump is not None and any(timer.status == TimerStatus.SET for timer in dump.timers)
    return outcome.late + ("; tape_clock.skip_timers() puts time forward to its timer" if waits else "")


def _unreached(played: Played, *, sure: bool = True) -> list[str]:
    """The points that the run had to come to, and did not; without `sure` those that it may have missed by chance."""
    outcome = played.outcome
    passed = dict.fromkeys(_place(found) for found in outcome.passes)
    shown = ", ".join([*[*passed][:PASSES_SHOWN], *(["..."] if len(passed) > PASSES_SHOWN else [])]) or "nothing"
    good = played.good()
    alike = good is None or good.fixed
    return [
        f"{crash.shown}: the run never came there; it passed {shown}"
        for crash in (played.crashes[number] for number in outcome.unreached)
        if crash.required and (crash.sure and alike) is sure
    ]


def _place(passed: Pass) -> str:
    return Place(passed.point, passed.tool, passed.decision_index).label
