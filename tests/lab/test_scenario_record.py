"""What a recorded scenario says of a person's decisions, from journals that are written verb by verb."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tape.core.config import Config, load_config
from tape.core.journal import claims, runs
from tape.core.journal.transaction import Tx, edit_run
from tape.core.journal.views import open_reader
from tape.core.server.orders import Order, journal_verb
from tape.lab.family import read_family
from tape.lab.scenario import How, Scenario, ScriptedOrder, Verb
from tape.lab.scenario_file import parse_scenario, write_scenario
from tape.lab.scenario_record import scenario_of
from tests.journal.book import BLIND, FAILED, UNDOABLE, Book


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "tape.yaml").write_text("name: t\nagent: app:agent\n")
    return load_config(tmp_path, {})


@pytest.fixture
def book(config: Config) -> Iterator[Book]:
    config.journal.parent.mkdir()
    made = Book(config.journal)
    yield made
    made.close()


def order(book: Book, config: Config, run: str, verb: str, **args: object) -> None:
    book.writer.apply(journal_verb(config, Order(verb, run, args, "me", "looked")))


def recorded(book: Book, config: Config, run: str) -> Scenario:
    """As it comes back from its file."""
    with open_reader(book.path) as reader:
        scenario = scenario_of(config, read_family(reader, run))
    return parse_scenario(write_scenario(scenario).encode(), "x", None)


def test_an_act_that_is_undone_on_the_way(book: Book, config: Config) -> None:
    """While the run is driven it is held where the act ended, so that it has not come to its end by then."""
    run, epoch = book.driven()
    book.end(run, epoch, book.begin(run, epoch))
    key = book.begin(run, epoch, UNDOABLE, 1)
    book.end(run, epoch, key)
    order(book, config, run, "resolve", key=key, how="undo", result=None)
    book.undo(run, f"{key}/undo/1")
    book.do(runs.end_run, run, epoch, "TERMINAL", None, None)
    assert recorded(book, config, run).orders == (
        ScriptedOrder("effect.ended", Verb.RESOLVE, 2, key="-/1/tool", how=How.UNDO, reason="looked"),
    )


def contradict(tx: Tx, run_id: str, key: str) -> None:
    run = edit_run(tx, run_id)
    claims.open_conflict(run, key, "it has acted", None)
    run.save()


def test_conflicts_are_closed_last(book: Book, config: Config) -> None:
    run, epoch = book.driven()
    key = book.begin(run, epoch, BLIND)
    book.end(run, epoch, key, ending=FAILED)
    book.do(contradict, run, key)
    order(book, config, run, "resolve", key=key, how="close", result=None)
    order(book, config, run, "cancel")
    book.do(runs.end_run, run, epoch, "TERMINAL", None, None)
    assert [(found.on, found.nth, found.do, found.how) for found in recorded(book, config, run).orders] == [
        ("RUNNING", 1, Verb.CANCEL, None),
        ("conflict_opened", 1, Verb.RESOLVE, How.CLOSE),
    ]
