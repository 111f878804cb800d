"""Outcomes are handed over one at a time in tape order; new work starts only when the tape is used up."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import pytest

import tape
from tape.core.sdk.context import RunContext
from tests.sdk.player import FakeServer, Played, play


@tape.tool(semantics="idempotent")
async def act(name: str) -> str:
    return name.upper()


@tape.tool(semantics="idempotent", dispatch="outbox")
async def mail(name: str) -> str:
    return name


async def think(question: str) -> str:
    return f"thought {question}"


def again(agent: Any, played: Played, count: int | None = None) -> Played:
    """The same agent over the first `count` records of that tape (all but the end if not said)."""
    records = played.server.records
    return play(agent, played.server.cut(len(records) - 1 if count is None else count))


def keys(server: FakeServer) -> list[str]:
    return [body["key"].split("/", 1)[1] for _, kind, body in server.records if kind == "effect_begun"]


# --- ordinals and keys --------------------------------------------------------------------------------------------


def test_ordinals_count_calls_since_the_last_decision_in_the_order_of_the_calls() -> None:
    async def agent(run: tape.Run) -> None:
        await act("a")
        first, second = act("b"), act("c")  # numbered here, awaited the other way round
        await second
        await first
        await run.decide(think, "x")
        late = act("e")
        await run.decide(think, "y")
        await asyncio.gather(act("f"), late, act("g"))

    played = play(agent)
    assert sorted(keys(played.server)) == ["-/0/act", "-/1/act", "-/2/act", "0/0/act", "1/0/act", "1/1/act"]
    arguments = {
        body["key"].split("/", 1)[1]: body["args"]["name"]
        for _, k, body in played.server.records
        if k == "effect_begun"
    }
    assert arguments["-/1/act"] == "b" and arguments["-/2/act"] == "c"
    assert arguments["0/0/act"] == "e" and arguments["1/1/act"] == "g"
    for count in played.server.commits[:-1]:
        assert keys(again(agent, played, count).server) == keys(played.server)


def test_one_batch_of_calls_under_gather() -> None:
    async def agent(run: tape.Run) -> list[str]:
        await run.decide(think, "which")
        return await asyncio.gather(*[run.call("act", name=name) for name in "abc"])

    played = play(agent)
    assert played.result == ["A", "B", "C"]
    assert keys(played.server) == ["0/0/act", "0/1/act", "0/2/act"]


def test_replay_says_so_and_asks_for_nothing() -> None:
    said: list[bool] = []

    async def agent(run: tape.Run) -> str:
        said.append(run.replaying)
        await act("a")
        await run.decide(think, "x")
        said.append(run.replaying)
        await act("b")
        said.append(run.replaying)
        return run.id

    played = play(agent)
    replayed = again(agent, played, 5)
    assert said == [True, False, False, True, True, False]
    assert [frame["t"] for frame in replayed.server.frames] == ["attach", "begin", "end", "finish"]
    assert replayed.server.sent("attach")[0]["replayed"] == [f"{played.result}/-/0/act"]
    assert (replayed.context.drive, replayed.context.epoch) == (1, 1)


# --- tape order ---------------------------------------------------------------------------------------------------


def test_live_outcomes_come_in_tape_order_whatever_wakes_first() -> None:
    """A timer's record arrives while the end of a body is on its way: the one with the lower seq is first."""
    order: list[str] = []

    async def noted(what: str, waits: Any) -> None:
        await waits
        order.append(what)

    gate: list[asyncio.Future[None]] = []

    @tape.tool(semantics="idempotent")
    async def slow() -> None:
        gate.append(asyncio.get_running_loop().create_future())
        await gate[0]

    async def agent(run: tape.Run) -> list[str]:
        await asyncio.gather(noted("slow", slow()), noted("timer", run.sleep(9)))
        return order

    def both(context: RunContext) -> bool:
        if not gate or gate[0].done():
            return False
        fired = server.fire(0)
        gate[0].set_result(None)  # its end is recorded after the timer, and known to the agent before
        context.loop.call_later(0.5, context.take_record, *fired)
        return True

    server = FakeServer([(1, "run_started", {})], [1])
    live = play(agent, server, on_quiet=both)
    assert live.said == "park", "a record has not come: the drive ends, the next one has it"
    gate.clear()
    order.clear()
    assert play(agent, server.cut(len(server.records))).result == ["timer", "slow"]


def test_a_lost_record_parks_and_waits_for_nothing() -> None:
    async def agent(run: tape.Run) -> None:
        await asyncio.gather(act("a"), mail("m"))

    server = FakeServer([(1, "run_started", {})], [1])
    ended: list[int] = []

    def settle_without_a_word(frame: Any) -> None:
        if frame["t"] == "end" and not ended:
            ended.append(1)
            server.record("effect_ended", key="r-000000000001/-/1/mail", tool="mail", status="CONFIRMED", result="m")

    server.refuse = lambda frame: settle_without_a_word(frame)
    played = play(agent, server)
    assert played.said == "park"
    assert "lost" in played.why
    assert server.sent("park")[0]["waits"] == []
    assert play(agent, server.cut(len(server.records))).said == "finish"


def test_branches_go_on_in_the_order_in_which_their_outcomes_came() -> None:
    """The one that was asked for last came first, and what its branch did next stands before the other's."""
    order: list[str] = []

    @tape.tool(semantics="idempotent")
    async def wait(seconds: int) -> None:
        await asyncio.sleep(seconds)

    async def agent(run: tape.Run) -> list[str]:
        order.clear()

        async def branch(seconds: int) -> None:
            await wait(seconds)
            order.append(f"after {seconds}")
            order.append(await act(f"more {seconds}"))

        await asyncio.gather(*[branch(seconds) for seconds in (3, 2, 1)])
        return list(order)

    played = play(agent)
    assert played.result[0] == "after 1"
    for count in range(2, len(played.server.records)):
        replayed = again(agent, played, count)
        assert replayed.said == "finish", replayed.why
    assert replayed.result == played.result


def test_own_waits_between_tape_calls_keep_their_place() -> None:
    """What the code began before an outcome is asked for again before that outcome is handed over."""
    order: list[str] = []
    naps = [0.1]

    async def branch() -> None:
        await asyncio.sleep(naps[0])
        order.append("slept")
        await act("after the nap")

    async def agent(run: tape.Run) -> list[str]:
        order.clear()

        async def other() -> None:
            for number in range(3):
                await slow(number)
                order.append(f"slow {number}")

        await asyncio.gather(branch(), other())
        return list(order)

    @tape.tool(semantics="idempotent")
    async def slow(number: int) -> None:
        await asyncio.sleep(0.08)

    played = play(agent)
    assert played.result[:2] == ["slow 0", "slept"]
    naps[0] = 3.0  # today's machine is slower
    replayed = again(agent, played)
    assert replayed.result == played.result


@pytest.mark.parametrize("turns", [0, 1, 2, 7])
def test_the_number_of_loop_turns_between_calls_does_not_matter(turns: int) -> None:
    async def agent(run: tape.Run) -> list[str]:
        order: list[str] = []

        async def branch(name: str, mine: int) -> None:
            for step in range(3):
                for _ in range(mine):
                    await asyncio.sleep(0)
                order.append(await act(f"{name}{step}/{len(order)}"))

        await asyncio.gather(branch("a", turns), branch("b", 3), branch("c", 0))
        return order

    played = play(agent)
    for count in played.server.commits[:-1]:
        assert again(agent, played, count).result == played.result


# --- durable before anything starts -------------------------------------------------------------------------------


def test_no_body_is_entered_before_every_earlier_record_is_durable() -> None:
    entered: list[int] = []

    @tape.tool(semantics="idempotent")
    async def look() -> None:
        entered.append(len(server.records))

    async def agent(run: tape.Run) -> None:
        await run.decide(think, "x")
        await look()
        await run.sample(lambda: 1)
        await look()

    server = FakeServer([(1, "run_started", {})], [1])
    play(agent, server)
    assert entered == [4, 7], "the decision, its charge and the intent; then also the end and the sample"


@pytest.mark.parametrize("kind", ["begin", "attempt"])
def test_no_body_is_entered_while_its_record_is_on_its_way(kind: str) -> None:
    entered: list[str] = []

    @tape.tool(semantics="idempotent")
    async def put() -> None:
        entered.append("put")

    async def agent(run: tape.Run) -> None:
        await put()

    server = FakeServer([(1, "run_started", {})], [1])
    if kind == "attempt":
        server = play(agent).server.cut(2)
        entered.clear()
    holding, early = [True], list[str]()
    server.held = lambda frame: holding[0] and frame["t"] == kind

    def let_go(context: RunContext) -> bool:
        if not holding[0]:
            return False
        early.extend(entered)
        holding[0] = False
        server.serve()
        return True

    play(agent, server, on_quiet=let_go)
    assert not holding[0]
    assert (early, entered) == ([], ["put"])


@pytest.mark.parametrize("armed", [False, True])
def test_no_ask_before_every_earlier_record_is_durable(armed: bool) -> None:
    asked: list[list[str]] = []

    async def ask(question: str) -> str:
        asked.append(server.kinds())
        return question

    async def agent(run: tape.Run) -> None:
        await run.decide(ask, "one")
        await run.decide(ask, "two")

    server = FakeServer([(1, "run_started", {})], [1])
    play(agent, server, armed=armed)
    assert asked == [["run_started"], ["run_started", "decision", "charge"]]


def test_a_decision_is_handed_over_before_it_is_durable_but_nothing_acts_on_it() -> None:
    steps: list[str] = []

    async def agent(run: tape.Run) -> None:
        await run.decide(think, "x")
        steps.append("decided")
        await act("a")
        steps.append("acted")

    server = FakeServer([(1, "run_started", {})], [1])
    holding = [True]
    server.held = lambda frame: holding[0] and frame["t"] == "decision"

    def let_go(context: RunContext) -> bool:
        assert steps == ["decided"], "pipelined: the code goes on"
        assert not [frame for frame in server.frames if frame["t"] == "end"], "but no body has been entered"
        if not holding[0]:
            return False
        holding[0] = False
        server.serve()
        return True

    play(agent, server, on_quiet=let_go)
    assert steps == ["decided", "acted"]


def test_a_pipelined_decision_never_overtakes_an_open_end() -> None:
    """While another outcome is on its way to the seq before it, a decision waits for its own."""
    gate: list[asyncio.Future[None]] = []

    async def slow_thought(question: str) -> str:
        gate.append(asyncio.get_running_loop().create_future())
        await gate[0]
        return question

    async def agent(run: tape.Run) -> list[str]:
        order: list[str] = []
        gate.clear()

        async def one() -> None:
            order.append(await act("a"))

        async def two() -> None:
            order.append(await run.decide(slow_thought, "x"))

        await asyncio.gather(one(), two())
        return order

    server = FakeServer([(1, "run_started", {})], [1])
    holding = ["end"]
    server.held = lambda frame: frame["t"] in holding

    def let_go(context: RunContext) -> bool:
        if not gate[0].done():
            gate[0].set_result(None)  # the model answers while the body's end is not durable
        elif holding:
            assert [frame["t"] for frame in server.frames[-2:]] == ["end", "decision"]
            assert not context.tape.outcomes, "neither is handed over"
            holding.clear()
            server.serve()
        return True

    live = play(agent, server, on_quiet=let_go)
    assert live.result == ["A", "x"]
    assert server.sent("decision")[0]["waits"] is True
    assert again(agent, live).result == live.result


def test_the_end_waits_for_every_record() -> None:
    async def agent(run: tape.Run) -> None:
        await run.decide(think, "x")

    server = FakeServer([(1, "run_started", {})], [1])
    holding = [True]
    server.held = lambda frame: holding[0] and frame["t"] == "decision"

    def let_go(context: RunContext) -> bool:
        assert not server.sent("finish")
        holding[0] = False
        server.serve()
        return True

    assert play(agent, server, on_quiet=let_go).said == "finish"


# --- decisions ----------------------------------------------------------------------------------------------------


def test_a_second_decide_at_the_same_time_is_a_usage_error() -> None:
    async def agent(run: tape.Run) -> list[str]:
        answers = await asyncio.gather(run.decide(think, "a"), run.decide(think, "b"), return_exceptions=True)
        return [type(answer).__name__ for answer in answers] + [await run.decide(think, "c")]

    played = play(agent)
    assert played.result == ["str", "UsageError", "thought c"]
    assert [frame["decision"]["index"] for frame in played.server.sent("decision")] == [0, 1]
    assert again(agent, played).result == played.result


def test_decide_beside_calls() -> None:
    async def agent(run: tape.Run) -> Any:
        return await asyncio.gather(act("a"), run.decide(think, "x"), act("b"))

    played = play(agent)
    assert played.result == ["A", "thought x", "B"]
    for count in played.server.commits[:-1]:
        assert again(agent, played, count).result == played.result


# --- many calls ---------------------------------------------------------------------------------------------------


def _calls_made(work: Callable[[], Any]) -> int:
    made = 0

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal made
        made += event == "call"

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return made


@pytest.mark.parametrize("wide", [False, True])
def test_work_grows_with_the_tape_and_not_with_its_square(wide: bool) -> None:
    async def steps(run: tape.Run, count: int) -> None:
        for number in range(count):
            await act(str(number))

    async def batch(run: tape.Run, count: int) -> None:
        await asyncio.gather(*[act(str(number)) for number in range(count)])

    agent = batch if wide else steps
    live, replay = [], []
    for count in (200, 400):
        played: list[Played] = []
        live.append(_calls_made(lambda count=count, played=played: played.append(play(agent, given=count))))
        server = played[0].server.cut(len(played[0].server.records) - 1)
        replay.append(_calls_made(lambda count=count, server=server: play(agent, server, given=count)))
    assert live[1] < 2.3 * live[0]
    assert replay[1] < 2.3 * replay[0]
