"""What a person decides beside confirm, fail and retry: an act is undone, a conflict is closed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tape.core.journal import claims, obligations, persons, runs
from tape.core.journal.needs import needs
from tape.core.kernel.errors import NotFound, UsageError
from tape.core.kernel.resolution import Answer, Semantics
from tests.journal.book import BLIND, BOOM, CLAIM_US, CONFIRMED, LOOK_UP, UNDOABLE, Book


def needed(book: Book) -> list[tuple[str, str]]:
    found = needs(lambda sql, values: [tuple(row) for row in book.writer.connection.execute(sql, values)], 50)
    return [(need.kind, need.key) for need in found]


def done(book: Book) -> tuple[str, int, str]:
    """A run that is driven, with a CONFIRMED effect that can be undone."""
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch, UNDOABLE)
    book.end(run_id, epoch, key)
    return run_id, epoch, key


# --- undo by order --------------------------------------------------------------------------------------------------


def test_undone_by_order_while_the_run_goes_on(book: Book) -> None:
    run_id, epoch, key = done(book)
    assert book.do(persons.undo_effect, run_id, key, "wrong account") == "RUNNING"
    duty = book.duty(f"{key}/undo/1")
    assert (duty["status"], duty["why"]) == ("DUE", "a person orders it: wrong account")
    book.sample(run_id, epoch)
    book.undo(run_id, f"{key}/undo/1")
    assert book.status(run_id) == "RUNNING"
    book.do(runs.end_run, run_id, epoch, "TERMINAL", None, None)
    row = book.effect(key)
    assert (book.status(run_id), row["status"]) == ("TERMINAL", "CONFIRMED")
    assert book.duty(f"{key}/undo/1")["status"] == "DONE"


def test_the_end_of_the_run_waits_for_it(book: Book) -> None:
    run_id, epoch, key = done(book)
    book.do(persons.undo_effect, run_id, key, "wrong")
    book.do(runs.end_run, run_id, epoch, "TERMINAL", None, None)
    assert book.status(run_id) == "COMPENSATING"
    book.undo(run_id, f"{key}/undo/1")
    assert book.status(run_id) == "TERMINAL"


def test_one_that_cannot_be_done_is_not_forgotten_at_a_good_end(book: Book) -> None:
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch, replace(UNDOABLE, undo_semantics=Semantics.NON_IDEMPOTENT))
    book.end(run_id, epoch, key)
    book.do(persons.undo_effect, run_id, key, "wrong")
    claim, _ = book.claim_duty(run_id, f"{key}/undo/1")
    book.do(obligations.fail_duty, claim, "raised", BOOM, book.recovery, body_over=True)
    assert (book.status(run_id), needed(book)) == ("RUNNING", [("obligation", f"{key}/undo/1")])
    book.do(runs.end_run, run_id, epoch, "TERMINAL", None, None)
    assert book.status(run_id) == "STUCK"
    book.refused(persons.undo_effect, run_id, key, "again", says="has ended")
    book.do(obligations.resolve_duty, run_id, f"{key}/undo/1", "fail", "it stands")
    assert book.status(run_id) == "TERMINAL"


def test_ordered_twice(book: Book) -> None:
    run_id, epoch, key = done(book)
    book.do(persons.undo_effect, run_id, key, "wrong")
    book.refused(persons.undo_effect, run_id, key, "wrong", says="is DUE already: it is going to be undone")
    claim, _ = book.claim_duty(run_id, f"{key}/undo/1")
    book.refused(persons.undo_effect, run_id, key, "wrong", says="is CLAIMED already: it is being undone")
    book.do(obligations.fulfil_duty, claim)
    book.refused(persons.undo_effect, run_id, key, "wrong", says="is DONE already: it has been undone")
    book.do(runs.end_run, run_id, epoch, "FAILED", None, BOOM)
    assert book.status(run_id) == "FAILED", "nothing is undone twice"


def test_what_makes_no_sense_is_refused(book: Book) -> None:
    run_id, epoch, key = done(book)
    plain = book.begin(run_id, epoch, BLIND, 1)
    book.refused(persons.undo_effect, run_id, plain, "x", says="tool has no compensation")
    book.end(run_id, epoch, plain)
    still_open = book.begin(run_id, epoch, UNDOABLE, 2)
    book.refused(persons.undo_effect, run_id, still_open, "x", says="is PENDING, not CONFIRMED")
    book.end(run_id, epoch, still_open)
    book.refused(persons.undo_effect, run_id, f"{run_id}/7/0/tool", "x", by=NotFound, says="no effect")
    book.refused(persons.undo_effect, run_id, f"{key}/undo/1", "x", by=NotFound, says="no effect")
    book.do(runs.end_run, run_id, epoch, "TERMINAL", None, None)
    book.refused(persons.undo_effect, run_id, key, "x", says=r"has ended \(TERMINAL\)")


def test_not_while_a_body_is_open(book: Book) -> None:
    run_id, epoch, key = done(book)
    book.do(persons.undo_effect, run_id, key, "wrong")
    other = book.begin(run_id, epoch, BLIND, 1)
    named = {"claim_us": CLAIM_US, "worker_no": None}
    book.refused(obligations.claim_duty, run_id, f"{key}/undo/1", "x", **named, says="is being driven")
    book.end(run_id, epoch, other)
    book.undo(run_id, f"{key}/undo/1")


def test_one_that_is_under_way_is_waited_for_when_the_run_fails(book: Book) -> None:
    """What is newer is owed only then, and is undone after it: one at a time."""
    run_id, epoch, older = done(book)
    newer = book.begin(run_id, epoch, UNDOABLE, 1)
    book.end(run_id, epoch, newer)
    book.do(persons.undo_effect, run_id, older, "wrong")
    claim, _ = book.claim_duty(run_id, f"{older}/undo/1")
    book.do(runs.end_run, run_id, epoch, "FAILED", None, {"message": "no"})
    named = {"claim_us": CLAIM_US, "worker_no": None}
    book.refused(obligations.claim_duty, run_id, f"{newer}/undo/1", "x", **named, says="not next to be undone")
    book.do(obligations.fulfil_duty, claim)
    book.undo(run_id, f"{newer}/undo/1")
    assert book.status(run_id) == "FAILED"


# --- give up --------------------------------------------------------------------------------------------------------


def test_an_undo_that_raises_for_ever_is_given_up(book: Book) -> None:
    """After as many tries as deaths make a run poison, each after a longer pause."""
    run_id, epoch, key = done(book)
    book.do(runs.end_run, run_id, epoch, "FAILED", None, BOOM)
    duty, pauses = f"{key}/undo/1", list[int]()
    for _ in range(book.recovery.stuck_after()):
        assert book.status(run_id) == "COMPENSATING"
        claim, _ = book.claim_duty(run_id, duty)
        book.do(obligations.fail_duty, claim, "raised", BOOM, book.recovery, body_over=True)
        pauses.append(book.duty(duty)["next_boot_us"] - book.clock.boot_us())
    assert (book.status(run_id), book.duty(duty)["attempts"]) == ("STUCK", 5)
    assert pauses == sorted(pauses) and pauses[0] > 0
    assert needed(book) == [("obligation", duty)]
    book.do(obligations.resolve_duty, run_id, duty, "retry", "mended")
    book.undo(run_id, duty)
    assert book.status(run_id) == "FAILED"


# --- conflicts ------------------------------------------------------------------------------------------------------


def surplus(book: Book) -> tuple[str, str]:
    """A run whose upstream holds an act too much that cannot be undone."""
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch, LOOK_UP)
    book.die(run_id)
    acts: list[Any] = [{"id": 1}, {"id": 2}, {"id": 3}]
    book.observe(run_id, key, Answer.DUPLICATE, acts)
    return run_id, key


def test_a_conflict_is_closed_with_who_and_why(book: Book) -> None:
    run_id, key = surplus(book)
    assert needed(book) == [("conflict", key)] * 2
    assert book.do(persons.close_conflicts, run_id, key, "me@here", "sent back") == "RUNNABLE"
    assert needed(book) == []
    assert book.bodies("conflict_closed") == [{"key": key, "actor": "me@here", "reason": "sent back"}]
    assert all(row["closed_us"] == book.clock.wall_us() for row in book.rows("SELECT * FROM conflict"))
    book.refused(persons.close_conflicts, run_id, key, "me", "x", says="has no open conflict: `tape status")


def test_closed_after_the_end_of_the_run(book: Book) -> None:
    run_id, key = surplus(book)
    book.do(runs.end_run, run_id, book.again(run_id), "TERMINAL", None, None)
    assert book.do(persons.close_conflicts, run_id, key, "me", "seen") == "TERMINAL"
    assert needed(book) == []


# --- results decided by hand ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("result", "says"), [("x" * (1 << 20), "1048578 bytes cannot be recorded"), (float("nan"), "JSON")]
)
def test_a_result_that_no_body_could_have_returned_is_refused(book: Book, result: Any, says: str) -> None:
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch, BLIND)
    book.die(run_id)
    book.refused(claims.resolve_effect, run_id, key, "confirm", result, "seen", by=UsageError, says=says)
    book.do(claims.resolve_effect, run_id, key, "confirm", "x" * 1000, "seen")
    assert book.effect(key)["status"] == str(CONFIRMED.status)
