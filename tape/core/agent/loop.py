"""An event loop that knows when it is idle: its selector asks before it would wait. Public names of asyncio only."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable

from tape.core.clock import Clock


class IdleSelector(selectors.DefaultSelector):
    """`select` is called with a time-out above zero (or none) exactly when no callback is ready to run. Then, if no
    file is ready either, the loop is idle: `on_idle(others_wait)` may make something ready."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self.on_idle: Callable[[bool], bool] = lambda others_wait: False
        self.busy_since_us = clock.boot_us()
        self.waiting = False

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout <= 0:
            return super().select(timeout)
        ready = super().select(0)
        if ready:
            return ready
        if self.on_idle(timeout is not None):
            return super().select(0)
        self.waiting = True
        try:
            return super().select(timeout)
        finally:
            self.busy_since_us = self.clock.boot_us()
            self.waiting = False

    def silent_us(self) -> int:
        """For how long the loop has not come round (0 while it waits for something)."""
        return 0 if self.waiting else self.clock.boot_us() - self.busy_since_us


def new_loop(clock: Clock) -> tuple[asyncio.AbstractEventLoop, IdleSelector]:
    selector = IdleSelector(clock)
    return asyncio.SelectorEventLoop(selector), selector
