"""What is left to itself, beside caps, approvals and child runs: it is held back for and approved like any other call;
its charge stands beside the tape, as its end does, and may come after the run's own end (I3, I10)."""

from __future__ import annotations

from typing import Any

import pytest

from tape.core.journal import claims, effects, gates, runs
from tape.core.journal.audit import audit
from tape.core.journal.effects import Call
from tape.core.journal.gates import Answer, Gate
from tape.core.journal.purses import Usage
from tape.core.journal.views import open_reader
from tape.core.kernel.errors import UsageError
from tape.core.kernel.identity import effect_key, hash_json
from tests.journal.book import BOOM, CONFIRMED, FAILED, OUTBOX, Book
from tests.journal.test_left import OUTBOX_UNDOABLE, due

CAPS = {"usd_micro": 500_000, "calls:tool": 3}


def leave(book: Book, run_id: str, epoch: int, ordinal: int = 0, cost: int | None = 200_000, **more: Any) -> str:
    policy = more.pop("policy", OUTBOX)
    call = Call(None, ordinal, "tool", {}, policy, cost_micro=cost, awaited=False, **more)
    book.do(effects.begin_effect, run_id, epoch, call, "f")
    return effect_key(run_id, None, ordinal, "tool")


def dispatched(book: Book, run_id: str, key: str, ending: Any = CONFIRMED) -> None:
    book.do(claims.end_dispatch, book.claim(run_id, key, "body"), ending)


def clean(book: Book) -> bool:
    with open_reader(book.path) as reader:
        return audit(reader).findings == ()


def test_it_is_paid_for_after_the_end_of_its_run_beside_the_tape(book: Book) -> None:
    run_id = book.start(caps=CAPS)
    epoch = book.grant(run_id)
    key = leave(book, run_id, epoch)
    book.do(runs.end_run, run_id, epoch, "TERMINAL", None, None)
    before = book.tape(run_id)
    assert book.purse(run_id, "usd_micro") == (500_000, 200_000, 0, 0), "held back until it is known"
    assert clean(book)
    dispatched(book, run_id, key)
    assert book.purse(run_id, "usd_micro") == (500_000, 0, 200_000, 0)
    assert book.purse(run_id, "calls:tool") == (3, 0, 1, 0)
    (charge,) = book.rows("SELECT seq, body FROM entry WHERE kind = 'charge'")
    assert charge["seq"] is None and f'"pays_for":"{key}"' in charge["body"]
    assert (book.tape(run_id), before[-1]) == (before, "run_ended")
    assert clean(book)


def test_its_charge_is_beside_the_tape_while_the_run_goes_on_too(book: Book) -> None:
    """However quick the outbox is, the tape is the same (I2)."""
    tapes: list[list[str]] = []
    for quick in (True, False):
        run_id = book.start(caps=CAPS)
        epoch = book.grant(run_id)
        key = leave(book, run_id, epoch)
        if quick:
            dispatched(book, run_id, key)
        book.sample(run_id, epoch)
        if not quick:
            dispatched(book, run_id, key)
        book.do(runs.end_run, run_id, epoch, "TERMINAL", None, None)
        tapes.append(book.tape(run_id))
    assert tapes[0] == tapes[1] == ["run_started", "effect_begun", "sample", "run_ended"]
    assert clean(book)


def test_one_that_is_not_in_effect_gives_back_what_was_held(book: Book) -> None:
    run_id = book.start(caps=CAPS)
    epoch = book.grant(run_id)
    key, dropped = leave(book, run_id, epoch), leave(book, run_id, epoch, 1, policy=OUTBOX_UNDOABLE)
    book.do(runs.end_run, run_id, epoch, "FAILED", None, BOOM)
    assert book.effect(dropped)["resolution"] == "dropped"
    dispatched(book, run_id, key, FAILED)
    assert book.purse(run_id, "usd_micro") == (500_000, 0, 0, 0)
    assert book.purse(run_id, "calls:tool") == (3, 0, 0, 0)
    assert book.bodies("charge") == [] and clean(book)


def test_a_cap_is_in_the_way_of_it_as_of_any_call(book: Book) -> None:
    run_id = book.start(caps=CAPS)
    epoch = book.grant(run_id)
    leave(book, run_id, epoch)
    leave(book, run_id, epoch, 1)
    leave(book, run_id, epoch, 2)
    assert [body["place"] for body in book.bodies("budget_refused")] == [effect_key(run_id, None, 2, "tool")]
    assert len(book.rows("SELECT key FROM effect")) == 2
    assert book.tape(run_id) == ["run_started", "effect_begun", "effect_begun", "budget_refused"]


def test_an_ancestor_that_has_ended_pays_all_the_same(book: Book) -> None:
    parent = book.start(caps=CAPS)
    epoch = book.grant(parent)
    child = book.child(parent)
    child_epoch = book.grant(child)
    key = leave(book, child, child_epoch)
    book.do(runs.end_run, child, child_epoch, "TERMINAL", None, None)
    book.do(runs.end_run, parent, epoch, "TERMINAL", None, None)
    dispatched(book, child, key)
    assert book.purse(parent, "usd_micro") == (500_000, 0, 200_000, 0)
    assert clean(book)


def test_an_approval_is_used_up_by_it(book: Book) -> None:
    run_id, epoch = book.driven()
    call = {"tool": "tool", "args": {}, "args_hash": hash_json({})}
    book.do(gates.open_gate, run_id, epoch, Gate("go", 0, "", ("yes", "no"), "f", approves=call))
    bare = Call(None, 0, "tool", {}, OUTBOX, awaited=False)
    book.refused(effects.begin_effect, run_id, epoch, bare, "f", by=UsageError, says="needs an approval")
    book.do(gates.answer_gate, run_id, Answer("go", "yes"))
    leave(book, run_id, epoch, cost=None, approval="go 0")
    again = Call(None, 1, "tool", {}, OUTBOX, awaited=False, approval="go 0")
    book.refused(effects.begin_effect, run_id, epoch, again, "f", by=UsageError, says="it was used up by")
    book.do(runs.end_run, run_id, epoch, "TERMINAL", None, None)
    assert clean(book)


def test_the_cancel_of_a_parent_stops_what_its_child_has_not_sent(book: Book) -> None:
    parent = book.start()
    book.grant(parent)
    child = book.child(parent)
    epoch = book.grant(child)
    sent, waits = leave(book, child, epoch, cost=None), leave(book, child, epoch, 1, cost=None)
    claim = book.claim(child, sent, "body")
    book.do(runs.cancel, parent)
    row = book.effect(waits)
    assert (row["status"], row["resolution"], row["writer"]) == ("FAILED", "dropped", "operator")
    assert due(book) == []
    book.do(claims.end_dispatch, claim, CONFIRMED)
    assert book.effect(sent)["status"] == "CONFIRMED"


def test_a_failed_run_undoes_what_it_left_after_its_children_have_ended(book: Book) -> None:
    """Its own act waits for its child; then for the end of what was left to itself."""
    run_id = book.start()
    epoch = book.grant(run_id)
    key = leave(book, run_id, epoch, cost=None, policy=OUTBOX_UNDOABLE)
    child = book.child(run_id)
    child_epoch = book.grant(child)
    claim = book.claim(run_id, key, "body")
    book.do(runs.end_run, run_id, epoch, "FAILED", None, BOOM)
    assert (book.status(run_id), book.run(run_id)["waiting_on"]) == ("COMPENSATING", "1 child")
    book.do(runs.end_run, child, child_epoch, "CANCELLED", None, None)
    assert (book.status(run_id), book.run(run_id)["waiting_on"]) == ("COMPENSATING", "outbox of -/0/tool")
    book.do(claims.end_dispatch, claim, CONFIRMED)
    book.undo(run_id, f"{key}/undo/1")
    assert book.status(run_id) == "FAILED" and clean(book)


# --- what a dispatched body reports ---------------------------------------------------------------------------------

REPORTED = Usage(tokens_in=30, tokens_out=10, usd_micro=300_000)


def begun(book: Book, run_id: str, epoch: int, *, awaited: bool, cost: int | None = 200_000) -> str:
    call = Call(None, 0, "tool", {}, OUTBOX, cost_micro=cost, awaited=awaited)
    book.do(effects.begin_effect, run_id, epoch, call, "f")
    return effect_key(run_id, None, 0, "tool")


@pytest.mark.parametrize("awaited", [True, False])
def test_what_its_body_reports_is_charged_with_its_end(book: Book, awaited: bool) -> None:
    """In the transaction that confirms it; more than it declares is an overrun once it passes the cap."""
    run_id = book.start(caps={"usd_micro": 250_000, "tokens": 1_000})
    epoch = book.grant(run_id)
    key = begun(book, run_id, epoch, awaited=awaited)
    if awaited:
        book.do(runs.park, run_id, epoch, [], "an effect is open")
    book.do(claims.end_dispatch, book.claim(run_id, key, "body"), CONFIRMED, REPORTED)
    assert book.purse(run_id, "usd_micro") == (250_000, 0, 300_000, 0)
    assert book.purse(run_id) == (1_000, 0, 40, 0)
    assert [(body["unit"], body["by"]) for body in book.bodies("budget_overrun")] == [("usd_micro", 50_000)]
    (charge,) = book.rows("SELECT seq FROM entry WHERE kind = 'charge'")
    assert (charge["seq"] is not None) is awaited, "with its end, on the tape or beside it"
    assert clean(book)


@pytest.mark.parametrize("awaited", [True, False])
@pytest.mark.parametrize("how", ["rejected", "raised"])
def test_what_an_attempt_reports_that_came_to_nothing(book: Book, awaited: bool, how: str) -> None:
    run_id = book.start(caps={"usd_micro": 1_000_000})
    epoch = book.grant(run_id)
    key = begun(book, run_id, epoch, awaited=awaited)
    if awaited:
        book.do(runs.park, run_id, epoch, [], "an effect is open")
    before = book.tape(run_id)
    claim = book.claim(run_id, key, "body")
    if how == "rejected":
        book.do(claims.reject_dispatch, claim, FAILED.error, book.recovery, REPORTED)
        assert book.purse(run_id, "usd_micro") == (1_000_000, 0, 300_000, 0)
    else:
        book.do(claims.lose_dispatch, claim, how, BOOM, book.recovery, body_over=True, died=False, usage=REPORTED)
        assert book.purse(run_id, "usd_micro") == (1_000_000, 0, 300_000, 0), "what was held back is used up"
        assert book.tape(run_id) == before, "the attempt is no business of the tape"
        book.do(claims.end_dispatch, book.claim(run_id, key, "body"), CONFIRMED, Usage(usd_micro=1))
        assert book.purse(run_id, "usd_micro") == (1_000_000, 0, 300_001, 0)
    assert clean(book)


def test_an_ancestor_pays_for_what_a_body_reports(book: Book) -> None:
    parent = book.start(caps={"usd_micro": 1_000_000})
    book.grant(parent)
    child = book.child(parent)
    epoch = book.grant(child)
    key = begun(book, child, epoch, awaited=False)
    book.do(runs.end_run, child, epoch, "TERMINAL", None, None)
    book.do(claims.end_dispatch, book.claim(child, key, "body"), CONFIRMED, REPORTED)
    assert book.purse(parent, "usd_micro") == (1_000_000, 0, 300_000, 0)
    assert book.purse(child, "usd_micro")[1:] == (0, 300_000, 0)
    assert clean(book)
