"""Bundles: a run that goes out and comes in is the same run; what is private stays; hostile files do nothing."""

from __future__ import annotations

import copy
import gzip
import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tape.core.bundles import export_run, import_file
from tape.core.journal import bundle as bundles
from tape.core.journal import records, workers
from tape.core.journal.audit import audit
from tape.core.journal.audit_facts import Severity
from tape.core.journal.dump import dump_json
from tape.core.journal.imported import refuse_hashed
from tape.core.journal.records import Usage
from tape.core.journal.views import open_reader
from tape.core.journal.writer import Writer
from tape.core.kernel.errors import JournalUnavailable, NotFound, UsageError
from tape.core.kernel.events import Decision
from tests.core.view_journals import Journal

HOST, USER, PID = "pay-host-7.example.org", "ada@pay-host-7.example.org", 48151623


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(tmp_path / ".tape" / "dev.db")
    yield made
    made.close()


def history(turn: int) -> list[Any]:
    return [{"role": "user", "content": f"{number}: " + "word " * 40} for number in range(turn)]


def told(journal: Journal, *, end: bool = True) -> str:
    """A run with a death, a conversation, a long reply, an order, and names of the machine wherever they can stand."""
    from tape.core.journal import runs
    from tape.core.kernel.lifecycle import WorkerTrigger
    from tests.core.view_journals import RECOVERY

    journal.start("another run")
    run_id = journal.writer.apply(lambda tx: runs.start_run(tx, "treasury", {"pay": 7}, actor=USER, start_key="k-7"))
    for drive, index in enumerate((0, 2)):
        nonce = journal.clock.nonce()
        pid = PID + drive
        number = journal.writer.apply(lambda tx, n=nonce, p=pid: workers.start_worker(tx, n, p, 77, "boot-x", HOST))
        journal.writer.apply(lambda tx, n=number: workers.move_worker(tx, n, WorkerTrigger.HELLO))
        epoch = journal.grant(run_id, number)
        for at in (index, index + 1):
            request = {"args": [history(at + 1)], "kwargs": {}}
            one = Decision(
                index=at, name="ask", fingerprint="f", request=request, reply={"text": "x" * 9_000, "at": at}
            )
            journal.writer.apply(lambda tx, e=epoch, d=one: records.record_decision(tx, run_id, e, d, Usage(1, 2, 3)))
        if not drive:
            key = journal.begin(run_id, epoch)
            journal.end(run_id, epoch, key)
            args = {"pid": pid, "signal": "KILL"}
            journal.writer.apply(
                lambda tx, a=args, p=pid: workers.place_order(tx, run_id, "kill", a, USER, f"pid {p} on {HOST} hangs")
            )
            died = f"SIGKILL of pid {pid} on {HOST}"
            journal.writer.apply(lambda tx, n=number, d=died: workers.worker_died(tx, n, d, RECOVERY, proven=True))
            journal.clock.advance(5)
    if end:
        journal.finish(run_id, epoch)
    return run_id


def export(journal: Journal, run_id: str, to: Path, **how: bool) -> dict[str, Any]:
    export_run(journal.path, run_id, to, **{"redact": True, "redact_values": False, **how})
    return json.loads(gzip.decompress(to.read_bytes()))


def wrong(path: Path) -> list[str]:
    with open_reader(path) as reader:
        return [one.what for one in audit(reader).findings if one.severity is Severity.ERROR]


def dumped(path: Path, run_id: str) -> Any:
    with open_reader(path) as reader:
        return dump_json(reader.dump(run_id))


# --- out and in -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [True, False])
def test_a_run_comes_in_as_it_went_out(journal: Journal, tmp_path: Path, end: bool) -> None:
    run_id = told(journal, end=end)
    export(journal, run_id, tmp_path / "a.tape", redact=False)
    done = import_file(tmp_path / "a.tape", None, tmp_path / "imported")
    assert done.file == tmp_path / "imported" / f"{run_id}.db"
    assert stat.S_IMODE(done.file.stat().st_mode) == 0o600
    assert dumped(done.file, run_id) == dumped(journal.path, run_id)
    assert wrong(done.file) == []
    assert [path.name for path in done.file.parent.iterdir()] == [done.file.name]


def test_what_is_redacted_is_replayed_the_same_and_names_no_machine(journal: Journal, tmp_path: Path) -> None:
    run_id = told(journal)
    bundle = export(journal, run_id, tmp_path / "a.tape")
    text = json.dumps(bundle)
    for secret in (HOST, USER, "ada", str(PID), str(PID + 1), "boot-x", "pay-host"):
        assert secret not in text, secret
    with open_reader(journal.path) as reader:
        nonces = [row[0] for row in reader.fetch("SELECT nonce FROM worker")]
    assert not any(nonce in text for nonce in nonces)
    assert "pid 1001 on host-1 hangs" in text
    assert bundle["tables"]["order"][0]["args"] == '{"pid":1001,"signal":"KILL"}'
    path = import_file(tmp_path / "a.tape", None, tmp_path / "imported").file
    assert wrong(path) == []
    with open_reader(path) as inside, open_reader(journal.path) as outside:
        replayed, original = inside.dump(run_id), outside.dump(run_id)
    assert [one.request for one in replayed.decisions] == [one.request for one in original.decisions]
    assert [one.reply for one in replayed.decisions] == [one.reply for one in original.decisions]
    assert [(one.args, one.result) for one in replayed.effects] == [(one.args, one.result) for one in original.effects]
    kinds = [(entry.seq, entry.event.kind, entry.at_us) for entry in original.entries]
    assert [(entry.seq, entry.event.kind, entry.at_us) for entry in replayed.entries] == kinds


def test_the_same_run_gives_the_same_bytes(journal: Journal, tmp_path: Path) -> None:
    run_id = told(journal)
    for name in ("a", "b"):
        export(journal, run_id, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_without_values_only_their_types_and_hashes_are_left(journal: Journal, tmp_path: Path) -> None:
    run_id = told(journal)
    text = json.dumps(export(journal, run_id, tmp_path / "a.tape", redact_values=True))
    for secret in ("word", "xxxx", "ACME", "12500", "k-7", "w-1", '"pay\\"', "hangs"):
        assert secret not in text, secret
    path = import_file(tmp_path / "a.tape", None, tmp_path / "imported").file
    assert wrong(path) == []
    with open_reader(path) as reader:
        assert reader.dump(run_id).effects[0].args["redacted"] == "object"
        with pytest.raises(UsageError, match="cannot be replayed: its values were replaced"):
            refuse_hashed(run_id, reader.imported())


def test_a_conversation_is_in_the_bundle_once(journal: Journal, tmp_path: Path) -> None:
    run_id = told(journal)
    text = json.dumps(export(journal, run_id, tmp_path / "a.tape"))
    assert text.count("0: word word word") == 1 + 1  # the message, and a preview of the first request


def test_an_imported_journal_is_never_written(journal: Journal, tmp_path: Path) -> None:
    run_id = told(journal, end=False)
    export(journal, run_id, tmp_path / "a.tape")
    path = import_file(tmp_path / "a.tape", tmp_path / "here.db", None).file
    before = path.read_bytes()
    with pytest.raises(JournalUnavailable, match="was imported: nothing drives or writes it"):
        Writer(path, journal.clock)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.startswith("here.db")] == ["here.db"]
    with open_reader(path) as reader:
        facts = reader.imported()
        assert facts is not None and (facts["run"], facts["values"]) == (run_id, "whole")
    with open_reader(journal.path) as reader:
        assert reader.imported() is None


def test_what_exists_is_never_overwritten(journal: Journal, tmp_path: Path) -> None:
    run_id = told(journal)
    export(journal, run_id, tmp_path / "a.tape")
    with pytest.raises(UsageError, match="exists already"):
        export(journal, run_id, tmp_path / "a.tape")
    taken = tmp_path / "taken.db"
    for name in ("taken.db", "taken.db-wal", "taken.db-journal"):
        (tmp_path / name).write_text("mine")
        with pytest.raises(UsageError, match="exists already"):
            import_file(tmp_path / "a.tape", taken, None)
        assert (tmp_path / name).read_text() == "mine"
        (tmp_path / name).unlink()
    with pytest.raises(NotFound):
        export(journal, "r-000000000000", tmp_path / "b.tape")
    assert not (tmp_path / "b.tape").exists()


def test_a_run_that_cannot_fit_is_refused(journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = told(journal)
    monkeypatch.setattr(bundles, "LIMIT_BYTES", 5_000)
    with pytest.raises(UsageError, match="a bundle may have 5000"):
        export(journal, run_id, tmp_path / "a.tape")
    assert list(tmp_path.glob("*a.tape*")) == []


# --- hostile files ----------------------------------------------------------------------------------------------------

Spoil = Callable[[dict[str, Any]], Any]


def _set(*path: Any, to: Any) -> Spoil:
    def spoil(bundle: dict[str, Any]) -> None:
        place: Any = bundle
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = to

    return spoil


def _drop(*path: Any) -> Spoil:
    def spoil(bundle: dict[str, Any]) -> None:
        place: Any = bundle
        for step in path[:-1]:
            place = place[step]
        del place[path[-1]]

    return spoil


def _again(bundle: dict[str, Any]) -> None:
    """The seq of one entry is another's, and the chain fits it."""
    rows = [row for row in bundle["tables"]["entry"] if row["seq"] == 3]
    rows[0]["seq"] = 4
    _chained(bundle)


def _chained(bundle: dict[str, Any]) -> None:
    from tape.core.kernel.identity import chain_hash, chained_text

    head = b""
    for row in bundle["tables"]["entry"]:
        text = chained_text(row["seq"], row["kind"], row["epoch"], row["at_us"], row["body"])
        digest = chain_hash(b"" if row["run_no"] is None else head, text)
        row["hash"] = digest.hex()
        head = head if row["run_no"] is None else digest
    bundle["tables"]["run"][0]["head"] = head.hex()


def _other_reply(bundle: dict[str, Any]) -> None:
    row = next(row for row in bundle["tables"]["entry"] if row["kind"] == "charge")
    row["body"] = row["body"].replace('"tokens_in":1', '"tokens_in":9')


def _money(bundle: dict[str, Any]) -> None:
    _other_reply(bundle)
    _chained(bundle)


def _copied(bundle: dict[str, Any]) -> None:
    bundle["tables"]["entry"].append(bundle["tables"]["entry"][-1])


def _value(bundle: dict[str, Any]) -> None:
    bundle["tables"]["blob"][0]["body"] = '"other"'


SPOILT: dict[str, tuple[Spoil, str]] = {
    "other format": (_set("format", to="zip"), "is no bundle"),
    "no format": (_drop("format"), "is no bundle"),
    "newer version": (_set("version", to=2), "upgrade tape-agents"),
    "newer schema": (_set("schema", to=99), "this one reads 2: upgrade tape-agents"),
    "older schema": (_set("schema", to=1), "export it anew"),
    "odd schema": (_set("schema", to="2"), "is no number"),
    "true schema": (_set("schema", to=True), "is no number"),
    "odd release": (lambda bundle: bundle.update(version=7, release={"a": ["\x1b[2J" * 999]}), "upgrade"),
    "no run": (_drop("run"), "is no run's id"),
    "a path as run": (_set("run", to="../../../etc/passwd"), "is no run's id"),
    "a run like a path": (_set("run", to="r-/../../a.db"), "is no run's id"),
    "another run": (_set("run", to="r-000000000000"), "must hold the run r-000000000000"),
    "no values": (_drop("values"), "what was redacted"),
    "odd redacted": (_set("redacted", to="no"), "what was redacted"),
    "no tables": (_drop("tables"), "no tables"),
    "tables a list": (_set("tables", to=[]), "no tables"),
    "unknown table": (_set("tables", "sqlite_master", to=[]), "no table is called 'sqlite_master'"),
    "meta": (_set("tables", "meta", to=[]), "no table is called 'meta'"),
    "a table no list": (_set("tables", "lease", to={"a": 1}), "no list of rows"),
    "a row no object": (_set("tables", "lease", 0, to=[1]), "columns of that table"),
    "a column too many": (_set("tables", "lease", 0, "x", to=1), "columns of that table"),
    "a column too few": (_drop("tables", "lease", 0, "why"), "columns of that table"),
    "text for a number": (_set("tables", "lease", 0, "epoch", to="1"), "cannot have '1' as its epoch"),
    "true for a number": (_set("tables", "lease", 0, "alone", to=True), "cannot have 'True' as its alone"),
    "a float": (_set("tables", "lease", 0, "epoch", to=1.0), "as its epoch"),
    "null": (_set("tables", "lease", 0, "epoch", to=None), "as its epoch"),
    "null id": (_set("tables", "entry", 0, "id", to=None), "as its id"),
    "no digits": (_set("tables", "entry", 0, "hash", to="zz"), "as its hash"),
    "null byte": (_set("tables", "run", 0, "agent", to="a\0b"), "as its agent"),
    "two runs": (lambda bundle: bundle["tables"]["run"].append(bundle["tables"]["run"][0]), "and no other"),
    "no run row": (_set("tables", "run", to=[]), "and no other"),
    "rows of another run": (_set("tables", "lease", 0, "run_no", to=77), "rows of another run"),
    "rows of no run": (_set("tables", "order", 0, "run_no", to=None), "rows of another run"),
    "a status that is none": (_set("tables", "run", 0, "status", to="DANCING"), "do not fit together: CHECK"),
    "a changed entry": (_other_reply, "the hash chain breaks at entry"),
    "a changed hash": (_set("tables", "entry", -1, "hash", to="00" * 32), "the hash chain breaks at entry"),
    "an entry less": (_drop("tables", "entry", -4), "the hash chain breaks at entry"),
    "the last entry less": (_drop("tables", "entry", -1), "entries are missing"),
    "the same entry twice": (_copied, "two entries have the id"),
    "the same seq twice": (_again, "two entries have the seq 4"),
    "a changed value": (_value, "does not fit its name"),
    "a value less": (_drop("tables", "blob", 0), "is missing"),
    "another worker": (_set("tables", "worker", to=[]), "belongs to worker"),
    "money": (_money, "the charges sum up to"),
    "a counter": (_set("tables", "run", 0, "decisions", to=9), "the run counts 9 decisions"),
}


@pytest.fixture
def good(journal: Journal, tmp_path: Path) -> dict[str, Any]:
    return export(journal, told(journal), tmp_path / "good.tape")


def refused(tmp_path: Path, data: bytes, says: str) -> None:
    file = tmp_path / "bad.tape"
    file.write_bytes(data)
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(UsageError) as caught:
        import_file(file, None, tmp_path / "imported")
    said = str(caught.value)
    assert says in said, said
    assert len(said) < 600 and len(said.splitlines()) == 1
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize("name", SPOILT)
def test_a_spoilt_bundle_is_refused_in_one_line(tmp_path: Path, good: dict[str, Any], name: str) -> None:
    spoil, says = SPOILT[name]
    bundle = copy.deepcopy(good)
    spoil(bundle)
    refused(tmp_path, gzip.compress(json.dumps(bundle).encode()), says)


FILES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is no bundle"),
    "text": (b"hello, I am no bundle\n" * 100, "is no bundle"),
    "a database": (b"SQLite format 3\0" + b"\xff" * 4096, "is no bundle"),
    "a zip": (b"PK\x03\x04" + b"../../etc/passwd" * 9, "is no bundle"),
    "only a head": (b"\x1f\x8b", "is truncated"),
    "no gzip": (b"\x1f\x8b" + b"\xff" * 99, "is damaged"),
    "no JSON": (gzip.compress(b"hello"), "is not JSON"),
    "a list": (gzip.compress(b"[]"), "is no bundle"),
    "null": (gzip.compress(b"null"), "is no bundle"),
    "no UTF-8": (gzip.compress(b'{"format": "\xff"}'), "is not JSON"),
    "deep": (gzip.compress(b"[" * 100_000), "is not JSON"),
    "two": (gzip.compress(b'{"format":"tape-bundle"}') * 2, "goes on behind its end"),
    "trailing": (gzip.compress(b"{}") + b"more", "goes on behind its end"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_bundle_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    refused(tmp_path, *FILES[name])


def test_every_truncation_and_every_flipped_byte_is_refused_or_makes_no_difference(
    tmp_path: Path, good: dict[str, Any]
) -> None:
    data = (tmp_path / "good.tape").read_bytes()
    for at in range(0, len(data), max(1, len(data) // 60)):
        refused(tmp_path, data[:at], "")
        refused(tmp_path, data[:at] + bytes([data[at] ^ 0x40]) + data[at + 1 :], "") if at > 9 else None


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "LIMIT_BYTES", 1 << 20)
    refused(tmp_path, gzip.compress(b" " * (8 << 20)), "over 1 MiB unpacked")


@pytest.mark.parametrize("what", ["missing", "folder", "pipe"])
def test_what_is_no_file_is_refused(tmp_path: Path, what: str) -> None:
    path = tmp_path / what
    if what == "folder":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    with pytest.raises(UsageError, match="is no file"):
        import_file(path, None, tmp_path / "imported")
