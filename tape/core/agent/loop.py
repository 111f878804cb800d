"""An event loop that knows when it is idle: its selector asks before it would wait. Public names of asyncio only."""

from __future__ import annotations

import asyncio
import selectors
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from tape.core.clock import Clock
from tape.core.kernel.errors import RunInterrupted

P = ParamSpec("P")
T = TypeVar("T")
BODY_THREADS = 64
OWN_FILES = 2
"""What the loop listens to for Tape: its own wake-up, and the link to the server."""


class BodyThreads(ThreadPoolExecutor):
    """The threads of plain functions; `busy` counts what they have not returned from."""

    def __init__(self) -> None:
        super().__init__(BODY_THREADS, thread_name_prefix="body")
        self.busy = 0
        self._counting = threading.Lock()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        with self._counting:
            self.busy += 1
        future = super().submit(fn, *args, **kwargs)
        future.add_done_callback(self._returned)
        return future

    def _returned(self, future: Future[Any]) -> None:
        with self._counting:
            self.busy -= 1


class IdleSelector(selectors.DefaultSelector):
    """`select` is called with a time-out above zero (or none) exactly when no callback is ready to run. Then, if no
    file is ready either, the loop is idle: `on_idle(quiet)` may make something ready. `quiet`: no timer, no file but
    Tape's own and no thread could wake the loop."""

    def __init__(self, clock: Clock, threads: BodyThreads) -> None:
        super().__init__()
        self.clock = clock
        self.threads = threads
        self.on_idle: Callable[[bool], bool] = lambda quiet: False
        self.busy_since_us = clock.boot_us()
        self.waiting = False

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout <= 0:
            self.busy_since_us = self.clock.boot_us()
            return super().select(timeout)
        ready = super().select(0)
        if ready:
            return ready
        if self.on_idle(timeout is None and len(self.get_map()) <= OWN_FILES and not self.threads.busy):
            return super().select(0)
        self.waiting = True
        try:
            return self.wait(timeout)
        finally:
            self.busy_since_us = self.clock.boot_us()
            self.waiting = False

    def wait(self, timeout: float | None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(timeout)

    def silent_us(self) -> int:
        """For how long the loop has not come round (0 while it waits for something)."""
        return 0 if self.waiting else self.clock.boot_us() - self.busy_since_us


def new_loop(clock: Clock) -> tuple[asyncio.AbstractEventLoop, IdleSelector]:
    threads = BodyThreads()
    selector = IdleSelector(clock, threads)
    loop = asyncio.SelectorEventLoop(selector)
    loop.set_default_executor(threads)
    loop.set_exception_handler(_tell)
    return loop, selector


def _tell(loop: asyncio.AbstractEventLoop, about: dict[str, Any]) -> None:
    """A task that unwound by a signal, with nobody left who awaits it, is no error."""
    if not isinstance(about.get("exception"), RunInterrupted):
        loop.default_exception_handler(about)
