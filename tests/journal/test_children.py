"""Child runs in the journal: started, ended, waited for, taken back."""

from __future__ import annotations

import contextlib
import itertools
from typing import Any

import pytest

from tape.core.journal import children, claims, effects, obligations, records, runs, workers
from tape.core.kernel.errors import CancelRequested, Fenced, Refused, UsageError
from tape.core.kernel.identity import fingerprint
from tape.core.kernel.lifecycle import LeaseTrigger
from tape.core.kernel.policy import CHILDREN_LIMIT, DEPTH_LIMIT, wake_parent_after_us
from tests.journal.book import BLIND, FAILED, LOOK_UP, TTL_US, UNDOABLE, Book
from tests.journal.invariants import check, finals


class Family:
    """A parent that is driven, and its children."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self.parent, self.epoch = book.driven("parent")
        self._ended: set[tuple[str, ...]] = set()

    def child(self, ordinal: int = 0, input: Any = None, of: tuple[str, int] | None = None) -> str:
        run_id, epoch = of or (self.parent, self.epoch)
        given = ordinal if input is None else input
        return self.book.do(children.start_child, run_id, epoch, ordinal, "agent", given, "f")[1]

    def park(self, *ordinals: int) -> str:
        waits = [f"child {ordinal}" for ordinal in ordinals]
        self.book.do(runs.park, self.parent, self.epoch, waits, "waiting")
        return self.book.status(self.parent)

    def finish(self, run_id: str, outcome: str = "TERMINAL", result: Any = None, epoch: int | None = None) -> str:
        """Drives the run to its end, if it is not driven already."""
        driven = epoch if epoch is not None else self.book.grant(run_id)
        self.book.do(runs.end_run, run_id, driven, outcome, result, None)
        return self.book.status(run_id)

    def check(self) -> None:
        check(self.book.writer.connection)
        now = finals(self.book.writer.connection)
        assert self._ended <= now, "what has ended stays so"
        self._ended = now


@pytest.fixture
def family(book: Book) -> Family:
    return Family(book)


def test_a_child_is_an_ordinary_run(book: Book, family: Family) -> None:
    child = family.child(0, {"n": 1})
    row, parent = book.run(child), book.run(family.parent)
    assert (row["status"], row["parent_no"], row["parent_ordinal"], row["depth"]) == ("RUNNABLE", parent["no"], 0, 1)
    assert (parent["children"], parent["children_open"], parent["depth"]) == (1, 1, 0)
    (started,) = book.bodies("child_started")
    assert (started["ordinal"], started["child"], started["agent"], started["input"]) == (0, child, "agent", {"n": 1})
    assert book.bodies("run_started")[1]["parent"] == family.parent
    assert book.tape(child) == ["run_started"] and book.tape(family.parent) == ["run_started", "child_started"]
    epoch = book.grant(child)
    key = book.begin(child, epoch, BLIND)
    assert key.startswith(child)
    family.check()


def test_children_are_started_in_their_order_and_once(book: Book, family: Family) -> None:
    start = (children.start_child, family.parent, family.epoch)
    book.refused(*start, 1, "agent", None, "f", says="child 1 where 0 is next")
    family.child(0)
    book.refused(*start, 0, "agent", None, "f", says="child 0 where 1 is next")
    family.child(1)
    family.check()


def test_only_the_driver_starts_children(book: Book, family: Family) -> None:
    book.refused(children.start_child, family.parent, family.epoch + 1, 0, "agent", None, "f", by=Fenced)
    book.die(family.parent)
    book.refused(children.start_child, family.parent, family.epoch, 0, "agent", None, "f", by=Fenced)


def test_no_child_of_a_run_that_is_being_cancelled(book: Book, family: Family) -> None:
    book.do(runs.cancel, family.parent)
    book.refused(children.start_child, family.parent, family.epoch, 0, "agent", None, "f", by=CancelRequested)


def test_an_input_that_is_not_json_starts_nothing(book: Book, family: Family) -> None:
    book.refused(children.start_child, family.parent, family.epoch, 0, "agent", {1}, "f", by=UsageError)


def test_limits(book: Book, family: Family) -> None:
    book.writer.connection.execute("UPDATE run SET children = ? WHERE id = ?", (CHILDREN_LIMIT, family.parent))
    start = (children.start_child, family.parent, family.epoch)
    book.refused(*start, CHILDREN_LIMIT, "agent", None, "f", by=UsageError, says="10000 children")
    book.writer.connection.execute("UPDATE run SET children = 0, depth = ?", (DEPTH_LIMIT,))
    book.refused(*start, 0, "agent", None, "f", by=UsageError, says="16 runs deep")


def test_the_lineage_says_what_the_ancestors_were_asked(book: Book, family: Family) -> None:
    child = family.child(0, {"b": 1, "a": 2})
    drive = book.do(records.drive_of, child)
    own, above = fingerprint("child", "agent", {"a": 2, "b": 1}), fingerprint("child", "agent", "parent")
    assert drive["lineage"] == [own, above]
    assert book.do(records.drive_of, family.parent)["lineage"] == [above]


@pytest.mark.parametrize("outcome", ["TERMINAL", "FAILED", "CANCELLED"])
def test_a_childs_end_stands_on_its_parents_tape(book: Book, family: Family, outcome: str) -> None:
    child = family.child()
    epoch = book.grant(child)
    error = {"type": "Boom", "message": "it broke"} if outcome == "FAILED" else None
    book.do(runs.end_run, child, epoch, outcome, 7 if outcome == "TERMINAL" else None, error)
    (ended,) = book.bodies("child_ended")
    assert (ended["ordinal"], ended["child"], ended["status"], ended["error"]) == (0, child, outcome, error)
    assert ended["result"] == (7 if outcome == "TERMINAL" else None)
    assert book.tape(family.parent)[-1] == "child_ended"
    assert book.run(family.parent)["children_open"] == 0 and book.status(family.parent) == "RUNNING"
    family.check()


def test_the_end_comes_after_the_childs_own_undoing(book: Book, family: Family) -> None:
    child = family.child()
    epoch = book.grant(child)
    key = book.begin(child, epoch, UNDOABLE)
    book.end(child, epoch, key)
    assert family.finish(child, "FAILED", epoch=epoch) == "COMPENSATING"
    assert not book.bodies("child_ended") and book.run(family.parent)["children_open"] == 1
    family.check()
    book.undo(child, f"{key}/undo/1")
    assert book.status(child) == "FAILED"
    assert [body["status"] for body in book.bodies("child_ended")] == ["FAILED"]
    family.check()


# --- waiting ---------------------------------------------------------------------------------------------------


def test_a_parent_waits_and_is_woken(book: Book, family: Family) -> None:
    child = family.child()
    assert family.park(0) == "WAITING"
    assert book.run(family.parent)["waiting_on"] == "child 0" and book.run(family.parent)["worker_no"] is None
    family.check()
    family.finish(child)
    assert book.status(family.parent) == "RUNNABLE"
    assert book.run(family.parent)["next_boot_us"] <= book.clock.boot_us(), "the last one wakes at once"
    family.check()


def test_what_it_waits_for_is_said_in_few_words(book: Book, family: Family) -> None:
    for ordinal in range(5):
        family.child(ordinal)
    family.park(1, 2, 4)
    assert book.run(family.parent)["waiting_on"] == "child 1 and 2 more"


def test_a_child_that_ended_meanwhile_is_not_waited_for(book: Book, family: Family) -> None:
    """Its record was on its way when the parent parked: another drive hands it over, at once."""
    first = family.child(0)
    family.child(1)
    family.finish(first)
    assert family.park(0, 1) == "RUNNABLE"
    family.check()


def test_a_parent_of_many_is_not_woken_for_each(book: Book, family: Family) -> None:
    many = [family.child(ordinal) for ordinal in range(4)]
    family.park(*range(4))
    family.finish(many[0])
    assert book.status(family.parent) == "RUNNABLE"
    due = book.run(family.parent)["next_boot_us"]
    assert due == book.clock.boot_us() + wake_parent_after_us(3) > book.clock.boot_us()
    named = {"ttl_us": TTL_US, "concurrency": 1, "recovery": book.recovery}
    book.refused(runs.grant, family.parent, book.worker(), **named, says="backing off")
    family.finish(many[1])
    assert book.run(family.parent)["next_boot_us"] == due, "no later for a second one"
    for child in many[2:]:
        family.finish(child)
    assert book.run(family.parent)["next_boot_us"] <= book.clock.boot_us(), "the last one ends the waiting"
    assert book.tape(family.parent).count("child_ended") == 4
    family.check()


def test_waking_never_takes_long() -> None:
    assert wake_parent_after_us(0) == 0 and wake_parent_after_us(10_000) == 1_000_000


def test_a_childs_end_does_not_shorten_the_back_off_of_a_parent_that_dies(book: Book, family: Family) -> None:
    child = family.child()
    for _ in range(3):
        book.die(family.parent)
        family.epoch = book.again(family.parent)
    book.die(family.parent)
    due = book.run(family.parent)["next_boot_us"]
    assert due > book.clock.boot_us()
    family.finish(child)
    assert book.run(family.parent)["next_boot_us"] == due


def test_a_child_ends_while_its_parent_is_between_drives(book: Book, family: Family) -> None:
    child = family.child()
    book.die(family.parent)
    assert book.status(family.parent) == "RUNNABLE"
    family.finish(child)
    assert book.tape(family.parent) == ["run_started", "child_started", "child_ended"]
    family.check()


def test_a_child_ends_while_its_parent_is_stuck(book: Book, family: Family) -> None:
    child = family.child()
    book.do(records.diverge, family.parent, family.epoch, "the code does not fit")
    family.finish(child)
    assert book.status(family.parent) == "STUCK"
    assert book.do(runs.redrive, family.parent) == "RUNNABLE"
    family.check()


def test_a_parent_that_waits_for_a_look_up_too_is_not_woken(book: Book, family: Family) -> None:
    child = family.child()
    key = book.begin(family.parent, family.epoch, LOOK_UP)
    book.fail(family.parent, family.epoch, key)
    assert family.park(0) == "WAITING"
    family.finish(child)
    assert book.status(family.parent) == "WAITING" and "look-up" in book.run(family.parent)["waiting_on"]
    family.check()


def test_no_good_end_while_a_child_is_open(book: Book, family: Family) -> None:
    child = family.child()
    end = (runs.end_run, family.parent, family.epoch, "TERMINAL", None, None)
    book.refused(*end, says="a child of it is open")
    family.finish(child)
    book.do(*end)
    family.check()


# --- taken back ------------------------------------------------------------------------------------------------


def test_a_parent_that_fails_takes_its_children_back(book: Book, family: Family) -> None:
    """One waits to be driven, one is driven, one has ended: the first ends at once, the second when it lets go."""
    idle, driven, done = (family.child(ordinal) for ordinal in range(3))
    epoch = book.grant(driven)
    family.finish(done)
    assert family.finish(family.parent, "FAILED", epoch=family.epoch) == "COMPENSATING"
    assert book.run(family.parent)["waiting_on"] == "1 child"
    assert [book.status(run_id) for run_id in (idle, driven, done)] == ["CANCELLED", "RUNNING", "TERMINAL"]
    assert book.run(driven)["cancel"] == 1 and book.run(done)["cancel"] == 0
    orders = book.bodies("order_placed")
    assert [(body["verb"], body["actor"], body["args"]) for body in orders] == [
        ("cancel", family.parent, {"parent": family.parent})
    ] * 2
    assert book.tape(family.parent)[-1] == "run_ended", "nothing comes after its end"
    family.check()
    book.refused(obligations.review, idle, says="not compensating")
    family.finish(driven, "CANCELLED", epoch=epoch)
    assert book.status(family.parent) == "FAILED"
    family.check()


def test_a_parent_without_open_children_ends_at_once(book: Book, family: Family) -> None:
    family.finish(family.child())
    assert family.finish(family.parent, "FAILED", epoch=family.epoch) == "FAILED"
    family.check()


def test_what_the_children_did_is_undone_first(book: Book, family: Family) -> None:
    """The parent acted, then its child did: newest first, over both runs."""
    key = book.begin(family.parent, family.epoch, UNDOABLE)
    book.end(family.parent, family.epoch, key)
    child = family.child()
    epoch = book.grant(child)
    deed = book.begin(child, epoch, UNDOABLE)
    book.end(child, epoch, deed)
    family.finish(family.parent, "FAILED", epoch=family.epoch)
    claim = (obligations.claim_duty, family.parent, f"{key}/undo/1", "undoer")
    named = {"claim_us": 1, "worker_no": None}
    book.refused(*claim, **named, says="not next to be undone")
    family.finish(child, "CANCELLED", epoch=epoch)
    assert book.status(child) == "COMPENSATING"
    book.refused(*claim, **named, says="not next to be undone")
    family.check()
    book.undo(child, f"{deed}/undo/1")
    assert (book.status(child), book.status(family.parent)) == ("CANCELLED", "COMPENSATING")
    assert book.run(family.parent)["waiting_on"] == ""
    book.undo(family.parent, f"{key}/undo/1")
    assert book.status(family.parent) == "FAILED"
    family.check()


def test_a_cancelled_parent_takes_its_children_back(book: Book, family: Family) -> None:
    child = family.child()
    family.park(0)
    assert book.do(runs.cancel, family.parent) == "CANCELLED"
    assert book.status(child) == "CANCELLED"
    assert book.tape(family.parent) == ["run_started", "child_started", "child_ended", "run_ended"]
    family.check()


def test_a_driven_parent_is_told_of_both(book: Book, family: Family) -> None:
    idle, driven = family.child(0), family.child(1)
    epoch = book.grant(driven)
    assert book.do(runs.cancel, family.parent) == "RUNNING"
    assert book.status(idle) == "CANCELLED" and book.tape(family.parent)[-1] == "child_ended"
    family.finish(family.parent, "CANCELLED", epoch=family.epoch)
    assert book.status(family.parent) == "COMPENSATING"
    family.finish(driven, "CANCELLED", epoch=epoch)
    assert book.status(family.parent) == "CANCELLED"
    assert len(book.bodies("order_placed")) == 2, "nobody is cancelled twice"
    family.check()


def test_a_childs_open_effect_is_settled_first(book: Book, family: Family) -> None:
    child = family.child()
    epoch = book.grant(child)
    key = book.begin(child, epoch, LOOK_UP)
    book.die(child)
    assert book.status(child) == "WAITING"
    family.park(0)
    book.do(runs.cancel, family.parent)
    assert (book.status(child), book.status(family.parent)) == ("WAITING", "COMPENSATING")
    family.check()
    from tape.core.kernel.resolution import Answer

    book.observe(child, key, Answer.PRESENT)
    assert (book.status(child), book.status(family.parent)) == ("CANCELLED", "CANCELLED")
    family.check()


def test_a_child_that_needs_a_person_is_waited_for(book: Book, family: Family) -> None:
    child = family.child()
    epoch = book.grant(child)
    key = book.begin(child, epoch, BLIND)
    book.die(child)
    assert book.status(child) == "STUCK"
    family.park(0)
    book.do(runs.cancel, family.parent)
    assert (book.status(child), book.status(family.parent)) == ("STUCK", "COMPENSATING")
    family.check()
    book.do(claims.resolve_effect, child, key, "fail", None, "looked")
    assert (book.status(child), book.status(family.parent)) == ("CANCELLED", "CANCELLED")
    family.check()


def test_a_child_that_is_cancelled_alone(book: Book, family: Family) -> None:
    child = family.child()
    family.park(0)
    assert book.do(runs.cancel, child) == "CANCELLED"
    assert [body["status"] for body in book.bodies("child_ended")] == ["CANCELLED"]
    assert book.status(family.parent) == "RUNNABLE"
    family.check()


def test_three_generations_end_from_the_youngest_on(book: Book, family: Family) -> None:
    child = family.child()
    epoch = book.grant(child)
    grandchild = family.child(0, "deep", of=(child, epoch))
    young = book.grant(grandchild)
    deed = book.begin(grandchild, young, UNDOABLE)
    book.end(grandchild, young, deed)
    family.finish(family.parent, "FAILED", epoch=family.epoch)
    assert book.run(grandchild)["cancel"] and book.run(grandchild)["depth"] == 2
    family.finish(child, "CANCELLED", epoch=epoch)
    assert book.status(child) == "COMPENSATING", "its own child is open"
    family.check()
    family.finish(grandchild, "CANCELLED", epoch=young)
    assert book.status(family.parent) == "COMPENSATING"
    book.undo(grandchild, f"{deed}/undo/1")
    assert [book.status(run_id) for run_id in (grandchild, child, family.parent)] == [
        "CANCELLED",
        "CANCELLED",
        "FAILED",
    ]
    family.check()


def test_the_reactors_leave_a_parent_alone_that_waits_for_its_children(book: Book, family: Family) -> None:
    from tape.core.journal.work import Work

    key = book.begin(family.parent, family.epoch, UNDOABLE)
    book.end(family.parent, family.epoch, key)
    child = family.child()
    epoch = book.grant(child)
    family.finish(family.parent, "FAILED", epoch=family.epoch)
    work = Work(book.path)
    assert not work.duties(1 << 60) and not work.undone()
    family.finish(child, "CANCELLED", epoch=epoch)
    assert [due.key for due in work.duties(1 << 60)] == [f"{key}/undo/1"]
    work.close()


def test_a_worker_dies_with_parent_and_child(book: Book, family: Family) -> None:
    """Both are driven by the same process, and the parent is being cancelled: both end, in whatever order."""
    worker = book.worker()
    parent = book.start("both")
    epoch = book.grant(parent, worker, concurrency=4)
    child = family.child(0, of=(parent, epoch))
    book.grant(child, worker, concurrency=4)
    book.do(runs.cancel, parent)
    assert book.do(workers.worker_died, worker, "signal 9", book.recovery, proven=True) == 2
    assert (book.status(parent), book.status(child)) == ("CANCELLED", "CANCELLED")
    family.check()


# --- every order of what may come together -------------------------------------------------------------------------


def _orders() -> list[tuple[str, ...]]:
    return list(itertools.permutations(("child ends", "parent cancelled", "parent dies", "child dies")))


@pytest.mark.parametrize("order", _orders(), ids=lambda order: ", ".join(order))
def test_every_order(book: Book, family: Family, order: tuple[str, ...]) -> None:
    """Whatever comes first: one end each, nothing forgotten, nothing started twice."""
    child = family.child()
    epoch = book.grant(child)
    key = book.begin(child, epoch, UNDOABLE)
    book.end(child, epoch, key)

    def attempt(step: str) -> None:
        if step == "child ends":
            book.do(runs.end_run, child, epoch, "TERMINAL", 1, None)
        elif step == "parent cancelled":
            book.do(runs.cancel, family.parent)
        else:
            run_id, held = (family.parent, family.epoch) if step == "parent dies" else (child, epoch)
            book.do(effects.lose_lease_of, run_id, held, LeaseTrigger.DIE, "gone", book.recovery, proven=True)

    for step in order:
        with contextlib.suppress(Refused):  # too late: somebody else was first
            attempt(step)
        family.check()
    for run_id in (child, family.parent):
        if book.status(run_id) == "RUNNING":
            family.finish(run_id, "CANCELLED", epoch=book.run(run_id)["epoch"])
    duty = book.duty(f"{key}/undo/1")
    if duty["status"] == "DUE":
        book.undo(child, duty["key"])
    family.check()
    assert book.status(family.parent) == "CANCELLED"
    assert book.status(child) in ("TERMINAL", "CANCELLED")
    assert len(book.rows("SELECT 1 FROM run WHERE parent_no IS NOT NULL")) == 1


def test_a_failed_end_is_not_undone_by_a_late_one(book: Book, family: Family) -> None:
    child = family.child()
    epoch = book.grant(child)
    family.finish(family.parent, "FAILED", epoch=family.epoch)
    book.do(runs.end_run, child, epoch, "TERMINAL", "done anyway", None)
    assert (book.status(child), book.status(family.parent)) == ("TERMINAL", "FAILED")
    assert not book.bodies("child_ended"), "the parent had ended before"
    family.check()
    book.refused(runs.end_run, child, epoch, "FAILED", None, FAILED.error)
