"""How far a proof is: one line that rewrites itself on a terminal, a plain line each tenth elsewhere."""

from __future__ import annotations

import os
import threading
from typing import Protocol, TextIO

from tape.core.clock import Clock
from tape.core.text import cells, duration, fit

BAR_WIDTH = 24
LEAST_RESULTS = 3
"""So many results before a time is told: one says nothing of the next."""
PLAIN_STEPS = 10
UNKNOWN_WIDTH = 80


class Told(Protocol):
    """What came of one of them."""

    @property
    def wrong(self) -> bool: ...


class Progress:
    """For stderr. `tick` may be called from several threads; `close` leaves a terminal as it was found."""

    def __init__(self, total: int, clock: Clock, stream: TextIO, what: str = "prove") -> None:
        self._what = what
        self.total = total
        self.done = 0
        self.wrong = 0
        self._clock = clock
        self._stream = stream
        self._since_us = clock.boot_us()
        self._lock = threading.Lock()
        self._rewrites = stream.isatty()
        self._drawn = 0
        self._step = 0
        self._closed = False
        if self._rewrites:
            self._rewrite(self._bar_line())

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def tick(self, result: Told) -> None:
        with self._lock:
            self.done += 1
            self.wrong += result.wrong
            if self._closed:
                return
            if self._rewrites:
                self._rewrite(self._bar_line())
            elif self._share() * PLAIN_STEPS // 100 > self._step:
                self._step = self._share() * PLAIN_STEPS // 100
                self._stream.write(f"{self._what}: {self.done} of {self.total} ({self._share()} %), {self._told()}\n")
                self._stream.flush()

    def close(self) -> None:
        """The report that follows says the rest."""
        with self._lock:
            if self._rewrites and not self._closed:
                self._rewrite("")
            self._closed = True

    def _share(self) -> int:
        """Percent, rounded down: 100 only when nothing is left."""
        return min(100, self.done * 100 // self.total) if self.total > 0 else 100

    def _told(self) -> str:
        left_us = self._left_us()
        left = "" if left_us is None else f", about {duration(-(-left_us // 1_000_000) * 1_000_000)} left"
        return f"{self.wrong} wrong{left}"

    def _left_us(self) -> int | None:
        """From the rate so far; None as long as there is none."""
        taken_us, left = self._clock.boot_us() - self._since_us, self.total - self.done
        if self.done < LEAST_RESULTS or taken_us <= 0 or left <= 0:
            return None
        return taken_us * left // self.done

    def _bar_line(self) -> str:
        """As much as there is room for."""
        full = BAR_WIDTH * self._share() // 100
        bar = f"{'━' * full}{'─' * (BAR_WIDTH - full)} "
        done = f"{self.done}/{self.total}, "
        shortest = f"{self._what} {done}{self.wrong} wrong"
        lines = (f"{self._what} {bar}{done}{self._told()}", f"{self._what} {done}{self._told()}")
        return next((line for line in lines if cells(line) < self._columns()), shortest)

    def _rewrite(self, line: str) -> None:
        """Blanks cover what is left of a longer line. The last column stays free: some terminals wrap after it."""
        room = max(1, self._columns() - 1)
        if cells(line) > room:
            line = fit(line, room)
        covered = min(room, max(self._drawn, cells(line)))
        self._drawn = cells(line)
        tail = "" if line else "\r"
        self._stream.write(f"\r{fit(line, covered)}{tail}")
        self._stream.flush()

    def _columns(self) -> int:
        try:
            return os.get_terminal_size(self._stream.fileno()).columns or UNKNOWN_WIDTH
        except (OSError, ValueError):  # no file, or one that is no terminal
            return UNKNOWN_WIDTH
