"""Budgets that hold (I10): held back before an ask or an act, settled with its record, lost with a reply nobody saw."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tape.core.journal import caps, claims, effects, records, runs
from tape.core.journal.effects import Call, Ending
from tape.core.journal.records import Usage
from tape.core.kernel.errors import Refused, UsageError
from tape.core.kernel.identity import effect_key
from tape.core.kernel.lifecycle import EffectStatus
from tape.core.kernel.resolution import Answer
from tests.journal import invariants
from tests.journal.book import BLIND, BOOM, CONFIRMED, FAILED, IDEMPOTENT, OUTBOX, SURE, Book

TEN = Usage(tokens_in=7, tokens_out=3)


@pytest.fixture
def purse(tmp_path: Path) -> Iterator[Book]:
    book = Book(tmp_path / "dev.db")
    yield book
    invariants.check(book.writer.connection)
    book.close()


def capped(book: Book, **units: int) -> tuple[str, int]:
    run_id = book.start(caps={name.replace("calls_", "calls:"): cap for name, cap in units.items()})
    return run_id, book.grant(run_id)


def child_of(book: Book, parent: str, **units: int) -> tuple[str, int]:
    """A run that draws from this one's purse, under a lease."""
    run_id = book.child(parent, **{name.replace("calls_", "calls:"): cap for name, cap in units.items()})
    return run_id, book.grant(run_id)


def act(book: Book, run_id: str, epoch: int, *, ordinal: int = 0, cost: int | None = None, policy: Any = BLIND) -> str:
    book.do(effects.begin_effect, run_id, epoch, Call(None, ordinal, "tool", {}, policy, cost_micro=cost), "f")
    return effect_key(run_id, None, ordinal, "tool")


# --- asks ---------------------------------------------------------------------------------------------------------


def test_an_ask_holds_back_its_maximum_and_pays_what_it_cost(purse: Book) -> None:
    run_id, epoch = capped(purse, tokens=100)
    assert purse.ask(run_id, epoch, tokens=40)
    assert purse.purse(run_id) == (100, 40, 0, 0)
    purse.decide(run_id, epoch, usage=TEN)
    assert purse.purse(run_id) == (100, 0, 10, 0)
    assert purse.bodies("model_asked")[0]["reserved"] == {"tokens": 40}


def test_a_cap_is_reached_at_its_edge_and_not_passed(purse: Book) -> None:
    run_id, epoch = capped(purse, tokens=50)
    assert purse.ask(run_id, epoch, tokens=50)
    purse.decide(run_id, epoch, usage=TEN)
    assert not purse.ask(run_id, epoch, 1, tokens=41)
    (refused,) = purse.bodies("budget_refused")
    assert refused == {
        "place": "decision 1", "ordinal": 0, "unit": "tokens", "asked": 41, "cap": 50, "spent": 10, "reserved": 0,
        "run": run_id, "fingerprint": "f", "actor": "", "reason": "",
    }  # fmt: skip
    assert purse.purse(run_id) == (50, 0, 10, 0)
    assert purse.ask(run_id, epoch, 1, tokens=40), "exactly what is left"


def test_a_refusal_stands_on_the_tape_and_uses_up_no_index(purse: Book) -> None:
    run_id, epoch = capped(purse, tokens=5)
    assert not purse.ask(run_id, epoch, tokens=6)
    assert not purse.ask(run_id, epoch, tokens=7)
    assert [(body["place"], body["ordinal"]) for body in purse.bodies("budget_refused")] == [
        ("decision 0", 0),
        ("decision 0", 1),
    ]
    assert purse.ask(run_id, epoch, tokens=5)
    purse.decide(run_id, epoch)
    assert purse.tape(run_id) == ["run_started", "budget_refused", "budget_refused", "decision", "charge"]


def test_an_ask_without_a_mark_takes_what_is_left(purse: Book) -> None:
    run_id, epoch = capped(purse, tokens=100, usd_micro=500)
    act(purse, run_id, epoch, cost=100)
    assert purse.ask(run_id, epoch)
    assert purse.purse(run_id) == (100, 100, 0, 0)
    assert purse.purse(run_id, "usd_micro") == (500, 500, 0, 0)
    act(purse, run_id, epoch, ordinal=1, cost=1)
    assert purse.bodies("budget_refused")[-1]["place"].endswith("/-/1/tool"), "nothing else fits at the same time"
    purse.decide(run_id, epoch, usage=Usage(60, 40, 400))
    assert not purse.ask(run_id, epoch, 1), "nothing is left"
    assert purse.bodies("budget_refused")[-1]["asked"] == 1


def test_without_a_cap_nothing_is_held_back(purse: Book) -> None:
    run_id, epoch = capped(purse)
    assert purse.ask(run_id, epoch, tokens=40, usd=5)
    assert purse.rows("SELECT * FROM reservation") == []
    assert purse.bodies("model_asked")[0]["reserved"] is None


def test_a_cap_that_the_agent_has_not_heard_of_refuses_nothing(purse: Book) -> None:
    run_id, epoch = capped(purse, tokens=1, calls_tool=0)
    purse.do(records.ask_model, run_id, epoch, 0, "ask", capped=False)
    purse.do(effects.begin_effect, run_id, epoch, Call(None, 0, "tool", {}, BLIND), "f", capped=False)
    assert purse.bodies("budget_refused") == []
    purse.decide(run_id, epoch, usage=TEN)
    purse.end(run_id, epoch, effect_key(run_id, None, 0, "tool"))
    assert purse.purse(run_id) == (1, 0, 10, 0)
    assert [(body["unit"], body["by"]) for body in purse.bodies("budget_overrun")] == [("tokens", 9), ("calls:tool", 1)]


# --- lost replies ---------------------------------------------------------------------------------------------------


def test_a_lost_reply_is_paid_at_its_maximum_and_asked_for_again(purse: Book) -> None:
    run_id, epoch = capped(purse, tokens=100)
    purse.ask(run_id, epoch, tokens=40)
    purse.die(run_id)
    assert purse.purse(run_id) == (100, 40, 0, 0), "a crash keeps what is held back"
    epoch = purse.again(run_id)
    assert purse.ask(run_id, epoch, tokens=40)
    assert purse.purse(run_id) == (100, 40, 40, 40)
    assert purse.bodies("budget_lost") == [{"place": "decision 0", "tokens": 40, "usd_micro": 0}]
    purse.decide(run_id, epoch, usage=TEN)
    assert purse.purse(run_id) == (100, 0, 50, 40)


def test_a_lost_reply_may_leave_no_room_for_another_ask(purse: Book) -> None:
    run_id, epoch = capped(purse, tokens=70)
    purse.ask(run_id, epoch, tokens=40)
    purse.die(run_id)
    epoch = purse.again(run_id)
    assert not purse.ask(run_id, epoch, tokens=40)
    assert purse.purse(run_id) == (70, 0, 40, 40)
    assert not purse.ask(run_id, epoch, tokens=31), "it is lost once"
    assert purse.ask(run_id, epoch, tokens=30)
    assert purse.purse(run_id) == (70, 30, 40, 40)


def test_without_a_cap_a_lost_reply_is_told_if_its_maximum_is_known(purse: Book) -> None:
    run_id, epoch = capped(purse)
    purse.ask(run_id, epoch, usd=9)
    purse.die(run_id)
    epoch = purse.again(run_id)
    purse.ask(run_id, epoch, usd=9)
    assert purse.purse(run_id, "usd_micro") == (None, 0, 9, 9)
    purse.die(run_id)
    purse.ask(run_id, purse.again(run_id))
    assert len(purse.bodies("budget_lost")) == 1, "nobody knows what the second one cost"


def test_a_cancelled_run_books_its_open_ask_as_lost(purse: Book) -> None:
    run_id, epoch = capped(purse, tokens=70)
    purse.ask(run_id, epoch, tokens=40)
    purse.die(run_id)
    purse.do(runs.cancel, run_id)
    assert purse.status(run_id) == "CANCELLED"
    assert purse.purse(run_id) == (70, 0, 40, 40)


def test_a_run_that_ends_with_nothing_open_loses_nothing(purse: Book) -> None:
    run_id, epoch = capped(purse, tokens=70)
    purse.ask(run_id, epoch, tokens=40)
    purse.decide(run_id, epoch, usage=TEN)
    purse.do(runs.end_run, run_id, epoch, "TERMINAL", None, None)
    assert purse.purse(run_id) == (70, 0, 10, 0)
    assert purse.bodies("budget_lost") == []


# --- acts -----------------------------------------------------------------------------------------------------------


def test_a_declared_cost_is_held_back_and_paid_when_the_act_is_confirmed(purse: Book) -> None:
    run_id, epoch = capped(purse, usd_micro=500)
    key = act(purse, run_id, epoch, cost=300)
    assert purse.purse(run_id, "usd_micro") == (500, 300, 0, 0)
    act(purse, run_id, epoch, ordinal=1, cost=201)
    assert purse.bodies("budget_refused")[0]["asked"] == 201
    purse.end(run_id, epoch, key)
    assert purse.purse(run_id, "usd_micro") == (500, 0, 300, 0)
    assert purse.bodies("charge")[0] == {"pays_for": key, "tokens_in": 0, "tokens_out": 0, "usd_micro": 300}


def test_what_an_act_reported_outweighs_what_was_declared(purse: Book) -> None:
    run_id, epoch = capped(purse, usd_micro=500)
    key = act(purse, run_id, epoch, cost=300)
    purse.do(effects.end_effect, run_id, epoch, key, 1, CONFIRMED, Usage(usd_micro=20))
    assert purse.purse(run_id, "usd_micro") == (500, 0, 20, 0)


def test_a_declared_cost_is_charged_without_any_cap(purse: Book) -> None:
    run_id, epoch = capped(purse)
    purse.end(run_id, epoch, act(purse, run_id, epoch, cost=300))
    assert purse.purse(run_id, "usd_micro") == (None, 0, 300, 0)


def test_a_failed_act_gives_back_its_cost_and_its_call(purse: Book) -> None:
    run_id, epoch = capped(purse, usd_micro=500, calls_tool=1)
    key = act(purse, run_id, epoch, cost=300)
    assert purse.purse(run_id, "calls:tool") == (1, 1, 0, 0)
    purse.end(run_id, epoch, key, ending=FAILED)
    assert purse.purse(run_id, "usd_micro") == (500, 0, 0, 0)
    assert purse.purse(run_id, "calls:tool") == (1, 0, 0, 0)
    assert purse.bodies("charge") == []
    key = act(purse, run_id, epoch, ordinal=1)
    purse.end(run_id, epoch, key)
    assert purse.purse(run_id, "calls:tool") == (1, 0, 1, 0)
    act(purse, run_id, epoch, ordinal=2)
    assert purse.bodies("budget_refused")[0]["unit"] == "calls:tool"
    assert [row["key"] for row in purse.rows("SELECT key FROM effect")] == [f"{run_id}/-/0/tool", f"{run_id}/-/1/tool"]
    assert purse.bodies("charge") == [], "a cap on calls writes none"


def test_a_crash_keeps_what_an_act_holds_back_until_it_is_settled(purse: Book) -> None:
    run_id, epoch = capped(purse, usd_micro=500, calls_tool=2)
    key = act(purse, run_id, epoch, cost=300, policy=SURE)
    purse.die(run_id)
    assert purse.purse(run_id, "usd_micro") == (500, 300, 0, 0)
    purse.clock.advance(3)
    purse.observe(run_id, key, Answer.PRESENT)
    assert purse.purse(run_id, "usd_micro") == (500, 0, 300, 0)
    assert purse.purse(run_id, "calls:tool") == (2, 0, 1, 0)


@pytest.mark.parametrize(("how", "spent", "calls"), [("confirm", 300, 1), ("fail", 0, 0)])
def test_what_a_person_decides_is_settled(purse: Book, how: str, spent: int, calls: int) -> None:
    run_id, epoch = capped(purse, usd_micro=500, calls_tool=2)
    key = act(purse, run_id, epoch, cost=300)
    purse.die(run_id)
    purse.do(claims.resolve_effect, run_id, key, how, None, "looked")
    assert purse.purse(run_id, "usd_micro") == (500, 0, spent, 0)
    assert purse.purse(run_id, "calls:tool") == (2, 0, calls, 0)


def test_an_outbox_dispatch_is_settled_by_its_end(purse: Book) -> None:
    run_id, epoch = capped(purse, usd_micro=500)
    key = act(purse, run_id, epoch, cost=300, policy=OUTBOX)
    purse.do(claims.end_dispatch, purse.claim(run_id, key, "body"), CONFIRMED)
    assert purse.purse(run_id, "usd_micro") == (500, 0, 300, 0)


def test_an_attempt_that_raised_and_reported_is_charged_from_what_is_held_back(purse: Book) -> None:
    run_id, epoch = capped(purse, usd_micro=500)
    key = act(purse, run_id, epoch, cost=500, policy=IDEMPOTENT)
    purse.do(
        effects.fail_attempt, run_id, epoch, key, 1, "raised", BOOM, purse.recovery, Usage(tokens_in=3, usd_micro=200)
    )
    assert purse.purse(run_id, "usd_micro") == (500, 300, 200, 0)
    assert purse.purse(run_id) == (None, 0, 3, 0)
    assert purse.tape(run_id) == ["run_started", "effect_begun", "charge"]
    purse.die(run_id)
    epoch = purse.again(run_id)
    number = purse.retry(run_id, epoch, key)
    purse.do(effects.end_effect, run_id, epoch, key, number, CONFIRMED, Usage(usd_micro=100))
    assert purse.purse(run_id, "usd_micro") == (500, 0, 300, 0)


def test_a_rejection_that_reported_is_charged(purse: Book) -> None:
    run_id, epoch = capped(purse, usd_micro=500)
    key = act(purse, run_id, epoch, cost=300)
    purse.do(effects.reject_attempt, run_id, epoch, key, 1, FAILED.error, purse.recovery, Usage(usd_micro=1))
    assert purse.purse(run_id, "usd_micro") == (500, 0, 1, 0)


# --- overruns -------------------------------------------------------------------------------------------------------


def test_a_bill_above_its_reservation_is_recorded_and_blocks_the_next(purse: Book) -> None:
    run_id, epoch = capped(purse, tokens=100)
    purse.ask(run_id, epoch, tokens=90)
    purse.decide(run_id, epoch, usage=Usage(tokens_out=130))
    assert purse.bodies("budget_overrun") == [{"place": "decision 0", "unit": "tokens", "by": 30, "run": run_id}]
    assert not purse.ask(run_id, epoch, 1, tokens=0), "even what costs nothing"


def test_a_bill_above_its_reservation_within_the_cap_is_no_overrun(purse: Book) -> None:
    run_id, epoch = capped(purse, tokens=100)
    purse.ask(run_id, epoch, tokens=10)
    purse.decide(run_id, epoch, usage=Usage(tokens_out=100))
    assert purse.bodies("budget_overrun") == []
    assert purse.ask(run_id, epoch, 1, tokens=0)


@pytest.mark.parametrize("limits", [(-1, None), (None, 1 << 40)])
def test_an_absurd_mark_is_refused(purse: Book, limits: tuple[int | None, int | None]) -> None:
    run_id, epoch = capped(purse, tokens=10)
    purse.refused(
        records.ask_model, run_id, epoch, 0, "ask", records.Limits(*limits), by=UsageError, says="mend its mark"
    )


# --- caps -----------------------------------------------------------------------------------------------------------


def test_the_smaller_cap_holds_and_is_declared_once(purse: Book) -> None:
    run_id, epoch = capped(purse, tokens=100, usd_micro=50)
    purse.do(records.attach, run_id, epoch, [], {"tokens": 200, "usd_micro": 20, "calls:tool": 3})
    assert [purse.purse(run_id, unit)[0] for unit in ("tokens", "usd_micro", "calls:tool")] == [100, 20, 3]
    purse.do(caps.set_caps, run_id, {"usd_micro": 70}, "ann@here", "more")
    purse.die(run_id)
    purse.do(records.attach, run_id, purse.again(run_id), [], {"usd_micro": 5, "calls:tool": 1})
    assert [purse.purse(run_id, unit)[0] for unit in ("usd_micro", "calls:tool")] == [70, 3], "what a person said holds"


def test_a_person_raises_a_cap(purse: Book) -> None:
    run_id, epoch = capped(purse, tokens=10)
    assert not purse.ask(run_id, epoch, tokens=20)
    purse.do(caps.set_caps, run_id, {"tokens": 20}, "ann@here", "worth it")
    assert purse.bodies("budget_raised") == [
        {"unit": "tokens", "was": 10, "cap": 20, "actor": "ann@here", "reason": "worth it"}
    ]
    assert purse.ask(run_id, epoch, tokens=20)


def test_a_cap_is_never_below_what_is_used_up(purse: Book) -> None:
    run_id, epoch = capped(purse, tokens=100)
    purse.ask(run_id, epoch, tokens=30)
    purse.decide(run_id, epoch, usage=TEN)
    purse.ask(run_id, epoch, 1, tokens=30)
    says = "40 tokens already .10 tokens spent, 30 tokens reserved.: set the cap to that or more, not to 39 tokens"
    purse.refused(caps.set_caps, run_id, {"tokens": 39}, "ann", "", says=says)
    purse.do(caps.set_caps, run_id, {"tokens": 40}, "ann", "")


@pytest.mark.parametrize(
    "bad", [{"tokens": -1}, {"usd_micro": 1 << 60}, {"calls:": 1}, {"pens": 1}, {"tokens": True}, {}]
)
def test_an_absurd_cap_is_refused(purse: Book, bad: dict[str, int]) -> None:
    run_id, _ = capped(purse)
    purse.refused(caps.set_caps, run_id, bad, "ann", "", by=UsageError)


def test_a_run_that_has_ended_gets_no_cap(purse: Book) -> None:
    run_id, epoch = capped(purse, tokens=1)
    purse.do(runs.end_run, run_id, epoch, "TERMINAL", None, None)
    purse.refused(caps.set_caps, run_id, {"tokens": 9}, "ann", "", says="has ended")


def test_a_new_cap_on_calls_counts_those_that_were_made(purse: Book) -> None:
    run_id, epoch = capped(purse)
    purse.end(run_id, epoch, act(purse, run_id, epoch))
    purse.end(run_id, epoch, act(purse, run_id, epoch, ordinal=1), ending=FAILED)
    key = act(purse, run_id, epoch, ordinal=2)
    purse.refused(caps.set_caps, run_id, {"calls:tool": 1}, "ann", "", says="used up 2 calls of tool already")
    purse.do(caps.set_caps, run_id, {"calls:tool": 2}, "ann", "")
    assert purse.purse(run_id, "calls:tool") == (2, 1, 1, 0)
    purse.end(run_id, epoch, key)
    assert purse.purse(run_id, "calls:tool") == (2, 0, 2, 0)


def test_each_drive_sees_the_caps_that_it_was_granted_under(purse: Book) -> None:
    run_id, epoch = capped(purse, tokens=100)
    purse.decide(run_id, epoch)
    purse.do(caps.set_caps, run_id, {"tokens": 200}, "ann", "")
    purse.die(run_id)
    purse.again(run_id)
    told = purse.do(records.drive_of, run_id)["budget"]
    assert told["caps"] == [
        (2, {"tokens": 100, "usd_micro": None}),
        (4, {"tokens": 200, "usd_micro": None}),
    ]
    assert told["capped"] and not told["known"]


# --- children -------------------------------------------------------------------------------------------------------


def test_a_child_draws_from_every_ancestors_purse(purse: Book) -> None:
    root, _ = capped(purse, tokens=100, usd_micro=1000, calls_tool=1)
    middle, _ = child_of(purse, root)
    child, epoch = child_of(purse, middle, tokens=50)
    assert purse.ask(child, epoch, tokens=40)
    assert [purse.purse(run_id) for run_id in (root, middle, child)] == [
        (100, 40, 0, 0),
        (None, 40, 0, 0),
        (50, 40, 0, 0),
    ]
    purse.decide(child, epoch, usage=TEN)
    key = act(purse, child, epoch, cost=300)
    assert purse.purse(root, "calls:tool") == (1, 1, 0, 0)
    purse.end(child, epoch, key)
    assert [purse.purse(run_id)[1:] for run_id in (root, middle, child)] == [(0, 10, 0)] * 3
    assert purse.purse(root, "usd_micro") == (1000, 0, 300, 0)
    act(purse, child, epoch, ordinal=1)
    assert purse.bodies("budget_refused")[0]["run"] == root, "it says whose purse it was"


def test_the_same_place_of_two_children_is_held_back_twice(purse: Book) -> None:
    root, epoch = capped(purse, tokens=100)
    first, one = child_of(purse, root)
    second, other = child_of(purse, root)
    assert purse.ask(first, one, tokens=40) and purse.ask(second, other, tokens=40)
    assert not purse.ask(root, epoch, tokens=40)
    assert purse.ask(root, epoch, tokens=20)
    purse.die(first)
    assert not purse.ask(first, purse.again(first), tokens=1), "what it lost is not there any more"
    assert purse.purse(root) == (100, 60, 40, 40)
    purse.do(runs.cancel, first)
    purse.do(runs.end_run, root, epoch, "FAILED", None, {"type": "E", "message": "no"})
    assert purse.purse(root) == (100, 40, 60, 60), "the second child may still be asking"
    purse.decide(second, other, usage=TEN)
    assert purse.purse(root) == (100, 0, 70, 60)


def test_an_overrun_of_an_ancestors_cap_names_it(purse: Book) -> None:
    root, _ = capped(purse, tokens=100)
    child, epoch = child_of(purse, root)
    purse.ask(child, epoch, tokens=100)
    purse.decide(child, epoch, usage=Usage(tokens_in=101))
    assert purse.bodies("budget_overrun") == [{"place": "decision 0", "unit": "tokens", "by": 1, "run": root}]


# --- every way ------------------------------------------------------------------------------------------------------

ENDS = ("confirmed", "failed", "reported", "over", "crash")


@pytest.mark.parametrize(("cap", "limit"), list(product((0, 9, 10, 19, 20, 30), (0, 9, 10, 11))))
def test_whatever_becomes_of_asks_and_acts_no_cap_is_passed(purse: Book, cap: int, limit: int) -> None:
    """Every pair of ends of an ask and an act under every cap near the edge; the invariants look at each commit."""
    for ask_ends, act_ends in product(ENDS, ENDS):
        run_id, epoch = capped(purse, usd_micro=cap, calls_tool=1)
        asked = purse.ask(run_id, epoch, usd=limit)
        key = act(purse, run_id, epoch, cost=10)
        begun = purse.effect(key) is not None
        assert asked == (limit <= cap)
        assert begun == (10 + (limit if asked else 0) <= cap)
        invariants.check(purse.writer.connection)
        if asked and ask_ends != "crash":
            amount = {"confirmed": limit, "failed": 0, "reported": max(0, limit - 1), "over": limit + 5}[ask_ends]
            purse.decide(run_id, epoch, usage=Usage(usd_micro=amount))
            invariants.check(purse.writer.connection)
        if begun and act_ends != "crash":
            ending = FAILED if act_ends == "failed" else Ending(EffectStatus.CONFIRMED)
            usage = {"reported": Usage(usd_micro=4), "over": Usage(usd_micro=17)}.get(act_ends)
            purse.do(effects.end_effect, run_id, epoch, key, 1, ending, usage)
            invariants.check(purse.writer.connection)
        purse.die(run_id)
        if purse.status(run_id) == "STUCK":
            purse.do(claims.resolve_effect, run_id, key, "confirm", None, "looked")
        epoch = purse.again(run_id)
        purse.ask(run_id, epoch, purse.run(run_id)["decisions"], usd=limit)
        invariants.check(purse.writer.connection)
        purse.do(runs.end_run, run_id, epoch, "TERMINAL", None, None)
        invariants.check(purse.writer.connection)
        assert purse.purse(run_id, "usd_micro")[1] == 0


def test_a_refused_verb_holds_nothing_back(purse: Book) -> None:
    run_id, epoch = capped(purse, tokens=100, usd_micro=5)
    purse.refused(records.ask_model, run_id, epoch + 1, 0, "ask")
    assert not purse.ask(run_id, epoch, tokens=10, usd=6), "all or nothing"
    assert purse.rows("SELECT * FROM reservation") == []
    assert isinstance(purse.refused(records.ask_model, run_id, epoch, 3, "ask"), Refused)
