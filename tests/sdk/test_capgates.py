"""A cap that a person may raise: the ask or the call waits without a record, the run parks, and does it again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

import tape
from tape.core.sdk.context import RunContext
from tape.core.wire import Frame
from tests.sdk.player import FakeServer, Played, play

CAPPED = {"capped": True, "known": True, "caps": [[2, {"tokens": 100}]]}
NUMBERS = {"unit": "tokens", "asked": 40, "cap": 100, "spent": 70, "reserved": 0, "actor": "me@here", "reason": "no"}
entered: list[str] = []


@tape.tool(semantics="idempotent")
async def do_it(name: str) -> str:
    entered.append(name)
    return name.upper()


@tape.tool(semantics="idempotent", dispatch="outbox")
async def send_it(name: str) -> str:
    raise AssertionError("the outbox's business")


@tape.model(max_tokens=40)
async def think(question: str) -> str:
    entered.append(question)
    return f"thought {question}"


@pytest.fixture(autouse=True)
def nothing_entered() -> None:
    entered.clear()


class Person:
    """Says no to nothing: `ask` and `begin` frames about these wait until the cap is raised."""

    def __init__(self, *waiting: str) -> None:
        self.waiting = {*waiting}
        self.asked: list[str] = []

    def __call__(self, frame: Frame) -> bool:
        name = frame["call"]["args"].get("name", "") if frame["t"] == "begin" else str(frame["index"])
        self.asked.append(name)
        return name in self.waiting


def server(person: Callable[[Frame], bool]) -> FakeServer:
    return FakeServer([(1, "run_started", {"agent": "agent"})], [1], waits=person)


def again(agent: Any, played: Played, person: Callable[[Frame], bool] = lambda frame: False, **over: Any) -> Played:
    """The next drive, over the same tape."""
    cut = played.server.cut(len(played.server.records))
    cut.waits = person
    for name, value in over.items():
        setattr(cut, name, value)
    return play(agent, cut, budget=CAPPED)


def parked_for(played: Played) -> list[str]:
    assert played.said == "park", (played.said, played.why)
    return played.server.sent("park")[-1]["waits"]


async def asks(run: tape.Run) -> list[str]:
    return [await run.decide(think, "a"), await do_it("b"), await run.decide(think, "c")]


def test_an_ask_waits_without_a_record_and_is_asked_again() -> None:
    played = play(asks, server(Person("1")), budget=CAPPED)
    assert parked_for(played) == ["budget decision 1"]
    assert entered == ["a", "b"] and played.server.kinds()[-1] == "effect_ended"
    raised = again(asks, played)
    assert raised.result == ["thought a", "B", "thought c"] and entered == ["a", "b", "c"]
    never = play(asks, budget=CAPPED)
    assert raised.server.records[1:] == never.server.records[1:], "as if the cap had never been in the way"


@pytest.mark.parametrize("place", ["1", "b"])
def test_an_answer_of_a_persons_that_overtakes_the_news_of_the_wait(place: str) -> None:
    """A cap is raised in the same commit, or while the reply is withheld at a crash point."""
    person, contexts = Person(place), list[RunContext]()

    def raised_at_once(frame: Frame) -> bool:
        waits = person(frame)
        if waits:
            person.waiting.clear()
            contexts[0].ask_again()
        return waits

    played = play(asks, server(raised_at_once), budget=CAPPED, before=contexts.append)
    assert played.result == ["thought a", "B", "thought c"] and entered == ["a", "b", "c"]
    assert person.asked.count(place) == 2


def test_a_call_waits_and_is_called_again() -> None:
    played = play(asks, server(Person("b")), budget=CAPPED)
    assert parked_for(played) == ["budget r-000000000001/0/0/do_it"]
    assert entered == ["a"]
    assert again(asks, played).server.records[1:] == play(asks, budget=CAPPED).server.records[1:]


def test_a_person_who_will_not_is_a_refusal_with_a_name() -> None:
    async def agent(run: tape.Run) -> str:
        try:
            return await run.decide(think, "a")
        except tape.BudgetExceeded as error:
            return f"{error} {await do_it('b')}"

    played = play(agent, server(Person("0")), budget=CAPPED)
    assert parked_for(played) == ["budget decision 0"]
    denied = again(agent, played, over=lambda frame: NUMBERS if frame["t"] == "ask" else None)
    assert denied.result == (
        "decision 0 is not asked for: it may take 40 tokens, and 30 tokens are left in the budget of r-000000000001: "
        "cap 100 tokens, spent 70 tokens, reserved 0 tokens; me@here would not raise it: no B"
    )
    assert again(agent, denied).result == denied.result


def test_refused_and_asked_again_it_waits_again() -> None:
    async def agent(run: tape.Run) -> str:
        for _ in range(2):
            try:
                return await run.decide(think, "a")
            except tape.BudgetExceeded:
                pass
        return "nothing"

    first = play(agent, server(Person("0")), budget=CAPPED)
    asked: list[Frame] = []

    def once(frame: Frame) -> dict[str, Any] | None:
        asked.append(frame)
        return NUMBERS if len(asked) == 1 else None

    second = again(agent, first, lambda frame: bool(asked), over=once)
    assert parked_for(second) == ["budget decision 0"], "the same index, a second refusal to come"
    third = again(agent, second, over=lambda frame: NUMBERS if frame["t"] == "ask" else None)
    assert third.result == "nothing"
    assert [body["ordinal"] for _, kind, body in third.server.records if kind == "budget_refused"] == [0, 1]


async def batch(run: tape.Run) -> list[Any]:
    await run.decide(think, "x")
    found = await asyncio.gather(*(do_it(name) for name in "abc"))
    return [*found, await run.decide(think, "y")]


@pytest.mark.parametrize("waiting", ["a", "b", "c", "ab", "abc"])
def test_of_a_batch_the_others_go_on(waiting: str) -> None:
    person = Person(*waiting)
    played = play(batch, server(person), budget=CAPPED)
    ordinals = {name: index for index, name in enumerate("abc")}
    assert parked_for(played) == [f"budget r-000000000001/0/{ordinals[name]}/do_it" for name in waiting]
    assert sorted(entered[1:]) == [name for name in "abc" if name not in waiting]
    raised = again(batch, played)
    assert raised.result == ["A", "B", "C", "thought y"] and sorted(entered[1:]) == ["a", "b", "c", "y"]
    keys = [body["key"] for _, kind, body in raised.server.records if kind == "effect_begun"]
    assert sorted(keys) == [f"r-000000000001/0/{ordinal}/do_it" for ordinal in range(3)]
    for count in raised.server.commits[:-1]:
        assert play(batch, raised.server.cut(count), budget=CAPPED).result == raised.result, count


def test_raised_while_a_sibling_is_still_at_work() -> None:
    """The run has not parked, and does not have to: it is told, and asks again."""
    release: list[asyncio.Event] = []

    @tape.tool(semantics="idempotent", name="slow")
    async def slow() -> str:
        release.append(asyncio.Event())
        await release[0].wait()
        return "done"

    async def agent(run: tape.Run) -> list[str]:
        return list(await asyncio.gather(slow(), do_it("b")))

    person = Person("b")
    person_asked = FakeServer(
        [(1, "run_started", {"agent": "agent"})], [1], waits=lambda f: f["call"]["tool"] == "do_it" and person(f)
    )

    def quiet(context: RunContext) -> bool:
        if len(person.asked) == 1:  # somebody raised another cap: still too little
            context.ask_again()
        elif person.waiting:
            person.waiting.clear()
            context.ask_again()
        elif not release[0].is_set():
            assert entered == ["b"], "while its sibling is at work"
            context.ask_again()  # nothing waits any more
            release[0].set()
        else:
            return False
        return True

    played = play(agent, person_asked, budget=CAPPED, on_quiet=quiet)
    assert played.result == ["done", "B"] and person.asked == ["b", "b", "b"]


def test_it_waits_beside_a_timer_and_a_gate() -> None:
    async def agent(run: tape.Run) -> list[Any]:
        return list(await asyncio.gather(run.sleep(60), run.gate("go"), do_it("b")))

    played = play(agent, server(Person("b")), budget=CAPPED)
    assert parked_for(played) == ["timer 0", "gate go 0", "budget r-000000000001/-/0/do_it"]


def test_an_outbox_call_and_one_that_nobody_waits_for() -> None:
    async def agent(run: tape.Run) -> str:
        return await send_it("b")

    played = play(agent, server(Person("b")), budget=CAPPED)
    assert parked_for(played) == ["budget r-000000000001/-/0/send_it"]

    async def enqueues(run: tape.Run) -> str:
        return await tape_enqueue("b")

    async def tape_enqueue(name: str) -> str:
        return await send_it.enqueue(name)

    played = play(enqueues, server(Person("b")), budget=CAPPED)
    assert parked_for(played) == ["budget r-000000000001/-/0/send_it"]
    assert again(enqueues, played).result == "r-000000000001/-/0/send_it"


def test_left_behind_by_the_code_it_holds_up_the_end() -> None:
    """As an open effect does: what was called is done before the run ends, and not driven again for nothing."""

    async def agent(run: tape.Run) -> str:
        asyncio.get_running_loop().create_task(do_it("b"))
        await asyncio.sleep(0)
        return "over"

    played = play(agent, server(Person("b")), budget=CAPPED)
    assert parked_for(played) == ["budget r-000000000001/-/0/do_it"]
    assert again(agent, played).result == "over" and entered == ["b"]


def test_cancelled_by_the_code_it_waits_for_the_person_all_the_same() -> None:
    async def agent(run: tape.Run) -> str:
        try:
            async with asyncio.timeout(5):
                return await do_it("b")
        except TimeoutError:
            return "too late"

    played = play(agent, server(Person("b")), budget=CAPPED)
    assert parked_for(played) == ["budget r-000000000001/-/0/do_it"]
    assert again(agent, played).result == "B"


def test_a_sibling_that_fails_takes_the_others_with_it() -> None:
    @tape.tool(semantics="read_only", name="breaks")
    async def breaks() -> str:
        raise ValueError("broken")

    async def agent(run: tape.Run) -> str:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(do_it("b"))
                group.create_task(breaks())
        except* tape.EffectFailed:
            pass
        return await do_it("c")

    played = play(agent, server(Person("b")), budget=CAPPED)
    assert parked_for(played) == ["budget r-000000000001/-/0/do_it"]
    raised = again(agent, played)
    while raised.said == "park":
        raised = again(agent, raised)
    assert raised.result == "C" and entered == ["b", "c"]


def test_a_cancelled_run_does_not_wait() -> None:
    played = play(asks, server(Person("1")), budget=CAPPED)
    cut = played.server.cut(len(played.server.records))
    assert play(asks, cut, budget=CAPPED, cancelled=True).ended == {"outcome": "CANCELLED"}


def test_the_word_goes_with_the_first_attachment() -> None:
    @tape.agent(budget=tape.Budget(tokens=7, on_exceeded="gate"))
    async def gated(run: tape.Run) -> None: ...

    @tape.agent(budget=tape.Budget(on_exceeded="gate"))
    async def only_the_word(run: tape.Run) -> None: ...

    @tape.agent(budget=tape.Budget(tokens=7))
    async def plain(run: tape.Run) -> None: ...

    (attach,) = play(gated).server.sent("attach")
    assert (attach["caps"], attach["on_exceeded"]) == ({"tokens": 7}, "gate")
    assert play(only_the_word).server.sent("attach")[0]["on_exceeded"] == "gate"
    assert "on_exceeded" not in play(plain).server.sent("attach")[0]
    assert "on_exceeded" not in play(gated, budget=CAPPED).server.sent("attach")[0]


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("gates", "the budget's on_exceeded is 'gates'; did you mean 'gate'?"),
        ("raise", "the budget's on_exceeded is 'raise'; it is 'error' or 'gate'"),
        (None, "the budget's on_exceeded is None; it is 'error' or 'gate'"),
        (["g"], "the budget's on_exceeded is ['g']; it is 'error' or 'gate'"),
    ],
)
def test_another_word_is_one_clear_line(word: Any, says: str) -> None:
    with pytest.raises(tape.UsageError) as caught:
        tape.Budget(usd=1, on_exceeded=word)
    assert str(caught.value) == says
