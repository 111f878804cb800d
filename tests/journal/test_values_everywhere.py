"""Values by hash and hidden arguments beside forks, gates, caps and child runs: what reads an entry reads its values,
what shows a call shows no hidden one, and a run that goes out and comes in holds together without its family."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tape.core.bundles import export_run, import_file
from tape.core.journal import children, effects, forks, gates, quarantine, records, runs
from tape.core.journal.audit import audit
from tape.core.journal.effects import Call
from tape.core.journal.records import Usage
from tape.core.journal.views import open_reader
from tape.core.kernel.errors import UsageError
from tape.core.kernel.events import Decision
from tape.core.kernel.identity import hash_args
from tape.core.kernel.resolution import Answer
from tests.journal.book import CONFIRMED, IDEMPOTENT, LOOK_UP, OUTBOX, Book
from tests.journal.test_forks import bodies as packed_bodies

LONG = "x" * 9_000
HIDDEN = {"/card": {"redacted": "0f" * 16}, "/token": {"secret": "BANK_TOKEN"}}
ARGS = {"card": None, "token": None, "note": LONG}


def messages(turn: int) -> list[Any]:
    return [{"role": "user", "content": f"{number}: " + "word " * 40} for number in range(turn)]


def talk(book: Book, run_id: str, epoch: int, turns: int = 4) -> None:
    for turn in range(turns):
        request = {"args": [messages(turn + 1)], "kwargs": {}}
        told = Decision(index=turn, name="ask", fingerprint=f"f{turn}", request=request, reply={"text": LONG})
        book.do(records.record_decision, run_id, epoch, told, Usage(1, 2, 3))


def values(book: Book) -> int:
    return book.row("SELECT count(*) FROM blob")[0]


def wrong(path: Path) -> list[str]:
    with open_reader(path) as reader:
        return [finding.what for finding in audit(reader).findings if finding.severity == "error"]


def test_a_fork_stores_no_value_again(book: Book) -> None:
    source, epoch = book.driven({"long": LONG})
    talk(book, source, epoch)
    book.do(effects.begin_effect, source, epoch, Call(3, 0, "tool", ARGS, IDEMPOTENT, hidden=HIDDEN), "f")
    book.end(source, epoch, f"{source}/3/0/tool")
    before = values(book)
    made = book.do(forks.fork_run, source, 11)
    assert values(book) == before > 6
    mine, theirs = (book.do(records.drive_of, run) for run in (made.run, source))
    assert mine["input"] == theirs["input"] == {"long": LONG}
    assert json.dumps(mine["records"][1:]).replace(made.run, source) == json.dumps(theirs["records"][1:])
    with open_reader(book.path) as reader:
        told, asked = (reader.dump(run).decisions for run in (made.run, source))
        (effect,) = reader.dump(made.run).effects
    assert [one.request for one in told] == [one.request for one in asked]
    assert (effect.args, effect.hidden, effect.inherited) == (ARGS, HIDDEN, True)
    assert wrong(book.path) == []
    assert packed_bodies(book, made.run)[-1].result == packed_bodies(book, source)[-1].result


def test_a_call_in_quarantine_gets_a_long_result_of_the_source(book: Book) -> None:
    source, epoch = book.driven()
    key = book.begin(source, epoch, IDEMPOTENT, 0, {"to": "ACME"})
    book.do(effects.end_effect, source, epoch, key, 1, effects.Ending(CONFIRMED.status, result=[LONG]), None)
    made = book.do(forks.fork_run, source, 1)
    own = book.grant(made.run)
    call = Call(None, 0, "tool", {"to": "ACME"}, IDEMPOTENT)
    book.do(effects.begin_effect, made.run, own, call, "f", quarantined=True)
    _, ending = book.do(quarantine.end_in_quarantine, made.run, own, f"{made.run}/-/0/tool", "made")
    assert ending.result == [LONG]


def test_a_child_hears_its_long_input_and_its_parent_the_long_result(book: Book) -> None:
    parent, epoch = book.driven({"long": LONG})
    _, child = book.do(children.start_child, parent, epoch, 0, "agent", {"part": LONG}, "f")
    mine = book.grant(child)
    drive = book.do(records.drive_of, child)
    assert drive["input"] == {"part": LONG}
    assert len(drive["lineage"]) == 2 and drive["lineage"][1] == book.do(records.drive_of, parent)["lineage"][0]
    book.do(runs.end_run, child, mine, "TERMINAL", [LONG], None)
    ended = book.do(records.drive_of, parent)["records"][-1]
    assert (ended[1], ended[2]["result"]) == ("child_ended", [LONG])
    assert wrong(book.path) == []


def bound(hidden: Any = HIDDEN) -> dict[str, Any]:
    return {"tool": "tool", "args": ARGS, "args_hash": hash_args(ARGS, hidden), "hidden": hidden}


def gated(book: Book) -> tuple[str, int]:
    run_id, epoch = book.driven()
    asked = gates.Gate("go", 0, "pay?", ("yes", "no"), "f", approves=bound())
    book.do(gates.open_gate, run_id, epoch, asked)
    return run_id, epoch


def test_an_approval_is_for_exactly_the_hidden_values_that_it_was_given_for(book: Book) -> None:
    run_id, epoch = gated(book)
    book.do(gates.answer_gate, run_id, gates.Answer("go", "yes"))
    other = {**HIDDEN, "/card": {"redacted": "0e" * 16}}
    for hidden in (other, None):
        call = Call(None, 0, "tool", ARGS, LOOK_UP, approval="go 0", hidden=hidden)
        book.refused(effects.begin_effect, run_id, epoch, call, "f", by=UsageError, says="bound to another call")
    call = Call(None, 0, "tool", ARGS, LOOK_UP, approval="go 0", hidden=HIDDEN)
    book.do(effects.begin_effect, run_id, epoch, call, "f")
    assert wrong(book.path) == []


def test_a_gate_shows_labels_for_what_is_hidden(book: Book) -> None:
    gated(book)
    with open_reader(book.path) as reader:
        (need,) = reader.needs()
    assert need.args == {"card": "‹redacted 0f0f0f0f›", "token": "‹secret BANK_TOKEN›", "note": LONG}
    assert need.args_hash == hash_args(ARGS, HIDDEN)


def test_a_gates_long_call_is_stored_once_and_answered_anew_in_a_fork(book: Book) -> None:
    source, _ = gated(book)
    before = values(book)
    made = book.do(forks.fork_run, source, 2)
    assert values(book) == before
    own = book.grant(made.run)
    book.do(gates.answer_gate, made.run, gates.Answer("go", "yes"))
    call = Call(None, 0, "tool", ARGS, IDEMPOTENT, approval="go 0", hidden=HIDDEN)
    book.do(effects.begin_effect, made.run, own, call, "f", quarantined=True)
    book.do(quarantine.end_in_quarantine, made.run, own, f"{made.run}/-/0/tool", "made")
    book.do(runs.end_run, made.run, own, "TERMINAL", None, None)
    assert wrong(book.path) == []


# --- out and in -----------------------------------------------------------------------------------------------------


def family(book: Book) -> str:
    """Capped, with two children that drew from it, one of which is open when it fails."""
    run_id = book.start(caps={"tokens": 500, "usd_micro": 900, "calls:tool": 3})
    epoch = book.grant(run_id)
    assert book.ask(run_id, epoch, tokens=40)
    book.decide(run_id, epoch, usage=Usage(1, 2, 3))
    for outcome in ("TERMINAL", None):
        child = book.child(run_id)
        mine = book.grant(child)
        book.do(effects.begin_effect, child, mine, Call(None, 0, "tool", {}, IDEMPOTENT, cost_micro=200), "f")
        book.end(child, mine, f"{child}/-/0/tool")
        if outcome:
            book.do(runs.end_run, child, mine, outcome, "ok", None)
    book.do(runs.end_run, run_id, epoch, "FAILED", None, {"type": "Boom", "message": "no"})
    return run_id


def a_child(book: Book) -> str:
    return book.row("SELECT id FROM run WHERE parent_no = (SELECT no FROM run WHERE id = ?)", family(book))["id"]


def approved(book: Book) -> str:
    run_id, epoch = gated(book)
    book.do(gates.answer_gate, run_id, gates.Answer("go", "yes", actor="ada@here"))
    call = Call(None, 0, "tool", ARGS, LOOK_UP, approval="go 0", hidden=HIDDEN)
    book.do(effects.begin_effect, run_id, epoch, call, "f")
    book.die(run_id)
    book.observe(run_id, f"{run_id}/-/0/tool", Answer.PRESENT, [1])
    return run_id


def left(book: Book) -> str:
    run_id = book.start(caps={"usd_micro": 900})
    epoch = book.grant(run_id)
    call = Call(None, 0, "tool", {}, OUTBOX, cost_micro=500, awaited=False)
    book.do(effects.begin_effect, run_id, epoch, call, "f")
    book.do(runs.end_run, run_id, epoch, "TERMINAL", None, None)
    return run_id


def forked(book: Book) -> str:
    source, epoch = book.driven({"long": LONG})
    talk(book, source, epoch)
    child = book.child(source)
    book.do(runs.end_run, child, book.grant(child), "TERMINAL", "ok", None)
    made = book.do(forks.fork_run, source, 11)
    own = book.grant(made.run)
    book.child(made.run)
    book.do(runs.park, made.run, own, ["child 1"], "waiting")
    return made.run


@pytest.mark.parametrize("redact_values", [False, True])
@pytest.mark.parametrize("story", [family, a_child, approved, left, forked])
def test_a_run_holds_together_without_its_family(
    book: Book, tmp_path: Path, story: Callable[[Book], str], redact_values: bool
) -> None:
    run_id = story(book)
    assert wrong(book.path) == []
    export_run(book.path, run_id, tmp_path / "a.tape", redact=True, redact_values=redact_values)
    text = gzip.decompress((tmp_path / "a.tape").read_bytes()).decode()
    assert "ada@here" not in text and (LONG in text) is (not redact_values and story in (approved, forked))
    path = import_file(tmp_path / "a.tape", None, tmp_path / "imported").file
    assert wrong(path) == []
    with open_reader(path) as inside, open_reader(book.path) as outside:
        copy, original = inside.dump(run_id), outside.dump(run_id)
    assert [(gate.status, gate.used_by) for gate in copy.gates] == [(one.status, one.used_by) for one in original.gates]
    assert [entry.event.kind for entry in copy.entries] == [entry.event.kind for entry in original.entries]
