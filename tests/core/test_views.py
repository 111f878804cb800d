"""The read side: what it shows, that it costs little, that it touches nothing."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tape.core.clock import format_us
from tape.core.journal import (
    audit,
    audit_facts,
    backlog,
    dump,
    effect_lists,
    lists,
    migrations,
    needs,
    schema,
    views,
)
from tape.core.journal.dialect import create_statements
from tape.core.journal.dump import dump_json
from tape.core.journal.entries import LaterEvent, decode_event, entry_json
from tape.core.journal.shapes import view_json
from tape.core.journal.tables import SCHEMA_VERSION, TABLES
from tape.core.journal.views import JournalMissing, open_reader
from tape.core.kernel.errors import JournalUnavailable, NotFound, SchemaTooNew
from tape.core.kernel.events import BY_KIND, Decision, EffectEnded
from tape.core.kernel.resolution import Answer
from tests.core.view_journals import WIRE, Journal, tamper

ROOMS = (views, lists, effect_lists, backlog, needs, dump, audit, audit_facts)
SQL = {name: text for room in ROOMS for name, text in room.SQL.items()}
VALUES = dict.fromkeys(
    (
        *("run_id", "run_no", "before_no", "after_no", "until_no", "numbers", "limit"),
        *("status", "after", "floor", "key", "keys", "tools"),
    ),
    0,
)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(tmp_path / ".tape" / "dev.db")
    yield made
    made.close()


# --- the texts --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def schema_only() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    for statement in create_statements(TABLES):
        connection.execute(statement)
    yield connection
    connection.close()


@pytest.mark.parametrize("name", SQL)
def test_each_text_can_be_prepared(schema_only: sqlite3.Connection, name: str) -> None:
    schema_only.execute(f"EXPLAIN {SQL[name]}", VALUES)


def test_each_text_has_a_name_of_its_own() -> None:
    assert all(SQL[name] == text for room in ROOMS for name, text in room.SQL.items())


def plan(connection: sqlite3.Connection, name: str) -> str:
    return "; ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {SQL[name]}", VALUES))


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("run", "SEARCH run USING INDEX sqlite_autoindex_run_1 (id=?)"),
        ("runs", "SEARCH run USING INTEGER PRIMARY KEY (rowid<?)"),
        ("runs_open", "run USING INDEX run_open"),
        ("runs_status_open", "SEARCH run USING INDEX run_open (status=? AND no<?)"),
        ("open_counts", "run USING COVERING INDEX run_open"),
        ("feed", "SEARCH entry USING INTEGER PRIMARY KEY (rowid>?)"),
        ("feed_of_run", "SEARCH entry USING INTEGER PRIMARY KEY (rowid>?)"),
        ("entries_of_run", "SEARCH entry USING INDEX entry_run_seq (run_no=?)"),
        ("tape", "SEARCH entry USING INDEX entry_run_seq (run_no=? AND seq>?)"),
        ("last_id", "SEARCH entry"),
        ("effects", "SEARCH effect USING PRIMARY KEY (run_no=?)"),
        ("attempts", "SEARCH attempt USING PRIMARY KEY (run_no=?)"),
        ("leases", "SEARCH lease USING PRIMARY KEY (run_no=?)"),
        ("conflicts", "SEARCH conflict USING INDEX ix_conflict_run_no (run_no=?)"),
    ],
)
def test_lists_stay_flat_because_they_use_an_index(schema_only: sqlite3.Connection, name: str, step: str) -> None:
    found = plan(schema_only, name)
    assert step in found
    assert "SCAN entry" not in found
    if name in ("runs", "feed", "feed_of_run", "tape"):
        assert "TEMP B-TREE" not in found


def test_the_constants_of_the_schema_agree() -> None:
    assert SCHEMA_VERSION == schema.SCHEMA_VERSION == len(migrations.MIGRATIONS)
    assert migrations.APPLICATION_ID == schema.APPLICATION_ID


# --- runs -------------------------------------------------------------------------------------------------------


def test_runs_are_listed_newest_first(journal: Journal) -> None:
    ids = [journal.start(agent=f"agent{number}") for number in range(5)]
    with open_reader(journal.path) as reader:
        assert [run.id for run in reader.runs()] == ids[::-1]
        first = reader.runs(limit=2)
        assert [run.id for run in first] == ids[:2:-1]
        assert [run.id for run in reader.runs(limit=2, before_no=first[-1].no)] == [ids[2], ids[1]]
        assert [run.agent for run in reader.runs(run_id=ids[3])] == ["agent3"]
        assert reader.runs(run_id="r-000000000000") == []


def test_runs_are_found_by_status(journal: Journal) -> None:
    whole, running, (stuck, _) = journal.whole(), journal.running(), journal.stuck()
    with open_reader(journal.path) as reader:
        by_status = {
            status: [run.id for run in reader.runs(status=status)] for status in ("TERMINAL", "RUNNING", "STUCK")
        }
        assert by_status == {"TERMINAL": [whole], "RUNNING": [running], "STUCK": [stuck]}
        assert reader.runs(status="WAITING") == reader.runs(status="of a later release") == []
        assert [run.id for run in reader.runs(open_only=True)] == [stuck, running]
        assert reader.runs(run_id=whole, status="STUCK") == []
        counts = reader.counts()
        assert (counts.total, counts.open, counts.ended) == (3, {"RUNNING": 1, "STUCK": 1}, 1)


def test_a_run_shows_what_happened_to_it(journal: Journal) -> None:
    run_id = journal.survived()
    with open_reader(journal.path) as reader:
        run = reader.run(run_id)
    assert (run.status, run.decisions, run.effects, run.seq, run.drive, run.epoch) == ("TERMINAL", 3, 1, 10, 2, 3)
    assert run.ended and run.end_status == "TERMINAL"
    assert (run.worker, run.waiting_on, run.error, run.conflicts, run.cancel) == (None, "", "", 0, False)
    assert run.created_at == format_us(run.created_us) == "2027-01-15T08:00:00.001000Z"


def test_a_run_names_who_drives_it_and_what_it_waits_for(journal: Journal) -> None:
    running = journal.running()
    waiting, _, _ = journal.killed()
    with open_reader(journal.path) as reader:
        worker = reader.run(running).worker
        assert worker is not None and (worker.no, worker.pid, worker.host) == (1, 12345, "here")
        assert reader.run(waiting).worker is None
        assert reader.run(waiting).waiting_on == "look-up of 1/0/wire_money"


def test_parents_and_children_are_shown(journal: Journal) -> None:
    parent, done, idle = journal.family()
    with open_reader(journal.path) as reader:
        run, child = reader.run(parent), reader.run(idle)
        assert (run.parent, run.children, run.children_open, run.waiting_on) == (None, 2, 1, "child 1")
        assert (child.parent, child.children) == (parent, 0)
        assert child in reader.runs(), "lists say it too"
        found = reader.dump(parent).children
    assert [(each.ordinal, each.run, each.agent, each.status) for each in found] == [
        (0, done, "scout", "TERMINAL"),
        (1, idle, "scout", "RUNNABLE"),
    ]


def test_open_conflicts_are_counted(journal: Journal) -> None:
    run_id, key, _ = journal.killed()
    journal.observe(run_id, key, Answer.DUPLICATE, [WIRE, {**WIRE, "wire_id": "w-2"}])
    with open_reader(journal.path) as reader:
        assert reader.run(run_id).conflicts == 1
        (conflict,) = reader.dump(run_id).conflicts
        assert conflict.evidence == {**WIRE, "wire_id": "w-2"}
        assert conflict.closed_us is None


def test_an_unknown_run_is_named(journal: Journal) -> None:
    with open_reader(journal.path) as reader:
        for read in (reader.run, reader.tape, reader.dump, lambda run_id: reader.entries(run_id=run_id)):
            with pytest.raises(NotFound, match=r"no run r-000000000000 .*`tape status` lists them"):
                read("r-000000000000")


# --- entries ----------------------------------------------------------------------------------------------------


def test_the_feed_goes_on_where_it_was(journal: Journal) -> None:
    run_id = journal.whole()
    with open_reader(journal.path) as reader:
        all_entries = reader.entries()
        assert [entry.id for entry in all_entries] == list(range(1, reader.last_id() + 1))
        after, seen = 0, []
        while page := reader.entries(after=after, limit=3):
            assert len(page) <= 3
            seen += page
            after = page[-1].id
        assert seen == all_entries
        other = journal.start()
        new = reader.entries(after=after)
        assert [(entry.run_id, entry.event.kind) for entry in new] == [(other, "run_started")]
        assert reader.entries(after=after, run_id=run_id) == []
        assert reader.entries(after=after, run_id=other) == new


def test_entries_of_one_run(journal: Journal) -> None:
    journal.killed()
    run_id = journal.survived()
    with open_reader(journal.path) as reader:
        own = [entry for entry in reader.entries() if entry.run_id == run_id]
        assert reader.entries(run_id=run_id) == own
        assert reader.entries(run_id=run_id, limit=4) == own[:4]
        assert reader.entries(after=own[3].id, run_id=run_id) == own[4:]
        assert reader.entries(after=own[3].id, run_id=run_id, limit=2) == own[4:6]


def test_the_tape_has_the_records_only(journal: Journal) -> None:
    run_id = journal.survived()
    with open_reader(journal.path) as reader:
        tape = reader.tape(run_id)
    assert [entry.seq for entry in tape] == list(range(1, 11))
    assert [entry.event.kind for entry in tape[:7]] == [
        "run_started",
        "decision",
        "charge",
        "decision",
        "charge",
        "effect_begun",
        "effect_ended",
    ]
    assert isinstance(tape[6].event, EffectEnded)
    assert (tape[6].event.writer, tape[6].event.resolution) == ("reconciler", "observed")


def test_what_the_writer_tells_is_what_the_reader_reads(journal: Journal) -> None:
    run_id = journal.survived()
    with open_reader(journal.path) as reader:
        kinds = {entry.event.kind for entry in reader.entries(run_id=run_id)}
        assert kinds <= set(BY_KIND)
        assert not any(isinstance(entry.event, LaterEvent) for entry in reader.entries())


def test_entries_of_a_later_release_are_shown_raw(journal: Journal) -> None:
    run_id = journal.whole()
    tamper(
        journal.path,
        "UPDATE entry SET kind = 'gate_opened' WHERE seq = 6",
        "UPDATE entry SET body = '{' WHERE seq = 7",
        "UPDATE entry SET body = json_set(body, '$.mood', 'fine') WHERE seq = 2",
    )
    with open_reader(journal.path) as reader:
        tape = reader.tape(run_id)
        assert tape[5].event.kind == "gate_opened"
        assert isinstance(tape[5].event, LaterEvent) and tape[5].event.body["index"] == 1
        assert entry_json(tape[5])["body"] == tape[5].event.body
        assert isinstance(tape[6].event, LaterEvent) and tape[6].event.body == "{"
        assert isinstance(tape[1].event, Decision) and tape[1].event.reply == {"say": "a plan"}
        json.dumps(dump_json(reader.dump(run_id)))


@pytest.mark.parametrize("body", ["[]", "null", "1", '"x"', "{}", "", "{", '{"index": 0, "mood": 1}'])
def test_no_body_is_refused(body: str) -> None:
    assert isinstance(decode_event("decision", body), LaterEvent)
    assert decode_event("of a later release", body).kind == "of a later release"


# --- one run in full --------------------------------------------------------------------------------------------


def test_a_dump_holds_everything(journal: Journal) -> None:
    run_id = journal.survived()
    with open_reader(journal.path) as reader:
        found = reader.dump(run_id)
    assert found.run.id == run_id
    assert [entry.id for entry in found.entries] == sorted(entry.id for entry in found.entries)
    assert [(decision.index, decision.seq, decision.tokens_in, decision.usd_micro) for decision in found.decisions] == [
        (0, 2, 150, 2000),
        (1, 4, 150, 2000),
        (2, 8, 150, 2000),
    ]
    (effect,) = found.effects
    assert (effect.key, effect.status, effect.resolution, effect.writer) == (
        f"{run_id}/1/0/wire_money",
        "CONFIRMED",
        "observed",
        "reconciler",
    )
    assert (effect.args, effect.result, effect.row, effect.step, effect.attempts) == (
        {"to": "ACME", "amount_minor": 12500},
        WIRE,
        "N-present",
        "",
        1,
    )
    assert [(attempt.what, attempt.number, attempt.by, attempt.how) for attempt in found.attempts] == [
        ("body", 1, "agent", "SIGKILL"),
        ("look-up", 1, "reconciler", "present"),
    ]
    assert found.attempts[0].pid == 12345
    assert [(lease.drive, lease.epoch, lease.pid, lease.status, lease.first_seq) for lease in found.leases] == [
        (1, 1, 12345, "DIED", 2),
        (2, 3, 12391, "RELEASED", 8),
    ]
    assert {budget.unit: budget.spent for budget in found.budget} == {"tokens": 630, "usd_micro": 6000}
    assert found.obligations == found.timers == found.conflicts == found.orders == []


def test_an_open_effect_says_what_is_next(journal: Journal) -> None:
    run_id, key = journal.stuck()
    with open_reader(journal.path) as reader:
        (effect,) = reader.dump(run_id).effects
    assert (effect.key, effect.status, effect.step, effect.row, effect.ended_us) == (
        key,
        "UNKNOWN",
        "person",
        "N-ask",
        None,
    )


def test_json_has_times_and_no_microseconds(journal: Journal) -> None:
    run_id = journal.survived()
    with open_reader(journal.path) as reader:
        body = dump_json(reader.dump(run_id))
    assert set(body) >= {"run", "entries", "decisions", "effects", "attempts", "budget", "leases"}
    assert body["run"]["created_at"] == "2027-01-15T08:00:00.001000Z"
    assert body["leases"][0]["granted_at"].endswith("Z")
    assert body["entries"][0] == {
        "id": 1,
        "run": run_id,
        "seq": 1,
        "epoch": 0,
        "at": "2027-01-15T08:00:00.001000Z",
        "kind": "run_started",
        "body": {
            "agent": "treasury",
            "input": "pay invoice 7",
            "start_key": None,
            "actor": "me@here",
            "parent": None,
            "source": None,
            "source_seq": 0,
        },
    }
    assert not [
        name
        for part in ("run", "leases", "effects")
        for name in json.dumps(body[part]).split('"')
        if name.endswith("_us")
    ]
    assert view_json([None, 1, "x"]) == [None, 1, "x"]


def test_a_snapshot_is_of_one_moment(journal: Journal) -> None:
    run_id = journal.start()
    with open_reader(journal.path) as reader:
        with reader.snapshot():
            before = reader.last_id()
            journal.start()
            assert reader.last_id() == before
            assert len(reader.dump(run_id).entries) == 1
            assert reader.last_id() == before
        assert reader.last_id() == before + 1


# --- what cannot be read ----------------------------------------------------------------------------------------


def test_no_journal_yet(tmp_path: Path) -> None:
    path = tmp_path / ".tape" / "dev.db"
    with pytest.raises(JournalMissing, match=r"^no journal at .*: `tape dev` or `tape run` creates it$"):
        open_reader(path)
    assert not path.parent.exists()
    path.parent.mkdir()
    path.touch()
    with pytest.raises(JournalMissing, match="is empty"):
        open_reader(path)


def test_a_newer_journal_is_refused_and_not_touched(journal: Journal) -> None:
    journal.whole()
    journal.close()
    tamper(journal.path, "PRAGMA user_version = 99")
    before = journal.path.read_bytes()
    with pytest.raises(SchemaTooNew, match=r"has schema 99, this release knows 2: upgrade tape-agents.*not touched"):
        open_reader(journal.path)
    assert journal.path.read_bytes() == before


def test_an_older_journal_is_left_to_the_server(journal: Journal) -> None:
    tamper(journal.path, "PRAGMA user_version = 0")
    with pytest.raises(JournalUnavailable, match="`tape dev` or `tape server` migrates it, after a backup"):
        open_reader(journal.path)


@pytest.mark.parametrize("content", [b"no database at all, but a text" * 100, b"SQLite format 3\0" + b"\xff" * 4096])
def test_no_database(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "dev.db"
    path.write_bytes(content)
    with pytest.raises(JournalUnavailable, match="cannot be read") as caught:
        open_reader(path)
    assert "\n" not in str(caught.value)


def test_somebody_elses_database(tmp_path: Path) -> None:
    path = tmp_path / "dev.db"
    tamper(path, "CREATE TABLE other (x)", "PRAGMA user_version = 99")
    with pytest.raises(JournalUnavailable, match="it is a database, but no journal"):
        open_reader(path)


def test_a_folder_in_its_place(tmp_path: Path) -> None:
    with pytest.raises(JournalUnavailable, match="cannot be read"):
        open_reader(tmp_path)


def test_a_name_with_signs_of_a_uri(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "odd #1 ?mode=rwc %41.db")
    journal.start()
    journal.close()
    with open_reader(journal.path) as reader:
        assert len(reader.runs()) == 1


def test_a_reader_cannot_write(journal: Journal) -> None:
    journal.start()
    with open_reader(journal.path) as reader, pytest.raises(JournalUnavailable):
        reader.fetch("DELETE FROM run")


def test_a_damaged_page_is_one_line(journal: Journal) -> None:
    journal.whole()
    journal.close()
    tamper(journal.path, "PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(journal.path.read_bytes())
    for page in range(4096, len(content), 4096):
        content[page : page + 100] = b"\xff" * 100
    journal.path.write_bytes(content)
    with open_reader(journal.path) as reader, pytest.raises(JournalUnavailable, match="it is damaged"):
        reader.runs()


def test_bytes_that_are_no_text(journal: Journal) -> None:
    run_id = journal.start()
    tamper(journal.path, "UPDATE entry SET body = CAST(x'ff' AS TEXT)")
    with open_reader(journal.path) as reader, pytest.raises(JournalUnavailable, match="bytes that are no text"):
        reader.tape(run_id)


def as_somebody_else(act: Callable[[], str]) -> str:
    """What `act` returns in a process that is not root, since root may write everywhere."""
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.getuid() == 0:
                os.setuid(65534)
            said = act()
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(send, said.encode())
        os._exit(0)
    os.close(send)
    os.waitpid(child, 0)
    with os.fdopen(receive, "rb") as pipe:
        return pipe.read().decode()


def read_count(path: Path) -> str:
    with open_reader(path) as reader:
        return f"{len(reader.runs())} runs"


def test_a_folder_that_is_read_only() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        journal = Journal(folder / "dev.db")
        journal.start()
        os.chmod(journal.path, 0o444)
        shared = [folder / "dev.db-wal", folder / "dev.db-shm"]
        for path in shared:
            os.chmod(path, 0o444)
        os.chmod(folder, 0o555)
        try:
            assert as_somebody_else(lambda: read_count(journal.path)) == "1 runs"  # a server keeps -shm alive
            os.chmod(folder, 0o755)
            journal.close()
            assert not any(path.exists() for path in shared)
            os.chmod(folder, 0o555)
            said = as_somebody_else(lambda: read_count(journal.path))
            assert said.startswith("JournalUnavailable: ")
            assert "needs write access to its folder, or a copy" in said
        finally:
            os.chmod(folder, 0o755)


def test_a_file_that_may_not_be_read() -> None:
    with tempfile.TemporaryDirectory() as name:
        journal = Journal(Path(name) / ".tape" / "dev.db")
        journal.close()
        os.chmod(name, 0o755)
        os.chmod(journal.path.parent, 0o000)
        said = as_somebody_else(lambda: read_count(journal.path))
        assert said.startswith("JournalUnavailable: ") and "Permission denied" in said
        os.chmod(journal.path.parent, 0o700)


# --- manners ----------------------------------------------------------------------------------------------------

HEAVY = ("sqlmodel", "sqlalchemy", "pydantic", "typer", "textual", "psutil", "asyncio")


@pytest.mark.parametrize(
    "module",
    [
        *("views", "shapes", "entries", "dump", "audit", "audit_facts", "audit_run", "environment", "schema"),
        *("access", "lists", "effect_lists", "backlog", "needs", "commands"),
    ],
)
def test_reading_loads_no_orm(module: str) -> None:
    code = f"import sys, tape.core.journal.{module}; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path.cwd())
    assert done.stdout.strip() == "[]"
