"""Hidden arguments in the journal: recorded as they come, part of what the key means, handed on to hooks."""

from __future__ import annotations

import gzip
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tape.core.bundles import export_run, import_file
from tape.core.journal import effects
from tape.core.journal.audit import audit
from tape.core.journal.audit_facts import Severity
from tape.core.journal.effects import Call
from tape.core.journal.views import open_reader
from tape.core.journal.work import Work
from tape.core.kernel import identity
from tape.core.kernel.errors import KeyConflict
from tape.core.kernel.resolution import Answer
from tests.journal.book import LOOK_UP, OUTBOX, Book

HIDDEN = {"/card": {"redacted": "0f" * 16}, "/token": {"secret": "BANK_TOKEN"}}
CALL = Call(None, 0, "pay", {"card": None, "token": None, "cents": 7}, LOOK_UP, hidden=HIDDEN)


def test_what_is_hidden_stands_beside_the_arguments(book: Book) -> None:
    run_id, epoch = book.driven()
    book.do(effects.begin_effect, run_id, epoch, CALL, "f")
    begun = book.bodies("effect_begun")[0]
    assert (begun["args"], begun["hidden"]) == (CALL.args, HIDDEN)
    with open_reader(book.path) as reader:
        (effect,) = reader.dump(run_id).effects
        assert (effect.args, effect.hidden) == (CALL.args, HIDDEN)
        assert not [finding for finding in audit(reader).findings if "hashed" in str(finding)]


def test_another_value_is_another_call(book: Book) -> None:
    run_id, epoch = book.driven()
    book.do(effects.begin_effect, run_id, epoch, CALL, "f")
    other = replace(CALL, hidden={**HIDDEN, "/card": {"redacted": "0e" * 16}})
    book.refused(effects.begin_effect, run_id, epoch, other, "f", by=KeyConflict, says="never means another call")
    book.refused(effects.begin_effect, run_id, epoch, replace(CALL, hidden=None), "f", by=KeyConflict)
    book.refused(effects.begin_effect, run_id, epoch, CALL, "f", says="has begun already")


def test_hooks_are_told_what_is_hidden(book: Book) -> None:
    run_id, epoch = book.driven()
    book.do(effects.begin_effect, run_id, epoch, CALL, "f")
    outbox = replace(CALL, ordinal=1, policy=OUTBOX, hidden={"/token": {"secret": "BANK_TOKEN"}})
    book.do(effects.begin_effect, run_id, epoch, outbox, "f")
    book.die(run_id)
    work = Work(book.path)
    try:
        (look_up,) = work.look_ups(book.clock.boot_us())
        (dispatch,) = work.dispatches(book.clock.boot_us())
    finally:
        work.close()
    assert (look_up.effect["args"], look_up.effect["hidden"]) == (CALL.args, HIDDEN)
    assert dispatch.effect["hidden"] == {"/token": {"secret": "BANK_TOKEN"}}


def test_damage_to_what_is_hidden_is_found(book: Book) -> None:
    run_id, epoch = book.driven()
    book.do(effects.begin_effect, run_id, epoch, CALL, "f")
    damaged = book.path.with_name("damaged.db")
    book.row("VACUUM INTO ?", str(damaged))
    with closing(sqlite3.connect(damaged)) as journal:
        values = (identity.hash_args(CALL.args, {**HIDDEN, "/card": {"redacted": "0e" * 16}}),)
        assert journal.execute("UPDATE effect SET args_hash = ?", values).rowcount == 1
        journal.commit()
    with open_reader(damaged) as reader:
        assert [finding for finding in audit(reader).findings if "not those that were hashed" in str(finding)]


LONG = replace(CALL, args={**CALL.args, "text": "word " * 3_000, "token": None})


def test_a_long_value_beside_a_hidden_one_is_stored_by_its_hash(book: Book) -> None:
    run_id, epoch = book.driven()
    key = book.do(effects.begin_effect, run_id, epoch, LONG, "f") and book.bodies("effect_begun")[0]["key"]
    stored = book.bodies("effect_begun")[0]
    assert stored["args"]["text"] is None and len(stored["refs"]) == 1 and stored["hidden"] == HIDDEN
    with open_reader(book.path) as reader:
        (effect,) = reader.dump(run_id).effects
        assert (effect.args, effect.hidden) == (LONG.args, HIDDEN)
        assert not [finding for finding in audit(reader).findings if finding.severity is Severity.ERROR]
    book.die(run_id)
    work = Work(book.path)
    try:
        (look_up,) = work.look_ups(book.clock.boot_us())
    finally:
        work.close()
    assert (look_up.effect["args"], look_up.effect["hidden"]) == (LONG.args, HIDDEN)
    book.observe(run_id, key, Answer.DUPLICATE)
    with open_reader(book.path) as reader:
        (need,) = reader.needs(10)
    assert need.args == {**LONG.args, "card": "‹redacted 0f0f0f0f›", "token": "‹secret BANK_TOKEN›"}


@pytest.mark.parametrize("call", [CALL, LONG], ids=["short", "long"])
@pytest.mark.parametrize("hashed", [False, True], ids=["whole", "hashed"])
def test_a_bundle_holds_what_the_journal_does_or_none_of_it(
    book: Book, tmp_path: Path, call: Call, hashed: bool
) -> None:
    run_id, epoch = book.driven()
    book.do(effects.begin_effect, run_id, epoch, call, "f")
    file = tmp_path / "a.tape"
    export_run(book.path, run_id, file, redact=True, redact_values=hashed)
    path = import_file(file, None, tmp_path / "imported").file
    with open_reader(path) as reader:
        assert not [finding for finding in audit(reader).findings if finding.severity is Severity.ERROR]
        (effect,) = reader.dump(run_id).effects
    if hashed:
        assert effect.args == {"redacted": "object", "hash": identity.hash_args(call.args, HIDDEN)}
        assert effect.hidden is None
        assert not any(word in gzip.decompress(file.read_bytes()) for word in (b"BANK_TOKEN", b"0f0f0f0f", b"/card"))
    else:
        assert (effect.args, effect.hidden) == (call.args, HIDDEN)
