"""How it looks to a type checker: `test_typing` has pyright look at this file, in strict mode. Nothing here runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import datetime
from typing import assert_type

import tape


@tape.tool(semantics="non_idempotent", authoritative=True, settle_delay=0.2)
async def wire(to: str, amount_minor: int) -> dict[str, int]:
    return {to: amount_minor}


@tape.tool
def plain(to: str, *, note: str = "") -> list[str]:
    return [to, note]


@wire.observe
async def find(effect: tape.Effect) -> tape.Observation:
    return tape.present({"id": 1}) if effect.key else tape.absent()


@wire.compensate
async def bare_undo(effect: tape.Effect) -> None: ...


@plain.compensate(semantics="idempotent", auto=False)
def undo(effect: tape.Effect) -> None: ...


class Plan:
    steps: list[str]


@tape.model(max_tokens=100, max_usd=0.01)
async def ask(task: str, depth: int = 0) -> Plan:
    return Plan()


def ask_in_a_thread(task: str) -> str:
    return task


@tape.agent
async def treasury(run: tape.Run, task: str) -> str:
    assert_type(wire("ACME", 1), Awaitable[dict[str, int]])
    assert_type(await wire("ACME", amount_minor=1), dict[str, int])
    assert_type(await plain("ACME", note="x"), list[str])
    assert_type(await asyncio.gather(wire("a", 1), plain("b")), tuple[dict[str, int], list[str]])
    assert_type(await run.decide(ask, task), Plan)
    assert_type(await run.decide(ask, task, depth=2), Plan)
    assert_type(await run.decide(ask_in_a_thread, task), str)
    assert_type(await run.sample(lambda: 1), int)
    assert_type(await run.now(), datetime)
    assert_type(await run.uuid(), str)
    assert_type(await run.random(), float)
    await run.sleep(1.5)
    await run.call("wire", to="ACME", amount_minor=1)
    await run.call(wire, to="ACME", amount_minor=1)
    return run.id


by_type: tape.Tool[[str, int], dict[str, int]] = wire
assert_type(treasury, tape.Agent)

wrong_type = wire("ACME", "much")  # pyright: ignore[reportArgumentType]
missing = wire("ACME")  # pyright: ignore[reportCallIssue, reportUnknownVariableType]
unknown_option = tape.tool(semantic="idempotent")  # pyright: ignore[reportCallIssue, reportUnknownVariableType]


async def wrong_question(run: tape.Run) -> None:
    await run.decide(ask, 7)  # pyright: ignore[reportArgumentType, reportCallIssue]
