"""Values by hash: each once per journal, whole for every reader, and the journal grows linearly with a conversation."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import sqlite3
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tape.core.journal import blobs, effects, records
from tape.core.journal.audit import audit
from tape.core.journal.audit_facts import Severity
from tape.core.journal.effects import Call, Ending
from tape.core.journal.entries import LaterEvent, decode_event
from tape.core.journal.records import Usage
from tape.core.journal.views import open_reader
from tape.core.journal.work import Work
from tape.core.kernel.errors import Refused
from tape.core.kernel.events import Decision, EffectBegun, EffectEnded, RunStarted
from tape.core.kernel.identity import canonical_json, hash_json, hash_text
from tape.core.kernel.lifecycle import EffectStatus
from tests.journal.book import BLIND, LOOK_UP, Book

LONG = "x" * 10_000


def message(number: int, size: int = 200) -> dict[str, Any]:
    return {"role": "user" if number % 2 else "assistant", "content": f"{number}: " + "word " * (size // 5)}


def decision(index: int, request: Any, reply: Any = "ok") -> Decision:
    return Decision(index=index, name="ask", fingerprint="f", request=request, reply=reply)


def ask(book: Book, run_id: str, epoch: int, index: int, request: Any, reply: Any = "ok") -> Decision:
    told = decision(index, request, reply)
    book.do(records.record_decision, run_id, epoch, told, Usage())
    return told


def stored(book: Book) -> dict[str, str]:
    return {row[0]: row[1] for row in book.writer.connection.execute("SELECT hash, body FROM blob")}


def bodies(book: Book, kind: str) -> list[str]:
    found = book.writer.connection.execute("SELECT body FROM entry WHERE kind = ? ORDER BY id", (kind,))
    return [row[0] for row in found]


def findings(book: Book, *, notes: bool = False) -> list[str]:
    with open_reader(book.path) as reader:
        return [one.what for one in audit(reader).findings if notes or one.severity is Severity.ERROR]


REQUESTS = {
    "messages": {"args": [[message(0), message(1)]], "kwargs": {}},
    "deeper": {"args": [{"history": [message(0), "short", message(1)], "n": 1}], "kwargs": {"tools": [message(5)]}},
    "texts": {"args": ["y" * 300, ["a" * 70, "b"]], "kwargs": {"system": "z" * 5_000}},
    "numbers": {"args": [[0.5] * 4_000, list(range(3_000))], "kwargs": {"1e16": 1e16, "ü": "😀" * 100}},
    "twice": {"args": [[message(0)], [message(0)], [message(0), message(1)]], "kwargs": {}},
    "odd": {"args": [[], [[]], {}, None, [{}], [""]], "kwargs": {"refs": [1], "preview": 2, "+": "+" * 300}},
    "list": [message(0), message(1)],
    "text": "q" * 400,
    "none": None,
    "small": {"args": ["pay invoice 7"], "kwargs": {}},
}


def node(before: str | None, *items: Any) -> str:
    return "+" + blobs.exact_text({"before": before, "items": list(items)})


@pytest.mark.parametrize(
    "texts",
    [
        {"a": node("a")},
        {"a": node("b", ["x"]), "b": node("c"), "c": node("b")},
        {"a": node(None, "a")},
        {"a": node(None, "b"), "b": node(None, "a")},
        {"a": node(None, "b", "b"), "b": node(None, "c", "c"), "c": node(None, ["x"])},
        {"a": node(None, "b"), "b": "[1]"},
    ],
)
def test_a_list_that_goes_round_or_holds_a_list_is_lost(texts: dict[str, str]) -> None:
    """Whoever reads a damaged journal gets an end to it."""
    values = blobs.Values(texts.get)
    for name in reversed(texts):  # the inner ones may be known by then
        with contextlib.suppress(blobs.LostValue):
            values.value(name)
    with pytest.raises(blobs.LostValue):
        values.value("a")


@pytest.mark.parametrize("name", REQUESTS)
def test_every_reader_gets_a_request_whole(book: Book, name: str) -> None:
    run_id, epoch = book.driven()
    told = ask(book, run_id, epoch, 0, REQUESTS[name], reply={"text": LONG})
    with open_reader(book.path) as reader:
        assert [entry.event for entry in reader.tape(run_id) if isinstance(entry.event, Decision)] == [told]
        assert told in [entry.event for entry in reader.entries()]
        assert told in [entry.event for entry in reader.entries(after=1, run_id=run_id)]
        assert reader.dump(run_id).decisions[0].request == told.request
    assert book.do(lambda tx: tx.event(kind="decision")) == told
    assert findings(book) == []


def test_what_is_short_stands_in_the_entry_as_ever(book: Book) -> None:
    run_id, epoch = book.driven()
    ask(book, run_id, epoch, 0, REQUESTS["small"])
    assert stored(book) == {}
    assert set(book_fields(bodies(book, "decision")[0])) == {field.name for field in dataclasses.fields(Decision)}


def book_fields(body: str) -> dict[str, Any]:
    return json.loads(body)


def test_an_objects_keys_stay_in_their_order(book: Book) -> None:
    """An agent's code may go by it: on replay it gets what it got."""
    run_id, epoch = book.driven()
    reply = {"zeta": LONG, "alpha": [{"role": "user", "content": "word " * 30}]}
    told = Decision(
        index=0, name="ask", fingerprint="f", request={"args": [[reply["alpha"]]], "kwargs": {}}, reply=reply
    )
    book.do(records.record_decision, run_id, epoch, told, Usage())
    again = book.do(records.drive_of, run_id)["records"][1][2]
    assert list(again["reply"]) == ["zeta", "alpha"]
    assert list(again["reply"]["alpha"][0]) == ["role", "content"]


def test_a_message_is_stored_once_per_journal(book: Book) -> None:
    first, second = book.driven(), book.driven()
    history = [message(number) for number in range(6)]
    ask(book, *first, 0, {"args": [history], "kwargs": {}})
    before = stored(book)
    ask(book, *second, 0, {"args": [history], "kwargs": {}})
    assert stored(book) == before
    for each in history:
        assert before[hash_text(blobs.exact_text(each))] == blobs.exact_text(each)
    assert len(before) == len(history) + 1
    assert not any("word" in body.split('"preview"')[0] for body in bodies(book, "decision"))


def test_long_values_of_every_record_are_stored_by_hash(book: Book) -> None:
    run_id, epoch = book.driven({"letter": LONG})
    args = {"to": "a", "text": LONG}
    book.do(effects.begin_effect, run_id, epoch, Call(None, 0, "tool", args, BLIND), "f")
    key = f"{run_id}/-/0/tool"
    book.end(run_id, epoch, key, ending=Ending(EffectStatus.CONFIRMED, result=[LONG]))
    assert set(stored(book).values()) == {canonical_json(value) for value in ({"letter": LONG}, LONG, [LONG])}
    for kind in ("run_started", "effect_begun", "effect_ended"):
        assert len(bodies(book, kind)[0]) < 1_000
    drive = book.do(records.drive_of, run_id)
    assert drive["input"] == {"letter": LONG}
    kinds = {kind: body for _, kind, body in drive["records"]}
    assert kinds["effect_begun"]["args"] == args
    assert kinds["effect_ended"]["result"] == [LONG]
    with open_reader(book.path) as reader:
        told = {type(entry.event): entry.event for entry in reader.tape(run_id)}
    assert (told[RunStarted].input, told[EffectBegun].args) == ({"letter": LONG}, args)  # type: ignore[attr-defined]
    assert told[EffectEnded].result == [LONG]  # type: ignore[attr-defined]
    assert findings(book) == []


def test_reactors_and_lists_get_long_arguments_whole(book: Book) -> None:
    args = {"text": LONG}
    looked, asked = book.driven(), book.driven()
    for (run_id, epoch), policy in ((looked, LOOK_UP), (asked, BLIND)):
        book.do(effects.begin_effect, run_id, epoch, Call(None, 0, "tool", args, policy), "f")
        book.die(run_id)
    book.clock.advance(3600)
    work = Work(book.path)
    try:
        assert [due.effect["args"] for due in work.look_ups(book.clock.boot_us())] == [args]
    finally:
        work.close()
    with open_reader(book.path) as reader:
        assert [need.args for need in reader.needs()] == [args]


def test_a_drive_gets_a_preview_of_long_requests(book: Book) -> None:
    run_id, epoch = book.driven()
    history = [message(number) for number in range(40)]
    ask(book, run_id, epoch, 0, {"args": [history], "kwargs": {}})
    ask(book, run_id, epoch, 1, REQUESTS["small"])
    first, second = (body for _, kind, body in book.do(records.drive_of, run_id)["records"] if kind == "decision")
    assert first["request"] is None
    assert first["preview"].startswith("args=[[… 39 more, {'role': 'user', 'content': '39: word")
    assert len(first["preview"]) <= 120
    assert second["request"] == REQUESTS["small"]
    assert "preview" not in second


def test_two_hundred_turns_cost_what_each_of_them_adds(book: Book) -> None:
    """The figure of quality.md: linear in the turns, at most 400 bytes per record above its payload."""
    run_id, epoch = book.driven()
    history: list[Any] = []
    payload = 0
    sizes = [_bytes(book)]
    first_page = _pages_bytes(book)
    for turn in range(200):
        history.append(message(2 * turn))
        ask(book, run_id, epoch, turn, {"args": ["m-1", history], "kwargs": {"limit": 5}}, reply="answer")
        history.append(message(2 * turn + 1))
        payload += sum(len(canonical_json(added)) for added in history[-2:])
        sizes.append(_bytes(book))
    per_turn = [(sizes[end] - sizes[end - 50]) / 50 for end in (100, 150, 200)]
    assert max(per_turn) <= 1.1 * min(per_turn)
    assert book.run(run_id)["seq"] == 401
    assert (sizes[-1] - sizes[0] - payload) / 400 <= 400
    assert (_pages_bytes(book) - first_page - payload) / 400 <= 520  # pages are filled by two thirds
    with open_reader(book.path) as reader:
        asked = reader.dump(run_id).decisions[-1].request
    assert asked["args"][1] == history[:-1]


def _pages_bytes(book: Book) -> int:
    pages, page = (book.writer.connection.execute(f"PRAGMA page_{what}").fetchone()[0] for what in ("count", "size"))
    return pages * page


def _bytes(book: Book) -> int:
    text = "SELECT (SELECT sum(length(body) + length(hash)) FROM entry) + (SELECT total(length(body) + 32) FROM blob)"
    return int(book.writer.connection.execute(text).fetchone()[0])


def test_a_history_that_was_cut_or_changed_shares_its_messages(book: Book) -> None:
    run_id, epoch = book.driven()
    history = [message(number) for number in range(30)]
    ask(book, run_id, epoch, 0, {"args": [history], "kwargs": {}})
    ask(book, run_id, epoch, 1, {"args": [history[5:]], "kwargs": {}})
    ask(book, run_id, epoch, 2, {"args": [history[:10]], "kwargs": {}})
    ask(book, run_id, epoch, 3, {"args": [[*history[:29], message(99)]], "kwargs": {}})
    assert len([body for body in stored(book).values() if not body.startswith("+")]) == 31
    with open_reader(book.path) as reader:
        asked = [one.request["args"][0] for one in reader.dump(run_id).decisions]
    assert asked == [history, history[5:], history[:10], [*history[:29], message(99)]]
    assert findings(book) == []


def test_a_refused_verb_leaves_no_value(book: Book) -> None:
    run_id, epoch = book.driven()
    book.refused(records.record_decision, run_id, epoch, decision(5, REQUESTS["messages"]), Usage())
    told = decision(0, REQUESTS["messages"])

    def refuse_late(tx: Any) -> None:
        records.record_decision(tx, run_id, epoch, told, Usage())
        raise Refused("late")

    outcomes = book.writer.commit([refuse_late, lambda tx: tx.wall_us, refuse_late])
    assert [outcome.error is None for outcome in outcomes] == [False, True, False]
    assert stored(book) == {}


def test_a_kill_between_two_statements_leaves_record_and_values_together(tmp_path: Path) -> None:
    """SIGKILL in the middle of the verb, in a process of its own: neither half is there."""
    path = tmp_path / "tape" / "dev.db"
    book = Book(path)
    run_id, epoch = book.driven()
    ask(book, run_id, epoch, 0, {"args": [[message(0)]], "kwargs": {}})
    before = book.dump()
    book.close()
    for at in range(1, 8):
        if (pid := os.fork()) == 0:
            _write_and_die(path, run_id, epoch, at)
        _, how = os.waitpid(pid, 0)
        assert os.WTERMSIG(how) == signal.SIGKILL
        book = Book(path)
        assert book.dump() == before, f"killed at statement {at}"
        assert findings(book) == []
        book.close()


def _write_and_die(path: Path, run_id: str, epoch: int, at: int) -> None:
    left = [at]

    def count(statement: str) -> None:
        if statement.startswith("INSERT INTO"):
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)

    book = Book(path)
    book.writer.connection.set_trace_callback(count)
    history = [message(number) for number in range(3)]
    told = [decision(index, {"args": [history], "kwargs": {"n": index}}) for index in (1, 2)]
    book.writer.commit([partial(_record, run_id=run_id, epoch=epoch, told=one) for one in told])
    os.kill(os.getpid(), signal.SIGTERM)


def _record(tx: Any, *, run_id: str, epoch: int, told: Decision) -> None:
    records.record_decision(tx, run_id, epoch, told, Usage())


# --- damage -------------------------------------------------------------------------------------------------------


def _damaged(book: Book) -> tuple[str, sqlite3.Connection]:
    run_id, epoch = book.driven()
    ask(book, run_id, epoch, 0, {"args": [[message(0), message(1)]], "kwargs": {}}, reply=LONG)
    return run_id, book.writer.connection


@pytest.mark.parametrize("whose", ["message", "list", "reply"])
@pytest.mark.parametrize("how", ["gone", "changed", "no JSON"])
def test_an_audit_names_a_value_that_is_gone_or_changed(book: Book, whose: str, how: str) -> None:
    run_id, connection = _damaged(book)
    [name] = {
        "message": [hash_text(blobs.exact_text(message(0)))],
        "list": [name for name, body in stored(book).items() if body.startswith("+")],
        "reply": [hash_json(LONG)],
    }[whose]
    text = stored(book)[name]
    changed = {"changed": text.replace(text[-4:], text[-4:].swapcase() + " "), "no JSON": "+{" + text}
    if how == "gone":
        connection.execute("DELETE FROM blob WHERE hash = ?", (name,))
    else:
        connection.execute("UPDATE blob SET body = ? WHERE hash = ?", (changed[how], name))
    said = findings(book)
    word = "missing" if how == "gone" else "does not fit its name"
    assert any(name in one and word in one for one in said), said
    with open_reader(book.path) as reader:  # readers show what they can, and never fail
        assert not isinstance(reader.tape(run_id)[1].event, LaterEvent) or how != "gone"
        assert len(reader.dump(run_id).entries) == len(reader.entries(run_id=run_id))
    if whose == "reply" and how != "changed":  # but no agent goes on from a reply that is lost
        book.refused(records.drive_of, run_id, by=blobs.LostValue)
    connection.execute("DELETE FROM entry")
    connection.execute("DELETE FROM run")


def test_values_that_nobody_refers_to_are_a_note(book: Book) -> None:
    _damaged(book)
    book.writer.connection.execute("INSERT INTO blob VALUES (?, ?)", (hash_json("left"), '"left"'))
    assert findings(book) == []
    assert [what for what in findings(book, notes=True) if "nobody refers to: 1" in what]


@pytest.mark.parametrize(
    "refs", ["7", '[["request"]]', '[[["request","args",9],"a"]]', '[[[],"a"]]', '[[["index",0],"a"]]', '[["x",[]]]']
)
def test_references_that_make_no_sense_are_shown_raw(refs: str) -> None:
    body = f'{{"index":0,"name":"ask","fingerprint":"f","request":{{"args":[null]}},"refs":{refs}}}'
    event = decode_event("decision", body, blobs.Values(lambda name: '"v"'))
    assert isinstance(event, LaterEvent)
    assert event.body["refs"] is not None
