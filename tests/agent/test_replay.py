"""The replaying process from inside: what it answers, and how often the loop has to come round for it."""

from __future__ import annotations

from typing import Any

import pytest

import tape
from tape.core.agent import replay
from tape.core.agent.loop import new_loop
from tape.core.clock import SystemClock
from tape.core.kernel.identity import fingerprint
from tape.core.sdk.decorators import Agent


async def think(n: int) -> int:
    raise AssertionError("asked")


@tape.tool(semantics="idempotent")
async def replay_act(n: int) -> int:
    raise AssertionError("entered")


async def long(run: tape.Run, turns: int) -> int:
    for turn in range(turns):
        await replay_act(await run.decide(think, turn))
    return turns


def records(turns: int) -> list[Any]:
    found: list[Any] = [[1, "run_started", {"agent": "long", "input": turns}]]
    for turn in range(turns):
        request, key = {"args": [turn], "kwargs": {}}, f"r-a/{turn}/0/replay_act"
        asked = fingerprint("decision", "think", request)
        begun = fingerprint("effect", "replay_act", {"n": turn})
        at = 4 * turn + 2
        place = {"decision_index": turn, "ordinal": 0, "tool": "replay_act", "args": {"n": turn}}
        done = {"key": key, "status": "CONFIRMED", "result": turn, "error": None, "result_error": None}
        found += [
            [at, "decision", {"index": turn, "name": "think", "fingerprint": asked, "request": request, "reply": turn}],
            [at + 1, "charge", {"pays_for": f"decision {turn}", "tokens_in": 1, "tokens_out": 1, "usd_micro": 1}],
            [at + 2, "effect_begun", {"key": key, "fingerprint": begun, **place}],
            [at + 3, "effect_ended", done],
        ]
    return found


def played(turns: int, monkeypatch: pytest.MonkeyPatch, upto: int | None = None) -> tuple[replay.Answer, int]:
    """The answer, and how often the loop was idle."""
    idle = 0
    plain = replay.ReplayContext.idle

    def counted(self: replay.ReplayContext, quiet: bool) -> bool:
        nonlocal idle
        idle += 1
        return plain(self, quiet)

    monkeypatch.setattr(replay.ReplayContext, "idle", counted)
    clock = SystemClock()
    loop, selector = new_loop(clock)
    job = {"run": "r-a", "agent": "long", "input": turns, "sources": [], "records": records(turns)[:upto]}
    try:
        agents = {"long": Agent(long, "long", None)}
        return loop.run_until_complete(replay._drive(job, agents, clock, selector)), idle
    finally:
        loop.close()
        monkeypatch.setattr(replay.ReplayContext, "idle", plain)


def test_the_loop_comes_round_once_for_each_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    for turns in (25, 250):
        answer, idle = played(turns, monkeypatch)
        assert (answer["how"], answer["ended"]) == ("ended", {"outcome": "TERMINAL", "result": turns})
        assert 2 * turns <= idle <= 2 * turns + 5, "no outcome waits for a timer, nothing is looked through twice"


@pytest.mark.parametrize(
    ("upto", "what"),
    [
        (1, "decision think(args=[0], kwargs={})"),
        (3, "effect replay_act(n=0)"),
        (4, "effect replay_act(n=0) (open)"),
        (5, "decision think(args=[1], kwargs={})"),
    ],
)
def test_it_stops_where_the_tape_ends(monkeypatch: pytest.MonkeyPatch, upto: int, what: str) -> None:
    answer, _ = played(3, monkeypatch, upto)
    assert (answer["how"], answer["what"]) == ("asks", what)
