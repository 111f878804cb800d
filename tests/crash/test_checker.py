"""The checker can fail: each of its rules is shown a journal, a ledger or a log that breaks it."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.crash import checker
from tests.crash.checker import Evidence, Promise
from tests.crash.layout import Upstreams
from tests.crash.nursery import Nursery
from tests.crash.stage import House, Stage

STEPS = (
    ["ask"], ["call", "wire", 1], ["call", "book", 2], ["call", "book_put", 3], ["sleep", 0], ["ask"],
    ["call", "put", 4], ["fail"],
)  # fmt: skip


@dataclass
class Copy:
    """An honest story's witnesses, to be doctored."""

    evidence: Evidence
    promise: Promise
    run: str

    def sql(self, text: str, **values: Any) -> None:
        with closing(sqlite3.connect(self.evidence.journal)) as journal:
            changed = journal.execute(text, values).rowcount
            journal.commit()
        assert changed, "the doctoring must change something"

    def body(self, kind: str, nth: int = 0, **changes: Any) -> None:
        """Changes fields in the body of the n-th entry of a kind."""
        with closing(sqlite3.connect(self.evidence.journal)) as journal:
            rows = journal.execute("SELECT id, body FROM entry WHERE kind = ? ORDER BY id", (kind,)).fetchall()
            number, text = rows[nth]
            journal.execute(
                "UPDATE entry SET body = ? WHERE id = ?", (json.dumps({**json.loads(text), **changes}), number)
            )
            journal.commit()

    def entry_id(self, kind: str, nth: int = 0) -> int:
        with closing(sqlite3.connect(self.evidence.journal)) as journal:
            return journal.execute("SELECT id FROM entry WHERE kind = ? ORDER BY id", (kind,)).fetchall()[nth][0]

    def insert(self, kind: str, body: dict[str, Any], *, before: int | None = None, epoch: int = 1) -> None:
        """One more entry without seq, at the end of the run or before another entry."""
        with closing(sqlite3.connect(self.evidence.journal)) as journal:
            if before is None:
                number = journal.execute("SELECT max(id) + 1 FROM entry").fetchone()[0]
            else:
                number = before
                journal.execute("UPDATE entry SET id = -id - 1 WHERE id >= ?", (before,))
                journal.execute("UPDATE entry SET id = -id WHERE id < 0")
            journal.execute(
                "INSERT INTO entry SELECT ?, run_no, NULL, ?, ?, at_us, ?, hash FROM entry "
                "WHERE run_no = 1 ORDER BY id DESC LIMIT 1",
                (number, kind, epoch, json.dumps(body)),
            )
            journal.commit()

    def rechain(self) -> None:
        """Mends the hash chain, so that nothing but the doctored fact is wrong."""
        with closing(sqlite3.connect(self.evidence.journal)) as journal:
            head = b""
            rows = journal.execute("SELECT id, seq, kind, epoch, at_us, body FROM entry WHERE run_no = 1 ORDER BY id")
            for number, seq, kind, epoch, at_us, body in rows.fetchall():
                text = f"{'' if seq is None else seq}|{kind}|{epoch}|{at_us}|{body}"
                head = hashlib.sha256(head + text.encode()).digest()
                journal.execute("UPDATE entry SET hash = ? WHERE id = ?", (head, number))
            journal.execute("UPDATE run SET head = ?", (head,))
            journal.commit()

    def line(self, file: Path | None, change: Callable[[dict[str, Any]], dict[str, Any] | None], nth: int = 0) -> None:
        """Changes, or with None takes away, the n-th line of a log or ledger."""
        assert file is not None
        lines = checker.lines(file)
        changed = change(lines[nth])
        lines[nth : nth + 1] = [] if changed is None else [changed]
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))

    def append(self, file: Path | None, line: dict[str, Any]) -> None:
        assert file is not None
        with file.open("a") as out:
            out.write(json.dumps(line) + "\n")

    def findings(self) -> set[str]:
        return {finding.rule for finding in checker.judge(self.evidence, self.promise)}


@pytest.fixture(scope="module")
def original(
    tmp_path_factory: pytest.TempPathFactory, upstreams: Upstreams, crew: Path, nursery: Nursery | None
) -> Iterator[tuple[Evidence, Promise, str]]:
    """A run that was killed twice, undid what it owed and FAILED; kept apart from the ledgers that go on."""
    stage = Stage(tmp_path_factory.mktemp("original"), House(upstreams, crew, nursery)).open()
    try:
        for _ in range(2):
            stage.arm("effect.acted", tool="wire")
        stage.arm("lease.granted", nth=2)
        run = stage.run(*STEPS)
        assert stage.until_rest(run) == "FAILED"
    finally:
        stage.close()
    evidence = stage.evidence()
    ledgers = []
    for ledger in evidence.ledgers:
        mine = [line for line in ledger.read_text().splitlines() if run in line]
        ids = {json.loads(line)["id"] for line in mine}
        kept = stage.folder / ledger.name
        kept.write_text(
            "".join(line + "\n" for line in ledger.read_text().splitlines() if json.loads(line)["id"] in ids)
        )
        ledgers.append(kept)
    with closing(sqlite3.connect(evidence.journal)) as journal:
        journal.execute("PRAGMA journal_mode = DELETE")
    yield replace(evidence, ledgers=tuple(ledgers)), stage.promise(), run


@pytest.fixture
def copy(original: tuple[Evidence, Promise, str], tmp_path: Path) -> Copy:
    evidence, promise, run = original

    def copied(path: Path | None) -> Path:
        assert path is not None
        return Path(shutil.copy(path, tmp_path / path.name))

    mine = Evidence(
        copied(evidence.journal),
        tuple(copied(ledger) for ledger in evidence.ledgers),
        copied(evidence.questions),
        copied(evidence.bodies),
    )
    found = Copy(mine, promise, run)
    assert found.findings() == set(), "the honest story is in order"
    return found


def act_of(copy: Copy, tool: str) -> dict[str, Any]:
    for acts in checker.read(copy.evidence).acts.values():
        for act in acts:
            if act["collection"] == tool:
                return act
    raise AssertionError(tool)


def test_a_second_act(copy: Copy) -> None:
    copy.append(copy.evidence.ledgers[0], {**act_of(copy, "wire"), "id": "wire-99", "event": "act"})
    assert copy.findings() == {"I1"}


def test_a_confirmed_effect_without_an_act(copy: Copy) -> None:
    copy.line(copy.evidence.ledgers[0], lambda line: None)
    assert copy.findings() == {"I1"}


def test_a_failed_effect_with_an_act(copy: Copy) -> None:
    copy.sql("UPDATE effect SET status = 'FAILED' WHERE tool = 'wire'")
    copy.body("effect_ended", 0, status="FAILED")
    copy.rechain()
    assert copy.findings() == {"I1"}


def test_an_undo_that_did_not_happen(copy: Copy) -> None:
    for ledger in copy.evidence.ledgers:
        lines = [line for line in ledger.read_text().splitlines() if json.loads(line)["event"] != "undo"]
        ledger.write_text("".join(line + "\n" for line in lines))
    assert copy.findings() == {"I1"}


def test_a_gap_in_seq(copy: Copy) -> None:
    copy.sql("UPDATE entry SET seq = seq + 1 WHERE seq = (SELECT max(seq) FROM entry)")
    copy.rechain()
    assert copy.findings() == {"I3"}


def test_a_lost_charge(copy: Copy) -> None:
    copy.body("charge", 0, pays_for="decision 7")
    copy.rechain()
    assert copy.findings() == {"I3"}


def test_a_flipped_bit(copy: Copy) -> None:
    copy.body("decision", 0, reply={"say": "thought 0 "})
    assert copy.findings() == {"I3"}


def test_a_cut_tail(copy: Copy) -> None:
    copy.sql("DELETE FROM entry WHERE id = (SELECT max(id) FROM entry WHERE run_no = 1)")
    assert "I3" in copy.findings()


def test_an_act_without_intent(copy: Copy) -> None:
    act = {**act_of(copy, "wire"), "id": "wire-99", "event": "act", "key": f"{copy.run}/5/0/wire"}
    copy.append(copy.evidence.ledgers[0], act)
    assert copy.findings() == {"I4"}


@pytest.mark.parametrize("change", [{"durable": False}, {"attempt": 9}, {"at_us": 1}])
def test_a_body_without_its_attempt(copy: Copy, change: dict[str, Any]) -> None:
    copy.line(copy.evidence.bodies, lambda line: {**line, **change})
    assert "I4" in copy.findings()


def test_an_attempt_entered_twice(copy: Copy) -> None:
    lines = checker.read(copy.evidence).bodies
    copy.append(copy.evidence.bodies, next(line for line in lines if line["what"] == "enter"))
    assert copy.findings() == {"I4"}


def test_a_second_attempt_before_the_first_body_is_over(copy: Copy) -> None:
    entered = [line for line in checker.read(copy.evidence).bodies if line["what"] == "enter"]
    key, pid = entered[-1]["key"], entered[-1]["pid"]
    lines = checker.read(copy.evidence).bodies
    left = next(place for place, line in enumerate(lines) if line["what"] == "leave" and line["key"] == key)
    copy.line(copy.evidence.bodies, lambda line: None, nth=left)  # it never left
    copy.sql(
        "INSERT INTO attempt SELECT run_no, key, what, number + 1, by, worker_no, epoch, started_us, ended_us, how, "
        "evidence FROM attempt WHERE key = :key AND what = 'body'",
        key=key,
    )
    copy.sql("UPDATE effect SET attempts = 2 WHERE key = :key", key=key)
    copy.append(copy.evidence.bodies, {**entered[-1], "attempt": 2, "pid": pid + 1, "at_us": entered[-1]["at_us"] + 9})
    assert copy.findings() == {"I4"}


def test_a_recorded_decision_asked_again(copy: Copy) -> None:
    first = checker.read(copy.evidence).questions[0]
    copy.append(copy.evidence.questions, {**first, "at_us": first["at_us"] + 60_000_000})
    assert copy.findings() == {"I5"}


def test_more_questions_than_drives(copy: Copy) -> None:
    first = checker.read(copy.evidence).questions[0]
    for _ in range(5):
        copy.append(copy.evidence.questions, first)
    assert copy.findings() == {"I5"}


def test_a_decision_that_nobody_asked_for(copy: Copy) -> None:
    copy.line(copy.evidence.questions, lambda line: None)
    assert copy.findings() == {"I5"}


def test_a_write_without_a_live_lease(copy: Copy) -> None:
    last = copy.entry_id("effect_begun", 3)
    copy.sql("UPDATE entry SET epoch = 1 WHERE id = :last", last=last)
    copy.rechain()
    assert copy.findings() == {"I6"}


def test_a_write_after_a_refusal(copy: Copy) -> None:
    story = checker.read(copy.evidence).stories[0]
    epoch = story.of("effect_begun")[-1]["epoch"]
    refused = {"worker": 1, "epoch": epoch, "live_epoch": epoch + 1, "write": "decision", "why": "", "evidence": None}
    copy.insert("write_refused", refused, before=copy.entry_id("effect_begun", 3), epoch=epoch + 1)
    copy.rechain()
    assert copy.findings() == {"I6"}


def test_two_live_leases(copy: Copy) -> None:
    granted = checker.read(copy.evidence).stories[0].of("lease_granted")[0]
    twice = {**granted["body"], "epoch": 2}
    copy.insert("lease_granted", twice, before=granted["id"] + 1)
    copy.rechain()
    assert "I7" in copy.findings()


def test_a_lease_left_alive(copy: Copy) -> None:
    copy.sql("UPDATE lease SET status = 'LIVE' WHERE epoch = (SELECT max(epoch) FROM lease)")
    assert copy.findings() == {"I7"}


def test_a_worker_that_is_not_alone(copy: Copy) -> None:
    with closing(sqlite3.connect(copy.evidence.journal)) as journal:
        granted = journal.execute("SELECT id, body FROM entry WHERE kind = 'lease_granted' ORDER BY id").fetchall()
        ended = journal.execute("SELECT body FROM entry WHERE kind = 'lease_ended' ORDER BY id").fetchall()
        copied = journal.execute("SELECT max(id) FROM entry").fetchone()[0] + 10
        first = json.loads(granted[0][1])
        for number, (kind, body) in enumerate(
            [("run_started", {}), ("lease_granted", {**first, "alone": True}), ("lease_granted", {**first, "epoch": 2})]
        ):
            journal.execute(
                "INSERT INTO entry VALUES (?, 2, NULL, ?, 1, 0, ?, x'00')", (copied + number, kind, json.dumps(body))
            )
        assert ended
        columns = [
            row[1] for row in journal.execute("PRAGMA table_info(run)") if row[1] not in ("no", "id", "start_key")
        ]
        journal.execute(
            f"INSERT INTO run (no, id, {', '.join(columns)}) SELECT 2, 'r-2', {', '.join(columns)} FROM run"
        )
        journal.commit()
    found = [str(finding) for finding in checker.judge(copy.evidence, copy.promise)]
    assert any("alone lease and another" in finding for finding in found)


def test_a_grant_before_the_effect_is_settled(copy: Copy) -> None:
    story = checker.read(copy.evidence).stories[0]
    doubted, granted = story.of("effect_doubted")[0], story.of("lease_granted")[1]
    body = {**story.of("effect_doubted")[0]["body"], "step": "ask_later"}
    assert doubted["id"] < granted["id"]
    copy.insert("effect_doubted", {**body, "key": story.of("effect_begun")[0]["body"]["key"]}, before=granted["id"])
    ended = copy.entry_id("effect_ended", 0)
    copy.sql("UPDATE entry SET kind = 'observed' WHERE id = :ended", ended=ended)  # not settled before, either
    copy.body("observed", -1, step="ask_later")
    assert "I8" in copy.findings()


def test_an_entry_after_the_end(copy: Copy) -> None:
    copy.insert("model_asked", {"index": 9, "name": "think", "asks": 1}, epoch=99)
    copy.rechain()
    assert "I9" in copy.findings()


def test_an_effect_that_ends_twice(copy: Copy) -> None:
    ended = checker.read(copy.evidence).stories[0].of("effect_ended")[0]
    copy.insert("effect_ended", {**ended["body"], "writer": "reconciler"}, before=ended["id"] + 1)
    copy.rechain()
    assert copy.findings() == {"I9"}


def test_a_row_that_its_entries_do_not_tell(copy: Copy) -> None:
    copy.sql("UPDATE run SET status = 'CANCELLED'")
    assert copy.findings() == {"I9"}


def test_a_run_that_ends_with_an_open_effect(copy: Copy) -> None:
    copy.sql("UPDATE effect SET status = 'UNKNOWN' WHERE tool = 'put'")
    copy.sql("DELETE FROM entry WHERE id = :ended", ended=copy.entry_id("effect_ended", 3))
    assert "I9" in copy.findings()


def test_undone_in_forward_order(copy: Copy) -> None:
    claimed = [
        entry
        for entry in checker.read(copy.evidence).stories[0].of("obligation_moved")
        if entry["body"]["status"] != "DUE"
    ]
    keys = {entry["body"]["key"] for entry in claimed}
    assert len(keys) == 2
    first, second = sorted(keys)
    other = {first: second, second: first}
    for entry in claimed:
        text = json.dumps({**entry["body"], "key": other[entry["body"]["key"]]})
        copy.sql("UPDATE entry SET body = :body WHERE id = :id", body=text, id=entry["id"])
    copy.rechain()
    assert copy.findings() == {"I11"}


def test_a_duty_left_behind(copy: Copy) -> None:
    copy.sql("UPDATE obligation SET status = 'DUE' WHERE key LIKE '%book/undo%'")
    assert copy.findings() == {"I11"}


def test_a_duty_dropped(copy: Copy) -> None:
    copy.sql("UPDATE obligation SET status = 'DROPPED' WHERE key LIKE '%book/undo%'")
    assert "I11" in copy.findings()


def test_a_timer_that_fired_early(copy: Copy) -> None:
    copy.body("timer_set", 0, fire_at_us=1 << 60)
    copy.rechain()
    assert copy.findings() == {"I12"}


@pytest.mark.parametrize("status", ["RUNNABLE", "WAITING", "STUCK"])
def test_a_run_left_lying(copy: Copy, status: str) -> None:
    copy.sql("UPDATE run SET status = :status", status=status)
    assert "I12" in copy.findings()


def test_deaths_that_are_not_counted(copy: Copy) -> None:
    copy.body("lease_granted", 2, crashes=0)
    copy.rechain()
    assert copy.findings() == {"I13"}


def test_a_run_that_is_not_sent_alone(copy: Copy) -> None:
    copy.body("lease_granted", 2, alone=True)
    copy.rechain()
    assert copy.findings() == {"I13"}


def test_poison_found_too_early(copy: Copy) -> None:
    moved = {"status": "STUCK", "was": "RUNNING", "why": "2 deaths in a row without a new record", "commands": ["x"]}
    copy.insert("run_moved", moved, before=copy.entry_id("effect_begun", 2))
    copy.rechain()
    assert "I13" in copy.findings()


def test_one_key_for_two_requests(copy: Copy) -> None:
    copy.append(copy.evidence.ledgers[0], {**act_of(copy, "wire"), "id": "wire-99", "event": "act", "body": {"n": 2}})
    assert "I14" in copy.findings()


def test_a_key_begun_twice(copy: Copy) -> None:
    begun = checker.read(copy.evidence).stories[0].of("effect_begun")[0]
    copy.insert("effect_begun", begun["body"], before=begun["id"] + 1)
    copy.rechain()
    assert "I14" in copy.findings()


def test_a_worker_that_dies_twice(copy: Copy) -> None:
    copy.sql(
        "INSERT INTO entry SELECT max(id) + 100, NULL, NULL, kind, epoch, at_us, body, hash FROM entry "
        "WHERE kind = 'worker_died' GROUP BY kind"
    )
    assert copy.findings() == {"H"}


def test_a_death_that_is_not_proven(copy: Copy) -> None:
    copy.body("worker_died", 0, proven=False)
    assert copy.findings() == {"H"}


def test_a_tape_that_differs(copy: Copy) -> None:
    before = checker.normalised_tape(copy.evidence.journal, copy.run)
    copy.body("decision", 1, reply={"say": "something else"})
    assert checker.normalised_tape(copy.evidence.journal, copy.run) != before


def test_times_and_writers_are_no_difference(copy: Copy) -> None:
    before = checker.normalised_tape(copy.evidence.journal, copy.run)
    copy.body("effect_ended", 0, writer="agent", resolution="returned", row="", attempt=9)
    copy.sql("UPDATE entry SET at_us = at_us + 1")
    assert checker.normalised_tape(copy.evidence.journal, copy.run) == before


def test_a_tape_in_completion_order_is_no_difference(copy: Copy) -> None:
    """Two effects of one decision: who ended first does not matter, what they came to does."""
    before = checker.normalised_tape(copy.evidence.journal, copy.run)
    story = checker.read(copy.evidence).stories[0]
    first, second = story.of("effect_ended")[:2]
    copy.sql("UPDATE entry SET body = :body WHERE id = :id", body=second["text"], id=first["id"])
    copy.sql("UPDATE entry SET body = :body WHERE id = :id", body=first["text"], id=second["id"])
    assert checker.normalised_tape(copy.evidence.journal, copy.run) == before


GATE = {
    "name": "pay",
    "ordinal": 0,
    "options": ["approve", "deny"],
    "deadline_us": 1 << 60,
    "approves": {"tool": "wire", "args": {"n": 1}, "args_hash": "h"},
}
ANSWERED = {"name": "pay", "ordinal": 0, "answer": "approve", "timed_out": False, "void": False}


def test_a_gate_that_is_answered_twice_or_never_opened(copy: Copy) -> None:
    copy.insert("gate_answered", ANSWERED, before=copy.entry_id("run_ended"))
    copy.rechain()
    assert "I9" in copy.findings()


def test_a_gate_that_times_out_early(copy: Copy) -> None:
    copy.insert("gate_answered", {**ANSWERED, "timed_out": True}, before=copy.entry_id("run_ended"))
    copy.insert("gate_opened", {**GATE, "approves": None}, before=copy.entry_id("gate_answered"))
    copy.rechain()
    assert "I9" in copy.findings()


def test_a_call_without_its_approval(copy: Copy) -> None:
    copy.insert("gate_opened", GATE, before=copy.entry_id("effect_begun"))
    copy.rechain()
    assert "I4" in copy.findings()


def test_a_call_that_another_approval_was_used_for(copy: Copy) -> None:
    copy.body("effect_begun", 0, approval="pay 0")
    copy.rechain()
    assert "I4" in copy.findings()


def test_a_cap_that_is_passed(copy: Copy) -> None:
    copy.sql("UPDATE budget SET cap = spent + reserved - 1 WHERE unit = 'usd_micro'")
    assert copy.findings() == {"I10"}


def test_a_bill_that_says_so_may_pass_a_cap(copy: Copy) -> None:
    copy.sql("UPDATE budget SET cap = spent + reserved - 1 WHERE unit = 'usd_micro'")
    overrun = {"place": "decision 0", "unit": "usd_micro", "by": 1, "run": copy.run}
    copy.insert("budget_overrun", overrun, before=copy.entry_id("run_ended"))
    copy.rechain()
    assert copy.findings() == set()


def test_a_reservation_that_is_nobodys(copy: Copy) -> None:
    copy.sql("UPDATE budget SET reserved = reserved + 1 WHERE unit = 'tokens'")
    assert copy.findings() == {"I10"}


def test_a_bill_that_is_paid_twice(copy: Copy) -> None:
    copy.sql("UPDATE budget SET spent = spent + 1000 WHERE unit = 'usd_micro'")
    assert copy.findings() == {"I10"}


def test_a_question_that_nobody_paid_for(copy: Copy) -> None:
    copy.sql("UPDATE budget SET cap = 1000000 WHERE unit = 'usd_micro'")
    assert copy.evidence.questions is not None
    for _ in range(4):
        copy.append(copy.evidence.questions, checker.lines(copy.evidence.questions)[0])
    assert "I10" in copy.findings()


WAIT = "INSERT INTO cap_wait SELECT no, {place}, 'OPEN', '{{}}', 'tokens', 10, no, 0, '', '', 0 FROM run WHERE no = 1"


def test_an_ended_run_that_waits_for_a_cap(copy: Copy) -> None:
    copy.sql(WAIT.format(place="'decision 9'"))
    assert copy.findings() == {"I10"}


def test_something_that_has_begun_and_waits_for_a_cap(copy: Copy) -> None:
    copy.sql("UPDATE run SET end_status = NULL")
    before = copy.findings()
    copy.sql(WAIT.format(place="(SELECT key FROM effect ORDER BY key LIMIT 1)"))
    assert copy.findings() - before == {"I10"}
