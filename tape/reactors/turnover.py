"""Which agent processes carry the code of before a reload, and what is due to each. It ends nobody itself."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from tape.core.clock import Clock


class Step(StrEnum):
    """What is due to a process of the old code: drain it (SIGTERM), or end it (SIGKILL)."""

    DRAIN = "drain"
    END = "end"


@dataclass(frozen=True, slots=True)
class Seen:
    """A living process as its host sees it now. `frozen`: stopped by a drill at a crash point."""

    worker: int
    ready: bool
    frozen: bool


class Turnover:
    """Processes are started in the order in which they were asked for, so those asked for up to a reload are the old
    ones, also those that do not run yet. Any thread.

    A process that is not ready is ended at once: it drives nothing. Any other is drained, and ended if it still lives
    after `patience_us`: so is one that was stopped from outside. One that is frozen by a drill is spared until it is
    thawed; its patience begins then.
    """

    def __init__(self, clock: Clock, patience_us: int) -> None:
        self._clock = clock
        self._patience_us = patience_us
        self._lock = threading.Lock()
        self._asked = 0
        self._began = 0
        self._old_to = 0
        self._alive: set[int] = set()
        self._orders: dict[int, int] = {}
        self._ends_at_us: dict[int, int] = {}
        self._ended: set[int] = set()

    def ask(self) -> None:
        """One more process is asked for."""
        with self._lock:
            self._asked += 1
            self._alive.add(self._asked)

    def begin(self) -> int:
        """The next of those asked for runs; returns which one it is."""
        with self._lock:
            self._began += 1
            return self._began

    def give_up(self) -> None:
        """The next of those asked for never runs."""
        with self._lock:
            self._began += 1
            self._alive.discard(self._began)

    def name(self, order: int, worker: int) -> None:
        """The journal knows the process now, as this worker."""
        with self._lock:
            self._orders[worker] = order

    def bury(self, worker: int) -> None:
        with self._lock:
            self._alive.discard(self._orders.pop(worker, 0))
            self._ends_at_us.pop(worker, None)
            self._ended.discard(worker)

    def reload(self) -> None:
        """Whatever was asked for up to now is old."""
        with self._lock:
            self._old_to = self._asked

    @property
    def reloaded(self) -> bool:
        """Whether there has been a reload since the first process was asked for."""
        return self._old_to > 0

    def is_old(self, worker: int) -> bool:
        with self._lock:
            return self._is_old(worker)

    def _is_old(self, worker: int) -> bool:
        return 0 < self._orders.get(worker, 0) <= self._old_to

    def fresh(self) -> int:
        """Processes of the new code that live or are being started."""
        with self._lock:
            return sum(order > self._old_to for order in self._alive)

    def old(self) -> int:
        """Processes of the old code that live or are being started."""
        with self._lock:
            return sum(order <= self._old_to for order in self._alive)

    def due(self, seen: Iterable[Seen]) -> list[tuple[int, Step]]:
        """What is due now to the old ones among these; each step is named once."""
        now, steps = self._clock.boot_us(), list[tuple[int, Step]]()
        with self._lock:
            for process in seen:
                worker = process.worker
                if not self._is_old(worker) or worker in self._ended:
                    continue
                if process.frozen:
                    self._ends_at_us.pop(worker, None)
                elif not process.ready or now >= self._ends_at_us.get(worker, now + 1):
                    self._ended.add(worker)
                    steps.append((worker, Step.END))
                elif worker not in self._ends_at_us:
                    self._ends_at_us[worker] = now + self._patience_us
                    steps.append((worker, Step.DRAIN))
        return steps
