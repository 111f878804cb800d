"""What became of a run with children, as a scenario: what is counted is counted over all of them. Without processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tape.core.config import Config, load_config
from tape.core.journal import claims, runs, workers
from tape.core.journal.claims import open_conflict
from tape.core.journal.transaction import edit_run
from tape.core.journal.views import open_reader
from tape.core.kernel.errors import UsageError
from tape.core.kernel.events import PointReached
from tape.core.kernel.points import Death
from tape.lab.expectations import misses
from tape.lab.family import read_family
from tape.lab.outcome import Outcome
from tape.lab.recorded import recorded_run
from tape.lab.scenario import Count, Expect, How, Scenario, Verb
from tape.lab.scenario_record import scenario_of
from tests.journal.book import BLIND, IDEMPOTENT, Book
from tests.lab.test_families import outcome

ENDED = {"outcome": "TERMINAL", "result": "paid", "error": None}


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    journal = Book(tmp_path / "tape" / "dev.db")
    yield journal
    journal.close()


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "tape.yaml").write_text("name: t\nagent: app:agent\n")
    return load_config(tmp_path, {})


def driven_child(book: Book) -> tuple[str, int, str, int]:
    parent, epoch = book.driven()
    book.ask(parent, epoch)
    book.decide(parent, epoch)
    child = book.child(parent)
    return parent, epoch, child, book.grant(child)


def end(book: Book, *driven: tuple[str, int]) -> None:
    for run_id, epoch in driven:
        book.do(runs.end_run, run_id, epoch, **ENDED)


def came(book: Book, run_id: str) -> Outcome:
    with open_reader(book.path) as reader:
        return outcome(read_family(reader, run_id), entries=tuple(reader.entries()))


def missed(found: Outcome, **expected: Count) -> list[str]:
    return [miss.sentence for miss in misses(Scenario("s", expect=Expect(**expected)), found)]


def test_what_is_recorded_holds_for_what_was_recorded(book: Book, config: Config) -> None:
    """A child that died once, and was asked twice: leases, asks and decisions are those of both."""
    parent, epoch, child, inner = driven_child(book)
    book.ask(child, inner)
    worker = book.run(child)["worker_no"]
    reached = PointReached(point="decision.replied", death=Death.KILL, worker=worker, pid=100, order=None)
    book.do(workers.reach_point, child, reached)
    book.die(child)
    inner = book.again(child)
    book.ask(child, inner)
    book.decide(child, inner)
    end(book, (child, inner), (parent, epoch))
    found = came(book, parent)
    told = scenario_of(config, found.family)
    assert [(kill.at, kill.nth) for kill in told.kill] == [("decision.replied", 2)]
    assert (told.expect.leases, told.expect.asks) == (Count.exactly(3), Count.exactly(3))
    assert told.expect.decisions == Count.exactly(2)
    assert misses(told, found) == ()


def test_conflicts_are_those_of_the_whole_story(book: Book) -> None:
    parent, epoch, child, inner = driven_child(book)
    key = book.begin(child, inner, IDEMPOTENT)
    book.end(child, inner, key)

    def conflict(tx: claims.Tx) -> None:
        run = edit_run(tx, child)
        open_conflict(run, key, "it is there twice", None)
        run.save()

    book.do(conflict)
    end(book, (child, inner), (parent, epoch))
    assert missed(came(book, parent), conflicts=Count.exactly(1)) == []
    assert missed(came(book, parent), conflicts=Count.exactly(0)) == ["scenario: conflicts: expected 0, found 1"]


def test_what_a_person_said_about_a_child_goes_by_its_tool(book: Book, config: Config) -> None:
    parent, epoch, child, inner = driven_child(book)
    book.do(runs.park, parent, epoch, ["child 0"], "waiting")
    key = book.begin(child, inner, BLIND)
    book.die(child)
    moves = len(book.bodies("run_moved"))
    args = {"key": key, "how": "fail", "result": None}
    book.do(workers.place_order, child, "resolve", args, "ann", "never sent")
    (order,) = scenario_of(config, came(book, parent).family).orders
    assert (order.on, order.nth, order.do) == ("run_moved", moves, Verb.RESOLVE)
    assert (order.tool, order.how, order.key) == ("tool", How.FAIL, None)
    book.do(workers.place_order, child, "cancel", {}, "ann", "enough")
    with pytest.raises(UsageError, match=f"{child}, a child, was told to cancel"):
        scenario_of(config, came(book, parent).family)


def test_a_run_with_children_is_not_played_from(book: Book) -> None:
    """A child would be answered with its parent's calls."""
    parent, epoch, child, inner = driven_child(book)
    end(book, (child, inner), (parent, epoch))
    with pytest.raises(UsageError, match="has started child runs, which its record does not play"):
        recorded_run(book.path, parent)
    assert recorded_run(book.path, child).agent == "agent"
