"""When a family of runs has come to rest, and what a person is asked about it. Without processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tape.core.journal import gates, runs
from tape.core.journal.gates import Gate
from tape.core.journal.shapes import Need, NeedKind
from tape.core.journal.views import open_reader
from tape.core.kernel.resolution import Answer
from tape.lab.family import Family, read_family
from tape.lab.good import good_of
from tape.lab.hearing import Hearing
from tape.lab.person import Person
from tape.lab.rest import due_us, still
from tape.lab.scenario import How
from tests.journal.book import BLIND, LOOK_UP, Book
from tests.lab.test_families import act, effect_of, outcome


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    journal = Book(tmp_path / "tape" / "dev.db")
    yield journal
    journal.close()


def family_of(book: Book, run_id: str) -> Family:
    with open_reader(book.path) as reader:
        return read_family(reader, run_id)


def needs_of(book: Book) -> list[Need]:
    with open_reader(book.path) as reader:
        return reader.needs()


def parked(book: Book, **gate: Any) -> str:
    """A run that waits at a gate."""
    run_id, epoch = book.driven()
    book.do(gates.open_gate, run_id, epoch, Gate("ok", 0, "?", ("yes", "no"), "f", **gate))
    book.do(runs.park, run_id, epoch, ["gate ok 0"], "waiting")
    return run_id


def test_a_run_that_waits_for_its_look_up_is_not_at_rest(book: Book) -> None:
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch, LOOK_UP)
    assert not still(family_of(book, run_id)), "it is driven"
    book.die(run_id)
    assert book.status(run_id) == "WAITING"
    assert not still(family_of(book, run_id)), "the reconciler is to ask"
    book.observe(run_id, key, Answer.PRESENT)
    assert not still(family_of(book, run_id)), "it is to be driven on"


def test_a_run_that_waits_for_a_person_is_at_rest(book: Book) -> None:
    gated = family_of(book, parked(book))
    assert still(gated) and not [*due_us(gated)]


def test_a_parent_rests_when_its_children_do(book: Book) -> None:
    parent = parked(book)
    child = book.child(parent)
    assert not still(family_of(book, parent)), "its child is about to be driven"
    inner = book.grant(child)
    book.begin(child, inner, BLIND)
    assert not still(family_of(book, parent)), "its child works"
    book.die(child)
    assert book.status(child) == "STUCK"
    assert still(family_of(book, parent)), "its child needs a person"


def test_a_deadline_is_due(book: Book) -> None:
    timed = parked(book, seconds=1, on_timeout="no")
    assert [*due_us(family_of(book, timed))] == [book.clock.wall_us() + 1_000_000]


def test_a_child_that_is_stuck_is_heard_of(book: Book) -> None:
    heard = Hearing(lambda: 0)
    parent = parked(book)
    child = book.child(parent)
    book.begin(child, book.grant(child), BLIND)
    book.die(child)
    with open_reader(book.path) as reader:
        heard.voice().entries(reader.entries())
    heard.drain()
    assert heard.stuck == {child}
    assert heard.family(parent) == {parent, child}


def test_a_person_decides_about_a_child(book: Book, tmp_path: Path) -> None:
    """By what the ledger holds of the child's own effect, and with what the child's twin was told."""
    parent = parked(book)
    child = book.child(parent)
    book.begin(child, book.grant(child), BLIND)
    book.die(child)
    family, needs = family_of(book, parent), needs_of(book)
    assert [need.kind for need in needs if need.run_id == child] == [NeedKind.EFFECT]
    twin = Book(tmp_path / "good" / "dev.db")
    parent = parked(twin)
    child = twin.child(parent)
    epoch = twin.grant(child)
    twin.end(child, epoch, twin.begin(child, epoch, BLIND))
    person = Person(good_of(outcome(family_of(twin, parent)), None))
    twin.close()
    (retry,) = person.decide((0,), family, needs, {"bank": ()})
    (confirm,) = person.decide((0,), family, needs, {"bank": (act(effect_of(family)),)})
    assert (retry.how, retry.key) == (How.RETRY, "-/0/tool")
    assert (confirm.how, confirm.result) == (How.CONFIRM, {"ok": 1})
    assert person.decide((), family, needs, {"bank": ()}) == []
