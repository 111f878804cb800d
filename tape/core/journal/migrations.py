"""Numbered, upward only. A journal of an older release is migrated under the lock after a backup; a newer one is
refused and not touched (invariant I15)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from tape.core.clock import Clock
from tape.core.journal import dialect
from tape.core.journal.tables import SCHEMA_VERSION, TABLES
from tape.core.kernel.errors import SchemaTooNew

APPLICATION_ID = 0x54415045  # "TAPE"

Migration = Callable[[sqlite3.Connection], None]


def _create(connection: sqlite3.Connection) -> None:
    for statement in dialect.create_statements(TABLES):
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")


MIGRATIONS: tuple[Migration, ...] = (_create,)
"""MIGRATIONS[n] takes a journal from version n to n + 1."""


def check_version(path: Path, version: int) -> None:
    """Raises SchemaTooNew for a journal that a newer release wrote."""
    if version > SCHEMA_VERSION:
        raise SchemaTooNew(
            f"the journal {path} has schema {version}, this release knows {SCHEMA_VERSION}: "
            "upgrade tape-agents, or set TAPE_JOURNAL to another file; it was not touched"
        )


def migrate(connection: sqlite3.Connection, path: Path, clock: Clock, migrations: tuple[Migration, ...]) -> int:
    """Brings the journal to the newest version: one transaction after a backup. Returns the version it had."""
    found = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if found > len(migrations):
        check_version(path, found)
    if found == len(migrations):
        return found
    if found > 0:
        backup(connection, path.with_name(f"{path.name}.v{found}-{clock.wall_us()}.backup"))
    connection.execute("BEGIN IMMEDIATE")
    try:
        for number in range(found, len(migrations)):
            migrations[number](connection)
        connection.execute(f"PRAGMA user_version = {len(migrations)}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    return found


def backup(connection: sqlite3.Connection, target: Path) -> None:
    """A whole copy by VACUUM INTO, readable by the owner only. The journal's file itself is never opened by hand."""
    dialect.prepare_file(target)
    connection.execute("VACUUM INTO ?", (str(target),))
