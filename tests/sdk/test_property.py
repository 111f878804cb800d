"""Random small agents, killed after every commit and played again: the same calls, values, tape (I2 in miniature)."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tape
from tape.core.kernel.errors import RunInterrupted
from tape.core.sdk.context import RunContext
from tests.sdk.player import FakeServer, Played, Record, play

Step = tuple[Any, ...]


@tape.agent
async def kid(run: tape.Run, given: Any) -> str: ...


class World:
    """What bodies and models wait for. When nothing moves, the waiting thing that the salt picks is let go: the same
    one in the first life of a run and in every later one."""

    def __init__(self, salt: int, server: FakeServer) -> None:
        self.salt = salt
        self.server = server
        self.gates: dict[str, asyncio.Future[None]] = {}
        self.acts: list[str] = []

    async def wait(self, name: str) -> None:
        gate = self.gates[name] = asyncio.get_running_loop().create_future()
        await gate

    def rank(self, name: str) -> bytes:
        return hashlib.sha256(f"{self.salt}/{name}".encode()).digest()

    def pick(self) -> str | None:
        return min([*self.gates, *self.outside()], key=self.rank, default=None)

    def outside(self) -> list[str]:
        timers = [f"timer {ordinal}" for ordinal in self.server.open_timers()]
        return timers + [f"child {ordinal}" for ordinal in self.server.open_children()]

    def happen(self, name: str) -> Record:
        """A timer fires, or a child ends: every third one not well."""
        kind, ordinal = name.split()
        if kind == "timer":
            return self.server.fire(int(ordinal))
        if int(ordinal) % 3 == 2:
            return self.server.end_child(int(ordinal), status="CANCELLED")
        return self.server.end_child(int(ordinal), f"child {ordinal} done")

    def let_go(self, context: RunContext) -> bool:
        name = self.pick()
        if name is None:
            return False
        if name in self.outside():
            context.take_record(*self.happen(name))
        else:
            self.gates.pop(name).set_result(None)
        return True


WORLD: list[World] = []


@tape.tool(name="random_act", semantics="idempotent")
async def act(name: str, seen: int) -> str:
    WORLD[-1].acts.append(tape.idempotency_key())
    await WORLD[-1].wait(f"act {name}")
    return f"{name} after {seen}"


@tape.tool(name="random_fail", semantics="idempotent")
async def fail(name: str, seen: int) -> str:
    await WORLD[-1].wait(f"fail {name}")
    raise tape.Rejected(name)


async def think(name: str, seen: int) -> str:
    await WORLD[-1].wait(f"think {name}")
    return f"{name} after {seen}"


async def _do(run: tape.Run, step: Step, log: list[str], pins: dict[str, list[tape.Child]]) -> None:
    """Every argument holds how much the whole agent has seen so far: any other interleaving is another request."""
    kind, name = step[0], step[1]
    if kind == "seq":
        for each in step[2]:
            await _do(run, each, log, pins)
    elif kind == "par":
        await asyncio.gather(*[_do(run, each, log, pins) for each in step[2]])
    elif kind == "group":
        async with asyncio.TaskGroup() as group:
            for each in step[2]:
                group.create_task(_do(run, each, log, pins))
    elif kind == "first":
        await _first(run, step, log, pins)
    elif kind == "act":
        log.append(await act(name, len(log)))
    elif kind == "fail":
        try:
            await fail(name, len(log))
        except tape.EffectFailed as error:
            log.append(str(error))
    elif kind == "decide":
        log.append(await run.decide(think, name, len(log)))
    elif kind == "sample":
        log.append(await run.sample(lambda: f"{name} drawn"))
    elif kind == "child":
        log.append(await _ended(run.start("kid", [name, len(log)])))
    elif kind == "spawn":  # awaited twice, by somebody else; or never: the run waits for it at its end
        child = run.start("kid", [name, len(log)])
        pins.setdefault("spawned", []).append(child)
        if len(name) % 2:
            log.append(await child.started())
    elif kind == "join":
        for child in pins.get("spawned", [])[-2:]:
            log.append(await _ended(child))
    elif kind == "sleep":
        await run.sleep(5)
        log.append(f"slept {name}")
    else:
        for _ in range(step[2]):
            await asyncio.sleep(0)


async def _ended(child: tape.Child) -> str:
    try:
        return await child
    except tape.ChildFailed as error:
        return str(error)


async def _first(run: tape.Run, step: Step, log: list[str], pins: dict[str, list[tape.Child]]) -> None:
    """Goes on with whatever ends first, and cancels the others."""
    tasks = [asyncio.ensure_future(_do(run, each, log, pins)) for each in step[2]]
    done, left = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    log.append(f"{step[1]}: {[task in done for task in tasks]}")


def steps(depth: int, may_decide: bool, cancels: bool) -> st.SearchStrategy[Step]:
    plain = ["act", "act", "fail", "sample", "sleep", "child", "spawn", "join", *(["decide"] if may_decide else [])]
    names = st.uuids().map(lambda found: str(found)[: 7 + found.int % 2])
    leaf = st.one_of(st.tuples(st.sampled_from(plain), names), st.tuples(st.just("turns"), names, st.integers(1, 4)))
    if not depth:
        return leaf
    inner = steps(depth - 1, may_decide, cancels)
    quiet = steps(depth - 1, False, cancels)
    branches = st.tuples(inner, st.lists(quiet, min_size=1, max_size=3)).map(lambda found: [found[0], *found[1]])
    kinds = ["par", "group", *(["first"] if cancels else [])]
    return st.one_of(
        leaf,
        st.tuples(st.just("seq"), names, st.lists(inner, min_size=1, max_size=3)),
        st.tuples(st.sampled_from(kinds), names, branches),
    )


def programs(cancels: bool) -> st.SearchStrategy[Step]:
    inner = steps(2, True, cancels)
    return st.tuples(st.just("seq"), st.just("all"), st.lists(inner, min_size=1, max_size=4))


def live(program: Step, salt: int, server: FakeServer | None = None) -> Played:
    """Drives until the run has ended: parked, it is woken by the timer that the salt picks, or driven on at once."""

    async def agent(run: tape.Run, given: None) -> list[str]:
        log: list[str] = []
        await _do(run, program, log, {})
        return log

    server = server if server is not None else FakeServer([(1, "run_started", {"agent": "agent"})], [1])
    for _ in range(60):
        world = World(salt, server)
        WORLD[:] = [world]
        played = play(agent, server, on_quiet=world.let_go, agents={"kid": kid})
        if played.said != "park":
            return played
        if server.sent("park")[-1]["waits"]:
            world.happen(min(world.outside(), key=world.rank))
    raise AssertionError("the run parks for ever")


def check(program: Step, salt: int) -> None:
    whole = live(program, salt)
    assert whole.ended["outcome"] == "TERMINAL", whole.why
    for count in whole.server.commits[:-1]:
        again = live(program, salt, whole.server.cut(count))
        assert again.said == "finish", (count, again.why)
        assert again.server.records == whole.server.records, count


quick = settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))


@quick
@given(programs(cancels=False), st.integers(0, 1000))
def test_killed_after_every_commit_the_tape_is_the_same(program: Step, salt: int) -> None:
    check(program, salt)


@quick
@given(programs(cancels=True), st.integers(0, 1000))
def test_cancelled_branches_too(program: Step, salt: int) -> None:
    """A cancelled call parks the run, so a crash may change which body ends first, as any delay may. But the run goes
    on to its end, never diverges from its own tape, and that tape gives the same result again."""
    whole = live(program, salt)
    assert whole.ended.get("outcome") == "TERMINAL", whole.why
    for count in whole.server.commits[:-1]:
        again = live(program, salt, whole.server.cut(count))
        assert again.said == "finish", (count, again.why)
        assert live(program, salt, again.server.cut(again.server.commits[-2])).ended == again.ended, count


@pytest.mark.parametrize("salt", range(3))
def test_replay_of_the_whole_tape_asks_for_nothing(salt: int) -> None:
    program = (
        "seq",
        "all",
        [("par", "p", [("act", "a"), ("seq", "s", [("act", "b"), ("sleep", "c")]), ("decide", "d")])],
    )
    whole = live(program, salt)
    again = live(program, salt, whole.server.cut(len(whole.server.records) - 1))
    assert not WORLD[-1].acts
    assert [frame["t"] for frame in again.server.frames] == ["attach", "finish"]
    assert again.result == whole.result


def test_signals_are_not_errors() -> None:
    assert not issubclass(RunInterrupted, Exception)
