"""Outbox dispatch: under a claim, its attempt recorded first, judged like any other (contract.md section 4, O-rows)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tape.core.journal import claims, effects, runs
from tape.core.journal.claims import Claim
from tape.core.journal.effects import Ending
from tape.core.journal.work import Work
from tape.core.kernel.errors import Fenced
from tape.core.kernel.lifecycle import EffectStatus
from tape.core.kernel.policy import SECOND_US
from tape.core.kernel.resolution import Answer, Dispatch, Semantics, Step
from tests.journal.book import (
    ANY_STEP,
    BOOM,
    CLAIM_US,
    CONFIRMED,
    FAILED,
    OUTBOX,
    OUTBOX_BLIND,
    OUTBOX_SURE,
    Book,
)
from tests.journal.book import ToolPolicy as Tool

OUTBOX_READ = Tool(semantics=Semantics.READ_ONLY, dispatch=Dispatch.OUTBOX)
BODY: dict[str, Any] = {"what": "body", "claim_us": CLAIM_US, "worker_no": None}


def waiting(book: Book, policy: Tool) -> tuple[str, str]:
    """A run that waits for its outbox effect."""
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch, policy)
    book.do(runs.park, run_id, epoch, [], "waits for the outbox")
    assert book.run(run_id)["waiting_on"] == "outbox of -/0/tool"
    return run_id, key


def lose(book: Book, claim: Claim, *, died: bool = True, body_over: bool = True) -> Step | None:
    how = "its worker died" if died else "raised"
    return book.do(claims.lose_dispatch, claim, how, BOOM, book.recovery, body_over=body_over, died=died)


def test_due_in_the_transaction_of_its_intent(book: Book) -> None:
    run_id, epoch = book.driven()
    work = Work(book.path)
    assert work.dispatches(book.clock.boot_us()) == []
    key = book.begin(run_id, epoch, OUTBOX)
    assert [(due.key, due.step) for due in work.dispatches(book.clock.boot_us())] == [(key, "again")]
    work.close()


@pytest.mark.parametrize("ending", [CONFIRMED, FAILED])
def test_dispatched_while_the_run_waits(book: Book, ending: Ending) -> None:
    run_id, key = waiting(book, OUTBOX)
    claim = book.claim(run_id, key, "body")
    started = book.bodies("attempt_started")[-1]
    assert (started["what"], started["number"], started["by"]) == ("body", 1, "reactor")
    book.do(claims.end_dispatch, claim, ending)
    row = book.effect(key)
    assert (row["status"], row["writer"]) == (str(ending.status), "outbox")
    assert book.status(run_id) == "RUNNABLE"
    book.refused(claims.end_dispatch, claim, CONFIRMED, says="has ended already")


def test_dispatched_while_the_run_is_driven(book: Book) -> None:
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch, OUTBOX)
    claim = book.claim(run_id, key, "body")
    book.sample(run_id, epoch)
    book.do(claims.end_dispatch, claim, CONFIRMED)
    assert book.status(run_id) == "RUNNING"
    assert book.tape(run_id) == ["run_started", "effect_begun", "sample", "effect_ended"]
    book.do(runs.end_run, run_id, epoch, "TERMINAL", None, None)


def test_a_death_of_the_agent_is_none_of_the_outbox_business(book: Book) -> None:
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch, OUTBOX_BLIND)
    claim = book.claim(run_id, key, "body")
    book.die(run_id)
    assert book.status(run_id) == "WAITING"
    book.do(claims.end_dispatch, claim, CONFIRMED)
    assert book.status(run_id) == "RUNNABLE"


def test_no_second_dispatch_beside_a_claim_that_ran_out(book: Book) -> None:
    """The body may still be in there: a late claim is judged by the table, not simply taken over."""
    run_id, key = waiting(book, OUTBOX_BLIND)
    claim = book.claim(run_id, key, "body")
    book.refused(claims.claim_effect, run_id, key, ANY_STEP, "other", **BODY, says="claimed by reactor")
    book.clock.advance(31)
    book.refused(claims.claim_effect, run_id, key, ANY_STEP, "other", **BODY, says="voided first")
    book.refused(claims.end_dispatch, claim, CONFIRMED, by=Fenced, says="not live")
    book.do(claims.void_claim, run_id, key, claim.epoch, "late", book.recovery, proven=False)
    assert (book.status(run_id), book.effect(key)["step"]) == ("STUCK", "person")
    book.refused(claims.claim_effect, run_id, key, ANY_STEP, "other", **BODY, says="not due")


@pytest.mark.parametrize("died", [True, False])
@pytest.mark.parametrize(
    ("policy", "step", "status"),
    [
        (OUTBOX, Step.AGAIN, "WAITING"),
        (OUTBOX_BLIND, Step.PERSON, "STUCK"),
        (OUTBOX_SURE, Step.ASK, "WAITING"),
    ],
)
def test_a_lost_dispatch_goes_by_the_table(book: Book, policy: Tool, step: Step, status: str, died: bool) -> None:
    run_id, key = waiting(book, policy)
    claim = book.claim(run_id, key, "body")
    assert lose(book, claim, died=died) is step
    assert book.status(run_id) == status
    book.refused(
        claims.lose_dispatch, claim, "x", None, book.recovery, body_over=True, died=died, by=Fenced, says="not live"
    )


def test_a_dispatch_that_only_reads_fails_by_an_exception(book: Book) -> None:
    run_id, key = waiting(book, OUTBOX_READ)
    assert lose(book, book.claim(run_id, key, "body"), died=True) is Step.AGAIN
    assert lose(book, book.claim(run_id, key, "body"), died=False) is None
    assert (book.effect(key)["status"], book.status(run_id)) == ("FAILED", "RUNNABLE")


def test_asked_and_dispatched_again(book: Book) -> None:
    run_id, key = waiting(book, OUTBOX_SURE)
    lose(book, book.claim(run_id, key, "body"))
    assert book.observe(run_id, key, Answer.ABSENT) == "N-absent"
    assert book.status(run_id) == "WAITING"
    claim = book.claim(run_id, key, "body")
    assert claim.number == 2
    book.do(claims.end_dispatch, claim, CONFIRMED)
    assert book.effect(key)["resolution"] == "redispatched"


def test_a_claim_for_a_look_up_is_none_for_a_dispatch(book: Book) -> None:
    run_id, key = waiting(book, OUTBOX_SURE)
    body = book.claim(run_id, key, "body")
    book.refused(claims.record_observation, body, Answer.PRESENT, [1], "", says="claimed for its body")
    book.refused(claims.lose_look_up, body, "died", book.recovery, says="claimed for its body")
    lose(book, body)
    asking = book.claim(run_id, key)
    book.refused(claims.end_dispatch, asking, CONFIRMED, says="claimed for its look-up")
    book.refused(claims.reject_dispatch, asking, BOOM, book.recovery, says="claimed for its look-up")


@pytest.mark.parametrize("void", [True, False])
def test_a_dispatch_that_kills_its_worker_is_for_a_person(book: Book, void: bool) -> None:
    run_id, key = waiting(book, OUTBOX)
    for death in range(1, 6):
        assert book.status(run_id) == "WAITING"
        claim = book.claim(run_id, key, "body")
        assert (claim.number, book.effect(key)["hook_crashes"]) == (death, death)
        if void:
            book.do(claims.void_claim, run_id, key, claim.epoch, "died", book.recovery, proven=True)
        else:
            lose(book, claim)
    assert (book.status(run_id), book.effect(key)["status"]) == ("STUCK", "UNKNOWN")
    assert book.do(claims.resolve_effect, run_id, key, "retry", None, "mended") == "WAITING"
    assert book.effect(key)["hook_crashes"] == 0
    book.do(claims.end_dispatch, book.claim(run_id, key, "body"), CONFIRMED)


def test_deaths_in_the_body_add_up_though_the_look_up_answers(book: Book) -> None:
    run_id, key = waiting(book, OUTBOX_SURE)
    for _ in range(5):
        lose(book, book.claim(run_id, key, "body"))
        if book.status(run_id) == "STUCK":
            break
        assert book.observe(run_id, key, Answer.ABSENT) == "N-absent"
    assert book.status(run_id) == "STUCK" and book.effect(key)["attempts"] == 5


def test_a_dispatch_that_never_stops_raising_is_for_a_person(book: Book) -> None:
    run_id, key = waiting(book, replace(OUTBOX, retries=2))
    steps = [lose(book, book.claim(run_id, key, "body"), died=False) for _ in range(8)]
    assert steps == [Step.AGAIN] * 7 + [Step.PERSON]
    assert book.effect(key)["hook_crashes"] == 0, "an exception is no death"


@pytest.mark.parametrize("policy", [OUTBOX, OUTBOX_SURE])
def test_a_rejection_speaks_for_its_own_dispatch(book: Book, policy: Tool) -> None:
    run_id, key = waiting(book, policy)
    lose(book, book.claim(run_id, key, "body"))
    if policy is OUTBOX_SURE:
        book.observe(run_id, key, Answer.ABSENT)
    claim = book.claim(run_id, key, "body")
    if policy is OUTBOX:
        book.refused(claims.end_dispatch, claim, FAILED, says="an earlier attempt may have acted")
        assert book.do(claims.reject_dispatch, claim, BOOM, book.recovery) is Step.AGAIN
        assert book.effect(key)["status"] == "UNKNOWN"
    else:
        assert book.do(claims.reject_dispatch, claim, BOOM, book.recovery) is None
        assert (book.effect(key)["status"], book.status(run_id)) == ("FAILED", "RUNNABLE")


def test_a_key_lives_from_the_first_dispatch_on(book: Book) -> None:
    run_id, key = waiting(book, replace(OUTBOX, key_lifetime_us=60 * SECOND_US))
    book.clock.advance(100)
    claim = book.claim(run_id, key, "body")
    assert lose(book, claim) is Step.AGAIN, "it was dispatched for the first time just now"
    book.clock.advance(61)
    book.refused(claims.claim_effect, run_id, key, ANY_STEP, "other", **BODY, says="forgotten its key")
    assert book.do(effects.recheck_keys, run_id) is True
    assert (book.status(run_id), book.effect(key)["status"]) == ("STUCK", "UNKNOWN")


def test_a_retry_of_a_dispatch_by_a_person(book: Book) -> None:
    run_id, key = waiting(book, OUTBOX_BLIND)
    lose(book, book.claim(run_id, key, "body"), body_over=False)
    assert book.do(claims.resolve_effect, run_id, key, "retry", None, "not there") == "WAITING"
    claim = book.claim(run_id, key, "body")
    book.do(claims.end_dispatch, claim, Ending(EffectStatus.CONFIRMED, result=1))
    assert book.status(run_id) == "RUNNABLE"
