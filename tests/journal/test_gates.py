"""Gates: opened, answered once, early or in time; approvals are bound to one call; nothing survives the run's end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tape.core.journal import alarms, claims, effects, gates, runs
from tape.core.journal.audit import audit
from tape.core.journal.effects import Call, ToolPolicy
from tape.core.journal.gates import Answer, Gate
from tape.core.journal.shapes import NeedKind, Queue
from tape.core.journal.tables import GateRow
from tape.core.journal.transaction import Tx, edit_run
from tape.core.journal.views import open_reader
from tape.core.journal.work import DueGate, DueTimer, Work
from tape.core.kernel.errors import CancelRequested, Fenced, IllegalTransition, NotFound, Refused, UsageError
from tape.core.kernel.events import GateAnswered
from tape.core.kernel.identity import effect_key, hash_json
from tests.journal import invariants
from tests.journal.book import BLIND, SURE, Book
from tests.journal.test_interleavings import Party, play

GUARDED = ToolPolicy(needs_approval=True)
ARGS = {"to": "ACME", "amount_minor": 12_500}


def bound(args: Any = ARGS, tool: str = "wire") -> dict[str, Any]:
    return {"tool": tool, "args": args, "args_hash": hash_json(args)}


def gate(name: str = "pay", ordinal: int = 0, **more: Any) -> Gate:
    return Gate(name, ordinal, "Pay?", ("approve", "deny"), "f", **more)


def opened(book: Book, asked: Gate | None = None, **more: Any) -> tuple[str, int]:
    """A run that has come to the gate, with its epoch."""
    run_id, epoch = book.driven()
    book.do(gates.open_gate, run_id, epoch, asked or gate(**more))
    return run_id, epoch


def waiting(book: Book, *asked: Gate) -> str:
    run_id, epoch = book.driven()
    listed = asked or (gate(),)
    for one in listed:
        book.do(gates.open_gate, run_id, epoch, one)
    book.do(runs.park, run_id, epoch, [f"gate {one.name} {one.ordinal}" for one in listed], "waiting")
    return run_id


def answer(book: Book, run_id: str, value: str = "approve", name: str = "pay", **more: Any) -> dict[str, Any]:
    said = Answer(name, value, more.pop("ordinal", None), more.pop("actor", "ann@desk"), more.pop("reason", ""))
    done = book.do(gates.answer_gate, run_id, said)
    invariants.check(book.writer.connection)
    return done


def status_of(book: Book, run_id: str, name: str = "pay", ordinal: int = 0) -> str:
    sql = "SELECT gate.status FROM gate JOIN run ON run.no = run_no WHERE run.id = ? AND name = ? AND ordinal = ?"
    return book.row(sql, run_id, name, ordinal)["status"]


def wire(book: Book, run_id: str, epoch: int, approval: str | None, **more: Any) -> str:
    call = Call(None, more.pop("ordinal", 0), "wire", more.pop("args", ARGS), more.pop("policy", BLIND), None, approval)
    book.do(effects.begin_effect, run_id, epoch, call, "f")
    return effect_key(run_id, None, call.ordinal, "wire")


# --- opened and answered ---


def test_a_gate_holds_the_run_until_somebody_answers(book: Book) -> None:
    run_id = waiting(book, gate(approves=bound()))
    row = book.run(run_id)
    assert (row["status"], row["waiting_on"], row["worker_no"]) == ("WAITING", "gate pay 0", None)
    assert book.bodies("gate_opened")[0]["approves"] == bound()
    done = answer(book, run_id, reason="seen the invoice")
    assert done == {
        "gate": "pay",
        "ordinal": 0,
        "status": "answered",
        "answer": "approve",
        "by": "ann@desk",
        "why": "",
    }
    assert book.status(run_id) == "RUNNABLE"
    assert book.tape(run_id) == ["run_started", "gate_opened", "gate_answered"]
    told = book.bodies("gate_answered")[0]
    assert (told["answer"], told["actor"], told["reason"]) == ("approve", "ann@desk", "seen the invoice")
    assert not told["timed_out"]


def test_a_driven_run_is_answered_without_losing_its_lease(book: Book) -> None:
    run_id, epoch = opened(book)
    answer(book, run_id)
    assert (book.status(run_id), book.run(run_id)["epoch"]) == ("RUNNING", epoch)
    book.do(runs.park, run_id, epoch, ["gate pay 0"], "waiting")
    assert book.status(run_id) == "RUNNABLE", "what it waited for has come meanwhile"


@pytest.mark.parametrize(
    "wait", ["gate", "gate ", "gate pay", "gate pay 1", "gate pay x", "gate pay -1", "gate other 0"]
)
def test_a_run_does_not_wait_for_a_gate_that_is_not_open(book: Book, wait: str) -> None:
    run_id, epoch = opened(book)
    book.do(runs.park, run_id, epoch, [wait], "waiting")
    assert book.status(run_id) == "RUNNABLE"


def test_the_first_answer_counts_and_later_ones_are_told(book: Book) -> None:
    run_id = waiting(book)
    answer(book, run_id)
    before = {name: rows for name, rows in book.dump().items() if name in ("gate", "lease", "timer")}
    late = answer(book, run_id, "deny", ordinal=0, actor="bob@desk")
    assert late["status"] == "refused" and late["answer"] == "approve"
    assert late["why"] == "gate pay 0 was answered already: approve, by ann@desk"
    assert {name: rows for name, rows in book.dump().items() if name in before} == before
    assert book.tape(run_id) == ["run_started", "gate_opened", "gate_answered"]
    refused = book.bodies("answer_refused")
    assert [(told["answer"], told["actor"], told["ordinal"]) for told in refused] == [("deny", "bob@desk", 0)]


def test_ordinals_count_per_name_without_a_gap(book: Book) -> None:
    run_id, epoch = opened(book)
    book.refused(gates.open_gate, run_id, epoch, gate(), says="opened already")
    book.refused(gates.open_gate, run_id, epoch, gate(ordinal=2), says="before 1")
    book.do(gates.open_gate, run_id, epoch, gate("legal"))
    book.do(gates.open_gate, run_id, epoch, gate(ordinal=1))
    book.refused(gates.answer_gate, run_id, Answer("pay", "deny"), by=UsageError, says="--ordinal 0 or 1")
    assert answer(book, run_id, "deny", ordinal=1)["ordinal"] == 1
    book.refused(gates.answer_gate, run_id, Answer("pay", "deny"), by=UsageError, says="with --ordinal 0")
    assert answer(book, run_id, "deny", ordinal=0)["ordinal"] == 0


def test_nobody_answers_a_gate_that_was_not_there_yet(book: Book) -> None:
    """Two people read the same prompt. The slower one's answer is not one to the next gate of that name."""
    run_id, epoch = opened(book, gate(approves=bound()))
    answer(book, run_id, "approve")
    late = answer(book, run_id, "approve", actor="bob@desk")
    assert (late["status"], late["ordinal"]) == ("refused", 0)
    book.do(gates.open_gate, run_id, epoch, gate(ordinal=1, approves=bound()))
    book.refused(gates.answer_gate, run_id, Answer("pay", "approve"), by=UsageError, says="with --ordinal 1")
    assert answer(book, run_id, "approve", ordinal=1)["status"] == "answered"


def test_two_approvers_at_once(tmp_path: Path) -> None:
    """Every order: one answer on the tape, one refusal."""

    def make(book: Book) -> tuple[Party, Party, Any]:
        run_id = waiting(book, gate(approves=bound()))
        said: list[str] = []

        def approver(value: str) -> Party:
            reader = open_reader(book.path)

            def look() -> None:
                with reader:
                    needs = reader.needs()
                    assert [need.gate for need in needs] in (["pay"], [])

            def answers() -> None:
                said.append(answer(book, run_id, value, ordinal=0, actor=value)["status"])

            return Party(look, answers)

        def judge() -> None:
            assert said == ["answered", "refused"]
            (told,), (refused,) = book.bodies("gate_answered"), book.bodies("answer_refused")
            assert {told["actor"], refused["actor"]} == {"approve", "deny"}
            assert book.tape(run_id) == ["run_started", "gate_opened", "gate_answered"]

        return approver("approve"), approver("deny"), judge

    assert play(tmp_path, make) == 6


def test_an_approver_and_the_time_out_at_once(tmp_path: Path) -> None:
    def make(book: Book) -> tuple[Party, Party, Any]:
        run_id = waiting(book, gate(seconds=60.0))
        book.clock.advance(60)
        due = DueGate(book.run(run_id)["no"], "pay", 0)
        said: list[Any] = []
        person = Party(lambda: said.append(answer(book, run_id, ordinal=0)["status"]))
        clock = Party(lambda: said.append(book.do(alarms.set_off, [due])))

        def judge() -> None:
            assert said in ([1, "refused"], ["answered", 0])
            assert len(book.bodies("gate_answered")) == 1

        return person, clock, judge

    assert play(tmp_path, make) == 2


# --- early answers ---


def test_an_early_answer_is_used_at_once(book: Book) -> None:
    run_id, epoch = book.driven()
    assert answer(book, run_id, "deny", reason="no")["status"] == "early"
    assert status_of(book, run_id) == "EARLY"
    seq, answered = book.do(gates.open_gate, run_id, epoch, gate(seconds=5.0))
    assert (seq, answered.answer, answered.actor, answered.reason) == (3, "deny", "ann@desk", "no")
    assert book.tape(run_id) == ["run_started", "gate_opened", "gate_answered"]
    assert status_of(book, run_id) == "ANSWERED"
    assert answer(book, run_id, ordinal=0)["status"] == "refused"
    book.clock.advance(10)
    assert book.do(alarms.set_off, [DueGate(book.run(run_id)["no"], "pay", 0)]) == 0
    invariants.check(book.writer.connection)


def test_one_early_answer_for_each_instance_and_the_first_wins(book: Book) -> None:
    run_id, epoch = book.driven()
    answer(book, run_id, "deny")
    second = answer(book, run_id, "approve", actor="bob@desk")
    assert (second["status"], second["answer"], second["ordinal"]) == ("refused", "deny", 0)
    book.refused(gates.answer_gate, run_id, Answer("pay", "deny", 1), by=UsageError, says="too far ahead")
    book.do(gates.open_gate, run_id, epoch, gate())
    assert answer(book, run_id, "approve")["status"] == "refused"
    assert answer(book, run_id, "approve", ordinal=1)["status"] == "early"
    assert [told["ordinal"] for told in book.bodies("early_answer")] == [0, 1]


@pytest.mark.parametrize(
    ("value", "approves", "why"),
    [("aprove", None, "did you mean approve?"), ("approve", bound(), "before anybody could see which call")],
)
def test_an_early_answer_that_does_not_fit_is_dropped(book: Book, value: str, approves: Any, why: str) -> None:
    run_id, epoch = book.driven()
    answer(book, run_id, value)
    _, answered = book.do(gates.open_gate, run_id, epoch, gate(approves=approves))
    assert answered is None and status_of(book, run_id) == "OPEN"
    assert why in book.bodies("answer_refused")[0]["why"]
    assert answer(book, run_id, "deny")["status"] == "answered"


def test_an_early_denial_of_a_call_counts(book: Book) -> None:
    run_id, epoch = book.driven()
    answer(book, run_id, "deny")
    assert book.do(gates.open_gate, run_id, epoch, gate(approves=bound()))[1].answer == "deny"


# --- what cannot be answered ---


def test_what_does_not_exist_is_named_with_the_nearest_right_thing(book: Book) -> None:
    run_id = waiting(book)

    def refused(said: Answer, says: str, by: type[Exception] = UsageError) -> None:
        error = book.refused(gates.answer_gate, run_id, said, by=by, says=says)  # type: ignore[arg-type]
        assert "\n" not in str(error)

    refused(Answer("pya", "approve"), "did you mean pay")
    refused(Answer("legal", "approve"), "it waits at pay 0")
    refused(Answer("pay", "aprove"), "did you mean approve")
    refused(Answer("pay", "yes"), "it is one of: approve, deny")
    refused(Answer("pay", ""), "no answer")
    refused(Answer("pay", "x" * 201), "no answer")
    refused(Answer("pay", "approve", 3), "too far ahead: the next one is 1")
    refused(Answer("pay", "approve", -1), "counted from 0")
    refused(Answer("", "approve"), "cannot be called")
    refused(Answer("a\nb", "approve"), "cannot be called")
    with pytest.raises(NotFound, match="no run r-nobody"):
        book.do(gates.answer_gate, "r-nobody", Answer("pay", "approve"))
    assert answer(book, run_id, name="legal", ordinal=0)["status"] == "early", "said with its ordinal it is meant so"


def test_the_end_of_a_run_drops_its_gates(book: Book) -> None:
    """I9: nothing leaves an end state, whatever arrives late."""
    run_id, epoch = opened(book, seconds=60.0)
    answer(book, run_id, name="legal", ordinal=0)
    book.do(runs.end_run, run_id, epoch, "TERMINAL", None, None)
    assert (status_of(book, run_id), status_of(book, run_id, "legal")) == ("DROPPED", "DROPPED")
    for name in ("pay", "legal", "other"):
        book.refused(gates.answer_gate, run_id, Answer(name, "approve"), says="has ended .TERMINAL.")
    book.clock.advance(61)
    before = book.dump()
    assert book.do(alarms.set_off, [DueGate(book.run(run_id)["no"], "pay", 0)]) == 0
    assert book.dump() == before
    invariants.check(book.writer.connection)


def test_a_cancelled_run_ends_at_its_gate(book: Book) -> None:
    run_id = waiting(book)
    assert book.do(runs.cancel, run_id) == "CANCELLED"
    assert status_of(book, run_id) == "DROPPED"
    book.refused(gates.answer_gate, run_id, Answer("pay", "approve"), says="has ended .CANCELLED.")


def test_a_run_that_is_being_cancelled_opens_no_gate(book: Book) -> None:
    run_id, epoch = book.driven()
    book.do(runs.cancel, run_id)
    book.refused(gates.open_gate, run_id, epoch, gate(), by=CancelRequested)


def test_a_zombie_opens_no_gate(book: Book) -> None:
    run_id, epoch = book.driven()
    book.die(run_id)
    book.refused(gates.open_gate, run_id, epoch, gate(), by=Fenced)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (Gate("", 0, "", ("a",), "f"), "cannot be called"),
        (Gate("x" * 201, 0, "", ("a",), "f"), "longer than 200"),
        (Gate("pay", 0, "", (), "f"), "0 options"),
        (Gate("pay", 0, "", tuple(map(str, range(21))), "f"), "21 options"),
        (Gate("pay", 0, "", ("a", "a"), "f"), "twice"),
        (Gate("pay", 0, "", ("a", " "), "f"), "no option"),
        (Gate("pay", 0, "", ("a", "x" * 201), "f"), "no option"),
        (Gate("pay", 0, "", ("a",), "f", on_timeout="b", seconds=1.0), "on_timeout is 'b'"),
        (Gate("pay", 0, "", ("a",), "f", on_timeout="a"), "but no timeout"),
        (Gate("pay", 0, "", ("a",), "f", seconds=0.0), "more than 0"),
        (Gate("pay", 0, "", ("a",), "f", seconds=float("nan")), "more than 0"),
        (Gate("pay", 0, "", ("a",), "f", seconds=4e9), "100 years"),
        (Gate("pay", 0, "", ("a",), "f", approves={"tool": "wire"}), "their hash"),
    ],
)
def test_what_no_gate_can_be(book: Book, asked: Gate, says: str) -> None:
    run_id, epoch = book.driven()
    book.refused(gates.open_gate, run_id, epoch, asked, by=UsageError, says=says)


# --- time-outs ---


@pytest.mark.parametrize("on_timeout", [None, "deny"])
def test_a_time_out_answers_once_late_and_never_early(book: Book, on_timeout: str | None) -> None:
    run_id = waiting(book, gate(seconds=60.0, on_timeout=on_timeout))
    due = DueGate(book.run(run_id)["no"], "pay", 0)
    work = Work(book.path)
    book.clock.advance(59.999)
    assert work.gates(book.clock.wall_us(), 10) == [] and book.do(alarms.set_off, [due]) == 0
    book.clock.advance(100)
    assert work.gates(book.clock.wall_us(), 10) == [due]
    assert book.do(alarms.set_off, [due, due]) == 1
    assert book.do(alarms.set_off, [due]) == 0 and work.gates(book.clock.wall_us(), 10) == []
    told = book.bodies("gate_answered")
    assert [(one["answer"], one["timed_out"]) for one in told] == [(on_timeout, True)]
    assert book.status(run_id) == "RUNNABLE"
    assert answer(book, run_id, ordinal=0)["why"].endswith(f"{on_timeout or 'nothing'}, by the time-out")
    work.close()


def test_many_go_off_in_one_commit_and_one_that_is_gone_holds_up_no_other(book: Book) -> None:
    """I12: timers and gates fire late, never never."""
    waits = [waiting(book, gate(seconds=float(number + 1))) for number in range(20)]
    ended = waiting(book, gate(seconds=1.0))
    book.do(runs.cancel, ended)
    book.clock.advance(3600)
    work = Work(book.path)
    due: list[DueTimer | DueGate] = [*work.gates(book.clock.wall_us(), 100)]
    assert len(due) == 20
    gone = DueGate(book.run(ended)["no"], "pay", 0)
    assert book.do(alarms.set_off, [gone, *due]) == 20
    assert {book.status(run_id) for run_id in waits} == {"RUNNABLE"}
    invariants.check(book.writer.connection)
    work.close()


# --- approvals ---


def approved(book: Book, value: str = "approve", **more: Any) -> tuple[str, int]:
    run_id, epoch = opened(book, approves=bound(), **more)
    answer(book, run_id, value)
    return run_id, epoch


def test_an_approval_is_used_up_by_the_call_that_it_is_bound_to(book: Book) -> None:
    run_id, epoch = approved(book)
    key = wire(book, run_id, epoch, "pay 0", policy=GUARDED)
    assert book.row("SELECT used_by FROM gate")["used_by"] == key
    assert book.bodies("effect_begun")[0]["approval"] == "pay 0"
    book.end(run_id, epoch, key)
    again = Call(None, 1, "wire", ARGS, GUARDED, None, "pay 0")
    book.refused(effects.begin_effect, run_id, epoch, again, "f", by=UsageError, says="used up by")
    invariants.check(book.writer.connection)


@pytest.mark.parametrize(
    ("approval", "args", "says"),
    [
        (None, ARGS, "names none"),
        ("pay 1", ARGS, "no such gate"),
        ("pay 0", {**ARGS, "amount_minor": 12_501}, "bound to another call"),
        ("pay 0", {**ARGS, "to": "EVIL"}, "bound to another call"),
    ],
)
def test_an_agent_that_lies_about_its_approval_begins_nothing(
    book: Book, approval: str | None, args: Any, says: str
) -> None:
    run_id, epoch = approved(book)
    for policy in (BLIND, GUARDED):  # the gate that was bound to the tool is enough to guard it
        call = Call(None, 0, "wire", args, policy, None, approval)
        book.refused(effects.begin_effect, run_id, epoch, call, "f", by=UsageError, says=says)


def test_only_the_first_option_approves(book: Book) -> None:
    run_id, epoch = approved(book, "deny")
    call = Call(None, 0, "wire", ARGS, BLIND, None, "pay 0")
    book.refused(effects.begin_effect, run_id, epoch, call, "f", by=UsageError, says="its answer is deny")


def test_a_gate_that_is_open_approves_nothing(book: Book) -> None:
    run_id, epoch = opened(book, approves=bound())
    call = Call(None, 0, "wire", ARGS, BLIND, None, "pay 0")
    book.refused(effects.begin_effect, run_id, epoch, call, "f", by=UsageError, says="it is OPEN")
    other = Call(None, 0, "mail", ARGS, BLIND)
    book.do(effects.begin_effect, run_id, epoch, other, "f")  # another tool is nobody's business


def test_a_declared_tool_needs_an_approval_without_any_gate(book: Book) -> None:
    run_id, epoch = book.driven()
    call = Call(None, 0, "wire", ARGS, GUARDED)
    book.refused(effects.begin_effect, run_id, epoch, call, "f", by=UsageError, says="names none")


def test_an_answer_that_was_taken_over_approves_nothing(book: Book) -> None:
    run_id, epoch = opened(book, approves=bound())

    def take_over(tx: Tx) -> None:
        run = edit_run(tx, run_id)
        tx.update(GateRow, {"status": "ANSWERED", "answer": "approve", "actor": "ann"}, run_no=run.no, status="OPEN")
        run.record(GateAnswered(name="pay", ordinal=0, answer="approve", actor="ann", void=True))
        run.set(source_id="r-000000000000", source_seq=3)
        run.save()

    book.do(take_over)
    call = Call(None, 0, "wire", ARGS, BLIND, None, "pay 0")
    book.refused(effects.begin_effect, run_id, epoch, call, "f", by=UsageError, says="taken over from another run")


def test_an_approval_outlives_a_crash(book: Book) -> None:
    run_id, _ = approved(book)
    book.die(run_id)
    key = wire(book, run_id, book.again(run_id), "pay 0")
    assert book.row("SELECT used_by FROM gate")["used_by"] == key
    book.die(run_id)
    invariants.check(book.writer.connection)


def test_an_open_gate_does_not_hold_up_an_effect_that_is_settled(book: Book) -> None:
    """I8, I12: the run waits for the look-up first, then for the gate again, in another drive."""
    run_id, epoch = opened(book)
    key = book.begin(run_id, epoch, SURE)
    book.die(run_id)
    assert book.status(run_id) == "WAITING" and "look-up" in book.run(run_id)["waiting_on"]
    assert answer(book, run_id)["status"] == "answered"
    assert book.status(run_id) == "WAITING", "the effect is still open"
    claim = book.claim(run_id, key)
    book.do(claims.record_observation, claim, "present", [{"id": 1}], "")
    assert book.status(run_id) == "RUNNABLE"


def test_a_stuck_run_takes_its_answer_and_stays_stuck(book: Book) -> None:
    run_id, epoch = opened(book)
    book.begin(run_id, epoch, BLIND)
    book.die(run_id)
    assert book.status(run_id) == "STUCK"
    assert answer(book, run_id)["status"] == "answered"
    assert book.status(run_id) == "STUCK"


def test_no_answer_moves_an_answered_gate(book: Book) -> None:
    run_id = waiting(book)
    answer(book, run_id)

    def twice(tx: Any) -> None:
        run = runs.edit_run(tx, run_id)
        row = tx.connection.execute("SELECT * FROM gate").fetchone()
        gates.close_gate(run, row, "deny")

    book.refused(twice, by=IllegalTransition)
    with pytest.raises(Refused):
        book.do(twice)


# --- what others see ---


def test_a_gate_is_listed_with_everything_that_is_needed_to_decide(book: Book) -> None:
    run_id = waiting(book, gate("pay it", seconds=60.0, on_timeout="deny", approves=bound()))
    with open_reader(book.path) as reader:
        (need,) = reader.needs()
        assert audit(reader).findings == (), "an open gate explains why its run waits"
        assert reader.backlog().timers == Queue(1, next_us=need.deadline_us)
    assert (need.kind, need.run_id, need.key, need.gate, need.ordinal) == (
        NeedKind.GATE,
        run_id,
        "gate pay it 0",
        "pay it",
        0,
    )
    assert (need.tool, need.args, need.args_hash) == ("wire", ARGS, hash_json(ARGS))
    assert (need.prompt, need.options, need.on_timeout) == ("Pay?", ("approve", "deny"), "deny")
    assert need.commands[0] == f"tape answer {run_id} 'pay it' approve --ordinal 0 --reason TEXT"
    answer(book, run_id, "deny", name="pay it")
    with open_reader(book.path) as reader:
        assert reader.needs() == [] and audit(reader).findings == ()


def test_a_doctor_knows_every_state_of_a_gate(book: Book) -> None:
    run_id, epoch = approved(book)
    book.end(run_id, epoch, wire(book, run_id, epoch, "pay 0"))
    answer(book, run_id, "deny", name="legal", ordinal=0)
    book.do(gates.open_gate, run_id, epoch, gate("late"))
    with open_reader(book.path) as reader:
        assert audit(reader).findings == ()
    book.do(runs.end_run, run_id, epoch, "TERMINAL", None, None)
    with open_reader(book.path) as reader:
        assert audit(reader).findings == ()


def test_a_run_that_waits_at_a_gate_is_small(book: Book) -> None:
    """Less than 4 kB for each, everything counted: entries, rows, indexes, free space of the pages."""
    first = [waiting(book, gate(seconds=86_400.0, approves=bound())) for _ in range(50)]
    sizes = [book.row("PRAGMA page_count")[0] * book.row("PRAGMA page_size")[0]]
    more = [waiting(book, gate(seconds=86_400.0, approves=bound())) for _ in range(200)]
    sizes.append(book.row("PRAGMA page_count")[0] * book.row("PRAGMA page_size")[0])
    assert len({*first, *more}) == 250
    assert (sizes[1] - sizes[0]) / 200 < 4096
