"""What unwinds a run, and what it leaves behind: nothing open, nothing begun, nothing swallowed."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

import tape
from tape.core.kernel import errors
from tape.core.sdk.code import LEFT_BEHIND
from tape.core.sdk.context import RunContext
from tests.sdk.player import RUN, FakeServer, Played, play


class Gate:
    """A body that waits until the test lets it go on."""

    def __init__(self) -> None:
        self.waits: asyncio.Future[None] | None = None
        self.entered = 0
        self.left = 0

    async def __call__(self) -> None:
        self.entered += 1
        self.waits = asyncio.get_running_loop().create_future()
        await self.waits
        self.left += 1

    def open(self) -> bool:
        if self.waits is None or self.waits.done():
            return False
        self.waits.set_result(None)
        return True


GATE = Gate()


@pytest.fixture(autouse=True)
def new_gate() -> None:
    GATE.__init__()


@tape.tool(semantics="idempotent")
async def slow(name: str = "slow") -> str:
    await GATE()
    return name


@tape.tool(semantics="idempotent")
async def quick(name: str = "quick") -> str:
    return name


async def think(question: str) -> str:
    return question


def new_server() -> FakeServer:
    return FakeServer([(1, "run_started", {})], [1])


def once(act: Callable[[RunContext], None]) -> Callable[[RunContext], bool]:
    """Meddles once when nothing moves, then lets the gate go whenever nothing moves."""
    done: list[int] = []

    def on_quiet(context: RunContext) -> bool:
        if not done:
            done.append(1)
            act(context)
            return True
        return GATE.open()

    return on_quiet


# --- unwinding ----------------------------------------------------------------------------------------------------


def test_signals_pass_handlers_of_exceptions_and_raise_again_at_every_call() -> None:
    seen: list[str] = []

    async def agent(run: tape.Run) -> None:
        try:
            await run.sleep(5)
        except Exception:
            seen.append("swallowed")
        finally:
            for call in (slow, lambda: run.decide(think, "x"), lambda: run.sample(int), lambda: run.sleep(1)):
                try:
                    await call()
                except tape.RunInterrupted as signal:
                    seen.append(str(signal))

    played = play(agent)
    assert (played.said, played.why) == ("park", "waiting")
    assert seen == ["waiting"] * 4
    assert played.server.sent("park")[0]["waits"] == ["timer 0"]
    assert not GATE.entered


def test_a_signal_that_is_swallowed_changes_nothing() -> None:
    async def agent(run: tape.Run) -> str:
        try:
            await run.sleep(5)
        except BaseException:
            return "fine"
        return "slept"

    played = play(agent)
    assert played.said == "park"
    assert not played.server.sent("finish")


def test_signals_in_groups_of_exceptions() -> None:
    async def fails() -> None:
        await quick()
        raise ValueError("mine")

    async def agent(run: tape.Run) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(run.sleep(5))
            group.create_task(run.sleep(6))
            group.create_task(fails())

    first = play(agent)
    assert (first.ended["outcome"], first.ended["error"]["type"]) == ("FAILED", "ExceptionGroup")

    async def waits(run: tape.Run) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(run.sleep(5))
            group.create_task(run.sleep(6))

    assert play(waits).server.sent("park")[0]["waits"] == ["timer 0", "timer 1"]


def test_code_that_waits_for_something_of_its_own_is_unwound_too() -> None:
    async def agent(run: tape.Run) -> None:
        await asyncio.gather(run.sleep(5), asyncio.Event().wait())

    assert play(agent).said == "park"


def test_code_that_cannot_be_unwound_is_left_behind() -> None:
    tries: list[int] = []

    async def agent(run: tape.Run) -> None:
        while len(tries) < 30:
            with contextlib.suppress(BaseException):
                await run.sleep(5)
            while len(tries) < 30:
                try:
                    await asyncio.Event().wait()
                except BaseException:
                    tries.append(1)

    played = play(agent)
    assert played.said == "park"
    assert len(tries) > 3


def test_an_error_of_the_agent_ends_the_run() -> None:
    async def agent(run: tape.Run) -> None:
        await quick()
        raise ValueError("no such invoice")

    played = play(agent)
    assert played.ended == {"outcome": "FAILED", "error": {"type": "ValueError", "message": "no such invoice"}}


@pytest.mark.parametrize("stop", [SystemExit(3), KeyboardInterrupt()])
def test_sys_exit_is_a_crash_and_never_an_outcome(stop: BaseException) -> None:
    server = new_server()

    async def agent(run: tape.Run) -> None:
        await quick()
        raise stop

    with pytest.raises(type(stop)):
        play(agent, server)
    assert server.kinds() == ["run_started", "effect_begun", "effect_ended"]


def test_an_agent_cancelled_from_inside_has_failed() -> None:
    async def agent(run: tape.Run) -> None:
        raise asyncio.CancelledError

    assert "cancelled from inside" in play(agent).why


# --- cancelled calls ----------------------------------------------------------------------------------------------


def drives(agent: Any, server: FakeServer, limit: int = 10, **options: Any) -> tuple[Played, int]:
    """Drives on, as the reactors would, until the run has ended; returns the last drive and how many there were."""
    for count in range(1, limit + 1):
        played = play(agent, server, **options)
        if played.said != "park":
            return played, count
    raise AssertionError("the run parks for ever")


def test_a_time_limit_around_an_open_call_parks_until_its_outcome_is_known() -> None:
    limits = [5.0]

    async def agent(run: tape.Run) -> str:
        try:
            return await asyncio.wait_for(slow(), limits[0])
        except TimeoutError:
            return "gave up"

    server = new_server()

    def let_go(context: RunContext) -> bool:
        return context.signal is not None and GATE.open()

    first = play(agent, server, on_quiet=let_go)
    assert first.said == "park" and "cancelled effect slow(name='slow')" in first.why
    assert GATE.left == 1 and server.kinds()[-1] == "effect_ended", "the body ends and is recorded first"
    assert server.sent("park")[0]["waits"] == []
    assert play(agent, server).result == "slow", "and the next drive has it in time"


def test_a_time_limit_around_a_decision_asks_once() -> None:
    asked: list[int] = []

    async def ponder(question: str) -> str:
        asked.append(1)
        await GATE()
        return question

    async def agent(run: tape.Run) -> str:
        return await asyncio.wait_for(run.decide(ponder, "x"), 5)

    server = new_server()
    played, count = drives(agent, server, on_quiet=lambda context: context.signal is not None and GATE.open())
    assert (played.result, count, len(asked)) == ("x", 2, 1)


def test_a_group_whose_member_fails_cancels_the_others_and_goes_on() -> None:
    @tape.tool(semantics="idempotent")
    async def no() -> None:
        raise tape.Rejected("no")

    async def agent(run: tape.Run) -> str:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(no())  # type: ignore[arg-type]
                group.create_task(slow())  # type: ignore[arg-type]
        except* tape.EffectFailed:
            pass
        return await quick("instead")

    server = new_server()
    played, count = drives(agent, server, on_quiet=lambda context: GATE.open())
    assert (played.result, count) == ("instead", 2)
    assert server.kinds().count("effect_ended") == 3


def test_a_durable_timer_as_a_time_limit() -> None:
    async def agent(run: tape.Run) -> str:
        tool, timer = asyncio.ensure_future(quick()), asyncio.ensure_future(run.sleep(3600))
        done, left = await asyncio.wait([tool, timer], return_when=asyncio.FIRST_COMPLETED)
        for task in left:
            task.cancel()
        return "in time" if tool in done else "late"

    played = play(agent)
    assert played.result == "in time", "a cancelled timer does not park the run"
    assert play(agent, played.server.cut(len(played.server.records) - 1)).result == "in time"


def test_code_that_cancels_the_same_call_every_time_is_stuck_not_busy_for_ever() -> None:
    async def agent(run: tape.Run) -> None:
        task = asyncio.ensure_future(slow())
        await asyncio.sleep(0)
        task.cancel()
        await task

    server = new_server()
    held = [True]
    server.held = lambda frame: held[0] and frame["t"] == "end"
    why = play(agent, stubborn=True, on_quiet=lambda context: GATE.open()).diverged
    assert "cancelled effect slow(name='slow')" in why and "every time" in why


# --- bodies in threads, calls from threads ------------------------------------------------------------------------


def test_a_tape_call_from_another_thread_is_refused() -> None:
    async def agent(run: tape.Run) -> str:
        def work() -> str:
            try:
                quick()
            except tape.UsageError as error:
                return str(error)
            return "called"

        return await asyncio.to_thread(work)

    assert "another thread" in play(agent).result


def test_work_of_its_own_in_a_thread() -> None:
    async def agent(run: tape.Run) -> list[Any]:
        name = await asyncio.to_thread(lambda: threading.current_thread() is not threading.main_thread())
        return [name, await quick()]

    assert play(agent).result == [True, "quick"]


# --- orphans ------------------------------------------------------------------------------------------------------


def test_what_the_agent_leaves_behind_is_settled_before_the_run_ends() -> None:
    tasks: list[asyncio.Task[Any]] = []

    async def agent(run: tape.Run) -> str:
        await quick()
        tasks.append(asyncio.ensure_future(slow()))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        return "gone"

    server = new_server()

    def let_go(context: RunContext) -> bool:
        assert not server.sent("finish")
        return GATE.open()

    played = play(agent, server, on_quiet=let_go)
    assert played.result == "gone"
    assert server.kinds()[-2:] == ["effect_ended", "run_ended"]
    assert isinstance(tasks[0].exception(), tape.RunInterrupted), "but nobody goes on with it"


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_orphans_after_a_crash(count: int) -> None:
    async def agent(run: tape.Run) -> str:
        await quick()
        left = asyncio.ensure_future(slow())
        await asyncio.sleep(0)
        return f"gone {left.done()}"

    whole = play(agent, on_quiet=lambda context: GATE.open())
    GATE.__init__()
    again = play(agent, whole.server.cut(count), on_quiet=lambda context: GATE.open())
    assert again.server.records == whole.server.records


def test_an_orphan_that_wakes_later_does_nothing_more() -> None:
    async def agent(run: tape.Run) -> None:
        async def later() -> None:
            await asyncio.sleep(0.01)
            await quick("too late")

        task = asyncio.ensure_future(later())
        task.add_done_callback(lambda task: task.exception())
        asyncio.ensure_future(slow()).add_done_callback(lambda task: task.exception())  # type: ignore[arg-type]
        await asyncio.sleep(0)

    seconds: list[float] = []

    def let_go(context: RunContext) -> bool:
        seconds.append(context.loop.time())
        return seconds[-1] > 0 and GATE.open()

    played = play(agent, on_quiet=let_go)
    assert [body["tool"] for _, kind, body in played.server.records if kind == "effect_begun"] == ["slow"]


@pytest.mark.parametrize("fails", [False, True])
def test_what_is_pending_when_the_agent_ends_is_cancelled_and_its_calls_raise(fails: bool) -> None:
    seen: list[str] = []
    server = new_server()

    async def consume() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append(f"cancelled after {server.kinds()[-1]}")
            raise
        finally:
            try:
                await quick("closing note")
            except tape.RunInterrupted as signal:
                seen.append(str(signal))

    async def produce() -> None:
        await quick()
        if fails:
            raise ValueError("no such invoice")

    async def agent(run: tape.Run) -> None:
        consumer = consume()
        if fails:
            await asyncio.gather(produce(), consumer)
        asyncio.get_running_loop().create_task(consumer)
        await produce()

    played = play(agent, server)
    assert played.ended["outcome"] == ("FAILED" if fails else "TERMINAL")
    assert seen == [
        "cancelled after effect_ended",
        "the agent function has ended: nothing is done for what it left behind",
    ]
    assert played.server.kinds().count("effect_begun") == 1
    assert not LEFT_BEHIND


def test_a_pending_task_of_the_agents_is_not_collected_while_its_run_goes_on() -> None:
    ended: list[str] = []

    async def forgotten() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        except BaseException as error:
            ended.append(type(error).__name__)
            raise

    async def agent(run: tape.Run) -> None:
        asyncio.get_running_loop().create_task(forgotten())
        await quick()
        gc.collect()
        assert not ended

    assert play(agent).result is None
    assert ended == ["CancelledError"]


@pytest.mark.parametrize("handles", [False, True])
def test_a_call_in_a_coroutine_that_is_being_closed_takes_no_place_in_the_run_that_is_current(handles: bool) -> None:
    """The collector closes coroutines while another run's code runs."""

    async def somebody_elses() -> None:
        try:
            await asyncio.sleep(0)
        finally:
            try:
                if handles:
                    raise ValueError("while it is closed")
            finally:
                await quick("not mine")

    async def agent(run: tape.Run) -> str:
        left = somebody_elses()
        left.send(None)
        with pytest.raises(tape.RunInterrupted, match="quick is called by code that is being closed: it is not done"):
            left.close()
        return await quick("mine")

    played = play(agent)
    assert played.result == "mine"
    assert [body["args"] for _, kind, body in played.server.records if kind == "effect_begun"] == [{"name": "mine"}]


def test_an_async_generator_calls_tools_while_it_is_closed() -> None:
    async def rows() -> AsyncIterator[str]:
        try:
            yield await quick("first")
        finally:
            await quick("last")

    async def agent(run: tape.Run) -> str:
        async for row in rows():
            if row == "first":
                break
        await slow()
        async with contextlib.aclosing(rows()) as again:  # type: ignore[type-var]
            await anext(again)
        return "done"

    played = play(agent, on_quiet=lambda context: GATE.open())
    assert played.result == "done"
    begun = [body["args"]["name"] for _, kind, body in played.server.records if kind == "effect_begun"]
    assert sorted(begun) == ["first", "first", "last", "last", "slow"]


# --- cancel, drain, lease -----------------------------------------------------------------------------------------


def test_a_live_run_that_is_cancelled_lets_its_open_body_end() -> None:
    async def agent(run: tape.Run) -> None:
        try:
            await slow()
        finally:
            await quick("never")

    played = play(agent, on_quiet=once(lambda context: context.cancel()))
    assert played.ended == {"outcome": "CANCELLED"}
    assert GATE.left == 1
    assert played.server.kinds() == ["run_started", "effect_begun", "effect_ended", "run_ended"]


def test_a_cancelled_run_asks_no_further() -> None:
    async def ponder(question: str) -> str:
        await GATE()
        return question

    async def agent(run: tape.Run) -> None:
        await run.decide(ponder, "x")

    played = play(agent, on_quiet=once(lambda context: context.cancel()))
    assert played.ended == {"outcome": "CANCELLED"}
    assert (GATE.entered, GATE.left) == (1, 0)
    assert not played.server.sent("decision")


@pytest.mark.parametrize("early", [True, False])
def test_a_cancelled_run_that_is_taken_up_again_settles_what_is_open_and_begins_nothing(early: bool) -> None:
    """In a batch, before the open call and after it."""

    async def new() -> None:
        await quick("done")
        await quick("new")

    async def agent(run: tape.Run) -> None:
        await asyncio.gather(*([new(), slow()] if early else [slow(), new()]))

    whole = play(agent, on_quiet=lambda context: GATE.open())
    begun = [at for at, (_, kind, body) in enumerate(whole.server.records, 1) if kind == "effect_begun"]
    server = whole.server.cut(begun[1] + 1)
    assert server.kinds() == ["run_started", "effect_begun", "effect_begun", "effect_ended"]
    GATE.__init__()
    played = play(agent, server, cancelled=True, on_quiet=lambda context: GATE.open())
    assert played.ended == {"outcome": "CANCELLED"}
    assert [frame["t"] for frame in server.frames] == ["attach", "attempt", "end", "finish"]
    assert GATE.left == 1


def test_cancelled_while_it_replays() -> None:
    async def agent(run: tape.Run) -> None:
        for number in range(3):
            await quick(str(number))

    whole = play(agent)
    server = whole.server.cut(len(whole.server.records) - 1)
    played = play(agent, server, before=lambda context: context.cancel())
    assert played.ended == {"outcome": "CANCELLED"}


def test_a_cancel_that_the_journal_tells_first() -> None:
    async def agent(run: tape.Run) -> None:
        await quick()
        await run.decide(think, "x")

    server = new_server()
    server.refuse = lambda frame: ("cancelled", "it is being cancelled") if frame["t"] == "ask" else None
    assert play(agent, server).ended == {"outcome": "CANCELLED"}


def test_a_drain_finishes_the_boundary_and_waits_for_nothing() -> None:
    async def agent(run: tape.Run) -> None:
        await asyncio.gather(slow(), run.sleep(3600))
        await quick("not in this drive")

    server = new_server()
    played = play(agent, server, on_quiet=once(lambda context: context.interrupt(errors.RunParked("drained"))))
    assert (played.said, played.why) == ("park", "drained")
    assert server.kinds()[-1] == "effect_ended"
    assert server.sent("park")[0]["waits"] == [], "the run may have more to do than to wait"


def test_a_drain_lets_the_model_answer() -> None:
    async def ponder(question: str) -> str:
        await GATE()
        return question

    async def agent(run: tape.Run) -> None:
        await run.decide(ponder, "x")

    server = new_server()
    played = play(agent, server, on_quiet=once(lambda context: context.interrupt(errors.RunParked("drained"))))
    assert played.said == "park"
    assert server.kinds() == ["run_started", "decision", "charge"]


def test_a_drive_that_is_drained_before_it_starts_is_not_entered() -> None:
    entered: list[int] = []

    async def agent(run: tape.Run) -> None:
        entered.append(1)

    played = play(agent, before=lambda context: context.interrupt(errors.RunParked("drained")))
    assert (played.said, entered) == ("park", [])


def test_a_lost_lease_without_a_body_drops_the_run() -> None:
    async def agent(run: tape.Run) -> None:
        await quick()
        await run.decide(think, "x")

    server = new_server()
    server.refuse = lambda frame: ("fenced", "epoch 1 is over") if frame["t"] == "decision" else None
    played = play(agent, server)
    assert played.said == "lost its lease"
    assert [frame["t"] for frame in server.frames][-1] == "decision"


def test_a_lost_lease_with_a_body_open_ends_the_process(ends: list[str]) -> None:
    async def agent(run: tape.Run) -> None:
        await asyncio.gather(slow(), run.decide(think, "x"))

    server = new_server()
    server.refuse = lambda frame: ("fenced", "epoch 1 is over") if frame["t"] == "decision" else None
    play(agent, server, on_quiet=lambda context: GATE.open())
    assert ends and f"the lease of {RUN} is lost and a tool's body is open" in ends[0]


def test_a_lost_lease_outweighs_a_park() -> None:
    async def agent(run: tape.Run) -> None:
        await slow()

    server = new_server()
    server.refuse = lambda frame: ("fenced", "epoch 1 is over") if frame["t"] == "end" else None
    played = play(agent, server, on_quiet=once(lambda context: context.interrupt(errors.RunParked("drained"))))
    assert played.said == "lost its lease"


def test_an_intent_that_is_fenced_is_never_acted_on() -> None:
    async def agent(run: tape.Run) -> None:
        await slow()

    server = new_server()
    server.refuse = lambda frame: ("fenced", "epoch 1 is over") if frame["t"] == "begin" else None
    assert play(agent, server).said == "lost its lease"
    assert not GATE.entered


def test_a_last_word_that_is_refused_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """It holds a lease that it cannot give back: recovery must not wait for it."""
    from tape.core.agent import driver

    ended: list[str] = []
    monkeypatch.setattr(driver, "end_own_group", ended.append)

    async def agent(run: tape.Run) -> None:
        await quick()

    server = new_server()
    server.refuse = lambda frame: ("refused", "an effect is open") if frame["t"] == "finish" else None
    play(agent, server)
    assert ended == [f"the finish of {RUN} was refused: an effect is open"]


# --- doubt --------------------------------------------------------------------------------------------------------


def test_an_effect_in_doubt_parks_the_run_and_its_siblings_end_first() -> None:
    @tape.tool
    async def gamble() -> None:
        raise OSError("the connection was reset")

    async def agent(run: tape.Run) -> None:
        await asyncio.gather(gamble(), slow())

    server = new_server()
    server.failing = lambda frame: {"step": "person"} if frame["ending"]["how"] == "raised" else None
    played = play(agent, server, on_quiet=lambda context: context.signal is not None and GATE.open())
    assert played.said == "park" and "in doubt" in played.why
    assert server.kinds() == ["run_started", "effect_begun", "effect_begun", "effect_ended"]


# --- crash points -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("armed", [False, True])
def test_own_points_cost_nothing_until_one_is_armed(armed: bool) -> None:
    @tape.tool(semantics="idempotent")
    def body() -> None:
        tape.crash_point("inside")

    async def agent(run: tape.Run) -> None:
        tape.crash_point("before")
        await body()

    played = play(agent, armed=armed)
    assert played.server.points == (["at:before", "at:inside"] if armed else [])
    tape.crash_point("outside of any run")


def test_armed_points_see_every_boundary_before_its_reply() -> None:
    async def agent(run: tape.Run) -> None:
        await run.decide(think, "x")
        await quick()

    played = play(agent, armed=True)
    assert all(frame.get("waits", True) for frame in played.server.frames if frame["t"] not in ("attach",))


# --- code that swallows everything ----------------------------------------------------------------------------------


CALLS: dict[str, Callable[[tape.Run], Any]] = {
    "call": lambda run: quick(),
    "enqueue": lambda run: posted.enqueue(),
    "decide": lambda run: run.decide(think, "x"),
    "sample": lambda run: run.now(),
    "sleep": lambda run: run.sleep(1),
}


@tape.tool(semantics="idempotent", dispatch="outbox")
async def posted() -> None: ...


@pytest.mark.parametrize("call", CALLS)
def test_code_that_swallows_every_signal_for_ever_is_left_behind(call: str) -> None:
    """`except: continue` around a tape call would keep the loop to itself: no heartbeat, no other run, no park."""
    calls: list[int] = []

    async def agent(run: tape.Run) -> None:
        with contextlib.suppress(BaseException):
            await run.sleep(5)
        while True:
            try:
                calls.append(1)
                await CALLS[call](run)
            except GeneratorExit:
                raise  # for the end of the test: in an agent's process nothing that is left behind is collected
            except BaseException:
                continue

    played = play(agent)
    assert (played.said, played.why) == ("park", "waiting")
    assert len(calls) < 200  # a hundred of them are cancelled by the player, after the drive
    assert [frame["t"] for frame in played.server.frames] == ["attach", "timer", "park"]


def test_so_is_one_whose_tasks_do(capfd: pytest.CaptureFixture[str]) -> None:
    async def swallow() -> None:
        while True:
            try:
                await quick("x")
            except GeneratorExit:
                raise  # for the end of the test: in an agent's process nothing that is left behind is collected
            except BaseException:
                continue

    async def agent(run: tape.Run) -> None:
        with contextlib.suppress(BaseException):
            await run.sleep(5)
        await asyncio.gather(swallow(), swallow())

    assert play(agent).said == "park"


def test_a_wish_to_cancel_ends_code_that_swallows(new_gate: None) -> None:
    async def agent(run: tape.Run) -> None:
        while True:
            try:
                await slow()
            except GeneratorExit:
                raise  # for the end of the test: in an agent's process nothing that is left behind is collected
            except BaseException:
                continue

    played = play(agent, on_quiet=once(RunContext.cancel))
    assert played.said == "finish"
    assert played.ended == {"outcome": "CANCELLED"}
    assert GATE.entered == GATE.left == 1
