"""All orders of what two parties do to one thing: each is serialised, one of them wins, nothing is done twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from tape.core.journal import claims, effects, obligations, records, runs, workers
from tape.core.journal.caps import set_caps
from tape.core.journal.claims import Claim
from tape.core.journal.effects import Ending
from tape.core.kernel.errors import Fenced, Refused
from tape.core.kernel.lifecycle import LeaseTrigger
from tape.core.kernel.resolution import Answer
from tests.journal import invariants
from tests.journal.book import (
    ANY_STEP,
    BLIND,
    CLAIM_US,
    CONFIRMED,
    FAILED,
    IDEMPOTENT,
    IDEMPOTENT_LOOK_UP,
    LOOK_UP,
    OUTBOX,
    SURE,
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


@pytest.mark.parametrize(("first", "second"), list(combinations(["confirm", "fail", "retry"], 2)))
def test_two_persons(tmp_path: Path, first: str, second: str) -> None:
    """Each looks, decides and lets the run go on: one decision counts, and the other is told that there is none to
    make."""

    def make(book: Book) -> tuple[Party, Party, Callable[[], None]]:
        run_id, epoch = book.driven()
        key = book.begin(run_id, epoch, BLIND)
        book.die(run_id)

        def person(how: str) -> Party:
            return Party(
                lambda: book.do(claims.resolve_effect, run_id, key, how, how, "looked"),
                lambda: drive(how),
                lambda: book.do(runs.cancel, run_id),
            )

        def drive(how: str) -> None:
            epoch = book.again(run_id)
            if how == "retry":
                book.end(run_id, epoch, key, book.retry(run_id, epoch, key))
            book.do(runs.end_run, run_id, epoch, "TERMINAL", how, None)

        one, other = person(first), person(second)

        def judge() -> None:
            (ended,) = book.bodies("run_ended")
            won, lost = (one, other) if ended["result"] == first else (other, one)
            assert lost.refused.endswith("at step 1"), "the second decision"
            assert won.refused.endswith("at step 3"), "a cancel after the end"
            ends = {"confirm": ("CONFIRMED", "decided", 1), "fail": ("FAILED", "decided", 1)}
            found = tuple(book.effect(key)[name] for name in ("status", "resolution", "attempts"))
            assert found == ends.get(ended["result"], ("CONFIRMED", "redispatched", 2))

        return one, other, judge

    assert play(tmp_path, make) == 20


def test_two_dispatchers(tmp_path: Path) -> None:
    """Two claimers of one outbox effect: one dispatches, and only once."""

    def make(book: Book) -> tuple[Party, Party, Callable[[], None]]:
        run_id, epoch = book.driven()
        key = book.begin(run_id, epoch, OUTBOX)
        book.do(runs.park, run_id, epoch, [], "waits")
        held: dict[str, Claim] = {}

        def dispatcher(name: str) -> Party:
            return Party(
                lambda: held.update({name: book.claim(run_id, key, "body")}),
                lambda: book.do(claims.end_dispatch, held[name], CONFIRMED),
                lambda: book.do(claims.end_dispatch, held[name], CONFIRMED),  # the same answer a second time
            )

        one, other = dispatcher("one"), dispatcher("other")

        def judge() -> None:
            refusals = sorted(party.refused.rpartition(" ")[2] for party in (one, other))
            assert refusals == ["1", "3"]
            assert (book.effect(key)["attempts"], len(book.bodies("effect_ended"))) == (1, 1)

        return one, other, judge

    assert play(tmp_path, make) == 20


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


def test_a_dispatchers_death_and_its_answer(tmp_path: Path) -> None:
    """The hook worker answered and died; both facts arrive, in either order, and a second dispatcher waits for its
    turn. The answer counts if it is first, the death if that is; never is the body open twice."""

    def make(book: Book) -> tuple[Party, Party, Callable[[], None]]:
        run_id, epoch = book.driven()
        key = book.begin(run_id, epoch, OUTBOX)
        book.do(runs.park, run_id, epoch, [], "waits")
        first = book.claim(run_id, key, "body")
        held: list[Claim] = []
        lost = {"body_over": True, "died": True}
        answer = Party(lambda: book.do(claims.end_dispatch, first, CONFIRMED))
        death = Party(
            lambda: book.do(claims.lose_dispatch, first, "signal 9", None, book.recovery, **lost),
            lambda: held.append(book.claim(run_id, key, "body")),
            lambda: book.do(claims.end_dispatch, held[0], CONFIRMED),
        )

        def judge() -> None:
            assert answer.won != death.won
            (ended,) = book.bodies("effect_ended")
            assert ended["resolution"] == ("returned" if answer.won else "redispatched")
            assert book.effect(key)["attempts"] == (1 if answer.won else 2)
            assert book.status(run_id) == "RUNNABLE"

        return answer, death, judge

    assert play(tmp_path, make) == 4


@pytest.mark.parametrize("says", [Answer.PRESENT, Answer.ABSENT])
def test_a_look_ups_death_and_its_answer(tmp_path: Path, says: Answer) -> None:
    def make(book: Book) -> tuple[Party, Party, Callable[[], None]]:
        run_id, epoch = book.driven()
        key = book.begin(run_id, epoch, IDEMPOTENT_LOOK_UP)
        book.die(run_id)
        first = book.claim(run_id, key)
        acts = [{"by": "first"}] if says is Answer.PRESENT else []
        held: list[Claim] = []
        answer = Party(lambda: book.do(claims.record_observation, first, says, acts, ""))
        death = Party(
            lambda: book.do(claims.lose_look_up, first, "signal 9", book.recovery),
            lambda: held.append(book.claim(run_id, key)),
            lambda: book.do(claims.record_observation, held[0], says, acts, ""),
        )

        def judge() -> None:
            assert answer.won != death.won
            assert len(book.bodies("observed")) == 1
            assert len(book.bodies("effect_ended")) == (says is Answer.PRESENT)
            assert book.status(run_id) == "RUNNABLE"

        return answer, death, judge

    assert play(tmp_path, make) == 4


@pytest.mark.parametrize("says", [Answer.PRESENT, Answer.ABSENT])
@pytest.mark.parametrize("ending", [CONFIRMED, FAILED], ids=["acted", "failed"])
def test_reconciler_and_a_zombies_late_end(tmp_path: Path, says: Answer, ending: Ending) -> None:
    """What the zombie says of its body is never applied, wherever it comes: while nobody asks, while the look-up is
    under way, after its answer, in the next drive. It is kept as evidence, and nothing is settled twice."""

    def make(book: Book) -> tuple[Party, Party, Callable[[], None]]:
        run_id, epoch = book.driven()
        key = book.begin(run_id, epoch, SURE)
        worker = book.run(run_id)["worker_no"]
        book.die(run_id)
        book.clock.advance(3)
        held: list[Any] = []

        def late_end() -> None:
            book.refused(effects.end_effect, run_id, epoch, key, 1, ending, None, by=Fenced)
            book.do(claims.note_fenced_end, run_id, worker, epoch, key, ending)

        def drive() -> None:
            epoch = book.again(run_id)
            if says is Answer.ABSENT:
                book.end(run_id, epoch, key, book.retry(run_id, epoch, key))
            book.do(runs.end_run, run_id, epoch, "TERMINAL", None, None)

        acts = [{"by": "look-up"}] if says is Answer.PRESENT else []
        zombie = Party(late_end, late_end)
        reconciler = Party(
            lambda: held.append(book.claim(run_id, key)),
            lambda: book.do(claims.record_observation, held[0], says, acts, ""),
            drive,
        )

        def judge() -> None:
            assert reconciler.won and zombie.won
            (ended,) = book.bodies("effect_ended")
            assert ended["resolution"] == ("observed" if says is Answer.PRESENT else "redispatched")
            assert len(book.bodies("write_refused")) == 2
            assert book.rows("SELECT 1 FROM conflict") == []
            assert book.status(run_id) == "TERMINAL"

        return zombie, reconciler, judge

    assert play(tmp_path, make) == 10


def test_a_persons_no_and_a_zombies_late_yes(tmp_path: Path) -> None:
    """It contradicts only what is final: then a conflict says so, once per late word."""

    def make(book: Book) -> tuple[Party, Party, Callable[[], None]]:
        run_id, epoch = book.driven()
        key = book.begin(run_id, epoch, BLIND)
        book.die(run_id)
        before: list[str] = []

        def late_end() -> None:
            before.append(book.effect(key)["status"])
            book.refused(effects.end_effect, run_id, epoch, key, 1, CONFIRMED, None, by=Fenced)
            book.do(claims.note_fenced_end, run_id, None, epoch, key, CONFIRMED)

        zombie = Party(late_end, late_end)
        person = Party(
            lambda: book.do(claims.resolve_effect, run_id, key, "fail", None, "not there"),
            lambda: book.do(runs.end_run, run_id, book.again(run_id), "TERMINAL", None, None),
        )

        def judge() -> None:
            assert person.won and zombie.won
            assert len(book.rows("SELECT 1 FROM conflict")) == before.count("FAILED")
            assert book.effect(key)["status"] == "FAILED"

        return zombie, person, judge

    assert play(tmp_path, make) == 6


def test_timer_and_cancel(tmp_path: Path) -> None:
    """The sleeper is woken or cancelled; a timer that fires after the cancel changes nothing, and is not left set."""

    def make(book: Book) -> tuple[Party, Party, Callable[[], None]]:
        run_id, epoch = book.driven()
        key = book.begin(run_id, epoch, UNDOABLE)
        book.end(run_id, epoch, key)
        for ordinal in (0, 1):
            book.do(records.set_timer, run_id, epoch, ordinal, 1.0 + ordinal, "f")
        book.do(runs.park, run_id, epoch, ["timer 0", "timer 1"], "asleep")
        book.clock.advance(3)
        run_no = book.run(run_id)["no"]
        timers = Party(
            lambda: book.do(records.fire_timer, run_no, 0),
            lambda: book.do(records.fire_timer, run_no, 1),
        )
        person = Party(lambda: book.do(runs.cancel, run_id), lambda: book.undo(run_id, f"{key}/undo/1"))

        def judge() -> None:
            assert person.won
            assert book.status(run_id) == "CANCELLED"
            fired = len(book.bodies("timer_fired"))
            assert timers.won == (fired == 2)
            statuses = [row["status"] for row in book.rows("SELECT status FROM timer ORDER BY ordinal")]
            assert statuses == ["FIRED"] * fired + ["DROPPED"] * (2 - fired)
            assert book.tape(run_id)[-1] == "run_ended"

        return timers, person, judge

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


@pytest.mark.parametrize(("cap", "winners"), [(39, 0), (40, 1), (79, 1), (80, 2)])
def test_two_spenders_of_one_purse(tmp_path: Path, cap: int, winners: int) -> None:
    """Two child runs ask at the same time: no order lets them hold back more than their parent has."""

    def make(book: Book) -> tuple[Party, Party, Callable[[], None]]:
        parent = book.start(caps={"tokens": cap})
        parties: list[Party] = []
        for _ in range(2):
            run_id = book.child(parent)
            parties.append(spender(book, run_id, book.grant(run_id)))

        def judge() -> None:
            assert sum(party.won for party in parties) >= winners
            cap_now, reserved, spent, lost = book.purse(parent)
            won = sum(party.won for party in parties)
            assert (cap_now, reserved, spent, lost) == (cap, 0, 40 * won, 0)
            assert len(book.bodies("budget_refused")) == 2 - won and won == winners

        return parties[0], parties[1], judge

    assert play(tmp_path, make) == 6


def spender(book: Book, run_id: str, epoch: int) -> Party:
    def ask() -> None:
        if not book.ask(run_id, epoch, tokens=40):
            raise Refused("nobody is asked")

    return Party(ask, lambda: book.decide(run_id, epoch, usage=records.Usage(tokens_in=40)))


def test_a_spender_and_a_person_who_sets_the_cap(tmp_path: Path) -> None:
    def make(book: Book) -> tuple[Party, Party, Callable[[], None]]:
        run_id = book.start(caps={"tokens": 100})
        agent = spender(book, run_id, book.grant(run_id))
        person = Party(lambda: book.do(set_caps, run_id, {"tokens": 39}, "ann", "less"))

        def judge() -> None:
            assert agent.won != person.won, "the cap is not below what is used, nothing is asked above it"
            assert book.purse(run_id) == ((100, 0, 40, 0) if agent.won else (39, 0, 0, 0))

        return agent, person, judge

    assert play(tmp_path, make) == 3
