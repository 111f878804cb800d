"""All orders of what two parties do to one thing: each is serialised, one of them wins, nothing is done twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from tape.core.journal import claims, effects, obligations, records, runs, workers
from tape.core.journal.claims import Claim
from tape.core.kernel.errors import Refused
from tape.core.kernel.lifecycle import LeaseTrigger
from tape.core.kernel.resolution import Answer
from tests.journal import invariants
from tests.journal.book import (
    ANY_STEP,
    BLIND,
    CLAIM_US,
    CONFIRMED,
    IDEMPOTENT,
    LOOK_UP,
    OUTBOX,
    TTL_US,
    UNDOABLE,
    Book,
)

Step = Callable[[], Any]


def merges(one: int, other: int) -> Iterator[list[int]]:
    """Every way in which two sequences can interleave: 0 for the next of the first, 1 of the second."""
    for places in combinations(range(one + other), one):
        yield [0 if at in places else 1 for at in range(one + other)]


class Party:
    """Does its steps in order; a refused one is remembered and ends its part."""

    def __init__(self, *steps: Step) -> None:
        self.steps, self.done, self.refused = list(steps), 0, ""

    def go(self) -> None:
        if self.refused:
            return
        step = self.steps[self.done]
        self.done += 1
        try:
            step()
        except Refused as error:
            self.refused = f"{type(error).__name__} at step {self.done}"

    @property
    def won(self) -> bool:
        return not self.refused and self.done == len(self.steps)


def play(path: Path, make: Callable[[Book], tuple[Party, Party, Callable[[], None]]]) -> int:
    """Runs every order on a fresh journal; returns how many there were."""
    measured = Book(path / "lengths.db")
    first, second, _ = make(measured)
    measured.close()
    orders = list(merges(len(first.steps), len(second.steps)))
    for number, order in enumerate(orders):
        book = Book(path / f"{number}.db")
        one, other, judge = make(book)
        for turn in order:
            (other if turn else one).go()
            invariants.check(book.writer.connection)
        judge()
        book.close()
    return len(orders)


def grants(book: Book, run_id: str, worker: int) -> int:
    named = {"ttl_us": TTL_US, "concurrency": 1, "recovery": book.recovery}
    return book.do(runs.grant, run_id, worker, **named).epoch


def test_two_workers_and_one_run(tmp_path: Path) -> None:
    def make(book: Book) -> tuple[Party, Party, Callable[[], None]]:
        run_id, first, second = book.start(), book.worker(), book.worker()
        held: dict[int, int] = {}

        def drive(worker: int) -> Party:
            return Party(
                lambda: held.update({worker: grants(book, run_id, worker)}),
                lambda: book.sample(run_id, held[worker]),
                lambda: book.do(runs.end_run, run_id, held[worker], "TERMINAL", worker, None),
            )

        one, other = drive(first), drive(second)

        def judge() -> None:
            assert one.won != other.won
            assert book.tape(run_id) == ["run_started", "sample", "run_ended"]

        return one, other, judge

    assert play(tmp_path, make) == 20


@pytest.mark.parametrize("how", ["die", "expire"])
def test_holder_and_zombie(tmp_path: Path, how: str) -> None:
    """The zombie goes on as if nothing had happened; the holder comes after its end was noticed."""

    def make(book: Book) -> tuple[Party, Party, Callable[[], None]]:
        run_id = book.start()
        old = book.worker()
        epoch = book.grant(run_id, old)
        key = book.begin(run_id, epoch, IDEMPOTENT)
        held: list[int] = []

        def lost() -> None:
            if how == "die":
                book.do(workers.worker_died, old, "signal 9", book.recovery, proven=True)
            else:
                expire = (effects.lose_lease_of, run_id, epoch, LeaseTrigger.EXPIRE, "late", book.recovery)
                book.do(*expire, proven=False)

        zombie = Party(
            lambda: book.end(run_id, epoch, key),
            lambda: book.sample(run_id, epoch),
            lambda: book.do(runs.end_run, run_id, epoch, "TERMINAL", "zombie", None),
        )

        def finish() -> None:
            if book.effect(key)["status"] == "PENDING":
                book.end(run_id, held[0], key, book.retry(run_id, held[0], key))
            book.do(runs.end_run, run_id, held[0], "TERMINAL", "holder", None)

        holder = Party(lost, lambda: held.append(book.again(run_id)), finish)

        def judge() -> None:
            assert book.status(run_id) == "TERMINAL"
            assert zombie.won != holder.won
            assert book.tape(run_id).count("effect_ended") == 1
            assert book.bodies("run_ended")[0]["result"] == ("zombie" if zombie.won else "holder")

        return zombie, holder, judge

    assert play(tmp_path, make) == 20


def test_cancel_and_complete(tmp_path: Path) -> None:
    def make(book: Book) -> tuple[Party, Party, Callable[[], None]]:
        run_id, epoch = book.driven()

        def end() -> None:
            if book.run(run_id)["cancel"]:
                book.do(runs.park, run_id, epoch, [], "cancelled")
            else:
                book.do(runs.end_run, run_id, epoch, "TERMINAL", None, None)

        agent = Party(
            lambda: book.end(run_id, epoch, book.begin(run_id, epoch, UNDOABLE)),
            lambda: book.sample(run_id, epoch),
            end,
        )
        person = Party(lambda: book.do(runs.cancel, run_id))

        def judge() -> None:
            status = book.status(run_id)
            if agent.refused:  # the cancel came before the tool was called: the agent lets go
                assert agent.done == 1
                book.do(runs.park, run_id, epoch, [], "cancelled")
                assert book.status(run_id) == "CANCELLED"
            elif person.refused:
                assert status == "TERMINAL"
            else:
                assert status == "COMPENSATING"
                book.undo(run_id, f"{run_id}/-/0/tool/undo/1")
                assert book.status(run_id) == "CANCELLED"

        return agent, person, judge

    assert play(tmp_path, make) == 4


def test_two_reconcilers(tmp_path: Path) -> None:
    def make(book: Book) -> tuple[Party, Party, Callable[[], None]]:
        run_id, epoch = book.driven()
        key = book.begin(run_id, epoch, LOOK_UP)
        book.die(run_id)
        held: dict[str, Claim] = {}

        def reconciler(name: str, answer: Answer) -> Party:
            named = {"what": "look-up", "claim_us": CLAIM_US, "worker_no": None}
            acts = [{"by": name}] if answer is Answer.PRESENT else []
            return Party(
                lambda: held.update({name: book.do(claims.claim_effect, run_id, key, ANY_STEP, name, **named)}),
                lambda: book.do(claims.record_observation, held[name], answer, acts, ""),
            )

        one, other = reconciler("one", Answer.PRESENT), reconciler("other", Answer.PRESENT)

        def judge() -> None:
            assert one.won != other.won
            assert len(book.bodies("effect_ended")) == 1

        return one, other, judge

    assert play(tmp_path, make) == 6


def test_a_late_reconciler_and_the_one_after_it(tmp_path: Path) -> None:
    def make(book: Book) -> tuple[Party, Party, Callable[[], None]]:
        run_id, epoch = book.driven()
        key = book.begin(run_id, epoch, LOOK_UP)
        book.die(run_id)
        late = book.claim(run_id, key)
        held: list[Claim] = []
        slow = Party(lambda: book.do(claims.record_observation, late, Answer.PRESENT, [{"by": "late"}], ""))
        fast = Party(
            lambda: book.do(claims.void_claim, run_id, key, late.epoch, "late", book.recovery, proven=True),
            lambda: held.append(book.claim(run_id, key)),
            lambda: book.do(claims.record_observation, held[0], Answer.PRESENT, [{"by": "fast"}], ""),
        )

        def judge() -> None:
            assert slow.won != fast.won
            assert book.bodies("effect_ended")[0]["result"] == {"by": "late" if slow.won else "fast"}
            assert book.status(run_id) == "RUNNABLE"

        return slow, fast, judge

    assert play(tmp_path, make) == 4


def test_outbox_and_person(tmp_path: Path) -> None:
    """A person's cancel and the outbox's dispatch: what was dispatched counts."""

    def make(book: Book) -> tuple[Party, Party, Callable[[], None]]:
        run_id, epoch = book.driven()
        key = book.begin(run_id, epoch, OUTBOX)
        book.do(runs.park, run_id, epoch, [], "waits")
        held: list[Claim] = []
        outbox = Party(
            lambda: held.append(book.claim(run_id, key, "body")),
            lambda: book.do(claims.end_dispatch, held[0], CONFIRMED),
        )
        person = Party(lambda: book.do(runs.cancel, run_id))

        def judge() -> None:
            assert outbox.won and person.won
            assert (book.effect(key)["status"], book.status(run_id)) in {
                ("CONFIRMED", "CANCELLED"),
                ("CONFIRMED", "RUNNABLE"),
            }

        return outbox, person, judge

    assert play(tmp_path, make) == 3


def test_two_persons(tmp_path: Path) -> None:
    def make(book: Book) -> tuple[Party, Party, Callable[[], None]]:
        run_id, epoch = book.driven()
        key = book.begin(run_id, epoch, BLIND)
        book.die(run_id)
        yes = Party(lambda: book.do(claims.resolve_effect, run_id, key, "confirm", 1, "yes"))
        no = Party(lambda: book.do(claims.resolve_effect, run_id, key, "fail", None, "no"))

        def judge() -> None:
            assert yes.won != no.won
            assert book.effect(key)["status"] == ("CONFIRMED" if yes.won else "FAILED")

        return yes, no, judge

    assert play(tmp_path, make) == 2


def test_two_undoers(tmp_path: Path) -> None:
    def make(book: Book) -> tuple[Party, Party, Callable[[], None]]:
        run_id, epoch = book.driven()
        key = book.begin(run_id, epoch, UNDOABLE)
        book.end(run_id, epoch, key)
        book.do(runs.end_run, run_id, epoch, "FAILED", None, None)
        held: dict[str, Claim] = {}

        def undoer(name: str) -> Party:
            named = {"claim_us": CLAIM_US, "worker_no": None}
            return Party(
                lambda: held.update({name: book.do(obligations.claim_duty, run_id, f"{key}/undo/1", name, **named)[0]}),
                lambda: book.do(obligations.fulfil_duty, held[name]),
            )

        one, other = undoer("one"), undoer("other")

        def judge() -> None:
            assert one.won != other.won
            assert book.status(run_id) == "FAILED"

        return one, other, judge

    assert play(tmp_path, make) == 6


def test_timer_and_death(tmp_path: Path) -> None:
    def make(book: Book) -> tuple[Party, Party, Callable[[], None]]:
        run_id, epoch = book.driven()
        worker = book.run(run_id)["worker_no"]
        book.do(records.set_timer, run_id, epoch, 0, 1.0, "f")
        book.begin(run_id, epoch, LOOK_UP)
        book.clock.advance(2)
        run_no = book.run(run_id)["no"]
        timers = Party(lambda: book.do(records.fire_timer, run_no, 0))
        recovery = Party(lambda: book.do(workers.worker_died, worker, "signal 9", book.recovery, proven=True))

        def judge() -> None:
            assert book.status(run_id) == "WAITING"
            assert book.tape(run_id)[-1] == "timer_fired"

        return timers, recovery, judge

    assert play(tmp_path, make) == 2
