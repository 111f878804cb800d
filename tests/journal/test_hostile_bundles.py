"""Bundles by somebody who knows the format: hash chains made anew over hostile rows, odd places to write to, faults on
the way. Each is refused in one line and leaves nothing, or makes a journal that everything can read."""

from __future__ import annotations

import copy
import gzip
import json
import os
import random
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tape.core import report
from tape.core.bundles import import_file
from tape.core.journal import bundle as bundles
from tape.core.journal.dump import dump_json
from tape.core.journal.seen import seen_by
from tape.core.journal.views import open_reader
from tape.core.kernel.errors import JournalUnavailable, TapeError, UsageError
from tape.core.render import line
from tests.faults.faulty import Fault, Plan, faulty
from tests.journal import test_bundle
from tests.journal.test_bundle import _chained, export, journal, refused, told

__all__ = ["journal"]

DEEP = "[" * 100_000 + "]" * 100_000
VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 1 << 62, -(1 << 62), 1.5, "", "x", "x" * 200_000, [], {}, [[]], {"a": [1]}, "r-000000000000",
    "\x1b[2J\u202e", "../../etc/passwd", "[@click=app.quit]",
)  # fmt: skip
TEXTS = ("", "null", "[]", "{", "1", DEEP, '{"a":1}', '"x"', '{"$value":"00"}', "+", "NaN")
KINDS = ("x", "", "run_started", "decision", "effect_begun", "effect_ended", "lease_granted", "fork_promoted", "charge")
ROUNDS = 250


@pytest.fixture
def good(journal: test_bundle.Journal, tmp_path: Path) -> dict[str, Any]:
    return export(journal, told(journal), tmp_path / "good.tape", redact=False)


def spoil(bundle: dict[str, Any], chance: random.Random) -> str:
    """Changes one thing; says what."""
    row = chance.choice(bundle["tables"]["entry"])
    what = chance.randrange(6)
    if what == 0:
        row["body"] = chance.choice(TEXTS)
        return f"body {row['body'][:20]}"
    if what == 1:
        row["kind"] = chance.choice(KINDS)
        return f"kind {row['kind']}"
    if what in (2, 3):
        body = json.loads(row["body"])
        name = chance.choice(list(body))
        body[name] = chance.choice(VALUES)
        if chance.random() < 0.2:
            del body[name]
        row["body"] = json.dumps(body)
        return f"{row['kind']}.{name} = {str(body.get(name, 'deleted'))[:20]}"
    table = chance.choice([name for name, rows in bundle["tables"].items() if rows])
    row = chance.choice(bundle["tables"][table])
    column = chance.choice(list(row))
    row[column] = chance.choice((*VALUES, *TEXTS))
    return f"{table}.{column} = {str(row[column])[:20]}"


def look_at_all_of_it(path: Path) -> None:
    with open_reader(path) as reader:
        reader.needs()
        for run in reader.runs():
            dump = reader.dump(run.id)
            json.dumps(dump_json(dump))
            assert report.status_line(run)
            assert all(line(entry).text is not None for entry in dump.entries)
            seen_by(reader, run.id)


def test_hostile_rows_under_a_chain_that_fits(good: dict[str, Any], tmp_path: Path) -> None:
    """Whatever an audit does not mind can be read to the end."""
    chance = random.Random(4711)
    file, target = tmp_path / "bad.tape", tmp_path / "there" / "a.db"
    count: Counter[str] = Counter()
    for _ in range(ROUNDS):
        bundle = copy.deepcopy(good)
        how = spoil(bundle, chance)
        try:
            _chained(bundle)
        except (TypeError, AttributeError):
            continue  # no chain can be made over that
        file.write_bytes(gzip.compress(json.dumps(bundle).encode(), 1))
        try:
            import_file(file, target, None)
        except UsageError as error:
            said = str(error)
            assert len(said) < 600 and said.isprintable(), (how, said[:600])
            assert not target.parent.exists(), how
            count["refused"] += 1
        else:
            try:
                look_at_all_of_it(target)
            except UsageError as error:
                assert len(str(error)) < 600, how
            count["made"] += 1
            assert [path.name for path in target.parent.iterdir()] == [target.name]
            target.unlink()
            target.parent.rmdir()
    assert count["refused"] > 100 and count["made"] > 40, count


def test_every_kilobyte_of_a_truncated_one(good: dict[str, Any], tmp_path: Path) -> None:
    del good
    data = (tmp_path / "good.tape").read_bytes()
    assert len(data) > 3_000
    for at in range(1024, len(data), 1024):
        refused(tmp_path, data[:at], "is truncated: copy or export it again")


def test_a_huge_value_is_refused_before_anything_is_written(
    good: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good["tables"]["blob"][0]["body"] = json.dumps("x" * (4 << 20))
    data = gzip.compress(json.dumps(good).encode(), 1)
    refused(tmp_path, data, "does not fit its name")
    monkeypatch.setattr(bundles, "LIMIT_BYTES", 3 << 20)
    refused(tmp_path, data, "over 3 MiB unpacked")


@pytest.mark.parametrize("field", ["before", "items"])
def test_a_list_that_names_itself_is_refused_before_it_is_followed(
    good: dict[str, Any], tmp_path: Path, field: str
) -> None:
    """No chain covers the values: everything around it is as it was."""
    row = next(row for row in good["tables"]["blob"] if row["body"].startswith("+"))
    ours = row["hash"] if field == "before" else [row["hash"]]
    row["body"] = "+" + json.dumps({"before": None, "items": [], field: ours}, separators=(",", ":"))
    refused(tmp_path, gzip.compress(json.dumps(good).encode(), 1), "does not fit its name")


@pytest.mark.parametrize("table", ["sqlite_master", "sqlite_sequence", "meta", "trigger", 'run"; DROP TABLE run; --'])
def test_no_table_trigger_or_view_comes_in(good: dict[str, Any], tmp_path: Path, table: str) -> None:
    """Rows come in, by known tables and columns: a bundle holds no SQL that anybody would run."""
    row = {"type": "trigger", "name": "t", "tbl_name": "run", "sql": "CREATE TRIGGER t AFTER INSERT ON run BEGIN END"}
    good["tables"][table] = [row]
    refused(tmp_path, gzip.compress(json.dumps(good).encode(), 1), "no table is called")


def test_what_a_bundle_makes_holds_the_schema_and_nothing_else(good: dict[str, Any], tmp_path: Path) -> None:
    made = import_file(tmp_path / "good.tape", tmp_path / "here.db", None).file
    with sqlite3.connect(made) as link:
        found = {tuple(row) for row in link.execute("SELECT type FROM sqlite_master GROUP BY type")}
    assert found == {("table",), ("index",)}


def test_a_database_is_no_bundle(tmp_path: Path) -> None:
    path = tmp_path / "views.db"
    with sqlite3.connect(path) as link:
        link.executescript(
            "CREATE TABLE run(id); CREATE VIEW v AS SELECT 1; CREATE TRIGGER t AFTER INSERT ON run BEGIN SELECT 1; END"
        )
    data = path.read_bytes()
    path.unlink()
    refused(tmp_path, data, "is no bundle: `tape export` writes them")


# --- places -----------------------------------------------------------------------------------------------------------


def test_a_link_is_read_and_never_written_through(good: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "link.tape").symlink_to("good.tape")
    (tmp_path / "loop.tape").symlink_to("loop.tape")
    (tmp_path / "dangling.db").symlink_to(tmp_path / "elsewhere.db")
    with pytest.raises(UsageError, match="is no file"):
        import_file(tmp_path / "loop.tape", tmp_path / "a.db", None)
    with pytest.raises(UsageError, match="exists already"):
        import_file(tmp_path / "link.tape", tmp_path / "dangling.db", None)
    assert not (tmp_path / "elsewhere.db").exists()
    (tmp_path / ".b.db.partial").symlink_to(tmp_path / "elsewhere.db")
    with pytest.raises(UsageError, match="is left of an import"):
        import_file(tmp_path / "link.tape", tmp_path / "b.db", None)
    assert not (tmp_path / "elsewhere.db").exists()
    assert import_file(tmp_path / "link.tape", tmp_path / "a.db", None).run_id == good["run"]


def test_the_run_s_id_alone_names_the_new_file(good: dict[str, Any], tmp_path: Path) -> None:
    """And it is an id: no name leads out of the folder."""
    for run in ("../r-000000000000", "r-0000000000/0", "/etc/passwd", "r-00000000000\n", "r-00000000000\0", ".", ""):
        bundle = {**good, "run": run}
        bundle["tables"] = {**good["tables"], "run": [{**good["tables"]["run"][0], "id": run}]}
        refused(tmp_path, gzip.compress(json.dumps(bundle).encode(), 1), "is no run's id")


# --- faults -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", Fault)
def test_a_fault_at_any_statement_leaves_no_file(good: dict[str, Any], tmp_path: Path, fault: Fault) -> None:
    file, there = tmp_path / "good.tape", tmp_path / "there"
    struck = 0
    for number in range(1, 1000):
        plan = Plan()
        with faulty(there, plan):
            plan.arm(fault, lambda at, sql, number=number: at == number)
            try:
                import_file(file, there / "a.db", None)
            except TapeError as error:
                assert isinstance(error, JournalUnavailable | UsageError) and len(str(error).splitlines()) == 1
                assert plan.struck and not there.exists(), f"{number}: {sorted(os.listdir(there))}"
                struck += 1
            else:
                assert not plan.struck, f"statement {number} failed, and nobody has said so"
                break
    assert struck > 30
    look_at_all_of_it(there / "a.db")
    assert good["run"]


def test_a_full_disk_leaves_no_file(good: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = tmp_path / "there"
    plain, refusals = sqlite3.connect, 0
    for pages in range(1, 400):
        monkeypatch.setattr(sqlite3, "connect", _limited(plain, pages))
        try:
            import_file(tmp_path / "good.tape", there / "a.db", None)
        except JournalUnavailable as error:
            assert "the disk is full" in str(error) and not there.exists()
            refusals += 1
        else:
            break
    assert refusals > 10 and there.exists() and good["run"]


def _limited(plain: Any, pages: int) -> Any:
    def connect(*args: Any, **named: Any) -> sqlite3.Connection:
        connection = plain(*args, **named)
        if "partial" in str(args[0]):
            connection.execute(f"PRAGMA max_page_count={pages}")
        return connection

    return connect
