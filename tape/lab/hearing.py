"""What a trial hears of its runs while they go on: entries as they are committed, and what they add up to."""

from __future__ import annotations

import contextlib
import queue
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from tape.core.kernel.events import (
    EffectBegun,
    EffectDoubted,
    EffectEnded,
    Entry,
    LeaseGranted,
    ObligationMoved,
    Observed,
    PointReached,
    RunMoved,
    RunStarted,
    WorkerDied,
    WorkerStarted,
)
from tape.core.kernel.lifecycle import ObligationStatus, RunStatus
from tape.core.kernel.points import Death
from tape.core.kernel.resolution import Step
from tape.reactors.host import Voice

SAID_LINES = 40


@dataclass(slots=True)
class Course:
    """One run, with its children. `seen`: how often an entry of a kind came, of it or of no run, or its own status;
    `held`: by point, how often it was stopped there."""

    status: RunStatus = RunStatus.RUNNABLE
    seen: Counter[str] = field(default_factory=lambda: Counter())
    held: Counter[str] = field(default_factory=lambda: Counter())


class Hearing:
    """Filled from the host's threads through `voice`, read by the trial's: `take` and `drain` move the news over."""

    def __init__(self, now_us: Callable[[], int]) -> None:
        self._now_us = now_us
        self._news: queue.SimpleQueue[list[Entry]] = queue.SimpleQueue()
        self.entries: list[Entry] = []
        self.said: list[str] = []
        self.courses: defaultdict[str, Course] = defaultdict(Course)
        """By the run's id: of each that no run has started, so of forks too."""
        self.first: dict[str, str] = {}
        """By a run's id: the one in `courses` that it descends from, or is."""
        self.nonces: set[str] = set()
        self.dying: set[int] = set()
        """Processes that were killed at a point, and are not known to be dead."""
        self.left: set[str] = set()
        """Effects that their run does not wait for, and that go on without a person."""
        self._left_known: set[str] = set()
        self.stuck: set[str] = set()
        """Runs that are STUCK, children too."""
        self._early: Counter[str] = Counter()
        """What came before there was any run: it counts for the first."""
        self.latest_us = 0

    def voice(self) -> Voice:
        return Voice(entries=self._news.put, agent_said=lambda pid, line: self._hear(line), trouble=self._hear)

    def _hear(self, line: str) -> None:
        if len(self.said) < SAID_LINES:
            self.said.append(line)

    @property
    def silent(self) -> bool:
        """Nothing has come that was not taken."""
        return self._news.empty()

    def take(self, seconds: float) -> None:
        """The next news, or none within so many seconds."""
        with contextlib.suppress(queue.Empty):
            for entry in self._news.get(timeout=seconds):
                self._note(entry)
            self.latest_us = self._now_us()

    def drain(self) -> None:
        """All that has come."""
        while not self.silent:
            self.take(0)

    def family(self, run_id: str) -> frozenset[str]:
        """The run and its descendants."""
        return frozenset({run_id, *(one for one, first in self.first.items() if first == run_id)})

    def _note(self, entry: Entry) -> None:
        self.entries.append(entry)
        event, run_id = entry.event, entry.run_id
        if isinstance(event, RunMoved) and run_id is not None:
            (self.stuck.add if event.status == RunStatus.STUCK else self.stuck.discard)(run_id)
        if isinstance(event, RunStarted) and run_id is not None:
            first = run_id if event.parent is None else self.first.get(event.parent, event.parent)
            self.first[run_id] = first
            self.courses[first].seen[RunStatus.RUNNABLE] += first == run_id
            self.courses[first].seen.update(self._early)
            self._early.clear()
        courses = [*self.courses.values()] if run_id is None else [self.courses[self.first.get(run_id, run_id)]]
        for seen in [course.seen for course in courses] or [self._early]:
            seen[event.kind] += 1
        if isinstance(event, WorkerStarted):
            self.nonces.add(event.nonce)
        elif isinstance(event, WorkerDied):
            self.dying.discard(event.pid)
        elif isinstance(event, PointReached):
            for course in courses:
                course.held[event.point] += event.death == Death.HOLD
            if event.death in (Death.KILL, Death.TERM):
                self.dying.add(event.pid)
        elif isinstance(event, EffectBegun | EffectEnded | EffectDoubted | Observed | ObligationMoved):
            self._note_left(event)
        elif run_id is None or self.first.get(run_id) != run_id:
            return  # a child's: what it comes to is heard of by its parent
        elif isinstance(event, LeaseGranted):
            self._move(run_id, RunStatus.RUNNING)
        elif isinstance(event, RunMoved):
            self._move(run_id, RunStatus(event.status))

    def _note_left(self, event: EffectBegun | EffectEnded | EffectDoubted | Observed | ObligationMoved) -> None:
        key = event.key.partition("/undo/")[0]
        if isinstance(event, EffectBegun) and not event.awaited:
            self._left_known.add(key)
        elif isinstance(event, EffectEnded):
            self._left_known.discard(key)
        if isinstance(event, ObligationMoved):
            rests = event.status == ObligationStatus.STUCK
        else:
            rests = isinstance(event, EffectDoubted | Observed) and event.step == Step.PERSON
        if key in self._left_known and not rests:
            self.left.add(key)
        else:
            self.left.discard(key)

    def _move(self, run_id: str, status: RunStatus) -> None:
        course = self.courses[run_id]
        course.status = status
        course.seen[status] += 1
