"""One agent process's worker: pushes in, drives and hooks out, and how it leaves."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

import tape
from tape.core.agent import process
from tape.core.agent.hooks import run_hook
from tape.core.agent.process import Worker
from tape.core.clock import ManualClock
from tape.core.sdk.decorators import TOOLS
from tape.core.wire import Frame
from tests.sdk.player import FakeServer, VirtualLoop, over_the_wire


class FakeLink(FakeServer):
    """A link with nobody's socket behind it."""

    def __init__(self) -> None:
        super().__init__([(1, "run_started", {})], [1])
        self.told: list[Frame] = []
        self.forgotten: list[tuple[str, int]] = []
        self.state: Any = dict

    def tell(self, frame: Frame) -> None:
        self.told.append(frame)

    def forget(self, run_id: str, epoch: int) -> None:
        self.forgotten.append((run_id, epoch))


class Stage:
    def __init__(self, *agents: tape.Agent) -> None:
        self.loop = VirtualLoop()
        self.link = FakeLink()
        asyncio.set_event_loop(self.loop)
        selector: Any = self.loop.virtual
        self.worker = Worker(self.link, {agent.name: agent for agent in agents}, selector, ManualClock())  # type: ignore[arg-type]
        self.loop.virtual.on_idle = self.worker.idle

    def push(self, *frames: Frame) -> None:
        async def go() -> None:
            for frame in frames:
                self.worker.push(frame)

        self.loop.run_until_complete(go())

    def until(self, kind: str, count: int = 1) -> list[Frame]:
        async def go() -> None:
            while len([frame for frame in self.link.told if frame["t"] == kind]) < count:
                await asyncio.sleep(0.001)

        self.loop.run_until_complete(asyncio.wait_for(go(), 60))
        return [frame for frame in self.link.told if frame["t"] == kind]

    def close(self) -> None:
        self.loop.threads.shutdown()
        self.loop.close()


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    before = dict(TOOLS)
    TOOLS.clear()
    yield
    TOOLS.clear()
    TOOLS.update(before)


def drive(agent: str = "clerk", given: Any = None, epoch: int = 1, **more: Any) -> Frame:
    return {
        "t": "drive", "run": "r-000000000001", "epoch": epoch, "drive": 1, "agent": agent, "input": given,
        "attempts": {}, "cancelled": False, "armed": False, **more,
    }  # fmt: skip


TAPE = {"t": "tape", "run": "r-000000000001", "epoch": 1, "records": [[1, "run_started", {}]]}


@tape.agent
async def clerk(run: tape.Run, given: Any) -> Any:
    return await run.sample(lambda: given)


@tape.agent
async def sleeper(run: tape.Run) -> str:
    await run.sleep(3600)
    return "awake"


def test_a_drive_from_push_to_idle() -> None:
    stage = Stage(clerk)
    stage.push(TAPE, drive(given=7))
    assert stage.worker.in_hand()["drives"] == {"r-000000000001": 1}
    (idle,) = stage.until("idle")
    assert idle == {"t": "idle", "run": "r-000000000001", "epoch": 1}
    assert stage.link.sent("finish")[0]["ended"] == {"outcome": "TERMINAL", "result": 7}
    assert stage.link.forgotten == [("r-000000000001", 1)]
    assert stage.worker.in_hand() == {"drives": {}, "hooks": [], "leaving": False}
    stage.close()


def test_a_task_that_a_body_begins_may_outlive_the_run() -> None:
    """A client's, say, which the next run uses too."""
    connections: list[asyncio.Task[Any]] = []

    @tape.tool(semantics="read_only")
    async def connect() -> None:
        connections.append(asyncio.get_running_loop().create_task(asyncio.Event().wait()))

    @tape.agent
    async def connecting(run: tape.Run) -> None:
        await connect()

    stage = Stage(connecting)
    stage.push(TAPE, drive("connecting"))
    stage.until("idle")
    stage.push()
    assert [task.done() or task.cancelling() for task in connections] == [0]
    connections[0].cancel()
    stage.push()
    stage.close()


def test_an_async_generator_that_is_collected_during_another_run_is_closed_in_its_own() -> None:
    told: list[str] = []

    @tape.tool(semantics="non_idempotent")
    async def notify(text: str) -> None:
        told.append(text)

    async def rows() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            try:
                await notify("rows are over")
            except tape.RunInterrupted as signal:
                told.append(f"not done: {signal}")

    @tape.agent
    async def first(run: tape.Run) -> int:
        ring: list[Any] = [rows()]
        ring.append(ring)
        return await anext(ring[0])

    @tape.agent
    async def second(run: tape.Run) -> bool:
        gc.collect()
        await asyncio.sleep(0.01)
        return await run.sample(lambda: True)

    stage = Stage(first, second)

    async def both() -> None:
        for name, run in (("first", "r-000000000001"), ("second", "r-000000000002")):
            stage.worker.push({**TAPE, "run": run})
            stage.worker.push({**drive(name), "run": run})
            while run in stage.worker.drives:
                await asyncio.sleep(0.001)

    gc.disable()
    try:
        stage.loop.run_until_complete(both())
    finally:
        gc.enable()
    assert told == ["not done: the agent function has ended: nothing is done for what it left behind"]
    assert [frame["ended"]["result"] for frame in stage.link.sent("finish")] == [1, True]
    assert not stage.link.sent("begin")
    stage.close()


def test_what_is_pushed_right_after_a_drive_reaches_it() -> None:
    """In one chunk with it, before its first step."""
    stage = Stage(sleeper)
    set_ = [2, "timer_set", {"ordinal": 0, "seconds": 3600.0, "fingerprint": sleeping()}]
    fired = {
        "t": "record",
        "run": "r-000000000001",
        "epoch": 1,
        "seq": 3,
        "kind": "timer_fired",
        "body": {"ordinal": 0},
    }
    records = [*TAPE["records"], set_]  # type: ignore[misc]
    stage.push({**TAPE, "records": records}, drive("sleeper"), fired, {**fired, "epoch": 0})
    stage.until("idle")
    assert stage.link.sent("finish")[0]["ended"]["result"] == "awake"
    stage.close()


def sleeping() -> str:
    from tape.core.kernel.identity import fingerprint

    return fingerprint("timer", "sleep", 3600.0)


def test_a_cancel_right_after_a_drive() -> None:
    stage = Stage(sleeper)
    stage.push(TAPE, drive("sleeper"), {"t": "cancel", "run": "r-000000000001", "epoch": 1})
    stage.until("idle")
    assert stage.link.sent("finish")[0]["ended"] == {"outcome": "CANCELLED"}
    stage.close()


def test_an_agent_that_the_project_does_not_have() -> None:
    stage = Stage(clerk)
    stage.push(TAPE, drive("bank"))
    stage.until("idle")
    assert stage.link.sent("diverge")[0]["why"] == "this project has no agent 'bank'; it has: clerk"
    stage.close()


def test_a_drain_gives_every_lease_back_and_waits_to_be_let_go() -> None:
    stage = Stage(sleeper)
    stage.push(TAPE, drive("sleeper"))

    async def leave() -> None:
        stage.worker.drain()
        stage.worker.drain()

    stage.loop.run_until_complete(leave())
    assert stage.link.told[0] == {"t": "leaving"}
    stage.until("idle")
    assert stage.link.sent("park")[0]["why"] == "drained"
    assert not stage.worker.over.is_set(), "something may be on its way"
    stage.push({**TAPE, "epoch": 2}, drive("sleeper", epoch=2))
    stage.until("idle", 2)
    assert stage.link.sent("park")[1]["why"] == "drained", "a drive that was on its way is given back unseen"
    assert len(stage.link.sent("timer")) <= 1
    stage.push({"t": "left"})
    assert stage.worker.over.is_set()
    assert stage.link.told.count({"t": "leaving"}) == 1
    stage.close()


def test_what_is_armed_reaches_running_drives() -> None:
    stage = Stage(sleeper)
    stage.push(TAPE, drive("sleeper"), {"t": "arm", "armed": True})
    assert all(context.armed for context in stage.worker.drives.values())
    stage.until("idle")
    stage.push({**TAPE, "epoch": 2}, drive("sleeper", epoch=2))
    assert all(context.armed for context in stage.worker.drives.values())
    stage.push({"t": "arm", "armed": False})
    assert not any(context.armed for context in stage.worker.drives.values())
    stage.close()


def test_an_unknown_worker_ends_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    why: list[str] = []
    monkeypatch.setattr(process, "end_own_group", why.append)
    stage = Stage(clerk)
    stage.push({"t": "goodbye", "why": "this server does not know this worker"})
    assert why == ["this server does not know this worker"]
    stage.close()


def test_a_call_that_the_code_cancels_every_time_sticks_after_a_few_drives() -> None:
    @tape.tool(semantics="idempotent")
    async def slow() -> None:
        await asyncio.sleep(0.01)

    @tape.agent
    async def hasty(run: tape.Run) -> None:
        task = asyncio.ensure_future(slow())  # type: ignore[arg-type]
        await asyncio.sleep(0)
        task.cancel()
        await task

    stage = Stage(hasty)
    for epoch in range(1, 6):
        stage.push({**TAPE, "epoch": epoch}, drive("hasty", epoch=epoch))
        stage.until("idle", epoch)
    last = [frame for frame in stage.link.frames if frame["t"] in ("park", "diverge")]
    assert [frame["t"] for frame in last] == ["park"] * 4 + ["diverge"], "the first drive made progress"
    assert "every time" in last[-1]["why"]
    stage.close()


# --- hooks ------------------------------------------------------------------------------------------------------------


def hook(what: str, tool: str = "pay", ticket: int = 1, **effect: Any) -> Frame:
    about = {"key": "r/-/0/pay", "tool": tool, "args": {"to": "ACME"}, "run_id": "r", "decision_index": None}
    key = "r/-/0/pay/undo/1" if what.startswith("undo") else "r/-/0/pay"
    return {
        "t": "hook", "ticket": ticket, "what": what, "tool": tool, "key": key,
        "effect": {**about, "call_ordinal": 0, **effect},
    }  # fmt: skip


def answer(frame: Frame) -> Frame:
    return asyncio.run(run_hook(frame))


def pay_tool(body: Any = None, **options: Any) -> Any:
    async def pay(to: str) -> dict[str, int]:
        return {"paid": len(to)} if body is None else body()

    return tape.tool(name="pay", **options)(pay)


@pytest.mark.parametrize("sync", [False, True])
def test_look_ups(sync: bool) -> None:
    pay = pay_tool()
    seen: list[tape.Effect] = []

    def plain(effect: tape.Effect) -> tape.Observation:
        seen.append(tape.current_effect())
        assert tape.idempotency_key() == effect.key
        return tape.present({"paid": 4})

    async def find(effect: tape.Effect) -> tape.Observation:
        return plain(effect)

    pay.observe(plain if sync else find)
    assert answer(hook("look-up", attempt=2, epoch=3)) == {
        "t": "hook_result", "ticket": 1, "how": "answered", "answer": "present", "acts": [{"paid": 4}], "why": "",
    }  # fmt: skip
    assert (seen[0].attempt, seen[0].epoch, seen[0].args) == (2, 3, {"to": "ACME"})


def _raises(error: BaseException) -> Any:
    def find(effect: tape.Effect) -> tape.Observation:
        raise error

    return find


class Mute(Exception):
    """Cannot say its text."""

    def __str__(self) -> str:
        return "{}: {}".format(*self.args)


UNCLEAR: list[tuple[Any, str]] = [
    (lambda effect: True, "the look-up returned bool, not tape.present"),
    (lambda effect: tape.present({"paid": "a lot"}), "what the look-up found does not fit"),
    (lambda effect: tape.present(object()), "not JSON"),
    (lambda effect: tape.unclear("the bank is down"), "the bank is down"),
    (_raises(OSError("reset")), "OSError: reset"),
    (_raises(asyncio.CancelledError()), "cancelled from inside"),
    (_raises(GeneratorExit("odd")), "GeneratorExit"),
    (_raises(ValueError("x" * 10_000)), "xxx"),
    (_raises(FileNotFoundError("invoice-\udcff.pdf")), "FileNotFoundError: invoice-\\udcff.pdf"),
    (_raises(Mute()), "Mute: Mute"),
    (lambda effect: tape.unclear("\udcff"), "\\udcff"),
]


@pytest.mark.parametrize(("find", "why"), UNCLEAR, ids=[why for _, why in UNCLEAR])
def test_look_ups_that_cannot_say(find: Any, why: str) -> None:
    async def asked(effect: tape.Effect) -> Any:
        return find(effect)

    pay_tool().observe(asked)
    got = over_the_wire(answer(hook("look-up")))
    assert (got["how"], got["answer"], got["acts"]) == ("answered", "unclear", [])
    assert why in got["why"] and len(got["why"]) <= 4001


def test_a_look_up_whose_answer_is_too_long_to_be_sent_is_unclear() -> None:
    def find(effect: tape.Effect) -> tape.Observation:
        return tape.duplicate(["x" * 1_000_000] * 17)

    pay_tool().compensate(observe=find)(lambda effect: None)
    got = over_the_wire(answer(hook("undo-look-up")))
    assert (got["answer"], got["acts"]) == ("unclear", [])
    assert got["why"].startswith("its answer cannot be sent: a frame of 17")


def test_hooks_that_the_code_no_longer_has() -> None:
    pay_tool()
    assert "no look-up in the code that runs now" in answer(hook("look-up"))["why"]
    assert "no look-up in the code that runs now" in answer(hook("undo-look-up"))["why"]
    assert answer(hook("undo"))["how"] == "missing"
    got = answer(hook("body", tool="ship"))
    assert got["how"] == "raised" and "no tool is called 'ship'" in got["error"]["message"]
    assert answer({**hook("body"), "effect": {"odd": 1}})["how"] == "raised"


@pytest.mark.parametrize("fails", [False, True])
def test_undos_have_keys_of_their_own(fails: bool) -> None:
    keys: list[str] = []
    pay = pay_tool()

    @pay.compensate(semantics="idempotent", observe=lambda effect: tape.present(None))
    async def take_back(effect: tape.Effect) -> None:
        keys.extend([effect.key, tape.idempotency_key()])
        if fails:
            raise OSError("reset")

    got = answer(hook("undo", act={"paid": 4}))
    assert keys == ["r/-/0/pay", "r/-/0/pay/undo/1"]
    assert got["how"] == ("raised" if fails else "returned")
    assert answer(hook("undo-look-up"))["answer"] == "present"


def _raise(error: BaseException) -> Any:
    raise error


BODIES: list[tuple[Any, dict[str, Any], str]] = [
    (None, {}, "returned"),
    (lambda: object(), {}, "returned"),
    (lambda: _raise(tape.Rejected("no")), {}, "rejected"),
    (lambda: _raise(OSError("reset")), {}, "raised"),
    (lambda: _raise(OSError("reset")), {"semantics": "read_only"}, "failed"),
]


@pytest.mark.parametrize(("body", "options", "how"), BODIES)
def test_bodies_of_the_outbox(body: Any, options: dict[str, Any], how: str) -> None:
    pay_tool(body, **options)
    got = answer(hook("body"))
    assert got["how"] == how
    if how == "returned":
        assert got["result"] == ({"paid": 4} if body is None else None)
        assert ("result_error" in got) is (body is not None)


def test_a_hook_runs_once_per_ticket() -> None:
    entered: list[int] = []
    pay_tool(lambda: entered.append(1))
    stage = Stage()
    stage.push(hook("body", ticket=5), hook("body", ticket=5))
    assert stage.worker.in_hand()["hooks"] == [5]
    first = stage.until("hook_result")
    stage.push(hook("body", ticket=5))
    again = stage.until("hook_result", 2)
    assert first[0] == again[1] and len(entered) == 1
    assert stage.worker.in_hand()["hooks"] == []
    stage.close()


def test_a_worker_that_drains_ends_its_hooks_first() -> None:
    gate: list[asyncio.Future[None]] = []

    @tape.tool(name="pay", dispatch="outbox", semantics="idempotent")
    async def pay(to: str) -> None:
        gate.append(asyncio.get_running_loop().create_future())
        await gate[0]

    stage = Stage()
    stage.push(hook("body"))

    async def leave() -> None:
        stage.worker.drain()
        stage.worker.push({"t": "left"})
        while not gate:
            await asyncio.sleep(0)
        assert not stage.worker.over.is_set()
        gate[0].set_result(None)
        await asyncio.wait_for(stage.worker.over.wait(), 10)

    stage.loop.run_until_complete(leave())
    assert stage.link.told[-1]["t"] == "hook_result"
    stage.close()


def test_the_manifest_is_told_once_after_the_welcome() -> None:
    stage = Stage(clerk)
    assert not stage.link.told
    stage.push({"t": "welcome", "worker": 1, "heartbeat_us": 60_000_000, "armed": False})
    (manifest,) = stage.until("manifest")
    assert [agent["name"] for agent in manifest["agents"]] == ["clerk"]
    stage.push({"t": "welcome", "worker": 1, "heartbeat_us": 60_000_000, "armed": False})
    for thread in threading.enumerate():
        if thread.name == "manifest":
            thread.join(10)
    assert len(stage.until("manifest")) == 1
    stage.close()


# --- the process ------------------------------------------------------------------------------------------------------

ENDED_BY_ITS_CODE = """
import asyncio, sys
from tape.core.agent import process

async def serve(*given):
    async def leave():
        sys.exit(3)

    async def pending():
        try:
            await asyncio.Event().wait()
        finally:
            print("woken")

    kept = [asyncio.create_task(pending()), asyncio.create_task(leave())]
    await asyncio.Event().wait()

process._serve = serve
process.main({})
"""


def test_a_process_that_the_authors_code_ends_wakes_nothing_that_is_pending() -> None:
    told = {"TAPE_PROJECT": "/", "TAPE_AGENTS": "{}", "TAPE_NONCE": "n", "TAPE_SUPERVISOR_PID": str(os.getpid())}
    code = [sys.executable, "-c", ENDED_BY_ITS_CODE]
    ended = subprocess.run(code, env={**os.environ, **told}, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (3, "")
