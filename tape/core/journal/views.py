"""The read side for the command line, the console and tests: SQL text on sqlite3, read-only, without an ORM.

A reader takes no lock that a writer waits for and needs no server. Each text is prepared in a test against the
schema made from `tables`.
"""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from tape.core.journal import access, lists
from tape.core.journal.access import JournalMissing as JournalMissing
from tape.core.journal.access import unreadable
from tape.core.journal.shapes import (
    Backlog,
    EffectRef,
    KeyFacts,
    LeaseRef,
    Need,
    RunCounts,
    RunView,
)
from tape.core.kernel.errors import JournalUnavailable, NotFound, SchemaTooNew
from tape.core.kernel.lifecycle import RUN_ENDS, RunStatus

if TYPE_CHECKING:  # loaded where entries are read: a list of runs needs none of it
    from tape.core.journal.blobs import Values
    from tape.core.journal.dump import BudgetView, RunDump
    from tape.core.kernel.events import Entry
    from tape.core.run_filter import RunFilter

BUSY_SECONDS = 5.0
NO_LIMIT = -1

_ENTRY = "SELECT entry.id, run.id, entry.seq, entry.epoch, entry.at_us, entry.kind, entry.body"

SQL: Mapping[str, str] = {
    "last_id": "SELECT coalesce(max(id), 0) FROM entry",
    "feed": f"{_ENTRY} FROM entry LEFT JOIN run ON run.no = entry.run_no "
    "WHERE entry.id > :after ORDER BY entry.id LIMIT :limit",
    # The unary plus keeps the walk on the row ids: a feed's cursor is near the end.
    "feed_of_run": f"{_ENTRY} FROM entry JOIN run ON run.no = entry.run_no "
    "WHERE entry.id > :after AND +entry.run_no = :run_no ORDER BY entry.id LIMIT :limit",
    "entries_of_run": "SELECT id, seq, epoch, at_us, kind, body FROM entry WHERE run_no = :run_no",
    "tape": "SELECT id, seq, epoch, at_us, kind, body FROM entry WHERE run_no = :run_no AND seq > 0 ORDER BY seq",
}


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
            found = self.fetch(lists.SQL["run"], {"run_id": run_id})
            return [run for run in lists.runs_of(found) if status is None or run.status == status]
        values = {
            "before_no": 1 << 62 if before_no is None else before_no,
            "limit": NO_LIMIT if limit is None else limit,
        }
        if status is not None:
            values |= {"status": status}
            ended = status in RUN_ENDS or status not in RunStatus.__members__
            return lists.runs_of(self.fetch(lists.SQL["runs_status" if ended else "runs_status_open"], values))
        return lists.runs_of(self.fetch(lists.SQL["runs_open" if open_only else "runs"], values))

    def run(self, run_id: str) -> RunView:
        """Raises NotFound."""
        found = self.runs(run_id=run_id)
        if not found:
            raise NotFound(f"no run {run_id} in {self.path}: `tape status` lists them")
        return found[0]

    def run_numbers(
        self, wanted: RunFilter | None = None, *, after_no: int = 0, until_no: int | None = None
    ) -> array[int]:
        """The `no` of every run that the filter lets through, ascending: of those above `after_no`, up to `until_no`.
        A filter on text, tools or ends looks at every run of that span."""
        with self.snapshot():
            return lists.run_numbers(self.fetch, wanted, after_no, until_no)

    def run_parents(self, *, after_no: int = 0) -> dict[int, int]:
        """The number of the run that started it, for every child run above `after_no`, ascending."""
        return lists.parents(self.fetch, after_no)

    def runs_by_no(self, numbers: Sequence[int]) -> list[RunView]:
        """The runs with these numbers, in this order; those that do not exist are left out."""
        return lists.runs_by_no(self.fetch, numbers)

    def counts(self) -> RunCounts:
        with self.snapshot():
            total = self.fetch(lists.SQL["run_count"])[0][0]
            return RunCounts(total, {status: count for status, count in self.fetch(lists.SQL["open_counts"])})

    def status_counts(self) -> dict[str, int]:
        """Runs by status, zeros included. It walks over all runs: once at the start, then by the entries."""
        with self.snapshot():
            return lists.status_counts(self.fetch)

    def open_effects(self, limit: int) -> list[EffectRef]:
        """Effects that are PENDING or UNKNOWN, of all runs, newest first."""
        from tape.core.journal.effect_lists import open_effects

        return open_effects(self.fetch, limit)

    def recent_effects(self, limit: int) -> list[EffectRef]:
        """Effects that began or ended last, latest first, among those that the newest entries tell of."""
        from tape.core.journal.effect_lists import recent_effects

        with self.snapshot():
            return recent_effects(self.fetch, limit)

    def key_facts(self, keys: Iterable[str]) -> list[KeyFacts]:
        """What the journal says about these idempotency keys; keys of runs that it does not hold are left out."""
        from tape.core.journal.effect_lists import key_facts

        return key_facts(self.fetch, keys)

    def tool_facts(self, tools: Iterable[str], after_no: int, until_no: int) -> list[KeyFacts]:
        """The same for every effect of these tools in the runs numbered above `after_no`, up to `until_no`."""
        from tape.core.journal.effect_lists import tool_facts

        return tool_facts(self.fetch, tools, after_no, until_no)

    def last_no(self) -> int:
        """The number of the newest run, 0 without any."""
        return self.fetch(lists.SQL["last_no"])[0][0]

    def backlog(self) -> Backlog:
        """What waits for each of the five reactors."""
        from tape.core.journal.backlog import backlog

        with self.snapshot():
            return backlog(self.fetch)

    def live_leases(self) -> list[LeaseRef]:
        """Who drives what now, oldest lease first."""
        from tape.core.journal.backlog import live_leases

        return live_leases(self.fetch)

    def needs(self, limit: int = 200) -> list[Need]:
        """What only a person can settle, newest first."""
        from tape.core.journal.needs import needs

        with self.snapshot():
            return needs(self.fetch, limit)

    def values(self) -> Values:
        """What reads values by their hash; make one for each look."""
        from tape.core.journal.blobs import SQL as BLOB_SQL
        from tape.core.journal.blobs import Values

        def body_of(name: str) -> str | None:
            found = self.fetch(BLOB_SQL["blob"], {"hash": name})
            return found[0][0] if found else None

        return Values(body_of)

    def imported(self) -> dict[str, Any] | None:
        """What is known of this journal's bundle if it was imported: `run`, `release`, `values`, `redacted`."""
        import orjson

        from tape.core.journal.imported import SQL as IMPORTED_SQL

        found = self.fetch(IMPORTED_SQL["imported"])
        return orjson.loads(found[0][0]) if found else None

    def last_id(self) -> int:
        """Where the change feed ends now: `entries(after=...)` goes on from there."""
        return self.fetch(SQL["last_id"])[0][0]

    def entries(self, after: int = 0, limit: int | None = None, run_id: str | None = None) -> list[Entry]:
        """The change feed in the order of writing, from the entry after `after`; of one run if it is named."""
        from tape.core.journal.entries import decode_entries

        page = NO_LIMIT if limit is None else limit
        if run_id is None:
            return decode_entries(self.fetch(SQL["feed"], {"after": after, "limit": page}), values=self.values())
        run_no = self.run(run_id).no
        if after > 0:
            found = self.fetch(SQL["feed_of_run"], {"after": after, "limit": page, "run_no": run_no})
            return decode_entries(found, values=self.values())
        entries = self._entries_of(run_id, run_no)
        return entries if limit is None else entries[:limit]

    def tape(self, run_id: str) -> list[Entry]:
        """The run's tape: its entries with a seq, in order."""
        from tape.core.journal.entries import decode_entries

        return decode_entries(self.fetch(SQL["tape"], {"run_no": self.run(run_id).no}), run_id, self.values())

    def _entries_of(self, run_id: str, run_no: int) -> list[Entry]:
        from tape.core.journal.entries import decode_entries

        found = decode_entries(self.fetch(SQL["entries_of_run"], {"run_no": run_no}), run_id, self.values())
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

    def budget(self, run_id: str) -> list[BudgetView]:
        """A run's purse, by unit. Raises NotFound."""
        from tape.core.journal.dump import SQL as DUMP_SQL
        from tape.core.journal.dump import budget_of

        with self.snapshot():
            return [budget_of(row) for row in self.fetch(DUMP_SQL["budget"], {"run_no": self.run(run_id).no})]


def open_reader(path: Path) -> Reader:
    """Opens a journal for reading; closed by `with`.

    Raises JournalMissing if there is none yet, SchemaTooNew if a newer release wrote it (it is not touched),
    JournalUnavailable if it cannot be read.
    """
    access.find(path)
    try:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS, isolation_level=None
        )
    except sqlite3.Error as error:
        raise unreadable(path, error) from None
    try:
        connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA trusted_schema = OFF")
        access.check(path, connection)
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
