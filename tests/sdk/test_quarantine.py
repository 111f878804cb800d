"""Calls of a fork: no body is entered, the agent gets a value that its tool could have returned."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, Field

import tape
from tape.core.kernel.identity import fingerprint
from tape.core.sdk.stand_ins import stand_in
from tape.core.sdk.values import signature_of, typed
from tests.sdk.player import RUN, FakeServer, play

ENTERED: list[str] = []


class Wire(BaseModel):
    wire_id: str
    amount: int = Field(gt=5)
    note: str | None = None


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Point:
    x: float
    y: float


class Node(BaseModel):
    below: Node | None
    at: datetime


@tape.tool(semantics="non_idempotent")
async def wire(to: str) -> Wire:
    ENTERED.append(to)
    raise AssertionError("entered")


@tape.tool(semantics="idempotent", dispatch="outbox")
async def dispatch_post(to: str) -> str:
    raise AssertionError("entered")


@tape.tool(semantics="read_only")
def read(what: str) -> list[int]:
    raise AssertionError("entered")


async def think(what: str) -> str:
    return f"thought {what}"


async def payer(run: tape.Run) -> list[Any]:
    await run.decide(think, "who")
    first = await wire("ACME")
    both = await asyncio.gather(dispatch_post("x"), read("y"))
    await run.decide(think, "next")
    return [type(first).__name__, first.amount, *both, await wire("BETA")]


def test_no_body_is_entered_and_the_results_have_their_types() -> None:
    played = play(payer, quarantine=True)
    assert played.result[:4] == ["Wire", 6, "", []]
    assert ENTERED == []
    assert played.server.sent("end") == played.server.sent("attempt") == []
    assert [frame["t"] for frame in played.server.frames if frame["t"] not in ("ask", "attach")] == [
        "decision", "begin", "begin", "begin", "decision", "begin", "finish"
    ]  # fmt: skip


def test_a_fork_that_is_cut_between_any_two_writes_goes_on_the_same() -> None:
    whole = play(payer, quarantine=True)
    assert len(whole.server.commits) == 8
    for at in whole.server.commits[:-1]:
        again = play(payer, whole.server.cut(at), quarantine=True)
        assert again.result == whole.result
        assert again.server.records == whole.server.records


def test_a_prefix_that_was_made_in_earnest_is_replayed() -> None:
    @tape.tool(semantics="idempotent")
    async def pay(to: str) -> str:
        return f"paid {to}"

    async def agent(run: tape.Run) -> list[str]:
        return [await pay("a"), await run.decide(think, "x"), await pay("b")]

    whole = play(agent)
    assert whole.result == ["paid a", "thought x", "paid b"]
    assert play(agent, whole.server.cut(5), quarantine=True).result == ["paid a", "thought x", ""]


CASES: list[tuple[Any, Any]] = [
    (str, ""), (int, 0), (float, 0), (bool, False), (None, None), (Any, None), (dict, {}), (list[str], []),
    (dict[str, int], {}), (tuple[int, str], [0, ""]), (int | None, 0), (Literal["a", "b"], "a"), (Colour, "red"),
    (Point, {"x": 0.0, "y": 0.0}), (date, "2000-01-01"), (UUID, "00000000-0000-4000-8000-000000000000"),
    (Wire, {"wire_id": "", "amount": 6}), (list[Wire], []), (Annotated[list[int], Field(min_length=2)], [0, 0]),
    (Annotated[str, Field(min_length=3)], "xxx"), (Annotated[int, Field(ge=7, multiple_of=5)], 10),
    (Annotated[int, Field(lt=-3)], -4), (Wire | str, {"wire_id": "", "amount": 6}),
    (Annotated[str, Field(pattern="^[a-z]{3}$")], None),
]  # fmt: skip


@pytest.mark.parametrize(("annotation", "made"), CASES, ids=lambda case: str(case)[:40])
def test_a_value_is_made_from_the_return_type(annotation: Any, made: Any) -> None:
    async def function() -> Any: ...

    function.__annotations__["return"] = annotation
    tool = tape.tool(name="t" + str(id(function)))(function)
    assert stand_in(tool) == made
    if made is not None:
        typed(made, signature_of(tool.function).returns, "it")


def test_a_type_that_never_ends_gives_none() -> None:
    class Loop(BaseModel):
        inner: Loop

    async def function() -> Any: ...

    function.__annotations__["return"] = Loop
    assert stand_in(tape.tool(name="looping")(function)) is None


def test_a_run_s_own_id_in_a_request_is_no_misfit_in_its_fork() -> None:
    async def agent(run: tape.Run) -> str:
        thought = await run.decide(think, f"who am I in {run.id}?")
        await wire(run.id)
        return thought

    whole = play(agent, quarantine=True)
    older = "r-999999999999"
    told = json.loads(json.dumps(whole.server.records).replace(RUN, older))
    for _, kind, body in told:
        if kind in ("decision", "effect_begun"):
            request = body["request"] if kind == "decision" else body["args"]
            name = "think" if kind == "decision" else "wire"
            body["fingerprint"] = fingerprint("decision" if kind == "decision" else "effect", name, request)
            if kind == "effect_begun":
                body["key"] = body["key"].replace(older, RUN)
        elif kind == "effect_ended":
            body["key"] = body["key"].replace(older, RUN)
    records = [tuple(record) for record in told[:-1]]
    forked = FakeServer(records=records, commits=[len(records)])  # type: ignore[arg-type]
    assert play(agent, forked, sources=[older]).result == f"thought who am I in {older}?"
    again = FakeServer(records=list(records), commits=[len(records)])  # type: ignore[arg-type]
    assert "the code does not fit the tape" in play(agent, again, sources=["r-888888888888"]).diverged
