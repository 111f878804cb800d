"""Writes the golden journal of the schema's version as it is now: `python -m tests.journal.golden.make`.

A file of a version that was released is never written again: it is what an older release left behind (I15).
"""

from __future__ import annotations

import json
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from tape.core.journal import claims, obligations, records, runs, workers
from tape.core.journal.records import Usage
from tape.core.journal.schema import APPLICATION_ID, SCHEMA_VERSION
from tape.core.kernel.events import PointReached, ServerStarted
from tape.core.kernel.resolution import Answer, Semantics
from tests.journal.book import BLIND, BOOM, IDEMPOTENT, LOOK_UP, OUTBOX, SURE, UNDO_UNKNOWN, UNDOABLE, Book

HERE = Path(__file__).parent


def story(book: Book) -> None:
    """Runs in every state, with every kind of entry that this version writes in the ordinary course."""
    started = ServerStarted(pid=1, host="here", boot_id=book.clock.boot_id, release="0.1.0", sqlite="3.40.1")
    book.do(workers.start_service, started)

    ended, epoch = book.driven({"task": "pay é😀", "n": 1, "ratio": 1.0})
    book.do(workers.place_order, ended, "kill", {"at": "effect.acted"}, "me", "drill")
    book.do(records.ask_model, ended, epoch, 0, "ask")
    book.decide(ended, epoch, 0, Usage(150, 60, 2000))
    key = book.begin(ended, epoch, SURE, 0, {"to": "ACME", "amount_minor": 12500})
    point = PointReached(point="effect.acted", death="KILL", worker=1, pid=100, order=1)
    book.do(workers.reach_point, ended, point)
    book.die(ended)
    book.do(workers.refuse_write, ended, 1, epoch, "effect_ended", "fenced", {"late": True})
    book.observe(ended, key, Answer.ABSENT)
    book.observe(ended, key, Answer.UNCLEAR)
    book.observe(ended, key, Answer.PRESENT, [{"wire_id": "w-1"}])
    epoch = book.again(ended)
    book.do(records.attach, ended, epoch, [key])
    book.sample(ended, epoch)
    book.do(records.set_timer, ended, epoch, 0, 1.0, "f")
    book.do(runs.park, ended, epoch, ["timer 0"], "sleeps")
    book.clock.advance(2)
    book.do(records.fire_timer, 1, 0)
    epoch = book.again(ended)
    book.do(runs.end_run, ended, epoch, "TERMINAL", {"paid": True}, None)

    undone, epoch = book.driven()
    for ordinal in range(2):
        book.end(undone, epoch, book.begin(undone, epoch, UNDOABLE, ordinal))
    book.reject(undone, epoch, book.begin(undone, epoch, UNDOABLE, 2))
    book.do(runs.end_run, undone, epoch, "FAILED", None, {"type": "Boom", "message": "no money"})
    for ordinal in (1, 0):
        book.undo(undone, f"{undone}/-/{ordinal}/tool/undo/1")

    compensating, epoch = book.driven()
    policy = replace(UNDOABLE, undo_semantics=Semantics.NON_IDEMPOTENT, undo_look_up=True)
    key = book.begin(compensating, epoch, policy)
    book.die(compensating)
    book.observe(compensating, key, Answer.DUPLICATE, [{"id": 1}, {"id": 2}])
    epoch = book.again(compensating)
    book.do(runs.end_run, compensating, epoch, "TERMINAL", None, None)
    claim, _ = book.claim_duty(compensating, f"{key}/undo/2")
    book.do(obligations.fail_duty, claim, "raised", BOOM, book.recovery, body_over=True)

    stuck, epoch = book.driven()
    book.begin(stuck, epoch, BLIND)
    book.die(stuck)

    conflict, epoch = book.driven()
    key = book.begin(conflict, epoch, LOOK_UP)
    book.die(conflict)
    book.observe(conflict, key, Answer.DUPLICATE, [{"id": 1}, {"id": 2}])

    waiting, epoch = book.driven()
    key = book.begin(waiting, epoch, OUTBOX)
    book.do(runs.park, waiting, epoch, [], "waits")
    claim = book.claim(waiting, key, "body")
    book.do(claims.lose_dispatch, claim, "died", None, book.recovery, body_over=True, died=True)
    book.claim(waiting, key, "body")

    doubted, epoch = book.driven()
    book.begin(doubted, epoch, UNDO_UNKNOWN)
    book.die(doubted)

    cancelled = book.start()
    book.do(runs.cancel, cancelled)
    book.start("not begun", start_key="monday")

    running, epoch = book.driven()
    book.begin(running, epoch, replace(IDEMPOTENT, retries=1, key_lifetime_us=60_000_000), 0, {"live": None})


def reading(book: Book) -> dict[str, Any]:
    """What this release reads in the journal: to be found again by every later one."""
    return {
        "runs": [
            {name: row[name] for name in ("id", "status", "epoch", "seq", "decisions", "effects", "end_status")}
            for row in book.rows("SELECT * FROM run ORDER BY no")
        ],
        "effects": [
            {name: row[name] for name in ("key", "status", "step", "attempts", "resolution", "writer")}
            for row in book.rows("SELECT * FROM effect ORDER BY key")
        ],
        "obligations": [
            {name: row[name] for name in ("key", "status", "position", "act")}
            for row in book.rows("SELECT * FROM obligation ORDER BY key")
        ],
        "entries": [
            {"kind": row["kind"], "seq": row["seq"], "body": json.loads(row["body"])}
            for row in book.rows("SELECT * FROM entry ORDER BY id")
        ],
    }


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        book = Book(Path(folder) / "golden.db")
        story(book)
        read = reading(book)
        book.close()
        with closing(sqlite3.connect(book.path)) as connection:
            pragmas = [f"PRAGMA user_version = {SCHEMA_VERSION};", f"PRAGMA application_id = {APPLICATION_ID};"]
            text = "\n".join([*pragmas, *connection.iterdump()])
    (HERE / f"v{SCHEMA_VERSION}.sql").write_text(text + "\n")
    (HERE / f"v{SCHEMA_VERSION}.json").write_text(json.dumps(read, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
