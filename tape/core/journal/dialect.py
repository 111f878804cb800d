"""All that depends on the database: how a connection is opened, and how statements are compiled.

Statements are compiled once from the SQLModel tables and run on the DBAPI connection (a Session would be 18 times
slower). Compiling skips SQLAlchemy's bind processors, so a statement that would need one is refused here.
"""

from __future__ import annotations

import os
import sqlite3
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Table, bindparam, insert, select, update
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlmodel import SQLModel

from tape.core.kernel.errors import JournalError, JournalUnavailable

_DIALECT = sqlite.dialect(paramstyle="named")
BUSY_SECONDS = 5.0
_PLAIN_TYPES = frozenset({"INTEGER", "VARCHAR", "BLOB", "TEXT"})


def table_of(model: type[SQLModel]) -> Table:
    return model.__table__  # type: ignore[attr-defined]


def _compiled(statement: Any) -> str:
    compiled = statement.compile(dialect=_DIALECT)
    if compiled._bind_processors:
        raise AssertionError(f"needs bind processors, which compiled statements bypass: {compiled}")
    return str(compiled)


class Statements:
    """SQL text by shape, compiled on first use and kept."""

    def __init__(self) -> None:
        self._insert: dict[type[SQLModel], str] = {}
        self._update: dict[tuple[type[SQLModel], tuple[str, ...], tuple[str, ...]], str] = {}
        self._select: dict[tuple[type[SQLModel], tuple[str, ...]], str] = {}

    def insert(self, model: type[SQLModel]) -> str:
        """All columns by name, but an integer primary key that the database gives."""
        text = self._insert.get(model)
        if text is None:
            table = table_of(model)
            values: dict[str, Any] = {
                column.name: bindparam(column.name) for column in table.columns if not _given(table, column)
            }
            text = self._insert[model] = _compiled(insert(table).values(**values))
        return text

    def update(self, model: type[SQLModel], sets: tuple[str, ...], wheres: tuple[str, ...]) -> str:
        """`SET column = :column WHERE column = :w_column`."""
        text = self._update.get((model, sets, wheres))
        if text is None:
            table = table_of(model)
            statement = update(table).values({name: bindparam(name) for name in sets})
            for name in wheres:
                statement = statement.where(table.c[name] == bindparam(f"w_{name}"))
            text = self._update[model, sets, wheres] = _compiled(statement)
        return text

    def select(self, model: type[SQLModel], wheres: tuple[str, ...]) -> str:
        text = self._select.get((model, wheres))
        if text is None:
            table = table_of(model)
            statement = select(table)
            for name in wheres:
                statement = statement.where(table.c[name] == bindparam(name))
            statement = statement.order_by(*table.primary_key.columns)
            text = self._select[model, wheres] = _compiled(statement)
        return text


def _given(table: Table, column: Column[Any]) -> bool:
    keys = list(table.primary_key.columns)
    return len(keys) == 1 and keys[0] is column and str(column.type) == "INTEGER"


@cache
def create_statements(models: tuple[type[SQLModel], ...]) -> tuple[str, ...]:
    """DDL of the whole schema, in order. Compiled once: it takes longer than to run it."""
    texts: list[str] = []
    for model in models:
        table = table_of(model)
        for column in table.columns:
            if str(column.type) not in _PLAIN_TYPES:
                raise AssertionError(f"{table.name}.{column.name}: {column.type} is no plain type")
        texts.append(str(CreateTable(table).compile(dialect=_DIALECT)).strip())
        texts.extend(
            str(CreateIndex(index).compile(dialect=_DIALECT)).strip()
            for index in sorted(table.indexes, key=lambda index: str(index.name))
        )
    return tuple(texts)


def prepare_file(path: Path) -> None:
    """Makes the folder (0700) and the empty file (0600) before SQLite opens it; -wal and -shm take its mode."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        else:
            os.chmod(path, 0o600)
    except OSError as error:
        raise JournalUnavailable(
            f"cannot create the journal {path}: {error.strerror}; make the folder writable or set TAPE_JOURNAL"
        ) from None


def connect(path: Path) -> sqlite3.Connection:
    """The writing connection: WAL, synchronous FULL (survives power loss), foreign keys on, no trusted schema."""
    try:
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        raise unavailable(path, error) from None
    try:
        connection.row_factory = sqlite3.Row
        mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
        if mode != "wal":
            raise sqlite3.OperationalError(f"its file system offers no write-ahead log (journal mode {mode})")
        for pragma in (
            "synchronous=FULL",
            "foreign_keys=ON",
            "trusted_schema=OFF",
            "cell_size_check=ON",
        ):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        connection.close()
        raise unavailable(path, error) from None
    return connection


def is_busy(error: sqlite3.Error) -> bool:
    """True if another connection held the lock for as long as the busy timeout."""
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY


def unavailable(path: Path, error: sqlite3.Error) -> JournalError:
    """The one line for a journal that SQLite cannot use now."""
    text = str(error)
    hints = {
        "database or disk is full": "the disk is full; free some space, nothing recorded is lost",
        "attempt to write a readonly database": "it is read-only; make the file and its folder writable",
        "unable to open database file": "it cannot be opened; check that the folder exists and is writable",
        "file is not a database": "it is no journal; move it away or set TAPE_JOURNAL",
        "database disk image is malformed": "it is damaged; restore a backup, or move it away to start afresh",
        "disk I/O error": "the disk reports an error; nothing acknowledged is lost, see `tape doctor`",
        "database is locked": "another process holds it; stop that process and try again",
    }
    hint = next((hints[known] for known in hints if known in text), text)
    return JournalUnavailable(f"the journal {path} cannot be used: {hint}")
