"""A cap as a gate (I10, I2): what waits for one stands beside the tape, a person raises it or will not, nothing is held
back beyond it meanwhile, and nothing is forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tape.core.journal import capgates, claims, effects, gates, records, runs
from tape.core.journal.audit import audit
from tape.core.journal.effects import Call
from tape.core.journal.gates import Answer, Gate
from tape.core.journal.purses import Limits, Usage
from tape.core.journal.views import open_reader
from tape.core.journal.work import Work
from tape.core.kernel.errors import UsageError
from tape.core.kernel.identity import effect_key
from tape.core.kernel.resolution import Dispatch
from tests.journal import invariants
from tests.journal.book import BLIND, CONFIRMED, FAILED, OUTBOX, READ, Book

TEN = Usage(tokens_in=7, tokens_out=3)
ME = ("me@here", "worth it")
OUTBOX_READ = replace(READ, dispatch=Dispatch.OUTBOX)


@pytest.fixture
def purse(tmp_path: Path) -> Iterator[Book]:
    book = Book(tmp_path / "dev.db")
    yield book
    invariants.check(book.writer.connection)
    with open_reader(book.path) as reader:
        assert audit(reader).findings == ()
    book.close()


def gated(book: Book, **units: int) -> tuple[str, int]:
    """A run whose agent asks a person where a cap is in the way."""
    return attached(book, book.start(), gated=True, **units)


def child_of(book: Book, parent: str, *, gated: bool = False, **units: int) -> tuple[str, int]:
    return attached(book, book.child(parent), gated=gated, **units)


def attached(book: Book, run_id: str, *, gated: bool, **units: int) -> tuple[str, int]:
    """`calls_buy=2` is a cap on calls of `buy`."""
    epoch = book.grant(run_id)
    caps = {name.replace("calls_", "calls:"): cap for name, cap in units.items()}
    book.do(records.attach, run_id, epoch, [], caps, gated=gated)
    return run_id, epoch


def ask(book: Book, run_id: str, epoch: int, index: int = 0, tokens: int | None = None, usd: int | None = None) -> bool:
    """False: it waits, or was refused."""
    before = len(book.bodies("model_asked"))
    book.do(records.ask_model, run_id, epoch, index, "ask", Limits(tokens, usd), fingerprint="f")
    return len(book.bodies("model_asked")) > before


def act(book: Book, run_id: str, epoch: int, ordinal: int = 0, cost: int | None = None) -> str:
    book.do(effects.begin_effect, run_id, epoch, Call(None, ordinal, "tool", {}, BLIND, cost_micro=cost), "f")
    return effect_key(run_id, None, ordinal, "tool")


def park(book: Book, run_id: str, epoch: int, *places: str, also: tuple[str, ...] = ()) -> Any:
    book.do(runs.park, run_id, epoch, [*also, *(f"budget {place}" for place in places)], "waiting")
    return book.run(run_id)


def raised(book: Book, run_id: str, **units: int) -> dict[str, Any]:
    told = {name.replace("calls_", "calls:"): cap for name, cap in units.items()}
    return book.do(capgates.raise_caps, run_id, told, *ME)


def needs(book: Book) -> list[Any]:
    with open_reader(book.path) as reader:
        return [need for need in reader.needs() if need.kind == "budget"]


def waits(book: Book) -> list[tuple[str, str]]:
    return [(row["place"], row["status"]) for row in book.rows("SELECT place, status FROM cap_wait ORDER BY place")]


# --- one run ----------------------------------------------------------------------------------------------------------


def test_nothing_stands_on_the_tape_and_the_run_waits(purse: Book) -> None:
    run_id, epoch = gated(purse, tokens=50)
    assert ask(purse, run_id, epoch, tokens=40)
    purse.decide(run_id, epoch, usage=TEN)
    before = purse.tape(run_id)
    assert not ask(purse, run_id, epoch, 1, tokens=41)
    assert purse.tape(run_id) == before and purse.bodies("budget_refused") == []
    assert purse.purse(run_id) == (50, 0, 10, 0), "nothing is held back for it"
    (waiting,) = purse.bodies("budget_awaited")
    assert waiting == {
        "place": "decision 1", "unit": "tokens", "asked": 41, "cap": 50, "spent": 10, "reserved": 0, "run": run_id,
    }  # fmt: skip
    row = park(purse, run_id, epoch, "decision 1")
    assert (row["status"], row["waiting_on"], row["worker_no"]) == ("WAITING", "budget for decision 1", None)
    assert purse.tape(run_id) == before


def test_a_raise_wakes_the_run_and_its_tape_is_as_if_the_cap_had_been_higher(purse: Book) -> None:
    tapes: list[list[str]] = []
    for cap in (40, 100):
        run_id, epoch = gated(purse, tokens=cap)
        if not ask(purse, run_id, epoch, tokens=60):
            park(purse, run_id, epoch, "decision 0")
            done = raised(purse, run_id, tokens=60)
            assert done == {"caps": {"tokens": 60}, "woken": [run_id], "waiting": []}
            assert purse.run(run_id)["status"] == "RUNNABLE"
            epoch = purse.again(run_id)
            assert ask(purse, run_id, epoch, tokens=60), "the same ask goes ahead"
        purse.decide(run_id, epoch, usage=TEN)
        purse.do(runs.end_run, run_id, epoch, "TERMINAL", None, None)
        tapes.append(purse.tape(run_id))
    assert tapes[0] == tapes[1] == ["run_started", "decision", "charge", "run_ended"]
    assert waits(purse) == []


def test_a_raise_too_small_leaves_it_waiting_and_says_so(purse: Book) -> None:
    run_id, epoch = gated(purse, tokens=40, usd_micro=100)
    ask(purse, run_id, epoch, tokens=60, usd=500)
    park(purse, run_id, epoch, "decision 0")
    done = raised(purse, run_id, tokens=59)
    assert done["woken"] == [] and purse.run(run_id)["status"] == "WAITING"
    assert done["waiting"] == [
        {
            "run": run_id, "place": "decision 0", "budget": run_id, "unit": "tokens", "asked": 60, "cap": 59,
            "spent": 0, "reserved": 0, "enough": 60,
        }
    ]  # fmt: skip
    (still,) = raised(purse, run_id, tokens=60)["waiting"]
    assert (still["unit"], still["enough"]) == ("usd_micro", 500), "the other cap is in the way still"
    assert [(need.unit, need.most) for need in needs(purse)] == [("usd_micro", 500)], "and that is what is shown"
    assert raised(purse, run_id, usd_micro=500)["woken"] == [run_id]


def test_a_person_who_will_not_is_the_refusal_on_the_tape(purse: Book) -> None:
    run_id, epoch = gated(purse, tokens=40)
    ask(purse, run_id, epoch, tokens=60)
    park(purse, run_id, epoch, "decision 0")
    assert purse.do(capgates.deny_caps, run_id, "me@here", "too much") == {"denied": ["decision 0"]}
    assert purse.run(run_id)["status"] == "RUNNABLE" and purse.tape(run_id) == ["run_started"]
    assert waits(purse) == [("decision 0", "ANSWERED")]
    epoch = purse.again(run_id)
    assert not ask(purse, run_id, epoch, tokens=60)
    (refused,) = purse.bodies("budget_refused")
    assert refused == {
        "place": "decision 0", "ordinal": 0, "unit": "tokens", "asked": 60, "cap": 40, "spent": 0, "reserved": 0,
        "run": run_id, "fingerprint": "f", "actor": "me@here", "reason": "too much",
    }  # fmt: skip
    assert waits(purse) == [] and purse.tape(run_id) == ["run_started", "budget_refused"]
    assert not ask(purse, run_id, epoch, tokens=60), "asked again, it waits again"
    assert waits(purse) == [("decision 0", "OPEN")]


def test_the_first_word_counts(purse: Book) -> None:
    """Denied, and raised before the agent has asked again: it was denied."""
    run_id, epoch = gated(purse, calls_tool=0)
    key = act(purse, run_id, epoch)
    park(purse, run_id, epoch, key)
    purse.do(capgates.deny_caps, run_id, *ME)
    raised(purse, run_id, calls_tool=5)
    purse.refused(capgates.deny_caps, run_id, *ME, says="waits for no cap")
    epoch = purse.again(run_id)
    act(purse, run_id, epoch)
    assert purse.tape(run_id) == ["run_started", "budget_refused"]
    assert purse.bodies("budget_refused")[0]["cap"] == 5
    act(purse, run_id, epoch, 1)
    assert purse.tape(run_id)[-1] == "effect_begun"


def test_raised_before_it_has_parked(purse: Book) -> None:
    run_id, epoch = gated(purse, tokens=40)
    ask(purse, run_id, epoch, tokens=60)
    assert raised(purse, run_id, tokens=60)["woken"] == [run_id], "its worker asks again"
    assert park(purse, run_id, epoch, "decision 0")["status"] == "RUNNABLE"


def test_denied_before_it_has_parked(purse: Book) -> None:
    run_id, epoch = gated(purse, tokens=40)
    ask(purse, run_id, epoch, tokens=60)
    purse.do(capgates.deny_caps, run_id, *ME)
    assert park(purse, run_id, epoch, "decision 0")["status"] == "RUNNABLE"
    assert waits(purse) == [("decision 0", "ANSWERED")]


@pytest.mark.parametrize("word", ["raised", "denied", "nobody"])
def test_a_death_between_the_wait_and_the_park(purse: Book, word: str) -> None:
    run_id, epoch = gated(purse, tokens=40)
    ask(purse, run_id, epoch, tokens=60)
    purse.die(run_id)
    assert purse.run(run_id)["status"] == "RUNNABLE"
    if word == "raised":
        raised(purse, run_id, tokens=60)
    elif word == "denied":
        purse.do(capgates.deny_caps, run_id, *ME)
    epoch = purse.again(run_id)
    assert ask(purse, run_id, epoch, tokens=60) is (word == "raised")
    assert purse.tape(run_id) == ["run_started"] + (["budget_refused"] if word == "denied" else [])
    assert waits(purse) == ([("decision 0", "OPEN")] if word == "nobody" else [])


def test_a_lost_reply_counts_while_it_waits(purse: Book) -> None:
    run_id, epoch = gated(purse, tokens=70)
    assert ask(purse, run_id, epoch, tokens=40)
    purse.die(run_id)
    epoch = purse.again(run_id)
    assert not ask(purse, run_id, epoch, tokens=40)
    assert purse.purse(run_id) == (70, 0, 40, 40)
    park(purse, run_id, epoch, "decision 0")
    (still,) = raised(purse, run_id, tokens=79)["waiting"]
    assert still["enough"] == 80
    raised(purse, run_id, tokens=80)
    epoch = purse.again(run_id)
    assert ask(purse, run_id, epoch, tokens=40)
    purse.decide(run_id, epoch, usage=TEN)


def test_without_a_mark_it_waits_when_nothing_is_left(purse: Book) -> None:
    run_id, epoch = gated(purse, tokens=10)
    assert ask(purse, run_id, epoch)
    purse.decide(run_id, epoch, usage=TEN)
    assert not ask(purse, run_id, epoch, 1)
    park(purse, run_id, epoch, "decision 1")
    assert raised(purse, run_id, tokens=11)["woken"] == [run_id]


# --- who waits, and for how long ------------------------------------------------------------------------------------


def test_of_a_batch_only_what_does_not_fit_waits(purse: Book) -> None:
    run_id, epoch = gated(purse, calls_tool=2)
    keys = [act(purse, run_id, epoch, ordinal) for ordinal in range(4)]
    assert purse.tape(run_id) == ["run_started", "effect_begun", "effect_begun"]
    purse.end(run_id, epoch, keys[0])
    purse.end(run_id, epoch, keys[1])
    row = park(purse, run_id, epoch, keys[2], keys[3])
    assert row["waiting_on"] == "budget for -/2/tool, budget for -/3/tool"
    done = raised(purse, run_id, calls_tool=3)
    assert done["woken"] == [run_id], "one of them fits"
    epoch = purse.again(run_id)
    assert act(purse, run_id, epoch, 2) == keys[2]
    act(purse, run_id, epoch, 3)
    assert waits(purse) == [(keys[3], "OPEN")]
    purse.end(run_id, epoch, keys[2])
    park(purse, run_id, epoch, keys[3])
    assert purse.do(capgates.deny_caps, run_id, *ME) == {"denied": [keys[3]]}


def test_what_a_sibling_gives_back_may_be_enough(purse: Book) -> None:
    run_id, epoch = gated(purse, calls_tool=1)
    first, second = act(purse, run_id, epoch), act(purse, run_id, epoch, 1)
    purse.end(run_id, epoch, first, ending=FAILED)
    assert park(purse, run_id, epoch, second)["status"] == "RUNNABLE", "one call is left again"


def test_what_the_code_does_not_come_to_waits_no_more(purse: Book) -> None:
    run_id, epoch = gated(purse, tokens=40, calls_tool=0)
    key = act(purse, run_id, epoch)
    ask(purse, run_id, epoch, tokens=60)
    park(purse, run_id, epoch, key)
    assert waits(purse) == [(key, "OPEN")]


def test_one_that_waits_for_a_timer_too_goes_on_at_the_first_of_them(purse: Book) -> None:
    run_id, epoch = gated(purse, tokens=40)
    ask(purse, run_id, epoch, tokens=60)
    purse.do(records.set_timer, run_id, epoch, 0, 60.0, "f")
    row = park(purse, run_id, epoch, "decision 0", also=("timer 0",))
    assert row["waiting_on"] == "timer 0, budget for decision 0"
    raised(purse, run_id, tokens=60)
    assert purse.run(run_id)["status"] == "RUNNABLE"


def test_what_came_before_the_park_is_not_slept_over(purse: Book) -> None:
    """A gate is answered after the agent made up its mind to park for it and for a timer."""
    run_id, epoch = purse.driven()
    purse.do(gates.open_gate, run_id, epoch, Gate("go", 0, "", ("yes", "no"), "f"))
    purse.do(records.set_timer, run_id, epoch, 0, 60.0, "f")
    purse.do(gates.answer_gate, run_id, Answer("go", "yes"))
    assert park(purse, run_id, epoch, also=("timer 0", "gate go 0"))["status"] == "RUNNABLE"


def test_cancelled_while_it_waits(purse: Book) -> None:
    run_id, epoch = gated(purse, tokens=40)
    ask(purse, run_id, epoch, tokens=60)
    park(purse, run_id, epoch, "decision 0")
    assert purse.do(runs.cancel, run_id) == "CANCELLED"
    assert waits(purse) == [] and needs(purse) == []
    purse.refused(capgates.deny_caps, run_id, *ME, says="has ended")


def test_a_run_that_fails_waits_for_nothing(purse: Book) -> None:
    run_id, epoch = gated(purse, calls_tool=0)
    act(purse, run_id, epoch)
    purse.do(runs.end_run, run_id, epoch, "FAILED", None, None)
    assert waits(purse) == []


def test_there_is_nothing_to_deny(purse: Book) -> None:
    run_id, _ = gated(purse, tokens=40)
    purse.refused(capgates.deny_caps, run_id, *ME, says="waits for no cap")


def test_an_answer_that_was_meant_for_the_budget(purse: Book) -> None:
    """It is no early answer to a gate that will never come."""
    run_id, epoch = gated(purse, tokens=40)
    ask(purse, run_id, epoch, tokens=60)
    park(purse, run_id, epoch, "decision 0")
    purse.refused(
        gates.answer_gate, run_id, Answer("budget", "deny"), by=UsageError, says=f"tape budget {run_id} --deny"
    )
    purse.do(gates.answer_gate, run_id, Answer("later", "yes", 0))
    assert purse.bodies("early_answer")[0]["name"] == "later", "one can be answered ahead all the same"


# --- whose cap ------------------------------------------------------------------------------------------------------


def test_without_the_word_a_cap_refuses(purse: Book) -> None:
    run_id = purse.start(caps={"tokens": 40})
    epoch = purse.grant(run_id)
    assert not ask(purse, run_id, epoch, tokens=60)
    assert purse.tape(run_id) == ["run_started", "budget_refused"] and purse.bodies("budget_awaited") == []


def test_a_cap_of_the_projects_is_one_of_the_run(purse: Book) -> None:
    """tape.yaml's caps come with the run, what is done about them with its agent."""
    run_id = purse.start(caps={"tokens": 40})
    epoch = purse.grant(run_id)
    purse.do(records.attach, run_id, epoch, [], {}, gated=True)
    assert not ask(purse, run_id, epoch, tokens=60)
    assert purse.tape(run_id) == ["run_started"] and waits(purse) == [("decision 0", "OPEN")]


def test_a_child_waits_for_its_parents_cap(purse: Book) -> None:
    parent, parent_epoch = gated(purse, tokens=100)
    child, epoch = child_of(purse, parent)
    park(purse, parent, parent_epoch, also=("child 0",))
    assert not ask(purse, child, epoch, tokens=120)
    park(purse, child, epoch, "decision 0")
    (need,) = needs(purse)
    assert (need.run_id, need.budget, need.cap, need.spent, need.reserved, need.most) == (
        child,
        parent,
        100,
        0,
        0,
        120,
    )
    assert need.commands[0] == f"tape budget {parent} --tokens 120 --reason TEXT"
    purse.refused(capgates.deny_caps, parent, *ME, says=f"{child} waits for its budget: `tape budget {child} --deny`")
    assert raised(purse, child, tokens=500)["waiting"][0]["budget"] == parent, "its own cap is not in the way"
    assert raised(purse, parent, tokens=120) == {"caps": {"tokens": 120}, "woken": [child], "waiting": []}
    assert (purse.run(child)["status"], purse.run(parent)["status"]) == ("RUNNABLE", "WAITING")
    epoch = purse.again(child)
    assert ask(purse, child, epoch, tokens=120)
    assert purse.purse(parent) == (120, 120, 0, 0)
    purse.decide(child, epoch, usage=TEN)


def test_two_levels_up(purse: Book) -> None:
    top, _ = gated(purse, calls_tool=0)
    middle, _ = child_of(purse, top)
    low, epoch = child_of(purse, middle)
    park(purse, low, epoch, act(purse, low, epoch))
    assert raised(purse, top, calls_tool=1)["woken"] == [low]


def test_a_cap_that_refuses_is_in_the_way_first(purse: Book) -> None:
    """The parent's cap could be raised, the child's own refuses: no person is asked for nothing."""
    parent, _ = gated(purse, tokens=100)
    child, epoch = child_of(purse, parent, tokens=110)
    assert not ask(purse, child, epoch, tokens=120)
    (refused,) = purse.bodies("budget_refused")
    assert refused["run"] == child and waits(purse) == []
    other, epoch = child_of(purse, parent, tokens=500)
    assert not ask(purse, other, epoch, tokens=120)
    assert waits(purse) == [("decision 0", "OPEN")]


def test_the_other_way_round(purse: Book) -> None:
    parent = purse.start(caps={"tokens": 100})
    purse.grant(parent)
    child, epoch = child_of(purse, parent, gated=True, tokens=110)
    assert not ask(purse, child, epoch, tokens=105)
    assert purse.bodies("budget_refused")[0]["run"] == parent
    other, epoch = child_of(purse, parent, gated=True, tokens=50)
    assert not ask(purse, other, epoch, tokens=60)
    assert waits(purse) == [("decision 0", "OPEN")], "its own cap may be raised"


def test_what_a_child_gives_back_is_looked_at(purse: Book) -> None:
    """Nobody raises anything: another child was cheaper than what was held back for it."""
    parent, parent_epoch = gated(purse, tokens=100)
    (first, one), (second, two) = child_of(purse, parent), child_of(purse, parent)
    park(purse, parent, parent_epoch, also=("child 0", "child 1"))
    assert ask(purse, first, one, tokens=60)
    assert not ask(purse, second, two, tokens=60)
    park(purse, second, two, "decision 0")
    work = Work(purse.path)
    assert work.to_recheck() == []
    purse.decide(first, one, usage=TEN)
    assert work.to_recheck() == [second]
    assert purse.do(capgates.recheck_waits, second) is True
    assert purse.run(second)["status"] == "RUNNABLE" and work.to_recheck() == []
    two = purse.again(second)
    assert ask(purse, second, two, tokens=60)
    purse.decide(second, two, usage=TEN)
    work.close()


def test_too_little_given_back_is_looked_at_once(purse: Book) -> None:
    parent, _ = gated(purse, tokens=100)
    (first, one), (second, two) = child_of(purse, parent), child_of(purse, parent)
    ask(purse, first, one, tokens=60)
    ask(purse, second, two, tokens=95)
    park(purse, second, two, "decision 0")
    purse.decide(first, one, usage=TEN)
    work = Work(purse.path)
    assert work.to_recheck() == [second]
    assert purse.do(capgates.recheck_waits, second) is False
    assert work.to_recheck() == [] and purse.run(second)["status"] == "WAITING"
    work.close()


def outbox_calls(book: Book) -> tuple[str, list[str]]:
    """Two are to be dispatched, a third waits for a cap that the first may give back."""
    run_id, epoch = gated(book, usd_micro=100)
    keys: list[str] = []
    for ordinal, (policy, cost) in enumerate([(OUTBOX_READ, 50), (OUTBOX, 50), (OUTBOX, 40)]):
        call = Call(None, ordinal, "tool", {}, policy, cost_micro=cost)
        book.do(effects.begin_effect, run_id, epoch, call, "f")
        keys.append(effect_key(run_id, None, ordinal, "tool"))
    park(book, run_id, epoch, keys[2], also=tuple(keys[:2]))
    return run_id, keys


def test_what_fits_while_something_else_holds_the_run_is_looked_at_once(purse: Book) -> None:
    run_id, (first, second, third) = outbox_calls(purse)
    work = Work(purse.path)
    purse.do(claims.end_dispatch, purse.claim(run_id, first, "body"), FAILED)
    claim = purse.claim(run_id, second, "body")
    assert work.to_recheck() == [run_id]
    assert purse.do(capgates.recheck_waits, run_id) is False, "a body is under way"
    assert work.to_recheck() == [] and purse.run(run_id)["status"] == "WAITING"
    purse.do(claims.end_dispatch, claim, CONFIRMED)
    assert purse.run(run_id)["status"] == "RUNNABLE" and waits(purse) == [(third, "OPEN")]
    act(purse, run_id, purse.again(run_id), 2, cost=40)
    assert waits(purse) == []
    work.close()


def test_a_raise_names_only_runs_that_go_on(purse: Book) -> None:
    run_id, (first, second, _) = outbox_calls(purse)
    assert raised(purse, run_id, usd_micro=140) == {"caps": {"usd_micro": 140}, "woken": [], "waiting": []}
    assert purse.run(run_id)["status"] == "WAITING"
    for key in (first, second):
        purse.do(claims.end_dispatch, purse.claim(run_id, key, "body"), CONFIRMED)
    assert purse.run(run_id)["status"] == "RUNNABLE"


def test_code_that_wants_less_now_is_judged_by_that(purse: Book) -> None:
    run_id, epoch = gated(purse, tokens=10, usd_micro=100)
    assert not ask(purse, run_id, epoch, tokens=5, usd=500)
    purse.die(run_id)
    epoch = purse.again(run_id)
    assert not ask(purse, run_id, epoch, tokens=5, usd=200), "its limit was mended meanwhile"
    park(purse, run_id, epoch, "decision 0")
    assert [need.most for need in needs(purse)] == [200]
    done = raised(purse, run_id, usd_micro=200)
    assert (done["woken"], done["waiting"]) == ([run_id], [])


def test_a_parent_that_is_cancelled_takes_a_child_that_waits_with_it(purse: Book) -> None:
    parent, parent_epoch = gated(purse, tokens=10)
    child, epoch = child_of(purse, parent)
    ask(purse, child, epoch, tokens=60)
    park(purse, child, epoch, "decision 0")
    park(purse, parent, parent_epoch, also=("child 0",))
    purse.do(runs.cancel, parent)
    assert purse.run(child)["status"] == purse.run(parent)["status"] == "CANCELLED"
    assert waits(purse) == []


def test_a_parent_that_waits_itself_while_its_child_is_taken_back(purse: Book) -> None:
    """Money comes back in the very verb that ends both."""
    parent, epoch = gated(purse, tokens=100)
    child, child_epoch = child_of(purse, parent)
    ask(purse, child, child_epoch, tokens=60)
    ask(purse, parent, epoch, tokens=60)
    park(purse, parent, epoch, "decision 0")
    purse.die(child)
    purse.do(runs.cancel, parent)
    assert purse.run(parent)["status"] in ("CANCELLED", "COMPENSATING")
    assert waits(purse) == []


# --- what a person sees -----------------------------------------------------------------------------------------------


def test_the_need_says_who_and_how_much(purse: Book) -> None:
    run_id, epoch = gated(purse, usd_micro=50_000)
    assert ask(purse, run_id, epoch, usd=30_000)
    purse.decide(run_id, epoch, usage=Usage(usd_micro=30_000))
    key = act(purse, run_id, epoch, cost=30_000)
    assert needs(purse)[0].key == key, "at once, while its worker may still be at other work"
    purse.clock.advance(5)
    park(purse, run_id, epoch, key)
    (need,) = needs(purse)
    assert (need.run_id, need.agent, need.key, need.tool) == (run_id, "agent", key, "tool")
    assert (need.unit, need.most, need.cap, need.spent, need.reserved) == ("usd_micro", 30_000, 50_000, 30_000, 0)
    assert need.why == "-/0/tool may take $0.03, and $0.02 are left of $0.05"
    assert need.commands == (
        f"tape budget {run_id} --usd 0.06 --reason TEXT",
        f"tape budget {run_id} --deny --reason TEXT",
    )
    assert purse.clock.wall_us() - need.since_us == 5_000_000
    raised(purse, run_id, usd_micro=60_000)
    assert needs(purse) == []


def test_calls_are_told_by_their_tool(purse: Book) -> None:
    run_id, epoch = gated(purse, calls_tool=0)
    park(purse, run_id, epoch, act(purse, run_id, epoch))
    (need,) = needs(purse)
    assert need.why == "-/0/tool may take 1 call of tool, and 0 calls of tool are left of 0 calls of tool"
    assert need.commands[0] == f"tape budget {run_id} --calls tool=1 --reason TEXT"


def test_a_first_attachment_decides(purse: Book) -> None:
    """As with the caps: from then on the journal's word holds, whatever the code says later."""
    run_id, epoch = gated(purse, tokens=40)
    purse.die(run_id)
    epoch = purse.again(run_id)
    purse.do(records.attach, run_id, epoch, [], {"tokens": 40}, gated=False)
    assert not ask(purse, run_id, epoch, tokens=60)
    assert purse.bodies("budget_refused") == []
