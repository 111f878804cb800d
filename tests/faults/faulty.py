"""A real SQLite connection on which a chosen statement fails, and the desk that tells a story through it."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest

from tape.core.clock import ManualClock
from tape.core.journal.dialect import table_of
from tape.core.journal.tables import TABLES
from tape.core.journal.writer import Outcome, Writer
from tape.core.kernel.errors import JournalUnavailable
from tests.faults.story import whole
from tests.faults.telling import Act, Story
from tests.journal import invariants

plain_connect = sqlite3.connect
TROUBLE = re.compile(r"disk I/O|locked|disk is full|closed database|cannot be used|JournalUnavailable")


class Fault(StrEnum):
    """What a statement meets. After a DISCONNECT the connection answers nothing any more."""

    LOCKED = "locked"
    FULL = "full"
    IO = "I/O error"
    DISCONNECT = "disconnect"


_ERRORS = {
    Fault.LOCKED: (sqlite3.SQLITE_BUSY, "database is locked"),
    Fault.FULL: (sqlite3.SQLITE_FULL, "database or disk is full"),
    Fault.IO: (sqlite3.SQLITE_IOERR, "disk I/O error"),
    Fault.DISCONNECT: (sqlite3.SQLITE_MISUSE, "Cannot operate on a closed database."),
}


@dataclass
class Plan:
    """Which statements fail: counted over all connections of a journal, from the moment it is armed."""

    fault: Fault = Fault.IO
    strikes: Callable[[int, str], bool] = lambda number, sql: False
    armed: bool = False
    struck: int = 0
    seen: list[str] = field(default_factory=list)
    open: set[int] = field(default_factory=set)
    closed_alone: bool = False

    def arm(self, fault: Fault, strikes: Callable[[int, str], bool]) -> None:
        self.fault, self.strikes, self.armed, self.struck, self.seen = fault, strikes, True, 0, []

    def meets(self, sql: str) -> bool:
        if not self.armed:
            return False
        self.seen.append(sql)
        hit = self.strikes(len(self.seen), sql)
        self.struck += hit
        return hit


class FaultyConnection(sqlite3.Connection):
    """Fails as SQLite does: after "full" and I/O errors the transaction has been rolled back already."""

    plan: Plan

    dead = False

    def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:  # type: ignore[override]
        fault = self.plan.fault
        if not self.dead and not self.plan.meets(sql):
            return super().execute(sql, *args)
        if fault in (Fault.FULL, Fault.IO) and self.in_transaction:
            super().execute("ROLLBACK")
        self.dead |= fault is Fault.DISCONNECT
        code, message = _ERRORS[fault]
        error = sqlite3.OperationalError(message)
        error.sqlite_errorcode = code
        raise error

    def executemany(self, sql: str, rows: Any) -> sqlite3.Cursor:  # type: ignore[override]
        """Each of them can fail."""
        cursor = self.cursor()
        for row in rows:
            cursor = self.execute(sql, row)
        return cursor

    def close(self) -> None:
        self.plan.closed_alone |= self.plan.armed and self.plan.open == {id(self)}
        self.plan.open.discard(id(self))
        super().close()


@contextmanager
def faulty(path: Path, plan: Plan) -> Iterator[None]:
    """Every connection to this journal goes by the plan."""
    made = type("Planned", (FaultyConnection,), {"plan": plan})

    def connect(database: Any, *args: Any, **named: Any) -> sqlite3.Connection:
        if str(path) in str(database):
            named["factory"] = made
        connection = plain_connect(database, *args, **named)
        if isinstance(connection, FaultyConnection):
            plan.open.add(id(connection))
        return connection

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite3, "connect", connect)
        yield


Look = Callable[[sqlite3.Connection], Any]


def on_disk(path: Path, look: Look) -> Any:
    """What another process would see."""
    with closing(plain_connect(f"file:{path}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        return look(connection)


RUN_ID = re.compile(r"r-[0-9a-z]{12}")
GONE = "GONE"
"""A run that retention has removed."""
DRAWN = frozenset({"hash", "head"})
PLACES = frozenset({"entry.id", "effect.begun_id", "effect.ended_id"})


def state(connection: sqlite3.Connection, *, ordered: bool = True) -> dict[str, list[str]]:
    """Every table, without what depends on how often an id was drawn: run ids and the hashes over them. Not `ordered`:
    nor on which of two chains came first."""
    names = {row["id"]: f"RUN{row['no']}" for row in connection.execute("SELECT no, id FROM run")}
    found: dict[str, list[str]] = {}
    for table, sql in _selects(ordered).items():
        text = "\n".join([str(tuple(row)) for row in connection.execute(sql)])
        rows = RUN_ID.sub(lambda match: names.get(match[0], GONE), text).split("\n")
        found[table] = rows if ordered else sorted(rows)
    return found


@cache
def _selects(ordered: bool) -> dict[str, str]:
    texts: dict[str, str] = {}
    for table in map(table_of, TABLES):
        left_out = (
            DRAWN if ordered else DRAWN | {name.partition(".")[2] for name in PLACES if name.startswith(table.name)}
        )
        kept = ", ".join(f'"{column.name}"' for column in table.columns if column.name not in left_out)
        texts[table.name] = f'SELECT {kept} FROM "{table.name}"'
    return texts


def both(connection: sqlite3.Connection) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    return state(connection), state(connection, ordered=False)


def last_entry(connection: sqlite3.Connection) -> int:
    return connection.execute("SELECT coalesce(max(id), 0) FROM entry").fetchone()[0]


def entries_after(connection: sqlite3.Connection, after: int) -> list[tuple[int, str, str]]:
    sql = "SELECT id, kind, body FROM entry WHERE id > ? ORDER BY id"
    return [tuple(row) for row in connection.execute(sql, (after,))]


@dataclass(frozen=True)
class Scene:
    """One batch of a story and the journal before it, so that the story can be taken up there again and again; `after`
    and `census` are the tables when it is over, ordered and not."""

    number: int
    journal: bytes
    drawn: int
    answers: tuple[list[Any], ...]
    last_entry: int
    names: str
    after: dict[str, list[str]]
    census: dict[str, list[str]]

    def take_up(self, path: Path) -> tuple[ManualClock, Story, list[Act]]:
        """Lays the journal at `path` and opens the story at this batch."""
        path.write_bytes(self.journal)
        return self.open_story()

    def open_story(self) -> tuple[ManualClock, Story, list[Act]]:
        clock = ManualClock()
        tale = whole(clock)
        batch = next(tale)
        for answers in self.answers:
            batch = tale.send(answers)
        clock.drawn = self.drawn
        return clock, tale, batch


def scenes(path: Path) -> list[Scene]:
    """The story as it goes when nothing fails; each state between keeps the invariants."""
    clock = ManualClock()
    writer = Writer(path, clock)
    tale, told = whole(clock), list[list[Any]]()
    found: list[Scene] = []
    batch: list[Act] | None = next(tale)
    while batch is not None:
        journal, drawn = writer.connection.serialize(), clock.drawn
        last = last_entry(writer.connection)
        answers, _ = tell(writer, batch)
        invariants.check(writer.connection)
        names = ", ".join(getattr(act.verb, "__name__", "") for act in batch)
        found.append(Scene(len(found), journal, drawn, tuple(told), last, names, *both(writer.connection)))
        told.append(answers)
        batch = _next(tale, answers)
    writer.close()
    return found


def _next(tale: Story, answers: list[Any]) -> list[Act] | None:
    try:
        return tale.send(answers)
    except StopIteration:
        return None


def tell_rest(writer: Writer, tale: Story, batch: list[Act] | None, heal: Callable[[], None] | None = None) -> int:
    """Tells a story from this batch to its end; returns how many verbs were put off."""
    put_off = 0
    while batch is not None:
        answers, waited = tell(writer, batch, heal)
        put_off += waited
        batch = _next(tale, answers)
    return put_off


def tell(writer: Writer, batch: Sequence[Act], heal: Callable[[], None] | None = None) -> tuple[list[Any], int]:
    """Commits the acts, those that the journal could not take again and again, in order. Returns what became of each
    and how often a verb was put off. What is on disk is after each commit exactly what was acknowledged."""
    answers: list[Any] = [None] * len(batch)
    open_acts = list(enumerate(batch))
    put_off = 0
    for _ in range(4):
        before = on_disk(writer.path, last_entry)
        outcomes = writer.commit([act for _, act in open_acts], [act.chain for _, act in open_acts])
        agrees(writer.path, outcomes, before)
        still = []
        for (place, act), outcome in zip(open_acts, outcomes, strict=True):
            if isinstance(outcome.error, JournalUnavailable):
                still.append((place, act))
            else:
                answers[place] = outcome.result if outcome.error is None else outcome.error
        put_off += len(still)
        if not still:
            return answers, put_off
        on_disk(writer.path, invariants.check)
        open_acts = still
        if heal is not None:
            heal()
    raise AssertionError(f"not applied in the end: {[outcome.error for outcome in outcomes]}")


def agrees(path: Path, outcomes: Sequence[Outcome[Any]], before: int) -> None:
    """No acknowledged verb is lost, none is half there, none that was put off has left anything."""
    told = [(entry.id, entry.event.kind) for outcome in outcomes for entry in outcome.entries]
    stored = on_disk(path, partial(entries_after, after=before))
    assert [(number, kind) for number, kind, _ in stored] == told
    assert all(outcome.error is None or not outcome.entries for outcome in outcomes)
    assert not [body for _, _, body in stored if TROUBLE.search(body)], "the journal's own trouble is in an entry"
