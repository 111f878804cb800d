"""The contract counted key by key: a real ledger beside a real journal."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tape.core.journal import claims, obligations, runs
from tape.core.journal.effects import ToolPolicy
from tape.core.journal.shapes import DutyFacts, KeyFacts
from tape.core.journal.views import Reader, open_reader
from tape.core.kernel.resolution import Answer
from tape.lab import contract_count
from tape.lab.contract_count import ContractCount, ContractLine, LedgerTail, bounds_of
from tape.lab.upstream_ledger import Intent, Ledger
from tests.journal.big import Made, build
from tests.journal.book import BLIND, BOOM, FAILED, LOOK_UP, UNDO_UNKNOWN, UNDOABLE, Book


class Bank:
    """A stand-in's ledger, a journal, and the counter between them, fed as the console feeds it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "bank.jsonl"
        self.ledger = Ledger(self.path, lambda: datetime(2027, 1, 15, tzinfo=UTC))
        self.book = Book(folder / "tape" / "dev.db")
        self.reader = open_reader(self.book.path)
        self.count = ContractCount("bank", self.path)
        self.cursor = self.reader.last_id()

    def act(self, key: str | None) -> str:
        return self.ledger.act(Intent("wires", key, None, None, {})).id

    def undo(self, act_id: str) -> None:
        self.ledger.undo(act_id, None, None)

    def line(self) -> ContractLine:
        entries = self.reader.entries(after=self.cursor)
        self.cursor = entries[-1].id if entries else self.cursor
        self.count.add(entries)
        line = self.count.refresh(self.reader)
        anew = ContractCount("bank", self.path).refresh(self.reader)
        assert line == anew, "what was kept in step says the same as what is read from the beginning"
        return line

    def text(self) -> str:
        return self.line().text()

    def begin(self, policy: ToolPolicy = LOOK_UP, ordinal: int = 0) -> tuple[str, int, str]:
        run_id, epoch = self.book.driven()
        return run_id, epoch, self.book.begin(run_id, epoch, policy, ordinal)

    def close(self) -> None:
        self.reader.close()
        self.book.close()
        self.ledger.close()


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Bank]:
    made = Bank(tmp_path)
    yield made
    made.close()


# --- one act and its effect -------------------------------------------------------------------------------------


def test_a_run_from_its_intent_to_its_end(bank: Bank) -> None:
    assert bank.text() == "bank 0 = 0 ✓"
    run_id, epoch, key = bank.begin()
    assert bank.text() == "bank 0 = 0 ✓", "whose tool this is nobody knows yet"
    bank.act(key)
    assert bank.text() == "bank 0+1 = 1 ✓"
    assert bank.line().noun == "wire"
    bank.book.end(run_id, epoch, key)
    assert bank.line() == ContractLine("bank", 1, 0, 1, True)
    assert bank.text() == "bank 1 = 1 ✓"
    second = bank.book.begin(run_id, epoch, LOOK_UP, 1)
    assert bank.text() == "bank 1+1 ≥ 1 ✓"
    bank.act(second)
    assert bank.text() == "bank 1+1 = 2 ✓"
    bank.book.die(run_id)
    assert bank.text() == "bank 1+1 = 2 ✓"
    bank.book.observe(run_id, second, Answer.PRESENT)
    assert bank.text() == "bank 2 = 2 ✓"


def test_a_second_act_is_loud(bank: Bank) -> None:
    run_id, epoch, key = bank.begin()
    bank.act(key)
    bank.act(key)
    assert bank.line() == ContractLine("bank", 0, 1, 2, False, (key,))
    bank.book.end(run_id, epoch, key)
    assert bank.text() == "bank 1 ≠ 2 ✗"


def test_a_surplus_here_does_not_make_up_for_a_lack_there(bank: Bank) -> None:
    one, epoch, twice = bank.begin()
    bank.book.end(one, epoch, twice)
    other, epoch, never = bank.begin()
    bank.book.end(other, epoch, never)
    bank.act(twice)
    bank.act(twice)
    assert bank.line() == ContractLine("bank", 2, 0, 2, False, tuple(sorted((never, twice))))
    assert bank.text() == "bank 2 ≠ 2 ✗"


def test_a_confirmed_effect_without_an_act_is_found_though_it_is_old(bank: Bank) -> None:
    old, epoch, lost = bank.begin()
    bank.book.end(old, epoch, lost)
    assert bank.line().holds is True
    _, _, key = bank.begin()
    bank.act(key)
    assert bank.line() == ContractLine("bank", 1, 1, 1, False, (lost,))


def test_what_has_failed_is_not_in_effect(bank: Bank) -> None:
    run_id, epoch, key = bank.begin()
    act = bank.act(key)
    bank.book.end(run_id, epoch, key, ending=FAILED)
    assert bank.line().offenders == (key,)
    bank.undo(act)
    assert bank.text() == "bank 0 = 0 ✓"


def test_an_act_without_an_intent_is_loud(bank: Bank) -> None:
    run_id, _, key = bank.begin()
    bank.act(key)
    assert bank.line().holds is True
    bank.act(f"{run_id}/9/0/tool")
    assert bank.line().offenders == (f"{run_id}/9/0/tool",)


@pytest.mark.parametrize("key", [None, "", "x", "r-000000000000/0/0/tool", "a/b/c/d", "//"])
def test_acts_of_others_are_not_counted(bank: Bank, key: str | None) -> None:
    bank.begin()
    bank.act(key)
    assert bank.line() == ContractLine("bank", 0, 0, 0, True)


def test_the_act_of_an_undo_is_not_counted(bank: Bank) -> None:
    _, _, key = bank.begin()
    bank.act(key)
    bank.act(f"{key}/undo/1")
    assert bank.text() == "bank 0+1 = 1 ✓"


# --- undone acts ------------------------------------------------------------------------------------------------


def test_an_act_that_is_undone_by_its_duty(bank: Bank) -> None:
    run_id, epoch, key = bank.begin(UNDOABLE)
    act = bank.act(key)
    bank.book.end(run_id, epoch, key)
    assert bank.text() == "bank 1 = 1 ✓"
    bank.book.do(runs.end_run, run_id, epoch, "FAILED", None, BOOM)
    assert bank.text() == "bank 0+1 = 1 ✓", "it may be undone at any moment"
    claim, _ = bank.book.claim_duty(run_id, f"{key}/undo/1")
    bank.undo(act)
    assert bank.text() == "bank 0+1 ≥ 0 ✓"
    bank.book.do(obligations.fulfil_duty, claim)
    assert bank.text() == "bank 0 = 0 ✓"


def test_an_undo_that_did_nothing_is_loud(bank: Bank) -> None:
    run_id, epoch, key = bank.begin(UNDOABLE)
    bank.act(key)
    bank.book.end(run_id, epoch, key)
    bank.book.do(runs.end_run, run_id, epoch, "FAILED", None, BOOM)
    bank.book.undo(run_id, f"{key}/undo/1")
    assert bank.line() == ContractLine("bank", 0, 0, 1, False, (key,))


def test_a_surplus_act_is_allowed_for_until_it_is_undone(bank: Bank) -> None:
    run_id, _, key = bank.begin(UNDOABLE)
    bank.act(key)
    surplus = bank.act(key)
    bank.book.die(run_id)
    assert bank.line().holds is False, "nobody knows of it yet"
    bank.book.observe(run_id, key, Answer.DUPLICATE)
    assert bank.text() == "bank 1+1 = 2 ✓"
    claim, _ = bank.book.claim_duty(run_id, f"{key}/undo/2")
    bank.undo(surplus)
    bank.book.do(obligations.fulfil_duty, claim)
    assert bank.text() == "bank 1 = 1 ✓"


def test_an_effect_that_is_undone_because_nobody_knows(bank: Bank) -> None:
    run_id, _, key = bank.begin(UNDO_UNKNOWN)
    act = bank.act(key)
    bank.book.die(run_id)
    assert bank.text() == "bank 0+1 = 1 ✓"
    bank.undo(act)
    bank.book.undo(run_id, f"{key}/undo/1")
    assert bank.text() == "bank 0 = 0 ✓"


@pytest.mark.parametrize("how", ["confirm", "fail"])
@pytest.mark.parametrize("acted", [True, False])
def test_what_a_person_decided_may_be_either(bank: Bank, how: str, acted: bool) -> None:
    one, epoch, other = bank.begin()
    bank.act(other)
    bank.book.end(one, epoch, other)
    run_id, _, key = bank.begin(BLIND)
    if acted:
        bank.act(key)
    bank.book.die(run_id)
    bank.book.do(claims.resolve_effect, run_id, key, how, None, "I looked")
    assert bank.text() == ("bank 1+1 = 2 ✓" if acted else "bank 1+1 ≥ 1 ✓")


def duties(*statuses: str, surplus: bool = False, attempts: int = 0) -> tuple[DutyFacts, ...]:
    return tuple(DutyFacts(status, surplus, attempts) for status in statuses)


@pytest.mark.parametrize(
    ("status", "resolution", "owed", "bounds"),
    [
        ("", "", (), (0, 0)),
        ("PENDING", "", (), (0, 1)),
        ("UNKNOWN", "", (), (0, 1)),
        ("CONFIRMED", "returned", (), (1, 1)),
        ("FAILED", "rejected", (), (0, 0)),
        ("CONFIRMED", "decided", (), (0, 1)),
        ("FAILED", "decided", (), (0, 1)),
        ("CONFIRMED", "returned", duties("ARMED"), (1, 1)),
        ("CONFIRMED", "returned", duties("DUE"), (0, 1)),
        ("CONFIRMED", "returned", duties("CLAIMED", attempts=1), (0, 1)),
        ("CONFIRMED", "returned", duties("STUCK", attempts=5), (0, 1)),
        ("CONFIRMED", "returned", duties("DONE", attempts=1), (0, 0)),
        ("CONFIRMED", "returned", duties("DROPPED"), (1, 1)),
        ("CONFIRMED", "returned", duties("DROPPED", attempts=5), (0, 1)),
        ("CONFIRMED", "redispatched", duties("DROPPED", "DUE"), (0, 1)),
        ("CONFIRMED", "observed", (*duties("ARMED"), *duties("DUE", "STUCK", surplus=True)), (1, 3)),
        ("CONFIRMED", "observed", (*duties("ARMED"), *duties("DONE", "DUE", surplus=True)), (1, 2)),
        ("CONFIRMED", "observed", (*duties("ARMED"), *duties("DROPPED", surplus=True)), (1, 2)),
        ("CONFIRMED", "observed", (*duties("DONE"), *duties("DUE", surplus=True)), (0, 1)),
    ],
)
def test_bounds(status: str, resolution: str, owed: tuple[DutyFacts, ...], bounds: tuple[int, int]) -> None:
    assert bounds_of(KeyFacts("k", "tool", status, resolution, owed)) == bounds


# --- between the two files --------------------------------------------------------------------------------------


class Between:
    """A reader before whose answer something happens, once."""

    def __init__(self, reader: Reader, happens: Callable[[], object]) -> None:
        self.reader = reader
        self.happens = happens

    def key_facts(self, keys: Any) -> list[KeyFacts]:
        self.happens()
        self.happens = lambda: None
        return self.reader.key_facts(keys)

    def tool_facts(self, tools: Any, after_no: int, until_no: int) -> list[KeyFacts]:
        return self.reader.tool_facts(tools, after_no, until_no)

    def last_no(self) -> int:
        return self.reader.last_no()


def test_an_effect_that_acts_and_ends_between_the_two_readings_is_no_offence(bank: Bank) -> None:
    run_id, epoch, first = bank.begin()
    bank.act(first)
    second = bank.book.begin(run_id, epoch, LOOK_UP, 1)
    bank.line()

    def act_and_end() -> None:
        bank.act(second)
        bank.book.end(run_id, epoch, second)

    bank.count.add(bank.reader.entries())
    line = bank.count.refresh(Between(bank.reader, act_and_end))
    assert (line.holds, line.acts) == (True, 2)
    assert bank.text() == "bank 1+1 = 2 ✓"


def test_an_act_that_is_undone_between_the_two_readings_is_no_offence(bank: Bank) -> None:
    run_id, _, key = bank.begin(UNDO_UNKNOWN)
    act = bank.act(key)
    bank.book.die(run_id)

    def undo_and_settle() -> None:
        bank.undo(act)
        bank.book.undo(run_id, f"{key}/undo/1")

    assert bank.count.refresh(Between(bank.reader, undo_and_settle)).holds is True
    assert bank.text() == "bank 0 = 0 ✓"


def test_what_was_excused_once_is_looked_at_again(bank: Bank) -> None:
    run_id, epoch, first = bank.begin()
    bank.act(first)
    second = bank.book.begin(run_id, epoch, LOOK_UP, 1)
    bank.line()

    def act_twice_and_end() -> None:
        bank.act(second)
        bank.act(second)
        bank.book.end(run_id, epoch, second)

    bank.count.add(bank.reader.entries())
    assert bank.count.refresh(Between(bank.reader, act_twice_and_end)).holds is True
    assert bank.count.refresh(bank.reader).offenders == (second,)


# --- the ledger's file ------------------------------------------------------------------------------------------


def test_without_a_ledger_the_figure_is_not_known(bank: Bank, tmp_path: Path) -> None:
    later = tmp_path / "later.jsonl"
    count = ContractCount("bank", later)
    assert count.refresh(bank.reader) == ContractLine("bank")
    assert count.refresh(bank.reader).text() == "bank –"
    later.touch()
    assert count.refresh(bank.reader).text() == "bank 0 = 0 ✓"


def test_a_folder_in_its_place_is_no_ledger(bank: Bank, tmp_path: Path) -> None:
    assert ContractCount("bank", tmp_path).refresh(bank.reader).holds is None


def test_a_torn_last_line_waits(bank: Bank) -> None:
    _, _, key = bank.begin()
    bank.act(key)
    whole = bank.path.read_bytes()
    for length in range(1, len(whole)):
        bank.path.write_bytes(whole[:length])
        assert bank.count.refresh(bank.reader).text() == "bank 0 = 0 ✓"
    bank.path.write_bytes(whole)
    assert bank.text() == "bank 0+1 = 1 ✓"


@pytest.mark.parametrize("damage", ["{", "[]", "null", '{"event": "other", "id": "x"}', '{"event": "act"}', "\x00"])
def test_a_damaged_line_makes_it_unreadable(bank: Bank, damage: str) -> None:
    _, _, key = bank.begin()
    bank.act(key)
    assert bank.line().holds is True
    good = bank.path.read_bytes()
    bank.path.write_bytes(good + damage.encode() + b"\n")
    assert bank.count.refresh(bank.reader) == ContractLine("bank")
    assert bank.count.refresh(bank.reader) == ContractLine("bank")
    os.truncate(bank.path, len(good))
    assert bank.text() == "bank 0+1 = 1 ✓"


def test_another_file_is_read_from_its_beginning(bank: Bank, tmp_path: Path) -> None:
    run_id, epoch, key = bank.begin()
    bank.act(key)
    bank.book.end(run_id, epoch, key)
    assert bank.text() == "bank 1 = 1 ✓"
    other = Ledger(tmp_path / "other.jsonl", lambda: datetime(2027, 1, 15, tzinfo=UTC))
    for _ in range(2):
        other.act(Intent("wires", key, None, None, {}))
    os.replace(other.path, bank.path)
    assert bank.text() == "bank 1 ≠ 2 ✗"
    bank.path.write_bytes(b"")
    assert bank.text() == "bank 0 = 0 ✓"
    other.close()


def test_only_what_is_new_is_read(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, key = bank.begin()
    bank.act(key)
    tail = LedgerTail(bank.path)
    assert [event["key"] for event in tail.read()] == [key]
    assert tail.read() == []
    bank.act(key)
    assert len(tail.read()) == 1
    monkeypatch.setattr(contract_count, "LEDGER_CHUNK_BYTES", 10)
    bank.act(key)
    bank.act(key)
    seen = [tail.read() for _ in range(60)]
    assert sum(map(len, seen)) == 2, "a line longer than a chunk is read nevertheless"
    assert tail.caught_up


# --- a long ledger ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "size"), [("LEDGER_CHUNK_BYTES", 4_000), ("KEYS_AT_ONCE", 50), ("RUNS_AT_ONCE", 100)]
)
def test_a_long_ledger_and_a_big_journal_are_read_in_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, size: int
) -> None:
    runs_made, open_every = 900, 20
    build(tmp_path / "dev.db", runs_made, open_every)
    made = [run for run in (Made(no, open_every) for no in range(1, runs_made + 1)) if run.tool == "wire_money"]
    lines = [
        json.dumps({"event": "act", "id": f"wires-{run.no}", "collection": "wires", "key": run.key}) for run in made
    ]
    path = tmp_path / "bank.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines))
    monkeypatch.setattr(contract_count, limit, size)
    count = ContractCount("bank", path)
    with open_reader(tmp_path / "dev.db") as reader:
        pages = [count.refresh(reader) for _ in range(40)]
    assert pages[0].holds is None
    still_open = sum(run.open for run in made)
    assert pages[-1] == ContractLine("bank", len(made) - still_open, still_open, len(made), True)
    assert {line.text() for line in pages} == {"bank –", pages[-1].text()}


def test_many_offenders_stay_an_offence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(tmp_path / "dev.db", 300, 1000)
    path = tmp_path / "bank.jsonl"
    path.write_text(
        json.dumps({"event": "act", "id": "wires-1", "collection": "wires", "key": Made(3, 1000).key}) + "\n"
    )
    monkeypatch.setattr(contract_count, "RUNS_AT_ONCE", 70)
    monkeypatch.setattr(contract_count, "SUSPECTS_AT_ONCE", 10)
    count = ContractCount("bank", path)
    with open_reader(tmp_path / "dev.db") as reader:
        lines = [count.refresh(reader) for _ in range(8)]
    assert [line.holds for line in lines] == [None] * 4 + [False] * 4
    assert lines[-1].text() == "bank 100 ≠ 1 ✗"
