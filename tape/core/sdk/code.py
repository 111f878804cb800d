"""The agent's code as a task: how it is brought to its end when its run unwinds."""

from __future__ import annotations

import asyncio
from typing import Any, NoReturn

UNWIND_SECONDS = 0.02
UNWIND_TRIES = 8
UNWIND_CALLS = 16
"""So often a signal is raised to code that swallows it and calls again; its next call does not come back."""

LEFT_BEHIND: set[asyncio.Future[Any]] = set()
"""What must not be collected while this process lives: code that is left behind would be woken by that (GeneratorExit),
and its tool calls would be none of a run any more: their bodies would be entered without an intent."""


class Code:
    """The agent function of one drive. `abandoned` is done once it is left behind."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.main: asyncio.Task[Any] | None = None
        self.abandoned: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._raised = 0

    def under_way(self) -> bool:
        return self.main is not None and not self.main.done()

    def unwind(self, tries: int = 0) -> None:
        """It gets a moment to unwind; then a wait of its own is cancelled; at last it is left behind."""
        if self.main is None or self.main.done():
            return
        if tries > UNWIND_TRIES:
            LEFT_BEHIND.add(self.main)
            if not self.abandoned.done():
                self.abandoned.set_result(None)
            return
        if tries:
            self.main.cancel()
        self._loop.call_later(UNWIND_SECONDS * 2**tries, self.unwind, tries + 1)

    def note_raised(self) -> None:
        """A signal was raised to it."""
        self._raised += 1

    def spins(self) -> bool:
        """Whether it goes on calling although the run unwinds."""
        return self._raised >= UNWIND_CALLS

    async def never(self) -> NoReturn:
        """The answer to a call of code that spins: it would keep the event loop to itself."""
        wait: asyncio.Future[None] = self._loop.create_future()
        LEFT_BEHIND.add(wait)
        await wait
        raise AssertionError("nobody lets this wait end")
