"""What recoveries cost, from entries by hand and from journals written by verbs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tape.core.figures import (
    Crash,
    Figuring,
    Recovery,
    Totals,
    recovery_json,
    recovery_lines,
    recovery_of,
    totals_json,
    totals_line,
    totals_of,
)
from tape.core.journal import claims, records
from tape.core.kernel import events
from tape.core.kernel.resolution import Answer
from tests.core.run_book import KEY, KILLED, START_US, Script, demo, entries_of, killed, reach_and_die, to_effect
from tests.journal import invariants
from tests.journal.book import CONFIRMED, LOOK_UP, Book

MS = 1000


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    journal = Book(tmp_path / "dev.db")
    yield journal
    invariants.check(journal.writer.connection)
    journal.close()


def only(recovery: Recovery) -> Crash:
    (crash,) = recovery.crashes
    return crash


def test_a_run_without_trouble_has_no_figures() -> None:
    script = Script().start().attach(1).decide(10, 0).finish(20, worker=1, epoch=1)
    assert recovery_of(script.entries) == Recovery()
    assert not recovery_of(script.entries)
    assert recovery_lines(recovery_of(script.entries)) == []
    assert recovery_of([]) == Recovery()


def test_the_demo() -> None:
    recovery = recovery_of(demo().entries)
    crash = only(recovery)
    assert crash == Crash(
        at_us=START_US + 175 * MS,
        point="effect.acted",
        death="KILL",
        hook=False,
        known_us=1 * MS,
        settled_us=31 * MS,
        redriven_us=44 * MS,
        first_record_us=65 * MS,
        second_acts_prevented=1,
    )
    assert crash.recovered
    assert (recovery.second_acts_prevented, recovery.asks_repeated, recovery.questions) == (1, 0, ())
    assert recovery_lines(recovery) == [
        "recovery: 1 crash, 1 second act prevented, 0 asks repeated, 0 questions",
        "  01:46:41.175Z killed at effect.acted: recovered in 65 ms (known after 1 ms, settled after 31 ms, "
        "driven again after 44 ms), 1 second act prevented",
    ]


def test_every_prefix_is_told_and_nothing_looks_ahead() -> None:
    entries = demo().entries
    figuring = Figuring()
    for at, entry in enumerate(entries, 1):
        figuring.add([entry])
        assert figuring.figures() == recovery_of(entries[:at])
    assert not recovery_of(killed().entries[:-4]).crashes[0].recovered
    known = only(recovery_of(killed().entries))
    assert (known.known_us, known.settled_us, known.redriven_us, known.first_record_us) == (1 * MS, None, None, None)


def test_nothing_is_open_and_everything_is_settled_at_once() -> None:
    script = Script().start().attach(1).decide(10, 0).reach(20, "decision.recorded").lose(21)
    script.move(21, "RUNNING", "RUNNABLE", KILLED).grant(30, epoch=3, drive=2, worker=2).attach(31, epoch=3, drive=2)
    crash = only(recovery_of(script.decide(40, 1, epoch=3).entries))
    assert (crash.known_us, crash.settled_us, crash.redriven_us, crash.first_record_us) == (1000, 1000, 10000, 20000)
    assert crash.second_acts_prevented == 0, "a decision is no act"


def test_a_death_that_nobody_ordered_counts_from_when_it_was_known() -> None:
    script = Script().start().attach(1).decide(10, 0).lose(21, "signal 9")
    script.move(21, "RUNNING", "RUNNABLE").grant(30, epoch=3, drive=2, worker=2)
    crash = only(recovery_of(script.entries))
    assert (crash.at_us, crash.death, crash.known_us, crash.redriven_us) == (START_US + 21 * MS, "", 0, 9 * MS)


def test_replayed_acts_were_prevented_once_per_crash_and_only_if_they_act() -> None:
    reads = f"{KEY}-reads"
    script = to_effect().end(170, "returned", writer="agent")
    script.begin(171, key=reads, tool="peek", semantics="read_only").end(172, "returned", writer="agent", key=reads)
    epoch = 1
    for drive in (2, 3):
        script.lose(180 * drive, epoch=epoch)
        epoch += 2
        script.grant(180 * drive + 1, epoch=epoch, drive=drive).attach(180 * drive + 2, KEY, reads, epoch=epoch)
        script.attach(180 * drive + 3, KEY, reads, epoch=epoch)  # a later drive, after a park
        script.decide(180 * drive + 4, drive, epoch=epoch)
    recovery = recovery_of(script.entries)
    assert [crash.second_acts_prevented for crash in recovery.crashes] == [1, 1]
    assert recovery.second_acts_prevented == 2


def asked(script: Script, at: float, asks: int, *, epoch: int = 3) -> Script:
    return script.add(at, events.ModelAsked(index=0, name="ask_model", asks=asks), epoch=epoch)


def lost_reply() -> Script:
    script = Script().start().attach(1)
    script.add(5, events.ModelAsked(index=0, name="ask_model"), epoch=1)
    return script.reach(20, "decision.replied").lose(21)


PAID = events.Charge(pays_for="decision 0", tokens_in=150, tokens_out=60, usd_micro=2000)
REPLY = events.Decision(index=0, name="ask_model", fingerprint="f", request=None, reply="x")


def test_an_ask_that_was_repeated_costs_what_its_reply_cost() -> None:
    script = asked(lost_reply().grant(30, epoch=3, drive=2), 31, 2)
    open_yet = only(recovery_of(script.entries))
    assert (open_yet.asks_repeated, open_yet.tokens) == (1, 0), "no price is known yet"
    crash = only(recovery_of(script.add(40, REPLY, epoch=3).add(40, PAID, epoch=3).entries))
    assert (crash.asks_repeated, crash.tokens, crash.usd_micro) == (1, 210, 2000)
    line = recovery_lines(recovery_of(script.entries))[0]
    assert (
        line == "recovery: 1 crash, 0 second acts prevented, 1 ask repeated (210 tokens, $0.002 at most), 0 questions"
    )


@pytest.mark.parametrize("late", [False, True])
def test_what_was_held_back_is_the_price_where_it_is_known(late: bool) -> None:
    lost = events.BudgetLost(place="decision 0", tokens=4000, usd_micro=50_000)
    script = lost_reply()
    if not late:
        script.add(21, lost, epoch=2)
    asked(script.grant(30, epoch=3, drive=2), 31, 2)
    if late:
        script.add(32, lost, epoch=3)
    crash = only(recovery_of(script.add(40, REPLY, epoch=3).add(40, PAID, epoch=3).entries))
    assert (crash.asks_repeated, crash.tokens, crash.usd_micro) == (1, 4000, 50_000)


def test_each_crash_has_its_own_price() -> None:
    script = asked(lost_reply().grant(30, epoch=3, drive=2), 31, 2).reach(35, "decision.replied", epoch=3)
    script.lose(36, epoch=3).grant(40, epoch=5, drive=3)
    asked(script, 41, 3, epoch=5).add(50, REPLY, epoch=5).add(50, PAID, epoch=5)
    recovery = recovery_of(script.entries)
    assert [(crash.asks_repeated, crash.tokens) for crash in recovery.crashes] == [(1, 210), (1, 210)]
    assert (recovery.asks_repeated, recovery.tokens, recovery.usd_micro) == (2, 420, 4000)


def test_people_are_asked_and_take_their_time() -> None:
    script = killed().move(200, "WAITING", "STUCK", "nobody knows", helps=["tape resolve X"])
    open_one = recovery_of(script.entries).questions
    assert [(each.kind, each.about, each.took_us) for each in open_one] == [("stuck", "nobody knows", None)]
    assert "still open" in recovery_lines(recovery_of(script.entries))[-1]
    script.end(3200, "decided", writer="operator", epoch=2).move(3200, "STUCK", "RUNNABLE", "settled")
    (question,) = recovery_of(script.entries).questions
    assert (question.at_us, question.took_us) == (START_US + 200 * MS, 3_000_000)
    assert recovery_lines(recovery_of(script.entries))[0].endswith("1 question (1 answered)")
    assert only(recovery_of(script.entries)).settled_us == (3200 - 175) * MS


def test_gates_are_questions_and_a_time_out_is_no_answer() -> None:
    script = Script().start()
    for ordinal in (0, 1):
        opened = events.GateOpened(name="ok", ordinal=ordinal, prompt="pay?", options=["yes"], fingerprint="f")
        script.add(10, opened)
        answer = events.GateAnswered(name="ok", ordinal=ordinal, answer="yes", timed_out=bool(ordinal))
        script.add(5010, answer)
    assert [(each.kind, each.took_us) for each in recovery_of(script.entries).questions] == [
        ("gate", 5_000_000), ("gate", None),
    ]  # fmt: skip


def test_no_crash_where_nothing_had_to_recover() -> None:
    drained = Script().start().reach(10, "decision.recorded", "TERM").lose(11, "drained", status="RELEASED")
    lost = to_effect().reach(170, "effect.begun", "LOST").end(171, "returned", writer="agent")
    for script in (drained, lost):
        assert recovery_of(script.entries).crashes == ()


def test_a_hooks_death_is_an_incident_on_the_way() -> None:
    script = killed().ask(180).reach(190, "observe.answered", worker=2, epoch=2)
    script.add(191, events.AttemptEnded(key=KEY, what="look-up", number=1, how="died"), epoch=2)
    script.ask(195, 2, worker=3).answer(206, "present", "N-present", "confirm", 2)
    script.end(206, "observed", writer="reconciler", row="N-present", epoch=2).move(206, "WAITING", "RUNNABLE")
    script.grant(219, epoch=3, drive=2, worker=3, index=2).attach(225, KEY, epoch=3, drive=2, index=2)
    driver, hook = recovery_of(script.decide(240, 2, epoch=3).entries).crashes
    assert (driver.second_acts_prevented, hook.second_acts_prevented) == (1, 0)
    assert (driver.hook, hook.hook, hook.known_us, hook.settled_us) == (False, True, 1 * MS, 16 * MS)
    assert "(a hook's process)" in recovery_lines(recovery_of(script.entries))[2]


def test_what_stands_in_a_journal_by_its_own_verbs(book: Book) -> None:
    run_id, epoch = book.driven()
    book.do(records.ask_model, run_id, epoch, 0, "ask")
    book.decide(run_id, epoch)
    key = book.begin(run_id, epoch, LOOK_UP)
    reach_and_die(book, run_id)
    claim = book.claim(run_id, key)
    book.clock.advance(1)
    book.do(claims.record_observation, claim, Answer.PRESENT, [{"ok": 1}], "")
    epoch = book.again(run_id)
    book.do(records.attach, run_id, epoch, [key])
    book.decide(run_id, epoch, 1)
    crash = only(recovery_of(entries_of(book, run_id)))
    assert crash.second_acts_prevented == 1 and crash.recovered
    assert crash.settled_us is not None and crash.settled_us >= 1_000_000
    assert CONFIRMED.result is not None


def test_json_has_no_surprises() -> None:
    body: dict[str, Any] = recovery_json(recovery_of(demo().entries))
    assert json.loads(json.dumps(body)) == body
    assert list(body) == [
        "crashes", "questions", "asks_repeated", "tokens", "usd_micro", "second_acts_prevented",
    ]  # fmt: skip
    assert body["crashes"][0]["at"] == "2026-11-23T01:46:41.175000Z"
    assert "at_us" not in body["crashes"][0]


# --- how far a recovery has come, in words; and all runs together --------------------------------------------------


def crash(**times: int | None) -> str:
    made = Crash(at_us=START_US, point="", death="", hook=False, **times)  # type: ignore[arg-type]
    return recovery_lines(Recovery(crashes=(made,)))[1].partition("died: ")[2]


def test_a_crash_says_how_far_it_has_come() -> None:
    known: dict[str, int | None] = {"known_us": 1 * MS}
    assert crash() == "not recovered"
    assert crash(**known) == "known after 1 ms, not recovered"
    known["settled_us"] = 31 * MS
    assert crash(**known) == "settled after 31 ms (known after 1 ms), not recovered"
    known["redriven_us"] = 44 * MS
    assert crash(**known) == "driven again after 44 ms (known after 1 ms, settled after 31 ms), not recovered"
    known |= {"first_record_us": 65 * MS, "settled_us": 1 * MS}  # nothing was left to settle
    assert crash(**known) == "recovered in 65 ms (known after 1 ms, driven again after 44 ms)"


def test_all_runs_together() -> None:
    lost = asked(lost_reply().grant(30, epoch=3, drive=2), 31, 2).add(40, REPLY, epoch=3).add(40, PAID, epoch=3)
    person = killed().move(200, "WAITING", "STUCK", "nobody knows", helps=["tape resolve X"])
    calm = Script().start().attach(1).decide(10, 0).finish(20, worker=1, epoch=1)
    totals = totals_of(recovery_of(script.entries) for script in (demo(), lost, person, calm))
    assert totals == Totals(
        runs=3,
        crashes=3,
        took_us=(20 * MS, 65 * MS),
        asks_repeated=1,
        tokens=210,
        usd_micro=2000,
        second_acts_prevented=1,
        questions=1,
        open_questions=1,
    )
    assert totals_line(totals) == (
        "3 crashes in 3 runs: 2 recovered (half of them within 20 ms, all within 65 ms), 1 second act prevented, "
        "1 ask repeated (210 tokens, $0.002 at most), 1 question to people (1 not answered)"
    )
    body = totals_json(totals)
    assert (body["recovered"], body["recovery_us"]) == (2, {"p50": 20 * MS, "max": 65 * MS})
    assert not totals_of([recovery_of(calm.entries)]) and totals_json(totals_of([]))["recovery_us"] is None
