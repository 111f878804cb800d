"""An older journal is migrated whole or not at all, a newer or foreign one is not touched (invariant I15)."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from tape.core.clock import ManualClock
from tape.core.journal import dialect, migrations, writer
from tape.core.journal.migrations import MIGRATIONS, migrate
from tape.core.journal.schema import APPLICATION_ID, SCHEMA_VERSION
from tape.core.journal.writer import Writer
from tape.core.kernel.errors import JournalUnavailable, SchemaTooNew
from tests.journal.book import Book

GOLDEN = Path(__file__).with_name("golden")


def add_column(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE run ADD COLUMN later INTEGER NOT NULL DEFAULT 0")


def half_then_break(connection: sqlite3.Connection) -> None:
    add_column(connection)
    connection.execute("DROP TABLE gate")
    raise sqlite3.OperationalError("disk I/O error")


def half_then_killed(connection: sqlite3.Connection) -> None:
    add_column(connection)
    raise KeyboardInterrupt


def logical(path: Path) -> tuple[int, list[str]]:
    """The version and the whole text of a database."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute("PRAGMA user_version").fetchone()[0], list(connection.iterdump())


def journal(path: Path) -> str:
    book = Book(path)
    run_id = book.start()
    book.close()
    return run_id


def use(monkeypatch: pytest.MonkeyPatch, *more: migrations.Migration) -> None:
    monkeypatch.setattr(writer, "MIGRATIONS", (*MIGRATIONS, *more))
    monkeypatch.setattr(migrations, "SCHEMA_VERSION", SCHEMA_VERSION + len(more))


def test_a_fresh_journal_has_the_newest_version(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "dev.db"
    Writer(path, ManualClock()).close()
    version, _ = logical(path)
    assert version == SCHEMA_VERSION == len(MIGRATIONS)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert not list(path.parent.glob("*.backup")), "there is nothing to keep"


def test_an_older_journal_is_migrated_after_a_backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "dev.db"
    run_id = journal(path)
    before = logical(path)
    use(monkeypatch, add_column)
    opened = Writer(path, ManualClock())
    assert opened.connection.execute("SELECT id, later FROM run").fetchone()[:] == (run_id, 0)
    opened.close()
    assert logical(path)[0] == SCHEMA_VERSION + 1
    (kept,) = tmp_path.glob("dev.db.v2-*.backup")
    assert logical(kept) == before
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    Writer(path, ManualClock()).close()
    assert len(list(tmp_path.glob("*.backup"))) == 1, "migrated once"


@pytest.mark.parametrize("migration", [half_then_break, half_then_killed])
def test_a_migration_that_fails_leaves_the_old_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, migration: migrations.Migration
) -> None:
    path = tmp_path / "dev.db"
    journal(path)
    before = logical(path)
    with monkeypatch.context() as patched:
        use(patched, migration)
        with pytest.raises((JournalUnavailable, KeyboardInterrupt)):
            Writer(path, ManualClock())
    assert logical(path) == before
    Writer(path, ManualClock()).close()


def test_every_statement_of_a_migration_may_be_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed after the n-th statement, for all n: the next start finds a fresh file and makes it whole."""
    statements = dialect.create_statements(migrations.TABLES)
    for last in range(0, len(statements), 3):
        path = tmp_path / f"{last}.db"

        def partly(connection: sqlite3.Connection, last: int = last) -> None:
            for statement in statements[:last]:
                connection.execute(statement)
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(writer, "MIGRATIONS", (partly,))
            with pytest.raises(KeyboardInterrupt):
                Writer(path, ManualClock())
        assert logical(path)[0] == 0
        Writer(path, ManualClock()).close()
        assert logical(path)[0] == SCHEMA_VERSION


def test_a_migrated_journal_has_what_a_fresh_one_has(tmp_path: Path) -> None:
    """Tables, columns with their types, and indexes, for every version that a release left behind."""

    def shape(path: Path) -> dict[str, list[tuple[object, ...]]]:
        with closing(sqlite3.connect(path)) as connection:
            names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            found = {name: connection.execute(f'PRAGMA table_info("{name}")').fetchall() for name in names}
            columns = {name: sorted((row[1], row[2], row[3], row[5]) for row in rows) for name, rows in found.items()}
            indexes = connection.execute("SELECT tbl_name, name FROM sqlite_master WHERE type = 'index' ORDER BY name")
            return {**columns, "indexes": indexes.fetchall()}

    Writer(tmp_path / "fresh.db", ManualClock()).close()
    for old in range(1, SCHEMA_VERSION):
        path = tmp_path / f"v{old}.db"
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript((GOLDEN / f"v{old}.sql").read_text())
        Writer(path, ManualClock()).close()
        assert shape(path) == shape(tmp_path / "fresh.db")


def test_two_starts_migrate_once(tmp_path: Path) -> None:
    path = tmp_path / "dev.db"
    journal(path)
    calls: list[int] = []

    def counted(connection: sqlite3.Connection) -> None:
        calls.append(1)
        add_column(connection)

    with closing(dialect.connect(path)) as one, closing(dialect.connect(path)) as other:
        clock = ManualClock()
        assert migrate(one, path, clock, (*MIGRATIONS, counted)) == SCHEMA_VERSION
        assert migrate(other, path, clock, (*MIGRATIONS, counted)) == SCHEMA_VERSION + 1
    assert calls == [1]


def test_a_newer_journal_is_refused_and_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "dev.db"
    journal(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    path.chmod(0o640)
    before, bytes_before = logical(path), path.read_bytes()
    with pytest.raises(SchemaTooNew, match="upgrade tape-agents"):
        Writer(path, ManualClock())
    assert path.read_bytes() == bytes_before
    assert logical(path) == before
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_another_programs_database_is_refused_and_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "browser.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE cookies (x)")
    bytes_before = path.read_bytes()
    with pytest.raises(JournalUnavailable, match="another program"):
        Writer(path, ManualClock())
    assert path.read_bytes() == bytes_before


@pytest.mark.parametrize("content", [b"hello, I am no database\n" * 100, b"SQLite format 3\x00" + b"\xff" * 4096])
def test_what_is_no_database_is_refused_and_not_touched(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "dev.db"
    path.write_bytes(content)
    with pytest.raises(JournalUnavailable, match="cannot be used"):
        Writer(path, ManualClock())
    assert path.read_bytes() == content


def test_a_folder_in_its_place_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "dev.db"
    path.mkdir()
    with pytest.raises(JournalUnavailable) as caught:
        Writer(path, ManualClock())
    assert "\n" not in str(caught.value)


def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / ".tape" / "dev.db"
    book = Book(path)
    book.start()
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    for name in ("dev.db", "dev.db-wal", "dev.db-shm"):
        assert stat.S_IMODE((path.parent / name).stat().st_mode) == 0o600, name
    book.close()
    path.chmod(0o644)
    book = Book(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    book.close()
