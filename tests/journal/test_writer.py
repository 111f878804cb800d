"""The one writer: each verb whole or absent, whatever the database does; what was acknowledged survives."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tape.core.journal import dialect, effects, records, runs, workers
from tape.core.journal.effects import Call
from tape.core.journal.records import Usage
from tape.core.journal.transaction import Tx, edit_leased
from tape.core.journal.work import Work
from tape.core.journal.writer import Outcome
from tape.core.kernel.errors import JournalError, JournalUnavailable, Refused, UsageError
from tape.core.kernel.events import Decision
from tests.journal import invariants
from tests.journal.book import CONFIRMED, UNDOABLE, Book

Verb = Callable[[Tx], Any]


class Faulty:
    """A connection on which chosen statements fail, counted over all connections that share the plan."""

    def __init__(self, real: sqlite3.Connection, plan: Plan) -> None:
        self.real, self.plan = real, plan

    def execute(self, sql: str, *args: Any) -> Any:
        self.plan.at += 1
        self.plan.seen.append(sql)
        if self.plan.fails(self.plan.at, sql):
            raise sqlite3.OperationalError(self.plan.error)
        return self.real.execute(sql, *args)

    def close(self) -> None:
        self.real.close()


class Plan:
    def __init__(self, fails: Callable[[int, str], bool], error: str = "disk I/O error") -> None:
        self.fails, self.error, self.at = fails, error, 0
        self.seen: list[str] = []


@pytest.fixture
def fault(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Book, Plan], None]]:
    connect = dialect.connect
    patched = monkeypatch.context()

    def install(book: Book, plan: Plan) -> None:
        book.writer.connection = Faulty(book.writer.connection, plan)  # type: ignore[assignment]
        mine = book.path
        context.setattr(dialect, "connect", lambda path: Faulty(connect(path), plan) if path == mine else connect(path))

    with patched as context:
        yield install


def story(run_id: str, epoch: int) -> list[Verb]:
    """A batch that ends a run: each verb needs the one before it, one is refused."""
    key = f"{run_id}/0/0/tool"
    decision = Decision(index=0, name="ask", fingerprint="f", request=None, reply=1)
    return [
        lambda tx: records.ask_model(tx, run_id, epoch, 0, "ask"),
        lambda tx: records.record_decision(tx, run_id, epoch, decision, Usage(1, 2, 3)),
        lambda tx: effects.begin_effect(tx, run_id, epoch, Call(0, 0, "tool", {"a": 1}, UNDOABLE), "f"),
        lambda tx: runs.end_run(tx, run_id, epoch, "TERMINAL", None, None),  # refused: an effect is open
        lambda tx: effects.end_effect(tx, run_id, epoch, key, 1, CONFIRMED, Usage(usd_micro=1)),
        lambda tx: runs.end_run(tx, run_id, epoch, "FAILED", None, {"message": "no"}),
    ]


def fresh(folder: Path, name: str) -> tuple[Book, list[Verb], int]:
    book = Book(folder / name)
    run_id, epoch = book.driven()
    return book, story(run_id, epoch), book.row("SELECT max(id) FROM entry")[0]


def real(book: Book) -> sqlite3.Connection:
    connection = book.writer.connection
    return connection.real if isinstance(connection, Faulty) else connection


def agrees(book: Book, outcomes: list[Outcome[Any]], after: int) -> None:
    """The journal holds exactly what the outcomes say, and nothing else."""
    told = [(entry.id, entry.event.kind) for outcome in outcomes for entry in outcome.entries]
    with sqlite3.connect(book.path) as other:
        other.row_factory = sqlite3.Row
        stored = [tuple(row) for row in other.execute("SELECT id, kind FROM entry WHERE id > ? ORDER BY id", (after,))]
        assert stored == told
        assert all(outcome.error is None or not outcome.entries for outcome in outcomes)
        invariants.check(other)
    other.close()


def shape(outcomes: list[Outcome[Any]]) -> list[str]:
    return ["ok" if outcome.error is None else type(outcome.error).__name__ for outcome in outcomes]


HEALTHY = ["ok", "ok", "ok", "Refused", "ok", "ok"]


def statement_count(folder: Path, fault: Callable[[Book, Plan], None]) -> int:
    book, verbs, after = fresh(folder, "healthy.db")
    plan = Plan(lambda at, sql: False)
    fault(book, plan)
    outcomes = book.writer.commit(verbs)
    assert shape(outcomes) == HEALTHY
    agrees(book, outcomes, after)
    book.close()
    return plan.at


def test_a_batch_is_one_transaction(tmp_path: Path, fault: Callable[[Book, Plan], None]) -> None:
    book, verbs, _ = fresh(tmp_path, "one.db")
    plan = Plan(lambda at, sql: False)
    fault(book, plan)
    book.writer.commit(verbs)
    assert plan.seen.count("BEGIN IMMEDIATE") == plan.seen.count("COMMIT") == 1
    assert plan.seen.count("ROLLBACK TO verb") == 1
    book.close()


def test_the_nth_statement_fails_once(tmp_path: Path, fault: Callable[[Book, Plan], None]) -> None:
    """The batch is rolled back, the connection opened anew, each verb applied alone: nothing is lost or doubled."""
    count = statement_count(tmp_path, fault)
    assert count > 40
    for number in range(1, count + 1):
        book, verbs, after = fresh(tmp_path, f"{number}.db")
        fault(book, Plan(lambda at, sql, number=number: at == number))
        outcomes = book.writer.commit(verbs)
        assert shape(outcomes) == HEALTHY, f"statement {number}"
        agrees(book, outcomes, after)
        book.close()


def test_the_nth_statement_fails_and_everything_after_it(tmp_path: Path, fault: Callable[[Book, Plan], None]) -> None:
    count = statement_count(tmp_path, fault)
    for number in range(1, count + 1, 5):
        book, verbs, after = fresh(tmp_path, f"{number}.db")
        plan = Plan(lambda at, sql, number=number: at >= number)
        fault(book, plan)
        outcomes = book.writer.commit(verbs)
        assert shape(outcomes) == ["JournalUnavailable"] * 6, f"statement {number}"
        agrees(book, outcomes, after)
        plan.fails = lambda at, sql: False
        again = book.writer.commit(verbs)
        assert shape(again) == HEALTHY, "as soon as it works again"
        agrees(book, again, after)
        book.close()


def test_what_builds_on_a_verb_that_was_not_written_is_not_written(
    tmp_path: Path, fault: Callable[[Book, Plan], None]
) -> None:
    """Whichever statement fails a second time: of one run's chain there is only ever a beginning."""
    count = statement_count(tmp_path, fault)
    cut = 0
    for number in range(count + 1, 2 * count + 12, 3):
        book, verbs, after = fresh(tmp_path, f"{number}.db")
        other = book.driven()[0]
        after = book.row("SELECT max(id) FROM entry")[0]
        fault(book, Plan(lambda at, sql, number=number: at in (count, number)))
        chains = ["the run"] * len(verbs)
        outcomes = book.writer.commit([*verbs, lambda tx, other=other: runs.cancel(tx, other)], [*chains, None])
        told = shape(outcomes)
        failed = told.index("JournalUnavailable") if "JournalUnavailable" in told else len(verbs)
        if failed < len(verbs):
            assert told == [*HEALTHY[:failed], *["JournalUnavailable"] * (len(verbs) - failed), "ok"], number
            cut += 1
        agrees(book, outcomes, after)
        book.close()
    assert cut > 10


def test_a_statement_fails_in_the_batch_and_another_alone(tmp_path: Path, fault: Callable[[Book, Plan], None]) -> None:
    """Some verbs are applied, some not: each outcome says the truth about its own."""
    count = statement_count(tmp_path, fault)
    for number in range(count + 1, 2 * count + 12, 5):
        book, verbs, after = fresh(tmp_path, f"{number}.db")
        fault(book, Plan(lambda at, sql, number=number: at in (count, number)))
        outcomes = book.writer.commit(verbs)
        assert "ok" in shape(outcomes)
        agrees(book, outcomes, after)
        book.close()


@pytest.mark.parametrize("failures", [1, 2, 3, 99])
def test_commits_fail(tmp_path: Path, fault: Callable[[Book, Plan], None], failures: int) -> None:
    book, verbs, after = fresh(tmp_path, "dev.db")
    left = [failures]

    def fails(at: int, sql: str) -> bool:
        if sql == "COMMIT" and left[0]:
            left[0] -= 1
            return True
        return False

    fault(book, Plan(fails, "database or disk is full"))
    outcomes = book.writer.commit(verbs)
    agrees(book, outcomes, after)
    assert shape(outcomes)[0] == ("ok" if failures == 1 else "JournalUnavailable")
    if failures == 99:
        assert "ok" not in shape(outcomes), "a refusal needs no commit, everything else does"
        assert "the disk is full; free some space" in str(outcomes[0].error)
    book.close()


def test_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    book = Book(tmp_path / "dev.db")
    connect = dialect.connect
    started = [book.start("x" * 1000) for _ in range(3)]
    pages = book.row("PRAGMA page_count")[0]

    def limited(path: Path) -> sqlite3.Connection:
        connection = connect(path)
        connection.execute(f"PRAGMA max_page_count = {pages + 3}")
        return connection

    monkeypatch.setattr(dialect, "connect", limited)
    book.reopen()
    refused = 0
    for _ in range(30):
        outcome = book.writer.commit([lambda tx: runs.start_run(tx, "agent", "y" * 2000)])[0]
        if outcome.error is None:
            started.append(outcome.result)
        else:
            refused += 1
            assert isinstance(outcome.error, JournalUnavailable) and "disk is full" in str(outcome.error)
        book.writer.apply(lambda tx: invariants.check(tx.connection))
    assert refused > 20
    monkeypatch.undo()
    book.reopen()
    started.append(book.start("z"))
    assert [row["id"] for row in book.rows("SELECT id FROM run ORDER BY no")] == started
    invariants.check(book.writer.connection)
    book.close()


def test_locked_by_another_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialect, "BUSY_SECONDS", 0.0)
    book, verbs, after = fresh(tmp_path, "dev.db")
    other = sqlite3.connect(book.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    outcomes = book.writer.commit(verbs)
    assert shape(outcomes) == ["JournalUnavailable"] * 6
    assert "another process holds it" in str(outcomes[0].error)
    other.execute("ROLLBACK")
    other.close()
    outcomes = book.writer.commit(verbs)
    assert shape(outcomes) == HEALTHY
    agrees(book, outcomes, after)
    book.close()


def test_what_a_verb_has_read_stands_until_it_has_written(book: Book) -> None:
    """The lock is taken before the first look: no other process writes between a verb's check and its write."""
    run_id, epoch = book.driven()
    other = sqlite3.connect(book.path, isolation_level=None, timeout=0)
    seen: list[str] = []

    def verb(tx: Tx) -> int:
        edit_leased(tx, run_id, epoch)
        try:
            other.execute("UPDATE run SET epoch = epoch + 1")
        except sqlite3.OperationalError as error:
            seen.append(str(error))
        return records.attach(tx, run_id, epoch, [])

    (outcome,) = book.writer.commit([verb])
    other.close()
    assert seen == ["database is locked"]
    assert outcome.error is None


def test_a_reader_is_no_obstacle(tmp_path: Path) -> None:
    book, verbs, after = fresh(tmp_path, "dev.db")
    reader = sqlite3.connect(f"file:{book.path}?mode=ro", uri=True, isolation_level=None)
    reader.execute("BEGIN")
    before = reader.execute("SELECT count(*) FROM entry").fetchone()
    outcomes = book.writer.commit(verbs)
    assert shape(outcomes) == HEALTHY
    assert reader.execute("SELECT count(*) FROM entry").fetchone() == before, "its snapshot stands still"
    reader.close()
    agrees(book, outcomes, after)
    book.close()


def test_read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    book, verbs, after = fresh(tmp_path, "dev.db")
    connect = dialect.connect

    def read_only(path: Path) -> sqlite3.Connection:
        connection = connect(path)
        connection.execute("PRAGMA query_only = ON")
        return connection

    monkeypatch.setattr(dialect, "connect", read_only)
    book.writer.connection.execute("PRAGMA query_only = ON")
    outcomes = book.writer.commit(verbs)
    assert shape(outcomes) == ["JournalUnavailable"] * 6
    assert "it is read-only; make the file and its folder writable" in str(outcomes[0].error)
    monkeypatch.undo()
    book.reopen()
    agrees(book, outcomes, after)
    book.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for root")
def test_a_read_only_folder(tmp_path: Path) -> None:
    book = Book(tmp_path / "sub" / "dev.db")
    book.close()
    (tmp_path / "sub").chmod(0o500)
    with pytest.raises(JournalUnavailable):
        Book(tmp_path / "sub" / "dev.db").start()


@pytest.mark.parametrize("how", ["replaced", "removed"])
def test_a_log_that_was_replaced_underneath_is_refused(tmp_path: Path, how: str) -> None:
    book, verbs, _ = fresh(tmp_path, "dev.db")
    log = Path(f"{book.path}-wal")
    aside = log.rename(tmp_path / "aside")
    if how == "replaced":
        log.write_bytes(aside.read_bytes())
    size = aside.stat().st_size
    for _ in range(2):
        outcomes = book.writer.commit(verbs)
        assert shape(outcomes) == ["JournalUnavailable"] * 6
        assert "was replaced by another process" in str(outcomes[0].error)
    assert aside.stat().st_size == size, "nothing is written any more"
    book.close()


def test_a_log_that_comes_and_goes_with_our_own_connection_is_fine(tmp_path: Path) -> None:
    book, verbs, after = fresh(tmp_path, "dev.db")
    book.writer.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert shape(book.writer.commit(verbs[:3])) == ["ok"] * 3

    def failing(tx: Tx) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    assert shape(book.writer.commit([failing])) == ["JournalUnavailable"]
    assert Path(f"{book.path}-wal").exists(), "what failed is not closed before another is open: the log stays"
    assert shape(book.writer.commit(verbs[3:])) == HEALTHY[3:]
    assert after
    book.close()


def test_a_defect_in_one_verb_takes_no_other_with_it(tmp_path: Path) -> None:
    book, verbs, after = fresh(tmp_path, "dev.db")

    def broken(tx: Tx) -> None:
        runs.start_run(tx, "agent", "half")
        raise KeyError("oops")

    outcomes = book.writer.commit([verbs[0], broken, verbs[1], verbs[2]])
    assert shape(outcomes) == ["ok", "JournalError", "ok", "ok"]
    error = outcomes[1].error
    assert type(error) is JournalError and "KeyError" in str(error) and isinstance(error.__cause__, KeyError)
    agrees(book, outcomes, after)
    book.close()


def test_an_interrupt_leaves_nothing_behind(tmp_path: Path) -> None:
    book, verbs, after = fresh(tmp_path, "dev.db")

    def interrupted(tx: Tx) -> None:
        runs.start_run(tx, "agent", "half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        book.writer.commit([verbs[0], interrupted])
    agrees(book, [], after)
    outcomes = book.writer.commit(verbs)
    assert shape(outcomes) == HEALTHY
    agrees(book, outcomes, after)
    book.close()


def test_an_empty_batch_and_a_refused_verb(book: Book) -> None:
    assert book.writer.commit([]) == []
    run_id, epoch = book.driven()
    with pytest.raises(Refused):
        book.writer.apply(lambda tx: runs.park(tx, run_id, epoch + 1, [], ""))
    assert book.writer.apply(lambda tx: runs.run_status(tx, run_id)) == "RUNNING"


def test_entries_come_back_with_the_outcome(book: Book) -> None:
    run_id, epoch = book.driven()
    outcome = book.writer.commit([lambda tx: records.ask_model(tx, run_id, epoch, 0, "m")])[0]
    (entry,) = outcome.entries
    assert (entry.run_id, entry.seq, entry.epoch, entry.event.kind) == (run_id, None, epoch, "model_asked")
    assert entry.at_us == book.clock.wall_us()


def test_acknowledged_commits_survive_another_process(tmp_path: Path) -> None:
    """No close, no checkpoint: what was acknowledged stands in the log for whoever opens the file next."""
    book = Book(tmp_path / "dev.db")
    started = book.start()
    other = Book(tmp_path / "dev.db")
    assert other.status(started) == "RUNNABLE"
    other.close()
    book.close()


@pytest.mark.parametrize("name", ["a#b", "a?b", "a%41b", "50%", "ü b"])
def test_a_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    book = Book(folder / "dev.db")
    run_id = book.start()
    assert [due.id for due in Work(folder / "dev.db").runnable(book.clock.boot_us(), 10)] == [run_id]
    assert [path.name for path in tmp_path.iterdir()] == [name], "nothing is made beside it"


def test_what_is_not_utf_8_is_refused_and_no_defect(book: Book) -> None:
    run_id = book.start()
    key, order = {"start_key": "\udcff"}, ("cancel", {}, "me", "no \udcff")
    errors = [
        book.refused(runs.start_run, "agent", "task", by=UsageError, says="is not UTF-8", **key),
        book.refused(workers.place_order, run_id, *order, by=UsageError, says="is not UTF-8"),
    ]
    assert not any("defect" in str(error) for error in errors)
