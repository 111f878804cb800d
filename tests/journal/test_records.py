"""Decisions and charges, samples, timers, attachment, divergence."""

from __future__ import annotations

import math

import pytest

from tape.core.journal import records, runs
from tape.core.journal.records import Usage
from tape.core.kernel.errors import IllegalTransition, Refused, UsageError
from tape.core.kernel.events import Decision
from tests.journal.book import BLIND, LOOK_UP, Book


def test_a_decision_is_followed_by_its_charge(book: Book) -> None:
    run_id, epoch = book.driven()
    book.decide(run_id, epoch, 0)
    assert book.decide(run_id, epoch, 1, Usage(10, 20, 300)) == 5
    assert book.tape(run_id) == ["run_started", "decision", "charge", "decision", "charge"]
    assert [body["pays_for"] for body in book.bodies("charge")] == ["decision 0", "decision 1"]
    assert book.bodies("charge")[0] == {"pays_for": "decision 0", "tokens_in": 0, "tokens_out": 0, "usd_micro": 0}
    spent = {row["unit"]: row["spent"] for row in book.rows("SELECT * FROM budget")}
    assert spent == {"tokens": 30, "usd_micro": 300}


@pytest.mark.parametrize("index", [0, 2, -1, 7])
def test_decisions_are_dense_and_never_written_twice(book: Book, index: int) -> None:
    run_id, epoch = book.driven()
    book.decide(run_id, epoch, 0)
    decision = Decision(index=index, name="ask", fingerprint="f", request=None, reply=1)
    book.refused(records.record_decision, run_id, epoch, decision, Usage(), says="where 1 is next")


@pytest.mark.parametrize("usage", [Usage(tokens_in=-1), Usage(usd_micro=2**62), Usage(tokens_out=-(2**70))])
def test_no_impossible_charge(book: Book, usage: Usage) -> None:
    run_id, epoch = book.driven()
    decision = Decision(index=0, name="ask", fingerprint="f", request=None, reply=1)
    book.refused(records.record_decision, run_id, epoch, decision, usage, by=UsageError, says="cannot have cost")


def test_a_reply_that_cannot_be_recorded_is_refused(book: Book) -> None:
    run_id, epoch = book.driven()
    deep: list[object] = []
    for _ in range(400):
        deep = [deep]
    for reply in (deep, 2**70, "\ud800", {1, 2}):
        decision = Decision(index=0, name="ask", fingerprint="f", request=None, reply=reply)
        book.refused(records.record_decision, run_id, epoch, decision, Usage(), by=UsageError, says="recorded")


def test_an_ask_is_counted_until_its_reply_stands(book: Book) -> None:
    run_id, epoch = book.driven()
    assert book.do(records.ask_model, run_id, epoch, 0, "m") == 1, "it has no seq"
    book.refused(records.ask_model, run_id, epoch, 1, "m", says="recorded already")
    book.die(run_id)
    epoch = book.again(run_id)
    book.do(records.ask_model, run_id, epoch, 0, "m")
    assert [body["asks"] for body in book.bodies("model_asked")] == [1, 2], "the second says that a reply was lost"
    book.decide(run_id, epoch)
    book.do(records.ask_model, run_id, epoch, 1, "m")
    assert book.bodies("model_asked")[-1]["asks"] == 1


def test_a_sample_stands_on_the_tape(book: Book) -> None:
    run_id, epoch = book.driven()
    assert book.sample(run_id, epoch) == 2
    assert book.tape(run_id) == ["run_started", "sample"]


def test_a_timer_fires_once_late_and_never_early(book: Book) -> None:
    run_id, epoch = book.driven()
    run_no = book.run(run_id)["no"]
    book.do(records.set_timer, run_id, epoch, 0, 60.0, "f")
    book.do(runs.park, run_id, epoch, ["timer 0"], "sleeps")
    book.refused(records.fire_timer, run_no, 0, says="not due")
    book.refused(records.fire_timer, run_no, 1, says="not due")
    book.refused(records.fire_timer, 99, 0, says="no run number")
    book.clock.advance(59.999999)
    book.refused(records.fire_timer, run_no, 0, says="not due")
    book.clock.advance(1)
    book.do(records.fire_timer, run_no, 0)
    assert book.bodies("timer_fired") == [{"ordinal": 0, "late_us": 999_999}]
    assert book.status(run_id) == "RUNNABLE"
    book.refused(records.fire_timer, run_no, 0, by=IllegalTransition, says="FIRED cannot fire")
    assert book.tape(run_id) == ["run_started", "timer_set", "timer_fired"]


def test_a_timer_is_set_once(book: Book) -> None:
    run_id, epoch = book.driven()
    book.do(records.set_timer, run_id, epoch, 0, 60.0, "f")
    book.refused(records.set_timer, run_id, epoch, 0, 60.0, "f", says="set already")
    for seconds in (math.nan, math.inf, 1e300, -1e300):
        book.refused(records.set_timer, run_id, epoch, 1, seconds, "f", by=UsageError, says="hundred years")
    book.do(records.set_timer, run_id, epoch, 1, -5.0, "f")
    book.do(records.fire_timer, book.run(run_id)["no"], 1)


def test_a_timer_that_fires_meanwhile_does_not_wake_what_is_unsettled(book: Book) -> None:
    run_id, epoch = book.driven()
    book.do(records.set_timer, run_id, epoch, 0, 1.0, "f")
    book.begin(run_id, epoch, LOOK_UP)
    book.die(run_id)
    book.clock.advance(2)
    book.do(records.fire_timer, book.run(run_id)["no"], 0)
    assert book.status(run_id) == "WAITING"


def test_a_timer_that_fires_does_not_wake_what_is_stuck(book: Book) -> None:
    run_id, epoch = book.driven()
    book.do(records.set_timer, run_id, epoch, 0, 1.0, "f")
    book.do(records.diverge, run_id, epoch, "asked for something else")
    book.clock.advance(2)
    book.do(records.fire_timer, book.run(run_id)["no"], 0)
    assert book.status(run_id) == "STUCK"
    assert book.do(runs.redrive, run_id) == "RUNNABLE"


def test_a_timer_of_one_of_two(book: Book) -> None:
    run_id, epoch = book.driven()
    for ordinal, seconds in enumerate((1.0, 100.0)):
        book.do(records.set_timer, run_id, epoch, ordinal, seconds, "f")
    book.do(runs.park, run_id, epoch, ["timer 0", "timer 1"], "sleeps")
    assert book.run(run_id)["waiting_on"] == "timer 0, timer 1"
    book.clock.advance(1)
    book.do(records.fire_timer, book.run(run_id)["no"], 0)
    epoch = book.again(run_id)
    book.do(runs.park, run_id, epoch, ["timer 0", "timer 1"], "sleeps")
    assert book.status(run_id) == "RUNNABLE", "the agent has not heard yet that timer 0 has fired"
    epoch = book.again(run_id)
    book.do(runs.park, run_id, epoch, ["timer 1"], "sleeps")
    assert book.run(run_id)["waiting_on"] == "timer 1"


def test_attachment_says_what_is_next(book: Book) -> None:
    run_id, epoch = book.driven()
    book.decide(run_id, epoch)
    key = book.begin(run_id, epoch, BLIND)
    book.end(run_id, epoch, key)
    book.die(run_id)
    epoch = book.again(run_id)
    assert book.do(records.attach, run_id, epoch, [key]) == 5
    attached = book.bodies("attached")[0]
    assert attached == {"decision_index": 1, "next_seq": 6, "drive": 2, "replayed": [key]}


def test_a_divergence_is_stuck_with_ways_out(book: Book) -> None:
    run_id, epoch = book.driven()
    book.do(records.diverge, run_id, epoch, "tape: wire(1)\ncode: wire(2)")
    row = book.run(run_id)
    assert (row["status"], row["error"], row["crashes"]) == ("STUCK", "tape: wire(1)\ncode: wire(2)", 0)
    assert any("redrive" in command for command in book.bodies("run_moved")[-1]["commands"])
    assert book.do(runs.redrive, run_id) == "RUNNABLE"


def test_what_an_agent_needs_to_take_a_run_up(book: Book) -> None:
    run_id, epoch = book.driven({"task": 1})
    book.decide(run_id, epoch, 0, Usage(usd_micro=7))
    key = book.begin(run_id, epoch, BLIND)
    drive = book.do(records.drive_of, run_id)
    assert (drive["agent"], drive["input"], drive["cancelled"]) == ("agent", {"task": 1}, False)
    assert [(seq, kind) for seq, kind, _ in drive["records"]] == list(enumerate(book.tape(run_id), 1))
    assert drive["attempts"] == {key: 1}
    caps = {"tokens": None, "usd_micro": None}
    assert drive["budget"] == {"caps": [(2, caps)], "capped": False, "known": False}
    with pytest.raises(Refused):
        book.do(records.drive_of, "r-none")
