"""Reactors over a real journal, a clock that stands still, and a pool of agents that the test plays."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from tape.core.journal.work import Work
from tape.core.kernel.policy import SECOND_US, LeasePolicy
from tape.core.server.peers import HookLost
from tape.reactors.compensation import Compensation
from tape.reactors.outbox import Outbox
from tape.reactors.reactor import Desk
from tape.reactors.reconciler import Reconciler
from tape.reactors.recovery import Recovery
from tape.reactors.timers import Timers
from tests.journal.book import TTL_US, Book

LEASE = LeasePolicy(ttl_us=TTL_US, heartbeat_us=5 * SECOND_US, stall_us=60 * SECOND_US)


@dataclass
class Sent:
    """One hook on its way; `answer` plays the worker."""

    worker: int
    what: str
    key: str
    effect: dict[str, Any]
    limit_us: int
    future: Future[Any]

    def answer(self, how: str = "answered", **fields: Any) -> None:
        self.future.set_result({"t": "hook_result", "how": how, **fields})

    def says(self, answer: str, *acts: Any, why: str = "") -> None:
        self.answer(answer=answer, acts=list(acts), why=why)

    def lose(self, *, proven: bool = True) -> None:
        self.future.set_exception(HookLost("signal 9", proven=proven))


class FakePool:
    """Agents that exist as rows of the journal. Shared by all hosts of a test, as the processes are."""

    def __init__(self, book: Book, workers: int = 2) -> None:
        self.book = book
        self.workers = [book.worker() for _ in range(workers)]
        self.frozen: set[int] = set()
        self.silent: list[int] = []
        self.sent: list[Sent] = []
        self.alone: list[bool] = []
        self.none_empty = False

    def _driven(self) -> list[int]:
        return [row["worker_no"] for row in self.book.rows("SELECT worker_no FROM lease WHERE status = 'LIVE'")]

    def hook_worker(self, *, alone: bool = False) -> int | None:
        self.alone.append(alone)
        return next((worker for worker in self.workers if worker not in self._driven()), None)

    def driver_for(self, *, alone: bool) -> int | None:
        self.alone.append(alone)
        if alone and self.none_empty:
            return None
        return next((worker for worker in self.workers if worker not in self._driven()), None)

    def driving(self) -> int:
        return len(self._driven())

    def hook(self, worker: int, what: str, key: str, effect: dict[str, Any], limit_us: int) -> Future[Any]:
        sent = Sent(worker, what, key, effect, limit_us, Future())
        self.sent.append(sent)
        return sent.future

    def end_silent(self, worker: int) -> bool:
        if worker in self.frozen:
            return False
        self.silent.append(worker)
        return True


class Hosts:
    """One or more hosts of the five reactors over one writer and one pool."""

    def __init__(self, book: Book, count: int = 1, workers: int = 2, slots: int = 2) -> None:
        self.book = book
        self.pool = FakePool(book, workers)
        self.works: list[Work] = []
        self.hosts = [self._host(str(number), slots) for number in range(count)]

    def _host(self, who: str, slots: int) -> dict[str, Any]:
        work = Work(self.book.path)
        self.works.append(work)
        desk = Desk(
            clock=self.book.clock, work=work, pool=self.pool, call=self.book.writer.apply, lease=LEASE,
            recovery=self.book.recovery, slots=slots, concurrency=1, who=who,
        )  # fmt: skip
        reactors = (Recovery(desk), Reconciler(desk), Outbox(desk), Timers(desk), Compensation(desk))
        return {reactor.name: reactor for reactor in reactors}

    def tick(self, name: str, host: int = 0) -> int:
        return self.hosts[host][name].tick()

    def idle(self) -> bool:
        """Whether no reactor of any host has anything to do now."""
        return not any(reactor.tick() for host in self.hosts for reactor in host.values())

    @property
    def sent(self) -> Sent:
        """The only hook that has not been answered."""
        (open_,) = [sent for sent in self.pool.sent if not sent.future.done()]
        return open_

    def close(self) -> None:
        for work in self.works:
            work.close()
