"""`tape doctor`'s checks: a journal that Tape wrote is clean, and each kind of damage is found."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tape.core.journal.audit import TABLES_OF_RUNS, audit, examine
from tape.core.journal.audit_facts import Finding, Severity
from tape.core.journal.audit_run import CHECKS
from tape.core.journal.effects import Ending, ToolPolicy
from tape.core.journal.environment import check_environment, is_served, lock_path
from tape.core.journal.retention import OF_RUNS
from tape.core.journal.schema import has_wal_reset_race
from tape.core.journal.views import open_reader
from tape.core.kernel.lifecycle import EffectStatus
from tape.core.kernel.resolution import Answer
from tests.core.view_journals import WIRE, Journal, tamper


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(tmp_path / ".tape" / "dev.db")
    yield made
    made.close()


def findings(path: Path, severity: Severity | None = None) -> list[Finding]:
    with open_reader(path) as reader:
        found = audit(reader).findings
    return [finding for finding in found if severity in (None, finding.severity)]


def test_what_tape_wrote_is_clean(journal: Journal) -> None:
    journal.whole()
    journal.survived()
    journal.running()
    journal.killed()
    journal.start()
    journal.family()
    with open_reader(journal.path) as reader:
        found = audit(reader)
    assert found.findings == ()
    assert found.runs == 8
    assert found.entries > 40


def test_every_way_to_end_is_clean(journal: Journal) -> None:
    for outcome, error in (("FAILED", {"type": "ValueError", "message": "no"}), ("CANCELLED", None)):
        run_id, worker = journal.start(), journal.worker()
        epoch = journal.grant(run_id, worker)
        journal.decide(run_id, epoch, 0)
        key = journal.begin(run_id, epoch, 0, ToolPolicy(compensable=False))
        journal.end(run_id, epoch, key, Ending(EffectStatus.FAILED, error={"type": "Rejected", "message": "no"}))
        journal.finish(run_id, epoch, outcome, None, error)
    assert findings(journal.path) == []


def test_an_empty_journal_is_clean(journal: Journal) -> None:
    assert findings(journal.path) == []


_GATE = (
    "INSERT INTO gate (run_no, name, ordinal, status, prompt, options, approves, actor, reason, used_by) "
    "VALUES (1, 'pay', 0, {}, '', '[]', '', '', '', {})"
)
# Run 1 is TERMINAL after a crash (seq 1 to 10), run 2 is RUNNING, run 3 waits for a look-up, run 4 could be undone.
# Run 1 is TERMINAL after a crash (seq 1 to 10), run 2 is RUNNING, run 3 waits for a look-up, run 4 could be undone,
# run 5 waits for its child 7, its child 6 has ended.
DAMAGE = {
    "a body was changed": (
        "UPDATE entry SET body = json_set(body, '$.reply', 'other') WHERE run_no = 1 AND seq = 2",
        "the hash chain breaks at entry",
    ),
    "an entry's time was changed": (
        "UPDATE entry SET at_us = at_us + 1 WHERE run_no = 1 AND seq = 3",
        "the hash chain breaks at entry",
    ),
    "an entry without a seq is gone": (
        "DELETE FROM entry WHERE run_no = 1 AND kind = 'observed'",
        "the hash chain breaks at entry",
    ),
    "the last entry is gone": (
        "DELETE FROM entry WHERE id = (SELECT max(id) FROM entry WHERE run_no = 1)",
        "not the hash of its last entry",
    ),
    "an entry of no run was changed": (
        "UPDATE entry SET body = '{}' WHERE id = (SELECT min(id) FROM entry WHERE run_no IS NULL)",
        "does not fit its hash",
    ),
    "a record is gone": ("DELETE FROM entry WHERE run_no = 1 AND seq = 5", "seq 5 is missing"),
    "a record has lost its seq": (
        "UPDATE entry SET seq = NULL WHERE run_no = 1 AND seq = 10",
        "(run_ended) has no seq",
    ),
    "the story has a seq": (
        "UPDATE entry SET seq = 11 WHERE run_no = 1 AND kind = 'attached'",
        "(attached) has a seq",
    ),
    "the run counts other records": ("UPDATE run SET seq = 9 WHERE no = 1", "counts 9 records, its tape holds 10"),
    "a body is no JSON": ("UPDATE entry SET body = '{' WHERE run_no = 1 AND seq = 2", "(decision) cannot be read"),
    "a body has other types": (
        "UPDATE entry SET body = json_set(body, '$.tokens_in', 'many') WHERE run_no = 1 AND seq = 3",
        "values of other types than its kind",
    ),
    "a decision has another index": (
        "UPDATE entry SET body = json_set(body, '$.index', 5) WHERE run_no = 1 AND seq = 4",
        "decision 1 is missing: decision 5",
    ),
    "a charge pays for something else": (
        "UPDATE entry SET body = json_set(body, '$.pays_for', 'decision 0') WHERE run_no = 1 AND seq = 5",
        "decision 1 is not followed by its charge",
    ),
    "a decision is charged twice": (
        "UPDATE entry SET body = json_set(body, '$.pays_for', 'decision 0') WHERE run_no = 1 AND seq = 5",
        "decision 0 is charged 2 times",
    ),
    "a charge pays for nothing": (
        "UPDATE entry SET body = json_set(body, '$.pays_for', 'decision 9') WHERE run_no = 1 AND seq = 5",
        "pays for decision 9, which is not on the tape",
    ),
    "the run counts other decisions": (
        "UPDATE run SET decisions = 2 WHERE no = 1",
        "counts 2 decisions, its tape holds 3",
    ),
    "the budget says something else": (
        "UPDATE budget SET spent = 1 WHERE run_no = 1 AND unit = 'tokens'",
        "the budget says 1 tokens spent, the charges sum up to 630",
    ),
    "the budget says something else is lost": (
        "UPDATE budget SET lost = 1 WHERE run_no = 1 AND unit = 'tokens'",
        "the budget says 1 tokens lost, the entries say 0",
    ),
    "a reservation without its sum": (
        "INSERT INTO reservation (run_no, place, unit, amount) VALUES (1, 'decision 9', 'tokens', 4)",
        "the budget says 0 tokens reserved, the reservations sum up to 4",
    ),
    "spent beyond the cap": (
        "UPDATE budget SET cap = 600 WHERE run_no = 1 AND unit = 'tokens'",
        "630 spent and 0 reserved of tokens pass the cap of 600, and no bill says so",
    ),
    "calls that were never made": (
        "INSERT INTO budget (run_no, unit, cap, reserved, spent, lost) VALUES (1, 'calls:pay', 9, 0, 3, 0)",
        "the budget says 3 calls of pay, the effects say 0",
    ),
    "a budget is gone": (
        "DELETE FROM budget WHERE run_no = 1 AND unit = 'usd_micro'",
        "the budget says None usd_micro",
    ),
    "the run is of another agent": ("UPDATE run SET agent = 'other' WHERE no = 1", "is of agent other"),
    "the beginning is gone": (
        "UPDATE entry SET kind = 'sample' WHERE run_no = 1 AND seq = 1",
        "does not begin with run_started",
    ),
    "an end that nobody wrote": (
        "UPDATE run SET status = 'TERMINAL', end_status = 'TERMINAL' WHERE no = 2",
        "its tape has no run_ended",
    ),
    "an end that says something else": ("UPDATE run SET end_status = 'FAILED' WHERE no = 1", "run_ended says TERMINAL"),
    "another status than the end's": ("UPDATE run SET status = 'FAILED' WHERE no = 1", "is FAILED, but ended TERMINAL"),
    "a record after the end": (
        "UPDATE entry SET kind = 'run_ended', body = '{\"outcome\": \"TERMINAL\"}' WHERE run_no = 1 AND seq = 8",
        "run_ended is not the last record",
    ),
    "a second live lease": (
        "INSERT INTO lease SELECT run_no, 2, worker_no, 2, status, alone, first_seq, granted_us, ended_us, why "
        "FROM lease WHERE run_no = 2",
        "has 2 live leases",
    ),
    "a live lease of a run that is not driven": (
        "UPDATE lease SET status = 'LIVE' WHERE run_no = 1 AND drive = 2",
        "the run is TERMINAL with 1 live leases",
    ),
    "a driven run without a lease": (
        "UPDATE lease SET status = 'RELEASED' WHERE run_no = 2",
        "the run is RUNNING with 0 live leases",
    ),
    "another worker than the lease's": ("UPDATE run SET worker_no = 1 WHERE no = 2", "the run names worker 1"),
    "an epoch that was left out": (
        "UPDATE lease SET epoch = 7 WHERE run_no = 1 AND drive = 2",
        "drive 2 has the lease epoch 7",
    ),
    "a lease is gone": ("DELETE FROM lease WHERE run_no = 1 AND drive = 1", "drive 1 has the lease epoch 3"),
    "a run beyond its leases": ("UPDATE run SET epoch = 9 WHERE no = 1", "is at epoch 9, drive 2"),
    "an unknown worker": (
        "UPDATE lease SET worker_no = 99 WHERE run_no = 1 AND drive = 2",
        "worker 99, which is not known",
    ),
    "a dead holder": ("UPDATE worker SET status = 'DEAD' WHERE no = 3", "LIVE, but its worker 3 is dead"),
    "an entry under an older epoch": (
        "UPDATE entry SET epoch = 0 WHERE run_no = 1 AND seq = 8",
        "was written under epoch 0 after one under 3",
    ),
    "an entry under a later epoch": (
        "UPDATE entry SET epoch = 9 WHERE id = (SELECT max(id) FROM entry WHERE run_no = 1)",
        "under epoch 9, the run is at 3",
    ),
    "an effect is gone": ("DELETE FROM effect WHERE run_no = 1", "is no effect of the run"),
    "an effect that never began": ("UPDATE effect SET begun_id = 999 WHERE run_no = 1", "has no effect_begun"),
    "an effect without its end": ("UPDATE effect SET ended_id = NULL WHERE run_no = 1", "but has no effect_ended"),
    "another outcome than the record's": (
        "UPDATE effect SET status = 'FAILED' WHERE run_no = 1",
        "is FAILED, effect_ended says CONFIRMED",
    ),
    "an open effect that has ended": (
        "UPDATE effect SET status = 'PENDING' WHERE run_no = 1",
        "is PENDING, but effect_ended says CONFIRMED",
    ),
    "an open effect on an ended run": (
        "UPDATE effect SET status = 'UNKNOWN' WHERE run_no = 1",
        "but the run has ended",
    ),
    "another key": ("UPDATE effect SET ordinal = 3 WHERE run_no = 1", "is not the key of its run"),
    "other arguments": (
        "UPDATE entry SET body = json_set(body, '$.args.to', 'EVIL') WHERE run_no = 1 AND seq = 6",
        "are not those that were hashed",
    ),
    "an effect that ended twice": (
        "UPDATE entry SET seq = 11, kind = 'effect_ended', "
        "body = (SELECT body FROM entry WHERE run_no = 1 AND seq = 7) WHERE run_no = 1 AND kind = 'attached'",
        "ended 2 times",
    ),
    "other attempts": ("UPDATE effect SET attempts = 4 WHERE run_no = 1", "counts 4 attempts, the journal holds 1"),
    "the run counts other effects": (
        "UPDATE run SET effects = 3 WHERE no = 1",
        "counts 3 effects, the journal holds 1",
    ),
    "a duty on an ended run": (
        "UPDATE obligation SET status = 'DUE' WHERE run_no = 4",
        "is DUE, but the run has ended",
    ),
    "a duty of nothing": (
        "UPDATE obligation SET effect_key = 'other' WHERE run_no = 4",
        "/undo/1 belongs to no effect",
    ),
    "a gate that nobody opened": (
        _GATE.format("'OPEN'", "''"),
        "gate pay 0 is OPEN, its entries say nothing",
    ),
    "a gate that is open at the end of its run": (
        _GATE.format("'EARLY'", "''"),
        "gate pay 0 is EARLY, but the run has ended",
    ),
    "an approval that no call used": (
        _GATE.format("'DROPPED'", "'r-1/0/0/wire'"),
        "was used up by r-1/0/0/wire, its entries say nobody",
    ),
    "a timer that nobody set": ("INSERT INTO timer VALUES (1, 0, 0, 'SET')", "timer 0 is SET, its entries say None"),
    "an attempt of nothing": (
        "INSERT INTO attempt SELECT run_no, 'other', what, number, by, worker_no, epoch, started_us, ended_us, how, "
        "evidence FROM attempt WHERE run_no = 1 AND what = 'body'",
        "belongs to no effect and no obligation",
    ),
    "a child that nobody started": ("UPDATE run SET parent_no = 5, parent_ordinal = 2 WHERE no = 1", "3 runs of them"),
    "a child is gone": ("UPDATE run SET parent_no = NULL WHERE no = 7", "the journal holds 1 runs of them"),
    "a child of nothing": (
        "UPDATE run SET parent_no = 99 WHERE no = 7",
        "a child of run number 99, which is not known",
    ),
    "a child's end that is not there": (
        "UPDATE entry SET seq = NULL, kind = 'claimed' WHERE run_no = 5 AND kind = 'child_ended'",
        "is TERMINAL, but has no child_ended",
    ),
    "a child's end that never was": (
        "UPDATE run SET status = 'RUNNABLE', end_status = NULL WHERE no = 6",
        "is TERMINAL, it is not at its end",
    ),
    "other open children": (
        "UPDATE run SET children_open = 2 WHERE no = 5",
        "counts 2 children, 2 open; there are 2, 1",
    ),
    "an end with open children": ("UPDATE run SET status = 'CANCELLED' WHERE no = 5", "1 of its children are open"),
    "rows of a run that is gone": ("DELETE FROM run WHERE no = 1", "belong to no run"),
    "bytes that are no text": (
        "UPDATE entry SET body = CAST(x'ff' AS TEXT) WHERE run_no = 1 AND seq = 2",
        "bytes that are no text",
    ),
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A journal of four runs, as bytes, to be damaged again and again."""
    journal = Journal(tmp_path_factory.mktemp("sound") / "dev.db")
    journal.survived()
    journal.running()
    journal.killed()
    journal.whole(policy=ToolPolicy(compensable=True))
    journal.family()
    journal.close()
    return journal.path.read_bytes()


@pytest.mark.parametrize(("statement", "expected"), DAMAGE.values(), ids=DAMAGE.keys())
def test_each_damage_is_found(tmp_path: Path, sound: bytes, statement: str, expected: str) -> None:
    path = tmp_path / "dev.db"
    path.write_bytes(sound)
    assert findings(path) == []
    tamper(path, statement)
    errors = findings(path, Severity.ERROR)
    assert any(expected in finding.what for finding in errors), [finding.what for finding in errors]
    assert all(finding.help and "\n" not in finding.what for finding in errors)


def test_damage_is_named_with_its_run(tmp_path: Path, sound: bytes) -> None:
    path = tmp_path / "dev.db"
    path.write_bytes(sound)
    tamper(path, "UPDATE run SET seq = 9 WHERE no = 1")
    (finding,) = findings(path)
    with open_reader(path) as reader:
        assert finding.run_id == reader.runs()[-1].id
    assert "restore a backup" in finding.help


def test_every_check_has_its_damage(tmp_path: Path, sound: bytes) -> None:
    """Without a check, at least one damage above goes unseen."""
    from tape.core.journal import audit_run
    from tape.core.journal.audit_facts import load_facts

    seen: set[str] = set()
    for number, (statement, _) in enumerate(DAMAGE.values()):
        path = tmp_path / f"{number}.db"
        path.write_bytes(sound)
        tamper(path, statement)
        with open_reader(path) as reader:
            for (run_no,) in reader.fetch("SELECT no FROM run"):
                try:
                    facts = load_facts(reader, run_no)
                    seen |= {check.__name__ for check in CHECKS if list(check(facts))}
                except Exception as error:  # damaged beyond that check
                    assert type(error).__name__ in ("JournalUnavailable", "TypeError")
    assert seen == {check.__name__ for check in audit_run.CHECKS}


def test_flipped_bytes_are_found(tmp_path: Path, sound: bytes) -> None:
    path = tmp_path / "dev.db"
    content = bytearray(sound)
    for page in range(4096, len(content), 4096):
        content[page : page + 100] = b"\xff" * 100
    path.write_bytes(content)
    (finding, *_) = examine(path).findings
    assert finding.severity is Severity.ERROR


def test_one_flipped_letter_is_found(tmp_path: Path, sound: bytes) -> None:
    """What SQLite's own check misses, the hash chain finds."""
    path = tmp_path / "dev.db"
    path.write_bytes(sound.replace(b'{"say":"a plan"}', b'{"say":"a plot"}'))
    found = findings(path, Severity.ERROR)
    assert found and all("hash chain" in finding.what for finding in found)


# --- what a person should look at -------------------------------------------------------------------------------


def test_stuck_runs_are_listed_with_the_commands_that_help(journal: Journal) -> None:
    run_id, key = journal.stuck()
    (finding,) = findings(journal.path)
    assert (finding.severity, finding.run_id) == (Severity.WARNING, run_id)
    assert finding.what.startswith("STUCK: only a person can know")
    assert f"tape resolve {key} --confirm JSON" in finding.help


def test_open_conflicts_are_listed(journal: Journal) -> None:
    run_id, key, _ = journal.killed()
    journal.observe(run_id, key, Answer.DUPLICATE, [WIRE, WIRE])
    (finding,) = findings(journal.path)
    assert finding.severity is Severity.WARNING
    assert finding.what.startswith(f"open conflict on {key}: ")


def test_a_run_that_nothing_would_wake_is_listed(journal: Journal) -> None:
    journal.start()
    tamper(journal.path, "UPDATE run SET status = 'WAITING'")
    (finding,) = findings(journal.path)
    assert "nothing that it could wait for is open" in finding.what


def test_kinds_of_a_later_release_are_a_note(journal: Journal) -> None:
    journal.start()
    tamper(
        journal.path,
        "INSERT INTO entry (run_no, seq, kind, epoch, at_us, body, hash) "
        "VALUES (1, NULL, 'moon_landed', 0, 0, '{}', x'00')",
    )
    notes = findings(journal.path, Severity.NOTE)
    assert [finding.what for finding in notes] == ["holds entries that are not known here: moon_landed"]


def test_a_journal_that_cannot_be_opened_is_a_finding(tmp_path: Path, journal: Journal) -> None:
    (missing,) = examine(tmp_path / "none.db").findings
    assert missing.severity is Severity.NOTE
    tamper(journal.path, "PRAGMA user_version = 99")
    (newer,) = examine(journal.path).findings
    assert newer.severity is Severity.ERROR and "upgrade tape-agents" in newer.what
    (tmp_path / "text.db").write_text("no database" * 1000)
    (text,) = examine(tmp_path / "text.db").findings
    assert text.severity is Severity.ERROR and "it is no journal" in text.what


# --- the machine ------------------------------------------------------------------------------------------------


def about(path: Path, severity: Severity = Severity.WARNING, version: tuple[int, ...] = (3, 51, 3)) -> list[str]:
    return [finding.what for finding in check_environment(path, version) if finding.severity is severity]


def test_a_journal_of_ours_is_closed_to_others(journal: Journal) -> None:
    assert about(journal.path) == []


@pytest.mark.parametrize("name", [".", "dev.db", "dev.db-wal"])
def test_what_others_can_read_is_named(journal: Journal, name: str) -> None:
    os.chmod(journal.path.parent / name, 0o755)
    (what,) = about(journal.path)
    assert "is open to others (0755)" in what


def test_old_sqlite_is_named(journal: Journal) -> None:
    assert about(journal.path, version=(3, 44, 6)) == []
    (what,) = about(journal.path, version=(3, 44, 5))
    assert what.startswith("SQLite 3.44.5 has the WAL-reset race")


@pytest.mark.parametrize(
    ("version", "race"),
    [
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 45, 9), True),
        ((3, 50, 6), True),
        ((3, 50, 7), False),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((4, 0, 0), False),
    ],
)
def test_which_releases_of_sqlite_have_the_race(version: tuple[int, ...], race: bool) -> None:
    assert has_wal_reset_race(version) is race


def test_whether_a_server_holds_the_journal(journal: Journal) -> None:
    assert not is_served(journal.path)
    assert not lock_path(journal.path).exists()
    with lock_path(journal.path).open("w") as lock:
        assert not is_served(journal.path)
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert is_served(journal.path)
        assert "a server holds the journal" in about(journal.path, Severity.NOTE)
    assert "no server runs on this journal" in about(journal.path, Severity.NOTE)


def test_a_project_that_never_ran(tmp_path: Path) -> None:
    notes = about(tmp_path / ".tape" / "dev.db", Severity.NOTE)
    assert any("is not there yet" in note for note in notes)
    assert about(tmp_path / ".tape" / "dev.db") == []


def test_rows_of_every_table_must_belong_to_a_run() -> None:
    assert {*TABLES_OF_RUNS} == {*OF_RUNS}
