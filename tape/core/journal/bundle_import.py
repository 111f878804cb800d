"""A bundle becomes a journal of its own, which nobody ever drives: its `meta` row `imported` says so.

A bundle comes from somebody else: everything about it is checked before a file appears, and the whole journal is
audited before it gets its name.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import orjson

from tape.core.journal import dialect
from tape.core.journal.audit import audit
from tape.core.journal.audit_facts import Severity
from tape.core.journal.blobs import rightly_named
from tape.core.journal.bundle import COLUMNS, Row, Tables
from tape.core.journal.imported import IMPORTED
from tape.core.journal.schema import APPLICATION_ID, SCHEMA_VERSION
from tape.core.journal.tables import TABLES
from tape.core.journal.views import open_reader
from tape.core.kernel.errors import JournalUnavailable, TapeError, UsageError, one_line
from tape.core.kernel.identity import INT_LIMIT, chain_hash, chained_text
from tape.core.text import show

RUN_ID = r"r-[0-9a-hjkmnp-tv-z]{12}"
SAID_CHARACTERS = 300
_HEX = r"(?:[0-9a-f]{2})*"


def run_of(bundle: Mapping[str, Any], shown: str) -> str:
    """The run's id, which names the new journal. Raises UsageError."""
    run_id = bundle.get("run")
    if not isinstance(run_id, str) or not re.fullmatch(RUN_ID, run_id):
        raise UsageError(f"{shown}: {str(run_id)[:40]!r} is no run's id")
    return run_id


def import_bundle(bundle: Mapping[str, Any], target: Path, shown: str) -> None:
    """Writes the bundle's run into a new journal at `target`.

    Raises UsageError for a bundle that does not hold together, or a `target` that exists: then nothing is written.
    """
    run_id = run_of(bundle, shown)
    tables = _tables(bundle, shown)
    _check_run(tables, run_id, shown)
    _check_chain(tables, shown)
    _check_values(tables, shown)
    for taken in (target, *(target.with_name(f"{target.name}{end}") for end in ("-wal", "-journal"))):
        if os.path.lexists(taken):
            raise UsageError(f"{taken} exists already: look at it, remove it, or name another file with --journal")
    partial = target.with_name(f".{target.name}.partial")
    if os.path.lexists(partial):
        raise UsageError(f"{partial} is left of an import that was ended: remove it first")
    facts = {name: bundle.get(name) for name in ("run", "release", "values", "redacted")}
    try:
        _write(partial, tables, orjson.dumps(facts).decode(), shown)
        _audit(partial, shown)
        _give_name(partial, target)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()


def _give_name(partial: Path, target: Path) -> None:
    try:
        os.link(partial, target)  # unlike a renaming, it never takes another file's place
    except FileExistsError:
        raise UsageError(f"{target} exists already: name another file with --journal") from None
    except OSError as error:
        raise JournalUnavailable(f"cannot write {target}: {error.strerror}") from None


# --- shapes ---------------------------------------------------------------------------------------------------


def _tables(bundle: Mapping[str, Any], shown: str) -> Tables:
    if bundle.get("values") not in ("whole", "hashed") or not isinstance(bundle.get("redacted"), bool):
        raise UsageError(f"{shown}: it does not say what was redacted")
    tables = bundle.get("tables")
    if not isinstance(tables, dict):
        raise UsageError(f"{shown}: it has no tables")
    given = cast("dict[str, Any]", tables)
    for name in given:
        if name not in COLUMNS:
            raise UsageError(f"{shown}: no table is called {name[:40]!r}")
    return {name: _rows(name, given.get(name, []), shown) for name in COLUMNS}


def _rows(table: str, rows: Any, shown: str) -> list[Row]:
    if not isinstance(rows, list):
        raise UsageError(f"{shown}: its table {table} is no list of rows")
    return [_row(table, row, at, shown) for at, row in enumerate(cast("list[Any]", rows))]


def _row(table: str, row: Any, at: int, shown: str) -> Row:
    columns = COLUMNS[table]
    if not isinstance(row, dict) or cast("Row", row).keys() != columns.keys():
        raise UsageError(f"{shown}: row {at} of {table} does not have the columns of that table")
    checked: Row = {}
    for name, value in cast("Row", row).items():
        kind, nullable = columns[name]
        if value is None and nullable:
            checked[name] = None
        elif kind == "INTEGER" and type(value) is int and -INT_LIMIT <= value < INT_LIMIT:
            checked[name] = value
        elif kind == "BLOB" and isinstance(value, str) and re.fullmatch(_HEX, value):
            checked[name] = bytes.fromhex(value)
        elif kind in ("VARCHAR", "TEXT") and isinstance(value, str) and "\0" not in value:
            checked[name] = value
        else:
            raise UsageError(f"{shown}: row {at} of {table} cannot have {str(value)[:40]!r} as its {name}")
    return checked


# --- the run --------------------------------------------------------------------------------------------------


def _check_run(tables: Tables, run_id: str, shown: str) -> None:
    if len(tables["run"]) != 1 or tables["run"][0]["id"] != run_id:
        raise UsageError(f"{shown}: it must hold the run {run_id} and no other")
    number = tables["run"][0]["no"]
    for name, rows in tables.items():
        loose = {None} if name == "entry" else set[Any]()
        if any("run_no" in row and row["run_no"] not in {number, *loose} for row in rows):
            raise UsageError(f"{shown}: its table {name} holds rows of another run")
    for what, found in (
        ("entries have the id", [row["id"] for row in tables["entry"]]),
        ("entries have the seq", [row["seq"] for row in tables["entry"] if row["seq"] is not None]),
    ):
        twice = [value for value, times in Counter(found).items() if times > 1]
        if twice:
            raise UsageError(f"{shown}: two {what} {twice[0]}")


def _check_chain(tables: Tables, shown: str) -> None:
    head = b""
    for row in sorted(tables["entry"], key=lambda row: row["id"]):
        text = chained_text(row["seq"], row["kind"], row["epoch"], row["at_us"], row["body"])
        loose = row["run_no"] is None
        if chain_hash(b"" if loose else head, text) != row["hash"]:
            raise UsageError(f"{shown}: the hash chain breaks at entry {row['id']}: it was changed after its export")
        head = head if loose else row["hash"]
    if tables["run"][0]["head"] != head:
        raise UsageError(f"{shown}: the hash chain does not end where the run says: entries are missing")


def _check_values(tables: Tables, shown: str) -> None:
    """No chain covers the values, but true names do: lists under them cannot lead back to themselves."""
    wrong = [row["hash"] for row in tables["blob"] if not rightly_named(row["hash"], row["body"])]
    if wrong:
        raise UsageError(f"{shown}: the value {show(wrong[0], SAID_CHARACTERS)} does not fit its name: it was changed")


# --- the journal ----------------------------------------------------------------------------------------------


def _write(path: Path, tables: Tables, facts: str, shown: str) -> None:
    dialect.prepare_file(path)
    try:
        connection = sqlite3.connect(path, isolation_level=None)
    except sqlite3.Error as error:
        raise dialect.unavailable(path, error) from None
    try:
        connection.execute("PRAGMA trusted_schema=OFF")
        connection.execute("BEGIN IMMEDIATE")
        for statement in dialect.create_statements(TABLES):
            connection.execute(statement)
        for name, rows in tables.items():
            _insert(connection, name, list(COLUMNS[name]), rows)
        _insert(connection, "meta", ["name", "value"], [{"name": IMPORTED, "value": facts}])
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except sqlite3.IntegrityError as error:
        raise UsageError(f"{shown}: its rows do not fit together: {error}") from None
    except sqlite3.Error as error:
        raise dialect.unavailable(path, error) from None
    finally:
        connection.close()


def _insert(connection: sqlite3.Connection, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
    names, places = ", ".join(f'"{name}"' for name in columns), ", ".join(f":{name}" for name in columns)
    connection.executemany(f'INSERT INTO "{table}" ({names}) VALUES ({places})', rows)


def _audit(path: Path, shown: str) -> None:
    """The journal as `tape doctor` would look at it."""
    try:
        with open_reader(path) as reader:
            findings = audit(reader).findings
    except TapeError as error:
        raise UsageError(f"{shown}: no journal can be made of it: {show(one_line(error), SAID_CHARACTERS)}") from None
    wrong = [finding.what for finding in findings if finding.severity is Severity.ERROR]
    if wrong:
        more = f" (and {len(wrong) - 1} more)" if wrong[1:] else ""
        raise UsageError(f"{shown}: it does not hold together: {show(wrong[0], SAID_CHARACTERS)}{more}")
