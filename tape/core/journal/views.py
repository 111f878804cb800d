"""The read side for the command line, the console and tests: SQL text on sqlite3, read-only, without an ORM.

A reader takes no lock that a writer waits for and needs no server. Each text is prepared in a test against the
schema made from `tables`.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from tape.core.journal.schema import APPLICATION_ID, SCHEMA_VERSION
from tape.core.journal.shapes import RunCounts, RunView, WorkerRef
from tape.core.kernel.errors import JournalUnavailable, NotFound, SchemaTooNew
from tape.core.kernel.lifecycle import RUN_ENDS, RunStatus

if TYPE_CHECKING:  # loaded where entries are read: a list of runs needs none of it
    from tape.core.journal.dump import RunDump
    from tape.core.kernel.events import Entry

BUSY_SECONDS = 5.0
NO_LIMIT = -1

_RUN = """
SELECT run.no, run.id, run.agent, run.status, run.decisions, run.effects, run.epoch, run.seq, run.drive, run.crashes,
       run.waiting_on, run.end_status, run.error, run.cancel, run.created_us, run.updated_us,
       worker.no, worker.host, worker.pid,
       (SELECT count(*) FROM conflict WHERE conflict.run_no = run.no AND conflict.closed_us IS NULL)
FROM run LEFT JOIN worker ON worker.no = run.worker_no
"""
_RUN_OPEN = _RUN.replace("FROM run", "FROM run INDEXED BY run_open")
_OPEN = "run.status NOT IN ('TERMINAL', 'FAILED', 'CANCELLED')"  # word for word the condition of the index run_open
_ENTRY = "SELECT entry.id, run.id, entry.seq, entry.epoch, entry.at_us, entry.kind, entry.body"

SQL: Mapping[str, str] = {
    "run": f"{_RUN} WHERE run.id = :run_id",
    "runs": f"{_RUN} WHERE run.no < :before_no ORDER BY run.no DESC LIMIT :limit",
    "runs_open": f"{_RUN_OPEN} WHERE {_OPEN} AND run.no < :before_no ORDER BY run.no DESC LIMIT :limit",
    "runs_status": f"{_RUN} WHERE run.status = :status AND run.no < :before_no ORDER BY run.no DESC LIMIT :limit",
    "runs_status_open": f"{_RUN} WHERE {_OPEN} AND run.status = :status AND run.no < :before_no "
    "ORDER BY run.no DESC LIMIT :limit",
    "run_count": "SELECT count(*) FROM run",
    "open_counts": f"SELECT run.status, count(*) FROM run WHERE {_OPEN} GROUP BY run.status",
    "last_id": "SELECT coalesce(max(id), 0) FROM entry",
    "feed": f"{_ENTRY} FROM entry LEFT JOIN run ON run.no = entry.run_no "
    "WHERE entry.id > :after ORDER BY entry.id LIMIT :limit",
    # The unary plus keeps the walk on the row ids: a feed's cursor is near the end.
    "feed_of_run": f"{_ENTRY} FROM entry JOIN run ON run.no = entry.run_no "
    "WHERE entry.id > :after AND +entry.run_no = :run_no ORDER BY entry.id LIMIT :limit",
    "entries_of_run": "SELECT id, seq, epoch, at_us, kind, body FROM entry WHERE run_no = :run_no",
    "tape": "SELECT id, seq, epoch, at_us, kind, body FROM entry WHERE run_no = :run_no AND seq > 0 ORDER BY seq",
}


class JournalMissing(JournalUnavailable):
    """There is no journal yet: nothing has been run in this project."""


def unreadable(path: Path, error: sqlite3.Error) -> JournalUnavailable:
    """The one line for a journal that cannot be read now."""
    text = str(error)
    hints = {
        "unable to open database file": "reading needs write access to its folder, or a copy of it: make the folder "
        "writable, or copy with `sqlite3 JOURNAL \"VACUUM INTO 'COPY'\"` where it is",
        "file is not a database": "it is no journal; move it away or set TAPE_JOURNAL",
        "database disk image is malformed": "it is damaged; `tape doctor` says where, a backup helps",
        "database is locked": "another process holds it; stop that process and try again",
        "disk I/O error": "the disk reports an error; see `tape doctor`",
        "Could not decode": "it holds bytes that are no text, so it is damaged; `tape doctor` says where",
        "no such ": "it does not have the tables of its version; restore a backup or move it away",
    }
    hints["attempt to write a readonly database"] = hints["unable to open database file"]
    hint = next((hints[known] for known in hints if known in text), text)
    return JournalUnavailable(f"the journal {path} cannot be read: {hint}")


class Reader:
    """An open journal, read-only. One thread at a time; each call sees what is committed when it begins."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def snapshot(self) -> Generator[None]:
        """What is read inside is of one moment; inside another snapshot, of that one."""
        if self._connection.in_transaction:
            yield
            return
        self.fetch("BEGIN")
        try:
            yield
        finally:
            self._connection.rollback()

    def fetch(self, sql: str, values: Mapping[str, Any] = {}) -> list[tuple[Any, ...]]:
        """All rows of one query of this folder. Raises JournalUnavailable."""
        try:
            return self._connection.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise unreadable(self.path, error) from None

    def records(self, sql: str, values: Mapping[str, Any] = {}) -> list[dict[str, Any]]:
        """The same by the names of the columns."""
        try:
            cursor = self._connection.execute(sql, values)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor]
        except sqlite3.Error as error:
            raise unreadable(self.path, error) from None

    def runs(
        self,
        limit: int | None = None,
        status: str | None = None,
        run_id: str | None = None,
        *,
        before_no: int | None = None,
        open_only: bool = False,
    ) -> list[RunView]:
        """Runs, newest first. The next page is `before_no=` the last one's `no`. A run that does not exist gives an
        empty list; `run` raises."""
        if run_id is not None:
            found = self.fetch(SQL["run"], {"run_id": run_id})
            return [run for run in _runs(found) if status is None or run.status == status]
        values = {
            "before_no": 1 << 62 if before_no is None else before_no,
            "limit": NO_LIMIT if limit is None else limit,
        }
        if status is not None:
            values |= {"status": status}
            ended = status in RUN_ENDS or status not in RunStatus.__members__
            return _runs(self.fetch(SQL["runs_status" if ended else "runs_status_open"], values))
        return _runs(self.fetch(SQL["runs_open" if open_only else "runs"], values))

    def run(self, run_id: str) -> RunView:
        """Raises NotFound."""
        found = self.runs(run_id=run_id)
        if not found:
            raise NotFound(f"no run {run_id} in {self.path}: `tape status` lists them")
        return found[0]

    def counts(self) -> RunCounts:
        with self.snapshot():
            total = self.fetch(SQL["run_count"])[0][0]
            return RunCounts(total, {status: count for status, count in self.fetch(SQL["open_counts"])})

    def last_id(self) -> int:
        """Where the change feed ends now: `entries(after=...)` goes on from there."""
        return self.fetch(SQL["last_id"])[0][0]

    def entries(self, after: int = 0, limit: int | None = None, run_id: str | None = None) -> list[Entry]:
        """The change feed in the order of writing, from the entry after `after`; of one run if it is named."""
        from tape.core.journal.entries import decode_entries

        page = NO_LIMIT if limit is None else limit
        if run_id is None:
            return decode_entries(self.fetch(SQL["feed"], {"after": after, "limit": page}))
        run_no = self.run(run_id).no
        if after > 0:
            return decode_entries(self.fetch(SQL["feed_of_run"], {"after": after, "limit": page, "run_no": run_no}))
        entries = self._entries_of(run_id, run_no)
        return entries if limit is None else entries[:limit]

    def tape(self, run_id: str) -> list[Entry]:
        """The run's tape: its entries with a seq, in order."""
        from tape.core.journal.entries import decode_entries

        return decode_entries(self.fetch(SQL["tape"], {"run_no": self.run(run_id).no}), run_id)

    def _entries_of(self, run_id: str, run_no: int) -> list[Entry]:
        from tape.core.journal.entries import decode_entries

        found = decode_entries(self.fetch(SQL["entries_of_run"], {"run_no": run_no}), run_id)
        found.sort(key=lambda entry: entry.id)
        return found

    def dump(self, run_id: str) -> RunDump:
        """Everything that the journal holds about one run. Raises NotFound."""
        from tape.core.journal.dump import SQL as DUMP_SQL
        from tape.core.journal.dump import assemble

        with self.snapshot():
            run = self.run(run_id)
            rows = {name: self.fetch(text, {"run_no": run.no}) for name, text in DUMP_SQL.items()}
            return assemble(run, self._entries_of(run_id, run.no), rows)


def _runs(rows: Iterable[tuple[Any, ...]]) -> list[RunView]:
    return [
        RunView(
            *row[:13],
            cancel=bool(row[13]),
            created_us=row[14],
            updated_us=row[15],
            worker=None if row[16] is None else WorkerRef(row[16], row[17], row[18]),
            conflicts=row[19],
        )
        for row in rows
    ]


def open_reader(path: Path) -> Reader:
    """Opens a journal for reading; closed by `with`.

    Raises JournalMissing if there is none yet, SchemaTooNew if a newer release wrote it (it is not touched),
    JournalUnavailable if it cannot be read.
    """
    _find(path)
    try:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS, isolation_level=None
        )
    except sqlite3.Error as error:
        raise unreadable(path, error) from None
    try:
        connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA trusted_schema = OFF")
        _check(path, connection)
    except sqlite3.Error as error:
        connection.close()
        raise unreadable(path, error) from None
    except JournalUnavailable:
        connection.close()
        raise
    except SchemaTooNew:
        connection.close()
        raise
    return Reader(path, connection)


def _find(path: Path) -> None:
    """Looks at the file by its path only: opening it by hand could drop the locks of a writer in this process."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        raise JournalMissing(f"no journal at {path}: `tape dev` or `tape run` creates it") from None
    except OSError as error:
        raise JournalUnavailable(
            f"the journal {path} cannot be read: {error.strerror}; check the permissions of its folder"
        ) from None


def _check(path: Path, connection: sqlite3.Connection) -> None:
    """Is it a journal, and of a version that this release can read?"""
    mark, version = (
        int(connection.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("application_id", "user_version")
    )
    if version == 0 and connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
        raise JournalMissing(f"the journal {path} is empty: `tape dev` or `tape run` creates it")
    if mark != APPLICATION_ID:
        raise JournalUnavailable(
            f"the journal {path} cannot be read: it is a database, but no journal; move it away or set TAPE_JOURNAL"
        )
    if version > SCHEMA_VERSION:
        raise SchemaTooNew(
            f"the journal {path} has schema {version}, this release knows {SCHEMA_VERSION}: "
            "upgrade tape-agents, or set TAPE_JOURNAL to another file; it was not touched"
        )
    if version < SCHEMA_VERSION:
        raise JournalUnavailable(
            f"the journal {path} has schema {version}, this release reads {SCHEMA_VERSION}: "
            "`tape dev` or `tape server` migrates it, after a backup"
        )
