"""Each test's journal is checked against the invariants when the test is over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journal import invariants
from tests.journal.book import Book
from tests.reactors.desk import Hosts


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    journal = Book(tmp_path / "tape" / "dev.db")
    yield journal
    invariants.check(journal.writer.connection)
    journal.close()


@pytest.fixture
def hosts(book: Book) -> Iterator[Hosts]:
    made = Hosts(book)
    yield made
    made.close()
