"""replay, fork, diff on the command line: what they print, and that each mistake is one line."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tape.core.journal import forks
from tests.cli.test_cli import Desk, Tape, desk, fails, journal, project, tape  # noqa: F401 - fixtures
from tests.core.view_journals import Journal

MADE = {"run": "r-00000000new1", "source": "r-0123456789ab", "seq": 6, "note": ""}


def test_fork_prints_the_new_run(tape: Tape, desk: Desk) -> None:  # noqa: F811
    desk.result = {**MADE, "note": "seq 5 and its charge, seq 6, stay together"}
    said = tape("fork", "r-0123456789ab", "--at", "5", "--input", '{"a": 1}', "--reason", "why not")
    assert (said.code, said.out) == (0, "r-00000000new1\n")
    assert said.err.splitlines() == [
        "seq 5 and its charge, seq 6, stay together",
        "goes on from seq 6 of r-0123456789ab in quarantine: its tools are not called",
    ]
    (order,) = desk.placed
    assert (order.verb, order.run_id, order.args, order.reason) == (
        "fork", "r-0123456789ab", {"at": 5, "input": {"a": 1}}, "why not"
    )  # fmt: skip


def test_fork_without_an_input_keeps_it(tape: Tape, desk: Desk) -> None:  # noqa: F811
    desk.result = MADE
    tape("fork", "r-0123456789ab", "--at", "6")
    tape("fork", "r-0123456789ab", "--at", "6", "--input", "null")
    assert [order.args for order in desk.placed] == [{"at": 6}, {"at": 6, "input": None}]


def test_promote(tape: Tape, desk: Desk) -> None:  # noqa: F811
    desk.result, desk.served = MADE, False
    said = tape("fork", "r-0123456789ab", "--promote", "--reason", "yes")
    assert said.err.splitlines() == [
        "recorded; start `tape dev` to drive it",
        "goes on from seq 6 of r-0123456789ab and acts for real",
    ]
    assert (desk.placed[0].verb, desk.placed[0].args, desk.placed[0].reason) == ("promote", {}, "yes")
    told = json.loads(tape("fork", "r-0123456789ab", "--promote", "--json").out)
    assert told == {**MADE, "quarantine": False, "served": False}


@pytest.mark.parametrize("as_json", [(), ("--json",)], ids=["text", "json"])
def test_nobody_waits_for_a_fork_that_nobody_drives(tape: Tape, desk: Desk, as_json: tuple[str, ...]) -> None:  # noqa: F811
    desk.result, desk.served = MADE, False
    said = tape("fork", "r-0123456789ab", "--at", "6", "--wait", *as_json)
    assert said.code == 3
    assert MADE["run"] in said.out
    assert "r-00000000new1 is recorded, but no server runs to drive it" in said.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--at", "six"], "not a valid int"),
        (["--at", "6", "--promote"], "leave --at and --input out"),
        (["--promote", "--input", "1"], "leave --at and --input out"),
        ([], "--at SEQ"),
        (["--at", "6", "--input", "{"], "--input is not JSON"),
    ],
)
def test_a_wrong_fork_is_one_line(tape: Tape, desk: Desk, arguments: list[str], words: str) -> None:  # noqa: F811
    fails(tape("fork", "r-0123456789ab", *arguments), 2, words)
    assert desk.placed == []


@pytest.fixture
def ended(journal: Journal) -> tuple[Journal, str]:  # noqa: F811
    journal.whole()
    return journal, journal.writer.apply(lambda tx: tx.connection.execute("SELECT id FROM run").fetchone()[0])


def closed(made: Journal) -> None:
    """A command takes the journal's lock where nobody holds it; the writer here holds none."""
    made.writer.close()


def test_forks_without_a_server(tape: Tape, ended: tuple[Journal, str]) -> None:  # noqa: F811
    made, source = ended
    said = tape("fork", source, "--at", "3")
    fork = said.out.strip()
    assert said.code == 0 and "recorded; start `tape dev`" in said.err
    row = json.loads(tape("status", fork, "--json").out)[0]
    assert (row["source_id"], row["source_seq"], row["quarantine"], row["status"]) == (source, 3, True, "RUNNABLE")
    assert f"fork of {source} at seq 3, in quarantine" in tape("status", fork).out
    assert f"fork of {source} at seq 3, in quarantine" in tape("doctor", "--dump-run", fork).out
    fails(tape("fork", source, "--at", "0"), 2, "has no seq 0", "1 to")
    fails(tape("fork", source, "--at", "999"), 2, "has no seq 999")
    fails(tape("fork", "r-nope", "--at", "1"), 2, "no run r-nope")
    fails(tape("fork", source, "--promote"), 1, "is no fork")
    promoted = tape("fork", fork, "--promote")
    assert promoted.code == 0
    fails(tape("fork", fork, "--promote"), 1, "was promoted already", promoted.out.strip())
    fails(tape("fork", promoted.out.strip(), "--promote"), 1, "acts for real already")
    assert made.path.exists()


def test_diff(tape: Tape, ended: tuple[Journal, str]) -> None:  # noqa: F811
    made, source = ended
    fork = made.writer.apply(lambda tx: forks.fork_run(tx, source, 3)).run
    said = tape("diff", source, fork)
    assert said.code == 1
    assert said.out.splitlines()[0].startswith("same to seq 3, then ")
    assert any(line.lstrip().startswith("4 ") and line.endswith(" <") for line in said.out.splitlines()), said.out
    told: dict[str, Any] = json.loads(tape("diff", source, fork, "--json").out)
    assert (told["same"], told["same_records"], told["facts"]["run"]) == (False, 3, {"left": source, "right": fork})
    same = tape("diff", source, source)
    assert same.code == 0 and same.out.startswith("same: ")
    fails(tape("diff", source, "r-nope"), 2, "no run r-nope")


def test_a_journal_of_another_schema_is_one_line(tape: Tape, ended: tuple[Journal, str], project: Path) -> None:  # noqa: F811
    made, source = ended
    closed(made)
    with sqlite3.connect(project / ".tape" / "dev.db") as link:
        link.execute("PRAGMA user_version = 99")
    for words in (["fork", source, "--at", "1"], ["diff", source, source], ["replay", source]):
        fails(tape(*words), 3, "schema 99")


def test_replay_of_no_run_is_one_line(tape: Tape, ended: tuple[Journal, str]) -> None:  # noqa: F811
    fails(tape("replay", "r-nope"), 2, "no run r-nope")
    fails(tape("replay", ended[1]), 2, "app.agent cannot be loaded")
    fails(tape("replay", ended[1], "--within", "0"), 2, "--within")
