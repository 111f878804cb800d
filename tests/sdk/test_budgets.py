"""A cap in the way: no model is asked, no body entered, the code gets the same error each time; `run.budget`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import tape
from tape.core.agent.project import load_agents
from tape.core.sdk.decorators import limits_of
from tape.core.wire import Frame
from tests.sdk.player import FakeServer, Played, play

CAPPED = {"capped": True, "known": True, "caps": [[2, {"tokens": 100, "usd_micro": 1_000_000, "calls:do_act": 2}]]}
NUMBERS = {"unit": "tokens", "asked": 40, "cap": 100, "spent": 70, "reserved": 0}
entered: list[str] = []


@tape.tool(semantics="idempotent", cost=0.25)
async def do_act(name: str) -> str:
    entered.append(name)
    return name.upper()


@tape.tool(cost=lambda amount: amount / 100)
async def do_pay(amount: int) -> int:
    tape.report_usage(tokens_in=1, usd=amount / 200)
    return amount


@tape.model(max_tokens=40, max_usd=0.5)
async def think(question: str) -> str:
    entered.append(question)
    tape.report_usage(tokens_in=30, tokens_out=5, usd=0.1)
    return f"thought {question}"


@pytest.fixture(autouse=True)
def nothing_entered() -> None:
    entered.clear()


def server(over: Callable[[Frame], dict[str, Any] | None] = lambda frame: None) -> FakeServer:
    return FakeServer([(1, "run_started", {"agent": "agent"})], [1], over=over)


def the_nth(kind: str, *refused: int) -> Callable[[Frame], dict[str, Any] | None]:
    """A cap in the way of these asks or calls, counted from 0 as they come."""
    seen: list[Frame] = []

    def over(frame: Frame) -> dict[str, Any] | None:
        if frame["t"] != kind:
            return None
        seen.append(frame)
        return NUMBERS if len(seen) - 1 in refused else None

    return over


def the_same_from_everywhere(agent: Any, played: Played, budget: dict[str, Any] = CAPPED) -> None:
    """Cut at every commit and played on, it comes to the same."""
    for count in played.server.commits:
        if count == len(played.server.records):
            continue
        cut = played.server.cut(count)
        left = [body for _, kind, body in played.server.records[count:] if kind == "budget_refused"]
        refused = {(body["place"], body["fingerprint"]): body for body in left}

        def over(frame: Frame, refused: dict[Any, Any] = refused) -> dict[str, Any] | None:
            if frame["t"] == "ask":
                place = f"decision {frame['index']}"
            else:
                call = frame["call"]
                index = "-" if call["decision_index"] is None else call["decision_index"]
                place = f"{frame['run']}/{index}/{call['ordinal']}/{call['tool']}"
            return NUMBERS if refused.pop((place, frame["fingerprint"]), None) else None

        cut.over = over
        again = play(agent, cut, budget=budget)
        assert again.ended == played.ended, count
        assert [kind for kind in again.server.kinds() if kind != "charge"] == [
            kind for kind in played.server.kinds() if kind != "charge"
        ], count


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_a_refused_ask_raises_and_leaves_its_index() -> None:
    async def agent(run: tape.Run) -> list[str]:
        said = [await run.decide(think, "a")]
        for question in ("b", "c"):
            try:
                said.append(await run.decide(think, question))
            except tape.BudgetExceeded as error:
                said.append(str(error))
            said.append(await do_act(question))
        return [*said, await run.decide(think, "d")]

    played = play(agent, server(the_nth("ask", 1, 2)), budget=CAPPED)
    assert "thought b" not in str(played.result) and "c" not in [name for name in entered if name.startswith("thought")]
    assert played.result[1] == (
        "decision 1 is not asked for: it may take 40 tokens, and 30 tokens are left in the budget of r-000000000001: "
        "cap 100 tokens, spent 70 tokens, reserved 0 tokens; `tape budget r-000000000001 --tokens N` raises it"
    )
    assert [
        (body["place"], body["ordinal"]) for _, kind, body in played.server.records if kind == "budget_refused"
    ] == [
        ("decision 1", 0),
        ("decision 1", 1),
    ]
    assert [frame["index"] for frame in played.server.sent("ask")] == [0, 1, 1, 1]
    keys = [body["key"].split("/", 1)[1] for _, kind, body in played.server.records if kind == "effect_begun"]
    assert keys == ["0/0/do_act", "0/1/do_act"]
    the_same_from_everywhere(agent, played)


def test_a_refused_call_raises_and_has_used_up_its_ordinal() -> None:
    async def agent(run: tape.Run) -> list[Any]:
        said: list[Any] = []
        for name in "abc":
            try:
                said.append(await do_act(name))
            except tape.BudgetExceeded as error:
                said.append(type(error).__name__)
        return said

    played = play(agent, server(the_nth("begin", 1)), budget=CAPPED)
    assert played.result == ["A", "BudgetExceeded", "C"]
    assert entered == ["a", "c"], "its body was not entered"
    assert [frame["call"]["ordinal"] for frame in played.server.sent("begin")] == [0, 1, 2]
    the_same_from_everywhere(agent, played)


def test_an_uncaught_refusal_fails_the_run() -> None:
    async def agent(run: tape.Run) -> None:
        await run.decide(think, "a")

    played = play(agent, server(the_nth("ask", 0)), budget=CAPPED)
    assert played.ended["outcome"] == "FAILED" and played.ended["error"]["type"] == "BudgetExceeded"
    assert entered == []


def test_refusals_in_a_batch_come_in_the_tapes_order() -> None:
    order: list[str] = []

    async def one(name: str) -> str:
        try:
            found = await do_act(name)
        except tape.BudgetExceeded:
            found = f"no {name}"
        order.append(found)
        return found

    async def agent(run: tape.Run) -> list[Any]:
        order.clear()
        moment = run.now()
        found = await asyncio.gather(one("a"), one("b"), one("c"), moment, run.decide(think, "x"))
        return [found[0], found[1], found[2], found[4], list(order)]

    played = play(agent, server(the_nth("begin", 0, 2)), budget=CAPPED)
    assert sorted(played.result[:3]) == ["B", "no a", "no c"]
    the_same_from_everywhere(agent, played)


def test_a_refused_ask_in_a_batch_keeps_the_numbers_of_calls_apart() -> None:
    async def ask(run: tape.Run, question: str) -> str:
        try:
            return await run.decide(think, question)
        except tape.BudgetExceeded:
            return "refused"

    async def agent(run: tape.Run) -> list[Any]:
        async def call() -> str:
            return await do_act("p")  # while decision 0 is asked for

        first = await asyncio.gather(ask(run, "a"), call())
        return [*first, await do_act("q"), await ask(run, "b"), await do_act("r")]

    played = play(agent, server(the_nth("ask", 0)), budget=CAPPED)
    assert played.result == ["refused", "P", "Q", "thought b", "R"]
    keys = [body["key"].split("/", 1)[1] for _, kind, body in played.server.records if kind == "effect_begun"]
    assert keys == ["0/0/do_act", "-/0/do_act", "0/1/do_act"], "one place is one call"
    the_same_from_everywhere(agent, played)


def test_a_recorded_refusal_of_something_else_is_a_divergence() -> None:
    async def agent(run: tape.Run) -> str:
        try:
            return await run.decide(think, "a")
        except tape.BudgetExceeded:
            return await do_act("b")

    played = play(agent, server(the_nth("ask", 0)), budget=CAPPED)

    async def other(run: tape.Run) -> str:
        return await run.decide(think, "something else")

    assert "recorded a refusal of decision 0" in play(other, played.server.cut(2), budget=CAPPED).diverged

    async def calls(run: tape.Run) -> str:
        return await do_act("b")

    assert "recorded a refusal of decision 0" in play(calls, played.server.cut(2), budget=CAPPED).diverged


def test_a_recorded_refusal_of_another_call_is_a_divergence() -> None:
    async def agent(run: tape.Run) -> None:
        await do_act("a")

    async def other(run: tape.Run) -> None:
        await do_act("b")

    async def other_tool(run: tape.Run) -> None:
        await do_pay(3)

    played = play(agent, server(the_nth("begin", 0)), budget=CAPPED)
    for code in (other, other_tool):
        assert "recorded a refusal of" in play(code, played.server.cut(2), budget=CAPPED).diverged


# --- what goes over the wire ---------------------------------------------------------------------------------------


def test_with_a_cap_the_model_is_asked_when_the_answer_is_there() -> None:
    async def agent(run: tape.Run) -> str:
        return await run.decide(think, "a")

    held = server()
    held.held = lambda frame: frame["t"] == "ask" and not entered

    def nothing(context: Any) -> bool:
        held.held = lambda frame: False
        assert entered == [], "asked before the reservation was durable"
        asyncio.get_running_loop().call_soon(held.serve)
        return True

    assert play(agent, held, budget=CAPPED, on_quiet=nothing).result == "thought a"
    (ask,) = held.sent("ask")
    assert ask["limits"] == {"tokens": 40, "usd_micro": 500_000} and ask["capped"] is True


def test_without_a_cap_the_model_is_asked_at_once() -> None:
    async def agent(run: tape.Run) -> str:
        return await run.decide(think, "a")

    held = server()
    held.held = lambda frame: frame["t"] == "ask" and not entered

    def nothing(context: Any) -> bool:
        assert entered == ["a"], "an ask without a cap waits for nothing"
        held.held = lambda frame: False
        asyncio.get_running_loop().call_soon(held.serve)
        return True

    assert play(agent, held, on_quiet=nothing).result == "thought a"
    assert held.sent("ask")[0]["capped"] is False


def test_a_cap_that_came_meanwhile_is_heard_of() -> None:
    async def agent(run: tape.Run) -> None:
        await run.decide(think, "a")
        await run.decide(think, "b")

    class Telling(FakeServer):
        def _take(self, frame: Frame) -> Frame:
            return {**super()._take(frame), **({"capped": True} if frame["t"] == "ask" else {})}

    told = Telling([(1, "run_started", {"agent": "agent"})], [1])
    play(agent, told)
    assert [frame["capped"] for frame in told.sent("ask")] == [False, True]


def test_declared_caps_go_with_the_first_attachment_only() -> None:
    agent = tape.agent(budget=tape.Budget(usd=0.5, tokens=7, calls={"do_act": 1}))(_nothing)
    assert play(agent).server.sent("attach")[0]["caps"] == {"usd_micro": 500_000, "tokens": 7, "calls:do_act": 1}
    assert "caps" not in play(agent, budget=CAPPED).server.sent("attach")[0]
    assert "caps" not in play(tape.agent(_nothing)).server.sent("attach")[0]


async def _nothing(run: tape.Run) -> None: ...


def test_costs_are_told_with_the_call() -> None:
    async def agent(run: tape.Run) -> None:
        await do_act("a")
        await do_pay(30)

    assert [f["call"]["cost_micro"] for f in play(agent).server.sent("begin")] == [250_000, 300_000]


@pytest.mark.parametrize("cost", [lambda: -1, lambda: "much", lambda: 1 / 0, lambda: float("nan")])
def test_a_cost_that_is_none_is_said_before_the_call(cost: Any) -> None:
    tool = tape.tool(cost=cost, name="odd")(_odd)

    async def agent(run: tape.Run) -> None:
        await tool()

    played = play(agent)
    assert played.ended["error"]["message"].startswith("cost of odd")
    assert played.server.sent("begin") == []


async def _odd() -> None: ...


def test_a_mark_is_seen_through_a_partial() -> None:
    assert limits_of(partial(partial(think), "x")).max_tokens == 40
    assert limits_of(_nothing).max_tokens is None


# --- run.budget ----------------------------------------------------------------------------------------------------


def test_what_is_left_as_of_the_current_record_is_the_same_on_replay() -> None:
    @tape.agent(budget=tape.Budget(usd=1, tokens=100, calls={"do_act": 2}))
    async def agent(run: tape.Run) -> list[Any]:
        seen: list[Any] = []

        def look() -> None:
            budget = run.budget
            seen.append([budget.usd_left, budget.tokens_left, budget.calls_left("do_act"), budget.calls_left("do_pay")])

        look()
        await run.decide(think, "a")
        look()
        await do_act("x")
        look()
        await do_pay(40)
        look()
        await asyncio.gather(do_act("y"), run.now())
        look()
        return seen

    played = play(agent)
    assert played.result == [
        [1.0, 100, 2, None],
        [0.9, 65, 2, None],
        [0.9, 65, 1, None],  # this stand-in for a server charges what is reported only
        [0.7, 64, 1, None],
        [0.7, 64, 0, None],
    ]
    known = {"capped": True, "known": True, "caps": [[2, {"tokens": 100, "usd_micro": 1_000_000, "calls:do_act": 2}]]}
    for count in played.server.commits[:-1]:
        assert play(agent, played.server.cut(count), budget=known).result == played.result, count


def test_without_caps_nothing_is_left_to_say() -> None:
    async def agent(run: tape.Run) -> list[Any]:
        await run.decide(think, "a")
        budget = run.budget
        return [budget.usd_left, budget.usd_cap, budget.tokens_left, budget.usd_spent, budget.tokens_spent]

    assert play(agent).result == [None, None, None, 0.1, 35]


def test_a_raised_cap_is_seen_from_the_drive_on_that_was_granted_under_it() -> None:
    async def agent(run: tape.Run) -> list[Any]:
        seen: list[Any] = []
        for question in "abc":
            seen.append(run.budget.tokens_left)
            await run.decide(think, question)
        return [*seen, run.budget.tokens_left]

    first = [2, {"tokens": 100, "usd_micro": None}]
    played = play(agent, budget={"capped": True, "known": True, "caps": [first]})
    assert played.result == [100, 65, 30, 0]
    raised = {"capped": True, "known": True, "caps": [first, [4, {"tokens": 500, "usd_micro": None}]]}
    second = play(agent, played.server.cut(3), budget=raised)
    assert second.result == [100, 65, 430, 395], "what the first drive saw it sees again"
    third = {**raised, "caps": [*raised["caps"], [8, {"tokens": 900, "usd_micro": None}]]}
    assert play(agent, second.server.cut(7), budget=third).result[:3] == [100, 65, 430]


def test_the_budget_cannot_be_changed() -> None:
    async def agent(run: tape.Run) -> None:
        run.budget.usd_cap = 5.0  # type: ignore[misc]

    assert play(agent).ended["error"]["type"] == "FrozenInstanceError"


# --- declarations ---------------------------------------------------------------------------------------------------

BAD: list[tuple[dict[str, Any], str]] = [
    ({"usd": -1}, "the budget's usd is -1"),
    ({"usd": float("nan")}, "the budget's usd is nan"),
    ({"usd": float("inf")}, "the budget's usd is inf"),
    ({"usd": True}, "the budget's usd is True"),
    ({"usd": "1"}, "the budget's usd is '1'"),
    ({"usd": 1e12}, "the budget's usd is"),
    ({"tokens": -1}, "the budget's tokens is -1"),
    ({"tokens": 1.5}, "the budget's tokens is 1.5"),
    ({"tokens": True}, "the budget's tokens is True"),
    ({"tokens": 10**16}, "the budget's tokens is"),
    ({"calls": ["do_act"]}, "the budget's calls are"),
    ({"calls": {"do_act": -1}}, "the budget's calls of do_act is -1"),
    ({"calls": {"": 1}}, "by the names of tools"),
    ({"calls": {3: 1}}, "by the names of tools"),
    ({"calls": {"do_act": True}}, "the budget's calls of do_act is True"),
]


@pytest.mark.parametrize(("given", "says"), BAD, ids=[says for _, says in BAD])
def test_what_is_no_budget_is_one_line(given: dict[str, Any], says: str) -> None:
    with pytest.raises(tape.UsageError) as caught:
        tape.Budget(**given)
    assert says in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "given", [{"max_tokens": -1}, {"max_tokens": True}, {"max_usd": float("nan")}, {"max_usd": -1}]
)
def test_what_is_no_mark_is_one_line(given: dict[str, Any]) -> None:
    with pytest.raises(tape.UsageError, match="max_"):
        tape.model(**given)


def test_a_budget_is_a_budget() -> None:
    with pytest.raises(tape.UsageError, match=r"budget is 5; it is a tape\.Budget"):
        tape.agent(budget=5)(_nothing)  # type: ignore[call-overload]


def test_calls_of_a_tool_that_does_not_exist_are_refused_at_load(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "spendthrift.py").write_text(
        "import tape\n\n@tape.tool\nasync def wire(): ...\n\n"
        "@tape.agent(budget=tape.Budget(calls={'wyre': 1}))\nasync def pay(run): ...\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(tape.UsageError, match=r"agent pay: its budget caps calls of 'wyre', and no tool .*wire"):
        load_agents(tmp_path, {"pay": "spendthrift:pay"})
