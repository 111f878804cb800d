"""One transaction: what verbs are written with. Every write names the state it expects and looks at the row count."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlmodel import SQLModel

from tape.core.clock import Clock
from tape.core.journal.dialect import Statements
from tape.core.journal.tables import EntryRow, RunRow
from tape.core.kernel import lifecycle
from tape.core.kernel.errors import Fenced, NotFound, Refused, UsageError
from tape.core.kernel.events import TAPE_KINDS, Entry, Event, RunMoved, from_json
from tape.core.kernel.identity import chain_hash, chained_text
from tape.core.kernel.lifecycle import RunStatus, RunTrigger
from tape.core.kernel.policy import USUAL_ASKS, AskPolicy

Row = sqlite3.Row
STATEMENTS = Statements()


def dump(value: Any) -> str:
    """JSON text of a value or an event, as it stands in the journal. Raises UsageError for what JSON cannot hold."""
    try:
        return orjson.dumps(value).decode()
    except TypeError as error:
        raise UsageError(f"cannot be recorded: {error}") from None


def load(text: str) -> Any:
    return orjson.loads(text)


@dataclass(slots=True)
class Tx:
    """The open transaction and the time at which it began; `told` are the entries it has appended, `asks` says how
    look-ups are repeated."""

    connection: sqlite3.Connection
    clock: Clock
    wall_us: int
    boot_us: int
    asks: AskPolicy = USUAL_ASKS
    told: list[Entry] = field(default_factory=lambda: [])

    def insert(self, model: type[SQLModel], values: Mapping[str, Any]) -> int:
        cursor = self.connection.execute(STATEMENTS.insert(model), values)
        return cursor.lastrowid or 0

    def update(self, model: type[SQLModel], changes: Mapping[str, Any], **expected: Any) -> None:
        """Changes exactly one row that is as expected; raises Refused if it is not there any more."""
        if self.update_all(model, changes, **expected) != 1:
            raise Refused(f"{model.__name__.removesuffix('Row').lower()} is not as expected: {expected}")

    def update_all(self, model: type[SQLModel], changes: Mapping[str, Any], **expected: Any) -> int:
        """Changes every row that is as expected; returns how many."""
        sql = STATEMENTS.update(model, tuple(changes), tuple(expected))
        values = dict(changes)
        for name, value in expected.items():
            values[f"w_{name}"] = value
        return self.connection.execute(sql, values).rowcount

    def rows(self, model: type[SQLModel], **where: Any) -> list[Row]:
        return self.connection.execute(STATEMENTS.select(model, tuple(where)), where).fetchall()

    def one(self, model: type[SQLModel], **where: Any) -> Row | None:
        return self.connection.execute(STATEMENTS.select(model, tuple(where)), where).fetchone()

    def event(self, **where: Any) -> Event:
        """The one entry with this id, or run number and seq."""
        row = self.one(EntryRow, **where)
        if row is None:
            raise NotFound(f"the journal has no entry {where}")
        return from_json(row["kind"], load(row["body"]))

    def tell(self, event: Event) -> int:
        """Appends an entry that belongs to no run."""
        return self.append(event, None, None, None, 0, b"")[0]

    def append(
        self, event: Event, run_no: int | None, run_id: str | None, seq: int | None, epoch: int, head: bytes
    ) -> tuple[int, bytes]:
        """Writes one entry; returns its id and hash. Verbs call `tell` or `RunEdit.record`, which know the rest."""
        body = dump(event)
        digest = chain_hash(head, chained_text(seq, event.kind, epoch, self.wall_us, body))
        row = {
            "run_no": run_no,
            "seq": seq,
            "kind": event.kind,
            "epoch": epoch,
            "at_us": self.wall_us,
            "body": body,
            "hash": digest,
        }
        entry_id = self.insert(EntryRow, row)
        self.told.append(Entry(entry_id, run_id, seq, epoch, self.wall_us, event))
        return entry_id, digest


class RunEdit:
    """One run within one transaction: its entries, its status, its counters, written by one conditional UPDATE.

    `save` expects the status, epoch and seq that were read; a run that moved meanwhile refuses the whole verb.
    """

    def __init__(self, tx: Tx, row: Row) -> None:
        self.tx = tx
        self.row = row
        self.no: int = row["no"]
        self.id: str = row["id"]
        self.status = RunStatus(row["status"])
        self.epoch: int = row["epoch"]
        self.seq: int = row["seq"]
        self._head: bytes = row["head"]
        self.changes: dict[str, Any] = {}
        self.parent: RunEdit | None = None
        """The edit of its parent, if that is open too: an end of this run is written there."""

    def __getitem__(self, column: str) -> Any:
        return self.changes.get(column, self.row[column])

    def set(self, **changes: Any) -> None:
        self.changes.update(changes)

    def record(self, event: Event) -> int:
        """Appends to the tape (with a seq) or to the story (without), as the kind says. Returns the entry's id. A new
        seq is progress: it clears the count of crashes (invariant I13)."""
        seq = None
        if event.kind in TAPE_KINDS:
            seq = self.seq = self.seq + 1
            self.changes["crashes"] = 0
        entry_id, self._head = self.tx.append(event, self.no, self.id, seq, self.epoch, self._head)
        return entry_id

    def move(self, trigger: RunTrigger, why: str, commands: tuple[str, ...] = ()) -> None:
        """The life-cycle's step, told as an entry unless a lease's or the run's own entry says it already."""
        was = self.status
        self.status = lifecycle.step(lifecycle.RUN, was, trigger)
        if trigger is not RunTrigger.GRANT:
            self.record(RunMoved(status=self.status, was=was, why=why, commands=list(commands)))

    def save(self) -> None:
        row = self.row
        self.changes |= {"epoch": self.epoch, "seq": self.seq, "head": self._head, "updated_us": self.tx.wall_us}
        if self.status != row["status"]:  # a SET would write the pages of its index, changed or not
            self.changes["status"] = str(self.status)
        self.tx.update(RunRow, self.changes, no=self.no, status=row["status"], epoch=row["epoch"], seq=row["seq"])


def edit_run(tx: Tx, run_id: str) -> RunEdit:
    row = tx.one(RunRow, id=run_id)
    if row is None:
        raise NotFound(f"no run {run_id} in this journal: `tape status` lists them")
    return RunEdit(tx, row)


def edit_run_no(tx: Tx, run_no: int) -> RunEdit:
    row = tx.one(RunRow, no=run_no)
    if row is None:
        raise NotFound(f"no run number {run_no} in this journal")
    return RunEdit(tx, row)


def edit_leased(tx: Tx, run_id: str, epoch: int) -> RunEdit:
    """The run, if the writer's lease is live and carries its epoch; else Fenced (invariant I6)."""
    run = edit_run(tx, run_id)
    if run.status is not RunStatus.RUNNING or run.epoch != epoch or run["lease_until_boot_us"] <= tx.boot_us:
        live = "none is live" if run.status is not RunStatus.RUNNING else f"the live one is {run.epoch}"
        if run.epoch == epoch and run.status is RunStatus.RUNNING:
            live = "it has run out"
        raise Fenced(f"{run_id}: no write under lease epoch {epoch}: {live}")
    return run
