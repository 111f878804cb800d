"""Code that does not fit its tape makes the run STUCK, with both sides in the reason."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

import tape
from tests.sdk.player import Played, play


@tape.tool(semantics="idempotent")
async def pay(to: str, amount: int = 1) -> str:
    return f"paid {to}"


@tape.tool(semantics="idempotent")
async def ship(to: str) -> str:
    return f"shipped {to}"


async def think(question: str) -> str:
    return f"thought {question}"


async def before(run: tape.Run) -> str:
    await run.decide(think, "x")
    await pay("ACME")
    await ship("ACME")
    await run.sample(lambda: 1)
    return "done"


def over(agent: Any, records: int | None = None, recorded: Any = before) -> Played:
    whole = play(recorded)
    return play(agent, whole.server.cut(len(whole.server.records) - 1 if records is None else records))


async def changed_question(run: tape.Run) -> None:
    await run.decide(think, "y")


async def changed_model(run: tape.Run) -> None:
    async def other(question: str) -> str:
        return question

    await run.decide(other, "x")


async def changed_arguments(run: tape.Run) -> None:
    await run.decide(think, "x")
    await pay("ACME", 2)


async def changed_tool(run: tape.Run) -> None:
    await run.decide(think, "x")
    await ship("ACME")


async def changed_order(run: tape.Run) -> None:
    await run.decide(think, "x")
    await ship("ACME")
    await pay("ACME")


async def removed_call(run: tape.Run) -> None:
    await run.decide(think, "x")
    await pay("ACME")
    await run.sample(lambda: 1)


async def removed_and_goes_on(run: tape.Run) -> None:
    await run.decide(think, "x")
    await pay("ACME")
    await run.decide(think, "z")


async def removed_decision(run: tape.Run) -> None:
    await pay("ACME")


async def ended_early(run: tape.Run) -> None:
    await run.decide(think, "x")


async def raised_early(run: tape.Run) -> None:
    await run.decide(think, "x")
    raise ValueError("no such invoice")


async def never_asks(run: tape.Run) -> None:
    pass


async def added_sleep(run: tape.Run) -> None:
    await run.sleep(5)
    await before(run)


async def added_sample(run: tape.Run) -> None:
    await run.now()
    await before(run)


CASES = {
    changed_question: ("decision think(args=['x'], kwargs={})", "decision think(args=['y'], kwargs={})"),
    changed_model: ("decision think(args=['x']", "decision other(args=['x']"),
    changed_arguments: ("effect pay(to='ACME', amount=1)", "effect pay(to='ACME', amount=2)"),
    changed_tool: ("effect pay(to='ACME', amount=1)", "effect ship(to='ACME')"),
    changed_order: ("effect pay(to='ACME', amount=1)", "effect ship(to='ACME')"),
    removed_call: ("effect ship(to='ACME')", "nothing like it, and waits for sample <lambda>"),
    removed_and_goes_on: ("effect ship(to='ACME')", "decision think(args=['z']"),
    removed_decision: ("decision think(args=['x']", "effect pay(to='ACME', amount=1)"),
    ended_early: ("effect pay(to='ACME', amount=1)", "the code returned"),
    raised_early: ("effect pay(to='ACME', amount=1)", "the code raised ValueError: no such invoice"),
    never_asks: ("decision think(args=['x']", "the code returned"),
    added_sleep: ("decision think(args=['x']", "timer 5.0 s"),
    added_sample: ("sample <lambda>", "sample now"),
}


@pytest.mark.parametrize("agent", CASES, ids=lambda agent: agent.__name__)
def test_both_sides_are_told(agent: Any) -> None:
    recorded, asked = CASES[agent]
    why = over(agent).diverged
    left, right = why.split(" | ")
    assert left.startswith(f"the code does not fit the tape: recorded {recorded}")
    assert right.removeprefix("the code asks ").startswith(asked)


@pytest.mark.parametrize("agent", CASES, ids=lambda agent: agent.__name__)
def test_nothing_is_done_by_a_run_that_diverges(agent: Any) -> None:
    played = over(agent)
    assert {frame["t"] for frame in played.server.frames} == {"diverge"}


def test_a_call_removed_from_a_batch_that_others_wait_beside() -> None:
    async def batch(run: tape.Run) -> None:
        await asyncio.gather(pay("a"), ship("b"))
        await run.decide(think, "x")

    async def smaller(run: tape.Run) -> None:
        await asyncio.gather(pay("a"))
        await run.decide(think, "x")

    why = over(smaller, recorded=batch).diverged
    assert "recorded effect ship(to='b') | the code asks nothing like it, and waits for effect pay(to='a'" in why


def test_a_call_added_at_the_end_is_no_divergence() -> None:
    async def longer(run: tape.Run) -> str:
        await before(run)
        return await ship("more")

    assert over(longer).result == "shipped more"


def test_a_call_added_to_a_batch_after_the_others_is_begun_when_the_tape_is_used_up() -> None:
    async def batch(run: tape.Run) -> Any:
        return await asyncio.gather(pay("a"), ship("b"))

    async def larger(run: tape.Run) -> Any:
        return await asyncio.gather(pay("a"), ship("b"), ship("c"))

    assert over(larger, recorded=batch).result == ["paid a", "shipped b", "shipped c"]


def test_divergence_is_not_swallowed_by_a_handler_of_exceptions() -> None:
    async def careful(run: tape.Run) -> str:
        try:
            await run.decide(think, "y")
        except Exception:
            return "swallowed"
        return "fine"

    assert over(careful).said == "diverge"


def test_a_slow_wait_of_its_own_is_no_divergence() -> None:
    """While the code waits for something of its own, a new call in another branch is no proof of anything yet."""

    async def old(run: tape.Run) -> None:
        await asyncio.gather(_later(0.1), pay("a"))

    async def new(run: tape.Run) -> str:
        await asyncio.gather(_later(20), pay("a"), run.now())
        return "ok"

    async def _later(seconds: float) -> None:
        await asyncio.sleep(seconds)
        await pay("later")

    whole = play(old)
    assert play(new, whole.server.cut(len(whole.server.records) - 1)).result == "ok"


def test_a_wait_that_never_ends_is_one_in_the_end() -> None:
    async def old(run: tape.Run) -> None:
        await asyncio.gather(pay("a"), ship("b"))

    async def new(run: tape.Run) -> None:
        await asyncio.gather(pay("a"), asyncio.sleep(3600), run.decide(think, "new"))

    whole = play(old)
    assert "recorded effect ship" in play(new, whole.server.cut(len(whole.server.records) - 1)).diverged


def test_a_long_request_is_cut_in_the_text_but_not_in_the_comparison() -> None:
    async def old(run: tape.Run) -> None:
        await run.decide(think, "a" * 9000 + "x")

    async def new(run: tape.Run) -> None:
        await run.decide(think, "a" * 9000 + "y")

    whole = play(old)
    assert whole.server.records[1][2]["request"]["args"] == ["a" * 9000 + "x"]
    told = play(new, whole.server.cut(3)).diverged
    assert len(told) < 1000
    assert told.endswith("(they differ further inside)")
    assert play(old, whole.server.cut(3)).said == "finish"


def test_a_request_that_comes_as_a_preview_is_compared_by_its_fingerprint() -> None:
    history = [{"role": "user", "content": "hello " * 20} for _ in range(40)]

    async def old(run: tape.Run) -> None:
        await run.decide(think, json.dumps(history))

    async def new(run: tape.Run) -> None:
        await run.decide(think, "other")

    server = play(old).server.cut(3)
    server.records[1][2].update(request=None, preview="args=[[… 39 more, 'hello']]")
    assert play(old, server).said == "finish"
    server = play(old).server.cut(3)
    server.records[1][2].update(request=None, preview="args=[[… 39 more, 'hello']]")
    assert "recorded decision think(args=[[… 39 more, 'hello']]) | the code asks decision think(args=['other']" in (
        play(new, server).diverged
    )


def test_refusals_of_the_journal_make_the_run_stuck() -> None:
    whole = play(before)
    server = whole.server.cut(1)
    server.refuse = lambda frame: ("conflict", "the same key") if frame["t"] == "begin" else None
    played = play(before, server)
    assert (played.said, played.why) == ("diverge", "the same key")
