"""Verbs on runs and leases: what each writes, and what refuses it."""

from __future__ import annotations

import pytest

from tape.core.journal import claims, effects, obligations, records, runs, workers
from tape.core.journal.records import Usage
from tape.core.kernel.errors import Fenced, IllegalTransition, JournalError, KeyConflict, NotFound, Refused, UsageError
from tape.core.kernel.lifecycle import LeaseTrigger, WorkerTrigger
from tape.core.kernel.policy import SECOND_US
from tape.core.kernel.resolution import Answer
from tests.journal.book import BLIND, FAILED, IDEMPOTENT, LOOK_UP, OUTBOX, SURE, TTL_US, UNDOABLE, Book


def test_a_run_starts_with_its_first_record(book: Book) -> None:
    run_id = book.start({"n": 1}, actor="me", caps={"tokens": 100})
    row = book.run(run_id)
    assert (row["status"], row["seq"], row["epoch"], row["drive"], row["crashes"]) == ("RUNNABLE", 1, 0, 0, 0)
    (started,) = book.bodies("run_started")
    assert (started["agent"], started["input"], started["start_key"]) == ("agent", {"n": 1}, None)
    assert (started["actor"], started["parent"], started["source"]) == ("me", None, None)
    assert {row["unit"]: row["cap"] for row in book.rows("SELECT * FROM budget")} == {"tokens": 100, "usd_micro": None}


def test_ids_of_one_moment_differ(book: Book) -> None:
    assert len({book.start() for _ in range(20)}) == 20


def test_the_same_start_key_gives_the_same_run(book: Book) -> None:
    first = book.start({"a": 1, "b": 2}, start_key="k")
    before = book.dump()
    assert book.start({"b": 2, "a": 1}, start_key="k") == first
    assert book.dump() == before, "asked twice, written once"
    assert book.start({"a": 1}, start_key="other") != first


@pytest.mark.parametrize(("agent", "input"), [("agent", {"a": 2}), ("other", {"a": 1}), ("agent", {"a": 1.0})])
def test_the_same_start_key_for_something_else_is_an_error(book: Book, agent: str, input: object) -> None:
    book.start({"a": 1}, start_key="k")
    book.refused(runs.start_run, agent, input, start_key="k", by=KeyConflict, says="use another --key")


def test_an_input_that_is_not_json_starts_nothing(book: Book) -> None:
    book.refused(runs.start_run, "agent", float("nan"), by=UsageError)
    book.refused(runs.start_run, "agent", {"x": object()}, by=UsageError)


def test_a_grant_counts_the_crash_before_it_happens(book: Book) -> None:
    run_id = book.start()
    worker = book.worker()
    assert book.grant(run_id, worker) == 1
    row = book.run(run_id)
    assert (row["status"], row["epoch"], row["drive"], row["crashes"], row["worker_no"]) == ("RUNNING", 1, 1, 1, worker)
    assert row["lease_until_boot_us"] == book.clock.boot_us() + TTL_US
    granted = book.bodies("lease_granted")[0]
    assert (granted["decision_index"], granted["next_seq"], granted["crashes"]) == (0, 2, 0)


def test_no_double_grant(book: Book) -> None:
    run_id, _ = book.driven()
    book.refused(
        runs.grant,
        run_id,
        book.worker(),
        ttl_us=TTL_US,
        concurrency=1,
        recovery=book.recovery,
        by=IllegalTransition,
        says="RUNNING cannot grant",
    )


@pytest.mark.parametrize("move", [None, WorkerTrigger.FREEZE, "die"])
def test_only_a_ready_worker_is_granted_a_lease(book: Book, move: WorkerTrigger | str | None) -> None:
    run_id = book.start()
    nonce = book.clock.nonce()
    worker = book.do(workers.start_worker, nonce, 100, 7, book.clock.boot_id, "here")
    if move is not None:
        book.do(workers.move_worker, worker, WorkerTrigger.HELLO)
    if move == "die":
        book.do(workers.worker_died, worker, "gone", book.recovery, proven=True)
    elif isinstance(move, WorkerTrigger):
        book.do(workers.move_worker, worker, move)
    named = {"ttl_us": TTL_US, "concurrency": 1, "recovery": book.recovery}
    book.refused(runs.grant, run_id, worker, **named, says="not ready")
    book.refused(runs.grant, run_id, 99, **named, says="not ready")
    book.refused(runs.grant, "r-none", book.worker(), **named, by=NotFound)


def test_a_worker_has_room_for_so_many_runs(book: Book) -> None:
    worker = book.worker()
    first, second, third = book.start(), book.start(), book.start()
    assert book.grant(first, worker, concurrency=2) == 1
    assert book.grant(second, worker, concurrency=2) == 1
    named = {"ttl_us": TTL_US, "concurrency": 2, "recovery": book.recovery}
    book.refused(runs.grant, third, worker, **named, says="no room")


def test_a_run_that_died_twice_goes_alone(book: Book) -> None:
    run_id, _ = book.driven()
    book.die(run_id)
    book.again(run_id)
    book.die(run_id)
    busy = book.worker()
    book.grant(book.start(), busy, concurrency=8)
    book.clock.advance(60)
    named = {"ttl_us": TTL_US, "concurrency": 8, "recovery": book.recovery}
    book.refused(runs.grant, run_id, busy, **named, says="no room")
    alone = book.worker()
    book.grant(run_id, alone, concurrency=8)
    assert book.bodies("lease_granted")[-1]["alone"]
    book.refused(runs.grant, book.start(), alone, **named, says="no room")


def test_deaths_without_progress_back_off_and_end_stuck(book: Book) -> None:
    run_id, waits = book.start(), []
    for death in range(1, 6):
        assert book.status(run_id) == "RUNNABLE"
        book.again(run_id)
        assert book.run(run_id)["crashes"] == death
        book.die(run_id)
        waits.append((book.run(run_id)["next_boot_us"] - book.clock.boot_us()) // SECOND_US)
    row = book.run(run_id)
    assert row["status"] == "STUCK" and "5 deaths in a row" in row["error"]
    assert waits[1:4] == [1, 2, 4] and waits[0] <= 0
    stuck = book.bodies("run_moved")[-1]
    assert stuck["commands"] == [f"tape redrive {run_id}", f"tape cancel {run_id}"]


def test_a_back_off_is_kept(book: Book) -> None:
    run_id, _ = book.driven()
    book.die(run_id)
    book.again(run_id)
    book.die(run_id)
    named = {"ttl_us": TTL_US, "concurrency": 1, "recovery": book.recovery}
    book.refused(runs.grant, run_id, book.worker(), **named, says="backing off")


def test_progress_clears_the_crashes_and_a_park_gives_its_own_back(book: Book) -> None:
    run_id, _ = book.driven()
    for _ in range(3):
        book.die(run_id)
        epoch = book.again(run_id)
    assert book.run(run_id)["crashes"] == 4
    book.do(runs.park, run_id, epoch, [], "drained")
    assert book.run(run_id)["crashes"] == 3, "the three deaths still count, the orderly drive does not"
    epoch = book.again(run_id)
    book.sample(run_id, epoch)
    assert book.run(run_id)["crashes"] == 0
    book.do(runs.park, run_id, epoch, [], "drained")
    assert book.run(run_id)["crashes"] == 0


def test_redrive_takes_a_stuck_run_up_with_a_clear_count(book: Book) -> None:
    run_id = book.start()
    for _ in range(5):
        book.again(run_id)
        book.die(run_id)
    assert book.do(runs.redrive, run_id) == "RUNNABLE"
    row = book.run(run_id)
    assert (row["crashes"], row["error"], row["waiting_on"], row["next_boot_us"]) == (0, "", "", 0)
    book.refused(runs.redrive, run_id, says="not STUCK")
    assert book.again(run_id)


def test_redrive_waits_for_unsettled_effects(book: Book) -> None:
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch)
    book.die(run_id)
    assert book.status(run_id) == "STUCK"
    book.refused(runs.redrive, run_id, says="tape resolve")
    assert key in book.run(run_id)["error"]


def test_a_reactor_does_not_wake_a_run_that_is_stuck_for_a_person(book: Book) -> None:
    """Poison stays contained: an effect that is settled meanwhile is no redrive."""
    run_id = book.start()
    epoch = book.again(run_id)
    key = book.begin(run_id, epoch, SURE)
    book.die(run_id)
    for _ in range(5):
        book.clock.advance(10)
        assert book.observe(run_id, key, Answer.ABSENT) == "N-absent"
        epoch = book.again(run_id)
        book.retry(run_id, epoch, key)
        book.die(run_id)
        if book.status(run_id) == "STUCK":
            break
    assert book.status(run_id) == "STUCK" and "deaths in a row" in book.run(run_id)["error"]
    book.observe(run_id, key, Answer.PRESENT)
    assert book.effect(key)["status"] == "CONFIRMED"
    assert book.status(run_id) == "STUCK"
    assert book.do(runs.redrive, run_id) == "RUNNABLE"


def test_renewal_keeps_what_has_not_run_out(book: Book) -> None:
    run_id = book.start()
    worker = book.worker()
    epoch = book.grant(run_id, worker)
    book.clock.advance(14)
    assert book.do(runs.renew_leases, worker, TTL_US) == 1
    book.clock.advance(14)
    book.sample(run_id, epoch)
    book.clock.advance(2)
    assert book.do(runs.renew_leases, worker, TTL_US) == 0, "a lease that ran out is not revived"
    book.refused(records.attach, run_id, epoch, [], by=Fenced, says="run out")


AGENT_VERBS = {
    "ask": lambda book, run_id, epoch: (records.ask_model, run_id, epoch, 0, "m"),
    "attach": lambda book, run_id, epoch: (records.attach, run_id, epoch, []),
    "timer": lambda book, run_id, epoch: (records.set_timer, run_id, epoch, 0, 1.0, "f"),
    "park": lambda book, run_id, epoch: (runs.park, run_id, epoch, [], ""),
    "diverge": lambda book, run_id, epoch: (records.diverge, run_id, epoch, "why"),
    "end": lambda book, run_id, epoch: (runs.end_run, run_id, epoch, "TERMINAL", 1, None),
    "attempt": lambda book, run_id, epoch: (effects.start_attempt, run_id, epoch, "k", 1),
    "effect end": lambda book, run_id, epoch: (effects.end_effect, run_id, epoch, "k", 1, FAILED, Usage()),
    "fail": lambda book, run_id, epoch: (effects.fail_attempt, run_id, epoch, "k", 1, "h", None, book.recovery),
    "reject": lambda book, run_id, epoch: (effects.reject_attempt, run_id, epoch, "k", 1, None, book.recovery),
}


@pytest.mark.parametrize("verb", AGENT_VERBS)
@pytest.mark.parametrize("how", ["stale epoch", "future epoch", "run out", "dead worker", "parked", "ended"])
def test_no_agent_verb_without_a_live_lease(book: Book, verb: str, how: str) -> None:
    run_id, epoch = book.driven()
    if how == "stale epoch":
        book.die(run_id)
        book.again(run_id)
    elif how == "future epoch":
        epoch += 1
    elif how == "run out":
        book.clock.advance(TTL_US / SECOND_US)
    elif how == "dead worker":
        book.die(run_id)
    elif how == "parked":
        book.do(runs.park, run_id, epoch, [], "")
    else:
        book.do(runs.end_run, run_id, epoch, "TERMINAL", None, None)
    call = AGENT_VERBS[verb](book, run_id, epoch)
    book.refused(*call, by=Fenced, says="no write under lease epoch")


@pytest.mark.parametrize("how", ["dead worker", "parked", "granted anew"])
def test_a_lease_that_ends_earlier_in_the_same_commit_is_over(book: Book, how: str) -> None:
    """The fence is looked at in the transaction of the write: what that transaction has done already counts."""
    run_id, epoch = book.driven()
    worker, other = book.run(run_id)["worker_no"], book.worker()
    named = {"ttl_us": TTL_US, "concurrency": 1, "recovery": book.recovery}
    ends = {
        "dead worker": [lambda tx: workers.worker_died(tx, worker, "signal 9", book.recovery, proven=True)],
        "parked": [lambda tx: runs.park(tx, run_id, epoch, [], "")],
    }
    ends["granted anew"] = [*ends["dead worker"], lambda tx: runs.grant(tx, run_id, other, **named)]
    *done, late = book.writer.commit([*ends[how], lambda tx: records.set_timer(tx, run_id, epoch, 0, 1.0, "f")])
    assert [outcome.error for outcome in done] == [None] * len(done)
    assert isinstance(late.error, Fenced)
    assert book.tape(run_id) == ["run_started"]


@pytest.mark.parametrize("hours", [-30, 30])
def test_a_lease_is_measured_by_the_time_since_the_boot(book: Book, hours: int) -> None:
    """The wall clock may be set while a lease lives: it neither ends it nor keeps it alive."""
    run_id, epoch = book.driven()
    worker = book.run(run_id)["worker_no"]
    book.clock.wall += hours * 3600 * SECOND_US
    (written,) = book.writer.commit([lambda tx: records.attach(tx, run_id, epoch, [])])
    assert written.error is None
    assert book.do(runs.renew_leases, worker, TTL_US) == 1
    assert book.run(run_id)["lease_until_boot_us"] == book.clock.boot + TTL_US
    book.clock.boot += TTL_US
    book.refused(records.attach, run_id, epoch, [], by=Fenced, says="run out")
    assert book.do(runs.renew_leases, worker, TTL_US) == 0


def test_the_epoch_grows_with_each_grant_and_each_death(book: Book) -> None:
    run_id, epochs = book.start(), []
    epochs.append(book.again(run_id))
    book.do(runs.park, run_id, epochs[-1], [], "")
    epochs.append(book.again(run_id))
    book.die(run_id)
    epochs.append(book.again(run_id))
    assert epochs == [1, 2, 4]


def test_observers_of_one_death_end_one_lease(book: Book) -> None:
    run_id, epoch = book.driven()
    worker = book.run(run_id)["worker_no"]
    book.die(run_id)
    before = book.dump()
    assert book.do(workers.worker_died, worker, "again", book.recovery, proven=True) == 0
    lost = (effects.lose_lease_of, run_id, epoch, LeaseTrigger.EXPIRE, "late", book.recovery)
    assert book.do(*lost, proven=True) is False
    assert book.dump() == before


def test_park_says_what_the_run_waits_for(book: Book) -> None:
    run_id, epoch = book.driven()
    book.do(records.set_timer, run_id, epoch, 0, 60.0, "f")
    book.do(runs.park, run_id, epoch, ["timer 0", "timer 7", "timer x", "gate g"], "sleeps")
    row = book.run(run_id)
    assert (row["status"], row["waiting_on"], row["worker_no"]) == ("WAITING", "timer 0", None)


def test_park_with_a_timer_that_has_fired_waits_for_nothing(book: Book) -> None:
    run_id, epoch = book.driven()
    book.do(records.set_timer, run_id, epoch, 0, 1.0, "f")
    book.clock.advance(1)
    book.do(records.fire_timer, book.run(run_id)["no"], 0)
    book.do(runs.park, run_id, epoch, ["timer 0"], "sleeps")
    assert book.status(run_id) == "RUNNABLE"


def test_a_body_that_is_to_run_again_does_not_wait_for_a_timer(book: Book) -> None:
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch, IDEMPOTENT)
    book.do(records.set_timer, run_id, epoch, 0, 86_400.0, "f")
    book.fail(run_id, epoch, key)
    book.do(runs.park, run_id, epoch, ["timer 0"], "sleeps")
    row = book.run(run_id)
    assert row["status"] == "RUNNABLE"
    assert row["next_boot_us"] == book.effect(key)["next_boot_us"] > book.clock.boot_us()


@pytest.mark.parametrize("verb", ["park", "diverge", "end"])
def test_a_lease_is_not_given_back_under_an_open_body(book: Book, verb: str) -> None:
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch)
    book.refused(*AGENT_VERBS[verb](book, run_id, epoch), says="open")
    book.end(run_id, epoch, key)
    book.do(*AGENT_VERBS[verb](book, run_id, epoch))


@pytest.mark.parametrize("outcome", ["TERMINAL", "FAILED", "CANCELLED"])
def test_the_end_is_the_last_record(book: Book, outcome: str) -> None:
    run_id, epoch = book.driven()
    book.do(records.set_timer, run_id, epoch, 0, 5.0, "f")
    error = {"type": "Boom", "message": "no money"} if outcome == "FAILED" else None
    book.do(runs.end_run, run_id, epoch, outcome, {"r": 1}, error)
    row = book.run(run_id)
    assert (row["status"], row["end_status"], row["waiting_on"]) == (outcome, outcome, "")
    assert row["error"] == ("Boom: no money" if error else "")
    assert book.tape(run_id) == ["run_started", "timer_set", "run_ended"]
    assert book.row("SELECT status FROM timer")[0] == "DROPPED"
    book.clock.advance(10)
    book.refused(records.fire_timer, row["no"], 0, by=IllegalTransition)
    book.refused(runs.cancel, run_id, says="has ended already")
    book.refused(runs.redrive, run_id, says="not STUCK")
    named = {"ttl_us": TTL_US, "concurrency": 1, "recovery": book.recovery}
    book.refused(runs.grant, run_id, book.worker(), **named, by=IllegalTransition)


@pytest.mark.parametrize("outcome", ["RUNNING", "DONE", ""])
def test_no_other_end(book: Book, outcome: str) -> None:
    run_id, epoch = book.driven()
    book.refused(runs.end_run, run_id, epoch, outcome, None, None, by=UsageError)


def test_cancel_of_a_runnable_run_ends_it(book: Book) -> None:
    run_id = book.start()
    assert book.do(runs.cancel, run_id) == "CANCELLED"
    assert book.bodies("run_ended") == [{"outcome": "CANCELLED", "result": None, "error": None, "writer": "operator"}]


def test_cancel_of_a_running_run_ends_it_when_the_agent_lets_go(book: Book) -> None:
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch)
    assert book.do(runs.cancel, run_id) == "RUNNING"
    assert book.do(runs.cancel, run_id) == "RUNNING"
    book.refused(records.ask_model, run_id, epoch, 0, "m", says="being cancelled")
    book.refused(records.set_timer, run_id, epoch, 0, 1.0, "f", says="being cancelled")
    with pytest.raises(JournalError, match="being cancelled"):
        book.begin(run_id, epoch, ordinal=1)
    book.end(run_id, epoch, key)
    book.do(runs.park, run_id, epoch, ["timer 0"], "cancelled")
    assert book.status(run_id) == "CANCELLED"


def test_cancel_of_a_running_run_whose_worker_dies(book: Book) -> None:
    run_id, _ = book.driven()
    book.do(runs.cancel, run_id)
    book.die(run_id)
    assert book.status(run_id) == "CANCELLED"


def test_cancel_of_a_poisoned_run_with_nothing_open_needs_no_drive(book: Book) -> None:
    run_id = book.start()
    for _ in range(4):
        book.again(run_id)
        book.die(run_id)
    book.again(run_id)
    book.do(runs.cancel, run_id)
    book.die(run_id)
    assert book.status(run_id) == "CANCELLED"


def test_cancel_of_a_waiting_run(book: Book) -> None:
    run_id, epoch = book.driven()
    book.do(records.set_timer, run_id, epoch, 0, 60.0, "f")
    book.do(runs.park, run_id, epoch, ["timer 0"], "sleeps")
    assert book.do(runs.cancel, run_id) == "CANCELLED"


def test_cancel_waits_for_what_is_open(book: Book) -> None:
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch, LOOK_UP)
    book.die(run_id)
    assert book.do(runs.cancel, run_id) == "WAITING"
    book.observe(run_id, key, Answer.PRESENT)
    assert book.status(run_id) == "CANCELLED"


def test_cancel_drives_on_what_only_the_agent_can_settle(book: Book) -> None:
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch, IDEMPOTENT)
    book.die(run_id)
    assert book.do(runs.cancel, run_id) == "RUNNABLE"
    epoch = book.again(run_id)
    number = book.retry(run_id, epoch, key)
    book.end(run_id, epoch, key, number)
    book.do(runs.park, run_id, epoch, [], "cancelled")
    assert book.status(run_id) == "CANCELLED"


def test_cancel_of_a_stuck_run_waits_for_the_person(book: Book) -> None:
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch)
    book.die(run_id)
    assert book.do(runs.cancel, run_id) == "STUCK"
    assert book.do(claims.resolve_effect, run_id, key, "fail", None, "not there") == "CANCELLED"


def test_cancel_of_a_stuck_run_lets_a_body_run_again_if_a_person_says_so(book: Book) -> None:
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch)
    book.die(run_id)
    book.do(runs.cancel, run_id)
    assert book.do(claims.resolve_effect, run_id, key, "retry", None, "not there") == "RUNNABLE"
    epoch = book.again(run_id)
    book.end(run_id, epoch, key, number=book.retry(run_id, epoch, key))
    book.do(runs.park, run_id, epoch, [], "cancelled")
    assert book.status(run_id) == "CANCELLED"


def test_cancel_of_a_poisoned_run_with_an_open_body_can_be_brought_to_an_end(book: Book) -> None:
    run_id = book.start()
    epoch = book.again(run_id)
    key = book.begin(run_id, epoch, IDEMPOTENT)
    book.die(run_id)
    while book.status(run_id) != "STUCK":
        book.again(run_id)
        book.die(run_id)
    assert book.do(claims.resolve_effect, run_id, key, "fail", None, "it kills every worker") == "RUNNABLE"
    assert book.do(runs.cancel, run_id) == "CANCELLED"


def test_cancel_with_an_outbox_effect_waits_for_the_outbox(book: Book) -> None:
    run_id, epoch = book.driven()
    book.begin(run_id, epoch, OUTBOX)
    book.do(runs.park, run_id, epoch, [], "waits")
    assert book.status(run_id) == "WAITING"
    assert book.do(runs.cancel, run_id) == "WAITING"


def test_a_run_that_compensates_is_not_cancelled(book: Book) -> None:
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch, UNDOABLE)
    book.end(run_id, epoch, key)
    book.do(runs.end_run, run_id, epoch, "FAILED", None, {"message": "x"})
    assert book.status(run_id) == "COMPENSATING"
    book.refused(runs.cancel, run_id, says="has ended already")
    book.refused(obligations.review, book.start(), says="not compensating")


def test_status_of_a_run(book: Book) -> None:
    run_id = book.start()
    assert book.do(runs.run_status, run_id) == "RUNNABLE"
    for verb in (runs.run_status, runs.cancel, runs.redrive):
        book.refused(verb, "r-none", by=NotFound, says="tape status")


def test_an_effect_that_blocks_is_seen_at_the_grant(book: Book) -> None:
    """Even if a run were RUNNABLE by mistake, the grant looks for itself (I8)."""
    run_id, epoch = book.driven()
    book.begin(run_id, epoch, BLIND)
    book.die(run_id)
    book.writer.connection.execute("UPDATE run SET status = 'RUNNABLE'")
    named = {"ttl_us": TTL_US, "concurrency": 1, "recovery": book.recovery}
    with pytest.raises(Refused, match="settled first"):
        book.do(runs.grant, run_id, book.worker(), **named)
    book.writer.connection.execute("UPDATE run SET status = 'STUCK'")
