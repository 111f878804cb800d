"""A journal that an older release wrote opens, is migrated, and reads the same for ever (invariant I15)."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tape.core.journal import records, runs
from tape.core.journal.schema import SCHEMA_VERSION
from tape.core.kernel.events import BY_KIND, from_json
from tests.journal import invariants
from tests.journal.book import Book
from tests.journal.golden import make

VERSIONS = sorted(path.stem for path in make.HERE.glob("v*.sql"))


@pytest.fixture(params=VERSIONS)
def golden(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Book, dict[str, list[dict[str, object]]]]:
    path = tmp_path / "dev.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((make.HERE / f"{request.param}.sql").read_text())
    expected = json.loads((make.HERE / f"{request.param}.json").read_text())
    book = Book(path)
    book.clock.advance(10_000)  # the clock goes on after the story's end, and so do the ids it gives
    book.clock.drawn = 1_000
    return book, expected


def test_there_is_one_for_every_version() -> None:
    assert [f"v{number}" for number in range(1, SCHEMA_VERSION + 1)] == VERSIONS


def test_it_reads_the_same(golden: tuple[Book, dict[str, list[dict[str, object]]]]) -> None:
    book, expected = golden
    assert make.reading(book) == expected
    invariants.check(book.writer.connection)
    for entry in expected["entries"]:
        body = entry["body"]
        assert isinstance(body, dict) and str(entry["kind"]) in BY_KIND
        event = from_json(str(entry["kind"]), body)
        assert {name: getattr(event, name) for name in body} == body
    book.close()


def test_every_state_is_in_it(golden: tuple[Book, dict[str, list[dict[str, object]]]]) -> None:
    book, expected = golden
    assert {run["status"] for run in expected["runs"]} == {
        *("RUNNABLE", "RUNNING", "WAITING", "STUCK", "COMPENSATING", "TERMINAL", "FAILED", "CANCELLED")
    }
    assert {effect["status"] for effect in expected["effects"]} == {"PENDING", "UNKNOWN", "CONFIRMED", "FAILED"}
    book.close()


def test_it_goes_on_from_there(golden: tuple[Book, dict[str, list[dict[str, object]]]]) -> None:
    book, expected = golden
    for run in expected["runs"]:
        run_id = str(run["id"])
        if run["status"] == "RUNNABLE":
            drive = book.do(records.drive_of, run_id)
            assert len(drive["records"]) == run["seq"]
            epoch = book.again(run_id)
            book.do(records.attach, run_id, epoch, [])
            book.do(runs.end_run, run_id, epoch, "FAILED", None, None)
    assert book.start("not begun", start_key="monday") == next(
        str(row["id"]) for row in book.rows("SELECT id FROM run WHERE start_key = 'monday'")
    )
    invariants.check(book.writer.connection)
    book.close()
