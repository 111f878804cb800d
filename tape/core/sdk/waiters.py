"""Who waits for which outcome."""

from __future__ import annotations

import asyncio

from tape.core.kernel.errors import RunInterrupted
from tape.core.sdk.replay import Body, Outcome


class Waiters:
    """One future for each outcome that somebody waits for, and what came of children for whoever asks later."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._futures: dict[Outcome, asyncio.Future[Body]] = {}
        self._joining: dict[Outcome, int] = {}
        self._kept: dict[Outcome, Body] = {}
        self._refused: dict[Outcome, Outcome] = {}

    def __contains__(self, name: Outcome) -> bool:
        return name in self._futures

    def first(self) -> Outcome | None:
        return next(iter(self._futures), None)

    # --- the code's side ------------------------------------------------------------------------------------------

    def wait(self, name: Outcome) -> asyncio.Future[Body]:
        """For the one that asked for this outcome."""
        self._refused.pop(name, None)
        future = self._futures[name] = self._loop.create_future()
        return future

    def let_go(self, name: Outcome) -> Outcome:
        """It waits no longer. Returns what would have come to it: the outcome, or its refusal."""
        name = self._refused.get(name, name)
        self._futures.pop(name, None)
        return name

    async def join(self, name: Outcome) -> Body:
        """For as many as there are, as often as they ask."""
        known = self._kept.get(name)
        if known is not None:
            return known
        future = self._futures.get(name)
        if future is None:
            future = self.wait(name)
            self._joining[name] = 0
        self._joining[name] += 1
        try:
            return await asyncio.shield(future)
        finally:
            self._joining[name] -= 1
            if not self._joining[name] and self._futures.get(name) is future:
                del self._futures[name]

    # --- the tape's side ------------------------------------------------------------------------------------------

    def keep(self, name: Outcome, body: Body) -> None:
        """It may be asked for later, or again."""
        self._kept[name] = body

    def refuse(self, name: Outcome, refusal: Outcome) -> None:
        """Who waits for this outcome gets the refusal instead, in its turn."""
        self._refused[name] = refusal
        future = self._futures.pop(name, None)
        if future is not None:
            self._futures[refusal] = future

    def take(self, name: Outcome) -> asyncio.Future[Body] | None:
        """The future that is to be given this outcome now; None if nobody waits."""
        future = self._futures.pop(name, None)
        return None if future is None or future.done() else future

    def raise_in_all(self, signal: RunInterrupted) -> None:
        for future in self._futures.values():
            if not future.done():
                future.set_exception(signal.copy())
                future.exception()  # nobody may look at it any more
        self._futures.clear()
