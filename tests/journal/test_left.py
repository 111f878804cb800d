"""What is left to itself (fire-and-forget): begun on the tape, ended beside it, outliving its run (contract.md
sections 2 and 3); and the order in which the outbox dispatches."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tape.core.journal import claims, effects, obligations, records, runs
from tape.core.journal.claims import Claim
from tape.core.journal.effects import Call
from tape.core.journal.needs import needs
from tape.core.journal.work import Work
from tape.core.kernel.errors import Refused, UsageError
from tape.core.kernel.lifecycle import EffectStatus
from tape.core.kernel.resolution import Answer, Dispatch, OnUnknown, Semantics
from tests.journal.book import (
    ANY_STEP,
    BOOM,
    CLAIM_US,
    CONFIRMED,
    IDEMPOTENT,
    OUTBOX,
    OUTBOX_BLIND,
    OUTBOX_SURE,
    UNDOABLE,
    Book,
)
from tests.journal.book import ToolPolicy as Tool

OUTBOX_UNDOABLE = replace(UNDOABLE, dispatch=Dispatch.OUTBOX)
OUTBOX_UNDO_UNKNOWN = Tool(dispatch=Dispatch.OUTBOX, on_unknown=OnUnknown.COMPENSATE, compensable=True)
BODY: dict[str, Any] = {"what": "body", "claim_us": CLAIM_US, "worker_no": None}


def left_behind(book: Book, *policies: Tool, outcome: str = "TERMINAL") -> tuple[str, list[str]]:
    """A run that has ended after it left these effects to themselves."""
    run_id, epoch = book.driven()
    keys = [book.begin(run_id, epoch, policy, ordinal, awaited=False) for ordinal, policy in enumerate(policies)]
    book.do(runs.end_run, run_id, epoch, outcome, None, BOOM if outcome == "FAILED" else None)
    return run_id, keys


def lost(book: Book, claim: Claim, *, died: bool = True) -> Any:
    return book.do(claims.lose_dispatch, claim, "lost", BOOM, book.recovery, body_over=True, died=died)


def due(book: Book) -> list[str]:
    work = Work(book.path)
    try:
        return [hook.key for hook in work.dispatches(book.clock.boot_us())]
    finally:
        work.close()


def needed(book: Book) -> list[tuple[str, str]]:
    found = needs(lambda sql, values: [tuple(row) for row in book.writer.connection.execute(sql, values)], 50)
    return [(need.kind, need.key) for need in found]


def test_only_the_outbox_takes_what_nobody_waits_for(book: Book) -> None:
    run_id, epoch = book.driven()
    call = Call(None, 0, "tool", None, IDEMPOTENT, awaited=False)
    book.refused(effects.begin_effect, run_id, epoch, call, "f", by=UsageError, says='declare dispatch="outbox"')


def test_the_run_ends_first_and_the_dispatch_follows_beside_the_tape(book: Book) -> None:
    run_id, (key,) = left_behind(book, OUTBOX)
    assert (book.status(run_id), due(book)) == ("TERMINAL", [key])
    before = book.tape(run_id)
    claim = book.claim(run_id, key, "body")
    book.do(claims.end_dispatch, claim, CONFIRMED)
    assert book.effect(key)["status"] == "CONFIRMED"
    assert (book.status(run_id), book.tape(run_id)) == ("TERMINAL", before), "no record after run_ended"
    (ended,) = book.rows("SELECT seq FROM entry WHERE kind = 'effect_ended'")
    assert ended["seq"] is None
    assert due(book) == []


def test_no_drive_is_held_up(book: Book) -> None:
    """I8 is about what a run waits for: this one is granted while it is open."""
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch, OUTBOX, awaited=False)
    book.die(run_id)
    assert book.status(run_id) == "RUNNABLE"
    epoch = book.grant(run_id)
    claim = book.claim(run_id, key, "body")
    book.do(claims.end_dispatch, claim, CONFIRMED)
    assert book.status(run_id) == "RUNNING"
    assert book.tape(run_id) == ["run_started", "effect_begun"]
    assert book.run(run_id)["crashes"] == 1, "what ends beside the tape is no progress of the run"


def test_its_end_does_not_wake_a_run_that_sleeps(book: Book) -> None:
    from tape.core.journal import records

    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch, OUTBOX, awaited=False)
    book.do(records.set_timer, run_id, epoch, 0, 3600.0, "f")
    book.do(runs.park, run_id, epoch, ["timer 0"], "sleeps")
    assert (book.status(run_id), book.run(run_id)["waiting_on"]) == ("WAITING", "timer 0")
    book.do(claims.end_dispatch, book.claim(run_id, key, "body"), CONFIRMED)
    assert (book.status(run_id), book.run(run_id)["waiting_on"]) == ("WAITING", "timer 0")


def test_a_dead_letter_is_a_need_of_its_own(book: Book) -> None:
    """It makes no run STUCK, holds up no later one, outlives its run, and is settled by a person."""
    run_id, (first, second) = left_behind(book, OUTBOX_BLIND, OUTBOX)
    lost(book, book.claim(run_id, first, "body"))
    assert (book.status(run_id), needed(book)) == ("TERMINAL", [("effect", first)])
    assert due(book) == [second]
    book.do(claims.end_dispatch, book.claim(run_id, second, "body"), CONFIRMED)
    assert book.do(claims.resolve_effect, run_id, first, "confirm", {"id": 1}, "seen") == "TERMINAL"
    assert (book.effect(first)["status"], book.effect(first)["writer"]) == ("CONFIRMED", "operator")
    assert needed(book) == []


def test_a_dead_letter_of_a_run_that_goes_on(book: Book) -> None:
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch, OUTBOX_BLIND, awaited=False)
    lost(book, book.claim(run_id, key, "body"))
    assert (book.status(run_id), needed(book)) == ("RUNNING", [("effect", key)])
    book.die(run_id)
    assert book.status(run_id) == "RUNNABLE"
    book.do(runs.end_run, run_id, book.again(run_id), "TERMINAL", None, None)
    assert (book.status(run_id), needed(book)) == ("TERMINAL", [("effect", key)])


def test_what_is_still_to_be_sent_is_for_nobody_to_decide(book: Book) -> None:
    """Though its run is STUCK, over something else."""
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch, OUTBOX, awaited=False)
    book.do(records.diverge, run_id, epoch, "different")
    for how in ("confirm", "fail", "retry"):
        book.refused(claims.resolve_effect, run_id, key, how, None, "looked", says="is not for a person: again")
    book.do(claims.end_dispatch, book.claim(run_id, key, "body"), CONFIRMED)
    assert (book.status(run_id), book.effect(key)["writer"]) == ("STUCK", "outbox")


def test_a_dead_letter_is_sent_again_by_a_person(book: Book) -> None:
    """And still one at a time: what is under way comes to its end before."""
    run_id, (first, second) = left_behind(book, OUTBOX_BLIND, OUTBOX)
    lost(book, book.claim(run_id, first, "body"))
    under_way = book.claim(run_id, second, "body")
    book.do(claims.resolve_effect, run_id, first, "retry", None, "not there")
    book.refused(claims.claim_effect, run_id, first, ANY_STEP, "x", **BODY, says="is dispatched after .*/1/tool")
    book.do(claims.end_dispatch, under_way, CONFIRMED)
    assert due(book) == [first]
    claim = book.claim(run_id, first, "body")
    assert claim.number == 2
    book.do(claims.end_dispatch, claim, CONFIRMED)
    assert needed(book) == []


def test_a_body_that_keeps_failing_becomes_a_dead_letter(book: Book) -> None:
    run_id, (key,) = left_behind(book, OUTBOX)
    for _ in range(book.recovery.max_crashes + 1):
        lost(book, book.claim(run_id, key, "body"), died=False)
    assert (book.status(run_id), needed(book), due(book)) == ("TERMINAL", [("effect", key)], [])


def test_asked_after_the_end_of_its_run(book: Book) -> None:
    """The look-up finds it, as for any other."""
    run_id, (key,) = left_behind(book, OUTBOX_SURE)
    lost(book, book.claim(run_id, key, "body"))
    work = Work(book.path)
    assert [hook.key for hook in work.look_ups(book.clock.boot_us())] == [key]
    work.close()
    assert book.observe(run_id, key, Answer.PRESENT) == "N-present"
    assert (book.status(run_id), book.effect(key)["resolution"]) == ("TERMINAL", "observed")


def test_a_look_up_does_not_wait_until_the_run_rests(book: Book) -> None:
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch, OUTBOX_SURE, awaited=False)
    lost(book, book.claim(run_id, key, "body"))
    assert book.status(run_id) == "RUNNING"
    work = Work(book.path)
    assert [hook.key for hook in work.look_ups(book.clock.boot_us())] == [key]
    work.close()
    assert book.observe(run_id, key, Answer.ABSENT) == "N-absent"
    assert due(book) == [key]


def test_a_claim_that_runs_out_after_the_end_is_voided(book: Book) -> None:
    run_id, (key,) = left_behind(book, OUTBOX)
    claim = book.claim(run_id, key, "body")
    book.clock.advance(CLAIM_US / 1_000_000 + 1)
    work = Work(book.path)
    assert [stale.key for stale in work.stale_claims(book.clock.boot_us())] == [key]
    work.close()
    book.do(claims.void_claim, run_id, key, claim.epoch, "late", book.recovery, proven=True)
    assert book.effect(key)["step"] == "again"


def test_a_key_that_runs_out_after_the_end_is_judged_anew(book: Book) -> None:
    run_id, (key,) = left_behind(book, replace(OUTBOX, key_lifetime_us=1_000_000))
    lost(book, book.claim(run_id, key, "body"))
    book.clock.advance(30)
    work = Work(book.path)
    assert work.outlived(book.clock.wall_us()) == [run_id]
    work.close()
    assert book.do(effects.recheck_keys, run_id) is True
    assert (book.status(run_id), needed(book)) == ("TERMINAL", [("effect", key)])
    assert book.do(effects.recheck_keys, run_id) is False


# --- what becomes of it where its run fails or is cancelled ---------------------------------------------------------


def test_failed_before_the_dispatch_what_would_be_undone_is_dropped(book: Book) -> None:
    """What would stand is still dispatched: the outcome does not depend on how quick the outbox was."""
    run_id, (undoable, plain) = left_behind(book, OUTBOX_UNDOABLE, OUTBOX, outcome="FAILED")
    row = book.effect(undoable)
    assert (row["status"], row["resolution"], row["writer"], row["attempts"]) == ("FAILED", "dropped", "agent", 0)
    assert book.duty(f"{undoable}/undo/1")["status"] == "DROPPED"
    assert (book.status(run_id), due(book)) == ("FAILED", [plain])
    book.refused(claims.claim_effect, run_id, undoable, ANY_STEP, "x", **BODY, says="has ended already")


def test_without_auto_it_is_still_dispatched(book: Book) -> None:
    run_id, (key,) = left_behind(book, replace(OUTBOX_UNDOABLE, undo_auto=False), outcome="FAILED")
    assert (book.status(run_id), due(book)) == ("FAILED", [key])
    book.do(claims.end_dispatch, book.claim(run_id, key, "body"), CONFIRMED)
    assert (book.status(run_id), book.duty(f"{key}/undo/1")["status"]) == ("FAILED", "DROPPED")


def test_failed_during_the_dispatch_it_is_settled_and_undone(book: Book) -> None:
    """The end of the run waits until it is known whether there is anything to undo."""
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch, OUTBOX_UNDOABLE, awaited=False)
    claim = book.claim(run_id, key, "body")
    book.do(runs.end_run, run_id, epoch, "FAILED", None, BOOM)
    assert (book.status(run_id), book.run(run_id)["waiting_on"]) == ("COMPENSATING", "outbox of -/0/tool")
    work = Work(book.path)
    assert work.undone() == [], "nobody looks at it again and again"
    work.close()
    book.do(claims.end_dispatch, claim, CONFIRMED)
    assert (book.status(run_id), book.duty(f"{key}/undo/1")["status"]) == ("COMPENSATING", "DUE")
    book.undo(run_id, f"{key}/undo/1")
    assert book.status(run_id) == "FAILED"


def test_failed_during_a_dispatch_that_did_not_act(book: Book) -> None:
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch, OUTBOX_UNDOABLE, awaited=False)
    claim = book.claim(run_id, key, "body")
    book.do(runs.end_run, run_id, epoch, "FAILED", None, BOOM)
    book.do(claims.reject_dispatch, claim, BOOM, book.recovery)
    assert (book.status(run_id), book.duty(f"{key}/undo/1")["status"]) == ("FAILED", "DROPPED")


def test_nothing_is_undone_while_a_sibling_is_open(book: Book) -> None:
    """The newer one may have to be undone first, so the older waits for it, and be it for a person."""
    run_id, epoch = book.driven()
    old = book.begin(run_id, epoch, UNDOABLE)
    book.end(run_id, epoch, old)
    new = book.begin(run_id, epoch, replace(OUTBOX_UNDOABLE, look_up=False), 1, awaited=False)
    lost(book, book.claim(run_id, new, "body"))
    book.do(runs.end_run, run_id, epoch, "FAILED", None, BOOM)
    named = {"claim_us": CLAIM_US, "worker_no": None}
    book.refused(obligations.claim_duty, run_id, f"{old}/undo/1", "x", **named, says="not next")
    assert book.run(run_id)["waiting_on"] == "a person for -/1/tool"
    assert needed(book) == [("effect", new)]
    book.do(claims.resolve_effect, run_id, new, "confirm", None, "seen")
    book.undo(run_id, f"{new}/undo/1")
    book.undo(run_id, f"{old}/undo/1")
    assert book.status(run_id) == "FAILED"


def test_a_cancelled_run_dispatches_nothing_more(book: Book) -> None:
    run_id, epoch = book.driven()
    begun = book.begin(run_id, epoch, OUTBOX_UNDOABLE, awaited=False)
    claim = book.claim(run_id, begun, "body")
    waits = [book.begin(run_id, epoch, policy, at, awaited=False) for at, policy in ((1, OUTBOX), (2, OUTBOX_BLIND))]
    book.do(runs.cancel, run_id)
    for key in waits:
        row = book.effect(key)
        assert (row["status"], row["resolution"], row["writer"]) == ("FAILED", "dropped", "operator")
    book.do(claims.end_dispatch, claim, CONFIRMED)
    book.do(runs.end_run, run_id, epoch, "CANCELLED", None, None)
    assert (book.status(run_id), book.duty(f"{begun}/undo/1")["status"]) == ("COMPENSATING", "DUE")
    book.undo(run_id, f"{begun}/undo/1")
    assert book.status(run_id) == "CANCELLED"


def test_in_doubt_after_a_good_end_it_is_undone_all_the_same(book: Book) -> None:
    """N-undo needs no run that goes on."""
    run_id, (key,) = left_behind(book, OUTBOX_UNDO_UNKNOWN)
    duty = f"{key}/undo/1"
    assert (book.status(run_id), book.duty(duty)["status"]) == ("TERMINAL", "ARMED")
    lost(book, book.claim(run_id, key, "body"))
    work = Work(book.path)
    assert [hook.key for hook in work.duties(book.clock.boot_us())] == [duty]
    work.close()
    book.undo(run_id, duty)
    row = book.effect(key)
    assert (book.status(run_id), row["status"], row["resolution"]) == ("TERMINAL", "FAILED", "compensated")


def test_an_undo_that_is_stuck_after_the_end_is_a_need(book: Book) -> None:
    policy = replace(OUTBOX_UNDO_UNKNOWN, undo_semantics=Semantics.NON_IDEMPOTENT)
    run_id, (key,) = left_behind(book, policy)
    lost(book, book.claim(run_id, key, "body"))
    claim, _ = book.claim_duty(run_id, f"{key}/undo/1")
    book.do(obligations.fail_duty, claim, "raised", BOOM, book.recovery, body_over=True)
    assert book.status(run_id) == "TERMINAL"
    assert set(needed(book)) == {("effect", key), ("obligation", f"{key}/undo/1")}
    book.do(obligations.resolve_duty, run_id, f"{key}/undo/1", "confirm", "looked")
    assert (needed(book), book.effect(key)["status"]) == ([], "FAILED")


def test_after_a_good_end_what_was_done_stands(book: Book) -> None:
    run_id, (key,) = left_behind(book, OUTBOX_UNDOABLE)
    book.do(claims.end_dispatch, book.claim(run_id, key, "body"), CONFIRMED)
    assert (book.status(run_id), book.duty(f"{key}/undo/1")["status"]) == ("TERMINAL", "DROPPED")


# --- the order ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("awaited", [True, False])
def test_one_at_a_time_in_the_order_in_which_they_were_begun(book: Book, awaited: bool) -> None:
    run_id, epoch = book.driven()
    keys = [book.begin(run_id, epoch, OUTBOX, at, awaited=awaited) for at in range(3)]
    other, other_epoch = book.driven()
    elsewhere = book.begin(other, other_epoch, OUTBOX, awaited=awaited)
    for place, key in enumerate(keys):
        assert due(book) == [key, elsewhere]
        for later in keys[place + 1 :]:
            book.refused(claims.claim_effect, run_id, later, ANY_STEP, "x", **BODY, says="which is not through")
        claim = book.claim(run_id, key, "body")
        assert due(book) == [elsewhere]
        book.do(claims.end_dispatch, claim, CONFIRMED)


def test_the_next_waits_while_the_one_before_is_asked_about_or_backs_off(book: Book) -> None:
    run_id, (first, second) = left_behind(book, replace(OUTBOX_SURE, settle_us=2_000_000), OUTBOX)
    lost(book, book.claim(run_id, first, "body"))
    assert due(book) == []
    book.refused(claims.claim_effect, run_id, second, ANY_STEP, "x", **BODY, by=Refused, says="is not through")
    assert book.observe(run_id, first, Answer.ABSENT) == "N-settling"
    assert due(book) == []
    book.clock.advance(3)
    assert book.observe(run_id, first, Answer.PRESENT) == "N-present"
    assert due(book) == [second]
    assert book.effect(first)["status"] == str(EffectStatus.CONFIRMED)
