"""What a trial hears of its run while it goes on: entries as they are committed, and what they add up to."""

from __future__ import annotations

import contextlib
import queue
from collections import Counter
from collections.abc import Callable

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


class Hearing:
    """Filled from the host's threads through `voice`, read by the trial's: `take` and `drain` move the news over."""

    def __init__(self, now_us: Callable[[], int]) -> None:
        self._now_us = now_us
        self._news: queue.SimpleQueue[list[Entry]] = queue.SimpleQueue()
        self.entries: list[Entry] = []
        self.said: list[str] = []
        self.status = RunStatus.RUNNABLE
        self.seen: Counter[str] = Counter()
        """By an entry's kind, whosesoever, or the run's own status: how often it came."""
        self.held: Counter[str] = Counter()
        """By point: how often the run was stopped there."""
        self.nonces: set[str] = set()
        self.dying: set[int] = set()
        """Processes that were killed at a point, and are not known to be dead."""
        self.left: set[str] = set()
        """Effects that the run does not wait for, and that go on without a person."""
        self._left_known: set[str] = set()
        self.latest_us = 0
        self._run_id: str | None = None

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

    def _note(self, entry: Entry) -> None:
        self.entries.append(entry)
        event = entry.event
        self.seen[event.kind] += 1
        if isinstance(event, WorkerStarted):
            self.nonces.add(event.nonce)
        elif isinstance(event, WorkerDied):
            self.dying.discard(event.pid)
        elif isinstance(event, PointReached):
            self.held[event.point] += event.death == Death.HOLD
            if event.death in (Death.KILL, Death.TERM):
                self.dying.add(event.pid)
        elif isinstance(event, EffectBegun | EffectEnded | EffectDoubted | Observed | ObligationMoved):
            self._note_left(event)
        elif isinstance(event, RunStarted) and event.parent is None:
            self._run_id = entry.run_id
            self.seen[RunStatus.RUNNABLE] += 1
        elif entry.run_id != self._run_id:
            return  # a child's: what it comes to is heard of by its parent
        elif isinstance(event, LeaseGranted):
            self._move(RunStatus.RUNNING)
        elif isinstance(event, RunMoved):
            self._move(RunStatus(event.status))

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

    def _move(self, status: RunStatus) -> None:
        self.status = status
        self.seen[status] += 1
