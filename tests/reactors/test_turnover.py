"""Who is of the old code, and what is due to it: no processes, a clock that stands still."""

from __future__ import annotations

from tape.core.clock import ManualClock
from tape.reactors.turnover import Seen, Step, Turnover

PATIENCE_US = 2_000_000


class Pool:
    """A turnover, and the processes that a host would see."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.turnover = Turnover(self.clock, PATIENCE_US)
        self.ready: set[int] = set()
        self.frozen: set[int] = set()
        self.workers: list[int] = []

    def start(self, *workers: int) -> None:
        for _ in workers:
            self.turnover.ask()
        for worker in workers:
            self.run(worker)
            self.ready.add(worker)

    def run(self, worker: int) -> None:
        self.turnover.name(self.turnover.begin(), worker)
        self.workers.append(worker)

    def die(self, worker: int) -> None:
        self.turnover.bury(worker)
        self.workers.remove(worker)

    def due(self) -> list[tuple[int, Step]]:
        return self.turnover.due([Seen(worker, worker in self.ready, worker in self.frozen) for worker in self.workers])

    def counts(self) -> tuple[int, int]:
        return self.turnover.fresh(), self.turnover.old()


def test_without_a_reload_nothing_is_due() -> None:
    pool = Pool()
    pool.start(7, 8)
    assert (pool.due(), pool.counts(), pool.turnover.reloaded) == ([], (2, 0), False)


def test_the_old_are_drained_once_and_ended_when_their_time_is_over() -> None:
    pool = Pool()
    pool.start(7, 8)
    pool.turnover.reload()
    pool.start(9)
    assert pool.counts() == (1, 2)
    assert pool.due() == [(7, Step.DRAIN), (8, Step.DRAIN)]
    pool.die(7)
    pool.clock.advance(1.9)
    assert pool.due() == []
    pool.clock.advance(0.1)
    assert pool.due() == [(8, Step.END)]
    assert pool.due() == []
    pool.die(8)
    assert pool.counts() == (1, 0)
    assert pool.due() == []


def test_one_that_is_being_started_is_old_too_and_ended_at_once() -> None:
    """It may have loaded the code before it was saved."""
    pool = Pool()
    pool.turnover.ask()
    pool.turnover.ask()
    pool.run(7)
    pool.turnover.reload()
    pool.turnover.ask()
    assert pool.due() == [(7, Step.END)]
    pool.run(8)
    pool.run(9)
    assert [pool.turnover.is_old(worker) for worker in (7, 8, 9)] == [True, True, False]
    assert pool.due() == [(8, Step.END)]


def test_a_second_reload_neither_drains_again_nor_gives_more_time() -> None:
    pool = Pool()
    pool.start(7)
    pool.turnover.reload()
    assert pool.due() == [(7, Step.DRAIN)]
    pool.start(8)
    pool.clock.advance(1)
    pool.turnover.reload()
    assert pool.due() == [(8, Step.DRAIN)]
    pool.clock.advance(1)
    assert pool.due() == [(7, Step.END)]
    pool.clock.advance(1)
    assert pool.due() == [(8, Step.END)]


def test_a_frozen_one_is_spared_until_it_is_thawed() -> None:
    pool = Pool()
    pool.start(7)
    pool.frozen.add(7)
    pool.turnover.reload()
    pool.clock.advance(60)
    assert pool.due() == []
    pool.frozen.clear()
    assert pool.due() == [(7, Step.DRAIN)]
    pool.clock.advance(1)
    pool.frozen.add(7)  # it meets an armed point while it drains
    pool.clock.advance(60)
    assert pool.due() == []
    pool.frozen.clear()
    assert pool.due() == [(7, Step.DRAIN)]
    pool.clock.advance(2)
    assert pool.due() == [(7, Step.END)]


def test_a_worker_that_nobody_asked_for_is_not_old() -> None:
    pool = Pool()
    pool.start(7)
    pool.turnover.reload()
    assert not pool.turnover.is_old(99)
    pool.turnover.bury(99)
    assert pool.counts() == (0, 1)


def test_one_that_never_runs_counts_no_more_and_shifts_no_other() -> None:
    pool = Pool()
    pool.turnover.ask()
    pool.turnover.ask()
    pool.turnover.reload()
    pool.turnover.ask()
    pool.run(7)
    pool.turnover.give_up()
    assert pool.counts() == (1, 1)
    pool.run(9)
    assert [pool.turnover.is_old(worker) for worker in (7, 9)] == [True, False]
    pool.turnover.ask()
    pool.turnover.give_up()
    assert pool.counts() == (1, 1)
