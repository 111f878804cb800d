"""The agent's code as tasks: how it is brought to its end when its run unwinds or is over.

What belongs to a run is never left to Python's garbage collector: that would wake it (GeneratorExit) in whatever runs
just then, and its `finally` would call tools there: for another run, or for none, without an intent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, NoReturn

from tape.core.sdk.effects import CURRENT_EFFECT, CURRENT_METER
from tape.core.sdk.generators import Generators

UNWIND_SECONDS = 0.02
UNWIND_TRIES = 8
UNWIND_CALLS = 16
"""So often a signal is raised to code that swallows it and calls again; its next call does not come back."""

LEFT_BEHIND: set[asyncio.Future[Any]] = set()
"""What is not over although its drive is: not collected while this process lives."""
CURRENT_CODE: ContextVar[Code | None] = ContextVar("tape_code", default=None)


class Code:
    """The agent function of one drive and the tasks that it has begun. `abandoned` is done once it is left behind."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.main: asyncio.Task[Any] | None = None
        self.abandoned: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._raised = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        self._over = False
        self._generators = Generators.of_this_loop()
        _keep_tasks(loop)

    def under_way(self) -> bool:
        return self.main is not None and not self.main.done()

    def unwind(self, tries: int = 0) -> None:
        """It gets a moment to unwind; then a wait of its own is cancelled; at last it is left behind."""
        if self.main is None or self.main.done():
            return
        if tries > UNWIND_TRIES:
            _leave_behind(self.main)
            if not self.abandoned.done():
                self.abandoned.set_result(None)
            return
        if tries:
            self.main.cancel()
        self._loop.call_later(UNWIND_SECONDS * 2**tries, self.unwind, tries + 1)

    def keep(self, task: asyncio.Task[Any]) -> None:
        """A task of this code's, until it is over."""
        if self._over:
            _leave_behind(task)
        elif not task.done():
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def end(self) -> None:
        """The run is over, and its calls raise: cancels what the agent function has left pending. Nobody waits for
        that to end."""
        self._over = True
        for task in list(self._tasks):
            _leave_behind(task)
            task.cancel()
        self._generators.forget()

    def note_raised(self) -> None:
        """A signal was raised to it."""
        self._raised += 1

    def spins(self) -> bool:
        """Whether it goes on calling although the run unwinds."""
        return self._raised >= UNWIND_CALLS

    async def never(self) -> NoReturn:
        """The answer to a call of code that spins: it would keep the event loop to itself."""
        wait: asyncio.Future[None] = self._loop.create_future()
        _leave_behind(wait)
        await wait
        raise AssertionError("nobody lets this wait end")


def _leave_behind(what: asyncio.Future[Any]) -> None:
    if not what.done():
        LEFT_BEHIND.add(what)
        what.add_done_callback(LEFT_BEHIND.discard)


class _Keeping:
    """A loop's task factory: each run's code keeps the tasks that it begins. Those that a body or a model function
    begins are its own business (they may serve a client that outlives the run): tools are plain functions there."""

    def __init__(self, make: Callable[..., Any] | None) -> None:
        self._make = make

    def __call__(self, loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> Any:
        make = self._make
        task = asyncio.Task(work, loop=loop, **options) if make is None else make(loop, work, **options)
        code = CURRENT_CODE.get()
        if code is not None and CURRENT_EFFECT.get() is None and CURRENT_METER.get() is None:
            code.keep(task)
        return task


def _keep_tasks(loop: asyncio.AbstractEventLoop) -> None:
    make = loop.get_task_factory()
    if not isinstance(make, _Keeping):
        loop.set_task_factory(_Keeping(make))
