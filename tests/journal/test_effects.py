"""Live attempts: begun, ended, failed, rejected, repeated (contract.md section 4)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tape.core.journal import effects, records, runs, workers
from tape.core.journal.effects import Call, Ending
from tape.core.journal.records import Usage
from tape.core.kernel.errors import CancelRequested, KeyConflict, NotFound, UsageError
from tape.core.kernel.lifecycle import EffectStatus
from tape.core.kernel.resolution import Answer, Step
from tests.journal.book import (
    BLIND,
    BOOM,
    CONFIRMED,
    FAILED,
    IDEMPOTENT,
    IDEMPOTENT_LOOK_UP,
    LOOK_UP,
    OUTBOX,
    READ,
    SURE,
    UNDO_UNKNOWN,
    UNDOABLE,
    Book,
)
from tests.journal.book import ToolPolicy as Tool


def test_the_intent_and_the_first_attempt_are_one_write(book: Book) -> None:
    run_id, epoch = book.driven()
    call = Call(None, 0, "wire", {"to": "ACME"}, BLIND, business_key="inv-7")
    assert book.do(effects.begin_effect, run_id, epoch, call, "print") == 2
    key = f"{run_id}/-/0/wire"
    row = book.effect(key)
    assert (row["status"], row["attempts"], row["body_over"], row["clean"], row["step"]) == ("PENDING", 1, 0, 1, "")
    assert book.row("SELECT what, number, epoch, ended_us FROM attempt WHERE key = ?", key)[:4] == ("body", 1, 1, None)
    begun = book.bodies("effect_begun")[0]
    assert (begun["key"], begun["args"], begun["business_key"]) == (key, {"to": "ACME"}, "inv-7")
    assert book.run(run_id)["effects"] == 1


def test_the_key_comes_from_the_journal_not_from_arguments(book: Book) -> None:
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch, BLIND, args={"a": 1})
    same, other = Call(None, 0, "tool", {"a": 1}, BLIND), Call(None, 0, "tool", {"a": 2}, BLIND)
    book.refused(effects.begin_effect, run_id, epoch, same, "f", says="has begun already")
    book.refused(effects.begin_effect, run_id, epoch, other, "f", by=KeyConflict, says="never means another call")
    book.end(run_id, epoch, key)
    book.refused(effects.begin_effect, run_id, epoch, other, "f", by=KeyConflict)


def test_nothing_begins_in_a_run_that_is_being_cancelled(book: Book) -> None:
    run_id, epoch = book.driven()
    book.do(runs.cancel, run_id)
    call = Call(None, 0, "tool", {}, BLIND)
    book.refused(effects.begin_effect, run_id, epoch, call, "f", by=CancelRequested)


@pytest.mark.parametrize("args", [float("nan"), {"x": 2**63}, {"x": "\ud800"}, {1: 2}])
def test_arguments_that_are_not_json_begin_nothing(book: Book, args: Any) -> None:
    run_id, epoch = book.driven()
    book.refused(effects.begin_effect, run_id, epoch, Call(None, 0, "t", args, BLIND), "f", by=UsageError)


def test_an_end_is_written_once_with_its_charge(book: Book) -> None:
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch)
    assert book.do(effects.end_effect, run_id, epoch, key, 1, CONFIRMED, Usage(usd_micro=5)) == 4
    assert book.tape(run_id) == ["run_started", "effect_begun", "effect_ended", "charge"]
    assert book.bodies("charge")[0]["pays_for"] == key
    row = book.effect(key)
    assert (row["status"], row["resolution"], row["writer"], row["ended_id"]) == (
        "CONFIRMED",
        "returned",
        "agent",
        book.row("SELECT id FROM entry WHERE kind = 'effect_ended'")[0],
    )
    book.refused(effects.end_effect, run_id, epoch, key, 1, FAILED, None, says="has ended already")
    book.refused(effects.fail_attempt, run_id, epoch, key, 1, "h", None, book.recovery, says="has ended already")
    book.refused(effects.end_effect, run_id, epoch, "nope", 1, FAILED, None, by=NotFound)
    book.refused(effects.start_attempt, run_id, epoch, key, 2, says="has ended already")


def test_a_result_that_cannot_be_recorded_is_confirmed_all_the_same(book: Book) -> None:
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch)
    book.end(run_id, epoch, key, 1, Ending(EffectStatus.CONFIRMED, result_error="a set is not JSON"))
    assert book.bodies("effect_ended")[0]["result_error"] == "a set is not JSON"
    assert book.effect(key)["status"] == "CONFIRMED"


@pytest.mark.parametrize("result", [2**70, {1, 2}, [[[]]] * 2 + [object()]])
def test_a_result_that_no_codec_takes_is_refused_not_a_crash(book: Book, result: Any) -> None:
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch)
    ending = Ending(EffectStatus.CONFIRMED, result=result)
    book.refused(effects.end_effect, run_id, epoch, key, 1, ending, None, by=UsageError, says="cannot be recorded")


def test_an_outbox_effect_has_no_live_attempt(book: Book) -> None:
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch, OUTBOX)
    assert (book.effect(key)["attempts"], book.effect(key)["step"]) == (0, "again")
    book.refused(effects.end_effect, run_id, epoch, key, 0, CONFIRMED, None, says="not the live one")
    book.refused(effects.start_attempt, run_id, epoch, key, 1, says="not to run again now")
    book.refused(runs.end_run, run_id, epoch, "TERMINAL", None, None, says="an effect is open")


# --- a body that raises ---


def test_read_only_fails_by_an_exception(book: Book) -> None:
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch, READ)
    assert book.fail(run_id, epoch, key) is None
    row = book.effect(key)
    assert (row["status"], row["resolution"], row["writer"]) == ("FAILED", "rejected", "agent")
    assert book.bodies("effect_ended")[0]["error"] == BOOM


@pytest.mark.parametrize("policy", [READ, IDEMPOTENT, IDEMPOTENT_LOOK_UP])
def test_retries_come_before_the_table(book: Book, policy: Tool) -> None:
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch, replace(policy, retries=2))
    for number in (1, 2):
        assert book.fail(run_id, epoch, key, number) is Step.AGAIN
        assert (book.effect(key)["status"], book.effect(key)["step"]) == ("PENDING", "again")
        assert book.retry(run_id, epoch, key) == number + 1
    after = book.fail(run_id, epoch, key, 3)
    if policy is READ:
        assert after is None and book.effect(key)["status"] == "FAILED"
    else:
        assert after in (Step.ASK_LATER, Step.ASK), "the agent must park"
        assert book.effect(key)["status"] == "UNKNOWN"


def test_idempotent_without_retries_runs_again_on_redrive_with_a_back_off(book: Book) -> None:
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch, IDEMPOTENT)
    waits = []
    for number in range(1, 6):
        assert book.fail(run_id, epoch, key, number) is Step.ASK_LATER
        waits.append(book.effect(key)["next_boot_us"] - book.clock.boot_us())
        book.do(runs.park, run_id, epoch, [], "its body raised")
        assert book.status(run_id) == "RUNNABLE"
        epoch = book.again(run_id)
        book.retry(run_id, epoch, key)
    assert [wait // 1_000_000 for wait in waits] == [1, 2, 4, 8, 16]
    assert book.fail(run_id, epoch, key, 6) is Step.PERSON
    book.do(runs.park, run_id, epoch, [], "its body raised")
    assert book.status(run_id) == "STUCK"
    doubted = book.bodies("effect_doubted")
    assert [body["step"] for body in doubted] == ["again"] * 5 + ["person"], "one entry per judgement, and a true one"


@pytest.mark.parametrize(
    ("policy", "step", "status"),
    [
        (BLIND, Step.PERSON, "STUCK"),
        (replace(BLIND, retries=5), Step.PERSON, "STUCK"),
        (LOOK_UP, Step.ASK, "WAITING"),
        (UNDO_UNKNOWN, Step.COMPENSATE, "WAITING"),
    ],
)
def test_non_idempotent_goes_by_the_table_at_once(book: Book, policy: Tool, step: Step, status: str) -> None:
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch, policy)
    assert book.fail(run_id, epoch, key) is step
    assert (book.effect(key)["status"], book.effect(key)["clean"]) == ("UNKNOWN", 0)
    assert book.bodies("attempt_ended")[0]["error"] == BOOM
    book.do(runs.park, run_id, epoch, [], "doubt")
    assert book.status(run_id) == status


def test_a_body_that_never_stops_raising_is_for_a_person(book: Book) -> None:
    """Certainly absent, run again, raises again: that does not go on for ever."""
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch, SURE)
    for number in range(1, 7):
        step = book.fail(run_id, epoch, key, number)
        book.do(runs.park, run_id, epoch, [], "doubt")
        if step is Step.PERSON:
            break
        book.clock.advance(3)
        assert book.observe(run_id, key, Answer.ABSENT) == "N-absent"
        assert book.effect(key)["next_boot_us"] > book.clock.boot_us(), "and not without a pause"
        epoch = book.again(run_id)
        book.retry(run_id, epoch, key)
    assert book.status(run_id) == "STUCK" and book.effect(key)["attempts"] == 6


def test_a_failure_speaks_for_the_live_attempt_only(book: Book) -> None:
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch, LOOK_UP)
    failed = (effects.fail_attempt, run_id, epoch, key, 1, "raised", BOOM, book.recovery)
    rejected = (effects.reject_attempt, run_id, epoch, key, 2, BOOM, book.recovery)
    book.refused(*rejected, says="not the live one")
    book.do(*failed)
    book.refused(*failed, says="not the live one")
    book.refused(effects.end_effect, run_id, epoch, key, 1, CONFIRMED, None, says="not the live one")


# --- a body that rejects ---


@pytest.mark.parametrize("policy", [READ, IDEMPOTENT, BLIND, LOOK_UP, SURE, UNDO_UNKNOWN, UNDOABLE])
def test_a_rejection_of_the_first_attempt_is_certain(book: Book, policy: Tool) -> None:
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch, policy)
    assert book.reject(run_id, epoch, key) is None
    assert (book.effect(key)["status"], book.effect(key)["resolution"]) == ("FAILED", "rejected")
    assert all(row["status"] == "DROPPED" for row in book.rows("SELECT status FROM obligation"))
    book.do(runs.end_run, run_id, epoch, "FAILED", None, None)
    assert book.status(run_id) == "FAILED"


def doubtful(book: Book, policy: Tool) -> tuple[str, int, str]:
    """The first attempt died unseen; the second is live."""
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch, policy)
    book.die(run_id)
    if policy.look_up:
        book.clock.advance(3)
        book.observe(run_id, key, Answer.ABSENT)
    epoch = book.again(run_id)
    book.retry(run_id, epoch, key)
    return run_id, epoch, key


@pytest.mark.parametrize(
    ("policy", "step"), [(IDEMPOTENT, Step.ASK_LATER), (IDEMPOTENT_LOOK_UP, Step.ASK), (READ, None), (SURE, None)]
)
def test_a_rejection_after_a_doubt_goes_by_the_table(book: Book, policy: Tool, step: Step | None) -> None:
    """FAILED only if every earlier attempt is known not to have acted: it only reads, or was certainly absent."""
    run_id, epoch, key = doubtful(book, policy)
    if step is not None:
        book.refused(effects.end_effect, run_id, epoch, key, 2, FAILED, None, says="an earlier attempt may have acted")
    assert book.reject(run_id, epoch, key, 2) is step
    assert book.effect(key)["status"] == ("FAILED" if step is None else "UNKNOWN")


def test_a_rejection_after_an_ambiguous_exception_goes_by_the_table(book: Book) -> None:
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch, replace(IDEMPOTENT, retries=1))
    assert book.fail(run_id, epoch, key) is Step.AGAIN
    book.retry(run_id, epoch, key)
    assert book.reject(run_id, epoch, key, 2) is Step.ASK_LATER
    assert book.effect(key)["status"] == "UNKNOWN"


def test_a_confirmation_after_a_doubt_is_certain(book: Book) -> None:
    run_id, epoch, key = doubtful(book, IDEMPOTENT)
    book.end(run_id, epoch, key, 2)
    assert book.effect(key)["resolution"] == "redispatched"


def test_a_rejection_can_have_cost_something(book: Book) -> None:
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch)
    book.do(effects.reject_attempt, run_id, epoch, key, 1, BOOM, book.recovery, Usage(usd_micro=3))
    assert book.tape(run_id)[-2:] == ["effect_ended", "charge"]


def test_siblings_go_on_while_one_is_in_doubt(book: Book) -> None:
    run_id, epoch = book.driven()
    doubted, other = book.begin(run_id, epoch, LOOK_UP, 0), book.begin(run_id, epoch, BLIND, 1)
    book.fail(run_id, epoch, doubted)
    book.end(run_id, epoch, other)
    book.refused(runs.end_run, run_id, epoch, "TERMINAL", None, None, says="an effect is open")
    book.do(runs.park, run_id, epoch, [], "doubt")
    book.observe(run_id, doubted, Answer.PRESENT)
    assert book.status(run_id) == "RUNNABLE"


def test_the_tape_has_no_trace_of_attempts(book: Book) -> None:
    """Crash-transparent: what was killed and run again leaves the same records (I2)."""
    run_id, epoch, key = doubtful(book, SURE)
    book.end(run_id, epoch, key, 2)
    book.do(runs.end_run, run_id, epoch, "TERMINAL", None, None)
    whole, once = book.driven()
    book.end(whole, once, book.begin(whole, once, SURE))
    book.do(runs.end_run, whole, once, "TERMINAL", None, None)
    assert book.tape(run_id) == book.tape(whole)


def test_a_lost_worker_in_two_runs_loses_both(book: Book) -> None:
    worker = book.worker()
    first, second = book.start(), book.start()
    key = book.begin(first, book.grant(first, worker, 2), LOOK_UP)
    book.do(records.attach, second, book.grant(second, worker, 2), [])
    assert book.do(workers.worker_died, worker, "signal 9", book.recovery, proven=True) == 2
    assert (book.status(first), book.status(second)) == ("WAITING", "RUNNABLE")
    assert book.effect(key)["step"] == "ask"
