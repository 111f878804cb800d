"""Forks and child runs: a fork of a child, a fork's own children, and what each of them may ask, spend and be told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tape.core.journal import children, effects, forks, gates, quarantine, records, runs
from tape.core.journal.audit import audit
from tape.core.journal.effects import Call
from tape.core.journal.seen import seen_by, sources_of
from tape.core.journal.transaction import Tx
from tape.core.journal.views import open_reader
from tape.core.kernel.errors import UsageError
from tape.core.kernel.identity import fingerprint
from tape.core.kernel.policy import DEPTH_LIMIT
from tests.journal.book import CONFIRMED, IDEMPOTENT, Book

PAID = records.Usage(tokens_in=10, tokens_out=0, usd_micro=0)


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    made = Book(tmp_path / "dev.db")
    yield made
    made.close()


def start_child(book: Book, parent: str, epoch: int, ordinal: int, agent: str, input: Any = "task") -> str:
    asked = fingerprint("child", agent, input)
    return book.do(children.start_child, parent, epoch, ordinal, agent, input, asked)[1]


def call(book: Book, run_id: str, epoch: int, args: Any, result: Any) -> None:
    """A call in earnest, that ends with this result."""
    key = book.begin(run_id, epoch, IDEMPOTENT, book.run(run_id)["effects"], args)
    book.end(run_id, epoch, key, ending=replace(CONFIRMED, result=result))


def held(book: Book, run_id: str, epoch: int, args: Any) -> Any:
    """What a call in quarantine gets."""
    asked = Call(None, book.run(run_id)["effects"], "tool", args, IDEMPOTENT)

    def begin(tx: Tx) -> Any:
        effects.begin_effect(tx, run_id, epoch, asked, "f", quarantined=True)
        ended = quarantine.end_in_quarantine(tx, run_id, epoch, f"{run_id}/-/{asked.ordinal}/tool", "made")
        assert ended is not None
        return ended[1].result

    return book.writer.apply(begin)


def sound(book: Book) -> None:
    with open_reader(book.path) as reader:
        assert [finding for finding in audit(reader).findings if finding.severity == "error"] == []


def family(book: Book) -> tuple[str, int, str, int]:
    """A run, its child, and both under a lease."""
    top, epoch = book.driven("top")
    child = start_child(book, top, epoch, 0, "clerk", "below")
    return top, epoch, child, book.grant(child)


def test_a_fork_of_a_child_has_that_child_s_ancestors_and_depth(book: Book) -> None:
    """What an ancestor was asked the child could not start; nor can its fork, so that its tape still fits."""
    top, _, child, epoch = family(book)
    book.decide(child, epoch)
    own = book.do(records.drive_of, child)["lineage"]
    above = book.do(records.drive_of, top)["lineage"]
    assert own[1:] == above and len(own) == 2
    made = book.do(forks.fork_run, child, 3).run
    again = book.do(forks.fork_run, made, 3).run
    for fork in (made, again):
        assert (book.run(fork)["parent_no"], book.run(fork)["depth"]) == (None, book.run(child)["depth"]) == (None, 1)
        assert book.do(records.drive_of, fork)["lineage"] == own
        with open_reader(book.path) as reader:
            assert seen_by(reader, fork)["lineage"] == own, "a replay without a server sees the same"
    with open_reader(book.path) as reader:
        assert (sources_of(reader, again), sources_of(reader, child)) == ([made, child], [])
    other = book.do(forks.fork_run, child, 1, input="else").run
    lineage = book.do(records.drive_of, other)["lineage"]
    assert lineage[1:] == above and lineage[0] not in own
    sound(book)


def test_a_fork_starts_no_deeper_child_than_its_source_could(book: Book) -> None:
    run_id, epoch = book.driven(0)
    for depth in range(1, DEPTH_LIMIT + 1):
        run_id = start_child(book, run_id, epoch, 0, "agent", depth)
        epoch = book.grant(run_id)
    made = book.do(forks.fork_run, run_id, 1).run
    fork_epoch = book.grant(made)
    for deep, lease in ((run_id, epoch), (made, fork_epoch)):
        book.refused(
            children.start_child, deep, lease, 0, "agent", "deeper", "f", by=UsageError, says="that is the limit"
        )


def test_a_fork_of_a_child_is_nobody_s_child(book: Book) -> None:
    """Its end is told to no parent, and its spending is its own: the family's caps do not stand in its way."""
    top, top_epoch, child, epoch = family(book)
    book.do(runs.end_run, child, epoch, "TERMINAL", "ok", None)
    before = book.purse(top)
    made = book.do(forks.fork_run, child, 1, caps={"tokens": 15}).run
    fork_epoch = book.grant(made)
    book.decide(made, fork_epoch, 0, PAID)
    assert (book.purse(made), book.purse(top)) == ((15, 0, 10, 0), before)
    book.do(runs.end_run, made, fork_epoch, "TERMINAL", "else", None)
    assert (book.run(top)["children"], book.run(top)["children_open"]) == (1, 0)
    assert [body["result"] for body in book.bodies("child_ended")] == ["ok"]
    book.do(runs.end_run, top, top_epoch, "TERMINAL", None, None)
    sound(book)


def test_a_fork_s_child_is_told_what_the_source_s_children_were(book: Book) -> None:
    top, top_epoch = book.driven("top")
    call(book, top, top_epoch, "x", "the parent's x")
    for ordinal, agent in enumerate(("clerk", "scout")):
        child = start_child(book, top, top_epoch, ordinal, agent)
        epoch = book.grant(child)
        call(book, child, epoch, "x", f"{agent}'s x")
        call(book, child, epoch, "y", f"{agent}'s y")
        book.do(runs.end_run, child, epoch, "TERMINAL", "ok", None)
    made = book.do(forks.fork_run, top, 1).run
    epoch = book.grant(made)
    assert held(book, made, epoch, "x") == "the parent's x", (
        "of a call with these arguments its own agent's comes first"
    )
    assert held(book, made, epoch, "y") == "scout's y", "then the newest"
    own = start_child(book, made, epoch, 0, "clerk")
    own_epoch = book.grant(own)
    assert book.run(own)["quarantine"] == 1
    assert [held(book, own, own_epoch, args) for args in ("x", "y", "never asked")] == [
        "clerk's x",
        "clerk's y",
        "clerk's y",
    ]
    deeper = start_child(book, own, own_epoch, 0, "scout")
    assert held(book, deeper, book.grant(deeper), "x") == "scout's x"
    sound(book)


def test_a_fork_of_a_fork_s_child_is_told_the_same(book: Book) -> None:
    top, top_epoch, child, epoch = family(book)
    call(book, child, epoch, "x", "in earnest")
    book.do(runs.end_run, child, epoch, "TERMINAL", "ok", None)
    made = book.do(forks.fork_run, top, 1).run
    own = start_child(book, made, book.grant(made), 0, "clerk", "below")
    assert held(book, own, book.grant(own), "x") == "in earnest"
    of_child = book.do(forks.fork_run, own, 1).run
    assert held(book, of_child, book.grant(of_child), "x") == "in earnest"
    del top_epoch
    sound(book)


def test_a_fork_of_a_child_that_waits_at_a_gate_is_asked_anew(book: Book) -> None:
    _, _, child, epoch = family(book)
    asked = gates.Gate("ok", 0, "pay?", ("approve", "deny"), "f", 60.0)
    book.do(gates.open_gate, child, epoch, asked)
    book.do(runs.park, child, epoch, ["gate ok 0"], "waiting")
    made = book.do(forks.fork_run, child, 2).run
    book.do(gates.answer_gate, child, gates.Answer("ok", "approve"))
    sql = "SELECT gate.status FROM gate JOIN run ON run.no = run_no WHERE run.id = ?"
    assert [book.row(sql, run)["status"] for run in (child, made)] == ["ANSWERED", "OPEN"]
    book.do(gates.answer_gate, made, gates.Answer("ok", "deny"))
    assert [book.row(sql, run)["status"] for run in (child, made)] == ["ANSWERED", "ANSWERED"]
    sound(book)
