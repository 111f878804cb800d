"""Verdicts: what happened after each death, from entries by hand and from journals written by verbs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from tape.core.journal import claims
from tape.core.kernel import events
from tape.core.kernel.resolution import Answer
from tape.core.story import EffectFact, tell
from tape.core.verdict import Judge, Verdict, counterfactual, holds, verdict_line, verdicts
from tests.core.run_book import KEY, KILLED, RUN, WIRE, Script, demo, entries_of, killed, reach_and_die, to_effect
from tests.core.test_render import HOSTILE, is_harmless
from tests.journal import invariants
from tests.journal.book import BLIND, CONFIRMED, IDEMPOTENT, LOOK_UP, OUTBOX, READ, SURE, UNDO_UNKNOWN, Book


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    journal = Book(tmp_path / "dev.db")
    yield journal
    invariants.check(journal.writer.connection)
    journal.close()


def one(script: Script) -> Verdict:
    (verdict,) = verdicts(script.entries)
    return verdict


def words(verdict: Verdict) -> list[str]:
    return [step.word for step in verdict.steps]


def effect_of(script: Script) -> EffectFact:
    return tell(script.entries).effects[0]


def order(signal: str = "KILL", **args: Any) -> events.OrderPlaced:
    return events.OrderPlaced(order=1, verb="kill", args={"signal": signal, **args}, actor="me", reason="")


# --- a crash ----------------------------------------------------------------------------------------------------------


def test_the_demo() -> None:
    verdict = one(demo())
    assert (verdict.run_id, verdict.point, verdict.death, verdict.pid) == (RUN, "effect.acted", "KILL", 12345)
    assert (verdict.effect, verdict.tool, verdict.hook, verdict.complete) == (KEY, "wire_money", False, True)
    assert (verdict.decisions, verdict.confirmed_before) == (2, 0)
    line = "killed → known 1 ms → observed 31 ms → re-driven 44 ms → seq 8"
    assert verdict_line(verdict, 1, "bank", "wire") == f"{line}; bank saw 1 wire ✓"
    assert verdict_line(verdict, None, "bank", "wire") == line
    assert verdict_line(verdict, 2, "bank", "wire") == f"{line}; bank saw 2 wires ✗"
    assert verdict_line(verdict, 0, "bank", "wire") == f"{line}; bank saw 0 wires ✗"


def test_the_steps_link_to_the_entries_that_say_so() -> None:
    script = demo()
    kinds = {entry.id: entry.event.kind for entry in script.entries}
    assert [(step.word, kinds[step.entry_id]) for step in one(script).steps] == [
        ("killed", "point_reached"),
        ("known", "lease_ended"),
        ("observed", "effect_ended"),
        ("re-driven", "lease_granted"),
        ("seq 8", "decision"),
    ]


def test_steps_come_as_they_happen_and_stay() -> None:
    entries = demo().entries
    whole = verdicts(entries)[0]
    judge, before = Judge(), 0
    for number, entry in enumerate(entries, 1):
        judge.add([entry])
        assert judge.verdicts() == verdicts(entries[:number])
        for verdict in judge.verdicts():
            assert verdict.steps == whole.steps[: len(verdict.steps)] and len(verdict.steps) >= before
            assert verdict.complete == (verdict.steps == whole.steps)
            before = len(verdict.steps)
    assert before == len(whole.steps)


def test_an_open_effect_may_have_happened_or_not() -> None:
    verdict = one(killed())
    assert (words(verdict), verdict.complete) == (["killed", "known"], False)
    assert [holds(verdict, acts) for acts in (0, 1, 2)] == [True, True, False]


def test_nothing_was_open() -> None:
    script = Script().start().attach(5).decide(10, 0).reach(11, "decision.recorded").lose(12)
    script.grant(14, epoch=3, drive=2, worker=2).decide(20, 1, epoch=3)
    verdict = one(script)
    assert words(verdict) == ["killed", "known", "nothing was open", "re-driven", "seq 4"]
    assert (verdict.effect, verdict.complete) == (None, True)


def test_a_death_that_nobody_ordered_counts_from_when_it_was_known() -> None:
    verdict = one(to_effect().lose(176, "SIGSEGV").doubt(176, why="SIGSEGV"))
    assert (words(verdict), verdict.point, verdict.death) == (["died"], "", "")
    assert verdict.effect == KEY


def test_every_death_has_its_verdict() -> None:
    script = demo()
    again = Script()
    again.entries, again.seq = script.entries[:-3], 9
    again.reach(300, "run.ending", worker=2, epoch=3).lose(301, worker=2, epoch=3)
    again.grant(302, epoch=5, drive=3, worker=3).finish(310, worker=3, epoch=5)
    first, second = verdicts(again.entries)
    assert (first.point, second.point) == ("effect.acted", "run.ending")
    assert words(second) == ["killed", "known", "nothing was open", "re-driven", "seq 10"]
    assert second.complete and (second.decisions, second.confirmed_before) == (3, 1)


def test_two_deaths_before_anything_new() -> None:
    script = killed().ask(180).answer(190, "present", "N-present", "confirm")
    script.end(190, "observed", writer="reconciler", epoch=2).grant(200, epoch=3, drive=2, worker=2)
    script.reach(201, "lease.granted", worker=2, epoch=3).lose(202, worker=2, epoch=3)
    first, second = verdicts(script.entries)
    assert not first.complete and not second.complete
    script.grant(210, epoch=5, drive=3, worker=3).decide(220, 2, epoch=5)
    first, second = verdicts(script.entries)
    assert first.complete and second.complete
    assert words(second) == ["killed", "known", "nothing was open", "re-driven", "seq 8"]


def test_an_end_that_is_durable_needs_no_recovery() -> None:
    script = to_effect().end(170, "returned", writer="agent").finish(180, worker=1, epoch=1)
    verdict = one(script.reach(181, "run.ended"))
    assert (words(verdict), verdict.complete) == (["killed", "the run had ended"], True)
    assert verdict_line(verdict, 1, "bank", "wire").endswith("bank saw 1 wire ✓")


def test_a_run_that_is_cancelled_while_it_is_down() -> None:
    script = killed().end(190, "decided", writer="operator", epoch=2, status="FAILED")
    script.add(190, events.RunEnded(outcome="CANCELLED", writer="operator"), epoch=2)
    verdict = one(script)
    assert (words(verdict)[2:], verdict.complete) == (["decided", "ended CANCELLED"], True)
    assert [holds(verdict, acts) for acts in (0, 1)] == [True, False]


def test_a_person_is_asked_and_decides() -> None:
    script = to_effect(look_up=False).reach(175).lose(176).doubt(176, "person", "N-ask")
    script.move(176, "RUNNING", "STUCK", KILLED)
    stuck = one(script)
    assert (words(stuck), stuck.complete) == (["killed", "known", "a person must decide"], False)
    script.end(900, "decided", writer="operator", epoch=2).grant(901, epoch=3, drive=2, worker=2).decide(
        910, 2, epoch=3
    )
    assert words(one(script))[3:] == ["decided", "re-driven", "seq 8"]


def test_a_poisoned_run_is_stuck_without_a_question() -> None:
    script = Script().start().decide(5, 0).lose(10).move(10, "RUNNING", "STUCK", "5 deaths in a row")
    assert words(one(script)) == ["died", "nothing was open", "stuck"]


# --- by order ---------------------------------------------------------------------------------------------------------


def test_a_kill_by_order() -> None:
    script = to_effect().add(170, order()).lose(172, "SIGKILL: killed by order")
    verdict = one(script)
    assert (words(verdict), verdict.point, verdict.death) == (["killed", "known"], "", "KILL")


@pytest.mark.parametrize("said", [order(at="effect.acted"), order(pid=1), order(signal="HOLD")])
def test_orders_that_strike_nobody_now(said: events.OrderPlaced) -> None:
    assert verdicts(to_effect().add(170, said).entries) == ()


def test_an_order_that_came_too_late_is_no_verdict() -> None:
    script = to_effect().end(169, "returned", writer="agent").add(170, order())
    assert len(verdicts(script.entries)) == 1
    assert verdicts(script.finish(171, worker=1, epoch=1).entries) == ()


@pytest.mark.parametrize("death", ["HOLD", "SOMETHING"])
def test_step_mode_is_no_verdict_and_a_kill_there_has_its_point(death: str) -> None:
    script = to_effect().reach(165, "effect.begun", death)
    assert verdicts(script.entries) == ()
    verdict = one(script.add(170, order()).lose(171, "SIGKILL: killed by order"))
    assert (verdict.point, verdict.death, words(verdict)) == ("effect.begun", "KILL", ["killed", "known"])


# --- other deaths -----------------------------------------------------------------------------------------------------


def test_a_drain_gives_the_lease_back() -> None:
    script = to_effect().reach(175, "effect.acted", "TERM").end(176, "returned", writer="agent")
    script.lose(180, "drained", status="RELEASED").move(180, "RUNNING", "RUNNABLE", "drained")
    assert words(one(script)) == ["terminated", "drained"]
    script.grant(190, epoch=2, drive=2, worker=2).decide(200, 2, epoch=2)
    verdict = one(script)
    assert (words(verdict)[2:], verdict.complete, verdict.effect) == (["re-driven", "seq 8"], True, None)
    assert verdict_line(verdict, 1, "bank", "wire").endswith("seq 8; bank saw 1 wire ✓")


def test_a_drain_that_is_cut_short_is_a_crash() -> None:
    script = to_effect().reach(175, "effect.begun", "TERM").lose(900, "SIGKILL: silent").doubt(900)
    assert (words(one(script)), one(script).effect) == (["terminated", "known"], KEY)


def test_a_zombie_is_refused() -> None:
    script = to_effect().reach(175, death="STOP").lose(2175, "the lease ran out", status="EXPIRED")
    script.doubt(2175).ask(2180).answer(2200, "present", "N-present", "confirm")
    script.end(2200, "observed", writer="reconciler", epoch=2).grant(2210, epoch=3, drive=2, worker=2)
    script.decide(2220, 2, epoch=3)
    verdict = one(script)
    assert (words(verdict), verdict.complete, verdict.refused) == (
        ["frozen", "known", "observed", "re-driven", "seq 8"],
        True,
        False,
    )
    for worker in (7, 1, 1):  # another's refusal says nothing, and a zombie is told once
        refused = events.WriteRefused(worker=worker, epoch=1, live_epoch=3, write="end", why="over")
        script.add(2300, refused, epoch=3)
    verdict = one(script)
    assert (words(verdict)[5:], verdict.refused) == (["refused"], True)


def test_a_thaw_in_time_changes_nothing() -> None:
    script = to_effect().reach(175, death="STOP").end(190, "returned", writer="agent").decide(200, 2)
    verdict = one(script)
    assert (words(verdict), verdict.complete) == (["frozen", "thawed in time"], True)
    assert counterfactual(verdict, effect_of(script), False) == ""


def test_a_lost_reply_is_sent_again() -> None:
    script = to_effect().reach(175, death="LOST").end(176, "returned", writer="agent")
    assert words(one(script)) == ["reply lost"]  # the record itself does not show that its answer arrived
    verdict = one(script.decide(190, 2))
    assert (words(verdict), verdict.complete) == (["reply lost", "sent again, same answer"], True)
    assert counterfactual(verdict, effect_of(script), False) == ""
    committed = to_effect().end(170, "returned", writer="agent").reach(171, "effect.ended", "LOST")
    assert words(one(committed.decide(190, 2))) == ["reply lost", "sent again, same answer"]


def test_a_reply_that_is_lost_and_its_agent_too() -> None:
    script = to_effect().reach(165, "effect.begun", "LOST").lose(170, "SIGSEGV")
    lost, died = verdicts(script.entries)
    assert not lost.complete and words(lost) == ["reply lost"]
    assert words(died) == ["died"]


# --- on the recovery's own path ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("death", ["KILL", "STOP", "LOST", "TERM"])
def test_a_hook_worker_is_killed_whatever_was_chosen(death: str) -> None:
    how = "SIGKILL: killed at observe.answered"
    script = killed().ask(180).reach(190, "observe.answered", death, worker=2, epoch=2)
    script.add(195, events.AttemptEnded(key=KEY, what="look-up", number=1, how=how), epoch=2)
    script.ask(300, 2, worker=3).answer(320, "present", "N-present", "confirm", 2)
    script.end(320, "observed", writer="reconciler", epoch=2)
    driver, hook = verdicts(script.entries)
    assert not driver.hook and words(driver) == ["killed", "known", "observed"]
    assert (hook.hook, hook.effect, hook.complete) == (True, KEY, True)
    assert words(hook) == ["killed", "known", "asked again", "observed"]


# --- journals written by verbs ----------------------------------------------------------------------------------------


def crash(book: Book, policy: Any, point: str = "effect.acted") -> tuple[str, str]:
    run_id, epoch = book.driven()
    book.decide(run_id, epoch)
    key = book.begin(run_id, epoch, policy)
    reach_and_die(book, run_id, point)
    return run_id, key


def told(book: Book, run_id: str) -> Verdict:
    (verdict,) = verdicts(entries_of(book, run_id))
    return verdict


def test_a_body_that_runs_again(book: Book) -> None:
    run_id, key = crash(book, IDEMPOTENT)
    epoch = book.again(run_id)
    book.end(run_id, epoch, key, book.retry(run_id, epoch, key))
    assert words(told(book, run_id)) == ["killed", "known", "re-driven", "redispatched", "seq 5"]
    assert told(book, run_id).complete


def test_a_look_up_that_finds_nothing(book: Book) -> None:
    run_id, key = crash(book, SURE, "effect.begun")
    assert book.observe(run_id, key, Answer.ABSENT) == "N-settling"
    assert book.observe(run_id, key, Answer.ABSENT) == "N-absent"
    epoch = book.again(run_id)
    book.end(run_id, epoch, key, book.retry(run_id, epoch, key))
    assert words(told(book, run_id)) == ["killed", "known", "absent", "re-driven", "redispatched", "seq 5"]


def test_a_persons_answer(book: Book) -> None:
    run_id, key = crash(book, BLIND)
    assert words(told(book, run_id)) == ["killed", "known", "a person must decide"]
    book.do(claims.resolve_effect, run_id, key, "retry", None, "the bank says so")
    epoch = book.again(run_id)
    book.end(run_id, epoch, key, book.retry(run_id, epoch, key))
    assert words(told(book, run_id))[3:] == ["retry ordered", "re-driven", "redispatched", "seq 5"]


def test_an_act_that_is_undone(book: Book) -> None:
    run_id, key = crash(book, UNDO_UNKNOWN)
    book.undo(run_id, f"{key}/undo/1")
    verdict = told(book, run_id)
    assert words(verdict) == ["killed", "known", "compensated"]
    assert [holds(verdict, acts) for acts in (0, 1)] == [True, False]


def test_siblings_are_settled_when_the_last_one_is(book: Book) -> None:
    run_id, epoch = book.driven()
    first, second = (book.begin(run_id, epoch, LOOK_UP, ordinal) for ordinal in (0, 1))
    reach_and_die(book, run_id)
    book.observe(run_id, first, Answer.PRESENT)
    assert words(told(book, run_id)) == ["killed", "known"]
    book.observe(run_id, second, Answer.PRESENT)
    assert words(told(book, run_id)) == ["killed", "known", "observed"]


def test_a_dispatch_is_none_of_the_agents_business(book: Book) -> None:
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch, OUTBOX)
    reach_and_die(book, run_id, "effect.begun")
    book.do(claims.end_dispatch, book.claim(run_id, key, "body"), CONFIRMED)
    assert words(told(book, run_id)) == ["killed", "known", "returned"]


# --- without Tape -----------------------------------------------------------------------------------------------------


def instead(script: Script, honours_key: bool | None = False) -> str:
    return counterfactual(one(script), effect_of(script), honours_key, noun="wire")


def test_a_second_act_is_what_the_look_up_spares() -> None:
    assert instead(demo()) == "without the look-up: 2 wires"
    assert instead(demo(), None) == "without the look-up: 2 wires, unless the upstream honours the key"
    assert instead(demo(), True) == "a retry without the journal asks the model again and pays for it"
    assert instead(killed()) == ""  # nobody knows yet
    declared = to_effect(semantics="idempotent").reach(175).lose(176).end(200, "observed", writer="reconciler", epoch=2)
    assert instead(declared, None) == "a retry without the journal asks the model again and pays for it"
    assert instead(declared, False) == "without the look-up: 2 wires"


@pytest.mark.parametrize(
    ("status", "said"), [("CONFIRMED", "a retry instead of the question: 2 wires"), ("FAILED", "")]
)
def test_what_a_person_knew(status: str, said: str) -> None:
    script = to_effect(look_up=False).reach(175).lose(176).doubt(176, "person", "N-ask")
    script.end(900, "decided", writer="operator", epoch=2, status=status)
    model = "a retry without the journal asks the model again and pays for it"
    assert instead(script) == (said or model)


def test_a_body_that_ran_again_anyway_spared_nothing_but_the_model() -> None:
    script = killed().ask(180).answer(206, "absent", "N-absent", "again").grant(219, epoch=3, drive=2, worker=2)
    script.end(230, "redispatched", writer="agent", epoch=3, attempt=2)
    assert instead(script) == "a retry without the journal asks the model again and pays for it"


def test_what_only_reads_is_never_paid_twice() -> None:
    script = to_effect(semantics="read_only").reach(175).lose(176).grant(180, epoch=3, drive=2, worker=2)
    script.end(190, "redispatched", writer="agent", epoch=3, attempt=2)
    assert "wire" not in instead(script)


def test_surplus_and_undo() -> None:
    script = killed().ask(180).answer(206, "duplicate", "X-duplicate", "confirm_first")
    script.end(206, "observed", writer="reconciler", row="X-duplicate", epoch=2)
    assert instead(script) == "without the look-up: one more wire, and nobody knows of the surplus"
    gamble = to_effect(look_up=False, compensable=True).reach(175).lose(176).doubt(176, "compensate", "N-undo")
    gamble.end(300, "compensated", writer="compensation", row="N-undo", epoch=2, status="FAILED")
    assert instead(gamble) == "a blind retry could have left 2 wires: nobody can be asked"


def test_what_stood_before_the_crash_would_be_done_again() -> None:
    script = to_effect().end(170, "returned", writer="agent").reach(171, "effect.ended").lose(172)
    verdict = one(script)
    assert counterfactual(verdict, None, False) == "a retry without the journal repeats 1 confirmed effect"
    assert counterfactual(verdict, None, True) == "a retry without the journal asks the model again and pays for it"
    early = Script().start().reach(5, "decision.asking").lose(6)
    assert counterfactual(one(early), None, False) == ""


def test_a_zombie_without_a_fence() -> None:
    script = Script().start().decide(5, 0).reach(6, "decision.recorded", "STOP")
    script.lose(2006, "the lease ran out", status="EXPIRED")
    refused = events.WriteRefused(worker=1, epoch=1, live_epoch=2, write="begin", why="over")
    said = counterfactual(one(script.add(2100, refused, epoch=2)), None, False)
    assert said == "without the fence the thawed worker writes on: one run, two drivers"


# --- what is foreign --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_text_is_shown_as_what_it_is(text: str) -> None:
    script = to_effect(tool=text).reach(175, f"at:{text}").lose(176, text).doubt(176, text, text, text)
    script.ask(180).answer(190, text, text, "again").end(
        206, text, writer="reconciler", epoch=2, tool=text, result=WIRE
    )
    script.add(207, events.RunEnded(outcome=text, writer="operator"), epoch=2)
    verdict = one(script)
    said = [verdict_line(verdict, 1, text, text), verdict.point, verdict.tool, *words(verdict)]
    said.append(counterfactual(verdict, effect_of(script), False, noun=text))
    assert all(is_harmless(each) for each in said)


def test_damaged_bodies_never_stop_the_judge() -> None:
    script = demo()
    whole = verdicts(script.entries)
    for number, cls in enumerate(events.STORY_EVENTS):
        body: dict[str, Any] = {each.name: None for each in fields(cls)}
        script.add(300 + number, cls(**body), epoch=3)
    assert verdicts(script.entries)[0] == whole[0]


def test_no_entries_and_those_of_others() -> None:
    assert verdicts([]) == ()
    mine = demo().entries
    other = Script("r-other0000000").start().lose(3).entries
    assert verdicts([mine[0], *other, *mine[1:]]) == verdicts(mine)


def test_reads_are_not_acts(book: Book) -> None:
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch, READ)
    book.end(run_id, epoch, key)
    reach_and_die(book, run_id, "effect.ended")
    verdict = told(book, run_id)
    assert (verdict.confirmed_before, verdict.confirmed, verdict.open) == (0, 0, 0)
