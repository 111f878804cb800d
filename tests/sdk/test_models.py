"""Decisions, samples and timers: what is recorded is what the code gets, errors too, the same on replay."""

from __future__ import annotations

import asyncio
import random
import time
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel

import tape
from tape.core.sdk.context import RunContext
from tests.sdk.player import FakeServer, Played, play


class Plan(BaseModel):
    steps: list[str]
    at: datetime


NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def twice(agent: Any, **options: Any) -> tuple[Any, Any]:
    """The result live, and over its own tape."""
    played = play(agent, **options)
    return played.result, play(agent, played.server.cut(len(played.server.records) - 1), **options).result


# --- decisions ----------------------------------------------------------------------------------------------------


@tape.model(max_tokens=100, max_usd=0.01)
def plain_model(question: str) -> Plan:
    return Plan(steps=[question], at=NOON)


async def async_model(question: str) -> Plan:
    return Plan(steps=[question], at=NOON)


class Client:
    def __init__(self) -> None:
        self.asked = 0

    async def ask(self, question: str) -> Plan:
        self.asked += 1
        return Plan(steps=[question], at=NOON)

    async def __call__(self, question: str) -> Plan:
        return await self.ask(question)


class SyncClient:
    def __call__(self, question: str) -> Plan:
        return Plan(steps=[question], at=NOON)


def wrapped(question: str) -> Any:
    return async_model(question)


MODELS = [
    (plain_model, "plain_model"),
    (async_model, "async_model"),
    (Client().ask, "ask"),
    (Client(), "Client"),
    (SyncClient(), "SyncClient"),
    (partial(async_model), "async_model"),
    (partial(partial(plain_model)), "plain_model"),
]


@pytest.mark.parametrize(("model", "name"), MODELS, ids=[f"{index} {name}" for index, (_, name) in enumerate(MODELS)])
def test_models_of_every_kind_come_typed(model: Any, name: str) -> None:
    got: list[Any] = []

    async def agent(run: tape.Run) -> None:
        got.append(await run.decide(model, "x"))

    played = play(agent)
    assert played.said == "finish", played.why
    play(agent, played.server.cut(3))
    assert got == [Plan(steps=["x"], at=NOON)] * 2
    recorded = played.server.sent("decision")[0]["decision"]
    assert (recorded["index"], recorded["name"]) == (0, name)
    assert recorded["request"] == {"args": ["x"], "kwargs": {}}


def test_a_function_that_returns_a_coroutine() -> None:
    async def agent(run: tape.Run) -> Any:
        return (await run.decide(wrapped, "x"))["steps"]

    assert twice(agent) == (["x"], ["x"])


class Broken(Exception):
    pass


async def raises(question: str) -> str:
    raise Broken(f"no answer to {question}\nsecond line \ud800")


async def cancels(question: str) -> str:
    raise asyncio.CancelledError("by itself")


async def not_json(question: str) -> Any:
    return object()


async def wrong_type(question: str) -> Plan:
    return {"steps": 7}  # type: ignore[return-value]


async def huge(question: str) -> str:
    return "x" * (1 << 20)


ERRORS = [
    (raises, "ModelFailed: raises: Broken: no answer to x"),
    (cancels, "ModelFailed: cancels: CancelledError: by itself"),
    (not_json, "ModelFailed: not_json: UsageError: the reply of not_json is not JSON"),
    (wrong_type, "ModelFailed: the reply of wrong_type does not fit Plan: steps"),
    (huge, "ModelFailed: huge: UsageError: the reply of huge is 1048578 bytes"),
]


@pytest.mark.parametrize(("model", "says"), ERRORS, ids=lambda case: getattr(case, "__name__", ""))
def test_errors_of_models_are_recorded_and_the_same_on_replay(model: Any, says: str) -> None:
    asked: list[int] = []

    async def counted(question: str) -> Any:
        asked.append(1)
        return await model(question)

    counted.__name__ = model.__name__
    counted.__annotations__ = dict(model.__annotations__)

    async def agent(run: tape.Run) -> list[str]:
        try:
            await run.decide(counted, "x")
        except tape.ModelFailed as error:
            return [f"{type(error).__name__}: {error}"]
        return []

    live, replayed = twice(agent)
    assert live == replayed and live[0].startswith(says)
    assert len(asked) == 1


async def yields(question: str) -> Any:
    yield question


def yields_too(question: str) -> Any:
    yield question


@pytest.mark.parametrize("model", [yields, yields_too, 7, None, "think"])
def test_what_cannot_be_asked(model: Any) -> None:
    async def agent(run: tape.Run) -> str:
        for ask in (lambda: run.decide(model, "x"), lambda: run.sample(model)):
            try:
                await ask()
            except tape.UsageError as error:
                last = str(error)
        return last + await run.decide(wrapped_text)

    async def wrapped_text() -> str:
        return " and on"

    played = play(agent)
    assert played.result.endswith("and on")
    assert [frame["decision"]["index"] for frame in played.server.sent("decision")] == [0]


def test_a_question_that_is_not_json_is_not_asked() -> None:
    async def agent(run: tape.Run) -> str:
        try:
            await run.decide(async_model, object())  # type: ignore[arg-type]
        except tape.UsageError as error:
            return str(error)
        return ""

    assert twice(agent)[0].startswith("what is asked of async_model is not JSON")


def test_the_question_is_what_it_was_when_it_was_asked() -> None:
    async def model(talk: list[str]) -> int:
        return len(talk)

    async def agent(run: tape.Run) -> list[int]:
        talk = ["a"]
        counts = [await run.decide(model, talk)]
        talk.append("b")
        return [*counts, await run.decide(model, talk)]

    played = play(agent)
    assert played.result == [1, 2]
    assert [frame["decision"]["request"]["args"] for frame in played.server.sent("decision")] == [[["a"]], [["a", "b"]]]


def test_asks_are_told_once() -> None:
    async def agent(run: tape.Run) -> None:
        await run.decide(async_model, "x")

    played = play(agent)
    assert [(frame["index"], frame["name"], frame["waits"]) for frame in played.server.sent("ask")] == [
        (0, "async_model", False)
    ]
    assert not play(agent, played.server.cut(3)).server.sent("ask")


# --- samples ------------------------------------------------------------------------------------------------------


def test_samples_are_drawn_once() -> None:
    async def agent(run: tape.Run) -> list[Any]:
        async def slowly() -> Plan:
            await asyncio.sleep(0)
            return Plan(steps=["a"], at=NOON)

        now = await run.now()
        key = await run.uuid()
        chance = await run.random()
        plan = await run.sample(slowly)
        assert isinstance(now, datetime) and now.tzinfo is UTC
        assert UUID(key).version == 4 and UUID(key).variant == "specified in RFC 4122"
        assert isinstance(chance, float) and 0 <= chance < 1
        assert isinstance(plan, Plan)
        return [
            now, key, chance, plan, await run.sample(time.time), await run.sample(random.random),
            await run.sample(lambda: {1: 2}[1]), await run.uuid(),
        ]  # fmt: skip

    live, replayed = twice(agent)
    assert live == replayed
    assert live[1] != live[7]


@pytest.mark.parametrize("sync", [True, False])
@pytest.mark.parametrize("error", [KeyError("config"), asyncio.CancelledError("inside")])
def test_errors_of_samples_are_recorded(sync: bool, error: BaseException) -> None:
    drawn: list[int] = []

    def plain() -> None:
        drawn.append(1)
        raise error

    async def slow() -> None:
        plain()

    if sync and isinstance(error, asyncio.CancelledError):
        pytest.skip("not from a plain function")

    async def agent(run: tape.Run) -> str:
        try:
            await run.sample(plain if sync else slow)
        except tape.SampleFailed as failed:
            return str(failed)
        return ""

    live, replayed = twice(agent)
    assert live == replayed and type(error).__name__ in live
    assert len(drawn) == 1


def test_a_sample_that_does_not_fit() -> None:
    def number() -> int:
        return "seven"  # type: ignore[return-value]

    async def agent(run: tape.Run) -> str:
        try:
            await run.sample(number)
        except tape.SampleFailed as failed:
            return str(failed)
        return ""

    live, replayed = twice(agent)
    assert live == replayed and live.startswith("the sample number does not fit int")


# --- timers -------------------------------------------------------------------------------------------------------


async def naps(run: tape.Run) -> str:
    await run.sleep(3600)
    return "awake"


def new_server() -> FakeServer:
    return FakeServer([(1, "run_started", {})], [1])


def test_a_sleeping_run_parks_and_wakes_in_another_drive() -> None:
    server = new_server()
    parked = play(naps, server)
    assert (parked.said, parked.why) == ("park", "waiting")
    assert server.sent("timer")[0]["seconds"] == 3600.0
    assert server.sent("park")[0]["waits"] == ["timer 0"]
    again = play(naps, server)
    assert again.said == "park", "not fired yet"
    assert len(server.sent("timer")) == 1
    server.fire(0)
    assert play(naps, server).result == "awake"


def test_a_timer_that_fires_while_something_else_goes_on() -> None:
    gate: list[asyncio.Future[None]] = []

    @tape.tool(semantics="idempotent")
    async def slow() -> None:
        gate.append(asyncio.get_running_loop().create_future())
        await gate[0]

    async def agent(run: tape.Run) -> Any:
        return await asyncio.gather(naps(run), slow())

    server = new_server()

    def meddle(context: RunContext) -> bool:
        if server.open_timers():
            context.take_record(*server.fire(0))
        else:
            gate[0].set_result(None)
        return True

    assert play(agent, server, on_quiet=meddle).result == ["awake", None]


def test_a_run_waits_for_its_model_before_it_parks() -> None:
    async def ponder(question: str) -> str:
        await asyncio.sleep(30)
        return question

    async def agent(run: tape.Run) -> None:
        await asyncio.gather(run.sleep(3600), run.decide(ponder, "x"))

    played = play(agent)
    assert played.said == "park"
    assert played.server.kinds() == ["run_started", "timer_set", "decision", "charge"]
    assert played.server.sent("decision")[0]["waits"] is True, "while a timer may fire, nothing is pipelined"


def test_a_wait_of_its_own_keeps_the_run_for_a_moment_only() -> None:
    async def agent(run: tape.Run) -> None:
        await asyncio.gather(run.sleep(3600), asyncio.sleep(0.5))

    played = play(agent)
    assert played.said == "park"
    assert play(agent, played.server).said == "park"


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), 1e12, "5", None, True])
def test_naps_that_cannot_be(seconds: Any) -> None:
    async def agent(run: tape.Run) -> str:
        try:
            await run.sleep(seconds)
        except tape.UsageError as error:
            return str(error)
        return ""

    played: Played = play(agent)
    assert "from 0 to a hundred years" in played.result
    assert not played.server.sent("timer")


def test_outbox_calls_wait_outside() -> None:
    entered: list[int] = []

    @tape.tool(semantics="idempotent", dispatch="outbox")
    async def mail(to: str) -> str:
        entered.append(1)
        return to

    async def agent(run: tape.Run) -> str:
        return await mail("ACME")

    server = new_server()
    parked = play(agent, server)
    assert (parked.said, server.sent("park")[0]["waits"], entered) == ("park", [], [])
    server.record("effect_ended", key="r-000000000001/-/0/mail", tool="mail", status="CONFIRMED", result="sent")
    assert play(agent, server).result == "sent"
    assert not entered, "an outbox body is never the agent's business"
