"""Duties to undo: armed, owed newest first, done, stuck, decided by a person (contract.md section 3, I11)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tape.core.journal import claims, obligations, runs
from tape.core.kernel.errors import Fenced, NotFound, UsageError
from tape.core.kernel.policy import SECOND_US
from tape.core.kernel.resolution import Answer, Semantics
from tests.journal.book import (
    BLIND,
    BOOM,
    CLAIM_US,
    IDEMPOTENT,
    LOOK_UP,
    UNDO_UNKNOWN,
    UNDOABLE,
    Book,
)
from tests.journal.book import ToolPolicy as Tool

UNDO_NON_IDEMPOTENT = replace(UNDOABLE, undo_semantics=Semantics.NON_IDEMPOTENT)
UNDO_ASKED = replace(
    UNDOABLE, authoritative=True, undo_semantics=Semantics.NON_IDEMPOTENT, undo_look_up=True, settle_us=2 * SECOND_US
)
ERROR = {"type": "Boom", "message": "the plan failed"}


def failed_run(book: Book, *policies: Tool) -> tuple[str, list[str]]:
    """A run whose effects are CONFIRMED and that ended FAILED; returns the keys of what it owes, oldest first."""
    run_id, epoch = book.driven()
    keys = [book.begin(run_id, epoch, policy, ordinal) for ordinal, policy in enumerate(policies)]
    for key in keys:
        book.end(run_id, epoch, key)
    book.do(runs.end_run, run_id, epoch, "FAILED", None, ERROR)
    return run_id, [f"{key}/undo/1" for key in keys]


def statuses(book: Book) -> list[str]:
    return [row["status"] for row in book.rows("SELECT status FROM obligation ORDER BY position, key")]


def test_armed_with_the_intent_dropped_if_the_run_ends_well(book: Book) -> None:
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch, UNDOABLE)
    assert statuses(book) == ["ARMED"]
    book.end(run_id, epoch, key)
    book.do(runs.end_run, run_id, epoch, "TERMINAL", None, None)
    assert (book.status(run_id), statuses(book)) == ("TERMINAL", ["DROPPED"])


def test_a_failed_run_is_undone_newest_first(book: Book) -> None:
    run_id, duties = failed_run(book, UNDOABLE, BLIND, UNDOABLE, UNDOABLE)
    first, second, third = duties[0], duties[2], duties[3]
    row = book.run(run_id)
    assert (row["status"], row["end_status"], row["error"]) == ("COMPENSATING", "FAILED", "Boom: the plan failed")
    assert statuses(book) == ["DUE"] * 3
    named = {"claim_us": CLAIM_US, "worker_no": None}
    book.refused(obligations.claim_duty, run_id, first, "x", **named, says="not next")
    claim, what = book.claim_duty(run_id, third)
    assert what == "undo"
    for key in (first, second, third):
        book.refused(obligations.claim_duty, run_id, key, "x", **named, says="not next")
    book.do(obligations.fulfil_duty, claim)
    book.refused(obligations.fulfil_duty, claim, by=Fenced)
    book.undo(run_id, second)
    assert book.status(run_id) == "COMPENSATING"
    book.undo(run_id, first)
    assert (book.status(run_id), book.run(run_id)["error"]) == ("FAILED", "Boom: the plan failed")
    book.refused(obligations.claim_duty, run_id, first, "x", **named, says="not next")


def test_a_cancelled_run_is_undone_too(book: Book) -> None:
    run_id, epoch = book.driven()
    book.end(run_id, epoch, book.begin(run_id, epoch, UNDOABLE))
    book.do(runs.cancel, run_id)
    book.do(runs.park, run_id, epoch, [], "cancelled")
    assert book.status(run_id) == "COMPENSATING"
    book.undo(run_id, f"{run_id}/-/0/tool/undo/1")
    assert book.status(run_id) == "CANCELLED"


def test_what_turns_out_confirmed_only_after_the_cancel_is_undone(book: Book) -> None:
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch, UNDOABLE)
    book.die(run_id)
    assert book.do(runs.cancel, run_id) == "WAITING"
    book.observe(run_id, key, Answer.PRESENT)
    assert (book.status(run_id), statuses(book)) == ("COMPENSATING", ["DUE"])
    book.undo(run_id, f"{key}/undo/1")
    assert book.status(run_id) == "CANCELLED"


def test_what_certainly_did_not_happen_is_not_undone(book: Book) -> None:
    run_id, epoch = book.driven()
    book.reject(run_id, epoch, book.begin(run_id, epoch, UNDOABLE))
    book.do(runs.end_run, run_id, epoch, "FAILED", None, ERROR)
    assert (book.status(run_id), statuses(book)) == ("FAILED", ["DROPPED"])


def test_without_auto_the_run_does_not_owe_it(book: Book) -> None:
    run_id, _ = failed_run(book, replace(UNDOABLE, undo_auto=False))
    assert (book.status(run_id), statuses(book)) == ("FAILED", ["DROPPED"])


# --- surplus ---


def surplus(book: Book, policy: Tool = UNDOABLE) -> tuple[str, str]:
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch, policy)
    book.die(run_id)
    book.observe(run_id, key, Answer.DUPLICATE, [{"id": 1}, {"id": 2}, {"id": 3}])
    return run_id, key


@pytest.mark.parametrize("auto", [True, False])
def test_a_surplus_act_is_owed_in_a_healthy_run(book: Book, auto: bool) -> None:
    policy = replace(UNDOABLE, undo_auto=auto, undo_semantics=Semantics.NON_IDEMPOTENT, undo_look_up=True)
    run_id, key = surplus(book, policy)
    assert book.status(run_id) == "RUNNABLE"
    assert statuses(book) == ["ARMED", "DUE", "DUE"]
    duty = book.duty(f"{key}/undo/3")
    assert (duty["act"], duty["semantics"], duty["look_up"]) == ('{"id":3}', "non_idempotent", 1)
    assert duty["position"] == book.duty(f"{key}/undo/1")["position"] == 2, "as old as the effect"
    epoch = book.again(run_id)
    book.do(runs.end_run, run_id, epoch, "TERMINAL", {"r": 1}, None)
    assert book.status(run_id) == "COMPENSATING", "its end waits for it"
    book.undo(run_id, f"{key}/undo/3")
    book.undo(run_id, f"{key}/undo/2")
    assert (book.status(run_id), statuses(book)) == ("TERMINAL", ["DROPPED", "DONE", "DONE"])


def test_a_surplus_act_is_undone_while_the_run_goes_on(book: Book) -> None:
    run_id, key = surplus(book)
    epoch = book.again(run_id)
    other = book.begin(run_id, epoch, BLIND, 1)
    named = {"claim_us": CLAIM_US, "worker_no": None}
    book.refused(obligations.claim_duty, run_id, f"{key}/undo/3", "x", **named, says="an effect of it is open")
    book.end(run_id, epoch, other)
    book.undo(run_id, f"{key}/undo/3")
    assert book.status(run_id) == "RUNNING"
    book.undo(run_id, f"{key}/undo/2")
    book.do(runs.end_run, run_id, epoch, "FAILED", None, ERROR)
    assert statuses(book) == ["DUE", "DONE", "DONE"], "and now the act itself"


def test_a_surplus_act_that_cannot_be_undone_now_stops_the_end_not_the_run(book: Book) -> None:
    run_id, key = surplus(book)
    for _ in range(5):
        claim, _ = book.claim_duty(run_id, f"{key}/undo/3")
        book.do(obligations.fail_duty, claim, "raised", BOOM, book.recovery, body_over=True)
    assert book.duty(f"{key}/undo/3")["status"] == "STUCK"
    assert book.status(run_id) == "RUNNABLE"
    epoch = book.again(run_id)
    book.do(runs.end_run, run_id, epoch, "TERMINAL", 1, None)
    assert book.status(run_id) == "STUCK" and "it broke" in book.run(run_id)["error"]
    assert book.do(obligations.resolve_duty, run_id, f"{key}/undo/3", "confirm", "by hand") == "COMPENSATING"
    assert book.run(run_id)["error"] == ""
    book.undo(run_id, f"{key}/undo/2")
    assert book.status(run_id) == "TERMINAL"


def test_a_duty_done_does_not_wake_what_waits_for_something_else(book: Book) -> None:
    run_id, key = surplus(book)
    epoch = book.again(run_id)
    blind = book.begin(run_id, epoch, BLIND, 1)
    book.die(run_id)
    assert book.status(run_id) == "STUCK"
    named = {"claim_us": CLAIM_US, "worker_no": None}
    book.refused(obligations.claim_duty, run_id, f"{key}/undo/3", "x", **named, says="not next")
    book.do(claims.resolve_effect, run_id, blind, "fail", None, "no")
    book.undo(run_id, f"{key}/undo/3")
    assert book.status(run_id) == "RUNNABLE"


# --- an undo is settled like an effect ---


def test_an_idempotent_undo_is_repeated_with_a_back_off(book: Book) -> None:
    run_id, (duty,) = failed_run(book, UNDOABLE)
    waits = []
    for _ in range(4):
        claim, what = book.claim_duty(run_id, duty)
        assert what == "undo"
        book.do(obligations.fail_duty, claim, "raised", BOOM, book.recovery, body_over=True)
        waits.append((book.duty(duty)["next_boot_us"] - book.clock.boot_us()) // SECOND_US)
        named = {"claim_us": CLAIM_US, "worker_no": None}
        book.refused(obligations.claim_duty, run_id, duty, "x", **named, says="not due")
    assert waits == [1, 2, 4, 8]
    book.undo(run_id, duty)
    assert book.status(run_id) == "FAILED"


@pytest.mark.parametrize("void", [True, False])
def test_a_non_idempotent_undo_that_dies_is_for_a_person(book: Book, void: bool) -> None:
    run_id, (duty,) = failed_run(book, UNDO_NON_IDEMPOTENT)
    claim, _ = book.claim_duty(run_id, duty)
    if void:
        book.do(obligations.void_duty_claim, run_id, duty, claim.epoch, "died", book.recovery, proven=True)
        book.refused(obligations.void_duty_claim, run_id, duty, claim.epoch, "died", book.recovery, proven=True)
    else:
        book.do(obligations.fail_duty, claim, "died", None, book.recovery, body_over=True)
    assert (book.status(run_id), book.duty(duty)["status"]) == ("STUCK", "STUCK")
    assert f"tape resolve {duty} --retry --reason TEXT" in book.bodies("run_moved")[-1]["commands"]


@pytest.mark.parametrize(("how", "status"), [("confirm", "DONE"), ("fail", "DROPPED"), ("retry", "DUE")])
def test_a_person_decides_about_a_stuck_duty(book: Book, how: str, status: str) -> None:
    run_id, (older, duty) = failed_run(book, UNDOABLE, UNDO_NON_IDEMPOTENT)
    claim, _ = book.claim_duty(run_id, duty)
    book.do(obligations.fail_duty, claim, "died", None, book.recovery, body_over=True)
    named = {"claim_us": CLAIM_US, "worker_no": None}
    book.refused(obligations.claim_duty, run_id, older, "x", **named, says="not next")
    book.refused(obligations.resolve_duty, run_id, older, how, "why", says="nothing to resolve")
    book.refused(obligations.resolve_duty, run_id, duty, "forget", "why", by=UsageError)
    book.refused(obligations.resolve_duty, run_id, "nope", how, "why", by=NotFound)
    assert book.do(obligations.resolve_duty, run_id, duty, how, "I looked") == "COMPENSATING"
    assert book.duty(duty)["status"] == status
    assert book.run(run_id)["error"] == "Boom: the plan failed"
    if how == "retry":
        book.undo(run_id, duty)
    book.undo(run_id, older)
    assert (book.status(run_id), book.run(run_id)["error"]) == ("FAILED", "Boom: the plan failed")


def test_the_undos_own_look_up_is_asked(book: Book) -> None:
    run_id, (duty,) = failed_run(book, UNDO_ASKED)
    claim, _ = book.claim_duty(run_id, duty)
    book.do(obligations.fail_duty, claim, "timed out", None, book.recovery, body_over=True)
    claim, what = book.claim_duty(run_id, duty)
    assert what == "look-up"
    book.refused(obligations.fulfil_duty, claim, says="claimed for its look-up")
    assert book.do(obligations.record_duty_observation, claim, Answer.PRESENT, "") == "N-present"
    assert (book.duty(duty)["status"], book.status(run_id)) == ("DONE", "FAILED")


def test_an_undo_that_is_certainly_not_done_is_done_again(book: Book) -> None:
    run_id, (duty,) = failed_run(book, UNDO_ASKED)
    claim, _ = book.claim_duty(run_id, duty)
    book.refused(obligations.record_duty_observation, claim, Answer.PRESENT, "", says="claimed for its undo")
    book.do(obligations.fail_duty, claim, "timed out", None, book.recovery, body_over=True)
    rows = []
    for _ in range(2):
        claim, _ = book.claim_duty(run_id, duty)
        rows.append(book.do(obligations.record_duty_observation, claim, Answer.ABSENT, ""))
    assert rows == ["N-settling", "N-absent"]
    book.undo(run_id, duty)
    assert book.status(run_id) == "FAILED"


def test_an_undo_without_a_clear_answer_is_for_a_person(book: Book) -> None:
    run_id, (duty,) = failed_run(book, UNDO_ASKED)
    claim, _ = book.claim_duty(run_id, duty)
    book.do(obligations.fail_duty, claim, "timed out", None, book.recovery, body_over=True)
    for _ in range(6):
        assert book.status(run_id) == "COMPENSATING"
        claim, _ = book.claim_duty(run_id, duty)
        book.refused(obligations.record_duty_observation, claim, Answer.NONE, "", by=UsageError)
        book.do(obligations.record_duty_observation, claim, Answer.UNCLEAR, "down")
    assert book.status(run_id) == "STUCK"


@pytest.mark.parametrize("void", [True, False])
def test_a_look_up_of_an_undo_that_kills_its_worker(book: Book, void: bool) -> None:
    run_id, (duty,) = failed_run(book, UNDO_ASKED)
    claim, _ = book.claim_duty(run_id, duty)
    book.do(obligations.fail_duty, claim, "timed out", None, book.recovery, body_over=True)
    for _ in range(5):
        if book.status(run_id) == "STUCK":
            break
        claim, what = book.claim_duty(run_id, duty)
        assert what == "look-up"
        if void:
            book.do(obligations.void_duty_claim, run_id, duty, claim.epoch, "died", book.recovery, proven=True)
        else:
            book.do(obligations.lose_duty_look_up, claim, "died", book.recovery)
    assert (book.status(run_id), book.duty(duty)["status"]) == ("STUCK", "STUCK")


def test_an_undo_that_never_works_though_it_can_be_asked(book: Book) -> None:
    run_id, (duty,) = failed_run(book, replace(UNDO_ASKED, settle_us=0))
    claims_made = 0
    while book.status(run_id) != "STUCK":
        claims_made += 1
        assert claims_made < 12
        claim, what = book.claim_duty(run_id, duty)
        if what == "look-up":
            book.do(obligations.record_duty_observation, claim, Answer.ABSENT, "")
        else:
            book.do(obligations.fail_duty, claim, "raised", BOOM, book.recovery, body_over=True)
    assert book.duty(duty)["status"] == "STUCK"


def test_a_claim_that_runs_out_is_fenced(book: Book) -> None:
    run_id, (duty,) = failed_run(book, UNDOABLE)
    claim, _ = book.claim_duty(run_id, duty)
    book.clock.advance(31)
    book.refused(obligations.fulfil_duty, claim, by=Fenced)
    book.refused(obligations.fail_duty, claim, "x", None, book.recovery, body_over=True, by=Fenced)
    book.do(obligations.void_duty_claim, run_id, duty, claim.epoch, "late", book.recovery, proven=False)
    book.undo(run_id, duty)


@pytest.mark.parametrize(("how", "conflicts"), [("fail", 1), ("confirm", 0), ("retry", 0)])
def test_a_late_undo_is_evidence_and_a_conflict_only_if_it_contradicts(book: Book, how: str, conflicts: int) -> None:
    run_id, (duty,) = failed_run(book, UNDO_NON_IDEMPOTENT)
    claim, _ = book.claim_duty(run_id, duty)
    book.refused(obligations.note_late_undo, claim, says="is live")
    book.clock.advance(31)
    book.do(obligations.void_duty_claim, run_id, duty, claim.epoch, "late", book.recovery, proven=False)
    assert book.duty(duty)["status"] == "STUCK"
    book.do(obligations.resolve_duty, run_id, duty, how, "I looked")
    before = book.duty(duty)["status"]
    book.do(obligations.note_late_undo, claim)
    assert book.bodies("write_refused")[0]["evidence"] == {"key": duty, "undone": True}
    assert [body["key"] for body in book.bodies("conflict_opened")] == [duty.removesuffix("/undo/1")] * conflicts
    assert book.duty(duty)["status"] == before, "nothing of it is applied"


# --- N-undo ---


def test_a_sibling_that_waits_for_the_next_drive_does_not_hold_up_the_undo(book: Book) -> None:
    """The next drive waits for the undo: if the undo waited for the sibling, neither would ever come."""
    run_id, epoch = book.driven()
    book.decide(run_id, epoch)
    again = book.begin(run_id, epoch, IDEMPOTENT, ordinal=0)
    unknown = book.begin(run_id, epoch, UNDO_UNKNOWN, ordinal=1)
    book.die(run_id)
    assert book.status(run_id) == "WAITING"
    book.undo(run_id, f"{unknown}/undo/1")
    assert book.effect(unknown)["status"] == "FAILED"
    assert book.status(run_id) == "RUNNABLE"
    epoch = book.grant(run_id)
    assert book.effect(again)["status"] == "PENDING"
    book.end(run_id, epoch, again, number=book.retry(run_id, epoch, again))
    assert book.effect(again)["status"] == "CONFIRMED"


def doubted(book: Book) -> tuple[str, str, str]:
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch, UNDO_UNKNOWN)
    book.die(run_id)
    return run_id, key, f"{key}/undo/1"


def stuck_undo(book: Book) -> tuple[str, str, str]:
    run_id, key, duty = doubted(book)
    for _ in range(5):
        claim, _ = book.claim_duty(run_id, duty)
        book.do(obligations.fail_duty, claim, "raised", BOOM, book.recovery, body_over=True)
    assert (book.status(run_id), book.duty(duty)["status"], book.effect(key)["step"]) == ("STUCK", "STUCK", "person")
    return run_id, key, duty


def test_n_undo_waits_until_the_run_is_parked(book: Book) -> None:
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch, UNDO_UNKNOWN)
    book.fail(run_id, epoch, key)
    named = {"claim_us": CLAIM_US, "worker_no": None}
    book.refused(obligations.claim_duty, run_id, f"{key}/undo/1", "x", **named, says="being driven")
    book.do(runs.park, run_id, epoch, [], "doubt")
    book.undo(run_id, f"{key}/undo/1")
    assert book.status(run_id) == "RUNNABLE"


def test_n_undo_waits_for_its_siblings(book: Book) -> None:
    run_id, epoch = book.driven()
    key, other = book.begin(run_id, epoch, UNDO_UNKNOWN), book.begin(run_id, epoch, LOOK_UP, 1)
    book.die(run_id)
    named = {"claim_us": CLAIM_US, "worker_no": None}
    book.refused(obligations.claim_duty, run_id, f"{key}/undo/1", "x", **named, says="not next")
    book.observe(run_id, other, Answer.PRESENT)
    assert book.status(run_id) == "WAITING"
    book.undo(run_id, f"{key}/undo/1")
    assert book.status(run_id) == "RUNNABLE"


@pytest.mark.parametrize(("how", "status"), [("confirm", "RUNNABLE"), ("fail", "STUCK"), ("retry", "WAITING")])
def test_a_stuck_n_undo_is_decided_on_the_duty(book: Book, how: str, status: str) -> None:
    run_id, key, duty = stuck_undo(book)
    assert book.do(obligations.resolve_duty, run_id, duty, how, "why") == status
    if how == "confirm":
        row = book.effect(key)
        assert (row["status"], row["resolution"], row["writer"]) == ("FAILED", "compensated", "operator")
    elif how == "fail":
        assert "only a person" in book.run(run_id)["error"], "whether it happened is still open"
        assert book.do(claims.resolve_effect, run_id, key, "confirm", {"x": 1}, "it did") == "RUNNABLE"
    else:
        book.undo(run_id, duty)
        assert book.status(run_id) == "RUNNABLE"


@pytest.mark.parametrize("outcome", ["TERMINAL", "FAILED"])
def test_a_stuck_n_undo_is_decided_on_the_effect_confirmed(book: Book, outcome: str) -> None:
    run_id, key, duty = stuck_undo(book)
    assert book.do(claims.resolve_effect, run_id, key, "confirm", {"x": 1}, "it did") == "RUNNABLE"
    epoch = book.again(run_id)
    book.do(runs.end_run, run_id, epoch, outcome, None, ERROR if outcome == "FAILED" else None)
    if outcome == "TERMINAL":
        assert (book.status(run_id), book.duty(duty)["status"]) == ("TERMINAL", "DROPPED")
    else:
        assert (book.status(run_id), book.duty(duty)["status"]) == ("STUCK", "STUCK")
        assert book.do(obligations.resolve_duty, run_id, duty, "confirm", "by hand") == "FAILED"
        assert book.run(run_id)["error"] == "Boom: the plan failed"


def test_a_stuck_n_undo_is_decided_on_the_effect_failed(book: Book) -> None:
    run_id, key, duty = stuck_undo(book)
    assert book.do(claims.resolve_effect, run_id, key, "fail", None, "it did not") == "RUNNABLE"
    assert book.duty(duty)["status"] == "DROPPED"


def test_a_stuck_n_undo_is_run_again_and_lost_again(book: Book) -> None:
    run_id, key, duty = stuck_undo(book)
    assert book.do(claims.resolve_effect, run_id, key, "retry", None, "try") == "RUNNABLE"
    book.refused(obligations.resolve_duty, run_id, duty, "confirm", "why", says="being tried again")
    epoch = book.again(run_id)
    book.retry(run_id, epoch, key)
    book.refused(obligations.resolve_duty, run_id, duty, "confirm", "why", says="being tried again")
    book.die(run_id)
    assert (book.status(run_id), book.duty(duty)["status"]) == ("WAITING", "DUE")
    book.undo(run_id, duty)
    assert book.effect(key)["resolution"] == "compensated"


def test_a_dropped_n_undo_is_written_anew_when_the_body_is_lost_again(book: Book) -> None:
    run_id, key, duty = stuck_undo(book)
    book.do(obligations.resolve_duty, run_id, duty, "fail", "leave it")
    book.do(claims.resolve_effect, run_id, key, "retry", None, "try")
    epoch = book.again(run_id)
    book.retry(run_id, epoch, key)
    book.die(run_id)
    assert (book.status(run_id), statuses(book)) == ("WAITING", ["DROPPED", "DUE"])
    book.undo(run_id, f"{key}/undo/2")
    assert book.status(run_id) == "RUNNABLE"


def test_n_undo_of_a_cancelled_run(book: Book) -> None:
    run_id, _, duty = doubted(book)
    assert book.do(runs.cancel, run_id) == "WAITING"
    book.undo(run_id, duty)
    assert book.status(run_id) == "CANCELLED"
