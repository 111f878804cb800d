"""What a trial hears of its run while it goes on: entries as they are committed, and what they add up to."""

from __future__ import annotations

import contextlib
import queue
from collections import Counter
from collections.abc import Callable

from tape.core.kernel.events import Entry, LeaseGranted, PointReached, RunMoved, RunStarted, WorkerDied, WorkerStarted
from tape.core.kernel.lifecycle import RunStatus
from tape.core.kernel.points import Death
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
        elif isinstance(event, RunStarted) and event.parent is None:
            self._run_id = entry.run_id
            self.seen[RunStatus.RUNNABLE] += 1
        elif entry.run_id != self._run_id:
            return  # a child's: what it comes to is heard of by its parent
        elif isinstance(event, LeaseGranted):
            self._move(RunStatus.RUNNING)
        elif isinstance(event, RunMoved):
            self._move(RunStatus(event.status))

    def _move(self, status: RunStatus) -> None:
        self.status = status
        self.seen[status] += 1
