"""`tape export`, `tape import`, `tape gc` on the command line: what they print, their exit codes, and no traceback."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tape.core.journal.views import open_reader
from tape.core.server.orders import Lock
from tests.cli.test_cli import YAML, Tape, fails, tape
from tests.core.view_journals import Journal, tamper

__all__ = ["tape"]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("TAPE_JOURNAL", raising=False)
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    (tmp_path / "project" / "tape.yaml").write_text(YAML)
    return tmp_path / "project"


@pytest.fixture
def journal(project: Path) -> Iterator[Journal]:
    made = Journal(project / ".tape" / "dev.db")
    yield made
    made.close()


LONG_AGO = "UPDATE run SET updated_us = 1"


def left(path: Path) -> list[str]:
    with open_reader(path) as reader:
        return [run.id for run in reader.runs()]


# --- export and import ------------------------------------------------------------------------------------------------


def test_a_run_goes_out_and_comes_in_elsewhere(
    journal: Journal, project: Path, tape: Tape, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = journal.survived()
    lock = Lock(journal.path)
    assert lock.take()  # a server runs
    said = tape("export", run_id)
    lock.release()
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith(f"{run_id}.tape ") and said.out.endswith(" entries\n")
    elsewhere = project.parent / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    said = tape("import", str(project / f"{run_id}.tape"), "--journal", "looked-at.db")
    assert (said.code, said.out) == (0, f"{run_id} {elsewhere}/looked-at.db\n")
    assert f"TAPE_JOURNAL=sqlite:///{elsewhere}/looked-at.db" in said.err
    (elsewhere / "tape.yaml").write_text(YAML)
    monkeypatch.setenv("TAPE_JOURNAL", f"sqlite:///{elsewhere}/looked-at.db")
    assert run_id in tape("status").out
    assert "wire_money" in tape("doctor", "--dump-run", run_id).out
    said = tape("doctor")
    assert said.code == 0, said
    before = sorted(os.listdir(elsewhere))
    fails(tape("cancel", run_id), 3, "was imported: nothing drives or writes it")
    fails(tape("server"), 3, "was imported: nothing drives or writes it")
    assert [name for name in sorted(os.listdir(elsewhere)) if not name.endswith(".lock")] == before


def test_in_a_project_an_import_has_a_place_of_its_own(journal: Journal, project: Path, tape: Tape) -> None:
    run_id = journal.survived()
    assert tape("export", run_id, "--to", "a.tape", "--json").code == 0
    said = tape("import", "a.tape", "--json")
    target = project / ".tape" / "imported" / f"{run_id}.db"
    assert json.loads(said.out) == {"run": run_id, "journal": str(target), "values": "whole"}
    fails(tape("import", "a.tape"), 2, f"{target} exists already")
    fails(tape("export", run_id, "--to", "a.tape"), 2, "a.tape exists already")
    assert left(target) == [run_id]
    assert left(journal.path) == [run_id]


def test_mistakes_with_bundles(journal: Journal, project: Path, tape: Tape, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = journal.survived()
    fails(tape("export"), 2, "RUN")
    fails(tape("export", "r-000000000000"), 2, "no run r-000000000000")
    fails(tape("export", run_id, "--to", "no/such/folder.tape"), 3, "cannot write no/such/folder.tape")
    fails(tape("import"), 2, "FILE")
    fails(tape("import", "nothing.tape"), 2, "nothing.tape is no file")
    fails(tape("import", "tape.yaml"), 2, "tape.yaml is no bundle")
    (project / "newer.tape").write_bytes(gzip.compress(b'{"format":"tape-bundle","version":9,"release":"9.9"}'))
    fails(tape("import", "newer.tape"), 2, "written by release 9.9", "upgrade tape-agents")
    assert tape("export", run_id, "--to", "good.tape").code == 0
    monkeypatch.chdir(project.parent)
    fails(tape("import", "project/good.tape"), 2, "no tape.yaml")
    assert sorted(os.listdir(project / ".tape")) == sorted({*os.listdir(project / ".tape")} - {"imported"})
    (project.parent / "file").write_text("")
    fails(tape("import", "project/good.tape", "--journal", "file/x.db"), 3, "cannot create the journal")


def test_flags_of_redaction(journal: Journal, tape: Tape) -> None:
    run_id = journal.survived()
    sizes = {}
    for name, flags in {"usual": (), "all": ("--no-redact",), "none": ("--redact-values",)}.items():
        assert tape("export", run_id, "--to", name, *flags).code == 0
        text = gzip.decompress(Path(name).read_bytes()).decode()
        sizes[name] = ("me@here" in text, "ACME" in text)
    assert sizes == {"usual": (False, True), "all": (True, True), "none": (False, False)}


# --- gc ---------------------------------------------------------------------------------------------------------------


def test_without_a_word_on_retention_nothing_goes(journal: Journal, tape: Tape) -> None:
    run_id = journal.whole()
    fails(tape("gc"), 2, "runs are kept for ever", "retention: {terminal: 30d}", "--keep terminal=30d")
    assert left(journal.path) == [run_id]


@pytest.mark.parametrize(
    "keep", ["", "terminal", "terminal=", "terminal=30", "=30d", "stuck=1d", "terminal=1d,terminal=2d", "terminal=-1d"]
)
def test_ages_that_make_no_sense(journal: Journal, tape: Tape, keep: str) -> None:
    fails(tape("gc", "--keep", keep), 2, "--keep")


def test_dry_runs_say_what_would_go(journal: Journal, project: Path, tape: Tape) -> None:
    gone, newest = journal.whole(), journal.start()
    tamper(journal.path, LONG_AGO)
    dry = tape("gc", "--keep", "terminal=0s", "--dry-run")
    assert dry.code == 0 and dry.out.startswith("would remove 1 run (1 TERMINAL), ")
    as_json = json.loads(tape("gc", "--keep", "terminal=0s", "--dry-run", "--json").out)
    assert left(journal.path) == [newest, gone]
    done = tape("gc", "--keep", "terminal=0s", "--json", "--reason", "old")
    assert json.loads(done.out) == {**as_json, "dry_run": False, "freed": json.loads(done.out)["freed"]}
    assert (as_json["runs"], as_json["ends"], as_json["freed"]) == ([gone], {"TERMINAL": 1}, None)
    assert left(journal.path) == [newest]
    assert tape("gc", "--keep", "terminal=0s").out == "removed 0 runs, 0 entries, 0 values: 0 bytes\n"
    with open_reader(journal.path) as reader:
        [order] = [entry.event for entry in reader.entries() if entry.event.kind == "order_placed"]
    assert (order.verb, order.reason) == ("gc", "old")  # type: ignore[attr-defined]


def test_the_file_becomes_smaller_where_no_server_runs(journal: Journal, tape: Tape) -> None:
    for number in range(100):
        journal.whole(reply={"say": f"{number} " * 5_000})
    newest = journal.start()
    tamper(journal.path, LONG_AGO)
    journal.close()
    said = tape("gc", "--keep", "terminal=0s")
    assert "removed 100 runs (100 TERMINAL)" in said.out
    assert "smaller" in said.err
    assert os.stat(journal.path).st_size < 300_000
    assert left(journal.path) == [newest]
    assert tape("doctor").code == 0


def test_the_file_says_for_how_long(journal: Journal, project: Path, tape: Tape) -> None:
    old, young, newest = journal.whole(), journal.whole(), journal.start()
    tamper(
        journal.path,
        f"UPDATE run SET updated_us = 0 WHERE id = '{old}'",
        "UPDATE run SET updated_us = 4e15 WHERE no = 2",
    )
    (project / "tape.yaml").write_text(YAML + "retention: {terminal: 30d}\n")
    assert json.loads(tape("gc", "--json").out)["runs"] == [old]
    assert left(journal.path) == [newest, young]
    (project / "tape.yaml").write_text(YAML + "retention:\n  terminal: soon\n")
    fails(tape("gc"), 2, "tape.yaml:5: 'terminal' cannot be 'soon'; write an age: 30d, 12h")


def test_without_a_journal_there_is_nothing_to_remove(project: Path, tape: Tape) -> None:
    fails(tape("gc", "--keep", "terminal=0s"), 3, "no journal")
