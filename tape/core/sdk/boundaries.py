"""What a drive tells its server, in the order of its numbers, and what of it is not durable yet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Protocol

from tape.core.sdk.replay import Body
from tape.core.wire import Frame


class Channel(Protocol):
    """What a drive needs of its worker's link."""

    def request(self, frame: Frame, reply: Callable[[Frame], None]) -> None: ...
    def reach(self, point: str, run_id: str) -> None: ...


class Boundaries:
    """The frames of one drive. `open_outcomes`: so many of those that are unanswered hold what the agent waits for."""

    def __init__(self, link: Channel, loop: asyncio.AbstractEventLoop, run_id: str, epoch: int) -> None:
        self._link = link
        self._loop = loop
        self._head = {"run": run_id, "epoch": epoch}
        self._number = 0
        self._unanswered: dict[asyncio.Future[Frame], int] = {}
        self.open_outcomes = 0

    def send(
        self, kind: str, body: Body, take: Callable[[asyncio.Future[Frame], Frame], None], *, outcome: bool
    ) -> asyncio.Future[Frame]:
        """`take` gets the answer, and puts it into the future; `outcome`: the agent waits for what it holds. Raises
        UsageError for what is no frame: then no number is used up, and nothing waits for an answer."""
        number = self._number + 1
        had = next(iter(self._unanswered.values()), number) - 1
        future: asyncio.Future[Frame] = self._loop.create_future()

        def answered(reply: Frame) -> None:
            self._unanswered.pop(future, None)
            self.open_outcomes -= outcome
            take(future, reply)

        self._link.request({"t": kind, **self._head, "n": number, "had": had, **body}, answered)
        self._number = number
        self._unanswered[future] = number
        self.open_outcomes += outcome
        return future

    def unanswered(self) -> list[asyncio.Future[Frame]]:
        """What has been sent and is not known to be durable."""
        return list(self._unanswered)

    async def answered(self, sent: Iterable[asyncio.Future[Frame]] | None = None) -> None:
        """Waits until what was sent (all of it if not said) is answered."""
        waiting = set(self._unanswered if sent is None else sent)
        if waiting:
            await asyncio.wait(waiting)
