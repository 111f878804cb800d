"""What the project declares, as the server is told it: agents with their inputs, tools with what they promise."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import tape
from tape.core.agent.manifest import manifest_of
from tape.core.sdk.decorators import TOOLS


class Invoice(BaseModel):
    number: int
    note: str = "none"


class Strange:
    """A type that makes its own schema, and fails."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        raise ValueError("strange")


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    before = dict(TOOLS)
    TOOLS.clear()
    yield
    TOOLS.clear()
    TOOLS.update(before)


def declared(*agents: tape.Agent) -> dict[str, Any]:
    manifest = manifest_of({agent.name: agent for agent in agents}, TOOLS.values())
    assert json.loads(json.dumps(manifest)) == manifest
    return manifest


async def typed(run: tape.Run, invoice: Invoice) -> None: ...
async def texts(run: tape.Run, given: list[str]) -> None: ...
async def untyped(run, given): ...  # type: ignore[no-untyped-def]
async def anything(run: tape.Run, given: Any) -> None: ...
async def alone(run: tape.Run) -> None: ...
async def odd(run: tape.Run, given: Strange) -> None: ...
async def lost(run: tape.Run, given: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821
async def call(run: tape.Run, given: type) -> None: ...


@pytest.mark.parametrize("function", [untyped, anything, alone, odd, lost, call])
def test_an_input_without_a_schema(function: Any) -> None:
    (agent,) = declared(tape.agent(function))["agents"]
    assert agent["input"] == {}


def test_inputs_and_places() -> None:
    first, second = declared(tape.agent(typed), tape.agent(texts))["agents"]
    assert (first["name"], first["input"]) == ("texts", {"items": {"type": "string"}, "type": "array"})
    assert second["input"] == Invoice.model_json_schema()
    assert Path(second["file"]) == Path(__file__)
    line = Path(__file__).read_text().splitlines()[second["line"] - 1]
    assert line.startswith("async def typed(")


def test_tools() -> None:
    @tape.tool
    def plain(to: str) -> None: ...

    @tape.tool(
        semantics="non_idempotent", authoritative=True, settle_delay=0.2, on_unknown="compensate", dispatch="outbox"
    )
    async def wire(to: str) -> None: ...

    @wire.observe
    async def find(effect: tape.Effect) -> tape.Observation:
        return tape.absent()

    @wire.compensate(semantics="idempotent")
    def recall(effect: tape.Effect) -> None: ...

    tape.tool(name="partly")(partial(print, "x"))
    partly, first, second = declared()["tools"]
    assert (partly["name"], partly["file"], partly["line"]) == ("partly", None, None)
    place = {"file": __file__, "line": first["line"]}
    assert first == {
        "name": "plain", "semantics": "non_idempotent", "dispatch": "inline", "look_up": False, "authoritative": False,
        "settle_delay": 0.0, "on_unknown": "ask", "compensable": False, **place,
    }  # fmt: skip
    assert second == {
        "name": "wire", "semantics": "non_idempotent", "dispatch": "outbox", "look_up": True, "authoritative": True,
        "settle_delay": 0.2, "on_unknown": "compensate", "compensable": True, "file": __file__, "line": second["line"],
    }  # fmt: skip
