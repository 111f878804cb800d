"""Gates in agent code: answered once, the same on replay; approvals are decided in the order of the calls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

import tape
from tape.core.kernel.identity import hash_json
from tape.core.sdk.context import RunContext
from tests.sdk.player import FakeServer, Played, play


@tape.tool(semantics="idempotent")
async def settle(to: str, amount: int = 5) -> str:
    return f"{to}: {amount}"


@tape.tool(semantics="idempotent", needs_approval=True)
async def guarded(to: str) -> str:
    return to


@tape.tool(semantics="idempotent")
async def jot(text: str) -> str:
    return text


def played(agent: Any, answers: dict[tuple[str, int], Any], *, early: bool = False, most: int = 20) -> Played:
    """Drives the agent to its end as the server would: parked at a gate, it is answered, and driven again."""
    server = FakeServer([(1, "run_started", {"agent": agent.__name__})], [1])
    if early:
        server.early = {instance: value for instance, value in answers.items() if isinstance(value, str)}
    for _ in range(most):
        done = play(agent, server)
        if done.said != "park":
            return done
        assert done.server.sent("park")[-1]["waits"] == sorted(f"gate {n} {o}" for n, o in server.open_gates())
        for instance in server.open_gates():
            value = answers[instance]
            server.answer(*instance, value if isinstance(value, str) else None, timed_out=value is None)
        server.frames.clear()
    raise AssertionError("it waits for ever")


def same_everywhere(agent: Callable[..., Any], done: Played) -> None:
    """Cut after any commit and driven on, the run comes to the same tape and the same end."""
    whole = [(kind, body) for _, kind, body in done.server.records]
    answers = {(b["name"], b["ordinal"]): b["answer"] for kind, b in whole if kind == "gate_answered"}
    for count in done.server.commits[:-1]:
        if whole[count][0] == whole[count - 1][0] == "gate_answered":
            continue  # what comes from outside would come at another time
        server = done.server.cut(count)
        for _ in range(20):
            server.frames.clear()
            again = play(agent, server)
            if again.said != "park":
                break
            for instance in server.open_gates():
                server.answer(*instance, answers[instance], timed_out=answers[instance] is None)
        assert [(kind, body) for _, kind, body in server.records] == whole, f"cut after {count}"


# --- waiting and answers ---


def test_a_gate_parks_the_run_and_returns_the_answer() -> None:
    async def agent(run: tape.Run) -> list[str]:
        first = await run.gate("pay", "Pay?")
        await jot(first)
        return [first, await run.gate("pay", options=["now", "later"]), await run.gate("other", timeout=5)]

    done = played(agent, {("pay", 0): "deny", ("pay", 1): "later", ("other", 0): "approve"})
    assert done.result == ["deny", "later", "approve"]
    opened = [body for _, kind, body in done.server.records if kind == "gate_opened"]
    assert [(body["name"], body["ordinal"], body["seconds"]) for body in opened] == [
        ("pay", 0, None),
        ("pay", 1, None),
        ("other", 0, 5.0),
    ]
    same_everywhere(agent, done)


def test_an_early_answer_is_used_without_parking() -> None:
    async def agent(run: tape.Run) -> str:
        return await run.gate("pay")

    server = FakeServer([(1, "run_started", {"agent": "agent"})], [1], early={("pay", 0): "approve"})
    done = play(agent, server)
    assert done.result == "approve"
    assert done.server.kinds() == ["run_started", "gate_opened", "gate_answered", "run_ended"]
    same_everywhere(agent, done)


@pytest.mark.parametrize("pushed_first", [True, False])
def test_an_early_answer_that_is_pushed_as_well_counts_once(pushed_first: bool) -> None:
    async def agent(run: tape.Run) -> list[str]:
        return [await run.gate("pay"), await run.gate("pay")]

    class Pushing(FakeServer):
        def request(self, frame: Any, reply: Callable[[Any], None]) -> None:
            def replied(answer: Any) -> None:
                pushed = [record for record in self.records if record[1] == "gate_answered"]
                if pushed_first:
                    contexts[0].take_record(*pushed[-1])
                reply(answer)
                contexts[0].take_record(*pushed[-1])

            super().request(frame, replied if frame["t"] == "gate" else reply)

    contexts: list[RunContext] = []
    server = Pushing([(1, "run_started", {"agent": "agent"})], [1])
    server.early = {("pay", 0): "approve", ("pay", 1): "deny"}
    assert play(agent, server, before=contexts.append).result == ["approve", "deny"]


def test_a_time_out_without_an_answer_raises_the_same_on_replay() -> None:
    async def agent(run: tape.Run) -> str:
        try:
            return await run.gate("pay", timeout=2.5)
        except tape.GateTimeout as error:
            await jot("late")
            return str(error)

    done = played(agent, {("pay", 0): None})
    assert done.result == "gate pay 0: nobody answered within 2.5 s"
    same_everywhere(agent, done)


def test_branches_wait_at_several_gates_at_once() -> None:
    async def branch(run: tape.Run, name: str) -> str:
        answer = await run.gate(name)
        return await jot(f"{name} {answer}")

    async def agent(run: tape.Run) -> list[str]:
        return await asyncio.gather(*[branch(run, name) for name in ("b", "a", "c")])

    done = played(agent, {("a", 0): "approve", ("b", 0): "deny", ("c", 0): "approve"})
    assert done.result == ["b deny", "a approve", "c approve"]
    same_everywhere(agent, done)


def test_a_gate_that_the_code_gives_up_is_let_go() -> None:
    async def agent(run: tape.Run) -> str:
        waits = asyncio.ensure_future(run.gate("pay"))
        await jot("meanwhile")
        waits.cancel()
        return await jot("gone on")

    done = played(agent, {})
    assert done.result == "gone on"
    assert done.server.kinds().count("gate_opened") == 1
    same_everywhere(agent, done)


def test_another_gate_than_the_recorded_one_diverges() -> None:
    asked: dict[str, Any] = {"options": ("approve", "deny")}

    async def agent(run: tape.Run) -> str:
        return await run.gate("pay", **asked)

    done = played(agent, {("pay", 0): "deny"})
    asked = {"options": ("approve", "deny"), "prompt": "other words"}
    assert play(agent, done.server.cut(3)).result == "deny", "a prompt is only words"
    asked = {"options": ("yes", "no")}
    why = play(agent, done.server.cut(3)).diverged
    assert "recorded gate pay 0 (approve | deny)" in why and "asks gate pay 0 (yes | no)" in why
    asked = {"approves": settle.bind("ACME")}
    assert "for settle(to='ACME', amount=5)" in play(agent, done.server.cut(3)).diverged


@pytest.mark.parametrize(
    ("named", "says"),
    [
        ({"name": ""}, "is no name"),
        ({"name": 7}, "is no name"),
        ({"name": "a\nb"}, "is no name"),
        ({"name": "x" * 201}, "longer than 200"),
        ({"prompt": 7}, "prompt is a text"),
        ({"options": ()}, "options are 1 to 20"),
        ({"options": "approve"}, "options are 1 to 20"),
        ({"options": ("a", "a")}, "options are 1 to 20"),
        ({"options": ("a", 7)}, "options are 1 to 20"),
        ({"options": tuple(map(str, range(21)))}, "options are 1 to 20"),
        ({"options": ("x" * 201,)}, "options are 1 to 20"),
        ({"timeout": 0}, "timeout is 0"),
        ({"timeout": -1}, "timeout is -1"),
        ({"timeout": True}, "timeout is True"),
        ({"timeout": float("nan")}, "timeout is nan"),
        ({"timeout": 4e9}, "timeout is 4000000000.0"),
        ({"on_timeout": "deny"}, "add timeout=SECONDS"),
        ({"on_timeout": "dny", "timeout": 1}, "did you mean 'deny'"),
        ({"approves": settle}, "wire_money.bind"),
        ({"approves": (settle,)}, "wire_money.bind"),
        ({"approves": settle.bind()}, "missing a required argument"),  # type: ignore[call-arg]
        ({"approves": settle.bind("x", "many")}, "does not fit int"),  # type: ignore[arg-type]
        ({"prompt": "\ud800"}, "surrogate"),
    ],
)
def test_what_no_gate_can_be(named: dict[str, Any], says: str) -> None:
    async def agent(run: tape.Run) -> str:
        with pytest.raises(tape.UsageError, match=says) as caught:
            await run.gate(**{"name": "pay", **named})
        return str(caught.value)

    done = play(agent)
    assert "\n" not in done.result
    assert done.server.kinds() == ["run_started", "run_ended"], "nothing is recorded"


# --- approvals ---


def test_the_gate_shows_the_exact_call_and_its_answer_is_used_up() -> None:
    async def agent(run: tape.Run) -> list[str]:
        await run.gate("pay", approves=settle.bind("ACME"))
        said = [await settle("ACME", 5)]  # the same call, spelt otherwise
        with pytest.raises(tape.NotApproved, match="no approval of it is left"):
            await settle("ACME")
        return said

    done = played(agent, {("pay", 0): "approve"})
    assert done.result == ["ACME: 5"]
    (opened,) = [body for _, kind, body in done.server.records if kind == "gate_opened"]
    args = {"to": "ACME", "amount": 5}
    assert opened["approves"] == {"tool": "settle", "args": args, "args_hash": hash_json(args)}
    (begun,) = [body for _, kind, body in done.server.records if kind == "effect_begun"]
    assert begun["approval"] == "pay 0"
    same_everywhere(agent, done)


@pytest.mark.parametrize(
    ("answer", "call", "says"),
    [
        ("deny", {"to": "ACME"}, "no approval of it is left"),
        ("approve", {"to": "ACME", "amount": 6}, "gate pay 0 approved it with other arguments"),
        ("approve", {"to": "EVIL"}, "gate pay 0 approved it with other arguments"),
    ],
)
def test_what_was_not_approved_is_not_begun(answer: str, call: dict[str, Any], says: str) -> None:
    async def agent(run: tape.Run) -> str:
        await run.gate("pay", approves=settle.bind("ACME"))
        try:
            return await settle(**call)
        except tape.NotApproved as error:
            await jot("went another way")
            return str(error)

    done = played(agent, {("pay", 0): answer})
    assert says in done.result and "\n" not in done.result
    assert [body["tool"] for _, kind, body in done.server.records if kind == "effect_begun"] == ["jot"]
    told = done.server.sent("unapproved")
    assert [(frame["tool"], frame["why"]) for frame in told] == [("settle", done.result)]
    same_everywhere(agent, done)
    for count in done.server.commits:
        if "effect_begun" in [kind for _, kind, _ in done.server.records[:count]]:
            server = done.server.cut(count)
            play(agent, server)
            assert not server.sent("unapproved"), "what came after it is recorded: it was told before"


def test_a_tool_that_needs_approval_needs_it_without_any_gate() -> None:
    async def agent(run: tape.Run) -> str:
        with pytest.raises(tape.NotApproved, match="guarded needs an approval"):
            await guarded("ACME")
        with pytest.raises(tape.NotApproved):
            await run.call("guarded", to="ACME")
        await run.gate("go", options=("yes", "no"), approves=guarded.bind("ACME"))
        return await guarded("ACME")

    done = played(agent, {("go", 0): "yes"})
    assert done.result == "ACME"
    assert [frame["tool"] for frame in done.server.sent("unapproved")] == []  # of the last drive
    same_everywhere(agent, done)


def test_a_refused_call_raises_where_it_is_awaited() -> None:
    async def agent(run: tape.Run) -> list[str]:
        await run.gate("one", approves=settle.bind("a"))
        said = await asyncio.gather(settle("a"), settle("b"), settle("a"), jot("n"), return_exceptions=True)
        return [type(one).__name__ if isinstance(one, Exception) else one for one in said]

    done = played(agent, {("one", 0): "approve"})
    assert done.result == ["a: 5", "NotApproved", "NotApproved", "n"]
    same_everywhere(agent, done)


def test_approvals_are_shared_out_in_the_order_of_the_calls() -> None:
    async def agent(run: tape.Run) -> list[str]:
        await asyncio.gather(*[run.gate("pay", approves=settle.bind("a")) for _ in range(3)])
        return await asyncio.gather(*[settle("a") for _ in range(3)])

    done = played(agent, {("pay", number): "approve" for number in range(3)})
    assert done.result == ["a: 5"] * 3
    begun = [body["approval"] for _, kind, body in done.server.records if kind == "effect_begun"]
    assert begun == ["pay 0", "pay 1", "pay 2"]
    same_everywhere(agent, done)


@pytest.mark.parametrize("more", [{"void": True}, {}])
def test_an_answer_that_came_from_another_run_approves_nothing(more: dict[str, Any]) -> None:
    async def agent(run: tape.Run) -> str:
        await run.gate("pay", approves=settle.bind("a"))
        try:
            return await settle("a")
        except tape.NotApproved:
            return "no"

    server = play(agent).server
    server.answer("pay", 0, "approve", **more)
    assert play(agent, server).result == ("no" if more else "a: 5")


def test_a_call_that_was_made_before_the_gate_was_opened_needs_nothing() -> None:
    async def agent(run: tape.Run) -> list[str]:
        before = await settle("a")
        await run.gate("pay", approves=settle.bind("a"))
        return [before, await settle("a")]

    done = played(agent, {("pay", 0): "approve"})
    assert done.result == ["a: 5", "a: 5"]
    assert [b["approval"] for _, kind, b in done.server.records if kind == "effect_begun"] == [None, "pay 0"]
    same_everywhere(agent, done)


def test_branches_with_an_approval_each_do_not_take_each_others() -> None:
    async def branch(run: tape.Run, to: str) -> str:
        if await run.gate(f"pay {to}", approves=settle.bind(to)) == "deny":
            return "denied"
        return await settle(to)

    async def agent(run: tape.Run) -> list[str]:
        return await asyncio.gather(*[branch(run, to) for to in "abc"])

    done = played(agent, {("pay a", 0): "approve", ("pay b", 0): "deny", ("pay c", 0): "approve"})
    assert done.result == ["a: 5", "denied", "c: 5"]
    same_everywhere(agent, done)
