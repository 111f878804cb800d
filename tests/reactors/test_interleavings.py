"""The reactors in every order: two hosts over one journal, and one host against what happens to others meanwhile.

A host may act on what it saw a while ago: `look` remembers what is due now, `act` ticks on what was remembered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from tape.core.journal import claims, effects, records, runs, workers
from tape.core.journal.effects import Ending, ToolPolicy
from tape.core.kernel.errors import Fenced
from tape.core.kernel.lifecycle import WorkerTrigger
from tape.core.kernel.policy import SECOND_US
from tape.core.kernel.resolution import Semantics
from tests.journal import invariants
from tests.journal.book import BLIND, CONFIRMED, FAILED, IDEMPOTENT, LOOK_UP, Book
from tests.reactors.desk import Hosts, Sent
from tests.reactors.test_ticks import lost, outbox, owing

STEPS = ("look", "act", "act")
READS = ("runnable", "late_leases", "look_ups", "dispatches", "duties", "stale_claims", "timers", "undone", "outlived")


class LateWork:
    """What was due when it was looked at. Without a look it sees what is there."""

    def __init__(self, work: Any, book: Book) -> None:
        self._work = work
        self._book = book
        self._seen: dict[str, Any] = {}

    def look(self) -> None:
        boot, wall = self._book.clock.boot_us(), self._book.clock.wall_us()
        arguments = {"runnable": (boot, 9), "timers": (wall, 9), "outlived": (wall,), "undone": ()}
        self._seen = {name: getattr(self._work, name)(*arguments.get(name, (boot,))) for name in READS}

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name in self._seen:
            return lambda *_: self._seen.pop(name, []) or getattr(self._work, name)(*_)
        return getattr(self._work, name)


def orders(length: int) -> Iterator[list[int]]:
    """Every way in which two hosts can take `length` steps each."""
    for first in combinations(range(2 * length), length):
        yield [0 if at in first else 1 for at in range(2 * length)]


def merges(*lengths: int) -> Iterator[list[int]]:
    """Every order of several parties' steps: whose turn it is, each party's own steps in their order."""
    if not any(lengths):
        yield []
    for party, left in enumerate(lengths):
        if left:
            for rest in merges(*lengths[:party], left - 1, *lengths[party + 1 :]):
                yield [party, *rest]


@dataclass(frozen=True)
class Story:
    """`lay` makes something due for `reactor`; `happened` counts what must have happened exactly `times`."""

    reactor: str
    lay: Callable[[Book, Hosts], Any]
    happened: Callable[[Book, Hosts], int]
    times: int = 1


def entries(kind: str, **fields: Any) -> Callable[[Book, Hosts], int]:
    return lambda book, hosts: len(
        [body for body in book.bodies(kind) if all(body[name] == value for name, value in fields.items())]
    )


def hooks(book: Book, hosts: Hosts) -> int:
    return len(hosts.pool.sent)


def _two_runs(book: Book, hosts: Hosts) -> None:
    book.start()
    book.start()


def _sleeping(book: Book, hosts: Hosts) -> None:
    run, epoch = book.driven()
    book.do(records.set_timer, run, epoch, 0, 1.0, "f")
    book.do(runs.park, run, epoch, ["timer 0"], "waiting")
    book.clock.advance(1)


def _frozen(book: Book, hosts: Hosts) -> None:
    worker = hosts.pool.workers.pop()
    book.grant(book.start(), worker)
    book.do(workers.move_worker, worker, WorkerTrigger.FREEZE)
    hosts.pool.frozen.add(worker)
    hosts.pool.workers.clear()
    book.clock.advance(15)


def _stale_look_up(book: Book, hosts: Hosts) -> None:
    run, key = lost(book, LOOK_UP)
    book.claim(run, key)
    book.clock.advance(60)


def _stale_dispatch(book: Book, hosts: Hosts) -> None:
    run, key = outbox(book)
    book.claim(run, key, "body")
    book.clock.advance(60)


def _stale_undo(book: Book, hosts: Hosts) -> None:
    run, (key,) = owing(book)
    book.claim_duty(run, key)
    book.clock.advance(60)


def _forgotten_key(book: Book, hosts: Hosts) -> None:
    lost(book, ToolPolicy(Semantics.IDEMPOTENT, key_lifetime_us=SECOND_US))
    hosts.pool.workers.clear()
    book.clock.advance(2)


def _batch_to_undo(book: Book, hosts: Hosts) -> None:
    owing(book, 3)


def _lost_again(book: Book, hosts: Hosts) -> None:
    lost(book, IDEMPOTENT)


STORIES = {
    "one grant": Story("recovery", lambda book, hosts: book.start(), entries("lease_granted")),
    "two grants": Story("recovery", _two_runs, entries("lease_granted"), 2),
    "a grant after a death": Story("recovery", _lost_again, entries("lease_granted"), 2),
    "one end of a frozen worker's lease": Story("recovery", _frozen, entries("lease_ended")),
    "one end of a look-up's claim": Story("recovery", _stale_look_up, entries("claim_ended")),
    "one end of a dispatch's claim": Story("recovery", _stale_dispatch, entries("claim_ended")),
    "one end of an undo's claim": Story("recovery", _stale_undo, entries("claim_ended")),
    "one judgement of a forgotten key": Story("recovery", _forgotten_key, entries("effect_doubted", step="person")),
    "one look-up": Story("reconciler", lambda book, hosts: lost(book, LOOK_UP), hooks),
    "one dispatch": Story("outbox", lambda book, hosts: outbox(book), hooks),
    "one firing": Story("timers", _sleeping, entries("timer_fired")),
    "one undo": Story("compensation", lambda book, hosts: owing(book), hooks),
    "one undo at a time": Story("compensation", _batch_to_undo, hooks),
}


@pytest.mark.parametrize("name", STORIES)
def test_in_every_order(name: str, tmp_path: Path) -> None:
    story = STORIES[name]
    number = 0
    for number, order in enumerate(orders(len(STEPS)), 1):
        book = Book(tmp_path / f"{number}.db")
        hosts = Hosts(book, count=2, workers=2)
        _be_late(hosts, book)
        story.lay(book, hosts)
        taken = [0, 0]
        for host in order:
            step = STEPS[taken[host]]
            taken[host] += 1
            reactor = hosts.hosts[host][story.reactor]
            if step == "look":
                reactor._desk.work.look()
            else:
                reactor.tick()
        assert story.happened(book, hosts) == story.times, order
        invariants.check(book.writer.connection)
        hosts.close()
        book.close()
    assert number == 20


def _be_late(hosts: Hosts, book: Book) -> None:
    for host in hosts.hosts:
        desk = next(iter(host.values()))._desk
        object.__setattr__(desk, "work", LateWork(desk.work, book))


# --- reactors against what happens to others ----------------------------------------------------------------------

Steps = list[Callable[[], Any]]


def play(path: Path, make: Callable[[Book, Hosts], tuple[list[Steps], Callable[[], None]]]) -> int:
    """Every order of the parties' steps, each on a fresh journal; returns how many there were."""
    measured = Book(path / "lengths.db")
    hosts = Hosts(measured, workers=3)
    lengths = [len(steps) for steps in make(measured, hosts)[0]]
    hosts.close()
    measured.close()
    number = 0
    for number, order in enumerate(merges(*lengths), 1):
        book = Book(path / f"{number}.db")
        hosts = Hosts(book, workers=3)
        parties, judge = make(book, hosts)
        for party in order:
            parties[party].pop(0)()
            invariants.check(book.writer.connection)
        judge()
        invariants.check(book.writer.connection)
        hosts.close()
        book.close()
    return number


def _settle(book: Book, hosts: Hosts) -> None:
    """Hosts tick and hooks are answered until nobody has anything to do."""
    for _ in range(8):
        book.clock.advance(2)
        _answer_all(hosts)
        hosts.idle()
    assert all(sent.future.done() for sent in hosts.pool.sent)


ANSWERED = {"present", "returned", "redispatched", "undone"}
"""How an attempt ends that was not lost."""


@pytest.mark.parametrize("reactor", ["reconciler", "outbox", "compensation"])
def test_a_hook_workers_death_and_its_answer(reactor: str, tmp_path: Path) -> None:
    """The answer is on its way, the process dies, its claim runs out, another worker may take over: whatever comes
    first, the effect is settled once, by the one hook that was not lost."""

    def make(book: Book, hosts: Hosts) -> tuple[list[Steps], Callable[[], None]]:
        if reactor == "compensation":
            _, (key,) = owing(book)
        else:
            _, key = lost(book, LOOK_UP) if reactor == "reconciler" else outbox(book)
        hosts.tick(reactor)
        (sent,) = hosts.pool.sent

        def dies() -> None:
            book.do(workers.worker_died, sent.worker, "signal 9", book.recovery, proven=True)
            hosts.pool.workers.remove(sent.worker)

        def is_noticed() -> None:
            for one in hosts.pool.sent:
                if one.worker == sent.worker and not one.future.done():
                    one.lose()

        def answers() -> None:
            if not sent.future.done():
                _answer(sent)

        host: Steps = [
            lambda: hosts.tick(reactor),
            lambda: book.clock.advance(60),
            lambda: hosts.tick("recovery"),
            lambda: hosts.tick(reactor),
        ]

        def judge() -> None:
            _settle(book, hosts)
            sql = "SELECT how FROM attempt WHERE key = ? AND what = ? ORDER BY number"
            tries = [row["how"] for row in book.rows(sql, key, sent.what)]
            tries = tries[len(tries) - len(hosts.pool.sent) :]
            assert (len(tries), tries.count("")) == (len(hosts.pool.sent), 0)
            assert [how for how in tries if how in ANSWERED] == tries[-1:], tries
            if reactor == "compensation":
                assert book.duty(key)["status"] == "DONE"
            else:
                assert book.effect(key)["status"] == "CONFIRMED"
                assert len(book.bodies("effect_ended")) == 1

        return [[answers], [dies, is_noticed], host], judge

    assert play(tmp_path, make) == 105


@pytest.mark.parametrize("ending", [CONFIRMED, FAILED], ids=["acted", "failed"])
def test_the_reconcilers_answer_and_a_zombies_late_end(ending: Ending, tmp_path: Path) -> None:
    def make(book: Book, hosts: Hosts) -> tuple[list[Steps], Callable[[], None]]:
        run, epoch = book.driven()
        key = book.begin(run, epoch, LOOK_UP)
        worker = book.run(run)["worker_no"]

        def late_end() -> None:
            book.refused(effects.end_effect, run, epoch, key, 1, ending, None, by=Fenced)
            book.do(claims.note_fenced_end, run, worker, epoch, key, ending)

        book.die(run)
        host: Steps = [
            lambda: hosts.tick("reconciler"),
            lambda: hosts.sent.says("present", {"id": 1}),
            lambda: hosts.tick("reconciler"),
            lambda: hosts.tick("recovery"),
        ]

        def judge() -> None:
            (ended,) = book.bodies("effect_ended")
            assert (ended["status"], ended["resolution"], ended["result"]) == ("CONFIRMED", "observed", {"id": 1})
            assert (len(book.bodies("write_refused")), len(hosts.pool.sent)) == (2, 1)
            assert book.status(run) == "RUNNING"

        return [host, [late_end, late_end]], judge

    assert play(tmp_path, make) == 15


def test_timers_and_a_cancel(tmp_path: Path) -> None:
    """The timers reactor acts on what it saw before the cancel, or after; recovery drives the run on if it was woken
    in time: then the agent learns of the cancel and lets go."""

    def make(book: Book, hosts: Hosts) -> tuple[list[Steps], Callable[[], None]]:
        _be_late(hosts, book)
        _sleeping(book, hosts)
        (run,) = [row["id"] for row in book.rows("SELECT id FROM run")]
        timers, recovery = hosts.hosts[0]["timers"], hosts.hosts[0]["recovery"]
        host: Steps = [timers._desk.work.look, timers.tick, recovery.tick]

        def judge() -> None:
            if book.status(run) == "RUNNING":
                book.do(runs.park, run, book.run(run)["epoch"], [], "cancelled")
            assert book.status(run) == "CANCELLED"
            fired = len(book.bodies("timer_fired"))
            assert book.rows("SELECT status FROM timer")[0]["status"] == ("FIRED" if fired else "DROPPED")
            assert len(book.bodies("run_ended")) == 1

        return [host, [lambda: book.do(runs.cancel, run)]], judge

    assert play(tmp_path, make) == 4


def _answer_all(hosts: Hosts) -> None:
    for sent in hosts.pool.sent:
        if not sent.future.done():
            _answer(sent)


def _answer(sent: Sent) -> None:
    if sent.what == "look-up":
        sent.says("present", {"id": 1})
    else:
        sent.answer("returned", result={"id": 1})


@pytest.mark.parametrize("order", list(orders(3)), ids=lambda order: "".join(map(str, order)))
def test_everything_at_once_settles_the_same_way(order: list[int], tmp_path: Path) -> None:
    """A lost effect, an outbox effect, a sleeping run and a failed one: whole hosts tick in every order, their hooks
    are answered in between, and at the end everything has happened once."""
    book = Book(tmp_path / "dev.db")
    hosts = Hosts(book, count=2, workers=4, slots=4)
    _be_late(hosts, book)
    doubtful, key = lost(book, LOOK_UP)
    mailed, mail = outbox(book)
    _sleeping(book, hosts)
    failed, duties = owing(book, 2)
    blind, _ = lost(book, BLIND)
    for host in order:
        for reactor in hosts.hosts[host].values():
            reactor._desk.work.look()
        for reactor in hosts.hosts[host].values():
            reactor.tick()
        _answer_all(hosts)
    for _ in range(6):
        for host in hosts.hosts:
            for reactor in host.values():
                reactor.tick()
        _answer_all(hosts)
    assert (book.effect(key)["status"], book.effect(mail)["status"]) == ("CONFIRMED", "CONFIRMED")
    assert (book.status(failed), book.status(blind)) == ("FAILED", "STUCK")
    assert [book.duty(duty)["status"] for duty in duties] == ["DONE", "DONE"]
    assert sorted(sent.what for sent in hosts.pool.sent) == ["body", "look-up", "undo", "undo"]
    assert len(book.bodies("timer_fired")) == 1
    assert {book.status(run) for run in (doubtful, mailed)} == {"RUNNING"}
    invariants.check(book.writer.connection)
    hosts.close()
    book.close()
