"""Retention: what may go, what never goes, and that a run is there whole or not at all."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tape.core.journal import claims, effects, forks, records, retention, runs
from tape.core.journal.audit import audit
from tape.core.journal.audit_facts import Severity
from tape.core.journal.effects import Call
from tape.core.journal.records import Usage
from tape.core.journal.retention import Removal
from tape.core.journal.views import open_reader
from tape.core.kernel.events import Decision, OrderPlaced
from tape.core.kernel.identity import hash_json
from tape.core.kernel.policy import SECOND_US
from tests.journal.book import CONFIRMED, OUTBOX, OUTBOX_BLIND, Book
from tests.journal.test_left import OUTBOX_UNDO_UNKNOWN, left_behind, lost

DAY_US = 86_400 * SECOND_US
ALL = {"terminal": 0, "failed": 0, "cancelled": 0}


def message(number: int) -> dict[str, str]:
    return {"role": "user", "content": f"{number}: " + "word " * 40}


def ended(book: Book, outcome: str = "TERMINAL", *, history: int = 0, input: Any = "task") -> str:
    run_id, epoch = book.driven(input)
    for turn in range(1, history + 1):
        request = {"args": [[message(number) for number in range(turn)]], "kwargs": {}}
        told = Decision(index=turn - 1, name="ask", fingerprint="f", request=request, reply="ok")
        book.do(records.record_decision, run_id, epoch, told, Usage())
    book.do(runs.end_run, run_id, epoch, outcome, None, None)
    return run_id


def planned(book: Book, keep: dict[str, int]) -> Removal:
    with open_reader(book.path) as reader:
        return retention.plan(reader, retention.until_of(keep, book.clock.wall_us())).removal


def collect(book: Book, keep: dict[str, int] = ALL) -> dict[str, Any]:
    """Everything that may go, goes."""
    until = retention.until_of(keep, book.clock.wall_us())
    with open_reader(book.path) as reader:
        plan = retention.plan(reader, until)
    done: dict[str, Any] = {"runs": [], "entries": 0, "values": 0, "bytes": 0}
    for batch in plan.batches():
        _add(done, book.do(retention.remove_runs, batch, until, "me@here", ""))
    with open_reader(book.path) as reader:
        names, after = retention.unused_values(reader)
    for part in retention.value_batches(names):
        _add(done, book.do(retention.remove_values, part, after))
    return done


def _add(total: dict[str, Any], part: dict[str, Any]) -> None:
    for name, amount in part.items():
        total[name] = total[name] + amount


def left(book: Book) -> list[str]:
    return [row[0] for row in book.writer.connection.execute("SELECT id FROM run ORDER BY no")]


def wrong(book: Book) -> list[str]:
    with open_reader(book.path) as reader:
        return [one.what for one in audit(reader).findings if one.severity is Severity.ERROR]


# --- what may go --------------------------------------------------------------------------------------------------


def test_runs_go_by_their_end_and_age(book: Book) -> None:
    old = [ended(book), ended(book, "FAILED")]
    book.clock.advance(10 * 86_400)
    young = [ended(book), ended(book, "FAILED")]
    cancelled = book.start()
    book.do(runs.cancel, cancelled)
    newest = book.start()
    assert planned(book, {}).runs == ()
    assert planned(book, {"terminal": 5 * DAY_US}).runs == (old[0],)
    assert planned(book, {"failed": 5 * DAY_US}).runs == (old[1],)
    assert planned(book, {"terminal": 11 * DAY_US, "failed": 10 * DAY_US}).runs == (old[1],)
    assert planned(book, {"cancelled": 0}).runs == (cancelled,)
    assert planned(book, ALL).ends == {"TERMINAL": 2, "FAILED": 2, "CANCELLED": 1}
    assert collect(book, {"terminal": 5 * DAY_US, "failed": 5 * DAY_US})["runs"] == old
    assert left(book) == [*young, cancelled, newest]
    assert wrong(book) == []


def test_what_is_not_at_its_end_or_has_something_open_stays(book: Book) -> None:
    waiting = book.start()
    running, _ = book.driven()
    stuck, epoch = book.driven()
    book.begin(stuck, epoch)
    book.die(stuck)
    forgotten, epoch = book.driven()
    call = Call(None, 0, "tool", {}, OUTBOX)
    book.do(effects.begin_effect, forgotten, epoch, call, "f")
    book.writer.connection.execute("UPDATE run SET status='TERMINAL', end_status='TERMINAL' WHERE id=?", (forgotten,))
    disputed = ended(book)
    book.writer.connection.execute(
        "INSERT INTO conflict (run_no, key, why, evidence, opened_us) SELECT no, 'k', 'w', '', 1 FROM run WHERE id=?",
        (disputed,),
    )
    failed = ended(book, "FAILED")
    gone, newest = ended(book), ended(book)
    book.clock.advance(400 * 86_400)
    assert set(planned(book, ALL).runs) == {gone, failed}
    book.writer.connection.execute("UPDATE conflict SET closed_us = 2")
    assert set(planned(book, ALL).runs) == {gone, failed, disputed}
    assert collect(book)["runs"] == [disputed, failed, gone]
    assert left(book) == [waiting, running, stuck, forgotten, newest]
    book.writer.connection.execute("UPDATE run SET status='RUNNING', end_status=NULL WHERE id=?", (forgotten,))


def test_what_is_left_of_a_run_that_has_ended_keeps_it(book: Book) -> None:
    """No lease is live and the run is at its end; all that holds it is what is still to be sent, known or undone."""
    to_send, (unsent,) = left_behind(book, OUTBOX)
    in_doubt, (letter,) = left_behind(book, OUTBOX_BLIND)
    lost(book, book.claim(in_doubt, letter, "body"))
    owing, (doubted,) = left_behind(book, OUTBOX_UNDO_UNKNOWN)
    lost(book, book.claim(owing, doubted, "body"))
    undo = f"{doubted}/undo/1"
    assert (book.effect(unsent)["status"], book.effect(letter)["status"]) == ("PENDING", "UNKNOWN")
    assert {book.status(run_id) for run_id in (to_send, in_doubt, owing)} == {"TERMINAL"}
    newest = ended(book)
    book.clock.advance(400 * 86_400)
    assert planned(book, ALL).runs == ()
    book.writer.connection.execute("UPDATE effect SET status = 'FAILED' WHERE key = ?", (doubted,))
    assert book.duty(undo)["status"] == "DUE"
    assert planned(book, ALL).runs == (), "the undo alone holds it"
    book.writer.connection.execute("UPDATE effect SET status = 'UNKNOWN' WHERE key = ?", (doubted,))
    book.undo(owing, undo)
    assert planned(book, ALL).runs == (owing,)
    book.do(claims.end_dispatch, book.claim(to_send, unsent, "body"), CONFIRMED)
    book.do(claims.resolve_effect, in_doubt, letter, "confirm", {"by": "hand"}, "it arrived")
    assert collect(book)["runs"] == [to_send, in_doubt, owing]
    assert left(book) == [newest]
    assert wrong(book) == []


def ended_family(book: Book) -> tuple[str, str, str]:
    """A parent, its child, and a fork of that, all at their ends."""
    parent, epoch = book.driven()
    child = book.child(parent)
    book.do(runs.end_run, child, book.grant(child), "TERMINAL", None, None)
    book.do(runs.end_run, parent, epoch, "TERMINAL", None, None)
    fork = book.do(forks.fork_run, child, 1).run
    book.do(runs.end_run, fork, book.grant(fork), "TERMINAL", None, None)
    return parent, child, fork


def test_parents_children_and_forks_go_together_or_not_at_all(book: Book) -> None:
    parent, child, fork = ended_family(book)
    alone, newest = ended(book), ended(book)
    assert planned(book, ALL).runs == (parent, child, fork, alone)
    book.writer.connection.execute("UPDATE run SET updated_us = updated_us + 60000000000 WHERE id = ?", (fork,))
    assert planned(book, ALL).runs == (alone,)
    late_parent = book.start()
    book.grant(late_parent)
    other = book.child(late_parent)
    book.do(runs.end_run, other, book.grant(other), "TERMINAL", None, None)
    assert planned(book, ALL).runs == (alone, newest)
    collect(book)
    assert left(book) == [parent, child, fork, late_parent, other]
    assert wrong(book) == []


def test_a_group_that_was_forked_since_it_was_planned_stays(book: Book) -> None:
    first, second = ended(book), ended(book)
    until = retention.until_of(ALL, book.clock.wall_us())
    with_newest = book.start()
    with open_reader(book.path) as reader:
        [batch] = retention.plan(reader, until).batches()
    book.writer.connection.execute("UPDATE run SET source_id = ? WHERE id = ?", (first, with_newest))
    assert book.do(retention.remove_runs, batch, until, "me@here", "")["runs"] == [second]
    assert left(book) == [first, with_newest]


def test_a_part_of_a_family_is_never_removed(book: Book) -> None:
    """Whatever was planned: a group goes only with all that it is related to."""
    parent, child, fork = ended_family(book)
    alone, _ = ended(book), ended(book)
    until = retention.until_of(ALL, book.clock.wall_us())
    numbers = {run_id: book.run(run_id)["no"] for run_id in (parent, child, fork, alone)}
    for missing in (parent, child, fork):
        part = [number for run_id, number in numbers.items() if run_id not in (missing, alone)]
        assert book.do(retention.remove_runs, [part], until, "me@here", "")["runs"] == [], f"without {missing}"
    groups = [[numbers[alone]], [numbers[run_id] for run_id in (parent, child, fork)]]
    assert book.do(retention.remove_runs, groups, until, "me@here", "")["runs"] == [alone, parent, child, fork]


def test_a_removal_looks_at_no_family_but_its_own(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are: agents wait for as long as it takes."""
    parent, _ = book.driven()
    for _ in range(5):
        book.child(parent)
    alone = [ended(book) for _ in range(3)]
    book.start()
    until = retention.until_of(ALL, book.clock.wall_us())
    with open_reader(book.path) as reader:
        [batch] = retention.plan(reader, until).batches()
    monkeypatch.delattr(retention, "_groups")  # of all families, for a plan
    assert book.do(retention.remove_runs, batch, until, "me@here", "")["runs"] == alone
    sql = retention.SQL["relations_of"]
    numbers = {"numbers": f"[{book.run(book.start())['no']}]"}
    assert book.writer.connection.execute(sql, numbers).fetchall() == []
    steps = [row[3] for row in book.writer.connection.execute(f"EXPLAIN QUERY PLAN {sql}", numbers)]
    assert [step for step in steps if step.startswith("SCAN") and "run" in step] == ["SCAN run"], "for forks"


# --- whole or absent ----------------------------------------------------------------------------------------------


def test_nothing_is_left_of_a_run_but_the_order_that_removed_it(book: Book) -> None:
    run_id, epoch = book.driven("x" * 9_000)
    key = book.begin(run_id, epoch)
    book.fail(run_id, epoch, key)
    book.do(claims.resolve_effect, run_id, key, "fail", None, "because")
    epoch = book.run(run_id)["epoch"]
    if book.status(run_id) != "RUNNING":
        epoch = book.again(run_id)
    book.do(records.set_timer, run_id, epoch, 0, 1.0, "f")
    book.do(runs.end_run, run_id, epoch, "FAILED", None, None)
    newest = ended(book)
    promised = planned(book, ALL)
    number = book.writer.connection.execute("SELECT no FROM run WHERE id = ?", (run_id,)).fetchone()[0]
    done = collect(book)
    assert (done["runs"], done["entries"], done["values"]) == ([run_id], promised.entries, promised.values)
    assert (done["bytes"], promised.values) == (promised.bytes, 1)
    for table, rows in book.dump().items():
        if table not in ("worker", "entry", "order"):
            assert not [row for row in rows if row[0] == number or run_id in row], table
    assert left(book) == [newest]
    with open_reader(book.path) as reader:
        [order] = [entry.event for entry in reader.entries() if isinstance(entry.event, OrderPlaced)]
    assert (order.verb, order.args) == ("gc", {"runs": [run_id], "entries": promised.entries})
    assert wrong(book) == []


def test_ids_are_never_given_out_again(book: Book) -> None:
    """A feed's cursor goes on: the newest run stays, and the removal is an entry behind all others."""
    ended(book, history=3)
    newest = book.start()
    late = ended(book)
    book.do(runs.cancel, newest)
    with open_reader(book.path) as reader:
        cursor, last_no = reader.last_id(), reader.last_no()
    collect(book)
    assert late in left(book)
    another = book.start()
    with open_reader(book.path) as reader:
        assert [entry.run_id for entry in reader.entries(after=cursor)] == [None, another]
        assert reader.last_no() == last_no + 1


def test_values_that_others_refer_to_stay(book: Book) -> None:
    short, long = ended(book, history=4), ended(book, history=8)
    ended(book, input=[message(number) for number in range(100)])
    newest = book.start()
    with open_reader(book.path) as reader:
        before = reader.dump(long).decisions
    book.writer.connection.execute("UPDATE run SET updated_us = updated_us + 60000000000 WHERE id = ?", (long,))
    done = collect(book)
    assert short in done["runs"] and done["values"] == 1  # the input of the third
    with open_reader(book.path) as reader:
        assert reader.dump(long).decisions == before
    book.writer.connection.execute("UPDATE run SET updated_us = 0")
    assert collect(book)["values"] == 16
    assert left(book) == [newest]
    assert book.dump()["blob"] == []


def test_a_value_that_is_used_again_meanwhile_is_kept_with_all_that_it_needs(book: Book, monkeypatch: Any) -> None:
    monkeypatch.setattr(retention, "BATCH_VALUES", 1)
    ended(book, history=6)
    run_id, epoch = book.driven()
    until = retention.until_of(ALL, book.clock.wall_us())
    with open_reader(book.path) as reader:
        [batch] = retention.plan(reader, until).batches()
    book.do(retention.remove_runs, batch, until, "me@here", "")
    with open_reader(book.path) as reader:
        names, after = retention.unused_values(reader)
    assert len(names) == 12
    history = [message(number) for number in range(4)]
    for at, part in enumerate(retention.value_batches(names)):
        if at in (2, 5, 9):  # the conversation goes on in another run
            index = (2, 5, 9).index(at)
            told = Decision(
                index=index, name="ask", fingerprint="f", request={"args": [history[: index + 2]], "kwargs": {}}
            )
            book.do(records.record_decision, run_id, epoch, told, Usage())
        book.do(retention.remove_values, part, after)
        assert wrong(book) == []
    with open_reader(book.path) as reader:
        assert [one.request["args"][0] for one in reader.dump(run_id).decisions] == [history[:2], history[:3], history]


def test_damaged_lists_that_go_round_are_removed_all_the_same(book: Book) -> None:
    ended(book)
    nodes = {"a": "b", "b": "c", "c": "b", "d": "d"}
    rows = [(name, f'+{{"before":"{before}","items":[]}}') for name, before in nodes.items()]
    book.writer.connection.executemany("INSERT INTO blob (hash, body) VALUES (?, ?)", rows)
    assert collect(book)["values"] == len(nodes)
    assert book.dump()["blob"] == []


def test_a_kill_in_the_middle_leaves_each_run_whole_or_absent(tmp_path: Path) -> None:
    path = tmp_path / "tape" / "dev.db"
    book = Book(path)
    doomed = [ended(book, history=2) for _ in range(4)]
    newest = book.start()
    book.close()
    for at in (1, 2, 5, 13, 14, 20, 30):
        if (pid := os.fork()) == 0:
            _collect_and_die(path, at)
        _, how = os.waitpid(pid, 0)
        assert os.WIFSIGNALED(how)
        book = Book(path)
        assert wrong(book) == []
        assert set(left(book)) <= {*doomed, newest}
        book.close()
    book = Book(path)
    collect(book)
    assert left(book) == [newest]
    assert book.dump()["blob"] == []
    book.close()


def _collect_and_die(path: Path, at: int) -> None:
    left = [at]

    def count(statement: str) -> None:
        if statement.startswith("DELETE"):
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)

    try:
        retention.BATCH_ENTRIES = 1
        book = Book(path)
        book.writer.connection.set_trace_callback(count)
        collect(book)
        os.kill(os.getpid(), signal.SIGKILL)
    finally:
        os._exit(1)  # this is a copy of the test's own process


def test_a_journal_reads_the_same_after_it_was_compacted(book: Book) -> None:
    kept = ended(book, history=5)
    for number in range(60):
        ended(book, history=5, input=f"{number}" * 9_000)
    newest = book.start()
    book.writer.connection.execute("UPDATE run SET updated_us = updated_us + 60000000000 WHERE id = ?", (kept,))
    collect(book)
    before, size = book.dump(), os.stat(book.path).st_size
    with open_reader(book.path) as reader:
        feed = reader.entries()
    retention.compact(book.writer)
    assert os.stat(book.path).st_size < size / 2
    assert book.dump() == before
    with open_reader(book.path) as reader:
        assert reader.entries() == feed
    assert left(book) == [kept, newest]
    assert book.start() in left(book)
    assert wrong(book) == []


@pytest.mark.parametrize("name", retention.SQL)
def test_each_text_can_be_prepared(book: Book, name: str) -> None:
    values = {**ALL, "numbers": "[1]", "names": f'["{hash_json(1)}"]'}
    book.writer.connection.execute(f"EXPLAIN {retention.SQL[name]}", values)
