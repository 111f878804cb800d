"""Several storms side by side, each over a project of its own, and a new project after so many kills: the checker
reads whole journals. Each project is judged after its quiet; one that is found wanting is kept."""

from __future__ import annotations

import shutil
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

from tests.soak.project import Project
from tests.soak.storm import Storm

SIGNAL_OF = {"SIGTERM": "SIGTERM", "SIGSTOP": "SIGSTOP"}
"""Every other kind of kill is a SIGKILL."""


@dataclass(frozen=True, slots=True)
class Plan:
    """`agents` over all projects that run at the same time; `roll`: kills per project."""

    folder: Path
    kills: int
    seed: int
    agents: int = 8
    projects: int = 2
    seconds: float = float("inf")
    roll: int = 2_000
    longest_pause: float = 0.15


@dataclass
class Outcome:
    """`killed` by kind; `counts` as the journals and ledgers say; `violations` with the folder that is kept."""

    killed: Counter[str] = field(default_factory=Counter)
    helped: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    projects: int = 0
    lost_orders: int = 0
    slowest_quiet: float = 0.0
    seconds: float = 0.0

    @property
    def kills(self) -> int:
        return sum(self.killed.values())

    def signals(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for kind, count in self.killed.items():
            found[SIGNAL_OF.get(kind, "SIGKILL")] += count
        return found

    def lines(self) -> list[str]:
        signals, counts = self.signals(), self.counts
        kinds = ", ".join(f"{kind} {count}" for kind, count in self.killed.most_common() if kind not in SIGNAL_OF)
        ends = ", ".join(f"{name[4:]} {count}" for name, count in sorted(counts.items()) if name.startswith("run "))
        helped = ", ".join(f"{how} {count}" for how, count in self.helped.most_common())
        return [
            f"kills: {self.kills}: SIGKILL {signals['SIGKILL']} ({kinds}), SIGTERM {signals['SIGTERM']}, "
            f"SIGSTOP {signals['SIGSTOP']}; workers dead {counts['dead']}",
            f"runs: {counts['run']} ({ends}), leases {counts['drives']}, orders placed again {self.lost_orders}, "
            f"stuck by design and helped: {helped or 'none'}",
            f"acts: {counts['acts']}, doubled {counts['doubled']}, lost {counts['lost']}",
            f"quiet: everything at its end within {self.slowest_quiet:.1f} s of the last kill; "
            f"{self.projects} projects, {self.seconds:.0f} s in all",
        ]


class Campaign:
    """`run` once. What it says goes through `say`, from any thread."""

    def __init__(self, plan: Plan, say: Callable[[str], None]) -> None:
        self.plan = plan
        self.say = say
        self.outcome = Outcome()
        self._lock = threading.Lock()
        self._storms: dict[int, Storm] = {}
        self._begun = time.monotonic()

    def run(self, tell_every: float = 10.0) -> Outcome:
        plan = self.plan
        with ThreadPoolExecutor(plan.projects) as pool:
            lanes = [pool.submit(self._lane, number) for number in range(plan.projects)]
            while wait(lanes, tell_every).not_done:
                self.say(self._progress())
        for lane in lanes:
            lane.result()
        self.outcome.seconds = time.monotonic() - self._begun
        return self.outcome

    def _progress(self) -> str:
        with self._lock:
            kills = self.outcome.kills + sum(sum(storm.killed.values()) for storm in self._storms.values())
            runs = self.outcome.counts["run"] + sum(len(storm.expected) for storm in self._storms.values())
        seconds = time.monotonic() - self._begun
        return f"{kills} of {self.plan.kills} kills, {runs} runs, {seconds:.0f} s ({kills / seconds:.1f} kills/s)"

    def _enough(self, wanted: int) -> Callable[[int], bool]:
        until = self._begun + self.plan.seconds
        return lambda kills: kills >= wanted or time.monotonic() >= until

    def _lane(self, number: int) -> None:
        """One project after the other until its share is done, the time is up or something is wrong."""
        plan = self.plan
        left = -(-plan.kills // plan.projects)
        turn = 0
        while left > 0 and not self.outcome.violations and time.monotonic() < self._begun + plan.seconds:
            left -= self._project(number, turn, min(left, plan.roll))
            turn += 1

    def _project(self, lane: int, turn: int, wanted: int) -> int:
        folder = self.plan.folder / f"project-{lane}-{turn}"
        project = Project(folder, max(1, self.plan.agents // self.plan.projects))
        storm = Storm(project, f"{self.plan.seed}/{lane}/{turn}", self.plan.longest_pause)
        with self._lock:
            self._storms[lane] = storm
        counts: Counter[str] = Counter()
        quiet = 0.0
        try:
            with project:
                storm.rage(self._enough(wanted))
                quiet = storm.quiet()
            wrong, counts = project.judge(storm.expected)
        except Exception:  # whatever it is, the soak has not shown what it is there to show
            wrong = [traceback.format_exc()]
        with self._lock:
            del self._storms[lane]
            self._add(storm, counts, quiet)
            if wrong:
                self.outcome.violations.append("\n".join([f"in {folder}:", *wrong]))
                for other in self._storms.values():
                    other.stop.set()
        if not wrong:
            shutil.rmtree(folder)
        return max(1, sum(storm.killed.values()))

    def _add(self, storm: Storm, counts: Counter[str], quiet: float) -> None:
        outcome = self.outcome
        outcome.killed.update(storm.killed)
        outcome.helped.update(storm.helped)
        outcome.counts.update(counts)
        outcome.lost_orders += storm.lost_orders
        outcome.slowest_quiet = max(outcome.slowest_quiet, quiet)
        outcome.projects += 1
