"""`tool.enqueue`: its outcome is its begin; what becomes of it is nobody's business in the run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import tape
from tape.core.kernel.errors import UsageError
from tests.sdk.player import RUN, FakeServer, play
from tests.sdk.test_gates import played, same_everywhere


@tape.tool(semantics="idempotent", dispatch="outbox")
async def post(letter: str) -> str:
    raise AssertionError("a body that the agent enters")


@tape.tool(semantics="idempotent")
async def inline(letter: str) -> str:
    return letter


async def think(question: str) -> str:
    return question


async def three(run: tape.Run) -> list[str]:
    first = await post.enqueue("a")
    said = await run.decide(think, "what next")
    return [first, said, await post.enqueue(letter="b"), await inline("c")]


KEYS = [f"{RUN}/-/0/post", "what next", f"{RUN}/0/0/post", "c"]


def test_it_returns_the_key_once_its_intent_is_durable() -> None:
    played = play(three)
    assert played.result == KEYS
    assert played.server.kinds() == [
        *("run_started", "effect_begun", "decision", "charge", "effect_begun", "effect_begun", "effect_ended"),
        "run_ended",
    ]
    begun = [frame["call"]["awaited"] for frame in played.server.sent("begin")]
    assert begun == [False, False, True]


def test_not_before_it_is_durable() -> None:
    """The answer is kept back: nothing goes on."""
    went_on: list[str] = []

    async def agent(run: tape.Run) -> None:
        went_on.append(await post.enqueue("a"))

    server = FakeServer([(1, "run_started", {})], [1])
    held: list[bool] = [True]
    server.held = lambda frame: frame["t"] == "begin" and held[0]

    def on_quiet(context: Any) -> bool:
        assert not went_on
        held[0] = False
        context.loop.call_soon(server.serve)
        return True

    play(agent, server, on_quiet=on_quiet)
    assert went_on == [f"{RUN}/-/0/post"]


def test_replayed_from_every_place() -> None:
    """Whatever is recorded is not begun again, and its end is not waited for, whether it came or not."""
    whole = play(three)
    for count in whole.server.commits:
        server = whole.server.cut(count)
        if server.kinds()[-1] == "run_ended":
            continue
        again = play(three, server)
        assert again.result == KEYS
        assert server.kinds() == whole.server.kinds()


CAPPED = {"capped": True, "known": True, "caps": [[2, {"calls:post": 1}]]}
NUMBERS = {"unit": "calls:post", "asked": 1, "cap": 1, "spent": 0, "reserved": 1}


def test_a_cap_in_the_way_is_told_instead_and_replayed() -> None:
    """Neither is it queued, nor does the code get its key: the first time, and from every place of the tape."""

    async def agent(run: tape.Run) -> list[str]:
        said: list[str] = []
        for letter in "abc":
            try:
                said.append(await post.enqueue(letter))
            except tape.BudgetExceeded as error:
                said.append(str(error))
        return said

    refused = {"b", "c"}

    def over(frame: Any) -> dict[str, Any] | None:
        return NUMBERS if frame["t"] == "begin" and frame["call"]["args"]["letter"] in refused else None

    whole = play(agent, FakeServer([(1, "run_started", {})], [1], over=over), budget=CAPPED)
    assert whole.result[0] == f"{RUN}/-/0/post"
    assert all("is not begun: it may take 1 call of post, and 0 calls" in said for said in whole.result[1:])
    kinds = ["run_started", "effect_begun", "budget_refused", "budget_refused", "run_ended"]
    assert whole.server.kinds() == kinds
    for count in whole.server.commits[:-1]:
        cut = whole.server.cut(count)
        cut.over = over
        again = play(agent, cut, budget=CAPPED)
        assert (again.result, again.server.kinds()) == (whole.result, kinds)


def test_it_uses_up_an_approval() -> None:
    async def agent(run: tape.Run) -> list[str]:
        await run.gate("go", options=("yes", "no"), approves=post.bind("a"))
        with pytest.raises(tape.NotApproved, match="approved it with other arguments"):
            await post.enqueue("b")
        said = [await post.enqueue("a")]
        with pytest.raises(tape.NotApproved, match="no approval of it is left"):
            await post.enqueue("a")
        return said

    done = played(agent, {("go", 0): "yes"})
    assert done.result == [f"{RUN}/-/1/post"]
    (begun,) = [body for _, kind, body in done.server.records if kind == "effect_begun"]
    assert (begun["approval"], begun["awaited"]) == ("go 0", False)
    same_everywhere(agent, done)


def test_a_refusal_uses_up_its_approval_the_second_time_as_well() -> None:
    """A later call that is approved, too, gets the same approval on replay."""

    async def agent(run: tape.Run) -> list[str]:
        for _ in range(2):
            await run.gate("go", options=("yes", "no"), approves=post.bind("a"))
        with pytest.raises(tape.BudgetExceeded):
            await post.enqueue("a")
        return [await post.enqueue("a")]

    answers = {("go", 0): "yes", ("go", 1): "yes"}
    first: list[bool] = []

    def over(frame: Any) -> dict[str, Any] | None:
        if frame["t"] != "begin" or first:
            return None
        first.append(True)
        return NUMBERS

    server = FakeServer([(1, "run_started", {})], [1], over=over)
    while (done := play(agent, server, budget=CAPPED)).said == "park":
        for instance in server.open_gates():
            server.answer(*instance, answers[instance])
    assert done.result == [f"{RUN}/-/1/post"]
    (begun,) = [body for _, kind, body in server.records if kind == "effect_begun"]
    assert begun["approval"] == "go 1"
    cut = server.cut(len(server.records) - 2)
    assert cut.kinds()[-1] == "budget_refused"
    again = play(agent, cut, budget=CAPPED)
    assert again.result == done.result
    (begun,) = [body for _, kind, body in again.server.records if kind == "effect_begun"]
    assert begun["approval"] == "go 1"


def test_a_recorded_refusal_is_a_refusal_in_a_fork_too_where_its_approval_is_void() -> None:
    async def agent(run: tape.Run) -> str:
        await run.gate("go", options=("yes", "no"), approves=post.bind("a"))
        try:
            return await post.enqueue("a")
        except tape.BudgetExceeded:
            return "refused"

    server = FakeServer([(1, "run_started", {})], [1], over=lambda frame: NUMBERS)
    while (done := play(agent, server, budget=CAPPED)).said == "park":
        for instance in server.open_gates():
            server.answer(*instance, "yes")
    assert done.result == "refused"
    fork = server.cut(len(server.records) - 1)
    fork.records = [
        (n, kind, {**body, "void": True} if kind == "gate_answered" else body) for n, kind, body in fork.records
    ]
    assert play(agent, fork, budget=CAPPED).result == "refused"


def test_the_order_of_a_batch_is_the_same_on_replay() -> None:
    told: list[list[str]] = []

    async def agent(run: tape.Run) -> None:
        order: list[str] = []
        told.append(order)

        async def note(what: Awaitable[Any]) -> None:
            order.append(str(await what))

        await asyncio.gather(note(post.enqueue("a")), note(inline("b")), note(post.enqueue("c")))

    whole = play(agent)
    play(agent, whole.server.cut(len(whole.server.records) - 1))
    assert told[0] == told[1]
    assert len(told[0]) == 3


@pytest.mark.parametrize(
    ("recorded", "asked"),
    [
        (lambda: post.enqueue("a"), lambda: post("a")),
        (lambda: post.enqueue("a"), lambda: post.enqueue("b")),
        (lambda: post.enqueue("a"), lambda: inline("a")),
        (lambda: inline("a"), lambda: post.enqueue("a")),
    ],
)
def test_another_call_in_its_place_diverges(recorded: Callable[[], Any], asked: Callable[[], Any]) -> None:
    async def before(run: tape.Run) -> None:
        await recorded()
        await run.now()

    async def after(run: tape.Run) -> None:
        await asked()
        await run.now()

    whole = play(before)
    why = play(after, whole.server.cut(len(whole.server.records) - 1)).diverged
    one, other = why.removeprefix("the code does not fit the tape: recorded ").split(" | the code asks ")
    assert one != other


def test_code_that_does_not_ask_for_it_any_more_diverges() -> None:
    async def before(run: tape.Run) -> None:
        await post.enqueue("a")

    async def after(run: tape.Run) -> None: ...

    whole = play(before)
    why = play(after, whole.server.cut(2)).diverged
    assert why == "the code does not fit the tape: recorded enqueued post(letter='a') | the code returned"


def test_only_for_the_outbox() -> None:
    async def agent(run: tape.Run) -> None:
        await inline.enqueue("a")

    error = play(agent).ended["error"]
    assert error["type"] == "UsageError"
    assert "inline.enqueue needs the outbox" in error["message"]


def test_not_outside_a_run_nor_inside_a_body() -> None:
    with pytest.raises(UsageError, match="works in an agent function during a run"):
        post.enqueue("a")
    said: list[str] = []

    @tape.tool(semantics="idempotent")
    async def outer() -> None:
        try:
            await post.enqueue("a")
        except UsageError as error:
            said.append(str(error))

    async def agent(run: tape.Run) -> None:
        await outer()

    play(agent)
    assert "works in an agent function" in said[0]


def test_arguments_that_do_not_fit_are_refused_before_anything_is_recorded() -> None:
    async def agent(run: tape.Run) -> None:
        await post.enqueue(wrong=1)  # type: ignore[call-arg]

    played = play(agent)
    assert played.ended["error"]["type"] == "UsageError"
    assert played.server.kinds() == ["run_started", "run_ended"]
