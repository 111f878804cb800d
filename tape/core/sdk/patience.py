"""For how long a drive lets other things go on before it says that nothing moves."""

from __future__ import annotations

import asyncio

GRACE_SECONDS = 1.0
"""For how long nothing must move before a run parks or diverges although something else is going on."""


class Patience:
    """Counts periods of grace in which nothing moved, while somebody asks."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._moves = 0
        self._periods = 0
        self.timer: asyncio.TimerHandle | None = None
        """Set while a period is counted."""

    def note_call(self) -> None:
        """The code asked for something: the period that runs does not count."""
        self._moves += 1

    def note_outcome(self) -> None:
        """Something came of it: counting starts anew."""
        self._moves += 1
        self._periods = 0

    def over(self, periods: int) -> bool:
        """Whether nothing has moved for so many periods."""
        if self._periods >= periods:
            return True
        if self.timer is None:
            self.timer = self._loop.call_later(GRACE_SECONDS, self._period_over, self._moves)
        return False

    def _period_over(self, moves: int) -> None:
        self.timer = None
        self._periods = self._periods + 1 if moves == self._moves else 0

    def close(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
