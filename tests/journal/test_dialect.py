"""Statements are compiled once and bypass bind processors: what would need one is refused at once."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Any

import pytest
from sqlalchemy import JSON, Column, MetaData
from sqlmodel import Field, SQLModel

from tape.core.journal.dialect import Statements, create_statements, table_of
from tape.core.journal.schema import has_wal_reset_race
from tape.core.journal.tables import TABLES, EffectRow, EntryRow, RunRow
from tape.core.kernel.lifecycle import EffectStatus, RunStatus
from tape.core.kernel.resolution import Step
from tests.journal.book import Book


class Colour(Enum):
    RED = "red"


class Apart(SQLModel):
    """Test tables stay out of the schema."""

    metadata = MetaData()


class WithTime(Apart, table=True):
    no: int = Field(primary_key=True)
    at: datetime


class WithJson(Apart, table=True):
    no: int = Field(primary_key=True)
    body: Any = Field(sa_column=Column(JSON))


class WithEnum(Apart, table=True):
    no: int = Field(primary_key=True)
    colour: Colour


class WithBool(Apart, table=True):
    no: int = Field(primary_key=True)
    flag: bool


NEEDY = [WithTime, WithJson, WithEnum, WithBool]


@pytest.mark.parametrize("model", NEEDY)
def test_columns_that_need_a_bind_processor_are_refused(model: type[SQLModel]) -> None:
    column = table_of(model).columns.keys()[1]
    for shape in (
        lambda: Statements().insert(model),
        lambda: Statements().update(model, (column,), ("no",)),
        lambda: Statements().select(model, (column,)),
    ):
        with pytest.raises(AssertionError, match="bind processors"):
            shape()
    with pytest.raises(AssertionError, match="no plain type"):
        create_statements((model,))


def test_all_our_tables_compile() -> None:
    statements = Statements()
    for model in TABLES:
        columns = tuple(table_of(model).columns.keys())
        statements.insert(model)
        statements.update(model, columns, columns)
        statements.select(model, columns)


def test_statements_are_kept() -> None:
    statements = Statements()
    assert statements.insert(EntryRow) is statements.insert(EntryRow)
    assert statements.update(RunRow, ("seq",), ("no",)) is statements.update(RunRow, ("seq",), ("no",))
    assert statements.update(RunRow, ("seq",), ("no",)) != statements.update(RunRow, ("seq",), ("no", "seq"))


def test_the_database_gives_an_entrys_id_and_nothing_else() -> None:
    assert ":id" not in Statements().insert(EntryRow)
    assert ":run_no" in Statements().insert(EffectRow), "half of a key is given by the verb"


@pytest.mark.parametrize(
    ("table", "column", "values"),
    [("run", "status", RunStatus), ("effect", "status", EffectStatus), ("effect", "step", ["", *Step])],
)
def test_checks_know_every_status_and_no_other(book: Book, table: str, column: str, values: Any) -> None:
    sql = book.row("SELECT sql FROM sqlite_master WHERE name = ?", table)[0]
    assert f"CHECK ({column} IN ({', '.join(repr(str(value)) for value in values)}))" in sql


def test_connections_are_durable_and_careful(book: Book) -> None:
    pragmas = {name: book.row(f"PRAGMA {name}")[0] for name in ("journal_mode", "synchronous", "foreign_keys")}
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
    assert book.row("PRAGMA trusted_schema")[0] == 0


@pytest.mark.parametrize(
    ("version", "race"),
    [
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 45, 0), True),
        ((3, 50, 6), True),
        ((3, 50, 7), False),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((4, 0, 0), False),
    ],
)
def test_releases_with_the_wal_reset_race(version: tuple[int, ...], race: bool) -> None:
    assert has_wal_reset_race(version) is race
