"""Numbered, upward only. A journal of an older release is migrated under the lock after a backup; a newer one is
refused and not touched (invariant I15)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from tape.core.clock import Clock
from tape.core.journal import dialect
from tape.core.journal.imported import refuse_imported
from tape.core.journal.schema import APPLICATION_ID, SCHEMA_VERSION
from tape.core.journal.tables import TABLES, BlobRow, CapWaitRow, GateRow, ReservationRow
from tape.core.kernel.errors import JournalUnavailable, SchemaTooNew

Migration = Callable[[sqlite3.Connection], None]


def _create(connection: sqlite3.Connection) -> None:
    for statement in dialect.create_statements(TABLES):
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def _from_1_to_2(connection: sqlite3.Connection) -> None:
    """Gates, budgets that hold, child runs, forks, values by hash. No release of version 1 wrote a gate."""
    for statement in _TO_2:
        connection.execute(statement)
    connection.execute("DROP TABLE gate")
    for statement in dialect.create_statements((GateRow, ReservationRow, BlobRow, CapWaitRow)):
        connection.execute(statement)


_TO_2 = (
    "ALTER TABLE run ADD COLUMN parent_no INTEGER",
    "ALTER TABLE run ADD COLUMN parent_ordinal INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE run ADD COLUMN depth INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE run ADD COLUMN source_id VARCHAR",
    "ALTER TABLE run ADD COLUMN source_seq INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE run ADD COLUMN quarantine INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE run ADD COLUMN children INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE run ADD COLUMN children_open INTEGER NOT NULL DEFAULT 0",
    "CREATE INDEX run_parent ON run (parent_no) WHERE parent_no IS NOT NULL",
    "ALTER TABLE effect ADD COLUMN awaited INTEGER NOT NULL DEFAULT 1",
    "ALTER TABLE effect ADD COLUMN inherited INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE budget ADD COLUMN lost INTEGER NOT NULL DEFAULT 0",
    "CREATE INDEX effect_open ON effect (run_no) WHERE status IN ('PENDING', 'UNKNOWN')",
    "CREATE INDEX obligation_open ON obligation (run_no) WHERE status IN ('DUE', 'CLAIMED', 'STUCK')",
    "ALTER TABLE run ADD COLUMN caps_known INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE effect ADD COLUMN cost_micro INTEGER",
    "ALTER TABLE effect ADD COLUMN timeout_us INTEGER",
    "ALTER TABLE obligation ADD COLUMN ordered INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE run ADD COLUMN gated INTEGER NOT NULL DEFAULT 0",
)

MIGRATIONS: tuple[Migration, ...] = (_create, _from_1_to_2)
"""MIGRATIONS[n] takes a journal from version n to n + 1; the first one makes a fresh file as the newest version has it,
and the others are for what older releases left behind."""

_NEWEST = len(MIGRATIONS)


def check_version(path: Path, version: int) -> None:
    """Raises SchemaTooNew for a journal that a newer release wrote."""
    if version > SCHEMA_VERSION:
        raise SchemaTooNew(
            f"the journal {path} has schema {version}, this release knows {SCHEMA_VERSION}: "
            "upgrade tape-agents, or set TAPE_JOURNAL to another file; it was not touched"
        )


def refuse_foreign(path: Path) -> None:
    """Looks, read-only, before anything is written: raises SchemaTooNew for a newer release's journal, and
    JournalUnavailable for what is no journal, or one that was imported."""
    if not path.exists():
        return
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            version, application, tables = (
                connection.execute(text).fetchone()[0]
                for text in ("PRAGMA user_version", "PRAGMA application_id", "SELECT count(*) FROM sqlite_master")
            )
            if application == APPLICATION_ID and 0 < version <= SCHEMA_VERSION:
                refuse_imported(path, connection)
    except sqlite3.Error as error:
        raise dialect.unavailable(path, error) from None
    if tables and application != APPLICATION_ID:
        raise JournalUnavailable(
            f"{path} is another program's database, not a journal: set TAPE_JOURNAL to another file; it was not touched"
        )
    check_version(path, version)


def migrate(connection: sqlite3.Connection, path: Path, clock: Clock, migrations: tuple[Migration, ...]) -> int:
    """Brings the journal to the newest version: one transaction after a backup. Returns the version it had. A failure
    or a kill in the middle leaves the old version as it was."""
    if _version(connection) == len(migrations):
        return len(migrations)
    if _version(connection) > 0:
        backup(connection, path.with_name(f"{path.name}.v{_version(connection)}-{clock.wall_us()}.backup"))
    connection.execute("BEGIN IMMEDIATE")
    try:
        found = _version(connection)  # again: another process may have migrated it before this one got the lock
        if found > len(migrations):
            raise SchemaTooNew(f"the journal {path} has schema {found}, this release knows {len(migrations)}")
        done = found
        if not found:
            migrations[0](connection)
            done = _NEWEST
        for migration in migrations[done:]:
            migration(connection)
        connection.execute(f"PRAGMA user_version = {len(migrations)}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return found


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def backup(connection: sqlite3.Connection, target: Path) -> None:
    """A whole copy by VACUUM INTO, readable by the owner only. The journal's file itself is never opened by hand."""
    dialect.prepare_file(target)
    connection.execute("VACUUM INTO ?", (str(target),))
