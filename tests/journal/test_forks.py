"""Forks in the journal: what a copy holds, what it leaves out, what is refused, and that nothing in it acts."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tape.core.journal import children, claims, effects, forks, gates, persons, prefix, quarantine, records, runs
from tape.core.journal.audit import audit
from tape.core.journal.effects import Call
from tape.core.journal.records import Usage
from tape.core.journal.tables import EffectRow
from tape.core.journal.transaction import Tx, edit_run
from tape.core.journal.views import open_reader
from tape.core.kernel.errors import NotFound, Refused, UsageError
from tape.core.kernel.events import (
    ChildEnded,
    EffectBegun,
    EffectEnded,
    Entry,
    GateAnswered,
    RunStarted,
    from_json,
)
from tape.core.kernel.identity import hash_json
from tape.core.kernel.policy import SECOND_US
from tests.journal.book import BLIND, BOOM, CONFIRMED, IDEMPOTENT, OUTBOX, UNDOABLE, Book

PAID = Usage(tokens_in=10, tokens_out=5, usd_micro=700)


def story(book: Book) -> tuple[str, int]:
    """1 started, 2-3 decision, 4-5 effect, 6 sample, 7-8 decision, 9-10 effect that can be undone; still driven."""
    run_id, epoch = book.driven({"invoice": 7})
    book.decide(run_id, epoch, 0, PAID)
    key = book.begin(run_id, epoch, IDEMPOTENT, 0, {"to": "ACME"})
    book.end(run_id, epoch, key)
    book.sample(run_id, epoch)
    book.decide(run_id, epoch, 1, PAID)
    book.end(run_id, epoch, book.begin(run_id, epoch, UNDOABLE, 1, {"to": "ACME"}))
    return run_id, epoch


def fork(book: Book, run_id: str, at: int, **named: Any) -> forks.Forked:
    return book.do(forks.fork_run, run_id, at, **named)


def bodies(book: Book, run_id: str) -> list[Any]:
    sql = "SELECT entry.* FROM entry JOIN run ON run.no = run_no WHERE run.id = ? AND entry.seq > 0 ORDER BY entry.seq"
    return [from_json(row["kind"], json.loads(row["body"])) for row in book.rows(sql, run_id)]


def quarantined(
    book: Book, run_id: str, epoch: int, ordinal: int, args: Any = None, made: Any = "made", **named: Any
) -> str:
    call = Call(named.get("index"), ordinal, named.get("tool", "tool"), args, named.get("policy", BLIND))

    def begin(tx: Tx) -> str:
        effects.begin_effect(tx, run_id, epoch, call, "f", quarantined=True)
        index = "-" if call.decision_index is None else call.decision_index
        key = f"{run_id}/{index}/{ordinal}/{call.tool}"
        quarantine.end_in_quarantine(tx, run_id, epoch, key, made)
        return key

    return book.writer.apply(begin)


def sound(book: Book) -> None:
    """What `tape doctor` says of the journal."""
    with open_reader(book.path) as reader:
        assert [finding for finding in audit(reader).findings if finding.severity == "error"] == []


def test_a_fork_is_a_copy_of_a_prefix(book: Book) -> None:
    source, _ = story(book)
    made = fork(book, source, 6, actor="me", caps={"tokens": 99})
    assert (made.source, made.seq, made.note) == (source, 6, "")
    row = book.run(made.run)
    assert (row["status"], row["seq"], row["decisions"], row["effects"]) == ("RUNNABLE", 6, 1, 1)
    assert (row["source_id"], row["source_seq"], row["quarantine"], row["epoch"]) == (source, 6, 1, 0)
    assert book.tape(made.run) == book.tape(source)[:6]
    mine, theirs = bodies(book, made.run), bodies(book, source)
    assert mine[0] == RunStarted(agent="agent", input={"invoice": 7}, actor="me", source=source, source_seq=6)
    renamed = [str(event).replace(source, made.run) for event in theirs[1:6]]
    assert [str(event) for event in mine[1:]] == renamed
    assert len({row["hash"] for row in book.rows("SELECT hash FROM entry")}) == len(book.rows("SELECT id FROM entry"))
    sound(book)


def test_spending_starts_at_nothing(book: Book) -> None:
    source, _ = story(book)
    made = fork(book, source, 6, caps={"tokens": 99})
    sql = "SELECT unit, cap, spent FROM budget JOIN run ON run.no = run_no WHERE run.id = ? ORDER BY unit"
    assert [tuple(row) for row in book.rows(sql, made.run)] == [("tokens", 99, 0), ("usd_micro", None, 0)]
    epoch = book.grant(made.run)
    book.decide(made.run, epoch, 1, PAID)
    assert [row["spent"] for row in book.rows(sql, made.run)] == [15, 700]
    sound(book)


def test_what_the_source_did_is_history_and_owes_nothing(book: Book) -> None:
    source, _ = story(book)
    made = fork(book, source, 10)
    copied = [dict(row) for row in book.rows("SELECT * FROM effect WHERE key LIKE ?", f"{made.run}/%")]
    assert [row["key"] for row in copied] == [f"{made.run}/-/{number}/tool" for number in (0, 1)]
    assert {(row["status"], row["inherited"], row["attempts"], row["claim_by"]) for row in copied} == {
        ("CONFIRMED", 1, 0, "")
    }
    assert not book.rows("SELECT * FROM obligation WHERE key LIKE ?", f"{made.run}/%")
    epoch = book.grant(made.run)
    book.do(runs.end_run, made.run, epoch, "FAILED", None, {"type": "E", "message": "no"})
    assert book.status(made.run) == "FAILED", "a fork that fails undoes nothing"
    sound(book)


def test_inherited_and_quarantined_effects_are_nobody_s_acts(book: Book) -> None:
    source, _ = story(book)
    made = fork(book, source, 6)
    key = quarantined(book, made.run, book.grant(made.run), 1)
    with open_reader(book.path) as reader:
        assert [facts.status for facts in reader.key_facts([f"{made.run}/-/0/tool", key])] == ["", ""]
        assert {facts.key for facts in reader.tool_facts(["tool"], 0, 9)} == {f"{source}/-/{n}/tool" for n in (0, 1)}


def test_a_decision_and_its_charge_are_never_split(book: Book) -> None:
    source, _ = story(book)
    made = fork(book, source, 7)
    assert (made.seq, made.note) == (8, "seq 7 and its charge, seq 8, stay together")
    assert book.tape(made.run)[-2:] == ["decision", "charge"]
    sound(book)


def test_another_input(book: Book) -> None:
    source, _ = story(book)
    made = fork(book, source, 1, input={"invoice": 8})
    assert [event.input for event in bodies(book, made.run)] == [{"invoice": 8}]
    none = fork(book, source, 1, input=None)
    assert [event.input for event in bodies(book, none.run)] == [None]


@pytest.mark.parametrize("at", [0, -1, 11, 10**12])
def test_a_seq_that_the_tape_does_not_hold(book: Book, at: int) -> None:
    source, _ = story(book)
    error = book.refused(forks.fork_run, source, at, by=UsageError, says="its tape holds seq 1 to 10")
    assert str(at) in str(error)


def test_a_run_that_does_not_exist(book: Book) -> None:
    book.refused(forks.fork_run, "r-none", 1, by=NotFound, says="no run r-none")
    book.refused(forks.promote_fork, "r-none", by=NotFound, says="no run r-none")


def test_the_end_of_a_run_is_not_taken_over(book: Book) -> None:
    source, epoch = story(book)
    book.do(runs.end_run, source, epoch, "TERMINAL", "done", None)
    made = fork(book, source, 11)
    assert (made.seq, book.tape(made.run)[-1], book.status(made.run)) == (10, "effect_ended", "RUNNABLE")
    assert made.note == f"seq 11 is the end of {source}, which is not taken over"
    sound(book)


def test_an_effect_that_ended_behind_the_prefix_is_answered_from_history(book: Book) -> None:
    source, epoch = book.driven()
    first, second = (book.begin(source, epoch, IDEMPOTENT, number) for number in (0, 1))
    book.decide(source, epoch, 0)
    book.do(effects.end_effect, source, epoch, second, 1, CONFIRMED, PAID)
    book.end(source, epoch, first)
    made = fork(book, source, 3)
    assert book.tape(made.run) == [
        "run_started", "effect_begun", "effect_begun", "effect_ended", "charge", "effect_ended"
    ]  # fmt: skip
    assert [event.key[-6:] for event in bodies(book, made.run)[3:6:2]] == ["1/tool", "0/tool"]
    assert book.run(made.run)["source_seq"] == 3
    assert book.row("SELECT sum(spent) FROM budget JOIN run ON run.no = run_no WHERE run.id = ?", made.run)[0] == 0
    sound(book)


def test_a_charge_of_another_call_is_not_taken_over(book: Book) -> None:
    """What a failed attempt has cost stands wherever that attempt ended: behind another call's end too."""
    source, epoch = book.driven()
    policy = replace(IDEMPOTENT, retries=1)
    first, second = (book.begin(source, epoch, policy, number) for number in (0, 1))
    book.end(source, epoch, first)
    book.do(effects.fail_attempt, source, epoch, second, 1, "raised", BOOM, book.recovery, PAID)
    book.retry(source, epoch, second)
    book.end(source, epoch, second, 2)
    assert book.tape(source)[3:] == ["effect_ended", "charge", "effect_ended"]
    made = fork(book, source, 2)
    assert book.tape(made.run) == ["run_started", "effect_begun", "effect_ended"]
    there = fork(book, source, 4)
    assert (there.seq, there.note) == (4, ""), "nor does it stay with that end"
    assert book.tape(there.run) == ["run_started", "effect_begun", "effect_begun", "effect_ended", "effect_ended"]
    sound(book)


@pytest.mark.parametrize("at", [4, 5])
def test_an_effect_that_is_unsettled_is_refused_with_the_seq_that_works(book: Book, at: int) -> None:
    source, epoch = book.driven()
    book.end(source, epoch, book.begin(source, epoch, IDEMPOTENT, 0))
    key = book.begin(source, epoch, BLIND, 1)
    book.sample(source, epoch)
    error = book.refused(forks.fork_run, source, at, says="or fork at seq 3")
    assert key in str(error) and "began at seq 4" in str(error)
    assert fork(book, source, 3).seq == 3


def test_an_outbox_effect_that_waits_is_unsettled(book: Book) -> None:
    source, epoch = book.driven()
    book.begin(source, epoch, OUTBOX)
    book.refused(forks.fork_run, source, 2, says="or fork at seq 1")


def test_an_effect_that_nobody_awaited_is_history_without_a_seq(book: Book) -> None:
    source, epoch = book.driven()
    key = book.begin(source, epoch, IDEMPOTENT)
    book.sample(source, epoch)

    def enqueue_and_end(tx: Tx) -> None:  # as a fire-and-forget effect ends: off the tape
        run = edit_run(tx, source)
        begun = tx.one(EffectRow, run_no=run.no, key=key)
        assert begun is not None
        effects.settling.close_attempt(run, key, "body", 1, "returned")
        done = EffectEnded(key=key, tool="tool", status="CONFIRMED", resolution="returned", writer="outbox")
        ended = run.record(done, beside=True)
        changes = {"status": "CONFIRMED", "awaited": 0, "ended_id": ended, "body_over": 1, "resolution": "returned"}
        tx.update(EffectRow, changes, run_no=run.no, key=key)
        run.save()

    book.writer.apply(enqueue_and_end)
    made = fork(book, source, 2)
    assert book.tape(made.run) == ["run_started", "effect_begun"]
    assert book.run(made.run)["seq"] == 2


def test_timers_that_fired_are_history_and_others_keep_their_time(book: Book) -> None:
    source, epoch = book.driven()
    for ordinal, seconds in ((0, 1.0), (1, 50.0)):
        book.do(records.set_timer, source, epoch, ordinal, seconds, "f")
    book.clock.advance(2)
    no = book.run(source)["no"]
    book.do(records.fire_timer, no, 0)
    made = fork(book, source, 4)
    sql = (
        "SELECT ordinal, fire_us, timer.status FROM timer JOIN run ON run.no = run_no WHERE run.id = ? ORDER BY ordinal"
    )
    theirs, mine = ([tuple(row) for row in book.rows(sql, run)] for run in (source, made.run))
    assert mine == theirs and [row[2] for row in mine] == ["FIRED", "SET"]
    early = fork(book, source, 3)
    assert [row["status"] for row in book.rows(sql, early.run)] == ["SET", "SET"]
    sound(book)


def test_a_fork_of_a_fork(book: Book) -> None:
    source, _ = story(book)
    first = fork(book, source, 6)
    epoch = book.grant(first.run)
    quarantined(book, first.run, epoch, 1)
    second = fork(book, first.run, 8)
    assert book.tape(second.run) == book.tape(first.run)
    assert [event.key for event in bodies(book, second.run) if isinstance(event, EffectBegun)] == [
        f"{second.run}/-/0/tool",
        f"{second.run}/-/1/tool",
    ]
    assert [event.quarantined for event in bodies(book, second.run) if isinstance(event, EffectBegun)] == [False, True]
    sound(book)


def test_a_fork_of_a_stuck_run_goes_on(book: Book) -> None:
    source, epoch = story(book)
    book.do(records.diverge, source, epoch, "the code does not fit the tape: recorded a | the code asks b", 6)
    assert book.status(source) == "STUCK"
    assert book.bodies("run_moved")[-1]["commands"] == [
        f"tape redrive {source}  (after the code is mended)",
        f"tape fork {source} --at 6",
        f"tape cancel {source}",
    ]
    made = fork(book, source, 6)
    assert book.grant(made.run) == 1


# --- gates and children -------------------------------------------------------------------------------------------

CALL = {"tool": "tool", "args": {"to": "ACME"}, "args_hash": hash_json({"to": "ACME"})}


def gated(book: Book, approves: Any, *, answered: bool, used: bool) -> str:
    """2 gate opened, 3 answered, 4-5 the effect that uses it up."""
    source, epoch = book.driven()
    asked = gates.Gate("ok", 0, "pay?", ("approve", "deny"), "f", 60.0, approves=approves)
    book.do(gates.open_gate, source, epoch, asked)
    if answered:
        book.do(gates.answer_gate, source, gates.Answer("ok", "approve", actor="me"))
    if used:
        call = Call(None, 0, "tool", {"to": "ACME"}, IDEMPOTENT, approval="ok 0")
        book.do(effects.begin_effect, source, epoch, call, "f")
        book.end(source, epoch, f"{source}/-/0/tool")
    return source


def gate(book: Book, run_id: str) -> Any:
    return book.row("SELECT gate.* FROM gate JOIN run ON run.no = run_no WHERE run.id = ?", run_id)


def test_an_approval_that_was_not_used_up_is_not_carried_over(book: Book) -> None:
    source = gated(book, CALL, answered=True, used=False)
    made = fork(book, source, 3)
    assert [event.void for event in bodies(book, made.run) if isinstance(event, GateAnswered)] == [True]
    assert (gate(book, made.run)["status"], gate(book, made.run)["used_by"]) == ("ANSWERED", "")
    assert gate(book, source)["used_by"] == ""
    sound(book)


def test_an_approval_that_was_used_up_is_history(book: Book) -> None:
    source = gated(book, CALL, answered=True, used=True)
    whole, part = fork(book, source, 5), fork(book, source, 3)
    assert [e.void for run in (whole, part) for e in bodies(book, run.run) if isinstance(e, GateAnswered)] == [
        False,
        True,
    ]
    assert gate(book, whole.run)["used_by"] == f"{whole.run}/-/0/tool"
    assert gate(book, part.run)["used_by"] == ""
    sound(book)


def test_a_void_approval_approves_nothing_in_the_fork(book: Book) -> None:
    made = fork(book, gated(book, CALL, answered=True, used=False), 3)
    epoch = book.grant(made.run)
    for approval, says in (("ok 0", "taken over from another run"), (None, "needs an approval")):
        call = Call(None, 0, "tool", {"to": "ACME"}, IDEMPOTENT, approval=approval)
        begin = (effects.begin_effect, made.run, epoch, call, "f")
        book.refused(*begin, by=UsageError, says=says, quarantined=True)
    again = gates.Gate("ok", 1, "pay?", ("approve", "deny"), "f", approves=CALL)
    book.do(gates.open_gate, made.run, epoch, again)
    book.do(gates.answer_gate, made.run, gates.Answer("ok", "approve", 1))
    call = Call(None, 0, "tool", {"to": "ACME"}, IDEMPOTENT, approval="ok 1")
    book.do(effects.begin_effect, made.run, epoch, call, "f", quarantined=True)
    book.do(quarantine.end_in_quarantine, made.run, epoch, f"{made.run}/-/0/tool", "made")
    sound(book)


def test_a_fork_has_a_purse_of_its_own(book: Book) -> None:
    """What the source has paid is the source's; what the fork's calls would cost is held against its caps."""
    source = book.start(caps={"usd_micro": 900})
    epoch = book.grant(source)
    call = Call(None, 0, "tool", {}, IDEMPOTENT, cost_micro=500)
    book.do(effects.begin_effect, source, epoch, call, "f")
    book.end(source, epoch, f"{source}/-/0/tool")
    made = fork(book, source, 4, caps={"usd_micro": 600})
    assert book.tape(made.run)[1:] == ["effect_begun", "effect_ended", "charge"]
    assert book.purse(made.run, "usd_micro") == (600, 0, 0, 0)
    own = book.grant(made.run)
    for ordinal in (1, 2):
        call = Call(None, ordinal, "tool", {}, IDEMPOTENT, cost_micro=500)
        book.do(effects.begin_effect, made.run, own, call, "f", quarantined=True)
        book.do(quarantine.end_in_quarantine, made.run, own, f"{made.run}/-/{ordinal}/tool", None)
    assert book.purse(made.run, "usd_micro") == (600, 0, 500, 0)
    assert [body["place"] for body in book.bodies("budget_refused")] == [f"{made.run}/-/2/tool"]
    assert book.purse(source, "usd_micro") == (900, 0, 500, 0)
    sound(book)


def test_a_refusal_of_a_cap_is_taken_over_as_the_forks_own(book: Book) -> None:
    source = book.start(caps={"tokens": 5})
    epoch = book.grant(source)
    assert not book.ask(source, epoch, tokens=6)
    made = fork(book, source, 2)
    assert (bodies(book, made.run)[1].run, bodies(book, made.run)[1].place) == (made.run, "decision 0")
    sound(book)


def test_what_was_left_to_itself_is_taken_over_with_its_end_beside_the_tape(book: Book) -> None:
    source = book.start(caps={"usd_micro": 900})
    epoch = book.grant(source)
    call = Call(None, 0, "tool", {}, OUTBOX, cost_micro=500, awaited=False)
    book.do(effects.begin_effect, source, epoch, call, "f")
    key = f"{source}/-/0/tool"
    book.refused(forks.fork_run, source, 2, says="has no outcome yet")
    book.do(claims.end_dispatch, book.claim(source, key, "body"), CONFIRMED)
    made = fork(book, source, 2)
    assert book.tape(made.run) == ["run_started", "effect_begun"]
    assert book.effect(f"{made.run}/-/0/tool")["status"] == "CONFIRMED"
    assert book.purse(made.run, "usd_micro") == (None, 0, 0, 0)
    sound(book)


def test_an_act_of_another_run_is_not_undone_by_a_persons_order(book: Book) -> None:
    source, _ = story(book)
    made = fork(book, source, 10)
    key = next(row["key"] for row in book.rows("SELECT key FROM effect WHERE compensable") if made.run in row["key"])
    book.refused(persons.undo_effect, made.run, key, "no", says=f"it was done by {source}")
    epoch = book.grant(made.run)
    own = quarantined(book, made.run, epoch, 7, policy=UNDOABLE)
    book.refused(persons.undo_effect, made.run, own, "no", says="is in quarantine")


def test_an_answer_that_approves_no_call_is_taken_over(book: Book) -> None:
    made = fork(book, gated(book, None, answered=True, used=False), 3)
    assert [event.void for event in bodies(book, made.run) if isinstance(event, GateAnswered)] == [False]
    assert (gate(book, made.run)["answer"], gate(book, made.run)["used_by"]) == ("approve", "")


@pytest.mark.parametrize("answered", [True, False])
def test_a_gate_that_is_open_there_is_opened_anew(book: Book, answered: bool) -> None:
    source = gated(book, CALL, answered=answered, used=False)
    book.clock.advance(45)
    made = fork(book, source, 2)
    row = gate(book, made.run)
    assert (row["status"], row["answer"], row["used_by"]) == ("OPEN", None, "")
    assert row["deadline_us"] == book.clock.wall_us() + 60 * SECOND_US, "as much time as it had"
    opened = bodies(book, made.run)[1]
    assert opened.deadline_us == row["deadline_us"]


def test_children_that_ended_are_history_and_open_ones_refused(book: Book) -> None:
    source, _ = book.driven()
    first, _second = book.child(source), book.child(source)
    book.do(runs.end_run, first, book.grant(first), "TERMINAL", "ok", None)
    made = fork(book, source, 2)
    assert book.tape(made.run) == ["run_started", "child_started", "child_ended"]
    assert bodies(book, made.run)[2] == ChildEnded(ordinal=0, child=first, status="TERMINAL", result="ok")
    book.refused(forks.fork_run, source, 4, says="child 1 of .* began at seq 3 .* fork at seq 2")
    sound(book)


def test_a_forks_own_children_are_counted_behind_those_that_it_took_over(book: Book) -> None:
    source, _ = book.driven()
    first = book.child(source)
    book.do(runs.end_run, first, book.grant(first), "TERMINAL", "ok", None)
    made = fork(book, source, 3)
    epoch = book.grant(made.run)
    _, own = book.do(children.start_child, made.run, epoch, 1, "agent", "another", "f")
    assert book.run(own)["quarantine"] == 1, "what its child calls is not called either"
    sound(book)
    book.do(runs.end_run, own, book.grant(own), "TERMINAL", "well", None)
    book.do(runs.end_run, made.run, epoch, "TERMINAL", None, None)
    assert (book.status(made.run), book.run(made.run)["children"]) == ("TERMINAL", 2)
    assert book.run(source)["children"] == 1
    sound(book)


# --- quarantine ---------------------------------------------------------------------------------------------------


def test_an_effect_in_quarantine_begins_and_ends_in_one_write(book: Book) -> None:
    source, _ = story(book)
    made = fork(book, source, 1)
    epoch = book.grant(made.run)
    key = quarantined(book, made.run, epoch, 0, policy=UNDOABLE)
    row = book.effect(key)
    assert (row["status"], row["resolution"], row["writer"], row["attempts"]) == ("CONFIRMED", "returned", "agent", 0)
    assert not book.rows("SELECT * FROM attempt WHERE key = ?", key)
    assert not book.rows("SELECT * FROM obligation WHERE effect_key = ?", key)
    assert book.tape(made.run) == ["run_started", "effect_begun", "effect_ended"]
    assert [event.quarantined for event in bodies(book, made.run)[1:2]] == [True]
    book.die(made.run)
    assert book.status(made.run) == "RUNNABLE", "nothing to settle"
    sound(book)


def test_the_outbox_has_nothing_to_dispatch_for_a_fork(book: Book) -> None:
    source, _ = story(book)
    made = fork(book, source, 1)
    key = quarantined(book, made.run, book.grant(made.run), 0, policy=OUTBOX)
    assert (book.effect(key)["status"], book.effect(key)["step"]) == ("CONFIRMED", "")
    sound(book)


def test_a_fork_can_begin_no_effect_in_earnest_and_no_other_run_one_in_quarantine(book: Book) -> None:
    source, source_epoch = book.driven()
    made = fork(book, source, 1)
    epoch = book.grant(made.run)
    call = Call(None, 0, "tool", None, BLIND)
    book.refused(effects.begin_effect, made.run, epoch, call, "f", says="is in quarantine")
    book.refused(effects.begin_effect, source, source_epoch, call, "f", quarantined=True, says="is not in quarantine")


def results(book: Book, run_id: str) -> list[Any]:
    return [event.result for event in bodies(book, run_id) if event.kind == "effect_ended"]


def test_the_result_is_the_source_s_own_word_if_it_has_one(book: Book) -> None:
    source, epoch = book.driven()
    for number, (args, result) in enumerate([("x", "old x"), ("x", "new x"), ("y", "only y"), ("z", "late z")]):
        key = book.begin(source, epoch, IDEMPOTENT, number, args)
        book.end(source, epoch, key, ending=replace(CONFIRMED, result=result))
    failed = book.begin(source, epoch, IDEMPOTENT, 4, "x")
    book.reject(source, epoch, failed)
    made = fork(book, source, 1)
    fork_epoch = book.grant(made.run)
    quarantined(book, made.run, fork_epoch, 0, "x")
    quarantined(book, made.run, fork_epoch, 1, "y")
    quarantined(book, made.run, fork_epoch, 2, "never asked")
    quarantined(book, made.run, fork_epoch, 3, "x", made="a value of its type", tool="other")
    assert results(book, made.run) == ["new x", "only y", "late z", "a value of its type"]
    again = fork(book, made.run, 1)
    quarantined(book, again.run, book.grant(again.run), 0, "y")
    assert results(book, again.run) == ["only y"], "the source of the source counts, too"


# --- promotion ----------------------------------------------------------------------------------------------------


def tried(book: Book) -> tuple[str, str, int]:
    """A fork that has called twice in quarantine, with a decision between; still driven."""
    source, _ = story(book)
    made = fork(book, source, 6)
    epoch = book.grant(made.run)
    book.decide(made.run, epoch, 1)
    quarantined(book, made.run, epoch, 0, index=1)
    quarantined(book, made.run, epoch, 1, index=1)
    return source, made.run, epoch


def test_a_promoted_fork_goes_on_before_its_first_act_in_quarantine(book: Book) -> None:
    _, tried_run, epoch = tried(book)
    book.refused(forks.promote_fork, tried_run, says="is being driven")
    book.do(runs.end_run, tried_run, epoch, "TERMINAL", "done", None)
    made = book.do(forks.promote_fork, tried_run, actor="me", reason="it is right")
    assert (made.source, made.seq) == (tried_run, 8)
    row = book.run(made.run)
    assert (row["quarantine"], row["source_id"], row["source_seq"], row["status"]) == (0, tried_run, 8, "RUNNABLE")
    assert book.tape(made.run) == book.tape(tried_run)[:8]
    assert book.bodies("fork_promoted") == [{"run": made.run, "source_seq": 8, "actor": "me", "reason": "it is right"}]
    fresh = book.grant(made.run)
    call = Call(1, 0, "tool", None, IDEMPOTENT)
    book.do(effects.begin_effect, made.run, fresh, call, "f")
    assert book.effect(f"{made.run}/1/0/tool")["status"] == "PENDING"
    sound(book)


def test_a_fork_is_promoted_once(book: Book) -> None:
    source, tried_run, epoch = tried(book)
    book.do(runs.end_run, tried_run, epoch, "TERMINAL", "done", None)
    made = book.do(forks.promote_fork, tried_run)
    book.refused(forks.promote_fork, tried_run, says=f"was promoted already: {made.run}")
    book.refused(forks.promote_fork, made.run, says="acts for real already")
    book.refused(forks.promote_fork, source, says="is no fork")


def test_a_fork_that_called_nothing_is_promoted_whole(book: Book) -> None:
    source, _ = story(book)
    tried_run = fork(book, source, 8).run
    assert book.do(forks.promote_fork, tried_run).seq == 8
    other = fork(book, source, 8).run
    book.do(runs.end_run, other, book.grant(other), "TERMINAL", None, None)
    assert book.do(forks.promote_fork, other).seq == 8


def test_a_child_that_only_tried_is_nobodys_history(book: Book) -> None:
    """A fork of a fork takes its child's end over; what is promoted from there starts the child again, for real."""
    source, epoch = story(book)
    real = book.child(source)
    book.do(runs.end_run, real, book.grant(real), "TERMINAL", "ok", None)
    tried = fork(book, source, 12).run
    epoch = book.grant(tried)
    _, child = book.do(children.start_child, tried, epoch, 1, "agent", "task", "f")
    book.do(runs.end_run, child, book.grant(child), "TERMINAL", "ok", None)
    again = fork(book, tried, 14).run
    assert book.tape(again)[-4:] == ["child_started", "child_ended"] * 2
    made = book.do(forks.promote_fork, again)
    assert (made.seq, book.tape(made.run)[-2:], book.run(made.run)["children"]) == (12, book.tape(source)[10:12], 1)
    sound(book)


def test_a_child_of_a_fork_is_started_again_by_its_promotion(book: Book) -> None:
    source, _ = story(book)
    tried_run = fork(book, source, 6).run
    epoch = book.grant(tried_run)
    child = book.child(tried_run)
    book.do(runs.end_run, child, book.grant(child), "TERMINAL", "ok", None)
    book.do(runs.end_run, tried_run, epoch, "TERMINAL", None, None)
    made = book.do(forks.promote_fork, tried_run)
    assert (made.seq, book.run(made.run)["children"]) == (6, 0)


def test_a_promoted_fork_of_a_fork_redoes_what_the_first_did_in_quarantine(book: Book) -> None:
    _, tried_run, _ = tried(book)
    second = fork(book, tried_run, 12)
    assert book.do(forks.promote_fork, second.run).seq == 8


def test_a_refused_promotion_leaves_no_run(book: Book) -> None:
    _, tried_run, _ = tried(book)
    before = len(book.rows("SELECT id FROM run"))
    with pytest.raises(Refused):
        book.do(forks.promote_fork, tried_run)
    assert len(book.rows("SELECT id FROM run")) == before


# --- the plan, by itself ------------------------------------------------------------------------------------------


def test_keys_are_renamed_and_nothing_else() -> None:
    begun = EffectBegun(
        key="r-a/0/0/t", decision_index=0, ordinal=0, tool="t", args={"key": "r-a/0/0/t"}, args_hash="h",
        fingerprint="f", semantics="idempotent",
    )  # fmt: skip
    assert prefix.renamed(begun, "r-a", "r-b") == replace(begun, key="r-b/0/0/t")
    other = replace(begun, key="r-ab/0/0/t")
    assert prefix.renamed(other, "r-a", "r-b") is other


def test_an_empty_tape_has_no_prefix() -> None:
    entry = Entry(1, "r", 1, 0, 0, RunStarted(agent="a", input=None))
    assert prefix.prefix_of("r", [entry], 1).records == (entry,)
    with pytest.raises(UsageError):
        prefix.prefix_of("r", [], 1)
